"""What is looked at of a body before it is known whether it goes on as it came.

Agents send a megabyte of conversation, of which a request that passes untouched needs a few words. To
parse the rest would take longer than to send it, and hold several times the memory for as long as the
answer lasts.
"""

import codecs
from collections.abc import Callable
from typing import Any, TypeAlias, TypedDict

import msgspec

from proxypal_core.wire import jsonio

_Scalar: TypeAlias = str | int | float | bool | None


class _Turn(TypedDict, total=False):
    role: Any
    content: msgspec.Raw
    parts: msgspec.Raw


_Turns: TypeAlias = list[_Turn | list[Any] | _Scalar] | dict[str, Any] | _Scalar


class _Glance(TypedDict, total=False):
    model: Any
    generateContentRequest: Any
    stream: Any
    stream_options: Any
    thread: Any
    session_id: Any
    sessionId: Any
    prompt_cache_key: Any
    conversation: Any
    conversation_id: Any
    metadata: Any
    system: msgspec.Raw
    instructions: msgspec.Raw
    systemInstruction: msgspec.Raw
    system_instruction: msgspec.Raw
    messages: _Turns
    contents: _Turns


_PIECE = 64 * 1024
"""Bytes that are decoded at a time, whose text stays in the processor's cache."""
_decode: Callable[[bytes], Any] = msgspec.json.Decoder(_Glance).decode


def glance(body: bytes) -> jsonio.JsonObject:
    """The fields of *body*, an object, by which a request is told apart and routed, in any dialect. What
    was said in it is not parsed, but is valid JSON: a ``msgspec.Raw``. Only how deep that is nested, and
    whether its numbers fit a float, is not looked at.

    Raises:
        Malformed: it is no object, or not JSON.
    """
    try:
        if not body.isascii():
            _check_encoding(body)
        doc: jsonio.JsonObject = _decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return jsonio.load_object(body)  # which says what is wrong
    return doc


def _check_encoding(body: bytes) -> None:
    """See that *body* is UTF-8, which nobody looks at where it is not parsed.

    Raises:
        UnicodeDecodeError: it is not.
    """
    whole = memoryview(body)
    at = 0
    while at < len(body):
        end = at + _PIECE
        _, read = codecs.utf_8_decode(whole[at:end], "strict", end >= len(body))
        at += read
