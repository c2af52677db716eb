"""How long clients may keep us waiting, and how much of what they send is held at a time.

aiohttp bounds neither: a connection that sends nothing, half a head or half a body stays open for
ever, and every body is read whole before it is counted.
"""

from typing import Any

import msgspec
from aiohttp import web
from aiohttp.streams import StreamReader

from proxypal_core.hub.failure import Failure, Kind, Refused

MIB = 1024 * 1024
_PRESSED = 16


class Limits(msgspec.Struct, frozen=True):
    """Times in seconds, sizes in bytes.

    ``head`` is from a connection's beginning, or a later head's first byte, to the head's end. A body
    may take ``body_grace`` and a second more for every ``body_rate`` that has come (the rule of
    Apache's mod_reqtimeout). ``stalled`` is for a client that takes nothing of its answer.
    ``inflated`` is what a compressed body may have become when ``ratio`` begins to bound it.
    """

    head: float = 10.0
    body_grace: float = 10.0
    body_rate: int = 1024
    stalled: float = 300.0
    sweep: float = 1.0
    connections: int = 1024
    bodies: int = 512 * MIB
    inflated: int = 16 * MIB
    ratio: int = 50


class Room:
    """Room for the bodies of all requests together; a sixteenth of it while ``pressed`` says that
    memory runs short. A body that is alone is always taken: freed memory may stay with the process,
    and would otherwise keep everybody out for ever.
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self.held = 0
        self.pressed = False

    def check(self, size: int) -> None:
        """Refuse a body of *size* that there is no room for now.

        Raises:
            Refused: another moment may do.
        """
        most = self.most // _PRESSED if self.pressed else self.most
        if self.held and self.held + size > most:
            raise Refused(
                Failure(
                    Kind.OVERLOADED,
                    "the proxy holds as many requests as its memory allows; ask again in a moment",
                    retry_after=1.0,
                )
            )

    def take(self, size: int) -> None:
        """Count *size* as held until it is given back.

        Raises:
            Refused: as ``check``.
        """
        self.check(size)
        self.held += size

    def give_back(self, size: int) -> None:
        self.held -= size


WRONG_ENCODING = "this content-encoding is not read here; send gzip, deflate, zstd or none"
_ENCODINGS = frozenset({"", "identity", "gzip", "deflate", "zstd"})
_PIECE = MIB
"""Bytes that the parser may have ready; aiohttp would inflate as many as the whole limit at once."""


class Request(web.BaseRequest):
    """A request whose body is bounded, and counted in ``room`` until ``give_back``."""

    def __init__(self, *args: Any, limits: Limits, room: Room, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
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
            check_encoding(self.headers.get("Content-Encoding", ""))
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


def check_encoding(value: str) -> None:
    """Refuse a Content-Encoding that is not undone before the body is read."""
    if value.strip().lower() not in _ENCODINGS:
        raise Refused(Failure(Kind.MEDIA_TYPE, WRONG_ENCODING))
