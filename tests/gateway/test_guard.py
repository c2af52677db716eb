"""Slow clients, many connections and large bodies are bounded; everybody else notices nothing."""

import asyncio
import gzip
import zlib
from contextlib import asynccontextmanager, nullcontext

import aiohttp
import msgspec
import pytest
from aiohttp import web
from backports import zstd
from hypothesis import given
from hypothesis import strategies as st

from proxypal_core.gateway.guard import Limits, Room, check_encoding
from proxypal_core.gateway.request import TooLarge
from proxypal_core.gateway.server import server
from proxypal_core.hub.failure import Kind, Refused
from tests.gateway.asking import question, read
from tests.proxy import proxy

SHORT = Limits(head=0.05, body_grace=0.05, stalled=0.05, sweep=0.01)
HEAD = b"POST /x HTTP/1.1\r\nHost: localhost\r\n"


class Guarded:
    """A server on a port, and the errors that its handler's reading ended in."""

    def __init__(self, port, guarded):
        self.port = port
        self.server = guarded
        self.ended = []
        self._writers = []

    async def connect(self, sent=b""):
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        self._writers.append(writer)
        writer.write(sent)
        return reader, writer

    def hang_up(self):
        for writer in self._writers:
            writer.transport.abort()


@asynccontextmanager
async def guarded(limits=SHORT, handler=None, pressed=None):
    async def reads(request):
        try:
            body = await request.read()
        except BaseException as error:
            here.ended.append(error)
            raise
        return web.Response(body=b"%d" % len(body))

    made = server(handler or reads, limits, pressed)
    runner = web.ServerRunner(made)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    here = Guarded(runner.addresses[0][1], made)
    try:
        async with asyncio.timeout(20):
            yield here
    finally:
        here.hang_up()
        await runner.cleanup()


async def until(done):
    while not done():  # noqa: ASYNC110 — nobody tells
        await asyncio.sleep(0)


async def closed(reader):
    """What came before the end."""
    try:
        return await reader.read()
    except ConnectionResetError:
        return b""


# ── time ─────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("sent", [b"", b"GET", b"GET / HTTP/1.1\r\nHost: localhost\r\nX: "])
async def test_a_head_that_does_not_end_is_cut(sent):
    async with guarded() as here:
        reader, _ = await here.connect(sent)

        assert await closed(reader) == b""


async def test_a_head_that_dribbles_is_cut_all_the_same():
    async with guarded(msgspec.structs.replace(SHORT, head=0.3)) as here:
        reader, writer = await here.connect(HEAD)
        ending = asyncio.ensure_future(closed(reader))
        sent = 0
        while not ending.done():
            writer.write(b"X: y\r\n")
            sent += 1
            await asyncio.wait([ending], timeout=0.01)

    assert sent > 1


async def test_a_second_head_has_its_own_time():
    idle = msgspec.structs.replace(SHORT, head=0.2)
    async with guarded(idle) as here:
        reader, writer = await here.connect(HEAD + b"\r\n")
        await reader.readuntil(b"\r\n\r\n0")
        with pytest.raises(TimeoutError):  # a connection that is only kept alive is not cut
            async with asyncio.timeout(0.4):
                await reader.read(1)
        writer.write(HEAD)

        assert await closed(reader) == b""


@pytest.mark.parametrize("kind", [b"Content-Length: 100", b"Transfer-Encoding: chunked"])
async def test_a_body_that_does_not_come_is_cut_and_its_handler_told(kind):
    async with guarded() as here:
        reader, _ = await here.connect(HEAD + kind + b"\r\n\r\n2\r\nxx\r\n")
        await closed(reader)

    [error] = here.ended
    assert isinstance(error, asyncio.CancelledError | ConnectionError)


async def test_a_body_that_comes_fast_enough_is_not_cut():
    fast = msgspec.structs.replace(SHORT, body_rate=100)
    async with guarded(fast) as here:
        reader, writer = await here.connect(HEAD + b"Content-Length: 400\r\n\r\n")
        for _ in range(20):  # 400 bytes earn four seconds
            writer.write(b"x" * 20)
            await asyncio.wait([asyncio.ensure_future(asyncio.Event().wait())], timeout=0.01)

        assert b"400" in await reader.readuntil(b"\r\n\r\n400")


