"""Tokens are counted by the provider where it counts, and estimated, with a label, where not."""

import aiohttp
import pytest

from tests.gateway.asking import question, upstream
from tests.proxy import proxy

COUNTING = {
    "anthropic": ("/v1/messages/count_tokens", "input_tokens"),
    "openai-responses": ("/v1/responses/input_tokens", "input_tokens"),
    "gemini": ("/v1beta/models/m-1:countTokens", "totalTokens"),
}


async def count(p, dialect):
    path, key = COUNTING[dialect]
    _, body = question(dialect, stream=False, text="How many tokens are these words?")
    async with aiohttp.ClientSession() as session, session.post(p.url + path, json=body) as answer:
        return answer.status, (await answer.json()).get(key), answer.headers


@pytest.mark.parametrize("provider", COUNTING)
@pytest.mark.parametrize("client", COUNTING)
async def test_a_provider_that_counts_is_asked(fault_server, client, provider):  # case 131
    async with proxy(upstream(fault_server, provider)) as p:
        status, tokens, headers = await count(p, client)

    assert status == 200
    assert isinstance(tokens, int)
    assert "x-proxypal-estimate" not in headers
    assert fault_server.requests[0].path == COUNTING[provider][0]
    assert b"these words" in fault_server.requests[0].body


@pytest.mark.parametrize("client", COUNTING)
async def test_where_nobody_counts_it_is_estimated_and_said_so(fault_server, client):  # case 131
    async with proxy(upstream(fault_server, "openai-chat")) as p:
        status, tokens, headers = await count(p, client)

    assert status == 200
    assert 5 <= tokens <= 100
    assert headers["x-proxypal-estimate"] == "true"
    assert fault_server.requests == []
