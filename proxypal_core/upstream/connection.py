"""One HTTP/1.1 connection to a provider, which carries one call at a time.

llhttp (httptools) reads what comes, and nothing stands between it and whoever waits for the answer:
no task, no stream object, no copy for each chunk of the transfer encoding. docs/performance.md says
what that is worth.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from typing import TypeAlias

import httptools

from proxypal_core.hub.failure import Kind
from proxypal_core.upstream.transport import Broken
from proxypal_core.wire.inflate import Inflating
from proxypal_core.wire.spliced import Spliced

READ_BUFFER = 16 * 1024
"""Bytes held for a reader that is slower than the provider; then nothing more is read."""
FIRST_READ = 32 * 1024
"""Bytes that one read may bring while less than ``READ_BUFFER`` has come: most answers are all there.
Twice as many would double what a thousand readers that stand still keep.
"""
HEAD_LIMIT = 128 * 1024
"""Bytes of an answer's status line and headers."""
_SMALL = 16 * 1024
"""Bytes of a body that cost less to copy than to be sent beside the head."""
_BATCH = 256 * 1024
"""A body is sent so much at a time, when what went before is on its way."""
_BODILESS = (204, 304)
_COMPRESSED = ("gzip", "x-gzip", "deflate")


Take: TypeAlias = Callable[[bytes], bool]
"""Takes what has come; whether it wants more of it."""
Pour: TypeAlias = Callable[[Take], Awaitable[None]]


class Lost(Exception):
    """The connection ended before the answer's head was there; ``answered``: some of it was."""

    def __init__(self, *, answered: bool) -> None:
        super().__init__()
        self.answered = answered


class NotHTTP(Exception):
    """What came is no answer."""


_first_read = memoryview(bytearray(FIRST_READ))
"""Where every connection's bytes come in; they are parsed before the next ones can."""
_read = _first_read[:READ_BUFFER]


