"""The vendors' own errors: bodies, headers, and events inside a stream that has already begun."""

import json
import math
from types import MappingProxyType
from typing import Any, NamedTuple


class _Error(NamedTuple):
    message: str
    openai_type: str
    openai_code: str | None
    anthropic_type: str
    gemini_status: str


_ERRORS = MappingProxyType(
    {
        400: _Error(
            "The request is not acceptable.",
            "invalid_request_error",
            None,
            "invalid_request_error",
            "INVALID_ARGUMENT",
        ),
        401: _Error(
            "The API key is wrong.",
            "invalid_request_error",
            "invalid_api_key",
            "authentication_error",
            "UNAUTHENTICATED",
        ),
        402: _Error(
            "The account has no credit left.",
            "insufficient_quota",
            "insufficient_quota",
            "billing_error",
            "FAILED_PRECONDITION",
        ),
        403: _Error(
            "The key may not do this.",
            "permission_error",
            None,
            "permission_error",
            "PERMISSION_DENIED",
        ),
        404: _Error(
            "There is no such model.",
            "invalid_request_error",
            "model_not_found",
            "not_found_error",
            "NOT_FOUND",
        ),
        413: _Error(
            "The request is too large.",
            "invalid_request_error",
            None,
            "request_too_large",
            "INVALID_ARGUMENT",
        ),
        429: _Error(
            "Rate limit reached.",
            "requests",
            "rate_limit_exceeded",
            "rate_limit_error",
            "RESOURCE_EXHAUSTED",
        ),
        500: _Error("It broke.", "server_error", "server_error", "api_error", "INTERNAL"),
        503: _Error(
            "Not available now.", "server_error", "server_error", "api_error", "UNAVAILABLE"
        ),
        504: _Error(
            "It took too long.", "server_error", "timeout", "timeout_error", "DEADLINE_EXCEEDED"
        ),
        529: _Error(
            "Overloaded.", "server_error", "server_error", "overloaded_error", "UNAVAILABLE"
        ),
    }
)


def body(dialect: str, status: int, retry_after: float | None = None) -> dict[str, Any]:
    error = _ERRORS[status]
    if dialect == "anthropic":
        return {
            "type": "error",
            "error": {"type": error.anthropic_type, "message": error.message},
            "request_id": "req_fault1",
        }
    if dialect == "gemini":
        document: dict[str, Any] = {
            "code": status,
            "message": error.message,
            "status": error.gemini_status,
        }
        if retry_after is not None:
            info = "type.googleapis.com/google.rpc.RetryInfo"
            document["details"] = [{"@type": info, "retryDelay": f"{retry_after:g}s"}]
        return {"error": document}
    return {"error": _openai(error, retry_after)}


def headers(dialect: str, status: int, retry_after: float | None = None) -> dict[str, str]:
    if dialect == "gemini":
        return {}
    found = {"request-id" if dialect == "anthropic" else "x-request-id": "req_fault1"}
    if status == 429:
        prefix = "anthropic-ratelimit-requests" if dialect == "anthropic" else "x-ratelimit"
        suffix = "remaining" if dialect == "anthropic" else "remaining-requests"
        found[f"{prefix}-{suffix}"] = "0"
    if retry_after is not None:
        found["retry-after"] = str(math.ceil(retry_after))
        if dialect != "anthropic":
            found["x-ratelimit-reset-requests"] = f"{retry_after:g}s"
    return found


def event(dialect: str, status: int, number: int) -> bytes:
    """The error as an event of a stream; *number* is how many events came before it."""
    document = body(dialect, status)
    match dialect:
        case "anthropic":
            del document["request_id"]
            name = "error"
        case "openai-responses":
            name = "error"
            flat = {key: document["error"][key] for key in ("code", "message", "param")}
            document = {"type": "error", "sequence_number": number, **flat}
        case _:
            name = ""
    text = f"data: {json.dumps(document, separators=(',', ':'))}\n\n"
    return (f"event: {name}\n{text}" if name else text).encode()


def _openai(error: _Error, retry_after: float | None) -> dict[str, Any]:
    hint = "" if retry_after is None else f" Please try again in {retry_after:g}s."
    return {
        "message": error.message + hint,
        "type": error.openai_type,
        "param": None,
        "code": error.openai_code,
    }
