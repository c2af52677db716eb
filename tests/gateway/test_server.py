"""What aiohttp gets wrong for a proxy, put right: on raw sockets."""

import ast
import asyncio
import logging
import re
import socket
import tomllib
from contextlib import asynccontextmanager
from importlib.metadata import version
from pathlib import Path

import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

from proxypal_core.gateway.server import (
    UNSENT,
    may_be_a_head,
    parser_is_compiled,
    server,
    without_repeated_user_agent,
)
from proxypal_core.wire import jsonio
from tests.proxy import proxy

ROOT = Path(__file__).parents[2]


@asynccontextmanager
async def listening(handler):
    runner = web.ServerRunner(server(handler))
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


async def echo(request):
    body = await request.read()
    agents = request.headers.getall("User-Agent", [])
    return web.json_response({"agents": agents, "body": body.decode()})


async def answer(reader):
    head = await reader.readuntil(b"\r\n\r\n")
    length = next(
        int(line.partition(b":")[2])
        for line in head.lower().split(b"\r\n")
        if line.startswith(b"content-length")
    )
    return int(head.split()[1]), await reader.readexactly(length)


def post(body, *headers):
    lines = ["POST /x HTTP/1.1", "Host: localhost", f"Content-Length: {len(body)}", *headers]
    return ("\r\n".join(lines) + "\r\n\r\n").encode() + body


TWO_AGENTS = ("User-Agent: first/1", "Accept: */*", "user-agent: second/2", "USER-AGENT: third/3")


async def test_a_repeated_user_agent_does_not_kill_the_request():
    async with listening(echo) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for body in (b"one", b"two"):
            writer.write(post(body, *TWO_AGENTS))
            status, read = await answer(reader)

            assert status == 200
            assert jsonio.loads(read) == {"agents": ["first/1"], "body": body.decode()}
        writer.close()


@pytest.mark.parametrize("size", [1, 7, 64])
async def test_a_head_may_come_in_any_pieces(size):
    message = post(b"user-agent: in the body\r\n\r\n", *TWO_AGENTS) + post(b"next")
    async with listening(echo) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for at in range(0, len(message), size):
            writer.write(message[at : at + size])
            await writer.drain()

        first, second = await answer(reader), await answer(reader)

        assert jsonio.loads(first[1])["agents"] == ["first/1"]
        assert jsonio.loads(first[1])["body"] == "user-agent: in the body\r\n\r\n"
        assert jsonio.loads(second[1])["body"] == "next"
        writer.close()


@given(st.binary(max_size=60), st.lists(st.sampled_from(["User-Agent: a", "X: y"]), max_size=4))
def test_only_repeated_user_agent_lines_are_taken_out(body, headers):
    message = post(body, *headers)

    kept = without_repeated_user_agent(message, message.find(b"\r\n\r\n"))

    once = [h for i, h in enumerate(headers) if h == "X: y" or "User-Agent: a" not in headers[:i]]
    assert kept == post(body, *once)


@pytest.mark.parametrize(
    "message",
    [
        b"GET / HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer sk-CANARY\x01\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"sk-CANARY" * 4000 + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nHost: sk-CANARY\r\n\r\n",
        b"GET /sk-CANARY\x00 HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\nX: sk-CANARY\r\n\r\n",
        b"\x16\x03\x01 sk-CANARY\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nAuthorization: sk-CANARY\nX: y\r\n\r\n",
        b"sk-CANARY / HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET / HTTP/sk-CANARY\r\nHost: localhost\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nsk-CANARY\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: sk-CANARY\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nsk-CANARY\r\n",
    ],
)
async def test_what_the_parser_refuses_is_not_repeated_to_anyone(message, capfd, caplog):
    caplog.set_level(logging.DEBUG)
    async with listening(echo) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(message)
        status, body = await answer(reader)
        writer.close()

    assert status == 400
    assert jsonio.loads(body)["error"]["message"] == "malformed HTTP request"
    shown = body.decode() + caplog.text + "".join(capfd.readouterr())
    assert "CANARY" not in shown