class Connection(asyncio.BufferedProtocol):
    """*transport*, connected. *keep* is kept as long as it is."""

    def __init__(self, transport: asyncio.Transport, keep: object = None) -> None:
        self.transport = transport
        self.idle_since = 0.0
        self.status = 0
        """Of the answer, whose head has come; 0 before."""
        self.headers: dict[str, str] = {}
        """Of the same answer; the first of each name."""
        self._loop = asyncio.get_running_loop()
        self.lost = self._loop.create_future()
        """Done when the connection has ended."""
        self._keep = keep
        self._parser = httptools.HttpResponseParser(self)
        self._waiter: asyncio.Future[None] | None = None
        self._writable: asyncio.Future[None] | None = None
        self._take: Take | None = None
        self._refused: Exception | None = None
        self._paused = False
        self._may_write = True
        self._begin(expecting=False)

    def _begin(self, *, expecting: bool) -> None:
        self._expecting = expecting
        self._came = 0
        self.headers = {}
        self.status = 0
        self._interim = False
        self._until_eof = False
        self._ended = False
        self._stays = False
        self._unsent = False
        self._error: Exception | None = None
        self._pieces: list[bytes] = []
        self._size = 0

    # ── what the call does ───────────────────────────────────────────────────────────────────

    @property
    def usable(self) -> bool:
        """Whether another call may be sent: the last answer was read, and the provider agrees."""
        return (
            self._ended
            and not self._unsent
            and self._may_write
            and not self._pieces
            and self._error is None
            and self._stays
            and not self.transport.is_closing()
        )

    @property
    def idle(self) -> bool:
        """Whether it is still as it was when it was last ``usable``."""
        return self._error is None and not self.transport.is_closing()

    async def ask(self, head: bytes, body: bytes | Spliced) -> None:
        """Send a request; returns when the head of its answer has come. What is given up is aborted.

        Raises:
            Lost, NotHTTP: there is none.
        """
        self._begin(expecting=True)
        try:
            if len(body) <= _SMALL:
                self.transport.write(head + bytes(body))
            elif isinstance(body, Spliced):
                await self._send(head, *body.pieces)
            else:
                await self._send(head, body)
            while not self.status:
                self._check()
                await self._next()
        except BaseException:
            self.abort()
            raise

    def _check(self) -> None:
        if self._error is not None:
            raise self._error

    async def _send(self, *pieces: bytes | memoryview) -> None:
        for batch in _batches(pieces):
            if not self._may_write:
                self._writable = self._loop.create_future()
                await self._writable
            if self._came or self._error is not None:
                self._unsent = True  # an answer that does not wait for the body: a refusal
                return
            self.transport.writelines(batch)

    async def read(self) -> bytes:
        """The next bytes of the answer's body, as many as have come; empty at its end.

        Raises:
            Broken: it broke off.
        """
        while not self._pieces:
            if self._ended:
                return b""
            if self._error is not None:
                raise Broken(
                    Kind.TRUNCATED,
                    f"the provider's answer broke off ({type(self._error).__name__})",
                )
            await self._next()
        data = self._taken()
        if self._paused:
            self._paused = False
            self.transport.resume_reading()
        return data

    def whole(self) -> bytes | None:
        """The rest of the answer's body, if all of it has come."""
        if not self._ended or self._paused:
            return None
        return self._taken()

    async def pour(self, take: Take) -> None:
        """Give *take* what comes as soon as it comes, until it wants no more, or there is no more; the
        rest is for ``read``.
        """
        if self._pieces or self._ended or self._error is not None:
            return
        self._take = take
        try:
            await self._next()
        finally:
            self._take = None
        if self._refused is not None:
            refused, self._refused = self._refused, None
            raise refused

    def _pours(self) -> bool:
        """Whether what has come was taken, and more is wanted."""
        if self._take is None or self._ended or self._error is not None:
            return False
        try:
            return not self._pieces or self._take(self._taken())
        except Exception as error:  # noqa: BLE001 — it belongs to the task that waits
            self._refused = error
            return False

    def _taken(self) -> bytes:
        data = self._pieces[0] if len(self._pieces) == 1 else b"".join(self._pieces)
        self._pieces.clear()
        self._size = 0
        return data

    def abort(self) -> None:
        self._pieces.clear()  # the parser and we know each other: nothing else would free them at once
        self.transport.abort()

    def _next(self) -> asyncio.Future[None]:
        """Done when there is something new to look at."""
        self._waiter = self._loop.create_future()
        return self._waiter

    def _wake(self) -> None:
        waiter, self._waiter = self._waiter, None
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    # ── what the socket says ─────────────────────────────────────────────────────────────────

    def get_buffer(self, sizehint: int) -> memoryview:
        return _first_read if self._came < READ_BUFFER else _read

    def buffer_updated(self, nbytes: int) -> None:
        if not self._expecting:
            self._fail(NotHTTP())
            return
        self._came += nbytes
        waited = self._waiter is not None
        try:
            self._parser.feed_data(_first_read[:nbytes])
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            self._fail(NotHTTP())
            return
        if not self.status and self._came > HEAD_LIMIT:
            self._fail(NotHTTP())
        if (self.status or self._error) and not self._pours():
            self._wake()
        if self._size >= READ_BUFFER and not waited:  # who waited takes it at once
            self._pause()

    def _pause(self) -> None:
        if not (self._ended or self._paused or self.transport.is_closing()):
            self._paused = True
            self.transport.pause_reading()

    def eof_received(self) -> None:
        """Close."""

    def connection_lost(self, error: Exception | None) -> None:
        if self._until_eof and error is None and self._error is None:
            self._ended = True
        if not self._ended and self._error is None:
            self._error = Lost(answered=self._came > 0)
        self._wake()
        self.resume_writing()
        if not self.lost.done():
            self.lost.set_result(None)

    def pause_writing(self) -> None:
        self._may_write = False

    def resume_writing(self) -> None:
        self._may_write = True
        if self._writable is not None and not self._writable.done():
            self._writable.set_result(None)

    def _fail(self, error: Exception) -> None:
        if self._error is None and not self._ended:
            self._error = error
        self.transport.abort()
        self._wake()

    # ── what llhttp reads ────────────────────────────────────────────────────────────────────

    def on_message_begin(self) -> None:
        if self.status:  # a second answer, to no question
            self._expecting = False
            self.transport.abort()

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self.status:
            self.headers.setdefault(
                name.decode("latin-1").lower(), value.decode("utf-8", "replace")
            )

    def on_headers_complete(self) -> None:
        status = self._parser.get_status_code()
        self._interim = 100 <= status < 200
        if self._interim:
            self.headers = {}
            return
        self.status = status
        framed = "content-length" in self.headers or "transfer-encoding" in self.headers
        self._until_eof = not framed and status not in _BODILESS

    def on_body(self, data: bytes) -> None:
        self._pieces.append(data)
        self._size += len(data)

    def on_message_complete(self) -> None:
        if not self._interim:
            self._ended = True
            self._stays = self._parser.should_keep_alive()
            self._expecting = False


def _batches(pieces: Iterable[bytes | memoryview]) -> Iterator[Sequence[memoryview]]:
    """*pieces* in their order, ``_BATCH`` bytes at a time."""
    batch: list[memoryview] = []
    room = _BATCH
    for piece in pieces:
        rest = memoryview(piece)
        while len(rest) > room:
            yield [*batch, rest[:room]]
            rest, batch, room = rest[room:], [], _BATCH
        batch.append(rest)
        room -= len(rest)
    yield batch


class Answer:
    """The answer on *connection* to what was asked last, whose head has come."""

    __slots__ = ("_connection", "_inflating", "headers", "pour", "read", "status", "whole")

    def __init__(self, connection: Connection) -> None:
        self.status = connection.status
        self.headers: Mapping[str, str] = connection.headers
        self.read = connection.read
        self.whole: Callable[[], bytes | None] = connection.whole
        self.pour: Pour | None = connection.pour
        self._connection = connection
        encoding = self.headers.get("content-encoding")
        if encoding is not None and encoding.lower() in _COMPRESSED:
            self._inflating = Inflating()
            self.read, self.whole, self.pour = self._inflated, _not_yet, None

    async def _inflated(self) -> bytes:
        try:
            while not (held := self._inflating.more()):
                data = await self._connection.read()
                if not data:
                    self._inflating.close()
                    return b""
                self._inflating.feed(data)
        except ValueError:
            raise _not_compressed() from None
        return held


def _not_yet() -> None:
    """What is compressed is not there before it is read."""


def _not_compressed() -> Broken:
    return Broken(Kind.TRUNCATED, "the provider's answer is not in the encoding that it names")
