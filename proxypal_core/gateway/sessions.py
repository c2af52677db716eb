"""Which conversation a request belongs to, as far as its client says or its beginning tells."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from proxypal_core.accounts.affinity import Session
from proxypal_core.wire import jsonio

# Captured from Claude Code, Codex, OpenCode, Gemini CLI and OpenClaw, or documented by gateways.
_HEADERS = (
    "x-claude-code-session-id",
    "session-id",
    "session_id",
    "x-session-id",
    "x-session-affinity",
    "conversation-id",
    "conversation_id",
    "thread-id",
)
_FIELDS = ("session_id", "sessionId", "prompt_cache_key", "conversation", "conversation_id")
_METADATA = ("session_id", "sessionId", "user_id")
_SYSTEM = ("system", "instructions", "systemInstruction", "system_instruction")
_TURNS = ("messages", "input", "contents")
_TELLING = 4096
_LONGEST = 256
"""Characters of a client's own id for a conversation."""


def session_of(
    headers: Mapping[str, str], doc: Mapping[str, Any], *, client: str = ""
) -> Session | None:
    """The conversation of a request with the case-insensitive *headers* and the body *doc*, in any
    dialect. *client* keeps those of several clients apart.

    Where nothing names it, a conversation is known by how it began; its first request, which
    anybody may have sent in the same words, then follows nobody.
    """
    for name in _named(headers, doc):
        if isinstance(name, str) and 0 < len(name) <= _LONGEST and name.isprintable():
            return Session(_key(client, name.encode("utf-8", "replace")))
    turns: Sequence[Any] = next(
        (doc[name] for name in _TURNS if isinstance(doc.get(name), list)), ()
    )
    first = next((at for at, turn in enumerate(turns) if _role(turn) == "user"), None)
    if first is None:
        return None
    beginning = [*(doc.get(name) for name in _SYSTEM), *turns[: first + 1]]
    return Session(_key(client, _in_short(jsonio.dumps(beginning))), follow=_is_answered(turns))


def _in_short(told: bytes) -> bytes:
    """What tells *told* apart from what else was told: agents begin with a hundred kilobytes."""
    if len(told) <= 2 * _TELLING:
        return told
    return told[:_TELLING] + b"%d" % len(told) + told[-_TELLING:]


def _named(headers: Mapping[str, str], doc: Mapping[str, Any]) -> Iterator[Any]:
    for name in _HEADERS:
        yield headers.get(name)
    for name in _FIELDS:
        value = doc.get(name)
        yield value.get("id") if isinstance(value, dict) else value
    metadata = doc.get("metadata")
    if isinstance(metadata, dict):
        for name in _METADATA:
            yield metadata.get(name)


def _role(turn: Any) -> str:
    """Whose *turn* is; Gemini may leave out that it is the user's, Responses names no role for what
    is not a message.
    """
    if not isinstance(turn, dict):
        return ""
    role = turn.get("role", "user" if "parts" in turn else "")
    return role if isinstance(role, str) else ""


def _is_answered(turns: Sequence[Any]) -> bool:
    """Whether a model has spoken; calls, their results and reasoning of Responses have no role."""
    return any(_role(turn) in ("assistant", "model", "") for turn in turns)


def _key(client: str, name: bytes) -> str:
    return hashlib.blake2b(client.encode() + b"\0" + name, digest_size=16).hexdigest()
