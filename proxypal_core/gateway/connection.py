"""One HTTP/1.1 connection of a client: requests in, one answer after the other out.

llhttp (httptools) reads what comes; nothing stands between it and the handler but the request, and
one task answers all requests of a connection. ``upstream.connection`` is its counterpart.

* A client that goes away cancels its handler, in every phase.
* What the parser refuses is answered with fixed words: its own may repeat a header, which may be a key.
* Slow clients and large bodies are bounded (``guard``).
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import TYPE_CHECKING, TypeAlias, cast

import httptools
import structlog

from proxypal_core.gateway import answers, heads
from proxypal_core.gateway.deadline import Deadline
from proxypal_core.gateway.guard import Limits, Room, prepare_socket
from proxypal_core.gateway.heads import HEAD_LIMIT, LINE_LIMIT, VERSIONS, Headers, Malformed
from proxypal_core.gateway.request import Answer, Request, Sent, TooLarge

if TYPE_CHECKING:
    from proxypal_core.gateway.server import Server

_WAITING = 128
"""Requests that a client may send before the first of them is answered."""
_UNREAD = 256 * 1024
"""Bytes of a body that nobody reads yet; then nothing more is read of the connection."""
KEEP_ALIVE = 75.0
"""Seconds that an idle connection is kept."""
_LINGER = 10.0
"""Seconds that are waited for the rest of a body that nobody wanted: a client that is still sending
would not see the answer.
"""
_LENGTH = b"content-length"
_LENGTH_SIZE = len(_LENGTH)

Handler: TypeAlias = Callable[[Request], Awaitable[Answer]]

log = structlog.get_logger(__name__)

_read = memoryview(bytearray(256 * 1024))
"""Where every connection's bytes come in; they are parsed before the next ones can."""


