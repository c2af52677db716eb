"""What is left in memory of an answer that has ended."""

import gc

import pytest

from proxypal_core.dialects.pipe import Passthrough, Translation
from proxypal_core.gateway.downstream import Downstream
from proxypal_core.gateway.exchange import Exchange
from tests.gateway.asking import ask, upstream
from tests.proxy import proxy

OF_AN_ANSWER = (Exchange, Downstream, Passthrough, Translation)


def answers():
    return [one for one in gc.get_objects() if isinstance(one, OF_AN_ANSWER)]


@pytest.mark.parametrize("provider", ["anthropic", "openai-chat"])
async def test_a_stream_that_has_ended_is_freed_without_a_search_for_garbage(
    fault_server, provider
):
    async with proxy(upstream(fault_server, provider)) as p:
        await ask(p, "anthropic", stream=True)
        gc.collect()
        gc.disable()
        try:
            before = answers()
            status, *_ = await ask(p, "anthropic", stream=True)
            left = [one for one in answers() if not any(one is other for other in before)]
        finally:
            gc.enable()

    assert status == 200
    assert left == []
