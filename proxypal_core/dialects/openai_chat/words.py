"""The words that requests, answers and streams share."""

from collections.abc import Iterable
from typing import Any

from proxypal_core.dialects import answers, extras, openai_citations, tools
from proxypal_core.hub.messages import (
    Blob,
    Citation,
    FinishReason,
    Part,
    Request,
    Text,
    Thinking,
    ToolCall,
    Usage,
)
from proxypal_core.wire import jsonio
from proxypal_core.wire.jsonio import JsonObject

NAME = "openai-chat"
ID_PREFIX = "chatcmpl-"


def answers_in_legacy_form(request: Request) -> bool:
    """Whether the client declared ``functions`` and so reads only ``function_call``."""
    return "functions" in request.extras.get(NAME, {})


# ── finish reasons ───────────────────────────────────────────────────────────────────────────

_FINISHES = {
    "stop": FinishReason.STOP,
    "length": FinishReason.LENGTH,
    "tool_calls": FinishReason.TOOL_CALLS,
    "function_call": FinishReason.TOOL_CALLS,
    "content_filter": FinishReason.CONTENT_FILTER,
    # said by servers that are not OpenAI's
    "eos": FinishReason.STOP,
    "eos_token": FinishReason.STOP,
    "end_turn": FinishReason.STOP,
    "stop_sequence": FinishReason.STOP_SEQUENCE,
    "max_tokens": FinishReason.LENGTH,
    "model_length": FinishReason.CONTEXT_WINDOW,
    "tool_use": FinishReason.TOOL_CALLS,
    "tool_call": FinishReason.TOOL_CALLS,
    "sensitive": FinishReason.CONTENT_FILTER,
}

_FINISH_WORDS = {
    FinishReason.TOOL_CALLS: "tool_calls",
    FinishReason.LENGTH: "length",
    FinishReason.CONTEXT_WINDOW: "length",
    FinishReason.CONTENT_FILTER: "content_filter",
}


def read_finish(word: str, *, calls: bool) -> tuple[FinishReason, str]:
    """What the finish reason *word* means in an answer with or without tool *calls*, and the
    word itself where the hub has none for it.
    """
    reason = answers.settled(_FINISHES.get(word, FinishReason.OTHER), calls=calls)
    return reason, word if reason is FinishReason.OTHER else ""


def finish_word(reason: FinishReason, *, calls: bool, refused: bool, legacy: bool) -> str:
    """The word of the closed set that clients know for *reason*."""
    if reason is FinishReason.REFUSAL:
        # Without the words of the refusal, "stop" would look like an answer.
        return "stop" if refused else "content_filter"
    word = _FINISH_WORDS.get(reason, "stop")
    if word in ("stop", "tool_calls"):
        word = "tool_calls" if calls else "stop"
    return "function_call" if legacy and word == "tool_calls" else word


# ── usage ────────────────────────────────────────────────────────────────────────────────────


_COUNTS = ("prompt_tokens", "completion_tokens", "total_tokens", "prompt_cache_hit_tokens")
_OF_PROMPT = ("cached_tokens", "cache_write_tokens")
_OF_COMPLETION = ("reasoning_tokens",)


def read_usage(value: Any) -> Usage | None:
    """The counts in a ``usage`` object; what is missing or no count is 0."""
    if not isinstance(value, dict):
        return None
    given, made, total, hit = answers.counts(value, _COUNTS)
    cached, written = answers.counts(value.get("prompt_tokens_details"), _OF_PROMPT)
    (reasoning,) = answers.counts(value.get("completion_tokens_details"), _OF_COMPLETION)
    if total > given + made:  # xAI and Google count the reasoning in the total alone
        made = total - given
    return Usage(
        input_total=given,
        input_cached=cached or hit,  # DeepSeek says it at the top level
        input_cache_write=written,
        output_total=made,
        output_reasoning=reasoning,
    )


