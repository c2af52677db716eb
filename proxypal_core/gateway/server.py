"""The HTTP server: aiohttp's, with what it gets wrong for a proxy put right.

* A client that goes away cancels its handler (``handler_cancellation``), in every phase.
* What the parser refuses is answered with fixed words: aiohttp's own put the offending header,
  which may be a key, into the answer and the log.
* A repeated ``User-Agent`` (google-genai under pydantic-ai sends two) does not kill the request.
* Slow clients, many connections and large bodies are bounded (``guard``).
"""

import asyncio
import re
import socket
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import structlog
from aiohttp import http_parser, web
from aiohttp.http_exceptions import ContentEncodingError
from aiohttp.http_parser import RawRequestMessage
from aiohttp.http_writer import StreamWriter
from aiohttp.streams import StreamReader
from aiohttp.web_protocol import ERROR, RequestHandler, _ErrInfo

from proxypal_core.gateway import answers
from proxypal_core.gateway.guard import WRONG_ENCODING, Limits, Room
from proxypal_core.gateway.request import Answer, Request, Sent
from proxypal_core.wire import jsonio

BODY_LIMIT = 64 * 1024 * 1024
"""Bytes of a request's body, after decompression. Agents send images inline."""
HEADER_LIMIT = 16 * 1024
"""Bytes of one header line. Codex and Claude Code send JSON in headers."""
KEEP_ALIVE = 75.0
SEND_BUFFER = 128 * 1024
"""Bytes that the kernel is asked to hold on their way to a client (Linux takes twice as many); left
alone, it holds megabytes.
"""
UNSENT = 16 * 1024
"""Bytes that it takes beyond what the client's window has room for (Linux's and macOS's
``TCP_NOTSENT_LOWAT``). Without this bound all of ``SEND_BUFFER`` is filled for a client that does not
read, and of a translated answer we keep as much again.
"""
_NOT_SENT: int | None = getattr(socket, "TCP_NOTSENT_LOWAT", None)
_HEAD_LIMIT = 128 * 1024
DEFAULT_LIMITS = Limits()

Handler = Callable[[Request], Awaitable[Answer]]

log = structlog.get_logger(__name__)


def server(
    handler: Handler, limits: Limits = DEFAULT_LIMITS, pressed: Callable[[], bool] | None = None
) -> "Server":
    """The server of one listener, calling *handler* for each request. While *pressed* says that
    memory runs short, bodies are refused.
    """
    return Server(handler, limits, pressed)


def parser_is_compiled() -> bool:
    """Whether requests are parsed by llhttp. Most of aiohttp's request smuggling (CVE-2023-47627,
    CVE-2025-53643 and others) was in the parser in Python that stands in for it.
    """
    return http_parser.HttpRequestParser is not http_parser.HttpRequestParserPy


class Server(web.Server):
    """Connections, and what they may use together."""

    def __init__(
        self, handler: Handler, limits: Limits, pressed: Callable[[], bool] | None
    ) -> None:
        super().__init__(
            handler,  # type: ignore[arg-type] # never called by aiohttp: connections do
            handler_cancellation=True,
            access_log=None,
            keepalive_timeout=KEEP_ALIVE,
            max_field_size=HEADER_LIMIT,
            max_line_size=HEADER_LIMIT,
        )
        self.limits = limits
        self.room = Room(limits.bodies)
        self.handler = handler
        self._pressed = pressed
        self._refused = 0
        self._sweeping = False

    def __call__(self) -> RequestHandler:
        return Connection(self, loop=self._loop, **self._kwargs)

    def admits(self) -> bool:
        """Whether there is room for one more connection."""
        if len(self._connections) < self.limits.connections:
            return True
        self._refused += 1
        return False

    def connection_made(self, handler: RequestHandler, transport: asyncio.Transport) -> None:
        super().connection_made(handler, transport)
        if not self._sweeping:
            self._sweeping = True
            self._loop.call_later(self.limits.sweep, self._sweep)

    def _sweep(self) -> None:
        """Cut who is too slow. One timer for all: two for each request would cost more."""
        now = self._loop.time()
        late = [c for c in self._connections if isinstance(c, Connection) and c.is_late(now)]
        for connection in late:
            connection.cut()
        if late or self._refused:
            log.warning("connections cut", slow=len(late), too_many=self._refused)
            self._refused = 0
        self.room.pressed = self._pressed is not None and self._pressed()
        self._sweeping = bool(self._connections)
        if self._sweeping:
            self._loop.call_later(self.limits.sweep, self._sweep)


