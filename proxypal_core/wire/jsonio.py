"""JSON in and out, and typed reads whose errors name the path. The only importer of orjson."""

import re
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias, TypeVar

import orjson

from proxypal_core.wire.spliced import Spliced

JsonObject: TypeAlias = dict[str, Any]
_T = TypeVar("_T")

_DEPTH_LIMIT = 200
"""What orjson reads it may still not write: that stops at 254, our own wrapping included."""
_CONTAINERS = (dict, list)
_SHORT = 4096


class Malformed(ValueError):
    """A document is not what it must be. ``path`` names the place, as in ``messages[2].role``."""

    def __init__(self, path: str, problem: str) -> None:
        super().__init__(f"{path}: {problem}" if path else problem)
        self.path = path
        self.problem = problem


def loads(data: bytes | str) -> Any:
    """Parse *data*.

    Raises:
        Malformed: it is not JSON (RFC 8259; NaN, lone surrogates and absurd depth included).
    """
    try:
        value = orjson.loads(data)
    except (orjson.JSONDecodeError, RecursionError) as error:
        raise Malformed("", f"not valid JSON: {error}") from None
    if len(data) > 2 * _DEPTH_LIMIT and _may_be_deep(data) and _is_deep(value):
        raise Malformed("", "is nested too deeply")
    return value


def _may_be_deep(data: bytes | str) -> bool:
    """Whether there are brackets enough."""
    if isinstance(data, str):
        return data.count("{") + data.count("[") >= _DEPTH_LIMIT
    if len(data) < _SHORT:
        return data.count(b"{") + data.count(b"[") >= _DEPTH_LIMIT
    return _has_many(data, b"{") or _has_many(data, b"[")


