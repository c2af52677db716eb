"""TOML (https://toml.io), changed in place by tomlkit: comments, order and spelling stay."""

from collections.abc import MutableMapping
from typing import Any

import tomlkit
from tomlkit.exceptions import ParseError, TOMLKitError

from proxypal_core.agents.tree import Path, Unreadable, depth


def read(text: str) -> Any:
    """The value of *text*.

    Raises:
        Unreadable: it is not TOML.
    """
    return _document(text).unwrap()


def put(text: str, path: Path, value: Any) -> str:
    """*text* with *value* at *path*, whose steps are keys. New tables get a header of their own.

    Raises:
        Unreadable: as ``read``, or something else is on the way to *path*.
    """
    document = _document(text)
    depth(document.unwrap(), path)
    table: MutableMapping[str, Any] = document
    for at, step in enumerate(path[:-1]):
        if step not in table:
            table[str(step)] = tomlkit.table(is_super_table=at + 2 < len(path))
        table = table[str(step)]
    table[str(path[-1])] = value
    return tomlkit.dumps(document)


def drop(text: str, path: Path) -> str:
    """*text* without what is at *path*; as it is where nothing is there.

    Raises:
        Unreadable: as ``put``.
    """
    document = _document(text)
    if depth(document.unwrap(), path) < len(path):
        return text
    table: MutableMapping[str, Any] = document
    for step in path[:-1]:
        table = table[str(step)]
    del table[str(path[-1])]
    return tomlkit.dumps(document)


def _document(text: str) -> tomlkit.TOMLDocument:
    try:
        return tomlkit.parse(text)
    except ParseError as error:
        raise Unreadable(str(error).partition(" at line ")[0], error.line) from None
    except TOMLKitError as error:
        raise Unreadable(str(error)) from None
