"""Failures, both ways, before the first byte and in the middle of a stream."""

from proxypal_core.dialects import openai_errors
from proxypal_core.dialects.openai_errors import (
    KEEPS_CODE,
    TooLong,
    decode_failure,
    read_error_object,
)
from proxypal_core.dialects.openai_responses.words import FAILED
from proxypal_core.hub.failure import Failure, Kind
from proxypal_core.wire import jsonio
from proxypal_core.wire.jsonio import JsonObject

__all__ = ["decode_failure", "encode_failure", "error_object", "failed_error", "failure_in"]

_KEEPS_DETAILS = (*KEEPS_CODE, Kind.CONTEXT)
_TOO_LONG = TooLong(
    known=("context window", "maximum context length"),
    counted=(
        "Your input exceeds the context window of this model: "
        "{sent} tokens of at most {limit}. Please adjust your input and try again."
    ),
    otherwise="Your input exceeds the context window of this model: {message}",
)

# The codes of a failed response by which Codex decides what to do; for others it just tries again.
_FAILED_CODES = {
    Kind.INVALID: "invalid_prompt",
    Kind.CONTEXT: "context_length_exceeded",
    Kind.BILLING: "insufficient_quota",
    Kind.RATE_LIMIT: "rate_limit_exceeded",
    Kind.RESTING: "rate_limit_exceeded",
}


def failure_in(doc: JsonObject) -> Failure | None:
    """The failure that an answer or an event tells in place of content, in any of the forms seen."""
    error = doc.get("error")
    if error:
        # Beside a nested object, only the ChatGPT backend says the status too.
        return read_error_object(error, doc.get("status"))
    if doc.get("type") == "error":
        return read_error_object({key: doc[key] for key in doc if key not in ("type", "error")})
    if doc.get("status") == FAILED:
        return Failure(Kind.SERVER, "the provider's answer failed without saying why")
    return None


def encode_failure(failure: Failure, /, *, request_id: str) -> tuple[int, bytes]:
    return openai_errors.status_of(failure), jsonio.dumps({"error": error_object(failure)})


def error_object(failure: Failure) -> JsonObject:
    error = openai_errors.error_object(failure, _TOO_LONG)
    if failure.kind in _KEEPS_DETAILS and isinstance(failure.details, (dict, list)):
        error["details"] = failure.details
    return error


def failed_error(failure: Failure) -> JsonObject:
    """The ``error`` of a response whose status is ``failed``."""
    code = _FAILED_CODES.get(failure.kind, "server_error")
    return {"code": code, "message": openai_errors.message_of(failure, _TOO_LONG)}
