"""The management API's endpoints described: for people and programs, as OpenAPI 3.1."""

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Literal, TypeAlias

import msgspec

from proxypal_core.gateway.dashboard_session import COOKIE, HEADER
from proxypal_core.gateway.front import Call, Front

Handler: TypeAlias = Callable[[Front, Call], Awaitable[Any]]
Holder: TypeAlias = Literal["owner", "admin"]
"""Who may call: whoever shows the admin key or the dashboard's cookie, or the admin key alone."""


class Endpoint(msgspec.Struct, frozen=True):
    """``query`` names the parameters of the query with what each means; ``body`` is what is sent.
    What comes back is JSON unless ``media`` says otherwise.
    """

    method: str
    path: str
    summary: str
    handler: Handler
    query: Mapping[str, str] = {}
    body: type[msgspec.Struct] | None = None
    media: str = "application/json"
    holder: Holder = "owner"


_KEY: Mapping[str, list[str]] = {"adminKey": []}
_COOKIE: Mapping[str, list[str]] = {"dashboardCookie": []}
_COOKIE_CHANGES: Mapping[str, list[str]] = {"dashboardCookie": [], "dashboardHeader": []}
_SCHEMES: Mapping[str, Mapping[str, str]] = {
    "adminKey": {"type": "http", "scheme": "bearer"},
    "dashboardCookie": {"type": "apiKey", "in": "cookie", "name": COOKIE},
    "dashboardHeader": {"type": "apiKey", "in": "header", "name": HEADER},
}
_REFERENCE = "#/components/schemas/{name}"


def document(endpoints: Sequence[Endpoint], *, version: str) -> Mapping[str, Any]:
    """The OpenAPI document of *endpoints*."""
    bodies = [row.body for row in endpoints if row.body is not None]
    _, schemas = msgspec.json.schema_components(bodies, ref_template=_REFERENCE)
    paths: dict[str, dict[str, Any]] = {}
    for row in endpoints:
        paths.setdefault(row.path, {})[row.method.lower()] = _operation(row)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "ProxyPal management API",
            "version": version,
            "description": "Times are Unix seconds, money is US dollars. A refusal is"
            ' {"error": {"message": …}}, with a status of 400 or more.',
        },
        "paths": paths,
        "components": {"schemas": schemas, "securitySchemes": _SCHEMES},
    }


def _operation(row: Endpoint) -> Mapping[str, Any]:
    operation: dict[str, Any] = {
        "summary": row.summary,
        "parameters": _parameters(row),
        "responses": {
            "200": {"description": "As asked.", "content": {row.media: {}}},
            "default": {"description": "Refused, and why.", "content": {"application/json": {}}},
        },
        "security": _security(row),
    }
    if row.body is not None:
        schema = {"$ref": _REFERENCE.format(name=row.body.__name__)}
        content = {"application/json": {"schema": schema}}
        operation["requestBody"] = {"required": True, "content": content}
    return operation


def _parameters(row: Endpoint) -> list[Mapping[str, Any]]:
    text = {"schema": {"type": "string"}}
    return [
        *(
            {"name": name, "in": "path", "required": True, **text}
            for name in re.findall(r"\{(\w+)\}", row.path)
        ),
        *(
            {"name": name, "in": "query", "description": meaning, **text}
            for name, meaning in row.query.items()
        ),
    ]


def _security(row: Endpoint) -> list[Mapping[str, list[str]]]:
    if row.holder == "admin":
        return [_KEY]
    return [_KEY, _COOKIE if row.method == "GET" else _COOKIE_CHANGES]
