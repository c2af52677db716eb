"""The way out over HTTP: what it keeps to itself, what it survives, and how it names what it does not."""

import asyncio
import socket
import ssl
import struct
import traceback
from contextlib import asynccontextmanager

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxypal_core.hub.failure import Kind
from proxypal_core.upstream.http import HttpTransport
from proxypal_core.upstream.transport import Broken, Call
from proxypal_core.wire.spliced import Spliced
from tests.certificate import self_signed
from tests.fault_server import (
    SCENARIOS,
    CutAfter,
    FaultServer,
    Gzip,
    Raw,
    Redirect,
    Refuse,
    Reset,
    Stall,
)
from tests.fault_server.transcripts import DIALECTS

KEY = "canary-of-an-account-4711"
STREAM = b'{"model":"m","stream":true,"stream_options":{"include_usage":true},"messages":[]}'
OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
TEXT = b"".join(DIALECTS["openai-chat"].frames(SCENARIOS["text"], "m"))


@pytest.fixture
async def http():
    async with HttpTransport(connect=5) as transport:
        yield transport


def call(origin, path="/v1/chat/completions", *, method="POST", body=STREAM, **more):
    headers = {"authorization": f"Bearer {KEY}", "content-type": "application/json"}
    return Call(method, origin + path, headers | more.pop("headers", {}), body, **more)


async def body_of(reply):
    pieces = []
    try:
        while piece := await reply.read():
            pieces.append(piece)
    finally:
        reply.close()
    return b"".join(pieces)


async def failure_of(http, asked):
    """How *asked* fails, having checked that no way to print the failure shows the key."""
    with pytest.raises(Broken) as caught:
        await http.open(asked)
    assert KEY not in "".join(traceback.format_exception(caught.value))
    assert caught.value.__cause__ is None  # aiohttp's own errors hold the request's headers
    assert caught.value.__suppress_context__
    assert KEY not in repr((caught.value, caught.value.failure))
    return caught.value.failure


async def head_of(reader):
    """A request's head, its body read; empty when the client has gone."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        return b""
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            await reader.readexactly(int(line.partition(b":")[2]))
    return head


@asynccontextmanager
async def listening(serve, **options):
    """The origin of a bare server that calls *serve* with each connection's reader and writer."""

    async def accept(reader, writer):
        try:
            await serve(reader, writer)
        except ConnectionError:
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(accept, "127.0.0.1", 0, **options)
    async with server:
        host, port = server.sockets[0].getsockname()
        yield f"http://{host}:{port}"


def closed_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def reset(writer):
    """End the connection with RST, as a server does that knows nothing of it any more."""
    linger = struct.pack("ii", 1, 0)
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    writer.transport.abort()


# ── the law ──────────────────────────────────────────────────────────────────────────────────

_heads = st.sampled_from(
    [
        b"",
        b"HTTP/1.1 200 OK\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\n",
        b"HTTP/1.1 307 x\r\nlocation: ",
        b"HTTP/9.9 999 \r\n\r\n",
        b"HTTP/1.1 200 OK\r\nx: " + b"y" * 20_000 + b"\r\n\r\n",
    ]
)


@given(_heads, st.binary(max_size=200))
def test_whatever_bytes_a_server_sends_the_failure_is_a_broken_call(head, rest):
    async def serve(reader, writer):
        await head_of(reader)
        writer.write(head + rest)
        await writer.drain()

    async def ask():
        async with listening(serve) as origin, HttpTransport(connect=5) as http:
            try:
                await body_of(await http.open(call(origin)))
            except Broken as broken:
                return broken.failure.kind
        return None

    assert asyncio.run(ask()) in (None, Kind.SERVER, Kind.TRUNCATED)


# ── calls that were never placed ─────────────────────────────────────────────────────────────


async def test_a_refused_connection_is_unreachable(http):
    failure = await failure_of(http, call(f"http://127.0.0.1:{closed_port()}"))

    assert failure.kind is Kind.UNREACHABLE
    assert "no connection to 127.0.0.1" in failure.message


async def test_a_host_without_an_address_is_unreachable(http, monkeypatch):
    def nowhere(*_arguments, **_options):
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", nowhere)

    failure = await failure_of(http, call("http://provider.invalid"))

    assert failure.kind is Kind.UNREACHABLE
    assert "'provider.invalid' has no address" in failure.message


async def test_the_time_to_connect_includes_the_search_for_the_address(monkeypatch):
    async def never(*_arguments, **_options):
        await asyncio.Event().wait()

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", never)

    async with HttpTransport(connect=0.01) as http:
        failure = await failure_of(http, call("http://provider.invalid"))

    assert failure.kind is Kind.UNREACHABLE
    assert "took too long" in failure.message


