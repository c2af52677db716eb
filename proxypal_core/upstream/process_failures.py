"""What it means that a program failed, by what it says and not by its exit code: codes are no
standard, and some programs exit with 0.
"""

import re

import msgspec

from proxypal_core.dialects import failures
from proxypal_core.hub.failure import Failure, Kind
from proxypal_core.providers.backend import Backend
from proxypal_core.upstream.transport import Broken
from proxypal_core.wire import jsonio

_MESSAGE_LIMIT = 2048

# The programs' own words, read off claude, codex, gemini, qwen, copilot and opencode.
_LOGGED_OUT = re.compile(
    r"not logged in|not authenticated|log(?:ged)? ?in (?:first|again|required)|please (?:run )?/login"
    r"|set an auth method|no auth(?:entication)? (?:method|type|information)|missing bearer"
    r"|no authentication information|run .{1,40}\blogin\b",
    re.IGNORECASE,
)
_EXPIRED = re.compile(
    r"no conversation found|session (?:not found|expired)|no (?:saved )?session"
    r"|no rollout found|invalid session identifier|unknown session"
    r"|session id .{1,80} is already in use",
    re.IGNORECASE,
)


def is_expired(message: str) -> bool:
    """Whether *message* says that the session to go on with is not there any more."""
    return _EXPIRED.search(message) is not None


def said(backend: Backend, message: str, status: int = 0) -> Broken:
    """What *backend* failed with, that told *message*; *status* is its provider's, 0 for unknown."""
    text = _shortened(message) or "failed without a word"
    told = jsonio.dumps({"error": {"message": text}})
    failure = failures.read_error(status, told)[0]
    if failure.kind in (Kind.SERVER, Kind.AUTH) and _LOGGED_OUT.search(text):
        failure = msgspec.structs.replace(failure, kind=Kind.AUTH)
    return broken(msgspec.structs.replace(failure, message=f"{backend.name}: {text}"))


def absent(backend: Backend) -> Broken:
    """There is no such program."""
    message = (
        f"{backend.name}: there is no program {backend.command!r} here; install it, or give its path"
        f" as backends.{backend.name}.command"
    )
    return Broken(Kind.FORBIDDEN, message)


def broken(failure: Failure) -> Broken:
    error = Broken(failure.kind, failure.message)
    error.failure = failure
    return error


def _shortened(message: str) -> str:
    """The end of a long *message*: programs tell last what ended them."""
    text = _COLOURS.sub("", message).strip()
    return text if len(text) <= _MESSAGE_LIMIT else f"… {text[-_MESSAGE_LIMIT:]}"


_COLOURS = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
