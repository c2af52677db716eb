"""A whole answer, both ways, and the words that streams share with it."""

from collections.abc import Mapping
from typing import Any

from proxypal_core.dialects.anthropic.content_encode import is_citation, redacted, signature, tool_input
from proxypal_core.dialects.anthropic.content_decode import NAME, read_block
from proxypal_core.dialects.anthropic.errors import error_in
from proxypal_core.dialects.base import Notice, Reply
from proxypal_core.hub.failure import Refused
from proxypal_core.hub.messages import (
    Audio,
    File,
    FinishReason,
    Image,
    Opaque,
    Part,
    Refusal,
    Response,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
    Usage,
)
from proxypal_core.wire import jsonio
from proxypal_core.wire.jsonio import JsonObject, arr, integer, obj, opt, string

# ── whole ────────────────────────────────────────────────────────────────────────────────────


def decode_response(doc: JsonObject, /) -> Response:
    failure = error_in(doc)
    if failure is not None:
        raise Refused(failure)
    parts: list[Part] = []
    for at, item in enumerate(opt(doc, "content", arr) or ()):
        path = f"content[{at}]"
        parts += read_block(obj(item, path), path, "assistant")
    parts += refusal(doc)
    calls = any(isinstance(part, ToolCall) for part in parts)
    finish, raw = read_stop(opt(doc, "stop_reason", string) or "", calls=calls)
    return Response(
        id=opt(doc, "id", string) or "",
        model=opt(doc, "model", string) or "",
        parts=tuple(parts),
        finish=finish,
        finish_raw=raw,
        stop_sequence=opt(doc, "stop_sequence", string) or "",
        usage=read_usage(opt(doc, "usage", obj) or {}),
    )


def encode_response(response: Response, reply: Reply, /) -> bytes:
    content = [block for part in response.parts for block in _blocks(part)]
    calls = any(isinstance(part, ToolCall) for part in response.parts)
    refused = any(isinstance(part, Refusal) for part in response.parts)
    return jsonio.dumps(
        {
            "id": message_id(response.id or reply.id),
            "type": "message",
            "role": "assistant",
            "model": reply.request.model,
            "content": content,
            **stop_fields(response.finish, response.stop_sequence, calls=calls, refused=refused),
            "usage": usage_fields(response.usage),
        }
    )


def _blocks(part: Part) -> list[JsonObject]:
    match part:
        case Text(text=text, citations=citations):
            if not text:
                return []
            kept = [citation for citation in citations if is_citation(citation)]
            block: JsonObject = {"type": "text", "text": text}
            return [{**block, "citations": kept} if kept else block]
        case Thinking(text=text):
            data, signed = redacted(part), signature(part)
            if data:
                return [{"type": "redacted_thinking", "data": data}]
            if not text and not signed:
                return []
            return [{"type": "thinking", "thinking": text, "signature": signed}]
        case ToolCall():
            block = {"type": "tool_use", "id": part.id, "name": part.name}
            return [{**block, "input": tool_input(part)}]
        case Opaque(dialect=dialect, raw=raw):
            return [raw] if dialect == NAME else []
        case Refusal(text=text):
            return [{"type": "text", "text": text}] if text else []
        case Image() | Audio() | File():
            return [{"type": "text", "text": placeholder(part)}]
        case ToolResult():
            return []


def placeholder(part: Image | Audio | File) -> str:
    return f"[the model answered with {type(part).__name__.lower()} data, not shown here]"


def notice_whole(doc: JsonObject, /) -> Notice:
    failure = error_in(doc)
    if failure is not None:
        return Notice(failure=failure)
    usage = doc.get("usage")
    return Notice(
        begun=bool(doc.get("content")),
        finished=doc.get("stop_reason") is not None,
        usage=read_usage(usage) if isinstance(usage, dict) else None,
    )


def message_id(given: str) -> str:
    return given if given.startswith("msg_") else f"msg_{given}"


# ── why it ended ─────────────────────────────────────────────────────────────────────────────

_REASONS = {
    "end_turn": FinishReason.STOP,
    "max_tokens": FinishReason.LENGTH,
    "stop_sequence": FinishReason.STOP_SEQUENCE,
    "tool_use": FinishReason.TOOL_CALLS,
    "pause_turn": FinishReason.PAUSE,
    "refusal": FinishReason.REFUSAL,
    "model_context_window_exceeded": FinishReason.CONTEXT_WINDOW,
}
_STOPS = {
    **{reason: word for word, reason in _REASONS.items()},
    FinishReason.CONTENT_FILTER: "refusal",
    FinishReason.MALFORMED_CALL: "end_turn",
    FinishReason.OTHER: "end_turn",
}


def read_stop(word: str, *, calls: bool) -> tuple[FinishReason, str]:
    """The reason, and the word itself where the hub has none for it."""
    if not word:
        return _settled(FinishReason.STOP, calls=calls), ""
    reason = _REASONS.get(word)
    return (FinishReason.OTHER, word) if reason is None else (_settled(reason, calls=calls), "")


def stop_fields(reason: FinishReason, sequence: str, *, calls: bool, refused: bool) -> JsonObject:
    reason = _settled(reason, calls=calls)
    if refused and reason is FinishReason.STOP:
        reason = FinishReason.REFUSAL
    if reason is FinishReason.STOP_SEQUENCE and not sequence:
        reason = FinishReason.STOP  # which one it was cannot be told
    stopped = reason is FinishReason.STOP_SEQUENCE
    fields = {"stop_reason": _STOPS[reason], "stop_sequence": sequence if stopped else None}
    if fields["stop_reason"] != "refusal":
        return fields
    return {**fields, "stop_details": {"type": "refusal", "category": None, "explanation": None}}


def _settled(reason: FinishReason, *, calls: bool) -> FinishReason:
    """Agents run the calls of an answer only when it says so, and wait for ever when it says so
    without any.
    """
    if calls and reason is FinishReason.STOP:
        return FinishReason.TOOL_CALLS
    if not calls and reason is FinishReason.TOOL_CALLS:
        return FinishReason.STOP
    return reason


def refusal(holder: Mapping[str, Any]) -> tuple[Refusal, ...]:
    """The explanation that a refused answer carries beside its content."""
    details = holder.get("stop_details")
    explanation = details.get("explanation") if isinstance(details, dict) else None
    return (Refusal(explanation),) if isinstance(explanation, str) and explanation else ()


# ── what it cost ─────────────────────────────────────────────────────────────────────────────


def read_usage(usage: JsonObject) -> Usage:
    read = opt(usage, "cache_read_input_tokens", integer, "usage") or 0
    written = opt(usage, "cache_creation_input_tokens", integer, "usage") or 0
    details = opt(usage, "output_tokens_details", obj, "usage") or {}
    return Usage(
        input_total=(opt(usage, "input_tokens", integer, "usage") or 0) + read + written,
        input_cached=read,
        input_cache_write=written,
        output_total=opt(usage, "output_tokens", integer, "usage") or 0,
        output_reasoning=opt(details, "thinking_tokens", integer, "usage") or 0,
    )


def usage_fields(usage: Usage) -> JsonObject:
    fresh = usage.input_total - usage.input_cached - usage.input_cache_write
    fields: JsonObject = {
        "input_tokens": max(0, fresh),
        "cache_creation_input_tokens": usage.input_cache_write,
        "cache_read_input_tokens": usage.input_cached,
        "output_tokens": usage.output_total,
    }
    if usage.output_reasoning:
        fields["output_tokens_details"] = {"thinking_tokens": usage.output_reasoning}
    return fields