async def test_a_client_that_takes_nothing_is_cut():
    gone = asyncio.Event()

    async def pours(request):
        response = request.stream([])
        try:
            while True:
                await response.write(b"x" * 65536)
        finally:
            gone.set()

    async with guarded(handler=pours) as here:
        _, writer = await here.connect(HEAD + b"\r\n")
        writer.transport.pause_reading()
        await gone.wait()
        writer.transport.abort()

    assert gone.is_set()


async def test_an_answer_may_take_longer_than_any_limit():
    async def thinks(request):
        await asyncio.wait([asyncio.ensure_future(asyncio.Event().wait())], timeout=0.3)
        return web.Response(body=b"thought")

    async with guarded(handler=thinks) as here:
        reader, _ = await here.connect(HEAD + b"\r\n" + HEAD)  # and half of the next

        assert (await reader.readuntil(b"thought")).startswith(b"HTTP/1.1 200")


async def test_nothing_is_swept_when_nobody_is_connected():
    async with guarded() as here:
        reader, _ = await here.connect()
        await closed(reader)
        await until(lambda: not here.server._sweeping)

        assert not here.server.connections


async def test_pipelined_requests_are_all_answered():
    async with guarded() as here:
        reader, _ = await here.connect((HEAD + b"Content-Length: 1\r\n\r\nx") * 100)

        for _ in range(100):
            await reader.readuntil(b"\r\n\r\n1")


# ── connections ──────────────────────────────────────────────────────────────────────────────


async def test_more_connections_than_allowed_are_told_so_at_once():
    patient = Limits(connections=3)
    async with guarded(patient) as here:
        kept = [await here.connect(HEAD + b"\r\n") for _ in range(3)]
        for reader, _ in kept:
            await reader.readuntil(b"\r\n\r\n0")
        refused, _ = await here.connect()

        answer = await closed(refused)

        assert answer.startswith(b"HTTP/1.1 503 ")
        assert b"retry-after: 1\r\n" in answer
        kept[0][1].close()
        await until(lambda: len(here.server.connections) < 3)
        reader, _ = await here.connect(HEAD + b"\r\n")
        assert b"200" in await reader.readline()


# ── bodies ───────────────────────────────────────────────────────────────────────────────────