async def test_a_certificate_that_nobody_vouches_for_is_not_accepted(http, tmp_path):
    heads = []

    async def serve(reader, writer):
        heads.append(await head_of(reader))

    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(*self_signed(tmp_path))
    async with listening(serve, ssl=context) as origin:
        failure = await failure_of(http, call(origin.replace("http:", "https:")))

    assert failure.kind is Kind.UNREACHABLE
    assert "was not accepted: self-signed certificate" in failure.message
    assert heads == []


async def test_a_server_without_tls_gets_no_key(http):
    received = []

    async def serve(reader, writer):
        received.append(await reader.read(1024))
        writer.write(b"HTTP/1.1 400 what?\r\n\r\n")

    async with listening(serve) as origin:
        failure = await failure_of(http, call(origin.replace("http:", "https:")))

    assert failure.kind is Kind.UNREACHABLE
    assert "no TLS connection" in failure.message
    assert KEY.encode() not in received[0]


@pytest.mark.parametrize("address", ["http://", "http://[::1", "http://a b:x"])
async def test_an_address_that_is_none_is_unreachable(http, address):
    assert (await failure_of(http, call(address))).kind is Kind.UNREACHABLE


async def test_a_key_with_a_line_break_is_not_sent(http, fault_server):
    broken = {"authorization": f"Bearer {KEY}\r\nx-more: 1"}

    failure = await failure_of(http, call(fault_server.origin, headers=broken))

    assert failure.kind is Kind.UNREACHABLE
    assert fault_server.requests == []


# ── calls that may have been billed ──────────────────────────────────────────────────────────


@pytest.mark.parametrize("hangs_up", [Refuse(), Refuse(reset=True)])
async def test_a_call_that_breaks_on_a_fresh_connection_is_neither_repeated_nor_unreachable(
    http, fault_server, hangs_up
):
    fault_server.script(hangs_up)

    failure = await failure_of(http, call(fault_server.origin))

    assert failure.kind is Kind.SERVER
    assert len(fault_server.requests) == 1


@pytest.mark.parametrize("cut", [CutAfter(frames=2), Reset(frames=2)])
async def test_an_answer_that_breaks_off_gives_what_came_and_then_says_so(http, fault_server, cut):
    fault_server.script(cut)
    reply = await http.open(call(fault_server.origin))

    with pytest.raises(Broken) as caught:
        await body_of(reply)

    assert caught.value.failure.kind is Kind.TRUNCATED
    assert len(fault_server.requests) == 1
    assert KEY not in repr(caught.value)


async def test_what_is_not_in_its_declared_encoding_breaks_off(http, fault_server):
    gzip = {"content-type": "text/event-stream", "content-encoding": "gzip"}
    fault_server.script(Raw(200, gzip, [b"not compressed at all"]))
    reply = await http.open(call(fault_server.origin))

    with pytest.raises(Broken):
        await body_of(reply)


async def test_a_compressed_answer_is_read_though_none_was_asked_for(http, fault_server):
    fault_server.script(Gzip())

    reply = await http.open(call(fault_server.origin))

    assert await body_of(reply) == TEXT
    assert fault_server.requests[0].headers["accept-encoding"] == "identity"


# ── what is kept from whom ───────────────────────────────────────────────────────────────────


async def test_a_redirect_is_an_answer_and_the_key_stays_here(http, fault_server):
    async with FaultServer() as other:
        fault_server.script(Redirect(f"{other.origin}/v1/chat/completions"))

        reply = await http.open(call(fault_server.origin))
        await body_of(reply)

        assert reply.status == 307
        assert other.requests == []


async def test_no_cookie_goes_from_one_call_to_the_next(http, fault_server):
    fault_server.script(Raw(200, {"set-cookie": "who=account-1; Path=/"}, [b"{}"]))
    await body_of(await http.open(call(fault_server.origin)))

    await body_of(await http.open(call(fault_server.origin)))

    assert "cookie" not in fault_server.requests[1].headers


async def test_the_environment_s_proxies_are_not_used(http, fault_server, monkeypatch):
    for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{closed_port()}")

    reply = await http.open(call(fault_server.origin))

    assert await body_of(reply) == TEXT


async def test_only_the_headers_of_the_call_are_sent(http, fault_server):
    await body_of(await http.open(call(fault_server.origin)))

    names = {name.lower() for name, _ in fault_server.requests[0].raw_headers}
    assert names == {"host", "authorization", "content-type", "content-length", "accept-encoding"}


