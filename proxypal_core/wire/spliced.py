"""Bytes in pieces, so that changing a few of a megabyte copies nothing."""

from collections.abc import Sequence


class Spliced:
    """*pieces*, one after the other; ``bytes`` makes them one."""

    __slots__ = ("pieces",)

    def __init__(self, pieces: Sequence[bytes | memoryview]) -> None:
        self.pieces = pieces

    def __len__(self) -> int:
        return sum(map(len, self.pieces))

    def __bytes__(self) -> bytes:
        return b"".join(self.pieces)
