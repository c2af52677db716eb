"""What a target has no place for is named, or refused where the settings are strict."""

import aiohttp
import pytest

from proxypal_core.wire import jsonio
from tests.gateway.asking import question, upstream
from tests.proxy import proxy


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("strict", [True, False])
async def test_a_dropped_field_is_named_or_refused(fault_server, stream, strict):
    path, body = question("openai-chat", stream=stream)
    body |= {"seed": 7, "logit_bias": {"1": 2}}
    config = upstream(fault_server, "anthropic", extra=f"strict: {str(strict).lower()}")
    async with (
        proxy(config) as p,
        aiohttp.ClientSession() as session,
        session.post(p.url + path, json=body) as answer,
    ):
        received = await answer.read()

    if strict:
        assert answer.status == 400
        error = jsonio.loads(received)["error"]
        assert "seed" in error["message"]
        assert "logit_bias" in error["message"]
        assert fault_server.requests == []
    else:
        assert answer.status == 200
        assert set(answer.headers["x-proxypal-dropped"].split(", ")) == {"seed", "logit_bias"}


async def test_nothing_is_named_when_nothing_is_dropped(fault_server):
    path, body = question("openai-chat")
    async with (
        proxy(upstream(fault_server, "anthropic")) as p,
        aiohttp.ClientSession() as session,
        session.post(p.url + path, json=body) as answer,
    ):
        await answer.read()

    assert "x-proxypal-dropped" not in answer.headers