async def test_a_client_that_goes_away_cancels_its_handler():
    entered, gone = asyncio.Event(), asyncio.Event()

    async def waits(request):
        entered.set()
        try:
            await asyncio.Event().wait()
        finally:
            gone.set()

    async with listening(waits) as port:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(post(b""))
        await entered.wait()
        writer.close()

        async with asyncio.timeout(5):
            await gone.wait()


async def test_what_fails_beside_a_request_is_logged_without_its_words(caplog, capfd):
    class Unsendable(web.Response):
        async def prepare(self, request):
            raise ValueError("sk-CANARY")

    async def unsendable(request):
        return Unsendable()

    async with listening(unsendable) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(post(b""))
        received = await reader.read()
        writer.close()

    shown = received.decode() + caplog.text + "".join(capfd.readouterr())
    assert "ValueError" in shown
    assert "CANARY" not in shown


async def test_the_answer_to_what_is_not_http_names_no_software():
    async with listening(echo) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"\x16\x03\x01")
        head = await reader.readuntil(b"\r\n\r\n")
        writer.close()

    assert head.startswith(b"HTTP/1.0 400 ")
    assert not re.search(rb"aiohttp|python", head, re.IGNORECASE)


@given(st.integers(1, 200))
def test_every_beginning_of_a_head_may_be_one(size):
    message = post(b"", *TWO_AGENTS)

    assert may_be_a_head(message[: min(size, len(message) - 4)])


# ── what a parser must refuse, and what it lets through and we refuse ────────────────────────

HOST = b"Host: 127.0.0.1\r\n"


def get(target=b"/v1/models", host=HOST, extra=b"", http=b"1.1"):
    return b"GET " + target + b" HTTP/" + http + b"\r\n" + host + extra + b"\r\n"


def sized(*lengths, body=b"{}"):
    lines = b"".join(line + b"\r\n" for line in lengths)
    head = b"POST /v1/chat/completions HTTP/1.1\r\n" + HOST + b"Content-Type: application/json\r\n"
    return head + lines + b"\r\n" + body


CHUNKED = b"Transfer-Encoding: chunked"
REFUSED = {
    "no Host": get(host=b""),
    "two Hosts": get(extra=HOST),
    "two lengths": sized(b"Content-Length: 2", b"Content-Length: 3"),
    "one length twice": sized(b"Content-Length: 2", b"Content-Length: 2"),
    "a length with a sign": sized(b"Content-Length: +2"),
    "a negative length": sized(b"Content-Length: -2"),
    "a length and chunks": sized(b"Content-Length: 2", CHUNKED, body=b"0\r\n\r\n"),
    "an unknown coding": sized(b"Transfer-Encoding: xchunked"),
    "chunked before another": sized(CHUNKED + b", identity"),
    "a bad chunk": sized(CHUNKED, body=b"zz\r\n{}\r\n0\r\n\r\n"),
    "chunks in bare LF": sized(CHUNKED, body=b"2\n{}\n0\n\n"),
    "a bad trailer": sized(CHUNKED, body=b"2\r\n{}\r\n0\r\nX: \x01\r\n\r\n"),
    "a folded header": get(extra=b"X: a\r\n b\r\n"),
    "bare LF": b"GET /v1/models HTTP/1.1\nHost: 127.0.0.1\n\n",
    "one bare LF": get(extra=b"X: a\nY: b\r\n"),
    "a space before the colon": get(host=b"Host : 127.0.0.1\r\n"),
    "NUL": get(extra=b"X: a\0b\r\n"),
    "a control character in the target": get(b"/v1/mod\x01els"),
    "a long header": get(extra=b"X: " + b"a" * 17_000 + b"\r\n"),
    "many headers": get(extra=b"".join(b"X%d: a\r\n" % at for at in range(1000))),
    "a long target": get(b"/" + b"a" * 20_000),
    "a target without end": b"GET /" + b"a" * 300_000,
    "another HTTP": get(http=b"3.7"),
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "HTTP/0.9": b"GET /v1/models\r\n\r\n",
    "an absolute target": get(b"http://127.0.0.1/v1/models"),
    "an absolute target elsewhere": get(b"http://evil.example/v1/models"),
    "an authority": b"CONNECT 127.0.0.1:80 HTTP/1.1\r\n" + HOST + b"\r\n",
    "an asterisk": b"OPTIONS * HTTP/1.1\r\n" + HOST + b"\r\n",
}
MISDIRECTED = {
    "HTTP/1.0 without Host": get(host=b"", http=b"1.0"),
    "an empty Host": get(host=b"Host:\r\n"),
    "a user in the Host": get(host=b"Host: a@127.0.0.1\r\n"),
    "a path in the Host": get(b"/api/state", host=b"Host: 127.0.0.1/v1/models?\r\n"),
    "a number as Host": get(host=b"Host: 0x7f.1\r\n"),
    "a dot after the Host": get(host=b"Host: localhost.\r\n"),
    "two names in a Host": get(host=b"Host: 127.0.0.1, evil.example\r\n"),
}
UNKNOWN = {
    "doubled slashes": get(b"//v1//models"),
    "an authority in the path": get(b"//evil.example/v1/models"),
    "a way up": get(b"/dashboard/../../etc/passwd"),
    "an encoded way up": get(b"/dashboard/%2e%2e/%2e%2e/etc/passwd"),
}


