"""Output items: how parts are written, and what a finished answer's status means."""

from collections.abc import Mapping
from typing import Any

import msgspec

from proxypal_core.dialects import media, tools
from proxypal_core.dialects.openai_responses.words import COMPLETED, INCOMPLETE, NAME, ORIGIN
from proxypal_core.hub.messages import (
    Base64,
    FinishReason,
    Image,
    Opaque,
    Part,
    Refusal,
    Request,
    Text,
    Thinking,
    ToolCall,
    Usage,
)
from proxypal_core.wire import jsonio
from proxypal_core.wire.jsonio import JsonObject

# ── which tool a call is of ──────────────────────────────────────────────────────────────────


class ClientTools:
    """The client's tools by every name an upstream may call them.

    An upstream that has neither namespaces nor freeform tools knew ``namespace__name`` and a
    function of one string; the client runs only what it declared.
    """

    def __init__(self, request: Request) -> None:
        self._tools: dict[str, tuple[str, str, bool]] = {}
        # A tool's own name counts for more than a namespaced tool's without its namespace.
        for tool in sorted(request.tools, key=lambda tool: bool(tool.namespace)):
            found = (tool.name, tool.namespace, tool.freeform)
            if tool.namespace:
                self._tools.setdefault(f"{tool.namespace}__{tool.name}", found)
            self._tools.setdefault(tool.name, found)

    def resolve(self, call: ToolCall) -> ToolCall:
        """*call* under the client's name for the tool; its arguments as they are."""
        if call.namespace or call.name not in self._tools:
            return call
        name, namespace, freeform = self._tools[call.name]
        return msgspec.structs.replace(
            call, name=name, namespace=namespace, freeform=call.freeform or freeform
        )


# ── parts into items ─────────────────────────────────────────────────────────────────────────


def item_id(part: Part, stem: str, index: int) -> str:
    match part:
        case ToolCall(freeform=freeform):
            prefix = "ctc" if freeform else "fc"
        case Thinking():
            prefix = "rs"
        case Image():
            prefix = "ig"
        case _:
            prefix = "msg"
    return f"{prefix}_{stem}_{index}"


def write_item(part: Part, name: str, status: str) -> JsonObject | None:
    """The item that *part* is, its id *name*; None where this dialect has none for it.

    A call is already resolved and its arguments are what the client shall see.
    """
    match part:
        case Text() | Refusal():
            return {
                "id": name,
                "type": "message",
                "role": "assistant",
                "status": status,
                "content": [write_content(part)],
            }
        case Thinking(text=text):
            summary = [{"type": "summary_text", "text": text}] if text else []
            return {"id": name, "type": "reasoning", "summary": summary, **_encrypted(part)}
        case ToolCall():
            return _call(part, name, status)
        case Image(source=Base64(data=data)):
            return {
                "id": name,
                "type": "image_generation_call",
                "status": "completed",
                "result": data,
            }
        case Opaque(dialect=dialect, raw=raw) if dialect == NAME and isinstance(raw, dict):
            return raw
        case _:
            return None


def write_content(part: Text | Refusal) -> JsonObject:
    if isinstance(part, Refusal):
        return {"type": "refusal", "refusal": part.text}
    found = [annotation(citation, len(part.text)) for citation in part.citations]
    return {
        "type": "output_text",
        "text": part.text,
        "annotations": [one for one in found if one is not None],
        "logprobs": [],
    }


def _encrypted(part: Thinking) -> JsonObject:
    values = [blob.value for blob in part.blobs if blob.origin == ORIGIN]
    return {"encrypted_content": values[-1]} if values else {}


def _call(call: ToolCall, name: str, status: str) -> JsonObject:
    item: JsonObject = {
        "id": name,
        "type": "custom_tool_call" if call.freeform else "function_call",
        "status": status,
        "call_id": call.id,
        "name": call.name,
        "input" if call.freeform else "arguments": call.arguments,
    }
    return {**item, "namespace": call.namespace} if call.namespace else item


def finished_call(call: ToolCall, *, wrapped: bool) -> ToolCall:
    """*call* with the arguments a client reads: JSON even when there are none, or plain text.

    *wrapped*: the upstream knew the freeform tool as a function of one string.
    """
    if wrapped:
        return msgspec.structs.replace(call, arguments=tools.freeform_text(call.arguments))
    if call.freeform or call.arguments:
        return call
    return msgspec.structs.replace(call, arguments="{}")


_ANNOTATIONS = frozenset({"url_citation", "file_citation", "container_file_citation", "file_path"})


def annotation(citation: Any, length: int) -> JsonObject | None:
    """*citation*, whosever words it is in, for a text of *length* characters."""
    if not isinstance(citation, Mapping):
        return None
    nested = citation.get("url_citation")
    if isinstance(nested, Mapping):
        citation = {**nested, "type": "url_citation"}
    kind = citation.get("type")
    if kind in _ANNOTATIONS and (kind != "url_citation" or "start_index" in citation):
        return dict(citation)
    # Anthropic says the address here, Gemini in the ``web`` of a grounding chunk.
    web = citation.get("web") if isinstance(citation.get("web"), Mapping) else citation
    url = web.get("url") or web.get("uri")
    if not isinstance(url, str):
        return None
    title = web.get("title")
    return {
        "type": "url_citation",
        "url": url,
        "title": title if isinstance(title, str) else url,
        "start_index": 0,
        "end_index": length,
    }


# ── media ────────────────────────────────────────────────────────────────────────────────────


def read_image(item: JsonObject) -> Image | None:
    """The picture of a finished image_generation_call."""
    data = item.get("result")
    if not isinstance(data, str) or not data:
        return None
    form = item.get("output_format")
    mime = f"image/{form}" if isinstance(form, str) else "image/png"
    return Image(media.inline(mime, data))


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
        return (FinishReason.TOOL_CALLS if calls else FinishReason.STOP), ""
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


def read_usage(value: Any) -> Usage | None:
    if not isinstance(value, dict):
        return None
    given = jsonio.opt(value, "input_tokens_details", jsonio.obj, "usage") or {}
    made = jsonio.opt(value, "output_tokens_details", jsonio.obj, "usage") or {}
    return Usage(
        input_total=_count(value, "input_tokens"),
        input_cached=_count(given, "cached_tokens"),
        input_cache_write=_count(given, "cache_write_tokens"),
        output_total=_count(value, "output_tokens"),
        output_reasoning=_count(made, "reasoning_tokens"),
    )


def _count(counts: JsonObject, key: str) -> int:
    return jsonio.opt(counts, key, jsonio.integer, "usage") or 0


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
