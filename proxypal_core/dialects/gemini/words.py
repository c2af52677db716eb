"""The words that requests, answers and streams share."""

import base64
import re
from collections.abc import Mapping
from typing import Any

from proxypal_core.dialects import answers, extras, media
from proxypal_core.hub.messages import (
    Audio,
    Base64,
    Blob,
    File,
    FileId,
    FinishReason,
    Image,
    Part,
    PlainText,
    Source,
    Url,
    Usage,
)
from proxypal_core.wire import jsonio
from proxypal_core.wire.jsonio import JsonObject

NAME = "gemini"
SIGNATURE = "thought_signature"

# What a client sends in place of a signature it does not have, as Google documents it.
NO_SIGNATURE = "skip_thought_signature_validator"
_NO_SIGNATURES = frozenset({NO_SIGNATURE, "context_engineering_is_the_way_to_go"})

# Addresses that only Gemini can read: its own file store, Google's buckets and video pages.
GOOGLES = re.compile(
    r"gs://|files/|https://generativelanguage\.googleapis\.com/"
    r"|https://(?:www\.)?youtube\.com/|https://youtu\.be/"
)

_DETAILS = {"MEDIA_RESOLUTION_LOW": "low", "MEDIA_RESOLUTION_HIGH": "high"}
RESOLUTIONS = {detail: level for level, detail in _DETAILS.items()}


def blobs(part: Mapping[str, Any]) -> tuple[Blob, ...]:
    """The signature of *part*; clients write it in either base64 alphabet."""
    value = part.get("thoughtSignature")
    if not isinstance(value, str) or not value or value in _NO_SIGNATURES:
        return ()
    return (Blob(NAME, SIGNATURE, media.inline("", value).data),)


def signature(found: tuple[Blob, ...]) -> dict[str, str]:
    """The field that carries this vendor's own blob, if there is one."""
    value = extras.blob_of(found, NAME)
    return {"thoughtSignature": media.inline("", value).data} if value else {}


def read_inline(raw: Any, path: str) -> Part:
    """``inlineData``: the hub part that its media type makes it."""
    data = jsonio.obj(raw, path)
    source = media.inline(
        jsonio.opt(data, "mimeType", jsonio.string, path) or "",
        jsonio.need(data, "data", jsonio.string, path),
    )
    name = jsonio.opt(data, "displayName", jsonio.string, path) or ""
    family = source.mime.partition("/")[0]
    if family == "image":
        return Image(source)
    if family == "audio":
        return Audio(source.mime, source.data)
    text = _text(source) if family == "text" else None
    return File(source if text is None else PlainText(text), name)


def _text(source: Base64) -> str | None:
    try:
        return base64.b64decode(source.data).decode()
    except ValueError:
        return None


def read_file(raw: Any, path: str) -> Part:
    """``fileData``: an address, or a file that only Google has."""
    data = jsonio.obj(raw, path)
    uri = jsonio.need(data, "fileUri", jsonio.string, path)
    mime = jsonio.opt(data, "mimeType", jsonio.string, path) or ""
    name = jsonio.opt(data, "displayName", jsonio.string, path) or ""
    own = is_googles(uri) or not uri.startswith(("https://", "http://"))
    source: Source = FileId(uri, NAME, mime) if own else Url(uri, mime)
    return Image(source) if mime.startswith("image/") else File(source, name)


def with_detail(part: Part, raw: Mapping[str, Any]) -> Part:
    """An image with how closely it is to be looked at; the field is an object or (older) a word."""
    level = raw.get("mediaResolution")
    if isinstance(level, dict):
        level = level.get("level")
    if isinstance(part, Image) and isinstance(level, str):
        return Image(part.source, _DETAILS.get(level, ""))
    return part


def is_googles(uri: str) -> bool:
    """Whether *uri* is one that Google reads for its own models."""
    return GOOGLES.match(uri) is not None


