"""Failures, both ways, before the first byte and in the middle of a stream."""

import math
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

import msgspec

from proxypal_core.dialects import failures
from proxypal_core.hub.failure import Failure, Kind
from proxypal_core.wire import jsonio
from proxypal_core.wire.jsonio import JsonObject


class _Words(NamedTuple):
    status: int
    type: str
    code: str | None


_WORDS = {
    Kind.INVALID: _Words(400, "invalid_request_error", None),
    Kind.CONTEXT: _Words(400, "invalid_request_error", "context_length_exceeded"),
    Kind.UNSUPPORTED: _Words(501, "invalid_request_error", "unsupported"),
    Kind.TOO_LARGE: _Words(413, "invalid_request_error", "request_too_large"),
    Kind.CLIENT_KEY: _Words(401, "authentication_error", "invalid_api_key"),
    Kind.FORBIDDEN_HERE: _Words(403, "permission_error", "forbidden"),
    Kind.NO_ROUTE: _Words(404, "invalid_request_error", "unknown_url"),
    Kind.METHOD: _Words(405, "invalid_request_error", "method_not_supported"),
    Kind.MEDIA_TYPE: _Words(415, "invalid_request_error", "unsupported_media_type"),
    Kind.MODEL: _Words(404, "invalid_request_error", "model_not_found"),
    Kind.CONFLICT: _Words(409, "invalid_request_error", "conflict"),
    # The client's own key is fine: what is told must not send anybody looking for it.
    Kind.AUTH: _Words(503, "server_error", "no_auth_available"),
    Kind.FORBIDDEN: _Words(503, "server_error", "no_auth_available"),
    Kind.NO_ACCOUNT: _Words(503, "server_error", "no_auth_available"),
    Kind.BILLING: _Words(429, "insufficient_quota", "insufficient_quota"),
    Kind.RATE_LIMIT: _Words(429, "rate_limit_error", "rate_limit_exceeded"),
    Kind.RESTING: _Words(429, "rate_limit_error", "all_accounts_cooling"),
    Kind.OVERLOADED: _Words(503, "server_error", "overloaded"),
    Kind.SERVER: _Words(502, "server_error", "server_error"),
    Kind.BAD_REPLY: _Words(502, "server_error", "bad_upstream_reply"),
    Kind.TRUNCATED: _Words(502, "server_error", "upstream_truncated"),
    Kind.UNREACHABLE: _Words(502, "server_error", "upstream_unreachable"),
    Kind.TIMEOUT: _Words(504, "server_error", "timeout"),
    Kind.INTERNAL: _Words(500, "server_error", "internal_error"),
}
_OF_CREDENTIALS = (Kind.AUTH, Kind.FORBIDDEN)
# Codes that say more than the kind does, and that clients of this dialect know.
_KEEPS_CODE = (Kind.INVALID, Kind.CONFLICT, Kind.TOO_LARGE, Kind.UNSUPPORTED)
_KEEPS_DETAILS = (*_KEEPS_CODE, Kind.CONTEXT)

# The codes of a failed response by which Codex decides what to do; for others it just tries again.
_FAILED_CODES = {
    Kind.INVALID: "invalid_prompt",
    Kind.CONTEXT: "context_length_exceeded",
    Kind.BILLING: "insufficient_quota",
    Kind.RATE_LIMIT: "rate_limit_exceeded",
    Kind.RESTING: "rate_limit_exceeded",
}

