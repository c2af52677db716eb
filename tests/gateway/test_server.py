"""What a server of a proxy must get right: on raw sockets."""

import asyncio
import logging
import re
import socket
import tomllib
from contextlib import asynccontextmanager
from importlib.metadata import version
from pathlib import Path
from types import SimpleNamespace

import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

from proxypal_core.gateway.guard import UNSENT, Room
from proxypal_core.gateway.heads import Headers
from proxypal_core.gateway.request import Request
from proxypal_core.gateway.server import server
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
    agents = [value for name, value in request.pairs if name == "user-agent"]
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
AGENTS = ["first/1", "second/2", "third/3"]


async def test_a_repeated_user_agent_does_not_kill_the_request():
    async with listening(echo) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for body in (b"one", b"two"):
            writer.write(post(body, *TWO_AGENTS))
            status, read = await answer(reader)

            assert status == 200
            assert jsonio.loads(read) == {"agents": AGENTS, "body": body.decode()}
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

        assert jsonio.loads(first[1])["agents"] == AGENTS
        assert jsonio.loads(first[1])["body"] == "user-agent: in the body\r\n\r\n"
        assert jsonio.loads(second[1])["body"] == "next"
        writer.close()


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
    async def unsendable(request):
        raise ValueError("sk-CANARY")

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

    assert head.startswith(b"HTTP/1.1 400 ")
    assert not re.search(rb"aiohttp|python", head, re.IGNORECASE)


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
    "trailers without end": sized(CHUNKED, body=b"2\r\n{}\r\n0\r\nX: " + b"a" * 500_000),
    "two Content-Types": sized(b"Content-Type: text/plain", b"Content-Length: 2"),
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


def test_aiohttp_is_no_older_than_its_last_known_holes():
    def parts(text):
        return tuple(map(int, text.split(".")))

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    [floor] = [row for row in project["dependencies"] if re.match("aiohttp[<>=]", row)]
    floor = re.search(r">=([\d.]+)", floor)[1]

    assert parts(floor) >= (3, 14, 3)  # CVE-2026-69243 was mended in it
    assert parts(version("aiohttp")) >= parts(floor)


# ── bodies ───────────────────────────────────────────────────────────────────────────────────

CHUNKS = b"2\r\non\r\n1\r\ne\r\n0\r\n\r\n"
UPGRADE = ("Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAEAAEAA")


def chunked(chunks, *headers):
    lines = ["POST /x HTTP/1.1", "Host: localhost", "Transfer-Encoding: chunked", *headers]
    return ("\r\n".join(lines) + "\r\n\r\n").encode() + chunks


@pytest.mark.parametrize("size", [1, 7, 10_000])
async def test_a_wish_for_another_protocol_changes_nothing(size):
    """What Java's HttpClient sends to whom it does not know."""
    message = post(b"one", *UPGRADE) + chunked(CHUNKS, *UPGRADE) + post(b"", *UPGRADE) + post(b"z")
    async with listening(echo) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for at in range(0, len(message), size):
            writer.write(message[at : at + size])
            await writer.drain()
        bodies = [jsonio.loads((await answer(reader))[1])["body"] for _ in range(4)]
        writer.close()

    assert bodies == ["one", "one", "", "z"]


async def test_who_waits_for_a_word_before_the_body_gets_it_when_the_body_is_wanted():
    async with listening(echo) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        head, body = post(b"one", "Expect: 100-continue").split(b"\r\n\r\n")
        writer.write(head + b"\r\n\r\n")
        word = await reader.readuntil(b"\r\n\r\n")
        writer.write(body)

        assert word == b"HTTP/1.1 100 Continue\r\n\r\n"
        assert jsonio.loads((await answer(reader))[1])["body"] == "one"
        writer.close()


async def test_who_is_refused_before_that_word_need_not_send_the_body():
    async def refuses(request):
        return web.json_response({}, status=403)

    async with listening(refuses) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(post(b"one", "Expect: 100-continue")[:-3])

        assert (await reader.read()).startswith(b"HTTP/1.1 403 ")
        writer.close()


async def test_a_body_that_nobody_wanted_does_not_hinder_the_next_request():
    async def first_line(request):
        return web.json_response({"target": request.target})

    async with listening(first_line) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        large = b"x" * 3_000_000
        writer.write(post(large) + post(b"next"))

        assert [(await answer(reader))[0] for _ in range(2)] == [200, 200]
        writer.close()


async def test_no_more_of_a_body_is_held_than_is_read():
    held = []

    async def reads_later(request):
        while not request.connection._paused:  # noqa: ASYNC110 — it tells nobody
            await asyncio.sleep(0)
        held.append(request.came)
        return web.json_response({"size": len(await request.read())})

    async with listening(reads_later) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(post(b"x" * 8_000_000))
        async with asyncio.timeout(5):
            _, read = await answer(reader)
        writer.close()

    assert jsonio.loads(read)["size"] == 8_000_000
    assert held[0] < 1_000_000


@given(st.lists(st.binary(min_size=1, max_size=3000), max_size=40))
def test_a_body_is_the_same_in_whatever_pieces_it_comes(pieces):
    head = {"method": "POST", "target": "/", "version": "1.1", "length": None, "keep_alive": True}
    connection = SimpleNamespace(room=Room(10**9))
    request = Request(connection, headers=Headers([]), **head)
    for piece in pieces:
        request.feed(piece)
    request.end()

    assert asyncio.run(request.read()) == b"".join(pieces)
    assert request.came == sum(map(len, pieces))


async def test_who_sends_more_requests_than_may_wait_gets_the_first_answers_and_an_end():
    async with listening(echo) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(post(b"x") * 1000)
        received = await reader.read()
        writer.close()

    assert 0 < received.count(b"HTTP/1.1 200 ") < 1000


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
