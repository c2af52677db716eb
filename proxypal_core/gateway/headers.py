"""Which headers pass, each way: allow-lists, never deny-lists.

What a ``Connection`` header names is between two neighbours and goes no further (RFC 9110, 7.6.1).
"""

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import lru_cache

# A vendor client's own headers pass to its own vendor, on its own dialect; nothing else does.
# Captured from Claude Code, Codex, Gemini CLI and the SDKs.
_UP: Mapping[str, re.Pattern[str]] = {
    "anthropic": re.compile(
        r"anthropic-.+|x-app|x-claude-code-.+|x-stainless-.+|idempotency-key", re.IGNORECASE
    ),
    "openai-chat": re.compile(
        r"openai-.+|x-stainless-.+|idempotency-key|x-client-request-id", re.IGNORECASE
    ),
    "openai-responses": re.compile(
        r"openai-.+|x-stainless-.+|idempotency-key|x-client-request-id|originator|version"
        r"|x-codex-.+|session[-_]id|thread-id|conversation[-_]id|chatgpt-account-id",
        re.IGNORECASE,
    ),
    "gemini": re.compile(r"x-goog-api-client|x-server-timeout|x-goog-user-project", re.IGNORECASE),
}
_VENDOR_CLIENTS = re.compile(r"claude-cli/|codex|GeminiCLI", re.IGNORECASE)

_DOWN: Mapping[str, re.Pattern[str]] = {
    "anthropic": re.compile(
        r"request-id|anthropic-(?:ratelimit|priority|fast)-.+|anthropic-organization-id"
    ),
    "openai-chat": re.compile(r"x-ratelimit-.+|openai-.+"),
    "openai-responses": re.compile(r"x-ratelimit-.+|openai-.+|x-codex-.+|x-models-etag"),
    "gemini": re.compile(r"x-gemini-.+|server-timing"),
}
_CLEAN = re.compile(r"[\x20-\x7e]{0,1024}")


def upward(dialect: str, headers: Sequence[tuple[str, str]]) -> dict[str, str]:
    """Those of the client's *headers*, their names in small letters, that go on to an upstream of its
    own *dialect*.

    Our own User-Agent goes with them, except that a vendor's own program keeps its name: it is
    the one that asks.
    """
    passed: dict[str, str] = {}
    for name, value in headers:
        goes = _VENDOR_CLIENTS.match(value) if name == "user-agent" else _goes_up(dialect, name)
        if goes and name not in _neighbours(headers) and _CLEAN.fullmatch(value):
            # Repeated headers (anthropic-beta may come twice) are one list.
            passed[name] = f"{passed[name]}, {value}" if name in passed else value
    return passed


@lru_cache(maxsize=1024)
def _goes_up(dialect: str, name: str) -> bool:
    return _UP[dialect].fullmatch(name) is not None


@lru_cache(maxsize=1024)
def _goes_down(dialect: str, name: str) -> bool:
    return _DOWN[dialect].fullmatch(name) is not None


def downward(dialect: str, headers: Mapping[str, str]) -> dict[str, str]:
    """An upstream's headers that go back to a client of the same *dialect*."""
    return {
        name: value
        for name, value in headers.items()
        if _goes_down(dialect, name)
        and name not in _neighbours(headers.items())
        and _CLEAN.fullmatch(value)
    }


def of_body(headers: Mapping[str, str]) -> dict[str, str]:
    """Those of an upstream's *headers* that say what the body is, for one that goes on as it is."""
    return {
        name: headers[name]
        for name in ("content-type", "content-length", "content-disposition")
        if _CLEAN.fullmatch(headers.get(name, "\n"))
    }


def _neighbours(headers: Iterable[tuple[str, str]]) -> Collection[str]:
    named = ",".join(value for name, value in headers if name == "connection")
    return {name.strip().lower() for name in named.split(",")}


_LONGEST = 256


def printable(value: str) -> str:
    """*value* as a header may hold it: printable ASCII, at most 256 characters."""
    if value.isascii() and value.isprintable() and len(value) <= _LONGEST:
        return value
    return re.sub(r"[^\x20-\x7e]", "?", value)[:_LONGEST]
