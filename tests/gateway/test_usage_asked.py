"""A chat stream's usage is always asked for, and hidden from a client that did not ask."""

import aiohttp
import pytest

from proxypal_core.wire import jsonio
from tests.fault_server import Answer, Raw
from tests.gateway.asking import ask, question, read, upstream
from tests.proxy import ADMIN_KEY, proxy


def unasked(**fields):
    path, body = question("openai-chat")
    del body["stream_options"]
    return path, {**body, **fields}


async def post(p, path, body):
    async with aiohttp.ClientSession() as session, session.post(p.url + path, json=body) as answer:
        return answer.status, *await read(answer)


@pytest.mark.parametrize(
    "fields", [{}, {"stream_options": None}, {"stream_options": {"include_obfuscation": False}}]
)
async def test_it_is_asked_for_and_hidden(fault_server, fields):  # cases 124, 125
    path, body = unasked(**fields)
    admin = {"Authorization": f"Bearer {ADMIN_KEY}"}
    async with (
        proxy(upstream(fault_server, "openai-chat")) as p,
        aiohttp.ClientSession(headers=admin) as session,
        session.get(p.url + "/api/events") as events,
    ):
        await events.content.readuntil(b"\n\n")
        status, received, whole = await post(p, path, body)
        event = await events.content.readuntil(b"\n\n")

    assert (status, whole) == (200, True)
    assert fault_server.requests[0].json["stream_options"]["include_usage"] is True
    assert b"usage" not in received
    assert b'"choices":[]' not in received
    assert received.endswith(b"data: [DONE]\n\n")
    assert jsonio.loads(event.split(b"data: ")[1])["usage"]["output_total"] == 31


async def test_a_server_that_minds_is_asked_without_and_remembered(fault_server):  # case 125
    refusal = {
        "error": {"message": "Unknown field: stream_options", "type": "invalid_request_error"}
    }
    body = jsonio.dumps(refusal)
    fault_server.script(Raw(400, {"content-type": "application/json"}, [body]), Answer(), Answer())
    path, asked = unasked()
    async with proxy(upstream(fault_server, "openai-chat")) as p:
        first = await post(p, path, asked)
        second = await post(p, path, asked)

    assert (first[0], second[0]) == (200, 200)
    assert ["stream_options" in r.json for r in fault_server.requests] == [True, False, False]


async def test_who_asks_is_told(fault_server):  # case 124
    async with proxy(upstream(fault_server, "openai-chat")) as p:
        _, _, received, _ = await ask(p, "openai-chat")

    assert b'"usage":{' in received
