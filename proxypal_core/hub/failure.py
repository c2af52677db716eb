"""What can go wrong, said once for all dialects."""

from enum import StrEnum
from typing import Any, Literal

from proxypal_core.hub.messages import Record


class Kind(StrEnum):
    """What a failure means. The pool's verdicts and each dialect's words hang on these."""

    INVALID = "invalid"  # the request's own fault
    CONTEXT = "context"  # the prompt is longer than the model's window
    UNSUPPORTED = "unsupported"  # we cannot carry this request there
    TOO_LARGE = "too_large"
    CLIENT_KEY = "client_key"  # the client's key for *us* is wrong
    FORBIDDEN_HERE = "forbidden_here"  # our own guards say no
    NO_ROUTE = "no_route"  # unknown path
    METHOD = "method"
    MEDIA_TYPE = "media_type"
    MODEL = "model"  # nobody here knows the model
    CONFLICT = "conflict"
    AUTH = "auth"  # the provider refuses our credential
    FORBIDDEN = "forbidden"  # the provider refuses this use of it
    BILLING = "billing"  # no money or credits
    RATE_LIMIT = "rate_limit"
    OVERLOADED = "overloaded"
    SERVER = "server"
    TIMEOUT = "timeout"
    UNREACHABLE = "unreachable"
    TRUNCATED = "truncated"  # the stream ended without its terminal event
    BAD_REPLY = "bad_reply"  # the provider answered what it should not
    RESTING = "resting"  # every account that could serve is resting
    NO_ACCOUNT = "no_account"  # no account could serve, however long one waits
    INTERNAL = "internal"  # our own fault


class Failure(Record, frozen=True):
    """A failure as a value. ``status`` is the upstream's, 0 when there was none; ``code`` and
    ``details`` are kept for the same dialect.

    When the provider may be asked again: after ``retry_after`` seconds, or at ``resets_at``, in Unix
    seconds, for those who say a time. ``scope`` is what is limited, where that was said.
    """

    kind: Kind
    message: str
    status: int = 0
    retry_after: float | None = None
    resets_at: float | None = None
    scope: Literal["", "model", "account"] = ""
    code: str = ""
    param: str = ""
    details: Any = None


class Refused(Exception):
    """A failure on its way out: nothing more can be done about it here."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.message)
        self.failure = failure


def invalid(message: str, *, param: str = "") -> Refused:
    """The refusal of a request that is wrong in itself; *param* names the field."""
    return Refused(Failure(Kind.INVALID, message, param=param))
