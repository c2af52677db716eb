"""A stop sequence that the provider does not know ends its answer all the same."""

import asyncio

import aiohttp
import pytest

from proxypal_core.wire import jsonio
from tests.fault_server import Stall
from tests.gateway.asking import begun, question, read, upstream
from tests.proxy import proxy


async def test_the_provider_is_left_when_the_stop_came(fault_server):  # case 105
    """The provider falls silent right after the stop: nobody waits for its end."""
    fault_server.script(Stall(frames=begun("openai-responses")))
    path, body = question("openai-chat")
    async with (
        proxy(upstream(fault_server, "openai-responses")) as p,
        aiohttp.ClientSession() as session,
        session.post(p.url + path, json={**body, "stop": ["lake"]}) as answer,
    ):
        async with asyncio.timeout(5):
            received, whole = await read(answer)
            await fault_server.requests[0].closed.wait()

    assert (answer.status, whole) == (200, True)
    assert b'"content":"The "' in received
    assert b"lake" not in received
    assert received.endswith(b"data: [DONE]\n\n")
    assert "x-proxypal-dropped" not in answer.headers


@pytest.mark.parametrize("provider", ["openai-responses", "openai-chat"])
async def test_a_whole_answer_ends_there_too(fault_server, provider):  # cases 105, 106
    path, body = question("anthropic", stream=False)
    asked = {**body, "stop_sequences": ["1", "2", "3", "4", "lake"]}
    async with (
        proxy(upstream(fault_server, provider)) as p,
        aiohttp.ClientSession() as session,
        session.post(p.url + path, json=asked) as answer,
    ):
        message = jsonio.loads(await answer.read())

    assert message["content"] == [{"type": "text", "text": "The "}]
    assert (message["stop_reason"], message["stop_sequence"]) == ("stop_sequence", "lake")
    assert message["usage"]["output_tokens"]
