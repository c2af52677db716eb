"""One connection: what it sends and how, how much it reads at once, and when it stops reading."""

import asyncio
import gzip

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxypal_core.upstream.connection import FIRST_READ, READ_BUFFER, Answer, Connection
from proxypal_core.wire.spliced import Spliced

HEAD = b"POST / HTTP/1.1\r\n\r\n"
WHOLE = b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n"
CHUNKED = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"


class Wire(asyncio.Transport):
    """A transport that notes what is asked of it."""

    def __init__(self):
        super().__init__()
        self.sent = []
        self.did = []
        self.aborted = False
        self.stop_after = None

    def write(self, data):
        self.writelines([data])

    def writelines(self, pieces):
        self.sent.append(b"".join(pieces))
        if self.stop_after == len(self.sent):
            self.connection.pause_writing()

    def pause_reading(self):
        self.did.append("pause")

    def resume_reading(self):
        self.did.append("resume")

    def is_closing(self):
        return self.aborted

    def abort(self):
        self.aborted = True


def connected():
    wire = Wire()
    wire.connection = Connection(wire)
    return wire, wire.connection


def comes(connection, data):
    """Have *data* come as a loop would give it; how many reads that took."""
    reads = 0
    while data:
        buffer = connection.get_buffer(-1)
        size = min(len(buffer), len(data))
        buffer[:size] = data[:size]
        connection.buffer_updated(size)
        data = data[size:]
        reads += 1
    return reads


async def asked(connection, body=b""):
    """A task that waits for the answer to *body*."""
    asking = asyncio.ensure_future(connection.ask(HEAD, body))
    await asyncio.sleep(0)
    return asking


async def body_of(connection):
    pieces = []
    while piece := await connection.read():
        pieces.append(piece)
    return b"".join(pieces)


# ── what is sent ─────────────────────────────────────────────────────────────────────────────


@given(st.lists(st.integers(0, 600_000), min_size=1, max_size=4), st.booleans())
def test_every_byte_of_a_body_is_sent_once_and_in_its_order(sizes, whole):
    pieces = [bytes([65 + at]) * size for at, size in enumerate(sizes)]
    spliced = Spliced([memoryview(piece) for piece in pieces])

    async def sent():
        wire, connection = connected()
        asking = await asked(connection, bytes(spliced) if whole else spliced)
        asking.cancel()
        return b"".join(wire.sent)

    assert asyncio.run(sent()) == HEAD + b"".join(pieces)


async def test_a_large_body_waits_for_what_went_before_to_be_on_its_way():
    wire, connection = connected()
    wire.stop_after = 1
    asking = await asked(connection, bytes(1_000_000))
    before = len(b"".join(wire.sent))
    connection.resume_writing()
    await asyncio.sleep(0)
    asking.cancel()

    assert before < 300_000
    assert len(b"".join(wire.sent)) == len(HEAD) + 1_000_000


async def test_an_answer_that_does_not_wait_for_the_body_ends_the_sending_and_the_connection():
    wire, connection = connected()
    wire.stop_after = 1
    asking = await asked(connection, bytes(1_000_000))
    comes(connection, WHOLE % 0)
    connection.resume_writing()
    await asking

    assert len(b"".join(wire.sent)) < 300_000
    assert not connection.usable


async def test_a_connection_that_still_has_to_send_is_not_used_again():
    wire, connection = connected()
    wire.stop_after = 1
    asking = await asked(connection, bytes(100_000))
    comes(connection, WHOLE % 0)
    await asking
    usable = connection.usable
    connection.resume_writing()

    assert not usable
    assert connection.usable


async def test_a_call_that_is_given_up_is_aborted():
    wire, connection = connected()
    asking = await asked(connection)
    asking.cancel()
    await asyncio.wait([asking])

    assert wire.aborted


# ── what is read ─────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("size", [0, 1, 30_000, FIRST_READ - 100])
async def test_an_answer_that_is_all_there_comes_in_one_read_and_stops_nothing(size):
    wire, connection = connected()
    asking = await asked(connection)
    reads = comes(connection, WHOLE % size + bytes(size))
    await asking
    body = await body_of(connection)

    assert reads == 1
    assert len(body) == size
    assert wire.did == []
    assert connection.usable


async def test_the_beginning_of_a_stream_that_is_awaited_stops_nothing():
    wire, connection = connected()
    asking = await asked(connection)
    comes(connection, CHUNKED + b"7530\r\n" + bytes(0x7530) + b"\r\n")
    await asking
    first = await connection.read()

    assert len(first) == 0x7530
    assert wire.did == []


async def test_a_reader_that_stands_still_holds_little_and_reads_on_later():
    wire, connection = connected()
    asking = await asked(connection)
    comes(connection, CHUNKED + b"100000\r\n" + bytes(FIRST_READ - 100))
    await asking
    await connection.read()
    at_once = comes(connection, bytes(READ_BUFFER))
    stopped = list(wire.did)
    held = len(await connection.read())

    assert at_once == 1
    assert stopped == ["pause"]
    assert held == READ_BUFFER
    assert wire.did == ["pause", "resume"]


async def test_more_that_comes_before_the_reader_has_run_stops_the_reading():
    wire, connection = connected()
    asking = await asked(connection)
    comes(connection, CHUNKED + b"100000\r\n" + bytes(FIRST_READ))
    await asking

    assert wire.did == ["pause"]


@given(st.lists(st.integers(1, 100_000), max_size=4), st.booleans())
def test_whatever_the_sizes_everything_is_read(sizes, late):
    chunks = b"".join(b"%x\r\n%b\r\n" % (size, bytes(size)) for size in sizes)

    async def read():
        wire, connection = connected()
        asking = await asked(connection)
        if late:
            comes(connection, CHUNKED + chunks + b"0\r\n\r\n")
            await asking
            body = await body_of(connection)
        else:
            comes(connection, CHUNKED)
            await asking
            reading = asyncio.ensure_future(body_of(connection))
            await asyncio.sleep(0)
            comes(connection, chunks + b"0\r\n\r\n")
            body = await reading
        return len(body), wire.did.count("pause") - wire.did.count("resume"), connection.usable

    assert asyncio.run(read()) == (sum(sizes), 0, True)


async def test_the_first_of_two_headers_of_a_name_counts():
    _, connection = connected()
    asking = await asked(connection)
    comes(connection, b"HTTP/1.1 200 OK\r\nX: 1\r\nx: 2\r\ncontent-length: 0\r\n\r\n")
    await asking

    assert Answer(connection).headers == {"x": "1", "content-length": "0"}


@pytest.mark.parametrize("framing", ["length", "chunks"])
async def test_a_body_that_has_come_is_there_without_waiting(framing):
    _, connection = connected()
    asking = await asked(connection)
    whole = (
        b"content-length: 2\r\n\r\nhi"
        if framing == "length"
        else (b"transfer-encoding: chunked\r\n\r\n1\r\nh\r\n1\r\ni\r\n0\r\n\r\n")
    )
    comes(connection, b"HTTP/1.1 200 OK\r\n" + whole[:-1])
    await asking
    answer = Answer(connection)
    early = answer.whole()
    comes(connection, whole[-1:])

    assert (early, answer.whole(), connection.usable) == (None, b"hi", True)


async def test_a_compressed_body_has_to_be_read():
    body = gzip.compress(b"hi")
    _, connection = connected()
    asking = await asked(connection)
    comes(
        connection,
        b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: %d\r\n\r\n%b"
        % (len(body), body),
    )
    await asking
    answer = Answer(connection)

    assert (answer.whole(), await answer.read()) == (None, b"hi")
