"""Failures, both ways, before the first byte and in the middle of a stream."""

import math
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

import msgspec

from proxypal_core.dialects import failures
from proxypal_core.hub.failure import Failure, Kind
from proxypal_core.wire import jsonio, sse
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

# What an error in a stream would have had as its status.
_STATUS = {
    "invalid_request_error": 400,
    "authentication_error": 401,
    "insufficient_quota": 429,
    "permission_error": 403,
    "not_found_error": 404,
    "model_not_found": 404,
    "rate_limit_error": 429,
    "rate_limit_exceeded": 429,
    "requests": 429,
    "tokens": 429,
    "overloaded_error": 529,
    "overloaded": 529,
    "timeout": 504,
    "timeout_error": 504,
}


def decode_failure(status: int, body: bytes, /) -> Failure:
    return failures.read_error(status, body)[0]


def read_error_object(error: Any) -> Failure:
    """The failure in the ``error`` of a stream's chunk or of an answer with status 200."""
    words = error if isinstance(error, Mapping) else {}
    status = _status(words.get("code")) or _status(words.get("type")) or 500
    failure, _ = failures.read_error(status, jsonio.dumps({"error": error}))
    return msgspec.structs.replace(failure, status=0)


def _status(word: Any) -> int:
    """OpenRouter's code is the status itself; others have words."""
    if isinstance(word, int) and 400 <= word < 600:
        return word
    return _STATUS.get(word, 0) if isinstance(word, str) else 0


def encode_failure(failure: Failure, /, *, request_id: str) -> tuple[int, bytes]:
    return _WORDS[failure.kind].status, jsonio.dumps(_error(failure))


def failure_frame(failure: Failure) -> bytes:
    """What tells *failure* inside a stream, as its last event."""
    return sse.frame(jsonio.dumps(_error(failure)))


def _error(failure: Failure) -> JsonObject:
    words = _WORDS[failure.kind]
    code = (failure.kind in _KEEPS_CODE and failure.code) or words.code
    return {
        "error": {
            "message": _message(failure),
            "type": words.type,
            "param": failure.param or None,
            "code": code,
        }
    }


def _message(failure: Failure) -> str:
    message = failure.message
    if failure.kind in _OF_CREDENTIALS:
        message = failures.credential_text(failure)
    elif failure.kind is Kind.CONTEXT:
        message = _context_message(message)
    if failure.retry_after is not None and failures.retry_in_text(message) is None:
        # Clients that do not see headers read the wait from the text.
        message = f"{message.rstrip(' .')}. Please try again in {math.ceil(failure.retry_after)}s."
    return message


# Anthropic's "prompt is too long: 21 tokens > 20 maximum" and Gemini's "input token count (21)
# exceeds the maximum number of tokens allowed (20)".
_TOO_LONG = re.compile(
    r"too long: (?P<sent>\d+) tokens > (?P<limit>\d+)"
    r"|token count \((?P<sent_>\d+)\) exceeds .*?\((?P<limit_>\d+)\)",
    re.IGNORECASE,
)


def _context_message(message: str) -> str:
    """*message* with the phrase by which clients know that they must shorten the conversation."""
    if "maximum context length" in message:
        return message
    match = _TOO_LONG.search(message)
    if match is None:
        return f"This model's maximum context length is exceeded: {message}"
    sent, limit = match["sent"] or match["sent_"], match["limit"] or match["limit_"]
    return (
        f"This model's maximum context length is {limit} tokens. "
        f"However, your messages resulted in {sent} tokens."
    )