_FULL = (
    b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\nretry-after: 1\r\n"
    b"connection: close\r\n\r\n"
)


class Connection(RequestHandler):
    """One client connection."""

    __slots__ = ("_body", "_body_since", "_head", "_head_since", "_server", "_stalled_since")

    def __init__(self, server: Server, **kwargs: Any) -> None:
        super().__init__(server, **kwargs)
        self._server = server
        self._head = b""
        self._head_since = 0.0
        """When we began to wait for the head that is not complete; 0 if none is."""
        self._body: StreamReader | None = None
        self._body_since = 0.0
        self._stalled_since = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if not self._server.admits():
            assert isinstance(transport, asyncio.Transport)  # noqa: S101 — a listener has no others
            transport.write(_FULL)
            transport.close()
            return
        connection = transport.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)
        if _NOT_SENT is not None and connection.family != socket.AF_UNIX:  # Windows has none
            connection.setsockopt(socket.IPPROTO_TCP, _NOT_SENT, UNSENT)
        super().connection_made(transport)
        self._head_since = self._loop.time()

    def connection_lost(self, exc: BaseException | None) -> None:
        super().connection_lost(exc)
        self._body = None  # it knows the connection: nothing else would free them at once

    @property
    def is_new(self) -> bool:
        """Whether nothing was asked on it yet."""
        return self._request_count == 0

    def data_received(self, data: bytes) -> None:
        """Feed the parser, each request's head in one piece and without a second User-Agent.

        A head is looked at where a segment begins with one; a pipelined request behind a body in
        the same segment is not, and no client that repeats the header pipelines.
        """
        # aiohttp feeds nothing to go on with what its parser holds.
        if data and (self._body is None or self._body.is_eof()):
            data = self._head + data
            end = data.find(b"\r\n\r\n")
            if end < 0 and len(data) < _HEAD_LIMIT and may_be_a_head(data):
                self._head = data
                self._head_since = self._head_since or self._loop.time()
                return
            self._head = b""
            data = without_repeated_user_agent(data, end)
        before = self._request_count
        super().data_received(data)
        if self._request_count > before:
            self._head_since = 0.0
            self._body = self._messages[-1][1] if self._messages else None
            if self._body is not None and not self._body.is_eof():
                self._body_since = self._loop.time()

    # ── one request after the other ──────────────────────────────────────────────────────────

    async def start(self) -> None:
        """Answer every request, as aiohttp does, but for the task that it makes for each: that has
        to be woken twice more, and nothing here is kept in the context of a task.
        """
        try:
            while not self._force_close and await self._serve(*await self._next()):
                pass
        except asyncio.CancelledError:
            self.force_close()
            raise
        except Exception as error:  # noqa: BLE001 — it is one connection's
            self.log_exception(exc_info=error)
            self.force_close()
        if not self._force_close:
            self._task_handler = None
            if self.transport is not None:
                self.transport.close()

    async def _next(self) -> tuple[RawRequestMessage | _ErrInfo, StreamReader]:
        """The head of the next request, or why there is none, and its body."""
        if not self._messages:
            self._waiter = self._loop.create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
        message, payload = self._messages.popleft()
        if self._parser is not None:
            self._parser.message_consumed()
        if self._buffer_paused and len(self._messages) <= self._msg_queue_resume_size:
            self._resume_reading_if_drained()
        return message, payload

    async def _serve(self, message: RawRequestMessage | _ErrInfo, payload: StreamReader) -> bool:
        """Answer one request; whether another may follow."""
        server, handler = self._server, self._server.handler
        if isinstance(message, _ErrInfo):
            handler, message = self._make_error_handler(message), ERROR
        request = Request(
            message,
            payload,
            self,
            StreamWriter(self, self._loop),
            self._task_handler,
            self._loop,
            client_max_size=BODY_LIMIT,
            limits=server.limits,
            room=server.room,
        )
        server.requests_count += 1
        self._request_in_progress, self._current_request = True, request
        try:
            keeps_alive = await self._answer(request, handler)
        except ConnectionError:
            return False
        finally:
            request.give_back()
            self._request_in_progress, self._current_request = False, None
            if self._handler_waiter is not None and not self._handler_waiter.done():
                self._handler_waiter.set_result(None)
        self._keepalive = keeps_alive
        if not payload.is_eof():
            await self._linger(payload)
        if not keeps_alive or self._close or self._force_close:
            return False
        self._next_keepalive_close_time = self._loop.time() + KEEP_ALIVE
        if self._keepalive_handle is None:
            self._keepalive_handle = self._loop.call_at(
                self._next_keepalive_close_time, self._process_keepalive
            )
        return True

    async def _answer(self, request: Request, handler: Handler) -> bool:
        """Have *handler* answer *request*; whether the connection outlives it.

        Raises:
            ConnectionError: the client went away.
        """
        try:
            answer = await handler(request)
        except (asyncio.CancelledError, ConnectionError):
            raise
        except web.HTTPException as refusal:
            answer = refusal
        except Exception as error:  # noqa: BLE001 — it is answered
            answer = self.handle_error(request, 500, error)
        if isinstance(answer, Sent):
            # The parser has stopped at a request for another protocol.
            return answer.keep_alive and not self._upgraded
        response, gone = await self.finish_response(request, answer, None)
        if gone:
            raise ConnectionResetError
        return bool(response.keep_alive)

    async def _linger(self, body: StreamReader) -> None:
        """Read what is left of a body that nobody wanted, for a while: a client that is still sending
        would not see the answer.
        """
        if not self._force_close:
            with suppress(TimeoutError):
                async with asyncio.timeout(self._lingering_time):
                    while not body.is_eof():
                        await body.readany()
        if not body.is_eof() and not self._force_close:
            self.close()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._stalled_since = self._loop.time()

    def is_late(self, now: float) -> bool:
        """Whether the client has kept us waiting for too long."""
        limits = self._server.limits
        if self.transport is None:
            return False
        if self._paused and now - self._stalled_since > limits.stalled:
            return True
        if self._head_since and self._waiter is not None:
            return now - self._head_since > limits.head
        if self._body is None or self._body.is_eof() or self._reading_paused:
            return False  # reading is paused when it is us who are slow
        earned = self._body.total_raw_bytes / limits.body_rate
        return now - self._body_since > limits.body_grace + earned

    def cut(self) -> None:
        """End at once: what is still to be sent is not waited for, as closing would."""
        if self.transport is not None:
            self.transport.abort()

    def log_exception(self, *args: Any, **kwargs: Any) -> None:
        """What went wrong beside a request, without its words: they may hold a header."""
        error = kwargs.get("exc_info")
        if not isinstance(error, web.RequestPayloadError):  # the answer has said that
            log.error("a connection failed", error=type(error).__name__)

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        if isinstance(exc, ContentEncodingError):
            status = 415
        log.warning("request refused by the parser", status=status, error=type(exc).__name__)
        if request.writer.output_size > 0:
            raise ConnectionError("the answer had begun")
        kind, text = _REFUSALS.get(status, _FAILED)
        error = {"message": text, "type": kind, "param": None, "code": None}
        response = answers.json_bytes(jsonio.dumps({"error": error}), status)
        response.force_close()
        return response


_REFUSALS = {
    400: ("invalid_request_error", "malformed HTTP request"),
    415: ("invalid_request_error", WRONG_ENCODING),
}
_FAILED = ("server_error", "internal error")


def may_be_a_head(data: bytes) -> bool:
    """Whether *data* may be the beginning of a head: text in lines that end in CRLF. Waiting for the
    rest of anything else (TLS, say) would only keep its sender from knowing.
    """
    return (data[:1].isalpha() or data[:1] == b"\r") and data.count(b"\n") == data.count(b"\r\n")


_USER_AGENT = re.compile(rb"\r\nuser-agent:[^\r\n]*", re.IGNORECASE)


def without_repeated_user_agent(data: bytes, end: int) -> bytes:
    """*data*, a request whose head ends at *end*, with only its first User-Agent line."""
    head = data[:end]
    if head.lower().count(b"\r\nuser-agent:") < 2:
        return data
    for match in reversed(list(_USER_AGENT.finditer(head))[1:]):
        head = head[: match.start()] + head[match.end() :]
    return head + data[end:]