class Connection(asyncio.BufferedProtocol):
    """A connection that *server* has taken."""

    def __init__(self, server: "Server") -> None:
        self.transport: asyncio.Transport | None = None
        """None when the client went away."""
        self.limits: Limits = server.limits
        self.room: Room = server.room
        self.asked = 0
        """Requests so far."""
        self.is_full = False
        """Whether the client has to be waited for before more is sent."""
        self._server = server
        self._loop = asyncio.get_running_loop()
        self._parser = httptools.HttpRequestParser(self)
        self._task: asyncio.Task[None] | None = None
        self._waiting: deque[Request | None] = deque()
        """Requests whose answers have not begun; None stands for what is no request."""
        self._waiter: asyncio.Future[None] | None = None
        self._drained: asyncio.Future[None] | None = None
        self.deadline: Deadline
        """Of the task that answers, once it is connected."""
        self._answering: Request | None = None
        self._closing = False
        """Whether it ends with the answer that is being made."""
        self._broken = False
        """Whether nothing more is read: what came was no request, or too many."""
        self._paused = False
        self._without_head = False
        """Whether the parser is given the body of a request whose head was read before."""
        self._in_head = False
        self._target = b""
        self._raw: list[bytes] = []
        """Names and values of the headers that come, by turns."""
        self._length: bytes | None = None
        self._last: tuple[list[bytes], Headers] | None = None
        """The headers of the last request, raw and read."""
        self._request: Request | None = None
        """Whose body is coming."""
        self._silent = 0
        """Bytes since a head or a body went on."""
        self._head_since = self._loop.time()
        """When we began to wait for the head that is not complete; 0 if none is."""
        self._idle_since = 0.0
        self._body_since = 0.0
        self._stalled_since = 0.0

    # ── what the socket says ─────────────────────────────────────────────────────────────────

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport = cast("asyncio.Transport", transport)  # uvloop's is none, and does the same
        if not self._server.admits():
            self._broken = True
            transport.write(answers.FULL)
            transport.close()
            return
        self.transport = transport
        prepare_socket(transport.get_extra_info("socket"))
        self._server.joined(self)
        self._task = self._loop.create_task(self._serve())
        self.deadline = Deadline(self._loop, self._task)

    def connection_lost(self, error: Exception | None) -> None:
        self._server.left(self)
        self.transport = None
        for request in filter(None, self._waiting):
            request.give_back()
        self._waiting.clear()
        self.resume_writing()
        if self._task is not None:
            self._task.cancel()
        # They know each other: nothing else would free them at once.
        self._task = self._request = None
        del self._parser

    def get_buffer(self, sizehint: int) -> memoryview:
        return _read

    def buffer_updated(self, nbytes: int) -> None:
        if self._broken:
            return
        self._silent += nbytes
        self._feed(_read[:nbytes])
        if self._silent > HEAD_LIMIT and (self._in_head or self._request is not None):
            self._refuse()
        if self._in_head and not self._head_since:
            self._head_since = self._loop.time()
        request = self._request
        if request is not None and request.unread > _UNREAD and not self._paused:
            assert self.transport is not None  # noqa: S101 — it has just been read from
            self._paused = True
            self.transport.pause_reading()

    def _feed(self, data: memoryview) -> None:
        try:
            while data and not self._broken:
                try:
                    self._parser.feed_data(data)
                    return
                except httptools.HttpParserUpgrade as upgrade:
                    data = data[upgrade.args[0] :]
                    self._ignore_upgrade()
        except httptools.HttpParserError:
            self._refuse()

    def eof_received(self) -> None:
        """Close."""

    def pause_writing(self) -> None:
        self.is_full = True
        self._stalled_since = self._loop.time()

    def resume_writing(self) -> None:
        self.is_full = False
        if self._drained is not None and not self._drained.done():
            self._drained.set_result(None)

    def resume(self) -> None:
        """Read on: the body that is coming is wanted."""
        if self.transport is not None and self._paused:
            self._paused = False
            self.transport.resume_reading()

    # ── what llhttp reads ────────────────────────────────────────────────────────────────────

    def on_message_begin(self) -> None:
        if not self._without_head:
            self._in_head = True
            self._target, self._raw, self._length = b"", [], None
            self._silent = 0

    def on_url(self, url: bytes) -> None:
        self._target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self._in_head:  # a trailer, or the head of what was read before
            return
        size = len(name)
        if size + len(value) > LINE_LIMIT:
            raise Malformed
        if size == _LENGTH_SIZE and name.lower() == _LENGTH:
            self._length = value  # the parser has seen that it is one, and the only one
        else:
            self._raw += name, value

    def on_headers_complete(self) -> None:
        if self._without_head:
            return
        version = self._parser.get_http_version()
        if version not in VERSIONS or len(self._target) > LINE_LIMIT:
            raise Malformed
        self._in_head = False
        self._silent = 0
        self._head_since = 0.0
        request = Request(
            self,
            method=self._parser.get_method().decode("latin-1"),
            target=self._target.decode("utf-8", "surrogateescape"),
            version=version,
            headers=self._read_headers(version),
            length=None if self._length is None else int(self._length),
            keep_alive=self._parser.should_keep_alive(),
        )
        self.asked += 1
        self._request = request
        self._body_since = self._loop.time()
        self._put(request)

    def _read_headers(self, version: str) -> Headers:
        raw = self._raw
        if self._last is None or self._last[0] != raw:
            self._last = raw, heads.read(raw)
        headers = self._last[1]
        if version == "1.1" and "host" not in headers.named:
            raise Malformed
        return headers

    def on_body(self, data: bytes) -> None:
        self._silent = 0
        if self._request is not None:
            self._request.feed(data)

    def on_message_complete(self) -> None:
        # A body that follows the wish for another protocol is still to come.
        if self._request is not None and not self._parser.should_upgrade():
            self._without_head = False
            self._request.end()
            self._request = None

    def _ignore_upgrade(self) -> None:
        """Go on as if no other protocol had been wished for, which a server may always do: Java's
        client wishes for HTTP/2 with its first request, whatever it sends. The parser takes all that
        follows for the other protocol, so another reads it, which knows how the body is framed.
        """
        request = self._request
        if request is None or request.method == "CONNECT":
            self._refuse()
            return
        self._parser = httptools.HttpRequestParser(self)
        self._without_head = True
        self._parser.feed_data(heads.framing(request.headers, request.length))

    def _put(self, request: Request | None) -> None:
        if len(self._waiting) >= _WAITING:
            # Those that wait are answered; then the connection ends, and the client asks again.
            self._broken = True
            if request is not None:
                request.give_back()
            return
        self._waiting.append(request)
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _refuse(self) -> None:
        """What came is no request: whoever sent it is told so, and nothing more is read."""
        self._broken = True
        request, self._request = self._request, None
        if request is None:
            self._put(None)
        elif request in self._waiting:  # nobody has seen it: all of it is no request
            self._waiting[self._waiting.index(request)] = None
            request.give_back()
        else:
            request.damaged()

    # ── one request after the other ──────────────────────────────────────────────────────────

    async def _serve(self) -> None:
        """Answer every request. A client that leaves ends it here: the task would keep the error, which
        keeps the frames that it went through, and with them all that the answer was made of, until
        garbage is searched for.
        """
        try:
            while await self._serve_next():
                pass
        except (asyncio.CancelledError, ConnectionError):
            pass
        finally:
            self.deadline.close()
            if self.transport is not None:
                self.transport.close()

    async def _serve_next(self) -> bool:
        """Answer one request; whether another may follow."""
        if not self._waiting:
            if self._broken or self._closing:
                return False
            self._idle_since = self._loop.time()
            if self._in_head:  # it came in part while another was answered
                self._head_since = self._idle_since
            self._waiter = self._loop.create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
        request = self._waiting.popleft()
        if request is None:
            log.warning("request refused by the parser", status=400)
            if self.transport is not None:
                self.transport.write(answers.MALFORMED)
            return False
        self._answering = request
        try:
            keeps_alive = await self._answer(request)
            if self.is_full:
                await self.drain()
        finally:
            request.give_back()
            self._answering = None
        if not request.ended:
            await self._linger(request)
        return keeps_alive and request.ended and not self._closing

    async def _linger(self, request: Request) -> None:
        """Wait for the rest of a body, for a while, unless its sender waits to be asked for it."""
        if request.waits_for_word:
            return
        with suppress(TimeoutError):
            async with asyncio.timeout(_LINGER):
                await request.rest()

    async def _answer(self, request: Request) -> bool:
        """Have *request* answered; whether the connection outlives it.

        Raises:
            ConnectionError: the client went away.
        """
        try:
            answer = await self._server.handler(request)
            if not isinstance(answer, Sent):
                answer = request.respond(answer)
        except ConnectionError:
            raise
        except TooLarge:
            request.respond(
                answers.plain_refusal(413, "invalid_request_error", "the body is too large")
            )
            return False
        except Exception as error:  # noqa: BLE001 — it is answered
            self._failed(error)
            if not request.began:
                request.respond(answers.plain_refusal(500, "server_error", "internal error"))
            return False
        return answer.keep_alive

    def _failed(self, error: Exception) -> None:
        log.error("a connection failed", error=type(error).__name__)

    async def drain(self) -> None:
        """Wait until the client has taken enough of what was sent.

        Raises:
            ConnectionError: the client went away.
        """
        if self.is_full:
            if self._drained is None or self._drained.done():
                self._drained = self._loop.create_future()
            await asyncio.shield(self._drained)
        if self.transport is None:
            raise ConnectionResetError

    # ── its end ──────────────────────────────────────────────────────────────────────────────

    @property
    def date(self) -> str:
        """As answers tell it."""
        return self._server.date

    @property
    def is_encrypted(self) -> bool:
        return bool(self.transport and self.transport.get_extra_info("sslcontext"))

    @property
    def is_new(self) -> bool:
        """Whether nothing was asked on it yet."""
        return self.asked == 0

    @property
    def is_answering(self) -> bool:
        return self._answering is not None

    def is_late(self, now: float) -> bool:
        """Whether the client has kept us waiting for too long."""
        limits = self.limits
        if self.is_full and now - self._stalled_since > limits.stalled:
            return True
        if self._head_since and self._waiter is not None:
            return now - self._head_since > limits.head
        body = self._request
        if body is None or self._paused:  # it is us who are slow
            return False
        return now - self._body_since > limits.body_grace + body.came / limits.body_rate

    def is_idle(self, now: float) -> bool:
        """Whether nothing was asked for so long that it need not be kept."""
        waits = self._waiter is not None and not self._head_since
        return waits and now - self._idle_since > KEEP_ALIVE

    def cut(self) -> None:
        """End at once: what is still to be sent is not waited for, as closing would."""
        if self.transport is not None:
            self.transport.abort()

    def close(self) -> None:
        """End after the answer that is being made."""
        self._closing = True
        if self._answering is None and not self._waiting and self.transport is not None:
            self.transport.close()

    def break_off(self, reason: str) -> None:
        """Cancel the handler of the answer that is being made; the client may be told *reason*."""
        if self._task is not None and self._answering is not None:
            self._task.cancel(reason)

    async def shutdown(self, timeout: float | None = None) -> None:  # noqa: ASYNC109 — aiohttp's
        """End after the answer that is being made, or after *timeout* seconds without it."""
        self.close()
        if self._task is not None:
            _, waits = await asyncio.wait([self._task], timeout=timeout)
            if waits:
                self.cut()
