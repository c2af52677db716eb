"""What is left in memory of an answer that has ended."""

import gc
from contextlib import contextmanager

import aiohttp
import pytest

from proxypal_core.dialects.pipe import Passthrough, Translation
from proxypal_core.gateway.downstream import Downstream
from proxypal_core.gateway.exchange import Exchange
from tests.fault_server import Stall
from tests.gateway.asking import ask, begun, question, upstream
from tests.proxy import proxy

OF_AN_ANSWER = (Exchange, Downstream, Passthrough, Translation)


def answers():
    return [one for one in gc.get_objects() if isinstance(one, OF_AN_ANSWER)]


@contextmanager
def no_search():
    """Garbage is not searched for; a list of the answers that are left, filled at the end."""
    gc.collect()
    gc.disable()
    left = []
    try:
        before = answers()
        yield left
        left += [one for one in answers() if not any(one is other for other in before)]
    finally:
        gc.enable()


@pytest.mark.parametrize("provider", ["anthropic", "openai-chat"])
async def test_a_stream_that_has_ended_is_freed_without_a_search_for_garbage(
    fault_server, provider
):
    async with proxy(upstream(fault_server, provider)) as p:
        await ask(p, "anthropic", stream=True)
        with no_search() as left:
            status, *_ = await ask(p, "anthropic", stream=True)

    assert status == 200
    assert left == []


@pytest.mark.parametrize("provider", ["anthropic", "openai-chat"])
async def test_a_stream_whose_client_left_is_freed_without_a_search_for_garbage(
    fault_server, provider
):
    fault_server.script(Stall(frames=begun(provider)))
    path, body = question("anthropic")
    async with proxy(upstream(fault_server, provider)) as p, aiohttp.ClientSession() as session:
        with no_search() as left:
            async with session.post(p.url + path, json=body) as answer:
                begins = await answer.content.readany()
            await fault_server.until(lambda: not fault_server.open_streams)

    assert begins
    assert left == []
