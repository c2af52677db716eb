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


_BLOCK = 64 * 1024
"""Bytes that are looked at together: so soon it is seen how much they grow."""


def inflated(encoding: str, data: bytes) -> Iterator[tuple[bytes, int]]:
    """All of *data*, which is compressed with *encoding* (gzip, deflate or zstd), in pieces; with each
    comes how many bytes of *data* it and those before it were made of, at most.

    Raises:
        ValueError: it is not, or it has no end.
    """
    if encoding == "zstd":
        yield from _frames(data)
        return
    inflating = Inflating()
    for block, read in _blocks(data):
        inflating.feed(block)
        while piece := inflating.more():
            yield piece, read
    inflating.close()


def _blocks(data: bytes) -> Iterator[tuple[bytes, int]]:
    for at in range(0, len(data), _BLOCK):
        block = data[at : at + _BLOCK]
        yield block, at + len(block)


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


def _frames(data: bytes) -> Iterator[tuple[bytes, int]]:
    frame = None
    for block, read in _blocks(data):
        rest = block
        while rest or (frame is not None and not frame.eof and not frame.needs_input):
            if frame is None or frame.eof:
                frame = zstd.ZstdDecompressor()
            try:
                piece = frame.decompress(rest, PIECE)
            except zstd.ZstdError as error:
                raise ValueError(str(error)) from None
            rest = frame.unused_data if frame.eof else b""
            if piece:
                yield piece, read
    if frame is not None and not frame.eof:
        raise ValueError("the end is missing")
