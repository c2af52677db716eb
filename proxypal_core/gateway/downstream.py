"""The client's side of a streamed answer: headers held back, heartbeats, backpressure, breaking off.

Nothing is sent until the first piece of content has come, so that a failure before it can still
be an HTTP status, or another account's answer. After ``hold`` seconds the headers go out all the
same and heartbeats follow, since clients and middle boxes give up on silence.
"""

import asyncio
from collections.abc import Callable, Mapping
from typing import Protocol

from aiohttp import web

from proxypal_core.dialects import gemini, openai_legacy
from proxypal_core.wire import sse

WRITE_BUFFER = 16 * 1024
"""Bytes the socket layer may hold for a client that reads slowly; then we stop reading upstream."""


BREAK_SECONDS = 0.2
"""Between the last words and the cut. Some clients (aiohttp's, and with it google-genai) forget what
they have not read yet when a connection breaks; most leave by themselves when they read an error.
"""


class Reframe(Protocol):
    """Server-sent events into another framing that a client asked for."""

    content_type: str
    heartbeat: bytes

    def feed(self, data: bytes, /) -> bytes: ...
    def close(self) -> bytes: ...


class Downstream:
    """A streamed answer to *request*. ``headers`` is asked for them at the moment they are sent,
    ``sent`` is told every byte of the body.
    """

    def __init__(
        self,
        request: web.BaseRequest,
        *,
        heartbeat: bytes,
        headers: Callable[[], Mapping[str, str]],
        hold: float,
        interval: float,
        reframe: Reframe | None = None,
        sent: Callable[[bytes], None] | None = None,
    ) -> None:
        self._request = request
        self._sent = sent
        self._heartbeat = reframe.heartbeat if reframe else heartbeat
        self._headers = headers
        self._interval = interval
        self._reframe = reframe
        self._response: web.StreamResponse | None = None
        self._chunked = False
        self._lock = asyncio.Lock()
        self._loop = asyncio.get_running_loop()
        self._last_write = self._loop.time()
        self._timer = self._loop.call_later(hold, self._due)
        self._beat: asyncio.Task[None] | None = None

    @property
    def started(self) -> bool:
        """Whether the client has seen the status line: failures must be told in the stream now."""
        return self._response is not None

    async def write(self, data: bytes) -> None:
        """Send *data*, whole events; returns when the client has taken enough of it.

        Raises:
            ConnectionError: the client went away.
        """
        if self._reframe is not None:
            data = self._reframe.feed(data)
        await self._write(data)

    @property
    def is_full(self) -> bool:
        """Whether the client has to be waited for before more is written."""
        transport = self._request.transport
        return (
            self._response is None
            or self._reframe is not None
            or transport is None
            or transport.get_write_buffer_size() > WRITE_BUFFER
        )

    def write_now(self, data: bytes) -> None:
        """As ``write``, at once; for when it is not full."""
        transport = self._request.transport
        if data and transport is not None:
            self._last_write = self._loop.time()
            if self._sent is not None:
                self._sent(data)
            transport.write(b"%x\r\n%b\r\n" % (len(data), data) if self._chunked else data)

    async def finish(self) -> web.StreamResponse:
        """End the answer cleanly: its terminal event has come."""
        self._timer.cancel()
        if self._reframe is not None:
            await self._write(self._reframe.close())
        response = await self._started()
        await response.write_eof()
        return response

    async def break_off(self, last: bytes) -> web.StreamResponse:
        """Send *last*, which tells the failure, and cut: a clean end would look like success."""
        self._timer.cancel()
        if self._reframe is not None:
            last = self._reframe.feed(last)
        await self._write(last)
        response = await self._started()
        await asyncio.sleep(BREAK_SECONDS)
        transport = self._request.transport
        if transport is not None:
            transport.close()  # after what is buffered, without the last chunk
        return response

    def close(self) -> None:
        """Whatever happened, no heartbeat follows."""
        self._timer.cancel()
        if self._beat is not None:
            self._beat.cancel()

    async def _write(self, data: bytes) -> None:
        if data:
            response = self._response
            if response is None:
                response = await self._started()
            self._last_write = self._loop.time()
            if self._sent is not None:
                self._sent(data)
            await response.write(data)
            await self._request.writer.drain()  # write() itself waits after every 64 KiB only

    async def _started(self) -> web.StreamResponse:
        async with self._lock:  # a heartbeat may come in between
            if self._response is None:
                self._response = await self._begun()
            return self._response

    async def _begun(self) -> web.StreamResponse:
        content_type = self._reframe.content_type if self._reframe else "text/event-stream"
        response = web.StreamResponse(headers={**self._headers(), "content-type": content_type})
        response.headers["cache-control"] = "no-cache"
        transport = self._request.transport
        if transport is not None:
            transport.set_write_buffer_limits(high=WRITE_BUFFER)
        await response.prepare(self._request)
        self._chunked = response.headers.get("transfer-encoding") == "chunked"
        return response

    def _due(self) -> None:
        """The time to hold back is over, or the stream may have been silent for an interval."""
        silent = self._loop.time() - self._last_write
        if self._response is not None and silent < self._interval:
            self._timer = self._loop.call_later(self._interval - silent, self._due)
            return
        if self._beat is None or self._beat.done():
            self._beat = self._loop.create_task(self._write_heartbeat())
        self._timer = self._loop.call_later(self._interval, self._due)

    async def _write_heartbeat(self) -> None:
        try:
            await self._write(self._heartbeat)
        except ConnectionError:
            self._timer.cancel()  # the handler is being cancelled for the same reason


class LegacyCompletions:
    """``/v1/completions``: chat's events as text completions."""

    content_type = "text/event-stream"
    heartbeat = b": keep-alive\n\n"

    def feed(self, data: bytes, /) -> bytes:
        splitter = sse.Splitter()
        raws = (*splitter.feed(data), splitter.close())
        return b"".join([openai_legacy.from_chat_event(raw) for raw in raws if raw])

    def close(self) -> bytes:
        return b""


class JsonArray:
    """Gemini's streamGenerateContent without ``alt=sse``: the events as items of a JSON array."""

    content_type = "application/json"
    heartbeat = b"\r\n"

    def __init__(self) -> None:
        self._first = True

    def feed(self, data: bytes, /) -> bytes:
        items = []
        splitter = sse.Splitter()
        for raw in (*splitter.feed(data), splitter.close()):
            frame = sse.parse(raw)
            if frame is not None:
                items.append(gemini.as_array_item(frame.data, self._first))
                self._first = False
        return b"".join(items)

    def close(self) -> bytes:
        return b"[]" if self._first else gemini.ARRAY_END
