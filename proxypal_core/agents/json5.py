"""JSON, JSON with comments, and JSON5 (https://spec.json5.org): read, and changed in place.

What is put in is plain JSON. All else stays as it is spelt: comments, quotes, trailing commas.
"""

import re
from collections.abc import Sequence
from typing import Any, NamedTuple

from proxypal_core.agents.tree import Path, Unreadable, depth, index_of, wrapped
from proxypal_core.wire import jsonio

_TRIVIA = re.compile(r"(?:[\s\ufeff]+|//[^\n\r]*|/\*.*?\*/)*", re.DOTALL)
_SAME_LINE = re.compile(r"(?:[ \t]*(?:/\*[^\n\r]*?\*/|//[^\n\r]*))?")
_STRING = re.compile(
    r'"(?:[^"\\\n\r]|\\(?:\r\n|.))*"|' r"'(?:[^'\\\n\r]|\\(?:\r\n|.))*'", re.DOTALL
)
_NAME = re.compile(r"[^\W\d][\w$]*|\$[\w$]*")
_NUMBER = re.compile(
    r"[+-]?(?:0[xX][0-9a-fA-F]+|Infinity|NaN|(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)"
)
_ESCAPE = re.compile(r"\\(u[0-9a-fA-F]{4}|x[0-9a-fA-F]{2}|\r\n|.)", re.DOTALL)
_ESCAPED = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v", "0": "\0"}
_WORDS = {"true": True, "false": False, "null": None}
_DEEPEST = 100


class _Node(NamedTuple):
    """A value and where it stands; ``members`` are those of an object or a list, keys None there."""

    start: int
    end: int
    value: Any
    members: Sequence["_Member"] = ()


class _Member(NamedTuple):
    """``start`` is where the key or the element begins; ``end`` is behind the value, or behind the
    comma after it.
    """

    start: int
    end: int
    key: str | None
    node: _Node


def read(text: str) -> Any:
    """The value of *text*; that of a blank one is an empty object.

    Raises:
        Unreadable: it is not JSON5, or names a key twice.
    """
    return {} if _blank(text) else _Reader(text).document().value


def put(text: str, path: Path, value: Any) -> str:
    """*text* with *value* at *path*.

    Raises:
        Unreadable: as ``read``, or something else is on the way to *path*.
    """
    if _blank(text):
        return jsonio.dumps_pretty(wrapped(path, value)) + "\n"
    node, there = _reach(text, path)
    unit = _unit(text)
    newline = "\r\n" if "\r\n" in text else "\n"
    if there == len(path):
        indent = _indent(text, node.start)
        spelt = _spelt(value, indent, unit, newline)
        return text[: node.start] + spelt + text[node.end :]
    step = path[there]
    key = jsonio.dumps_text(step) + ": " if isinstance(step, str) else ""
    inner = wrapped(path[there + 1 :], value)
    return _inserted(text, node, (key, inner), unit, newline)


def drop(text: str, path: Path) -> str:
    """*text* without what is at *path*; as it is where nothing is there.

    Raises:
        Unreadable: as ``put``.
    """
    if _blank(text):
        return text
    node, there = _reach(text, path)
    if there < len(path):
        return text
    parent, _ = _reach(text, path[:-1])
    at = next(i for i, member in enumerate(parent.members) if member.node.start == node.start)
    member = parent.members[at]
    last = at == len(parent.members) - 1
    if last and at > 0 and member.end == node.end:  # its comma is the one before it
        before = parent.members[at - 1]
        comma = before.end - 1
        rest = text[before.end : _line_start(text, member.start, before.end)]
        return text[:comma] + rest.rstrip(" \t\r\n") + text[member.end :]
    start = _line_start(text, member.start, parent.start + 1)
    if last and at == 0:
        end = member.end
        tail = _TRIVIA.match(text, end)
        if tail is not None and not tail[0].strip():
            end = tail.end()
        return text[:start].rstrip(" \t\r\n") + text[end:]
    return text[:start] + text[member.end :]


def _reach(text: str, path: Path) -> tuple[_Node, int]:
    """The deepest node on *path* that is there, and how many steps led to it."""
    node = _Reader(text).document()
    there = depth(node.value, path)
    for step in path[:there]:
        if isinstance(step, str):
            node = next(member.node for member in node.members if member.key == step)
        else:
            at = index_of(node.value, step)
            node = node.members[at or 0].node
    return node, there


def _inserted(text: str, node: _Node, new: tuple[str, Any], unit: str, newline: str) -> str:
    key, value = new
    if not node.members:
        indent = _indent(text, node.start)
        inside = text[node.start + 1 : node.end - 1]
        spelt = key + _spelt(value, indent + unit, unit, newline)
        gap = "" if inside.strip() else newline + indent
        head = text[: node.start + 1] + newline + indent + unit + spelt
        return head + (inside if inside.strip() else gap) + text[node.end - 1 :]
    last = node.members[-1]
    trailing = text[last.end - 1] == "," and last.end > last.node.end
    if newline not in text[node.start : last.start]:  # all on one line
        spelt = key + _spelt(value, _indent(text, node.start), "", "")
        at = last.end
        return text[:at] + (" " if trailing else ", ") + spelt + text[at:]
    indent = _indent(text, last.start)
    note = _SAME_LINE.match(text, last.end)
    after = note.end() if note is not None else last.end
    spelt = key + _spelt(value, indent, unit, newline)
    comma = "" if trailing else ","
    end = "," if trailing else ""
    return (
        text[: last.end]
        + comma
        + text[last.end : after]
        + newline
        + indent
        + spelt
        + end
        + text[after:]
    )


