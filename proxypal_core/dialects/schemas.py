"""JSON Schemas of tools and answers, as clients write them.

What is read here has the form that the walks over it rely on, at every depth: whoever asks for
``properties`` gets an object or null, for ``required`` an array of strings or null. Null is none:
clients written in Go say it for an empty list.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from proxypal_core.wire.jsonio import JsonObject, arr, obj, opt, string

# The keywords whose value holds schemas: by name, in a row, or is one.
NAMED = ("properties", "patternProperties", "$defs", "definitions", "dependentSchemas")
LISTED = ("anyOf", "oneOf", "allOf", "prefixItems")
SINGLE = (
    "items",
    "additionalProperties",
    "unevaluatedProperties",
    "unevaluatedItems",
    "contains",
    "propertyNames",
    "not",
    "if",
    "then",
    "else",
)


def read(value: Any, path: str) -> JsonObject:
    """The schema *value*, which must be an object.

    Raises:
        Malformed: a keyword in it has the wrong form.
    """
    found = obj(value, path)
    waiting = [(found, path)]
    while waiting:
        node, place = waiting.pop()
        for at, name in enumerate(opt(node, "required", arr, place) or ()):
            string(name, f"{place}.required[{at}]")
        waiting += (
            (child, where) for child, where in _inner(node, place) if isinstance(child, dict)
        )
    return found


def _inner(node: Mapping[str, Any], path: str) -> Iterator[tuple[Any, str]]:
    for key in NAMED:
        for name, child in (opt(node, key, obj, path) or {}).items():
            yield child, f"{path}.{key}.{name}"
    for key in LISTED:
        for at, child in enumerate(opt(node, key, arr, path) or ()):
            yield child, f"{path}.{key}[{at}]"
    for key in SINGLE:
        yield node.get(key), f"{path}.{key}"
    if isinstance(node.get("items"), list):
        yield from ((child, f"{path}.items[{at}]") for at, child in enumerate(node["items"]))
