"""Failures in Google's words: an int ``code``, a gRPC ``status`` and typed details."""

import re
from collections.abc import Mapping
from typing import Any

import msgspec

from proxypal_core.dialects import failures
from proxypal_core.hub.failure import Failure, Kind
from proxypal_core.wire import jsonio
from proxypal_core.wire.jsonio import JsonObject

_TYPE = "type.googleapis.com/google.rpc."
_RETRY_INFO = f"{_TYPE}RetryInfo"

_HTTP = {
    "INVALID_ARGUMENT": 400,
    "FAILED_PRECONDITION": 400,
    "UNAUTHENTICATED": 401,
    "PERMISSION_DENIED": 403,
    "NOT_FOUND": 404,
    "ABORTED": 409,
    "ALREADY_EXISTS": 409,
    "RESOURCE_EXHAUSTED": 429,
    "CANCELLED": 499,
    "INTERNAL": 500,
    "UNIMPLEMENTED": 501,
    "UNAVAILABLE": 503,
    "DEADLINE_EXCEEDED": 504,
}

_UNAVAILABLE = (503, "UNAVAILABLE")
_EXHAUSTED = (429, "RESOURCE_EXHAUSTED")
_ANSWERS: Mapping[Kind, tuple[int, str]] = {
    Kind.INVALID: (400, "INVALID_ARGUMENT"),
    Kind.CONTEXT: (400, "INVALID_ARGUMENT"),
    Kind.UNSUPPORTED: (501, "UNIMPLEMENTED"),
    Kind.TOO_LARGE: (413, "INVALID_ARGUMENT"),
    Kind.CLIENT_KEY: (401, "UNAUTHENTICATED"),
    Kind.FORBIDDEN_HERE: (403, "PERMISSION_DENIED"),
    Kind.NO_ROUTE: (404, "NOT_FOUND"),
    Kind.METHOD: (405, "UNIMPLEMENTED"),
    Kind.MEDIA_TYPE: (415, "INVALID_ARGUMENT"),
    Kind.MODEL: (404, "NOT_FOUND"),
    Kind.CONFLICT: (409, "ABORTED"),
    Kind.AUTH: _UNAVAILABLE,
    Kind.FORBIDDEN: _UNAVAILABLE,
    Kind.NO_ACCOUNT: _UNAVAILABLE,
    Kind.BILLING: _EXHAUSTED,
    Kind.RATE_LIMIT: _EXHAUSTED,
    Kind.RESTING: _EXHAUSTED,
    Kind.OVERLOADED: _UNAVAILABLE,
    Kind.SERVER: _UNAVAILABLE,
    Kind.BAD_REPLY: _UNAVAILABLE,
    Kind.TRUNCATED: _UNAVAILABLE,
    Kind.UNREACHABLE: _UNAVAILABLE,
    Kind.TIMEOUT: (504, "DEADLINE_EXCEEDED"),
    Kind.INTERNAL: (500, "INTERNAL"),
}


# ── reading ──────────────────────────────────────────────────────────────────────────────────


def decode_failure(status: int, body: bytes, /) -> Failure:
    failure, error = failures.read_error(status, body)
    word = error.get("status")
    word = word if isinstance(word, str) else ""
    code = error.get("code")
    if not isinstance(code, int):
        code = _HTTP.get(word, status)
    if status < 400 <= code:
        # An error inside a 200 says itself what it is.
        failure, _ = failures.read_error(code, body)
    return msgspec.structs.replace(
        failure,
        kind=Kind.SERVER if word == "CANCELLED" else failure.kind,
        code=word or failure.code,
    )


def failure_in(doc: Any) -> Failure | None:
    """The failure *doc* tells instead of an answer; also in the array of a stream without SSE."""
    if isinstance(doc, list) and doc:
        doc = doc[0]
    if isinstance(doc, dict) and doc.get("error") is not None:
        return decode_failure(200, jsonio.dumps(doc))
    return None


# ── writing ──────────────────────────────────────────────────────────────────────────────────


def encode_failure(failure: Failure, /, *, request_id: str) -> tuple[int, bytes]:
    return _ANSWERS[failure.kind][0], body(failure)


def body(failure: Failure) -> bytes:
    """``error`` stands first and ``code`` is an int: the Python SDK overlooks or chokes on others."""
    code, word = _ANSWERS[failure.kind]
    if _HTTP.get(failure.code) == code:
        word = failure.code
    error: JsonObject = {"code": code, "message": _message(failure), "status": word}
    details = [] if failure.kind in failures.OF_CREDENTIALS else _typed(failure.details)
    if failure.retry_after is not None:
        details = [one for one in details if not one["@type"].endswith("RetryInfo")]
        details.append({"@type": _RETRY_INFO, "retryDelay": _duration(failure.retry_after)})
    if details:
        error["details"] = details
    return jsonio.escape_separators(jsonio.dumps({"error": error}))


def _typed(details: Any) -> list[JsonObject]:
    """Those of *details* that are Google's; other dialects keep other things there."""
    return [one for one in failures.google_details(details) if isinstance(one.get("@type"), str)]


_OWN_PHRASE = re.compile(r"input token count .*exceeds the maximum", re.IGNORECASE)


def _message(failure: Failure) -> str:
    message = failures.client_text(failure)
    if failure.kind is not Kind.CONTEXT or _OWN_PHRASE.search(message):
        return message
    counts = failures.token_counts(message)
    if counts is None:
        return "The input token count exceeds the maximum number of tokens allowed."
    sent, limit = counts
    return f"The input token count ({sent}) exceeds the maximum number of tokens allowed ({limit})."


def _duration(seconds: float) -> str:
    """A protobuf duration: decimal seconds, at most nanoseconds."""
    return f"{max(0.0, seconds):.9f}".rstrip("0").rstrip(".") + "s"