def _spelt(value: Any, indent: str, unit: str, newline: str) -> str:
    if not unit or value in ({}, []):
        return jsonio.dumps_text(value)
    lines = jsonio.dumps_pretty(value).split("\n")
    shifted = [
        unit * ((len(line) - len(line.lstrip(" "))) // 2) + line.lstrip(" ") for line in lines
    ]
    return (newline + indent).join(shifted)


def _unit(text: str) -> str:
    """What the document indents by."""
    found = re.search(r"[{\[][^\S\n\r]*\r?\n([ \t]+)\S", text)
    return found[1] if found and len(found[1]) <= 8 else "  "


def _indent(text: str, at: int) -> str:
    """The white space that the line of *at* begins with."""
    line = text[text.rfind("\n", 0, at) + 1 : at]
    return line[: len(line) - len(line.lstrip(" \t"))]


def _line_start(text: str, at: int, least: int) -> int:
    """Where the white space before *at* begins, its line break included, but not before *least*."""
    start = at
    while start > least and text[start - 1] in " \t":
        start -= 1
    if start > least and text[start - 1] == "\n":
        start -= 1
        if start > least and text[start - 1] == "\r":
            start -= 1
    return start


def _blank(text: str) -> bool:
    return not text.strip(" \t\r\n\ufeff")


# ── reading ──────────────────────────────────────────────────────────────────────────────────


class _Reader:
    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._open = 0

    def document(self) -> _Node:
        self._skip()
        node = self._value()
        self._skip()
        if self._at < len(self._text):
            raise self._wrong("more than one value")
        return node

    def _value(self) -> _Node:
        mark = self._text[self._at : self._at + 1]
        if mark == "{":
            return self._collection("}")
        if mark == "[":
            return self._collection("]")
        start = self._at
        if mark in ('"', "'"):
            value = self._string()
            return _Node(start, self._at, value)
        name = self._match(_NAME)
        if name in _WORDS:
            return _Node(start, self._at, _WORDS[name])
        if name:
            self._at = start
        number = self._match(_NUMBER)
        if not number:
            raise self._wrong(
                "a value is missing" if mark in ("", ",", "}", "]", ":") else "not JSON"
            )
        return _Node(start, self._at, _number(number))

    def _collection(self, closing: str) -> _Node:
        start = self._at
        self._at += 1
        self._open += 1
        if self._open > _DEEPEST:
            raise self._wrong("nested too deeply")
        members: list[_Member] = []
        self._skip()
        while not self._takes(closing):
            if members and members[-1].end == members[-1].node.end:
                raise self._wrong("a comma is missing")
            members.append(self._member(closing, members))
        self._open -= 1
        value: Any = [member.node.value for member in members]
        if closing == "}":
            value = {member.key: member.node.value for member in members}
        return _Node(start, self._at, value, members)

    def _member(self, closing: str, before: Sequence[_Member]) -> _Member:
        start, key = self._at, None
        if closing == "}":
            key = self._key()
            if any(member.key == key for member in before):
                raise self._wrong(f"{key!r} stands here twice")
            self._skip()
            if not self._takes(":"):
                raise self._wrong("a colon is missing")
            self._skip()
        node = self._value()
        self._skip()
        end = self._at if self._takes(",") else node.end
        self._skip()
        return _Member(start, end, key, node)

    def _key(self) -> str:
        if self._text[self._at : self._at + 1] in ('"', "'"):
            return self._string()
        name = self._match(_NAME)
        if not name:
            raise self._wrong("a key is missing")
        return name

    def _string(self) -> str:
        spelt = self._match(_STRING)
        if not spelt:
            raise self._wrong("a string does not end")
        return (
            _ESCAPE.sub(_unescaped, spelt[1:-1])
            .encode("utf-16", "surrogatepass")
            .decode("utf-16", "replace")
        )

    def _skip(self) -> None:
        found = _TRIVIA.match(self._text, self._at)
        self._at = found.end() if found is not None else self._at

    def _takes(self, mark: str) -> bool:
        there = self._text.startswith(mark, self._at)
        self._at += len(mark) if there else 0
        return there

    def _match(self, pattern: re.Pattern[str]) -> str:
        found = pattern.match(self._text, self._at)
        if found is None:
            return ""
        self._at = found.end()
        return found[0]

    def _wrong(self, problem: str) -> Unreadable:
        return Unreadable(problem, self._text.count("\n", 0, self._at) + 1)


def _unescaped(match: re.Match[str]) -> str:
    code = match[1]
    if code[0] in "ux" and len(code) > 1:
        return chr(int(code[1:], 16))
    if code in ("\n", "\r\n"):
        return ""
    return _ESCAPED.get(code, code)


def _number(text: str) -> int | float:
    bare = text.lstrip("+-")
    if bare[:2] in ("0x", "0X"):
        whole = int(bare, 16)
        return -whole if text[0] == "-" else whole
    if bare.isdigit():
        return int(text)
    return float(text)
