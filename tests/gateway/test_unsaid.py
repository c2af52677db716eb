"""A provider may repeat our credential in an error; nobody else hears of it."""

import pytest

from proxypal_core.wire.jsonio import dumps
from tests.fault_server import ErrorInside, Raw, Status
from tests.gateway.asking import DIALECTS, ask, begun
from tests.proxy import proxy

KEY = "sk-canary-4711"
SAID = f"Incorrect API key provided: Bearer {KEY}, or a plan that {KEY} does not have"
JSON = {"content-type": "application/json"}


def upstream(server, dialect):
    return (
        f"providers:\n  - {{name: up, dialect: {dialect}, base_url: {server.url(dialect)}}}\n"
        f"accounts: [{{id: up:k1, api_key: {KEY}, models: [m-*]}}]"
    )


def error(dialect, status):
    """The vendor's error with the key in whatever it says."""
    if dialect == "anthropic":
        return {"type": "error", "error": {"type": "authentication_error", "message": SAID}}
    if dialect == "gemini":
        details = [{"@type": "type.googleapis.com/google.rpc.DebugInfo", "detail": SAID}]
        return {
            "error": {"code": status, "message": SAID, "status": "INTERNAL", "details": details}
        }
    return {"error": {"message": SAID, "type": "server_error", "param": KEY, "code": KEY}}


def event(dialect):
    data = dumps(error(dialect, 500))
    named = {"anthropic": b"event: error\n", "openai-responses": b"event: error\n"}
    if dialect == "openai-responses":
        data = dumps({**error(dialect, 500)["error"], "type": "error"})
    return named.get(dialect, b"") + b"data: " + data + b"\n\n"


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("client", DIALECTS)
@pytest.mark.parametrize("spoken", DIALECTS)
@pytest.mark.parametrize("status", [200, 400, 401, 403, 500])
async def test_it_is_in_no_answer(fault_server, spoken, client, status, stream, caplog):
    body = dumps(error(spoken, status))
    fault_server.always(
        Raw(200, JSON, [body]) if status == 200 else Status(status, body=error(spoken, status))
    )
    async with proxy(upstream(fault_server, spoken)) as p:
        _, headers, body, _ = await ask(p, client, stream=stream)

    assert b"***" in body
    assert KEY.encode() not in body
    assert KEY not in str(headers) + caplog.text


@pytest.mark.parametrize("client", DIALECTS)
@pytest.mark.parametrize("spoken", DIALECTS)
async def test_it_is_in_no_stream_that_breaks_off(fault_server, spoken, client):
    fault_server.always(ErrorInside(frames=begun(spoken), event=event(spoken)))
    async with proxy(upstream(fault_server, spoken)) as p:
        _, _, body, _ = await ask(p, client)

    assert b"***" in body
    assert KEY.encode() not in body


@pytest.mark.shows_secrets("answers", "a model's words are not ours to change")
async def test_what_a_model_says_is_left_as_it_is(fault_server):
    """A coding agent may well edit the file that the key is in."""
    words = {"choices": [{"index": 0, "message": {"role": "assistant", "content": f"It is {KEY}"}}]}
    words["choices"][0]["finish_reason"] = "stop"
    fault_server.always(Raw(200, JSON, [dumps(words)]))
    async with proxy(upstream(fault_server, "openai-chat")) as p:
        _, _, body, _ = await ask(p, "openai-chat", stream=False)

    assert KEY.encode() in body
