"""What the server does with a request: one small class for each way to answer or to fail.

A place in an answer is told in ``frames`` (whole events of the stream) or in ``bytes``, both counted
from the beginning of the body. An answer that is not a stream counts as one frame.
"""

import json
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

from tests.fault_server import errors
from tests.fault_server.exchange import Exchange
from tests.fault_server.transcripts import Scenario

JSON = "application/json; charset=utf-8"


class Step(Protocol):
    async def play(self, exchange: Exchange, /) -> None: ...


@dataclass(frozen=True)
class Answer:
    """A good answer, streamed if the request asks for a stream."""

    scenario: str | Scenario = "text"

    async def play(self, exchange: Exchange) -> None:
        frames = exchange.frames(self.scenario)
        if not exchange.streaming:
            await _send(exchange, 200, exchange.content_type, frames[0])
            return
        await exchange.begin(200, {"Content-Type": exchange.content_type})
        for frame in frames:
            await exchange.write(frame)
        await exchange.finish()


@dataclass(frozen=True)
class Whole:
    """The answer as one JSON document, even if a stream was asked for."""

    scenario: str | Scenario = "text"

    async def play(self, exchange: Exchange) -> None:
        await _send(exchange, 200, JSON, exchange.whole(self.scenario))


@dataclass(frozen=True)
class Refuse:
    """The connection is closed, or reset, without a byte of an answer."""

    reset: bool = False

    async def play(self, exchange: Exchange) -> None:
        if self.reset:
            await exchange.reset()
        else:
            exchange.hang_up()


@dataclass(frozen=True)
class Status:
    """The vendor's own error. *body* and *headers* replace or add to what is usual."""

    status: int
    retry_after: float | None = None
    body: object | None = None
    headers: Mapping[str, str] = field(default_factory=dict)

    async def play(self, exchange: Exchange) -> None:
        dialect = exchange.request.dialect
        body = self.body
        if body is None:
            body = errors.body(dialect, self.status, self.retry_after)
        usual = errors.headers(dialect, self.status, self.retry_after)
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        await _send(exchange, self.status, JSON, raw, {**usual, **self.headers})


@dataclass(frozen=True)
class CutAfter:
    """The connection is closed inside a chunk of the body: the reader can tell that some is missing."""

    frames: int | None = None
    bytes: int | None = None
    scenario: str | Scenario = "text"

    async def play(self, exchange: Exchange) -> None:
        await _begin_up_to(exchange, self.scenario, self.frames, self.bytes)
        exchange.hang_up()


@dataclass(frozen=True)
class CleanEndAfter:
    """The body ends early but in order, as if that had been all."""

    frames: int | None = None
    bytes: int | None = None
    scenario: str | Scenario = "text"

    async def play(self, exchange: Exchange) -> None:
        await _begin_up_to(exchange, self.scenario, self.frames, self.bytes)
        await exchange.finish()


@dataclass(frozen=True)
class Reset:
    """The connection is reset (RST), after part of the body."""

    frames: int | None = None
    bytes: int | None = None
    scenario: str | Scenario = "text"

    async def play(self, exchange: Exchange) -> None:
        await _begin_up_to(exchange, self.scenario, self.frames, self.bytes)
        await exchange.reset()


@dataclass(frozen=True)
class Stall:
    """Silence until ``release``: after *frames* of the answer, which then goes on, or (None) before
    anything was said, after which *then* is played.
    """

    frames: int | None = None
    scenario: str | Scenario = "text"
    then: Step | None = None

    async def play(self, exchange: Exchange) -> None:
        if self.frames is None:
            await exchange.stall()
            await (self.then or Answer(self.scenario)).play(exchange)
            return
        rest = await _begin_up_to(exchange, self.scenario, self.frames, None)
        await exchange.stall()
        for frame in rest:
            await exchange.write(frame)
        await exchange.finish()


@dataclass(frozen=True)
class ErrorInside:
    """The stream begins well; after *frames* comes the vendor's error event, or *event*."""

    frames: int = 0
    status: int = 503
    event: bytes | None = None
    scenario: str | Scenario = "text"

    async def play(self, exchange: Exchange) -> None:
        await _begin_up_to(exchange, self.scenario, self.frames, None)
        dialect = exchange.request.dialect
        await exchange.write(self.event or errors.event(dialect, self.status, self.frames))
        await exchange.finish()


@dataclass(frozen=True)
class JsonErrorInside:
    """200, but the body is an error, and JSON even if a stream was asked for."""

    status: int = 503

    async def play(self, exchange: Exchange) -> None:
        body = errors.body(exchange.request.dialect, self.status)
        await _send(exchange, 200, JSON, json.dumps(body).encode())


@dataclass(frozen=True)
class Empty:
    """200, and nothing."""

    async def play(self, exchange: Exchange) -> None:
        await exchange.begin(200, {"Content-Type": exchange.content_type})
        await exchange.finish()


