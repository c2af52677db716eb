"""The HTTP server: aiohttp's, with what it gets wrong for a proxy put right.

* A client that goes away cancels its handler (``handler_cancellation``), in every phase.
* What the parser refuses is answered with fixed words: aiohttp's own put the offending header,
  which may be a key, into the answer and the log.
* A repeated ``User-Agent`` (google-genai under pydantic-ai sends two) does not kill the request.
"""

import asyncio
import re
from collections.abc import Awaitable, Callable
from typing import Any

import structlog
from aiohttp import web
from aiohttp.abc import AbstractStreamWriter
from aiohttp.http_parser import RawRequestMessage
from aiohttp.streams import StreamReader
from aiohttp.web_protocol import RequestHandler

from proxypal_core.wire import jsonio

BODY_LIMIT = 64 * 1024 * 1024
"""Bytes of a request's body, after decompression. Agents send images inline."""
HEADER_LIMIT = 16 * 1024
"""Bytes of one header line. Codex and Claude Code send JSON in headers."""
KEEP_ALIVE = 75.0
_HEAD_LIMIT = 128 * 1024

Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]

log = structlog.get_logger(__name__)


def server(handler: Handler) -> "Server":
    """The server of one listener, calling *handler* for each request."""
    return Server(
        handler,
        request_factory=_request,
        handler_cancellation=True,
        access_log=None,
        keepalive_timeout=KEEP_ALIVE,
        max_field_size=HEADER_LIMIT,
        max_line_size=HEADER_LIMIT,
    )


class Server(web.Server):
    def __call__(self) -> RequestHandler:
        return Connection(self, loop=self._loop, **self._kwargs)


class Connection(RequestHandler):
    """One client connection."""

    __slots__ = ("_body", "_head")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._head = b""
        self._body: StreamReader | None = None

    def data_received(self, data: bytes) -> None:
        """Feed the parser, each request's head in one piece and without a second User-Agent.

        A head is looked at where a segment begins with one; a pipelined request behind a body in
        the same segment is not, and no client that repeats the header pipelines.
        """
        if self._body is None or self._body.is_eof():
            data = self._head + data
            end = data.find(b"\r\n\r\n")
            if end < 0 and len(data) < _HEAD_LIMIT:
                self._head = data
                return
            self._head = b""
            data = without_repeated_user_agent(data, end)
        before = self._request_count
        super().data_received(data)
        if self._request_count > before:
            self._body = self._messages[-1][1] if self._messages else None

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        log.warning("request refused by the parser", status=status, error=type(exc).__name__)
        if request.writer.output_size > 0:
            raise ConnectionError("the answer had begun")
        text = "malformed HTTP request" if status < 500 else "internal error"
        kind = "invalid_request_error" if status < 500 else "server_error"
        response = web.Response(
            status=status,
            body=jsonio.dumps(
                {"error": {"message": text, "type": kind, "param": None, "code": None}}
            ),
            content_type="application/json",
        )
        response.force_close()
        return response


_USER_AGENT = re.compile(rb"\r\nuser-agent:[^\r\n]*", re.IGNORECASE)


def without_repeated_user_agent(data: bytes, end: int) -> bytes:
    """*data*, a request whose head ends at *end*, with only its first User-Agent line."""
    head = data[:end]
    found = list(_USER_AGENT.finditer(head))
    if len(found) < 2:
        return data
    for match in reversed(found[1:]):
        head = head[: match.start()] + head[match.end() :]
    return head + data[end:]


def _request(
    message: RawRequestMessage,
    payload: StreamReader,
    protocol: RequestHandler,
    writer: AbstractStreamWriter,
    task: "asyncio.Task[None]",
) -> web.BaseRequest:
    return web.BaseRequest(
        message,
        payload,
        protocol,
        writer,
        task,
        asyncio.get_running_loop(),
        client_max_size=BODY_LIMIT,
    )
