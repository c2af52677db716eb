"""The head of an HTTP/1.1 message, as it is sent."""

from collections.abc import Iterable
from functools import lru_cache


def head(first: str, names: tuple[str, ...], values: Iterable[str]) -> bytes:
    """*first*, the line that a message begins with, and its headers: each of *names* with the one of
    *values* in its place. Most messages have the same names as the one before.

    Raises:
        ValueError: one of them holds what would end its line, or no UTF-8.
    """
    said = [first, *values]
    told = "".join(said)
    if "\n" in told or "\r" in told or "\0" in told:
        raise ValueError("a header holds the end of a line")
    lines = _between(names).copy()
    lines[::2] = said
    return "".join(lines).encode()


@lru_cache(maxsize=512)
def _between(names: tuple[str, ...]) -> list[str]:
    """The pieces of a head, those at even places empty: what stands between goes there."""
    told = "".join(names)
    if not told.isascii() or not told.isprintable() or " " in told or ":" in told:
        raise ValueError("the name of a header is none")
    return ["", *[piece for name in names for piece in (f"\r\n{name}: ", "")], "\r\n\r\n"]
