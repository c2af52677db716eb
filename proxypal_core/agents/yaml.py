"""YAML, changed in place: keys of the outermost mapping, and elements of a list under one.

That is all that agents' files need. What is put in is plain block style; the rest stays as it is.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from proxypal_core.agents.tree import ABSENT, Path, Unreadable, find, index_of
from proxypal_core.providers import yamlio
from proxypal_core.wire import jsonio


def read(text: str) -> Any:
    """The value of *text*, as JSON would have it.

    Raises:
        Unreadable: it is not YAML, or not a mapping.
    """
    try:
        value = yamlio.load(text).value
    except yamlio.BadYaml as error:
        raise Unreadable(error.problem, error.line) from None
    if not isinstance(value, dict):
        raise Unreadable("the file is not a mapping", 1)
    return value


def put(text: str, path: Path, value: Any) -> str:
    """*text* with *value* at *path*: a key, or a key and an element of its list.

    Raises:
        Unreadable: as ``read``, or the place is written in a way that is not changed here.
    """
    items = find(read(text), path[:1])
    (key, element), newline = _place(path), _newline(text)
    start, end = _lines_of(text, key)
    if element is None:
        line = f"{key}: {jsonio.dumps_text(value)}"
        return _spliced(_cut(text, start, end), start, [line], newline)
    if items is ABSENT or items == [] or items is None:
        lines = [f"{key}:", *_item(value, "  ")]
        return _spliced(_cut(text, start, end), start, lines, newline)
    if not isinstance(items, list):
        raise Unreadable(f"{key} is not a list", start + 1)
    places = _items_of(text, key)
    found = index_of(items, element)
    first, last, column = places[-1] if found is None else places[found]
    if found is None:
        first = last
    return _spliced(_cut(text, first, last), first, _item(value, " " * column), newline)


def drop(text: str, path: Path) -> str:
    """*text* without what is at *path*; a list that loses its last element is written ``[]``.

    Raises:
        Unreadable: as ``put``.
    """
    (key, element), value = _place(path), read(text)
    if find(value, path) is ABSENT:
        return text
    start, end = _lines_of(text, key)
    if element is not None:
        places = _items_of(text, key)
        if len(places) > 1:
            start, end, _ = places[index_of(value[key], element) or 0]
        else:
            return _spliced(_cut(text, start, end), start, [f"{key}: []"], _newline(text))
    return _cut(text, start, end)


def _place(path: Path) -> tuple[str, Mapping[str, str] | None]:
    """The key that *path* begins with, and which element of its list is meant, if not the whole."""
    key, *rest = path
    if isinstance(key, str) and re.fullmatch(r"[\w-]+", key):
        match rest:
            case []:
                return key, None
            case [Mapping() as element]:
                return key, element
            case _:
                pass
    raise Unreadable("this place is not changed here")


def _item(value: Mapping[str, Any], indent: str) -> Sequence[str]:
    fields = [f"{key}: {jsonio.dumps_text(child)}" for key, child in value.items()]
    return [f"{indent}{'- ' if at == 0 else '  '}{line}" for at, line in enumerate(fields)]


def _cut(text: str, start: int, end: int) -> str:
    lines = text.splitlines(keepends=True)
    return "".join([*lines[:start], *lines[end:]])


def _newline(text: str) -> str:
    return "\r\n" if "\r\n" in text else "\n"


def _spliced(text: str, at: int, new: Sequence[str], newline: str) -> str:
    """*text* with the lines *new* before line *at*."""
    lines = text.splitlines(keepends=True)
    if at == len(lines) and lines and not lines[-1].endswith("\n"):
        lines[-1] += newline
    return "".join([*lines[:at], *(line + newline for line in new), *lines[at:]])


def _root(text: str) -> yaml.MappingNode | None:
    root = yaml.compose(text, Loader=yaml.SafeLoader)
    if isinstance(root, yaml.MappingNode) and root.flow_style:
        raise Unreadable("the file is one flow mapping ({…})", 1)
    return root if isinstance(root, yaml.MappingNode) else None


def _lines_of(text: str, key: str) -> tuple[int, int]:
    """The first line of *key*, and the one behind its value; both the end when it is not there."""
    root = _root(text)
    for name, node in root.value if root else ():
        if name.value == key:
            return name.start_mark.line, _end(node)
    end = len(text.splitlines())
    return end, end


def _items_of(text: str, key: str) -> Sequence[tuple[int, int, int]]:
    """Of each element of the list *key* its first line, the one behind it, and its dash's column."""
    root = _root(text)
    node = next(child for name, child in root.value if name.value == key) if root else None
    if not isinstance(node, yaml.SequenceNode) or node.flow_style:
        line = node.start_mark.line + 1 if node else 0
        raise Unreadable(f"{key} is written on one line ([…]); write it as a list of lines", line)
    column = node.start_mark.column
    # The dash may stand on an earlier line than what it introduces, but never on another column.
    return [(child.start_mark.line, _end(child), column) for child in node.value]


def _end(node: yaml.Node) -> int:
    """The line behind the last one of *node*: a collection's own mark is at what comes next."""
    if isinstance(node, yaml.CollectionNode) and node.value and not node.flow_style:
        last = node.value[-1]
        return _end(last[1] if isinstance(last, tuple) else last)
    mark = node.end_mark
    return int(mark.line + 1 if mark.column else mark.line)
