"""YAML in, strictly: what a person could write by mistake is an error that names the line.

Plain scalars are read as JSON would: ``on``, ``no``, ``1:30`` and ``2026-01-02`` are strings. A key
must be a string and stand once. Aliases are fine until they multiply.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import msgspec
import yaml

LARGEST = 1 << 20
_DEEPEST = 32
_MOST_NODES = 100_000


class BadYaml(ValueError):
    """The text cannot be read; ``line`` counts from 1, 0 when the whole text is meant."""

    def __init__(self, problem: str, line: int = 0) -> None:
        super().__init__(f"line {line}: {problem}" if line else problem)
        self.problem = problem
        self.line = line


class Document(msgspec.Struct, frozen=True):
    """A value, and the line that each path in it (as in ``accounts[1].id``) stands on."""

    value: Any
    lines: Mapping[str, int]


def load(text: str) -> Document:
    """The value of *text*; an empty text is an empty mapping.

    Raises:
        BadYaml: it is not YAML, larger than any settings file, or says a thing twice.
    """
    if len(text) > LARGEST:
        raise BadYaml(f"longer than {LARGEST} characters")
    try:
        _refuse_depth(text)
        root = yaml.compose(text, Loader=_Loader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise BadYaml(error.problem or str(error), mark.line + 1 if mark else 0) from None
    except yaml.YAMLError as error:
        raise BadYaml(str(error)) from None
    if root is None:
        return Document({}, {})
    _refuse_bombs(root)
    lines: dict[str, int] = {}
    value = _construct(root, "", lines)
    return Document({} if value is None else value, lines)


# ── reading scalars as JSON does ─────────────────────────────────────────────────────────────


class _Loader(yaml.CSafeLoader):
    pass


_Loader.yaml_implicit_resolvers = {}  # none of YAML 1.1's


_TAG = "tag:yaml.org,2002:"
_NUMBER_STARTS = list("-0123456789")
for _name, _pattern, _starts in (
    ("null", r"~|null|", ["~", "n", ""]),
    ("bool", r"true|false", ["t", "f"]),
    ("int", r"-?(?:0|[1-9][0-9]*)", _NUMBER_STARTS),
    ("float", r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?", _NUMBER_STARTS),
):
    _Loader.add_implicit_resolver(_TAG + _name, re.compile(rf"(?:{_pattern})\Z"), _starts)

_READERS: Mapping[str, Callable[[str], Any]] = {
    f"{_TAG}str": str,
    f"{_TAG}null": lambda _: None,
    f"{_TAG}bool": lambda text: text == "true",
    f"{_TAG}int": int,
    f"{_TAG}float": float,
}


def _construct(node: yaml.Node, path: str, lines: dict[str, int]) -> Any:
    line = node.start_mark.line + 1
    lines.setdefault(path, line)
    if node.tag == f"{_TAG}seq":
        return [_construct(child, f"{path}[{at}]", lines) for at, child in enumerate(node.value)]
    if node.tag == f"{_TAG}map":
        return _mapping(node, path, lines)
    read = _READERS.get(node.tag)
    if read is None or not isinstance(node, yaml.ScalarNode):
        raise BadYaml(f"the tag {node.tag} is not allowed", line)
    try:
        return read(node.value)
    except ValueError as error:
        raise BadYaml(str(error), line) from None


def _mapping(node: yaml.Node, path: str, lines: dict[str, int]) -> dict[str, Any]:
    value: dict[str, Any] = {}
    first: dict[str, int] = {}
    for key_node, child in node.value:
        line = key_node.start_mark.line + 1
        key = key_node.value
        if not isinstance(key, str):
            raise BadYaml("a key must be plain text", line)
        if key in first:
            raise BadYaml(f"{key!r} stands here twice (first on line {first[key]})", line)
        first[key] = line
        child_path = f"{path}.{key}" if path else key
        lines[child_path] = line
        value[key] = _construct(child, child_path, lines)
    return value


# ── what is refused before it is built ───────────────────────────────────────────────────────


def _refuse_depth(text: str) -> None:
    depth = 0
    for event in yaml.parse(text, Loader=_Loader):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if depth > _DEEPEST:
            raise BadYaml(f"nested deeper than {_DEEPEST} levels")


def _refuse_bombs(root: yaml.Node) -> None:
    """Refuse aliases that hold themselves, or would unfold into far more than was written."""
    sizes: dict[int, int] = {}

    def size(node: yaml.Node) -> int:
        known = sizes.get(id(node))
        if known == 0:
            raise BadYaml("an alias holds itself", node.start_mark.line + 1)
        if known is None:
            sizes[id(node)] = 0
            known = sizes[id(node)] = 1 + sum(size(child) for child in _children(node))
        if known > _MOST_NODES:
            raise BadYaml("its aliases unfold into too many values", node.start_mark.line + 1)
        return known

    size(root)


def _children(node: yaml.Node) -> Iterator[yaml.Node]:
    if isinstance(node, yaml.SequenceNode):
        yield from node.value
    elif isinstance(node, yaml.MappingNode):
        for pair in node.value:
            yield from pair
