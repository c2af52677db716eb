"""Failures in Anthropic's words, both ways."""

from proxypal_core.dialects import failures
from proxypal_core.hub.failure import Failure, Kind
from proxypal_core.wire import jsonio
from proxypal_core.wire.jsonio import JsonObject

# ── read ─────────────────────────────────────────────────────────────────────────────────────


def decode_failure(status: int, body: bytes, /) -> Failure:
    return failures.read_error(status, body)[0]


def failure_in(doc: JsonObject, data: bytes = b"") -> Failure | None:
    """The failure that a document, or an event of a stream, is; None when it is none."""
    if doc.get("type") != "error" and not (doc.get("error") and "type" not in doc):
        return None
    return decode_failure(200, data or jsonio.dumps(doc))


# ── written ──────────────────────────────────────────────────────────────────────────────────

_WORDS: dict[Kind, tuple[int, str]] = {
    Kind.INVALID: (400, "invalid_request_error"),
    Kind.CONTEXT: (400, "invalid_request_error"),
    Kind.UNSUPPORTED: (501, "invalid_request_error"),
    Kind.TOO_LARGE: (413, "request_too_large"),
    Kind.CLIENT_KEY: (401, "authentication_error"),
    Kind.FORBIDDEN_HERE: (403, "permission_error"),
    Kind.NO_ROUTE: (404, "not_found_error"),
    Kind.METHOD: (405, "invalid_request_error"),
    Kind.MEDIA_TYPE: (415, "invalid_request_error"),
    Kind.MODEL: (404, "not_found_error"),
    Kind.CONFLICT: (409, "conflict_error"),
    Kind.AUTH: (503, "api_error"),
    Kind.FORBIDDEN: (503, "api_error"),
    Kind.NO_ACCOUNT: (503, "api_error"),
    Kind.BILLING: (429, "rate_limit_error"),
    Kind.RATE_LIMIT: (429, "rate_limit_error"),
    Kind.RESTING: (429, "rate_limit_error"),
    Kind.OVERLOADED: (529, "overloaded_error"),
    Kind.SERVER: (502, "api_error"),
    Kind.BAD_REPLY: (502, "api_error"),
    Kind.TRUNCATED: (502, "api_error"),
    Kind.UNREACHABLE: (502, "api_error"),
    Kind.TIMEOUT: (504, "timeout_error"),
    Kind.INTERNAL: (500, "api_error"),
}


def encode_failure(failure: Failure, /, *, request_id: str) -> tuple[int, bytes]:
    document = error_document(failure)
    document["request_id"] = request_id
    return _WORDS[failure.kind][0], jsonio.dumps(document)


def error_document(failure: Failure) -> JsonObject:
    error: JsonObject = {"type": _WORDS[failure.kind][1], "message": _message(failure)}
    if isinstance(failure.details, dict):
        error["details"] = failure.details
    return {"type": "error", "error": error}


# Claude Code compacts its conversation when it reads the first of these, and asks for a shorter
# answer when it reads the second.
_OWN_PHRASES = ("prompt is too long", "exceed context limit")


def _message(failure: Failure) -> str:
    message = failures.client_text(failure)
    if failure.kind is not Kind.CONTEXT or any(
        phrase in message.lower() for phrase in _OWN_PHRASES
    ):
        return message
    counts = failures.token_counts(message)
    if counts is None:
        return f"prompt is too long: {message}"
    sent, limit = counts
    return f"prompt is too long: {sent} tokens > {limit} maximum"
