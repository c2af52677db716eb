"""One HTTP/1.1 connection to a provider, which carries one call at a time.

llhttp (httptools) reads what comes, and nothing stands between it and whoever waits for the answer:
no task, no stream object, no copy for each chunk of the transfer encoding. docs/performance.md says
what that is worth.
"""

import asyncio
import zlib
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import httptools

from proxypal_core.hub.failure import Kind
from proxypal_core.upstream.transport import Broken

READ_BUFFER = 16 * 1024
"""Bytes held for a reader that is slower than the provider; then nothing more is read."""
HEAD_LIMIT = 128 * 1024
"""Bytes of an answer's status line and headers."""
_PIECE = 256 * 1024
"""A body is sent in pieces of this size, each when the one before is on its way."""
_INFLATED = 1024 * 1024
"""Bytes that one read may give of an answer that was compressed."""
_BODILESS = (204, 304)


Take: TypeAlias = Callable[[bytes], bool]
"""Takes what has come; whether it wants more of it."""


class Lost(Exception):
    """The connection ended before the answer's head was there; ``answered``: some of it was."""

    def __init__(self, *, answered: bool) -> None:
        super().__init__()
        self.answered = answered


class NotHTTP(Exception):
    """What came is no answer."""


_read = memoryview(bytearray(READ_BUFFER))
"""Where every connection's bytes come in; they are parsed before the next ones can."""


class Connection(asyncio.BufferedProtocol):
    """*transport*, connected. *keep* is kept as long as it is."""

    def __init__(self, transport: asyncio.Transport, keep: object = None) -> None:
        self.transport = transport
        self.idle_since = 0.0
        self.lost = asyncio.get_running_loop().create_future()
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
        self._headers: list[tuple[str, str]] = []
        self._status = 0
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
            and not self._pieces
            and self._error is None
            and self._stays
            and not self.transport.is_closing()
        )

    @property
    def idle(self) -> bool:
        """Whether it is still as it was when it was last ``usable``."""
        return self._error is None and not self.transport.is_closing()

    async def ask(self, head: bytes, body: bytes) -> "Answer":
        """Send a request; its answer, when the head of that has come.

        Raises:
            Lost, NotHTTP: there is none.
        """
        self._begin(expecting=True)
        if len(head) + len(body) <= _PIECE:
            self.transport.write(head + body)
        else:
            await self._send(head, body)
        while not self._status:
            if self._error is not None:
                raise self._error
            await self._wait()
        return Answer(self, self._status, self._headers)

    async def _send(self, head: bytes, body: bytes) -> None:
        self.transport.write(head)
        view = memoryview(body)
        for start in range(0, len(body), _PIECE):
            if self._came or self._error is not None:
                self._unsent = True  # an answer that does not wait for the body: a refusal
                return
            self.transport.write(view[start : start + _PIECE])
            if not self._may_write:
                self._writable = asyncio.get_running_loop().create_future()
                await self._writable

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
            await self._wait()
        data = self._taken()
        if self._paused:
            self._paused = False
            self.transport.resume_reading()
        return data

    async def pour(self, take: Take) -> None:
        """Give *take* what comes as soon as it comes, until it wants no more, or there is no more; the
        rest is for ``read``.
        """
        if self._pieces or self._ended or self._error is not None:
            return
        self._take = take
        try:
            await self._wait()
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

    async def _wait(self) -> None:
        self._waiter = asyncio.get_running_loop().create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    # ── what the socket says ─────────────────────────────────────────────────────────────────

    def get_buffer(self, sizehint: int) -> memoryview:
        return _read

    def buffer_updated(self, nbytes: int) -> None:
        if not self._expecting:
            self._fail(NotHTTP())
            return
        self._came += nbytes
        try:
            self._parser.feed_data(_read[:nbytes])
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            self._fail(NotHTTP())
            return
        if self._came > HEAD_LIMIT and not self._status:
            self._fail(NotHTTP())
        if (self._status or self._error) and not self._pours():
            self._wake()
        if self._size >= READ_BUFFER and not (self._paused or self.transport.is_closing()):
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
        if self._status:  # a second answer, to no question
            self._expecting = False
            self.transport.abort()

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self._status:
            self._headers.append((name.decode("latin-1").lower(), value.decode("utf-8", "replace")))

    def on_headers_complete(self) -> None:
        status = self._parser.get_status_code()
        self._interim = 100 <= status < 200
        if self._interim:
            self._headers = []
            return
        self._status = status
        names = {name for name, _ in self._headers}
        framed = "content-length" in names or "transfer-encoding" in names
        self._until_eof = not framed and status not in _BODILESS

    def on_body(self, data: bytes) -> None:
        self._pieces.append(data)
        self._size += len(data)

    def on_message_complete(self) -> None:
        if not self._interim:
            self._ended = True
            self._stays = self._parser.should_keep_alive()
            self._expecting = False


class Answer:
    """The answer on *connection* to what was asked last."""

    def __init__(self, connection: Connection, status: int, headers: list[tuple[str, str]]) -> None:
        self.status = status
        self.headers: Mapping[str, str] = dict(reversed(headers))  # the first of each name
        encoding = self.headers.get("content-encoding", "").lower()
        self._inflating = Inflating() if encoding in ("gzip", "x-gzip", "deflate") else None
        self._connection = connection
        self.read = connection.read if self._inflating is None else self._inflated
        self.pour = connection.pour if self._inflating is None else None

    async def _inflated(self) -> bytes:
        assert self._inflating is not None  # noqa: S101 — it is what this reads
        while True:
            if held := self._inflating.more():
                return held
            data = await self._connection.read()
            if not data:
                self._inflating.close()
                return b""
            self._inflating.feed(data)

    def close(self) -> None:
        if not self._connection.usable:
            self._connection.abort()


class Inflating:
    """Undoes gzip and deflate, a bounded piece at a time. Nobody was asked to compress anything."""

    def __init__(self) -> None:
        self._zlib: Any = None
        self._tail = b""
        self._first = True

    def feed(self, data: bytes) -> None:
        self._tail += data

    def more(self) -> bytes:
        """The next piece of what was fed; empty when there is none yet.

        Raises:
            Broken: it is not compressed as it says.
        """
        while self._tail:
            if self._zlib is None:
                self._zlib = zlib.decompressobj(self._window())
            try:
                out: bytes = self._zlib.decompress(self._tail, _INFLATED)
            except zlib.error:
                raise _not_compressed() from None
            self._tail = self._zlib.unconsumed_tail or self._zlib.unused_data
            if self._zlib.eof:  # gzip may have another member
                self._zlib = None
            if out:
                return out
        return b""

    def close(self) -> None:
        """Nothing more will come."""
        if self._zlib is not None:
            raise _not_compressed()

    def _window(self) -> int:
        """Gzip and zlib say what they are; some servers' "deflate" says nothing."""
        named = self._tail[:1] in (b"\x1f", b"\x78") or not self._first
        self._first = False
        return 32 + zlib.MAX_WBITS if named else -zlib.MAX_WBITS


def _not_compressed() -> Broken:
    return Broken(Kind.TRUNCATED, "the provider's answer is not in the encoding that it names")
