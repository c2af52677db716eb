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
_NAMING_HEADERS = frozenset(_HEADERS)
_NAMING_FIELDS = frozenset((*_FIELDS, "metadata"))
_SYSTEM = ("system", "instructions", "systemInstruction", "system_instruction")
_TURNS = ("messages", "input", "contents")
_TELLING = 4096
_LONGEST = 256
"""Characters of a client's own id for a conversation."""


def session_of(
    headers: Mapping[str, str], doc: Mapping[str, Any], *, client: str = ""
) -> Session | None:
    """The conversation of a request with the *headers*, their names in small letters, and the body
    *doc*, in any dialect. *client* keeps those of several clients apart.

    Where nothing names it, a conversation is known by how it began; its first request, which
    anybody may have sent in the same words, then follows nobody.
    """
    if not (_NAMING_HEADERS.isdisjoint(headers) and _NAMING_FIELDS.isdisjoint(doc)):
        for name in _named(headers, doc):
            if isinstance(name, str) and 0 < len(name) <= _LONGEST and name.isprintable():
                return Session(_key(client, name.encode("utf-8", "replace")))
    turns = _turns(doc)
    first = 0
    while first < len(turns) and _role(turns[first]) != "user":
        first += 1
    if first == len(turns):
        return None
    beginning = jsonio.dumps(
        [*map(_in_short, map(doc.get, _SYSTEM)), *map(_in_short, turns[: first + 1])]
    )
    if len(beginning) > 2 * _TELLING:
        beginning = beginning[:_TELLING] + b"%d" % len(beginning) + beginning[-_TELLING:]
    return Session(_key(client, beginning), follow=_is_answered(turns))


def _turns(doc: Mapping[str, Any]) -> Sequence[Any]:
    for name in _TURNS:
        turns = doc.get(name)
        if isinstance(turns, list):
            return turns
    return ()


def _in_short(value: Any) -> Any:
    """What tells *value*, a text or a turn, apart from others: agents begin with a hundred kilobytes."""
    if isinstance(value, dict):
        content = value.get("content")
        return {**value, "content": _in_short(content)} if isinstance(content, str) else value
    if isinstance(value, str) and len(value) > _TELLING:
        half = _TELLING // 2
        return [value[:half], len(value), value[-half:]]
    return value


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