# What a code or type means when no status says it, or when it says more than the status.
_KINDS = {
    "rate_limit_exceeded": Kind.RATE_LIMIT,
    "rate_limit_error": Kind.RATE_LIMIT,
    "usage_limit_reached": Kind.RATE_LIMIT,
    "usage_not_included": Kind.FORBIDDEN,
    "insufficient_quota": Kind.BILLING,
    "context_length_exceeded": Kind.CONTEXT,
    "invalid_api_key": Kind.AUTH,
    "authentication_error": Kind.AUTH,
    "permission_error": Kind.FORBIDDEN,
    "model_not_found": Kind.MODEL,
    "server_is_overloaded": Kind.OVERLOADED,
    "slow_down": Kind.OVERLOADED,
    "overloaded": Kind.OVERLOADED,
    "overloaded_error": Kind.OVERLOADED,
    "timeout": Kind.TIMEOUT,
    "server_error": Kind.SERVER,
    "invalid_prompt": Kind.INVALID,
    "bio_policy": Kind.INVALID,
    "cyber_policy": Kind.INVALID,
    "misalignment_policy_violation": Kind.INVALID,
    "invalid_request_error": Kind.INVALID,
}
# These are told for so many things that the status, where there is one, knows better.
_VAGUE = ("server_error", "invalid_request_error", "permission_error")


def decode_failure(status: int, body: bytes, /) -> Failure:
    failure, error = failures.read_error(status, body)
    return _named(failure, error)


def read_error_object(error: Any, status: Any = None) -> Failure:
    """The failure in the error object of a stream's event or of a failed answer."""
    known = status if isinstance(status, int) and not isinstance(status, bool) else 0
    failure, words = failures.read_error(known, jsonio.dumps({"error": error}))
    return _named(failure, words)


def _named(failure: Failure, error: Mapping[str, Any]) -> Failure:
    kind = failure.kind
    for word in (error.get("type"), error.get("code")):
        if isinstance(word, str) and word in _KINDS and not (failure.status and word in _VAGUE):
            kind = _KINDS[word]
    # The ChatGPT backend tells the wait in a field of its own.
    wait = error.get("resets_in_seconds")
    if failure.retry_after is None and isinstance(wait, (int, float)) and wait >= 0:
        failure = msgspec.structs.replace(failure, retry_after=float(wait))
    return msgspec.structs.replace(failure, kind=kind)


def encode_failure(failure: Failure, /, *, request_id: str) -> tuple[int, bytes]:
    return _WORDS[failure.kind].status, jsonio.dumps({"error": error_object(failure)})


def error_object(failure: Failure) -> JsonObject:
    words = _WORDS[failure.kind]
    code = (failure.kind in _KEEPS_CODE and failure.code) or words.code
    error: JsonObject = {
        "message": _message(failure),
        "type": words.type,
        "param": failure.param or None,
        "code": code,
    }
    if failure.kind in _KEEPS_DETAILS and isinstance(failure.details, (dict, list)):
        error["details"] = failure.details
    return error


def failed_error(failure: Failure) -> JsonObject:
    """The ``error`` of a response whose status is ``failed``."""
    code = _FAILED_CODES.get(failure.kind, "server_error")
    return {"code": code, "message": _message(failure)}


def _message(failure: Failure) -> str:
    message = failure.message
    if failure.kind in _OF_CREDENTIALS:
        message = failures.credential_text(failure)
    elif failure.kind is Kind.CONTEXT:
        message = _context_message(message)
    if failure.retry_after is not None and failures.retry_in_text(message) is None:
        # Codex reads the wait from the text.
        message = f"{message.rstrip(' .')}. Please try again in {math.ceil(failure.retry_after)}s."
    return message


# Anthropic: "prompt is too long: 210000 tokens > 200000 maximum". Gemini: "The input token count
# (1200000) exceeds the maximum number of tokens allowed (1048576)".
_TOO_LONG = re.compile(
    r"too long: (?P<sent>\d+) tokens > (?P<limit>\d+)"
    r"|token count \((?P<sent_>\d+)\) exceeds .*?\((?P<limit_>\d+)\)",
    re.IGNORECASE,
)


def _context_message(message: str) -> str:
    """*message* with the phrase by which clients know that they must shorten the conversation."""
    if "context window" in message or "maximum context length" in message:
        return message
    match = _TOO_LONG.search(message)
    if match is None:
        return f"Your input exceeds the context window of this model: {message}"
    sent, limit = match["sent"] or match["sent_"], match["limit"] or match["limit_"]
    return (
        "Your input exceeds the context window of this model: "
        f"{sent} tokens of at most {limit}. Please adjust your input and try again."
    )