@dataclass(frozen=True)
class Split:
    """A good answer in pieces that have nothing to do with its events, each sent on its own.

    *sizes* are used over and over; ``Split(every=1)`` sends single bytes.
    """

    sizes: Sequence[int] = ()
    every: int = 1
    scenario: str | Scenario = "text"

    async def play(self, exchange: Exchange) -> None:
        await exchange.begin(200, {"Content-Type": exchange.content_type})
        body = b"".join(exchange.frames(self.scenario))
        sizes = self.sizes or [self.every]
        at = turn = 0
        while at < len(body):
            end = at + sizes[turn % len(sizes)]
            await exchange.write(body[at:end])
            at, turn = end, turn + 1
        await exchange.finish()


@dataclass(frozen=True)
class Malformed:
    """After *frames* comes an event whose data is not JSON; then the answer goes on."""

    frames: int = 0
    scenario: str | Scenario = "text"

    async def play(self, exchange: Exchange) -> None:
        rest = await _begin_up_to(exchange, self.scenario, self.frames, None)
        await exchange.write(_broken(rest[0] if rest else b"data: {}\n\n"))
        for frame in rest[1:]:
            await exchange.write(frame)
        await exchange.finish()


@dataclass(frozen=True)
class Redirect:
    to: str
    status: int = 307

    async def play(self, exchange: Exchange) -> None:
        await _send(exchange, self.status, "text/plain", b"", {"Location": self.to})


@dataclass(frozen=True)
class Gzip:
    """A good answer, compressed (each event flushed), whether or not the client accepts that."""

    scenario: str | Scenario = "text"

    async def play(self, exchange: Exchange) -> None:
        headers = {"Content-Type": exchange.content_type, "Content-Encoding": "gzip"}
        await exchange.begin(200, headers)
        packer = zlib.compressobj(wbits=31)
        for frame in exchange.frames(self.scenario):
            await exchange.write(packer.compress(frame) + packer.flush(zlib.Z_SYNC_FLUSH))
        await exchange.write(packer.flush())
        await exchange.finish()


@dataclass(frozen=True)
class Html:
    """What a proxy in front of the vendor says."""

    status: int = 502

    async def play(self, exchange: Exchange) -> None:
        page = b"<html><head><title>Bad gateway</title></head><body><h1>Oh no</h1></body></html>"
        await _send(exchange, self.status, "text/html", page)


@dataclass(frozen=True)
class Raw:
    """Exactly these headers and chunks. With a Content-Length among the headers the chunks are the
    body as it is, otherwise each is a chunk of the transfer encoding.
    """

    status: int
    headers: Mapping[str, str]
    chunks: Sequence[bytes]

    async def play(self, exchange: Exchange) -> None:
        await exchange.begin(self.status, self.headers)
        for chunk in self.chunks:
            await exchange.write(chunk)
        await exchange.finish()


@dataclass(frozen=True)
class Wire:
    """Exactly these bytes, the status line among them, and then *end*. It must be told to the reader,
    or be plain from *end*, where the answer ends: nothing is added.
    """

    pieces: Sequence[bytes]
    end: Literal["close", "reset", "stall"] = "close"

    async def play(self, exchange: Exchange) -> None:
        for piece in self.pieces:
            await exchange.send(piece)
        match self.end:
            case "close":
                exchange.hang_up()
            case "reset":
                await exchange.reset()
            case "stall":
                await exchange.stall()
                exchange.hang_up()


async def _send(
    exchange: Exchange,
    status: int,
    content_type: str,
    body: bytes,
    headers: Mapping[str, str] | None = None,
) -> None:
    usual = {"Content-Type": content_type, "Content-Length": str(len(body))}
    await exchange.begin(status, {**usual, **(headers or {})})
    if body:
        await exchange.write(body)
    await exchange.finish()


async def _begin_up_to(
    exchange: Exchange, scenario: str | Scenario, frames: int | None, size: int | None
) -> list[bytes]:
    """Send the answer up to a place, and tell what would come after it."""
    events = exchange.frames(scenario)
    if frames is not None:
        sent, rest = events[:frames], events[frames:]
    else:
        body = b"".join(events)
        cut = 0 if size is None else size
        sent, rest = [body[:cut]] if cut else [], [body[cut:]]
    await exchange.begin(200, {"Content-Type": exchange.content_type})
    for event in sent:
        await exchange.write(event)
    return rest


def _broken(event: bytes) -> bytes:
    """*event* with the end of its data lost, and its own line ends kept."""
    head, data, tail = event.partition(b"data: ")
    if not data:
        return event[: len(event) // 2]
    value = tail.rstrip()
    return head + data + value[: max(1, len(value) // 2)] + tail[len(value) :]
