"""The words that requests, answers and streams share."""

from collections.abc import Mapping
from typing import Any

from proxypal_core.dialects import answers
from proxypal_core.hub.messages import FinishReason, Refusal, Usage
from proxypal_core.wire.jsonio import JsonObject

NAME = "anthropic"
VENDOR = "anthropic"
ID_PREFIX = "msg_"

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
        return answers.settled(FinishReason.STOP, calls=calls), ""
    reason = _REASONS.get(word)
    return (
        (FinishReason.OTHER, word) if reason is None else (answers.settled(reason, calls=calls), "")
    )


def stop_fields(reason: FinishReason, sequence: str, *, calls: bool, refused: bool) -> JsonObject:
    reason = answers.settled(reason, calls=calls)
    if refused and reason is FinishReason.STOP:
        reason = FinishReason.REFUSAL
    if reason is FinishReason.STOP_SEQUENCE and not sequence:
        reason = FinishReason.STOP  # which one it was cannot be told
    stopped = reason is FinishReason.STOP_SEQUENCE
    fields = {"stop_reason": _STOPS[reason], "stop_sequence": sequence if stopped else None}
    if fields["stop_reason"] != "refusal":
        return fields
    return {**fields, "stop_details": {"type": "refusal", "category": None, "explanation": None}}


def refusal(holder: Mapping[str, Any]) -> tuple[Refusal, ...]:
    """The explanation that a refused answer carries beside its content."""
    details = holder.get("stop_details")
    explanation = details.get("explanation") if isinstance(details, dict) else None
    return (Refusal(explanation),) if isinstance(explanation, str) and explanation else ()


# ── what it cost ─────────────────────────────────────────────────────────────────────────────


_COUNTS = (
    "input_tokens",
    "cache_read_input_tokens",
    "cache_creation_input_tokens",
    "output_tokens",
)
_OF_OUTPUT = ("thinking_tokens",)


def read_usage(usage: JsonObject) -> Usage:
    fresh, read, written, made = answers.counts(usage, _COUNTS)
    (thinking,) = answers.counts(usage.get("output_tokens_details"), _OF_OUTPUT)
    return Usage(
        input_total=fresh + read + written,
        input_cached=read,
        input_cache_write=written,
        output_total=made,
        output_reasoning=thinking,
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