async def test_the_names_of_an_answer_s_headers_are_lower_case(http, fault_server):
    fault_server.script(Raw(200, {"X-Some-Header": "Value"}, [b"{}"]))

    reply = await http.open(call(fault_server.origin))

    assert ("x-some-header", "Value") in reply.headers.items()


def test_a_printed_call_shows_neither_headers_nor_query_nor_body():
    asked = call("https://api.example", f"/v1?key={KEY}", body=KEY.encode())

    assert KEY not in f"{asked!r} {asked}"
    assert "POST https://api.example/v1" in repr(asked)


# ── connections ──────────────────────────────────────────────────────────────────────────────


async def test_three_hundred_streams_do_not_wait_for_one_another(http, fault_server):
    fault_server.always(Stall(frames=1))

    replies = await asyncio.gather(*(http.open(call(fault_server.origin)) for _ in range(300)))
    first = await asyncio.gather(*(reply.read() for reply in replies))
    together = fault_server.open_streams
    fault_server.release()
    rest = await asyncio.gather(*(body_of(reply) for reply in replies))

    assert together == 300
    assert {a + b for a, b in zip(first, rest, strict=True)} == {TEXT}


@pytest.mark.parametrize("size", [10, 100_000, 1_000_000])
async def test_a_body_in_pieces_arrives_as_one(http, size):
    text = bytes(range(32, 127)) * (size // 95)
    body = Spliced([memoryview(text)[:5], b"new", memoryview(text)[9:]])
    received = []

    async def serve(reader, writer):
        while head := await reader.readuntil(b"\r\n\r\n"):
            length = int(head.partition(b"content-length: ")[2].partition(b"\r")[0])
            received.append(await reader.readexactly(length))
            writer.write(OK)

    async with listening(serve) as origin:
        for _ in range(2):
            assert await body_of(await http.open(call(origin, body=body))) == b"ok"

    assert received == [text[:5] + b"new" + text[9:]] * 2


async def test_an_answer_that_was_read_gives_its_connection_back(http, fault_server):
    for _ in range(3):
        await body_of(await http.open(call(fault_server.origin)))

    assert len({request.connection for request in fault_server.requests}) == 1


async def test_an_answer_that_was_not_read_is_cut(http, fault_server):
    fault_server.script(Stall(frames=1))
    reply = await http.open(call(fault_server.origin))
    await reply.read()

    reply.close()

    await fault_server.requests[0].closed.wait()


async def test_a_call_that_is_given_up_closes_its_connection(http, fault_server):
    fault_server.script(Stall())
    opening = asyncio.ensure_future(http.open(call(fault_server.origin)))
    await fault_server.until(lambda: any(r.stalled for r in fault_server.requests))

    opening.cancel()

    await fault_server.requests[0].closed.wait()
    with pytest.raises(asyncio.CancelledError):
        await opening


async def _close_after_the_answer(reader, writer):
    await head_of(reader)
    writer.write(OK)


async def _close_when_asked_again(reader, writer):
    await head_of(reader)
    writer.write(OK)
    await head_of(reader)


async def _reset_when_asked_again(reader, writer):
    await _close_when_asked_again(reader, writer)
    reset(writer)


@pytest.mark.parametrize(
    "serve", [_close_after_the_answer, _close_when_asked_again, _reset_when_asked_again]
)
async def test_a_kept_connection_that_has_gone_stale_is_no_error(http, serve):
    async with listening(serve) as origin:
        answers = [await body_of(await http.open(call(origin, body=b"{}"))) for _ in range(200)]

    assert answers == [b"ok"] * 200


async def test_a_stale_connection_is_replaced_once_and_not_again(http):
    heads = []

    async def serve(reader, writer):
        while head := await head_of(reader):
            heads.append(head)
            if len(heads) > 1:
                return
            writer.write(OK)

    async with listening(serve) as origin:
        await body_of(await http.open(call(origin)))
        failure = await failure_of(http, call(origin))

    assert failure.kind is Kind.SERVER
    assert len(heads) == 3


async def test_a_kept_connection_that_breaks_inside_an_answer_s_head_is_not_repeated(http):
    heads = []

    async def serve(reader, writer):
        heads.append(await head_of(reader))
        writer.write(OK)
        heads.append(await head_of(reader))
        writer.write(b"HTTP/1.1 200 OK\r\nx-half: ")

    async with listening(serve) as origin:
        await body_of(await http.open(call(origin)))
        failure = await failure_of(http, call(origin))

    assert failure.kind is Kind.SERVER
    assert len(heads) == 2
