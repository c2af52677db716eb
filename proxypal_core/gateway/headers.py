"""Which headers pass, each way: allow-lists, never deny-lists."""

import re
from collections.abc import Iterable, Mapping

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


def upward(dialect: str, headers: Iterable[tuple[str, str]]) -> dict[str, str]:
    """The client's headers that go on to an upstream of its own *dialect*.

    Our own User-Agent goes with them, except that a vendor's own program keeps its name: it is
    the one that asks.
    """
    allowed = _UP[dialect]
    passed: dict[str, str] = {}
    for name, value in headers:
        lower = name.lower()
        if not _CLEAN.fullmatch(value):
            continue
        if allowed.fullmatch(lower) or (lower == "user-agent" and _VENDOR_CLIENTS.match(value)):
            # Repeated headers (anthropic-beta may come twice) are one list.
            passed[lower] = f"{passed[lower]}, {value}" if lower in passed else value
    return passed


def downward(dialect: str, headers: Mapping[str, str]) -> dict[str, str]:
    """An upstream's headers that go back to a client of the same *dialect*."""
    allowed = _DOWN[dialect]
    return {
        name: value
        for name, value in headers.items()
        if allowed.fullmatch(name) and _CLEAN.fullmatch(value)
    }


def printable(value: str) -> str:
    """*value* as a header may hold it: printable ASCII, at most 256 characters."""
    return re.sub(r"[^\x20-\x7e]", "?", value)[:256]
