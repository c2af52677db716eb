"""Failures, both ways, before the first byte and in the middle of a stream."""

from proxypal_core.dialects import openai_errors
from proxypal_core.dialects.openai_chat.words import first_choice
from proxypal_core.dialects.openai_errors import TooLong, decode_failure, read_error_object
from proxypal_core.hub.failure import Failure
from proxypal_core.wire import jsonio, sse
from proxypal_core.wire.jsonio import JsonObject

__all__ = [
    "choice_failure",
    "decode_failure",
    "encode_failure",
    "failure_frame",
    "failure_in",
    "read_error_object",
]

_TOO_LONG = TooLong(
    known=("maximum context length",),
    counted=(
        "This model's maximum context length is {limit} tokens. "
        "However, your messages resulted in {sent} tokens."
    ),
    otherwise="This model's maximum context length is exceeded: {message}",
)


def failure_in(doc: JsonObject) -> Failure | None:
    """The failure that *doc* is: an error at its top, or a choice that ended in one."""
    if doc.get("error"):
        return read_error_object(doc["error"])
    choice = first_choice(doc)
    return choice_failure(choice) if choice.get("finish_reason") == "error" else None


def choice_failure(choice: JsonObject) -> Failure:
    return read_error_object(choice.get("error") or "the provider broke off")


def encode_failure(failure: Failure, /, *, request_id: str) -> tuple[int, bytes]:
    return openai_errors.status_of(failure), _body(failure)


def failure_frame(failure: Failure) -> bytes:
    """What tells *failure* inside a stream, as its last event."""
    return sse.frame(_body(failure))


def _body(failure: Failure) -> bytes:
    return jsonio.dumps({"error": openai_errors.error_object(failure, _TOO_LONG)})
