"""Undoing the compression of a body, a bounded piece at a time."""

import sys
import zlib
from collections.abc import Iterator
from typing import Any

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

PIECE = 1024 * 1024
"""Bytes that are inflated at a time, at most."""


def inflated(encoding: str, data: bytes) -> Iterator[bytes]:
    """All of *data*, which is compressed with *encoding* (gzip, deflate or zstd).

    Raises:
        ValueError: it is not, or it has no end.
    """
    if encoding == "zstd":
        yield from _frames(data)
        return
    inflating = Inflating()
    inflating.feed(data)
    while piece := inflating.more():
        yield piece
    inflating.close()


class Inflating:
    """Undoes gzip and deflate of what is fed."""

    def __init__(self) -> None:
        self._zlib: Any = None
        self._tail = b""
        self._first = True

    def feed(self, data: bytes) -> None:
        self._tail += data

    def more(self) -> bytes:
        """The next piece of what was fed; empty when there is none yet.

        Raises:
            ValueError: it is not compressed as it says.
        """
        while self._tail:
            if self._zlib is None:
                self._zlib = zlib.decompressobj(self._window())
            try:
                out: bytes = self._zlib.decompress(self._tail, PIECE)
            except zlib.error as error:
                raise ValueError(str(error)) from None
            self._tail = self._zlib.unconsumed_tail or self._zlib.unused_data
            if self._zlib.eof:  # gzip may have another member
                self._zlib = None
            if out:
                return out
        return b""

    def close(self) -> None:
        """Nothing more will come.

        Raises:
            ValueError: more should have come.
        """
        if self._zlib is not None:
            raise ValueError("the end is missing")

    def _window(self) -> int:
        """Gzip and zlib say what they are; some servers' "deflate" says nothing."""
        named = self._tail[:1] in (b"\x1f", b"\x78") or not self._first
        self._first = False
        return 32 + zlib.MAX_WBITS if named else -zlib.MAX_WBITS


def _frames(data: bytes) -> Iterator[bytes]:
    while data:
        frame = zstd.ZstdDecompressor()
        while not frame.eof:
            if frame.needs_input and not data:
                raise ValueError("the end is missing")
            try:
                piece = frame.decompress(data, PIECE)
            except zstd.ZstdError as error:
                raise ValueError(str(error)) from None
            data = b""
            if piece:
                yield piece
        data = frame.unused_data