@given(
    st.integers(1, 1000),
    st.lists(st.tuples(st.booleans(), st.integers(1, 400)), max_size=40),
    st.booleans(),
)
def test_no_more_is_held_than_there_is_room_for(most, steps, pressed):
    room, taken = Room(most), []
    room.pressed = pressed
    for takes, size in steps:
        if takes:
            fits = not taken or sum(taken) + size <= (most // 16 if pressed else most)
            with nullcontext() if fits else pytest.raises(Refused):
                room.take(size)
            taken += [size] * fits
        elif taken:
            room.give_back(taken.pop())

        assert room.held == sum(taken)
        assert room.held <= most or len(taken) == 1


async def test_a_body_is_refused_before_it_is_read_when_there_is_no_room():
    async with guarded(Limits(bodies=1000)) as here:
        held, _ = await here.connect(HEAD + b"Content-Length: 600\r\n\r\n" + b"x" * 500)
        await until(lambda: here.server.room.held == 500)
        await here.connect(HEAD + b"Content-Length: 600\r\n\r\n")
        await until(lambda: here.ended)

    assert here.ended[0].failure.kind is Kind.OVERLOADED
    assert held is not None


async def test_room_is_given_back_with_the_answer():
    async with guarded() as here:
        for _ in range(3):
            reader, _ = await here.connect(HEAD + b"Content-Length: 4\r\n\r\nbody")
            await reader.readuntil(b"\r\n\r\n4")

        assert here.server.room.held == 0


async def test_room_is_given_back_when_the_client_goes():
    async with guarded(Limits()) as here:
        _, writer = await here.connect(HEAD + b"Content-Length: 9\r\n\r\nbody")
        await until(lambda: here.server.room.held)
        writer.close()
        await until(lambda: not here.server.room.held)

        assert here.ended


async def test_who_asks_for_memory_that_runs_short_is_told_so():
    limits = msgspec.structs.replace(SHORT, bodies=160, head=60, body_grace=60)
    async with guarded(limits, pressed=lambda: True) as here:
        await here.connect(HEAD + b"Content-Length: 10\r\n\r\n" + b"x" * 9)
        await until(lambda: here.server.room.pressed)
        await here.connect(HEAD + b"Content-Length: 5\r\n\r\n")
        await until(lambda: here.ended)

    assert here.ended[0].failure.retry_after == 1.0


PACKED = {"gzip": gzip.compress, "deflate": zlib.compress, "zstd": zstd.compress}


@pytest.mark.parametrize("encoding", PACKED)
async def test_a_body_that_grows_like_a_bomb_is_not_inflated_to_its_end(encoding):
    limits = Limits(inflated=1_000_000, ratio=50)
    bomb = PACKED[encoding](bytes(10_000_000))
    head = HEAD + b"Content-Encoding: %s\r\nContent-Length: %d\r\n\r\n"
    async with guarded(limits) as here:
        reader, _ = await here.connect(head % (encoding.encode(), len(bomb)) + bomb)
        assert b"413" in await reader.readline()

    [error] = here.ended
    assert isinstance(error, TooLarge)
    assert here.server.room.held == 0


@pytest.mark.parametrize("encoding", PACKED)
async def test_a_body_that_grows_little_may_grow_past_where_bombs_are_looked_for(encoding):
    limits = Limits(inflated=10, ratio=50)
    body = PACKED[encoding](bytes(range(256)) * 4)
    head = HEAD + b"Content-Encoding: %s\r\nContent-Length: %d\r\n\r\n"
    async with guarded(limits) as here:
        reader, _ = await here.connect(head % (encoding.encode(), len(body)) + body)

        await reader.readuntil(b"\r\n\r\n1024")


@given(st.sampled_from(["", "identity", "gzip", "GZIP ", "deflate", "zstd"]))
def test_known_encodings_are_read(value):
    check_encoding(value)


@given(
    st.text(max_size=20).filter(
        lambda t: t.strip().lower() not in ("", "identity", "gzip", "deflate", "zstd")
    )
)
def test_other_encodings_are_not(value):
    with pytest.raises(Refused) as refused:
        check_encoding(value)

    assert refused.value.failure.kind is Kind.MEDIA_TYPE


# ── in a client's own words ──────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("dialect", "status"),
    [("openai-chat", 503), ("openai-responses", 503), ("anthropic", 529), ("gemini", 503)],
)
async def test_a_lack_of_room_is_told_in_the_clients_dialect(dialect, status, monkeypatch):
    def full(room, size):
        room.held, room.most = 1, 0
        check(room, 1)

    check = Room.check
    monkeypatch.setattr(Room, "check", full)
    async with proxy() as running:
        got, headers, body = await _post(running, dialect, {})

    assert (got, headers["retry-after"], headers["x-should-retry"]) == (status, "1", "true")
    assert b"memory" in body


@pytest.mark.parametrize("encoding", ["br", "compress", "gzip, gzip"])
@pytest.mark.parametrize("dialect", ["openai-chat", "anthropic", "gemini"])
async def test_an_unknown_encoding_is_told_what_is_known(dialect, encoding):
    async with proxy() as running:
        status, _, body = await _post(running, dialect, {"content-encoding": encoding})

    assert status == 415
    assert b"gzip, deflate, zstd or none" in body


async def test_a_damaged_body_is_the_clients_fault(caplog):
    async with proxy() as running:
        status, _, body = await _post(running, "anthropic", {"content-encoding": "gzip"})

    assert status == 400
    assert b"damaged" in body
    assert not [record for record in caplog.records if record.levelname == "ERROR"]


async def _post(running, dialect, headers):
    path, body = question(dialect, "demo/echo", stream=False)
    async with (
        aiohttp.ClientSession() as session,
        session.post(
            running.url + path,
            data=str(body).encode(),
            headers={"content-type": "application/json", **headers},
        ) as answer,
    ):
        return answer.status, answer.headers, (await read(answer))[0]
