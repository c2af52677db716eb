"""Settings told to others: as JSON Schema, and as plain data without secrets."""

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal, get_args, get_origin

import msgspec

from proxypal_core.settings.schema import Document, Duration, SecretText


def json_schema() -> Mapping[str, Any]:
    """The JSON Schema of a settings file."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "ProxyPal settings",
        **_schema(Document),
    }


_SCALARS: Mapping[Any, Mapping[str, Any]] = {
    str: {"type": "string"},
    SecretText: {"type": "string"},
    Duration: {"type": ["string", "number"], "examples": ["90s", "5m", "1h30m", "250ms"]},
    int: {"type": "integer"},
    float: {"type": "number"},
    bool: {"type": "boolean"},
    Any: {},
}
_LIMITS = {"ge": "minimum", "le": "maximum", "description": "description"}


def _schema(kind: Any) -> dict[str, Any]:
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is Annotated:
        schema = _schema(arguments[0])
        for meta in arguments[1:]:
            schema |= {
                word: getattr(meta, name)
                for name, word in _LIMITS.items()
                if getattr(meta, name) is not None
            }
            if meta.min_length is not None:
                schema["minItems"] = meta.min_length
        return schema
    if origin is Literal:
        return {"enum": list(arguments)}
    if origin is tuple:
        return {"type": "array", "items": _schema(arguments[0])}
    if origin is Mapping:
        return _mapping_schema(*arguments)
    if kind in _SCALARS:
        return dict(_SCALARS[kind])
    return _struct_schema(kind)


def _mapping_schema(key: Any, value: Any) -> dict[str, Any]:
    schema = {"type": "object", "additionalProperties": _schema(value)}
    return schema if key is str else schema | {"propertyNames": _schema(key)}


def _struct_schema(kind: type[msgspec.Struct]) -> dict[str, Any]:
    fields = msgspec.structs.fields(kind)
    properties = {}
    for field in fields:
        properties[field.name] = _schema(field.type)
        default = shown(field.default)
        if not field.required and default is not msgspec.NODEFAULT:
            properties[field.name]["default"] = default
    required = [field.name for field in fields if field.required]
    return {
        "type": "object",
        "properties": properties,
        "additionalProperties": False,
        **({"required": required} if required else {}),
    }


def shown(value: Any) -> Any:
    """*value*, a setting or all of them, as plain data in which secrets are masked."""
    match value:
        case SecretText():
            return "***" if value else ""
        case Duration():
            return str(value)
        case str():
            return _PASSWORD.sub(r"\1***@", value)
        case msgspec.Struct():
            return {name: shown(getattr(value, name)) for name in value.__struct_fields__}
        case Mapping():
            return {
                name: "***" if isinstance(item, str) and _PRIVATE.search(name) else shown(item)
                for name, item in value.items()
            }
        case tuple() | list():
            return [shown(item) for item in value]
        case _:
            return value


# Names of variables that hold secrets, as in the env of a backend.
_PRIVATE = re.compile(r"key|token|secret|password", re.IGNORECASE)
_PASSWORD = re.compile(r"(://[^/@:\s]*:)[^/\s]+@")
