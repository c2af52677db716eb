"""Schemas between Gemini's OpenAPI subset, its plain JSON Schema fields and everybody else.

Only schema nodes are touched: below ``properties`` the keys are names, and what stands in
``default``, ``enum`` or ``const`` is data.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple
from urllib.parse import unquote

from proxypal_core.dialects import schemas
from proxypal_core.hub.failure import invalid

_DEPTH_LIMIT = 200

_SNAKE = re.compile(r"(?<=[a-zA-Z0-9])_([a-z0-9])")
_NOT_JSON_SCHEMA = frozenset({"nullable", "propertyOrdering", "example"})
# int64 fields, which proto3 JSON writes as strings.
_COUNTS = ("minItems", "maxItems", "minLength", "maxLength", "minProperties", "maxProperties")


def camel(key: str) -> str:
    """The lowerCamelCase spelling of a field name."""
    return _SNAKE.sub(lambda match: match[1].upper(), key) if "_" in key else key


def to_gemini(schema: Mapping[str, Any]) -> dict[str, Any]:
    """JSON Schema as ``parametersJsonSchema`` takes it: no ``$schema``, no reference to itself."""
    cut = _cycles(schema)

    def change(node: Mapping[str, Any]) -> dict[str, Any]:
        if id(node) in cut:
            described = {"description": node["description"]} if "description" in node else {}
            return {"type": "object", **described}
        return {key: value for key, value in node.items() if key != "$schema"}

    return _rewrite(schema, change)


def from_openapi(schema: Mapping[str, Any]) -> dict[str, Any]:
    """The JSON Schema that a ``parameters`` or ``responseSchema`` means."""
    return _rewrite(schema, _plain)


def _plain(node: Mapping[str, Any]) -> dict[str, Any]:
    fields = {camel(key): value for key, value in node.items()}
    plain = {key: value for key, value in fields.items() if key not in _NOT_JSON_SCHEMA}
    kind = _lower(plain.pop("type", None))
    if kind and kind != "type_unspecified":
        plain = {"type": kind, **plain}
    if plain.get("format") == "enum":
        del plain["format"]
    for key in _COUNTS:
        if isinstance(plain.get(key), str) and plain[key].isdecimal() and len(plain[key]) < 19:
            plain[key] = int(plain[key])
    return _nullable(plain) if fields.get("nullable") is True else plain


def _lower(kind: Any) -> Any:
    if isinstance(kind, list):
        return [_lower(one) for one in kind]
    return kind.lower() if isinstance(kind, str) else kind


def _nullable(node: dict[str, Any]) -> dict[str, Any]:
    if isinstance(node.get("type"), str):
        node["type"] = [node["type"], "null"]
    elif isinstance(node.get("anyOf"), list):
        node["anyOf"] = [*node["anyOf"], {"type": "null"}]
    if isinstance(node.get("enum"), list) and None not in node["enum"]:
        node["enum"] = [*node["enum"], None]
    return node


# ── walking ──────────────────────────────────────────────────────────────────────────────────


def _rewrite(
    node: Mapping[str, Any], change: Callable[[Mapping[str, Any]], dict[str, Any]], depth: int = 0
) -> dict[str, Any]:
    """A copy of *node* in which every schema went through *change*, the outer ones first."""
    if depth > _DEPTH_LIMIT:
        raise invalid("a schema is nested too deeply; make it flatter")

    def one(child: Any) -> Any:
        return _rewrite(child, change, depth + 1) if isinstance(child, dict) else child

    new = change(node)
    for key, value in new.items():
        if key in schemas.NAMED and isinstance(value, dict):
            new[key] = {name: one(child) for name, child in value.items()}
        elif isinstance(value, list) and (key in schemas.LISTED or key == "items"):
            new[key] = [one(child) for child in value]
        elif key in schemas.SINGLE:
            new[key] = one(value)
    return new


def _children(node: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    for key, value in node.items():
        if key in schemas.NAMED and isinstance(value, dict):
            yield from (child for child in value.values() if isinstance(child, dict))
        elif isinstance(value, list) and (key in schemas.LISTED or key == "items"):
            yield from (child for child in value if isinstance(child, dict))
        elif key in schemas.SINGLE and isinstance(value, dict):
            yield value


def _cycles(root: Mapping[str, Any]) -> set[int]:
    """The nodes (by identity) whose ``$ref`` leads back to where one came from.

    A depth-first walk over children and references; every node is visited once, so a schema made
    to explode when it is inlined costs no more than another.
    """
    cut: set[int] = set()
    opened: set[int] = {id(root)}
    seen: set[int] = {id(root)}
    path = [_Step(root, _edges(root, root), by_reference=False)]
    while path:
        step = path[-1]
        edge = next(step.edges, None)
        if edge is None:
            opened.discard(id(step.node))
            path.pop()
            continue
        node, by_reference = edge
        if id(node) in opened:
            # Children are a tree, so some step of every cycle is a reference: the last one goes.
            at = len(path) if by_reference else _last_reference(path)
            cut.add(id(path[at - 1].node))
        elif id(node) not in seen:
            seen.add(id(node))
            opened.add(id(node))
            path.append(_Step(node, _edges(node, root), by_reference))
    return cut


class _Step(NamedTuple):
    node: Mapping[str, Any]
    edges: Iterator[tuple[Mapping[str, Any], bool]]
    by_reference: bool


def _last_reference(path: list[_Step]) -> int:
    return max(at for at, step in enumerate(path) if step.by_reference)


def _edges(
    node: Mapping[str, Any], root: Mapping[str, Any]
) -> Iterator[tuple[Mapping[str, Any], bool]]:
    """The schemas *node* leads to, each with whether it is a reference that leads there."""
    reference = node.get("$ref")
    if isinstance(reference, str):
        target = _resolve(reference, root)
        if target is not None:
            yield target, True
    for child in _children(node):
        yield child, False


def _resolve(reference: str, root: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The node a local reference (a JSON pointer after ``#``) means."""
    if not reference.startswith("#"):
        return None
    node: Any = root
    for step in unquote(reference[1:]).split("/")[1:]:
        key = step.replace("~1", "/").replace("~0", "~")
        if isinstance(node, list) and key.isdecimal() and len(key) < 19 and int(key) < len(node):
            node = node[int(key)]
        elif isinstance(node, dict) and key in node:
            node = node[key]
        else:
            return None
    return node if isinstance(node, dict) else None
