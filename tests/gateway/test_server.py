"""What aiohttp gets wrong for a proxy, put right: on raw sockets."""

import asyncio
from contextlib import asynccontextmanager

import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

from proxypal_core.gateway.server import server, without_repeated_user_agent
from proxypal_core.wire import jsonio


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
    ],
)
async def test_what_the_parser_refuses_is_not_repeated_to_anyone(message, capfd, caplog):
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