def write_usage(usage: Usage) -> JsonObject:
    return {
        "prompt_tokens": usage.input_total,
        "completion_tokens": usage.output_total,
        "total_tokens": usage.total,
        "prompt_tokens_details": {
            "cached_tokens": usage.input_cached,
            "cache_write_tokens": usage.input_cache_write,
            "audio_tokens": 0,
        },
        "completion_tokens_details": {
            "reasoning_tokens": usage.output_reasoning,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }


def first_choice(doc: JsonObject) -> JsonObject:
    choices: Any = doc.get("choices")
    first = choices[0] if isinstance(choices, list) and choices else None
    return first if isinstance(first, dict) else {}


def stream_usage(doc: JsonObject) -> Usage | None:
    """The usage of a chunk; some servers put it into the choice."""
    return read_usage(doc.get("usage")) or read_usage(first_choice(doc).get("usage"))


# ── texts ────────────────────────────────────────────────────────────────────────────────────


def joined(parts: Iterable[Part], kind: type[Text | Thinking]) -> str:
    """The texts of *kind* as the one string that a message has room for.

    Neighbours belong together (a sentence cut by its citations); what stands between others, a
    tool call say, leaves an empty line.
    """
    text = ""
    apart = False
    for part in parts:
        if isinstance(part, kind):
            text += "\n\n" + part.text if apart and text and part.text else part.text
            apart = False
        else:
            apart = True
    return text


def content_pieces(content: Any, path: str) -> list[Text | Thinking]:
    """Text and thoughts in an answer's ``content``: a string, or Mistral's array of parts."""
    if content is None or content == "":
        return []
    if isinstance(content, str):
        return [Text(content)]
    pieces: list[Text | Thinking] = []
    for index, value in enumerate(jsonio.arr(content, path)):
        part = jsonio.obj(value, f"{path}[{index}]")
        match part.get("type"):
            case "thinking":
                thoughts = content_pieces(part.get("thinking"), f"{path}[{index}].thinking")
                pieces += [Thinking(piece.text) for piece in thoughts if isinstance(piece, Text)]
            case "text" | "output_text":
                pieces += content_pieces(part.get("text"), f"{path}[{index}].text")
            case _:
                pass
    return pieces


def thought(message: JsonObject) -> str:
    """The reasoning in a message or delta, under either name that servers give it."""
    for key in ("reasoning_content", "reasoning"):
        value = message.get(key)
        if isinstance(value, str) and value:
            return value
    return ""


# ── tool calls ───────────────────────────────────────────────────────────────────────────────


def legacy_id(name: str) -> str:
    """The id of a call of the days before ids: clients echo only the name."""
    return f"call_{name}"


def synthetic_id(answer_id: str, number: int) -> str:
    """An id for a call that came without one: the same each time, another in each answer."""
    return tools.made_id(f"{answer_id}:{number}")


def arguments_text(value: Any, path: str) -> str:
    """Arguments as text, though some servers and clients send the object itself."""
    if value is None:
        return ""
    return jsonio.dumps_text(value) if isinstance(value, dict) else jsonio.string(value, path)


def read_signature(call: JsonObject) -> tuple[Blob, ...]:
    """Gemini's signature of a call, as Google's own Chat endpoint and its clients carry it."""
    value = call
    for key in ("extra_content", "google"):
        inner = value.get(key)
        if not isinstance(inner, dict):
            return ()
        value = inner
    signature = value.get("thought_signature")
    if not isinstance(signature, str) or not signature:
        return ()
    return (Blob("gemini", "thought_signature", signature),)


def write_signature(blobs: Iterable[Blob]) -> JsonObject:
    """The fields of a call that carry Gemini's signature; none when there is none."""
    signature = extras.blob_of(blobs, "gemini", "thought_signature")
    return {"extra_content": {"google": {"thought_signature": signature}}} if signature else {}


def read_call(call: JsonObject, path: str) -> ToolCall:
    """An entry of ``tool_calls``; id and name are empty where it has none."""
    custom = call.get("custom")
    if isinstance(custom, dict):
        body, key = custom, "input"
    else:
        body, key = jsonio.opt(call, "function", jsonio.obj, path) or {}, "arguments"
    return ToolCall(
        id=jsonio.opt(call, "id", jsonio.string, path) or "",
        name=jsonio.opt(body, "name", jsonio.string, path) or "",
        arguments=arguments_text(body.get(key), f"{path}.function.{key}"),
        freeform=body is custom,
        blobs=read_signature(call),
    )


def read_function_call(value: Any, path: str) -> ToolCall:
    """The call of the days before tools."""
    call = jsonio.obj(value, path)
    name = jsonio.opt(call, "name", jsonio.string, path) or ""
    return ToolCall(
        id=legacy_id(name) if name else "",
        name=name,
        arguments=arguments_text(call.get("arguments"), f"{path}.arguments"),
    )


# ── citations ────────────────────────────────────────────────────────────────────────────────


def annotation(citation: Citation, length: int, offset: int) -> JsonObject | None:
    """*citation* of a text of *length* characters, *offset* into the message's; None when it names
    no address.
    """
    if not citation.url:
        return None
    kind = openai_citations.KIND
    return {"type": kind, kind: openai_citations.source(citation, length, offset)}


def read_annotations(holder: JsonObject, path: str) -> list[Citation]:
    """The citations of a message, or of a piece of one."""
    found = jsonio.opt(holder, "annotations", jsonio.arr, path) or []
    return [openai_citations.read(raw, NAME) for raw in found]