def _has_many(data: bytes, bracket: bytes) -> bool:
    """Whether *data* has half as many as make it too deep; looked for one by one, since they are few
    in what is mostly text, which ``find`` passes over at the speed of the memory.
    """
    at = -1
    for _ in range(_DEPTH_LIMIT // 2):
        at = data.find(bracket, at + 1)
        if at < 0:
            return False
    return True


def _is_deep(value: Any) -> bool:
    level: list[Any] = [[value]]
    for _ in range(_DEPTH_LIMIT + 1):
        level = [
            inner
            for outer in level
            for inner in (outer.values() if type(outer) is dict else outer)
            if type(inner) in _CONTAINERS
        ]
        if not level:
            return False
    return True


def unescaped(text: bytes | bytearray) -> str:
    """The string that JSON has as *text* between its quotes."""
    return str(orjson.loads(b"".join((b'"', text, b'"'))))


def escaped(text: str) -> bytes:
    """*text* as JSON has it between its quotes."""
    return orjson.dumps(text)[1:-1]


def load_object(data: bytes | str) -> JsonObject:
    return obj(loads(data), "")


def dumps(value: Any) -> bytes:
    """Compact UTF-8 JSON. Keys keep their order, so equal values give equal bytes."""
    return orjson.dumps(value, option=orjson.OPT_NON_STR_KEYS)


def dumps_text(value: Any) -> str:
    return dumps(value).decode()


def dumps_pretty(value: Any) -> str:
    return orjson.dumps(value, option=orjson.OPT_INDENT_2).decode()


def verbatim(text: str) -> Any:
    """JSON *text*, known to be valid, as a value that is written just as it is spelt."""
    return orjson.Fragment(text)


def escape_separators(data: bytes) -> bytes:
    """JSON text with U+2028 and U+2029 escaped, as Google's servers do: some stream readers take
    them for line ends.
    """
    if data.isascii() or b"\xe2\x80" not in data:
        return data
    return data.replace(b"\xe2\x80\xa8", b"\\u2028").replace(b"\xe2\x80\xa9", b"\\u2029")


# ── typed reads ──────────────────────────────────────────────────────────────────────────────


def obj(value: Any, path: str) -> JsonObject:
    if isinstance(value, dict):
        return value
    raise Malformed(path, f"must be an object, not {_named(value)}")


def arr(value: Any, path: str) -> list[Any]:
    if isinstance(value, list):
        return value
    raise Malformed(path, f"must be an array, not {_named(value)}")


def string(value: Any, path: str) -> str:
    if isinstance(value, str):
        return value
    raise Malformed(path, f"must be a string, not {_named(value)}")


def filled(value: Any, path: str) -> str:
    """A string with something in it."""
    if string(value, path):
        return str(value)
    raise Malformed(path, "must not be empty")


def integer(value: Any, path: str) -> int:
    """An integer of 64 bits; a float without a fraction counts, since some clients send 1024.0."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, int) and not isinstance(value, bool):
        if -(2**63) <= value < 2**63:
            return value
        raise Malformed(path, "is too large")
    raise Malformed(path, f"must be an integer, not {_named(value)}")


def number(value: Any, path: str) -> float:
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return value
    raise Malformed(path, f"must be a number, not {_named(value)}")


def boolean(value: Any, path: str) -> bool:
    if isinstance(value, bool):
        return value
    raise Malformed(path, f"must be true or false, not {_named(value)}")


def opt(
    parent: Mapping[str, Any], key: str, read: Callable[[Any, str], _T], path: str = ""
) -> _T | None:
    """The value at *key* read by *read*; None when it is absent or null."""
    value = parent.get(key)
    return None if value is None else read(value, join(path, key))


def need(parent: Mapping[str, Any], key: str, read: Callable[[Any, str], _T], path: str = "") -> _T:
    """The value at *key*, which must be there."""
    if key not in parent:
        raise Malformed(join(path, key), "is required")
    return read(parent[key], join(path, key))


def join(path: str, key: str) -> str:
    return f"{path}.{key}" if path else key


def _named(value: Any) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "true or false"
        case int() | float():
            return "a number"
        case str():
            return "a string"
        case list():
            return "an array"
        case _:
            return "an object"


# ── one string changed in place ──────────────────────────────────────────────────────────────

_TOKEN = re.compile(rb'"(?:[^"\\]++|\\.)*+"|[{}\[\],]', re.DOTALL)


def replace_string(
    body: bytes, path: tuple[str, ...], new: str, *, document: JsonObject | None = None
) -> bytes:
    """*body*, valid JSON, with the string at *path* (keys from the root) replaced by *new*.
    *document* is what it says, where that is known.

    Everything else stays byte for byte: number spellings, key order, white space; all of it where
    there is no string at *path*.

    Raises:
        Malformed: *body* is not valid JSON.
    """
    literal = orjson.dumps(new)
    for start, end in reversed(_string_spans(body, path, document)):
        body = b"".join((body[:start], literal, body[end:]))
    return body


def with_string(
    body: bytes, path: tuple[str, ...], new: str, *, document: JsonObject | None = None
) -> bytes | Spliced:
    """What ``replace_string`` gives; of a long body, nothing was copied.

    Raises:
        Malformed: *body* is not valid JSON.
    """
    if len(body) <= _LONG:
        return replace_string(body, path, new, document=document)
    literal = orjson.dumps(new)
    whole = memoryview(body)
    pieces: list[bytes | memoryview] = []
    done = 0
    for start, end in _string_spans(body, path, document):
        pieces += (whole[done:start], literal)
        done = end
    pieces.append(whole[done:])
    return Spliced(pieces)


_LONG = 16 * 1024
"""Bytes from which on a copy costs more than several pieces."""


def _string_spans(
    body: bytes, path: tuple[str, ...], document: JsonObject | None
) -> list[tuple[int, int]]:
    value: Any = loads(body) if document is None else document
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    if not isinstance(value, str):
        return []
    # The only place where the key stands plainly is the one at *path*, if it has the same value;
    # several (a key of that name deeper down) need the walk. Nobody repeats a document's first key with
    # the same value, and to look for it everywhere would take as long as to read it.
    key, spelt = orjson.dumps(path[-1]), orjson.dumps(value)
    at = body.find(key)
    first = len(path) == 1 and body[:at].strip() == b"{"
    if at >= 0 and (first or body.find(key, at + 1) < 0):
        at += len(key)
        start = body.find(spelt, at)
        if start >= 0 and body[at:start].strip() == b":":
            return [(start, start + len(spelt))]
    return _walk(body, path)


def _walk(body: bytes, path: tuple[str, ...]) -> list[tuple[int, int]]:
    """Every span of a string at *path*; a repeated key gives several."""
    spans: list[tuple[int, int]] = []
    keys: list[str | None] = []  # the key now open at each depth; None inside an array
    expect_key: list[bool] = []
    for match in _TOKEN.finditer(body):
        token = match[0]
        if token == b"{":
            keys.append("")
            expect_key.append(True)
        elif token == b"[":
            keys.append(None)
            expect_key.append(False)
        elif token in (b"}", b"]"):
            keys.pop()
            expect_key.pop()
        elif token == b",":
            expect_key[-1] = keys[-1] is not None
        elif keys and expect_key[-1]:
            keys[-1] = orjson.loads(token)
            expect_key[-1] = False
        elif tuple(keys) == path:
            spans.append(match.span())
    return spans
