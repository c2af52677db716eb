"""Which headers pass, each way: allow-lists, never deny-lists.

What a ``Connection`` header names is between two neighbours and goes no further (RFC 9110, 7.6.1).
"""

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache

# A vendor client's own headers pass to its own vendor, on its own dialect; nothing else does, but for
# what says how the body is to be read. Captured from Claude Code, Codex, Gemini CLI and the SDKs.
_UP: Mapping[str, re.Pattern[str]] = {
    "anthropic": re.compile(r"anthropic-.+|x-app|x-claude-code-.+|x-stainless-.+|idempotency-key"),
    "openai-chat": re.compile(r"openai-.+|x-stainless-.+|idempotency-key|x-client-request-id"),
    "openai-responses": re.compile(
        r"openai-.+|x-stainless-.+|idempotency-key|x-client-request-id|originator|version"
        r"|x-codex-.+|session[-_]id|thread-id|conversation[-_]id|chatgpt-account-id"
    ),
    "gemini": re.compile(r"x-goog-api-client|x-server-timeout|x-goog-user-project"),
}
_ALWAYS_UP = frozenset(("content-type", "user-agent"))
_VENDOR_CLIENTS = re.compile(r"claude-cli/|codex|GeminiCLI", re.IGNORECASE)

_DOWN: Mapping[str, re.Pattern[str]] = {
    "anthropic": re.compile(
        r"request-id|anthropic-(?:ratelimit|priority|fast)-.+|anthropic-organization-id"
    ),
    "openai-chat": re.compile(r"x-ratelimit-.+|openai-.+"),
    "openai-responses": re.compile(r"x-ratelimit-.+|openai-.+|x-codex-.+|x-models-etag"),
    "gemini": re.compile(r"x-gemini-.+|server-timing"),
}


def upward(dialect: str, headers: Mapping[str, str]) -> dict[str, str]:
    """Those of the client's *headers*, their names in small letters, that go on to an upstream of its
    own *dialect*.

    Our own User-Agent goes with them, except that a vendor's own program keeps its name: it is
    the one that asks.
    """
    passed = _clean(headers, _going_up(dialect, tuple(headers)))
    agent = passed.get("user-agent")
    if agent is not None and not _VENDOR_CLIENTS.match(agent):
        del passed["user-agent"]
    return passed


def downward(dialect: str, headers: Mapping[str, str]) -> dict[str, str]:
    """An upstream's headers that go back to a client of the same *dialect*."""
    return _clean(headers, _going_down(dialect, tuple(headers)))


# Clients and providers send the same names again and again.
@lru_cache(maxsize=128)
def _going_up(dialect: str, names: tuple[str, ...]) -> Sequence[str]:
    goes = _UP[dialect].fullmatch
    # A request has its headers by name with the last first.
    return [name for name in reversed(names) if name in _ALWAYS_UP or goes(name)]


@lru_cache(maxsize=128)
def _going_down(dialect: str, names: tuple[str, ...]) -> Sequence[str]:
    return list(filter(_DOWN[dialect].fullmatch, names))


def _clean(headers: Mapping[str, str], names: Sequence[str]) -> dict[str, str]:
    """Those of *headers* with one of the *names* whose values are short and printable ASCII."""
    passed = {
        name: value
        for name in names
        if (value := headers[name]).isascii()
        and value.isprintable()
        and len(value) <= _LONGEST_VALUE
    }
    if hops := headers.get("connection"):
        for name in hops.split(","):
            passed.pop(name.strip().lower(), None)
    return passed


def of_body(headers: Mapping[str, str]) -> dict[str, str]:
    """Those of an upstream's *headers* that say what the body is, for one that goes on as it is."""
    return _clean(headers, [name for name in _OF_BODY if name in headers])


_OF_BODY = ("content-type", "content-length", "content-disposition")
_LONGEST_VALUE = 1024
_LONGEST = 256
"""Characters."""


def printable(value: str) -> str:
    """*value* as a header may hold it: printable ASCII, at most 256 characters."""
    if value.isascii() and value.isprintable() and len(value) <= _LONGEST:
        return value
    return re.sub(r"[^\x20-\x7e]", "?", value)[:_LONGEST]