@pytest.mark.parametrize(
    ("status", "message"),
    [
        *(pytest.param(400, message, id=name) for name, message in REFUSED.items()),
        *(pytest.param(421, message, id=name) for name, message in MISDIRECTED.items()),
        *(pytest.param(404, message, id=name) for name, message in UNKNOWN.items()),
        pytest.param(200, get(), id="what is right"),
        pytest.param(200, get(host=b"Host: localhost:80\r\n", http=b"1.0"), id="HTTP/1.0"),
    ],
)
async def test_a_request_is_read_in_one_way_only(status, message):
    async with proxy() as running:
        reader, writer = await asyncio.open_connection("127.0.0.1", running.port)
        writer.write(message)
        async with asyncio.timeout(5):
            line = await reader.readline()
        writer.close()

    assert int(line.split()[1]) == status


def test_the_parser_is_compiled_and_no_older_than_its_last_known_holes():
    def parts(text):
        return tuple(map(int, text.split(".")))

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    [floor] = [row for row in project["dependencies"] if re.match("aiohttp[<>=]", row)]
    floor = re.search(r">=([\d.]+)", floor)[1]

    assert parser_is_compiled()
    assert parts(floor) >= (3, 14, 3)  # CVE-2026-69243 was mended in it
    assert parts(version("aiohttp")) >= parts(floor)


INVENTED = {"url", "host", "scheme", "path", "remote"}
"""What aiohttp makes of a request with the help of its Host header: ``Host: 127.0.0.1/a?`` makes
``request.url`` another path than the one that was asked for. ``path`` is decoded.
"""


def uses(source):
    """Where *source* reads something of a request that must not decide anything."""
    return [
        (node.lineno, node.attr)
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Attribute)
        and node.attr in INVENTED
        and ast.unparse(node.value).rpartition(".")[2] in ("request", "_request")
    ]


def test_nothing_is_decided_by_an_url_that_was_made_of_the_host():
    found = {
        path.name: used
        for path in (ROOT / "proxypal_core").rglob("*.py")
        if (used := uses(path.read_text()))
    }

    assert found == {}
    assert uses("call.request.url.path == self._request.host") == [(1, "host"), (1, "url")]


# ── a client that does not read ──────────────────────────────────────────────────────────────

_WINDOW = 4096
"""Bytes that the client asks its kernel to hold (Linux takes twice as many)."""


@pytest.mark.skipif(
    not hasattr(socket, "TCP_NOTSENT_LOWAT"), reason="this system has no such bound"
)
async def test_the_kernel_takes_little_for_a_client_that_does_not_read():
    taken = asyncio.get_running_loop().create_future()

    async def pours(request):
        size = 0
        while not request.transport.get_write_buffer_size():
            request.transport.write(bytes(_WINDOW))
            size += _WINDOW
        taken.set_result(size)
        request.transport.abort()
        return web.Response()

    async with listening(pours) as port:
        with socket.socket() as client:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _WINDOW)
            client.setblocking(False)
            loop = asyncio.get_running_loop()
            await loop.sock_connect(client, ("127.0.0.1", port))
            await loop.sock_sendall(client, post(b""))
            size = await taken

    assert size <= UNSENT + 4 * _WINDOW
