"""Failures in the words of OpenAI's two dialects, both ways."""

import math
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

import msgspec

from proxypal_core.dialects import failures
from proxypal_core.hub.failure import Failure, Kind
from proxypal_core.wire import jsonio
from proxypal_core.wire.jsonio import JsonObject

# ── reading ──────────────────────────────────────────────────────────────────────────────────


def decode_failure(status: int, body: bytes, /) -> Failure:
    return failures.read_error(status, body)[0]


def read_error_object(error: Any, status: Any = None) -> Failure:
    """The failure in an error object without an HTTP status of its own: in a stream, or in an
    answer with status 200. *status* is the one said beside it, if any.
    """
    known = _status(status)
    # OpenRouter's code is the status itself.
    code = _status(error.get("code")) if isinstance(error, Mapping) else 0
    failure, _ = failures.read_error(known or code, jsonio.dumps({"error": error}))
    return msgspec.structs.replace(failure, status=known)


def _status(value: Any) -> int:
    is_status = isinstance(value, int) and not isinstance(value, bool) and 400 <= value < 600
    return value if is_status else 0


# ── writing ──────────────────────────────────────────────────────────────────────────────────


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
# Codes that say more than the kind does, and that clients know.
KEEPS_CODE = (Kind.INVALID, Kind.CONFLICT, Kind.TOO_LARGE, Kind.UNSUPPORTED)


class TooLong(NamedTuple):
    """How clients of a dialect are told that they must shorten the conversation.

    ``known``: phrases of which one is enough. ``counted``: for when the numbers are known.
    """

    known: tuple[str, ...]
    counted: str
    otherwise: str


def status_of(failure: Failure) -> int:
    return _WORDS[failure.kind].status


def error_object(failure: Failure, too_long: TooLong) -> JsonObject:
    words = _WORDS[failure.kind]
    return {
        "message": message_of(failure, too_long),
        "type": words.type,
        "param": failure.param or None,
        "code": (failure.kind in KEEPS_CODE and failure.code) or words.code,
    }


# Codex, and whoever else does not see headers, reads the wait from the text, in these words.
_TELLS_WAIT = re.compile(r"try again in \d", re.IGNORECASE)


def message_of(failure: Failure, too_long: TooLong) -> str:
    message = failures.client_text(failure)
    if failure.kind is Kind.CONTEXT:
        message = _context_message(message, too_long)
    if failure.retry_after is not None and not _TELLS_WAIT.search(message):
        message = f"{message.rstrip(' .')}. Please try again in {math.ceil(failure.retry_after)}s."
    return message


def _context_message(message: str, too_long: TooLong) -> str:
    if any(phrase in message for phrase in too_long.known):
        return message
    counts = failures.token_counts(message)
    if counts is None:
        return too_long.otherwise.format(message=message)
    sent, limit = counts
    return too_long.counted.format(sent=sent, limit=limit)
