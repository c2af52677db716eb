"""Which headers pass, each way: allow-lists, never deny-lists.

What a ``Connection`` header names is between two neighbours and goes no further (RFC 9110, 7.6.1).
"""

import re
from collections.abc import Collection, Iterable, Mapping, Sequence

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
    """The client's headers that go on to an upstream of its own *dialect*.

    Our own User-Agent goes with them, except that a vendor's own program keeps its name: it is
    the one that asks.
    """
    allowed = _UP[dialect]
    neighbours = _neighbours(headers)
    passed: dict[str, str] = {}
    for name, value in headers:
        lower = name.lower()
        if lower in neighbours or not _CLEAN.fullmatch(value):
            continue
        if allowed.fullmatch(lower) or (lower == "user-agent" and _VENDOR_CLIENTS.match(value)):
            # Repeated headers (anthropic-beta may come twice) are one list.
            passed[lower] = f"{passed[lower]}, {value}" if lower in passed else value
    return passed


def downward(dialect: str, headers: Mapping[str, str]) -> dict[str, str]:
    """An upstream's headers that go back to a client of the same *dialect*."""
    allowed = _DOWN[dialect]
    neighbours = _neighbours(headers.items())
    return {
        name: value
        for name, value in headers.items()
        if allowed.fullmatch(name) and name not in neighbours and _CLEAN.fullmatch(value)
    }


def of_body(headers: Mapping[str, str]) -> dict[str, str]:
    """Those of an upstream's *headers* that say what the body is, for one that goes on as it is."""
    return {
        name: headers[name]
        for name in ("content-type", "content-length", "content-disposition")
        if _CLEAN.fullmatch(headers.get(name, "\n"))
    }


def _neighbours(headers: Iterable[tuple[str, str]]) -> Collection[str]:
    named = ",".join(value for name, value in headers if name.lower() == "connection")
    return {name.strip().lower() for name in named.split(",")}


_LONGEST = 256


def printable(value: str) -> str:
    """*value* as a header may hold it: printable ASCII, at most 256 characters."""
    if value.isascii() and value.isprintable() and len(value) <= _LONGEST:
        return value
    return re.sub(r"[^\x20-\x7e]", "?", value)[:_LONGEST]
