"""What real clients send is accepted on its surface and reaches the upstream as it must."""

import asyncio

import pytest

from proxypal_core.wire import jsonio
from tests.captures import load, raw
from tests.dialects.request_types import problems
from tests.gateway.asking import TERMINAL
from tests.proxy import proxy

CAPTURES = load()
by_name = {capture.name: capture for capture in CAPTURES}
GENERATE = ("/messages", "/chat/completions", "/responses", "enerateContent")


def generates(capture):
    path = capture.path.partition("?")[0].rstrip("/")
    return capture.method == "POST" and path.endswith(GENERATE)


def settings(server, dialect):
    """One provider that serves any name, whatever the client calls it."""
    return f"""
providers:
  - {{name: up, dialect: {dialect}, base_url: {server.url(dialect)}, families: ["*"]}}
accounts:
  - {{id: "up:k", api_key: upstream-key}}
"""


async def send(p, capture):
    """The status, headers (lower case) and body of the answer to *capture* on a raw socket."""
    reader, writer = await asyncio.open_connection("127.0.0.1", p.port)
    writer.write(raw(capture, f"127.0.0.1:{p.port}"))
    head = (await reader.readuntil(b"\r\n\r\n")).decode()
    headers = {
        name.lower(): value
        for name, _, value in (line.partition(": ") for line in head.split("\r\n")[1:])
    }
    body = b""
    if capture.method == "HEAD":
        pass
    elif "content-length" in headers:
        body = await reader.readexactly(int(headers["content-length"]))
    else:
        while size := int((await reader.readline()).strip(), 16):
            body += await reader.readexactly(size)
            await reader.readline()
    writer.close()
    return int(head.split()[1]), headers, body


threads = [capture for capture in CAPTURES if "thread" in (capture.body or {})]
asking = [capture for capture in CAPTURES if generates(capture) and capture not in threads]


@pytest.mark.parametrize("capture", asking, ids=str)
async def test_it_reaches_its_own_vendor_untouched(fault_server, capture):
    async with proxy(settings(fault_server, capture.dialect)) as p:
        status, headers, body = await send(p, capture)

    [request] = fault_server.requests
    assert status == 200, body
    # A chat stream's usage is asked for by us where the client does not; nothing else is touched.
    ours = b'"stream_options":{"include_usage":true},'
    asks = b"include_usage" in capture.content
    assert (request.body if asks else request.body.replace(ours, b"")) == capture.content
    assert request.dialect == capture.dialect
    assert request.key == "upstream-key"
    assert "client-key" not in str(request.raw_headers)
    if headers["content-type"].startswith("text/event-stream"):
        assert TERMINAL[capture.dialect] in body
    else:
        assert jsonio.loads(body)
    beta = [value for name, value in capture.headers if name.lower() == "anthropic-beta"]
    if beta:
        assert request.headers["anthropic-beta"] == ", ".join(beta)


@pytest.mark.parametrize("capture", asking, ids=str)
async def test_the_demo_understands_it(capture):
    config = 'models: [{name: "%s", route: [demo/echo]}]'
    model = (capture.body or {}).get("model") or capture.path.split("/models/")[1].split(":")[0]
    async with proxy(config % model) as p:
        status, headers, body = await send(p, capture)

    assert status == 200, body
    if headers["content-type"].startswith("text/event-stream"):
        assert TERMINAL[capture.dialect] in body


@pytest.mark.parametrize(
    ("capture", "target"),
    [(c, d) for c in asking for d in TERMINAL if d != c.dialect],
    ids=str,
)
async def test_it_is_translated_for_every_other_vendor(fault_server, capture, target):
    async with proxy(settings(fault_server, target)) as p:
        status, headers, body = await send(p, capture)

    [request] = fault_server.requests
    assert status == 200, body
    assert request.dialect == target
    version = request.headers.get("anthropic-version", "")
    assert problems(target, request.json, version=version) == []
    if headers["content-type"].startswith("text/event-stream"):
        assert TERMINAL[capture.dialect] in body


@pytest.mark.parametrize("capture", threads, ids=str)
async def test_a_thread_is_refused_in_the_form_its_client_knows(capture):
    async with proxy() as p:
        status, _, body = await send(p, capture)

    assert status == 400
    assert jsonio.loads(body)["error"]["details"]["error_code"] == "thread_unsupported_request"


async def test_the_first_knock_of_claude_code_is_answered():
    [capture] = [capture for capture in CAPTURES if capture.method == "HEAD"]
    async with proxy() as p:
        status, _, _ = await send(p, capture)

    assert status == 200


async def test_codex_is_sent_from_websocket_to_http_at_once():
    async with proxy() as p:
        status, _, _ = await send(p, by_name["codex-websocket"])

    assert status == 426


counting = [c for c in CAPTURES if "count_tokens" in c.path or "countTokens" in c.path]


@pytest.mark.parametrize("capture", counting, ids=str)
async def test_tokens_are_counted(fault_server, capture):
    async with proxy(settings(fault_server, capture.dialect)) as p:
        status, _, body = await send(p, capture)

    assert status == 200
    assert fault_server.requests[0].body == capture.content
    assert any(isinstance(count, int) for count in jsonio.loads(body).values())


def test_no_capture_is_left_out():
    known = {*map(str, asking), *map(str, threads), *map(str, counting)}
    rest = [c for c in CAPTURES if str(c) not in known]

    assert {c.method for c in rest} <= {"HEAD", "GET"}
