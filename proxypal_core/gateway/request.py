"""A client's request: its head, its body as it comes, and the way back.

``Connection`` makes one of each head that its parser has read, and tells it of the body. Answers go
out as they are written here: a whole one in one piece, a stream piece by piece.
"""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from http import HTTPStatus
from types import MappingProxyType
from typing import TYPE_CHECKING, TypeAlias
from urllib.parse import parse_qsl

import msgspec
from aiohttp import web

from proxypal_core.gateway.guard import check_encoding
from proxypal_core.gateway.heads import Headers
from proxypal_core.hub.failure import Failure, Kind, Refused
from proxypal_core.wire.head import head
from proxypal_core.wire.inflate import inflated

if TYPE_CHECKING:
    from proxypal_core.gateway.connection import Connection

BODY_LIMIT = 64 * 1024 * 1024
"""Bytes of a request's body, after decompression. Agents send images inline."""
_SMALL = 1024
"""Smaller pieces of a body are put together as they come: each one alone takes more than it holds."""
_BODILESS = (204, 304)
_NOTHING: Mapping[str, str] = MappingProxyType({})


class Sent(msgspec.Struct, frozen=True):
    """An answer that is with the client. Unless ``keep_alive``, the connection ends with it."""

    status: int
    keep_alive: bool


Answer: TypeAlias = web.Response | Sent


class TooLarge(Exception):
    """The body is longer than ``BODY_LIMIT``, or grows like a bomb."""


