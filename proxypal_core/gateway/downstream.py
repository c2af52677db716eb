"""The client's side of a streamed answer: headers held back, heartbeats, backpressure, breaking off.

Nothing is sent until the first piece of content has come, so that a failure before it can still
be an HTTP status, or another account's answer. After ``hold`` seconds the headers go out all the
same and heartbeats follow, since clients and middle boxes give up on silence.
"""

import asyncio
from collections.abc import Callable, Mapping
from typing import Protocol

from proxypal_core.dialects import gemini, openai_legacy
from proxypal_core.gateway.request import Request, Sent
from proxypal_core.wire import sse

WRITE_BUFFER = 16 * 1024
"""Bytes the socket layer may hold for a client that reads slowly; then we stop reading upstream."""

_LAST_CHUNK = b"0\r\n\r\n"
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
        request: Request,
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
        self._begun = False
        self._chunked = request.version == "1.1"
        self._loop = asyncio.get_running_loop()
        self._last_write = self._loop.time()
        self._timer = self._loop.call_later(hold, self._due)
        self._beat: asyncio.Task[None] | None = None

    @property
    def started(self) -> bool:
        """Whether the client has seen the status line: failures must be told in the stream now."""
        return self._begun

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
            not self._begun
            or self._reframe is not None
            or transport is None
            or transport.get_write_buffer_size() > WRITE_BUFFER
        )

    def write_now(self, data: bytes) -> None:
        """As ``write``, at once; for when it is not full. To a client that went away, nothing is
        sent.
        """
        if data:
            try:  # noqa: SIM105 — suppress is an object and three calls, for each event
                self._send(data)
            except ConnectionError:
                pass

    async def finish(self, last: bytes = b"") -> Sent:
        """Send *last* and end the answer cleanly: its terminal event has come."""
        self._timer.cancel()
        if self._reframe is not None:
            last = (self._reframe.feed(last) if last else b"") + self._reframe.close()
        self._send(last, over=True)
        await self._request.drain()
        return Sent(200, self._request.keep_alive)

    async def break_off(self, last: bytes) -> Sent:
        """Send *last*, which tells the failure, and cut: a clean end would look like success."""
        self._timer.cancel()
        if self._reframe is not None:
            last = self._reframe.feed(last)
        await self._write(last)
        await asyncio.sleep(BREAK_SECONDS)
        transport = self._request.transport
        if transport is not None:
            transport.close()  # after what is buffered, without the last chunk
        return Sent(200, keep_alive=False)

    def close(self) -> None:
        """Whatever happened, no heartbeat follows."""
        self._timer.cancel()
        if self._beat is not None:
            self._beat.cancel()

    async def _write(self, data: bytes) -> None:
        if data:
            self._send(data)
            await self._request.drain()

    def _send(self, data: bytes, *, over: bool = False) -> None:
        """Send *data*; with the end of the answer if it is *over*."""
        self._last_write = self._loop.time()
        if self._sent is not None and data:
            self._sent(data)
        head = b"" if self._begun else self._head()
        end = _LAST_CHUNK if over and self._chunked else b""
        if self._chunked and data:
            self._request.write(b"%b%x\r\n%b\r\n%b" % (head, len(data), data, end))
        else:
            self._request.write(head + data + end)

    def _head(self) -> bytes:
        """The head of the answer, the first time."""
        if self._begun:
            return b""
        self._begun = True
        transport = self._request.transport
        if transport is not None:
            transport.set_write_buffer_limits(high=WRITE_BUFFER)
        content_type = self._reframe.content_type if self._reframe else "text/event-stream"
        framing = {"transfer-encoding": "chunked"} if self._chunked else {}
        self._request.keep_alive &= self._chunked
        headers = {
            **self._headers(),
            "content-type": content_type,
            "cache-control": "no-cache",
            **framing,
        }
        return self._request.head(tuple(headers), tuple(headers.values()))

    def _due(self) -> None:
        """The time to hold back is over, or the stream may have been silent for an interval."""
        silent = self._loop.time() - self._last_write
        if self._begun and silent < self._interval:
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
