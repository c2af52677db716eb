"""``NAME=value`` lines, as in a ``.env``: one variable a path."""

import re
from typing import Any

from proxypal_core.agents.tree import Path, Unreadable

_LINE = re.compile(
    r"^[ \t]*(?:export[ \t]+)?(?P<name>[\w.-]+)[ \t]*=[ \t]*"
    r"(?P<value>\"[^\"]*\"|'[^']*'|[^\r\n#]*?)[ \t]*(?:#[^\r\n]*)?(?P<end>\r?\n|\Z)",
    re.MULTILINE,
)


def read(text: str) -> Any:
    """The variables of *text*; of a name that stands there twice, the later value."""
    return {match["name"]: _bare(match["value"]) for match in _LINE.finditer(text)}


def put(text: str, path: Path, value: Any) -> str:
    """*text* with *value* as the variable *path*.

    Raises:
        Unreadable: the value takes more than a line.
    """
    name = _name(path)
    if not isinstance(value, str) or re.search(r"[\r\n\"]", value):
        raise Unreadable(f"{name} cannot hold this value")
    spelt = value if re.fullmatch(r"[^\s#'\\$]*", value) else f'"{value}"'
    found = _last(text, name)
    if found is not None:
        return text[: found.start("value")] + spelt + text[found.end("value") :]
    newline = "\r\n" if "\r\n" in text else "\n"
    gap = newline if text and not text.endswith("\n") else ""
    return f"{text}{gap}{name}={spelt}{newline}"


def drop(text: str, path: Path) -> str:
    """*text* without the lines of the variable *path*."""
    name = _name(path)
    while (found := _last(text, name)) is not None:
        text = text[: found.start()] + text[found.end() :]
    return text


def _name(path: Path) -> str:
    if len(path) != 1:
        raise Unreadable("a variable has no parts")
    return str(path[0])


def _last(text: str, name: str) -> re.Match[str] | None:
    found = [match for match in _LINE.finditer(text) if match["name"] == name]
    return found[-1] if found else None


def _bare(value: str) -> str:
    quoted = len(value) > 1 and value[0] in "\"'" and value[-1] == value[0]
    return value[1:-1] if quoted else value
