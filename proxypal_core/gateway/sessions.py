"""Which conversation a request belongs to, as far as its client says or its beginning tells."""

from collections.abc import Iterator, Mapping, Sequence
from hashlib import blake2b
from typing import Any

import msgspec

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
_SAID = ("content", "parts")
_SPOKEN = frozenset(("assistant", "model", ""))
"""Roles of a model; calls, their results and reasoning of Responses have none."""
_TELLING = 2048
"""Bytes that tell a text apart from others, half of them its beginning: agents begin with a hundred
kilobytes.
"""
_LONGEST = 256
"""Characters of a client's own id for a conversation."""


def session_of(
    headers: Mapping[str, str], doc: Mapping[str, Any], *, client: str = ""
) -> Session | None:
    """The conversation of a request with the *headers*, their names in small letters, and the body
    *doc*, in any dialect, parsed or only glanced at. *client* keeps those of several clients apart.

    Where nothing names it, a conversation is known by how it began; its first request, which
    anybody may have sent in the same words, then follows nobody.
    """
    if not (_NAMING_HEADERS.isdisjoint(headers) and _NAMING_FIELDS.isdisjoint(doc)):
        for name in _named(headers, doc):
            if isinstance(name, str) and 0 < len(name) <= _LONGEST and name.isprintable():
                return Session(_key(client, name.encode("utf-8", "replace")))
    beginning: list[bytes | memoryview] = []
    for name in _SYSTEM:
        if name in doc:
            beginning.append(_told(doc[name]))  # noqa: PERF401 — in 3.11 a comprehension is a call
    begun = follow = False
    for turn in _turns(doc):
        role = _role(turn)
        if role in _SPOKEN:
            follow = True
        if begun:
            if follow:
                break
            continue
        begun = role == "user"
        beginning.append(role.encode("utf-8", "replace"))
        if isinstance(turn, dict):
            for name in _SAID:
                if name in turn:
                    beginning.append(_told(turn[name]))  # noqa: PERF401 — the same
    if not begun:
        return None
    return Session(_key(client, b"\0".join(beginning)), follow)  # a byte that JSON never holds


def _turns(doc: Mapping[str, Any]) -> Sequence[Any]:
    for name in _TURNS:
        turns = doc.get(name)
        if isinstance(turns, list):
            return turns
    return ()


def spoken(doc: Mapping[str, Any]) -> bytes:
    """What models are said to have said in *doc*, a body: the JSON of their turns, in lines."""
    return b"\n".join(
        [
            _json(turn[name])
            for turn in _turns(doc)
            if isinstance(turn, dict) and _role(turn) in _SPOKEN
            for name in _SAID
            if name in turn
        ]
    )


def _told(value: Any) -> bytes | memoryview:
    """What tells *value*, a part of a body, apart from others."""
    told = memoryview(_json(value))
    if len(told) <= _TELLING:
        return told
    half = _TELLING // 2
    return b"".join((told[:half], b"%d" % len(told), told[-half:]))


def _json(value: Any) -> bytes | msgspec.Raw:
    return value if isinstance(value, msgspec.Raw) else jsonio.dumps(value)


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


def _key(client: str, name: bytes) -> str:
    return blake2b(b"%b\0%b" % (client.encode(), name), digest_size=16).hexdigest()
