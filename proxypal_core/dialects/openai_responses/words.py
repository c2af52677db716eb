"""The words that requests, answers and streams share."""

from typing import Any

from proxypal_core.dialects import answers
from proxypal_core.hub.messages import FinishReason, Usage
from proxypal_core.wire.jsonio import JsonObject

NAME = "openai-responses"
ID_PREFIX = "resp_"

INCOMPLETE = "incomplete"
COMPLETED = "completed"
IN_PROGRESS = "in_progress"
FAILED = "failed"

# ── how an answer ended ──────────────────────────────────────────────────────────────────────

_CUT = {
    FinishReason.LENGTH: "max_output_tokens",
    FinishReason.CONTEXT_WINDOW: "max_output_tokens",
    FinishReason.CONTENT_FILTER: "content_filter",
}


def write_status(finish: FinishReason) -> tuple[str, JsonObject | None]:
    """The status of an answer and its ``incomplete_details``."""
    reason = _CUT.get(finish)
    return (INCOMPLETE, {"reason": reason}) if reason else (COMPLETED, None)


def read_finish(status: str, details: Any, *, calls: bool) -> tuple[FinishReason, str]:
    """What *status* means, and the upstream's word where the hub has none."""
    if status != INCOMPLETE:
        return answers.settled(FinishReason.STOP, calls=calls), ""
    match details:
        case {"reason": "content_filter"}:
            return FinishReason.CONTENT_FILTER, ""
        case {"reason": "max_output_tokens" | "max_tokens"} | None:
            return FinishReason.LENGTH, ""
        case {"reason": str(reason)}:
            return FinishReason.OTHER, reason
        case _:
            return FinishReason.LENGTH, ""


# ── usage ────────────────────────────────────────────────────────────────────────────────────


_COUNTS = ("input_tokens", "output_tokens")
_OF_INPUT = ("cached_tokens", "cache_write_tokens")
_OF_OUTPUT = ("reasoning_tokens",)


def read_usage(value: Any) -> Usage | None:
    if not isinstance(value, dict):
        return None
    given, made = answers.counts(value, _COUNTS)
    cached, written = answers.counts(value.get("input_tokens_details"), _OF_INPUT)
    (reasoning,) = answers.counts(value.get("output_tokens_details"), _OF_OUTPUT)
    return Usage(
        input_total=given,
        input_cached=cached,
        input_cache_write=written,
        output_total=made,
        output_reasoning=reasoning,
    )


def write_usage(usage: Usage) -> JsonObject:
    """Every count is there: Codex cannot read an answer that lacks one."""
    return {
        "input_tokens": usage.input_total,
        "input_tokens_details": {
            "cached_tokens": usage.input_cached,
            "cache_write_tokens": usage.input_cache_write,
        },
        "output_tokens": usage.output_total,
        "output_tokens_details": {"reasoning_tokens": usage.output_reasoning},
        "total_tokens": usage.total,
    }
