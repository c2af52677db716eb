"""JSON schemas in the forms that Anthropic takes: of a tool's input and of a structured answer."""

from collections.abc import Mapping
from typing import Any

_UNIONS = ("anyOf", "oneOf", "allOf")
_NO_ARGUMENTS: Mapping[str, Any] = {"type": "object", "properties": {}}


def input_schema(schema: Mapping[str, Any] | None) -> tuple[dict[str, Any], str]:
    """*schema* with a plain object at its root, and in words what that form cannot say."""
    if not schema:
        return dict(_NO_ARGUMENTS), ""
    root = {key: value for key, value in schema.items() if key not in _UNIONS}
    notes: list[str] = []
    for union in _UNIONS:
        branches = [_resolved(branch, schema) for branch in schema.get(union) or ()]
        if branches:
            notes += _merge(root, branches, every=union == "allOf")
    if root.get("type") != "object":
        root["type"] = "object"
    return root, "\n".join(notes)


def _resolved(branch: Any, root: Mapping[str, Any]) -> Mapping[str, Any]:
    if not isinstance(branch, Mapping):
        return {}
    match str(branch.get("$ref", "")).split("/"):
        case ["#", ("$defs" | "definitions") as home, name]:
            found = (root.get(home) or {}).get(name)
            return found if isinstance(found, Mapping) else {}
        case _:
            return branch


def _merge(root: dict[str, Any], branches: list[Mapping[str, Any]], *, every: bool) -> list[str]:
    """Puts the properties of *branches* into *root*; the notes say which go together."""
    properties = dict(root.get("properties") or {})
    for branch in branches:
        for name, value in (branch.get("properties") or {}).items():
            properties.setdefault(name, value)
    root["properties"] = properties
    demands = [list(branch.get("required") or ()) for branch in branches]
    if every:
        common = [name for demand in demands for name in demand]
    else:
        common = [name for name in demands[0] if all(name in demand for demand in demands)]
    required = list(dict.fromkeys([*(root.get("required") or ()), *common]))
    if required:
        root["required"] = required
    if every or len(branches) == 1:
        return []
    choices = (", ".join(demand) or "nothing more" for demand in demands)
    return ["Give one of these sets of arguments: " + "; or ".join(choices) + "."]


# ── structured answers ───────────────────────────────────────────────────────────────────────

_UNTOLD = (
    "minimum",
    "maximum",
    "exclusiveMinimum",
    "exclusiveMaximum",
    "multipleOf",
    "minLength",
    "maxLength",
    "minItems",
    "maxItems",
    "uniqueItems",
    "minProperties",
    "maxProperties",
    "pattern",
)
_NAMED_SCHEMAS = ("properties", "$defs", "definitions")
_LISTED_SCHEMAS = ("anyOf", "allOf", "oneOf")


def closed(schema: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """*schema* with every object closed and what cannot be enforced told in descriptions.

    None when that would change its meaning: an object of any keys, or no object at the root.
    """
    if not schema or schema.get("type") != "object" or _open(schema):
        return None
    return {**_closed(schema)}


def _open(node: Any) -> bool:
    if not isinstance(node, Mapping):
        return False
    if node.get("type") == "object" and (
        not node.get("properties") or isinstance(node.get("additionalProperties"), Mapping)
    ):
        return True
    inner = [child for key in _NAMED_SCHEMAS for child in (node.get(key) or {}).values()]
    inner += [child for key in _LISTED_SCHEMAS for child in node.get(key) or ()]
    return any(_open(child) for child in (*inner, node.get("items")))


def _closed(node: Any) -> Any:
    if not isinstance(node, Mapping):
        return node
    out: dict[str, Any] = {}
    for key, value in node.items():
        if key in _UNTOLD or key == "$schema":
            continue
        if key in _NAMED_SCHEMAS and isinstance(value, Mapping):
            out[key] = {name: _closed(child) for name, child in value.items()}
        elif key in _LISTED_SCHEMAS and isinstance(value, list):
            out["anyOf" if key == "oneOf" else key] = [_closed(child) for child in value]
        else:
            out[key] = _closed(value) if key == "items" else value
    if "properties" in node:
        out["additionalProperties"] = False
    untold = ", ".join(f"{key}: {node[key]}" for key in _UNTOLD if key in node)
    if untold:
        told = out.get("description")
        out["description"] = f"{told} ({untold})" if told else untold
    return out
