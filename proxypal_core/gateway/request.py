"""A client's request, and the way back: whole answers and streams, written as they are.

An ``aiohttp.web.Response`` would take as long as all the rest of the way back, so those that go by
the thousand, a provider's answers, are not made one of.
"""

from collections.abc import Mapping
from typing import Any, TypeAlias

import msgspec
from aiohttp import HttpVersion11, web
from aiohttp.helpers import rfc822_formatted_time
from aiohttp.streams import StreamReader

from proxypal_core.gateway.guard import MIB, Limits, Room, check_encoding
from proxypal_core.hub.failure import Failure, Kind, Refused

_PIECE = MIB
"""Bytes that the parser may have ready; aiohttp would inflate as many as the whole limit at once."""


class Sent(msgspec.Struct, frozen=True):
    """An answer that is with the client. Unless ``keep_alive``, the connection ends with it."""

    status: int
    keep_alive: bool


Answer: TypeAlias = web.StreamResponse | Sent


class Request(web.BaseRequest):
    """A request whose body is bounded, and counted in ``room`` until ``give_back``."""

    def __init__(self, *args: Any, limits: Limits, room: Room, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.pairs = [(name.lower(), value) for name, value in self._headers.items()]
        """The headers as they came, but for their names, which are in small letters."""
        self.named = dict(reversed(self.pairs))
        """The same by name; the first of those that came twice."""
        self._limits = limits
        self._room = room
        self._held = 0

    async def read(self) -> bytes:
        """The whole body, decompressed.

        Raises:
            HTTPRequestEntityTooLarge: it is longer than ``client_max_size``, or grows like a bomb.
            Refused: there is no room for it now, or it cannot be read.
        """
        if self._read_bytes is None:
            check_encoding(self.named.get("content-encoding", ""))
            self._check_length(self.content_length or 0)
            try:
                self._read_bytes = await self._whole(self._payload)
            except web.RequestPayloadError:
                raise Refused(
                    Failure(
                        Kind.INVALID, "the body is damaged; send it again, without Content-Encoding"
                    )
                ) from None
        return self._read_bytes

    def give_back(self) -> None:
        """The answer is made: what was read counts no more."""
        if self._held:
            self._room.give_back(self._held)
            self._held = 0

    def _check_length(self, length: int) -> None:
        if length > self._client_max_size:
            raise web.HTTPRequestEntityTooLarge(self._client_max_size, length)
        self._room.check(length)

    async def _whole(self, payload: StreamReader) -> bytes:
        if payload.is_eof():  # a small one comes with its head
            whole: bytes = payload.read_nowait()
            if whole:
                self._take(whole, payload)
            return whole
        payload.set_read_chunk_size(_PIECE)
        pieces: list[bytes] = []
        while piece := await payload.readany():
            self._take(piece, payload)
            pieces.append(piece)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def _take(self, piece: bytes, payload: StreamReader) -> None:
        self._room.take(len(piece))
        self._held += len(piece)
        if self._held > self._allowed(payload.total_raw_bytes):
            raise web.HTTPRequestEntityTooLarge(self._client_max_size, self._held)

    def _allowed(self, sent: int) -> int:
        """Bytes that a body may have become of which *sent* came over the wire."""
        limits = self._limits
        return min(self._client_max_size, max(limits.inflated, limits.ratio * sent))

    # ── the way back ─────────────────────────────────────────────────────────────────────────

    async def send(self, body: bytes, headers: Mapping[str, str]) -> Sent:
        """Send *body* with *headers* as the whole answer; returns when the client has taken enough
        of it.

        Raises:
            ConnectionError: the client went away.
        """
        self.write(self.head({**headers, "content-length": str(len(body))}) + body)
        await self.drain()
        return Sent(200, self.keep_alive)

    def head(self, headers: Mapping[str, str]) -> bytes:
        """The head of an answer with the status 200 and *headers*.

        Raises:
            ValueError: one of them holds the end of a line.
        """
        newest = self.version == HttpVersion11
        lines = [f"HTTP/1.{newest:d} 200 OK", f"date: {rfc822_formatted_time()}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        if self.keep_alive is not newest and "connection" not in headers:
            lines.append("connection: close" if newest else "connection: keep-alive")
        text = "\r\n".join(lines)
        if text.count("\n") != len(lines) - 1 or text.count("\r") != len(lines) - 1:
            raise ValueError("a header holds the end of a line")
        return f"{text}\r\n\r\n".encode()

    def write(self, data: bytes) -> None:
        """Send *data*, as it is, at once.

        Raises:
            ConnectionError: the client went away.
        """
        transport = self.transport
        if transport is None or transport.is_closing():
            raise ConnectionResetError
        self._payload_writer.output_size += len(data)  # by which aiohttp knows that it has begun
        transport.write(data)

    async def drain(self) -> None:
        """Wait until the client has taken enough of what was sent.

        Raises:
            ConnectionError: the client went away.
        """
        if self._protocol._paused:  # noqa: SLF001 — aiohttp says it to nobody else
            await self._protocol._drain_helper()  # noqa: SLF001 — as above