class Request:
    """A request on *connection*. Its body is bounded, and counted in the server's
    room until ``give_back``.
    """

    __slots__ = (
        "_held",
        "_pieces",
        "_refused",
        "_room",
        "_unwanted",
        "_waiter",
        "_whole",
        "began",
        "came",
        "connection",
        "ended",
        "headers",
        "keep_alive",
        "length",
        "method",
        "named",
        "pairs",
        "path",
        "query_string",
        "target",
        "version",
    )

    def __init__(
        self,
        connection: "Connection",
        *,
        method: str,
        target: str,
        version: str,
        headers: Headers,
        length: int | None,
        keep_alive: bool,
    ) -> None:
        self.connection = connection
        self.method = method
        self.target = target
        """What was asked for, as it came: a path and a query, unless somebody takes us for a proxy."""
        if "#" in target:
            target = target.partition("#")[0]
        self.path, _, self.query_string = target.partition("?")
        """Nothing in them is decoded."""
        self.version = version
        """Of HTTP: 1.1 or 1.0."""
        self.headers = headers
        self.pairs = headers.pairs
        self.named = headers.named
        self.length = length
        """What was said that the body has; None where it comes in chunks, or there is none."""
        self.keep_alive = keep_alive
        self.began = False
        """Whether some of the answer was sent."""
        self.came = 0
        """Bytes of the body so far, before decompression."""
        self.ended = False
        """Whether all of the body has come."""
        self._room = connection.room
        self._pieces: list[bytes | bytearray] = []
        self._held = 0
        self._refused: Exception | None = None
        self._unwanted = False
        self._waiter: asyncio.Future[None] | None = None
        self._whole: bytes | None = None

    @property
    def query(self) -> Mapping[str, str]:
        """The first value of each name."""
        if not self.query_string:
            return _NOTHING
        return dict(reversed(parse_qsl(self.query_string, keep_blank_values=True)))

    @property
    def transport(self) -> asyncio.Transport | None:
        """None when the client went away."""
        return self.connection.transport

    # ── the body ─────────────────────────────────────────────────────────────────────────────

    async def read(self) -> bytes:
        """The whole body, decompressed.

        Raises:
            TooLarge: it is too long.
            Refused: there is no room for it now, or it cannot be read.
        """
        if self._whole is None:
            encoding = check_encoding(self.named.get("content-encoding", ""))
            if not self.ended:
                self._check_length()
                if self.waits_for_word:
                    self._continue()
                await self._wait()
            if self._refused is not None:
                raise self._refused
            pieces, self._pieces = self._pieces, []
            whole = bytes(pieces[0]) if len(pieces) == 1 else b"".join(pieces)
            self._whole = await self._inflated(encoding, whole) if encoding and whole else whole
        return self._whole

    def give_back(self) -> None:
        """The answer is made: what was read counts no more, what still comes is not kept."""
        self._unwanted = True
        self._pieces.clear()
        if self._held:
            self._room.give_back(self._held)
            self._held = 0

    @property
    def waits_for_word(self) -> bool:
        """Whether the client sends its body only when it is told to, or after a while."""
        return not self.came and self.named.get("expect", "").lower() == "100-continue"

    async def rest(self) -> None:
        """Wait for the end of a body that nobody wanted."""
        if not self.ended:
            await self._wait()

    def _continue(self) -> None:
        if self.transport is not None:
            self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    async def _wait(self) -> None:
        self.connection.resume()
        self._waiter = asyncio.get_running_loop().create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _check_length(self) -> None:
        length = self.length or 0
        if length > BODY_LIMIT:
            raise TooLarge
        if not self.came:
            self._room.check(length)

    def _take(self, size: int, limit: int) -> None:
        self._room.take(size)
        self._held += size
        if self._held > limit:
            raise TooLarge

    async def _inflated(self, encoding: str, whole: bytes) -> bytes:
        pieces = []
        try:
            for piece, read in inflated(encoding, whole):
                limit = min(BODY_LIMIT, self.connection.limits.inflated_from(read))
                self._take(len(piece), limit + len(whole))
                pieces.append(piece)
                await asyncio.sleep(0)
        except ValueError:
            raise Refused(_DAMAGED) from None
        return b"".join(pieces)

    # ── what the connection tells ────────────────────────────────────────────────────────────

    @property
    def unread(self) -> int:
        """Bytes that wait for somebody who reads them."""
        return self._held if self._waiter is None and not self._unwanted else 0

    def feed(self, data: bytes) -> None:
        """Some of the body has come."""
        self.came += len(data)
        if self._unwanted or self._refused is not None:
            return
        try:
            self._take(len(data), BODY_LIMIT)
        except (Refused, TooLarge) as refused:
            self._refuse(refused)
            return
        last = self._pieces[-1] if self._pieces else None
        if last is None or len(data) >= _SMALL:
            self._pieces.append(data)
        elif isinstance(last, bytearray):
            last += data
        else:
            self._pieces.append(bytearray(data))

    def end(self) -> None:
        """All of the body has come."""
        self.ended = True
        self._wake()

    def damaged(self) -> None:
        """What came is no body; nothing more will come."""
        self.keep_alive = False
        self.ended = True
        self._refuse(Refused(_DAMAGED))

    def _refuse(self, error: Exception) -> None:
        self._refused = error
        self._pieces.clear()
        self._wake()

    # ── the way back ─────────────────────────────────────────────────────────────────────────

    def send(self, body: bytes, headers: Mapping[str, str]) -> Sent:
        """Send *body* with *headers* as the whole answer.

        Raises:
            ConnectionError: the client went away.
        """
        names = (*headers, "content-length")
        self.write(self.head(names, (*headers.values(), str(len(body)))) + body)
        return Sent(200, self.keep_alive)

    def respond(self, answer: web.Response) -> Sent:
        """Send *answer*.

        Raises:
            ConnectionError: the client went away.
        """
        if answer.keep_alive is False:
            self.keep_alive = False
        headers = [(name.lower(), value) for name, value in answer.headers.items()]
        headers += [("set-cookie", cookie.OutputString()) for cookie in answer.cookies.values()]
        body = answer.body if isinstance(answer.body, bytes) else b""
        if answer.status not in _BODILESS:
            headers.append(("content-length", str(len(body))))
        names, values = zip(*headers, strict=True) if headers else ((), ())
        head = self.head(names, values, answer.status)
        self.write(head if self.method == "HEAD" else head + body)
        return Sent(answer.status, self.keep_alive)

    def stream(self, headers: Iterable[tuple[str, str]], status: int = 200) -> "Stream":
        """An answer in pieces, whose head is sent now.

        Raises:
            ConnectionError: the client went away.
        """
        return Stream(self, headers, status)

    def head(self, names: Sequence[str], values: Sequence[str], status: int = 200) -> bytes:
        """The head of an answer, whose headers' *names* have the *values* in their places.

        Raises:
            ValueError: a header holds the end of a line.
        """
        first = f"HTTP/{self.version} {status} {_PHRASES.get(status, '')}"
        date = self.connection.date
        if not self.keep_alive:
            return head(first, ("date", *names, "connection"), (date, *values, "close"))
        if self.version == "1.0":
            return head(first, ("date", *names, "connection"), (date, *values, "keep-alive"))
        return head(first, ("date", *names), (date, *values))

    def write(self, data: bytes) -> None:
        """Send *data*, as it is, at once.

        Raises:
            ConnectionError: the client went away.
        """
        transport = self.connection.transport
        if transport is None or transport.is_closing():
            raise ConnectionResetError
        self.began = True
        transport.write(data)

    async def drain(self) -> None:
        """Wait until the client has taken enough of what was sent.

        Raises:
            ConnectionError: the client went away.
        """
        if self.connection.is_full:
            await self.connection.drain()


class Stream:
    """An answer in pieces to *request*. Without ``content-length`` among *headers*, it is sent in
    chunks, or to an old client until the connection ends.
    """

    def __init__(self, request: Request, headers: Iterable[tuple[str, str]], status: int) -> None:
        self._request = request
        self._status = status
        headers = list(headers)
        sized = any(name.lower() == "content-length" for name, _ in headers)
        self._chunked = request.version == "1.1" and not sized
        if self._chunked:
            headers.append(("transfer-encoding", "chunked"))
        elif not sized:
            request.keep_alive = False
        names, values = zip(*headers, strict=True)
        request.write(request.head(names, values, status))

    async def write(self, data: bytes) -> None:
        """Send *data*; returns when the client has taken enough of it.

        Raises:
            ConnectionError: the client went away.
        """
        if data:
            self._request.write(b"%x\r\n%b\r\n" % (len(data), data) if self._chunked else data)
            await self._request.drain()

    async def end(self) -> Sent:
        """That was all.

        Raises:
            ConnectionError: the client went away.
        """
        if self._chunked:
            self._request.write(b"0\r\n\r\n")
        await self._request.drain()
        return Sent(self._status, self._request.keep_alive)


_DAMAGED = Failure(Kind.INVALID, "the body is damaged; send it again, without Content-Encoding")
_PHRASES = {status.value: status.phrase for status in HTTPStatus}
"""Providers have statuses of their own besides."""
