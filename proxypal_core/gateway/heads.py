"""The head of a request: what is taken for one, besides what the parser minds, and its headers."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar, TypeVarTuple

LINE_LIMIT = 16 * 1024
"""Bytes of a header line, and of a target. Codex and Claude Code send JSON in headers."""
HEAD_LIMIT = 128 * 1024
"""Bytes of a head, and of what may come in a body's stead: trailers, or the names of chunks."""
VERSIONS = ("1.1", "1.0")
"""Of HTTP."""
_HEADERS = 128
_ONCE = frozenset({"host", "content-type", "content-encoding"})
"""What must not come twice, besides what frames a body, which the parser minds: those who read
different ones of them would understand a request differently.
"""

T = TypeVar("T")
Ts = TypeVarTuple("Ts")


class Malformed(Exception):
    """What came is no request."""


class Headers:
    """The headers of a request, of which *raw* are the names and values by turns; ``content-length``
    is not among them. Clients send the same ones with each of their requests: a connection keeps the
    last, and with them what was found there.
    """

    __slots__ = ("_found", "joined", "named", "pairs")

    def __init__(self, raw: Sequence[bytes]) -> None:
        self.pairs: Sequence[tuple[str, str]] = [
            (name.decode("latin-1").lower(), value.decode("utf-8", "surrogateescape"))
            for name, value in zip(raw[::2], raw[1::2], strict=True)
        ]
        """As they came, but for their names, which are in small letters."""
        self.named: Mapping[str, str] = dict(reversed(self.pairs))
        """The same by name; the first of those that came twice."""
        self.joined = self.named
        """The same; those that came twice (``anthropic-beta`` may) as one list."""
        if len(self.named) < len(self.pairs):
            self.joined = {
                name: ", ".join(value for n, value in self.pairs if n == name)
                for name in self.named
            }
        self._found: dict[tuple[object, ...], Any] = {}

    def once(self, find: "Callable[[Headers, *Ts], T]", *args: *Ts) -> T:
        """What *find*, given *args*, finds in them and nowhere else; it is asked once."""
        asked = (find, *args)
        if asked not in self._found:
            self._found[asked] = find(self, *args)
        found: T = self._found[asked]
        return found


def read(raw: Sequence[bytes]) -> Headers:
    """The headers of which *raw* are the names and values by turns.

    Raises:
        Malformed: they are too many, or one that must not comes twice.
    """
    if len(raw) > 2 * _HEADERS:
        raise Malformed
    headers = Headers(raw)
    if len(headers.named) != len(headers.pairs):
        names = [name for name, _ in headers.pairs]
        if any(names.count(name) > 1 for name in _ONCE):
            raise Malformed
    return headers


def framing(headers: Headers, length: int | None) -> bytes:
    """A head that says of its body what *headers* and *length* (bytes) say of theirs, and nothing else."""
    lines = [f"{name}: {value}\r\n" for name, value in headers.pairs if name == "transfer-encoding"]
    if length is not None:
        lines.append(f"content-length: {length}\r\n")
    return f"POST / HTTP/1.1\r\n{''.join(lines)}\r\n".encode()