def inline_part(mime: str, data: str) -> JsonObject:
    return {"inlineData": {"mimeType": mime, "data": data}}


# ── why it ended ─────────────────────────────────────────────────────────────────────────────

_REASONS = {
    "STOP": FinishReason.STOP,
    "MAX_TOKENS": FinishReason.LENGTH,
    "CONTINUATION": FinishReason.PAUSE,
    "SAFETY": FinishReason.CONTENT_FILTER,
    "RECITATION": FinishReason.CONTENT_FILTER,
    "LANGUAGE": FinishReason.CONTENT_FILTER,
    "BLOCKLIST": FinishReason.CONTENT_FILTER,
    "PROHIBITED_CONTENT": FinishReason.CONTENT_FILTER,
    "SPII": FinishReason.CONTENT_FILTER,
    "MODEL_ARMOR": FinishReason.CONTENT_FILTER,
    "MALFORMED_FUNCTION_CALL": FinishReason.MALFORMED_CALL,
    "UNEXPECTED_TOOL_CALL": FinishReason.MALFORMED_CALL,
    "TOO_MANY_TOOL_CALLS": FinishReason.MALFORMED_CALL,
    "MISSING_THOUGHT_SIGNATURE": FinishReason.MALFORMED_CALL,
    "MALFORMED_RESPONSE": FinishReason.MALFORMED_CALL,
}
_UNSPECIFIED = "FINISH_REASON_UNSPECIFIED"

# There is no word for calls, and none for a pause that a client could continue without a token.
REASON_WORDS = {
    FinishReason.STOP: "STOP",
    FinishReason.TOOL_CALLS: "STOP",
    FinishReason.STOP_SEQUENCE: "STOP",
    FinishReason.PAUSE: "STOP",
    FinishReason.LENGTH: "MAX_TOKENS",
    FinishReason.CONTEXT_WINDOW: "MAX_TOKENS",
    FinishReason.CONTENT_FILTER: "SAFETY",
    FinishReason.REFUSAL: "SAFETY",
    FinishReason.MALFORMED_CALL: "MALFORMED_FUNCTION_CALL",
    FinishReason.OTHER: "OTHER",
}


def read_reason(word: str) -> FinishReason:
    if word.startswith(("IMAGE_", "NO_IMAGE")):
        return FinishReason.CONTENT_FILTER
    return _REASONS.get(word, FinishReason.OTHER)


def finish_reason(candidate: Mapping[str, Any]) -> str:
    word = candidate.get("finishReason")
    return word if isinstance(word, str) and word != _UNSPECIFIED else ""


def block_reason(doc: Mapping[str, Any]) -> str:
    feedback = doc.get("promptFeedback")
    word = feedback.get("blockReason") if isinstance(feedback, dict) else None
    return word if isinstance(word, str) else ""


# ── what it cost ─────────────────────────────────────────────────────────────────────────────


_COUNTS = (
    "promptTokenCount",
    "toolUsePromptTokenCount",
    "cachedContentTokenCount",
    "candidatesTokenCount",
    "thoughtsTokenCount",
)


def read_usage(counts: Mapping[str, Any]) -> Usage:
    """Counts that are zero are left out; the prompt includes what was cached."""
    prompt, tools, cached, said, thoughts = answers.counts(counts, _COUNTS)
    return Usage(
        input_total=prompt + tools,
        input_cached=cached,
        output_total=said + thoughts,
        output_reasoning=thoughts,
    )


def write_usage(usage: Usage) -> JsonObject:
    counts = {
        "promptTokenCount": usage.input_total,
        "cachedContentTokenCount": usage.input_cached,
        "candidatesTokenCount": max(0, usage.output_total - usage.output_reasoning),
        "thoughtsTokenCount": usage.output_reasoning,
        "totalTokenCount": usage.total,
    }
    optional = ("cachedContentTokenCount", "thoughtsTokenCount")
    return {field: count for field, count in counts.items() if count or field not in optional}
