"""Whole answers, and what one of them or an event of a stream tells who only looks on."""

import re
from collections.abc import Sequence
from typing import Any

import msgspec

from proxypal_core.dialects import tools
from proxypal_core.dialects.base import Notice, Reply
from proxypal_core.dialects.openai_chat.errors import read_error_object
from proxypal_core.dialects.openai_chat.words import (
    annotation,
    answers_in_legacy_form,
    content_pieces,
    finish_word,
    joined,
    read_call,
    read_finish,
    read_function_call,
    read_usage,
    synthetic_id,
    thought,
    write_signature,
    write_usage,
)
from proxypal_core.hub.failure import Failure, Kind, Refused
from proxypal_core.hub.messages import (
    ModelInfo,
    Part,
    Refusal,
    Request,
    Response,
    Text,
    Thinking,
    ToolCall,
    Usage,
)
from proxypal_core.wire import jsonio
from proxypal_core.wire.jsonio import JsonObject
from proxypal_core.wire.sse import Frame

# ── reading ──────────────────────────────────────────────────────────────────────────────────


def decode_response(doc: JsonObject, /) -> Response:
    """What *doc*, an answer with status 200, says.

    Raises:
        Malformed: it has not the form of an answer.
        Refused: it is an error, or was not finished.
    """
    if doc.get("error"):
        raise Refused(read_error_object(doc["error"]))
    choices = jsonio.need(doc, "choices", jsonio.arr)
    if not choices:
        raise Refused(Failure(Kind.BAD_REPLY, "the provider's answer has no choices"))
    choice = jsonio.obj(choices[0], "choices[0]")
    word = jsonio.opt(choice, "finish_reason", jsonio.string, "choices[0]")
    if word == "error":
        raise Refused(read_error_object(choice.get("error") or "the provider broke off"))
    if not word:
        raise Refused(Failure(Kind.TRUNCATED, "the provider's answer has no finish reason"))
    answer_id = jsonio.opt(doc, "id", jsonio.string) or ""
    message = jsonio.need(choice, "message", jsonio.obj, "choices[0]")
    parts = _parts(message, "choices[0].message", answer_id)
    calls = any(isinstance(part, ToolCall) for part in parts)
    finish, raw = read_finish(word, calls=calls)
    return Response(
        id=answer_id,
        model=jsonio.opt(doc, "model", jsonio.string) or "",
        parts=parts,
        finish=finish,
        finish_raw=raw,
        usage=read_usage(doc.get("usage")) or Usage(),
    )


def _parts(message: JsonObject, path: str, answer_id: str) -> tuple[Part, ...]:
    parts: list[Part] = []
    reasoning = thought(message)
    if reasoning:
        parts.append(Thinking(reasoning))
    parts += content_pieces(message.get("content"), f"{path}.content")
    citations = jsonio.opt(message, "annotations", jsonio.arr, path)
    if citations and parts and isinstance(parts[-1], Text):
        parts[-1] = Text(parts[-1].text, citations=tuple(citations))
    refusal = jsonio.opt(message, "refusal", jsonio.string, path)
    if refusal:
        parts.append(Refusal(refusal))
    calls = jsonio.opt(message, "tool_calls", jsonio.arr, path) or []
    for index, value in enumerate(calls):
        place = f"{path}.tool_calls[{index}]"
        call = read_call(jsonio.obj(value, place), place)
        if not call.id:
            call = msgspec.structs.replace(call, id=synthetic_id(answer_id, index))
        parts.append(call)
    if message.get("function_call") is not None and not calls:
        parts.append(read_function_call(message["function_call"], f"{path}.function_call"))
    return tuple(parts)


# ── writing ──────────────────────────────────────────────────────────────────────────────────


def answer_id(given: str, reply: Reply) -> str:
    """The answer's id in the form that this dialect's have."""
    value = given or reply.id
    return value if value.startswith("chatcmpl-") else f"chatcmpl-{value}"


def freeform_names(request: Request) -> frozenset[str]:
    """The tools whose calls go to the client as text, though the upstream knew only functions."""
    return frozenset(tool.name for tool in request.tools if tool.freeform)


def encode_response(response: Response, reply: Reply, /) -> bytes:
    request = reply.request
    legacy = answers_in_legacy_form(request)
    freeform = freeform_names(request)
    calls = [part for part in response.parts if isinstance(part, ToolCall)]
    text = joined(response.parts, Text)
    refusal = "".join(part.text for part in response.parts if isinstance(part, Refusal))
    message: JsonObject = {
        "role": "assistant",
        "content": text or None,
        "refusal": refusal or None,
        "annotations": _annotations(response.parts),
    }
    reasoning = joined(response.parts, Thinking)
    if reasoning:
        message["reasoning_content"] = reasoning
    if calls and legacy:
        arguments = calls[0].arguments or "{}"
        message["function_call"] = {"name": calls[0].name, "arguments": arguments}
    elif calls:
        message["tool_calls"] = [_call(call, freeform) for call in calls]
    finish = finish_word(response.finish, calls=bool(calls), refused=bool(refusal), legacy=legacy)
    return jsonio.dumps(
        {
            "id": answer_id(response.id, reply),
            "object": "chat.completion",
            "created": reply.created,
            "model": request.model,
            "choices": [
                {"index": 0, "message": message, "logprobs": None, "finish_reason": finish}
            ],
            "usage": write_usage(response.usage),
        }
    )


def _call(call: ToolCall, freeform: frozenset[str]) -> JsonObject:
    if call.freeform or call.name in freeform:
        text = call.arguments if call.freeform else tools.freeform_text(call.arguments)
        return {"id": call.id, "type": "custom", "custom": {"name": call.name, "input": text}}
    return {
        "id": call.id,
        "type": "function",
        "function": {"name": call.name, "arguments": call.arguments or "{}"},
        **write_signature(call.blobs),
    }


def _annotations(parts: Sequence[Part]) -> list[JsonObject]:
    found: list[JsonObject] = []
    for at, part in enumerate(parts):
        if isinstance(part, Text) and part.citations:
            end = len(joined(parts[: at + 1], Text))
            written = [annotation(raw, end - len(part.text), end) for raw in part.citations]
            found += [one for one in written if one]
    return found


# ── looking on ───────────────────────────────────────────────────────────────────────────────

# A key with its quotes never stands inside a JSON string, where quotes are escaped.
_CONTENT = re.compile(
    rb'"(?:content|reasoning_content|reasoning|refusal)"\s*:\s*(?:"[^"]|\[\s*\{)'
    rb'|"tool_calls"\s*:\s*\[\s*\{|"(?:function_call|audio)"\s*:\s*\{'
)
_FINISH = re.compile(rb'"finish_reason"\s*:\s*"[^"]')
_ERROR = re.compile(rb'"error"\s*:\s*["{]')
_USAGE = re.compile(rb'"usage"\s*:\s*\{')
_BEGUN = Notice(begun=True)
_PLAIN = (None, _BEGUN)


def notice(frame: Frame, /) -> Notice | None:
    data = frame.data
    begun = _CONTENT.search(data) is not None
    finish = _FINISH.search(data)
    if finish is None and not (_ERROR.search(data) or _USAGE.search(data)):
        if data.lstrip().startswith((b"{", b"[DONE]")) or not data.strip():
            return _PLAIN[begun]
        return Notice(failure=Failure(Kind.BAD_REPLY, "the provider sent an event that is no JSON"))
    try:
        doc = jsonio.load_object(data)
    except jsonio.Malformed as error:
        return Notice(failure=Failure(Kind.BAD_REPLY, f"the provider sent a broken event: {error}"))
    failure = _failure(doc)
    if failure is not None:
        return Notice(failure=failure)
    return Notice(begun=begun, finished=finish is not None, usage=stream_usage(doc))


def notice_whole(doc: JsonObject, /) -> Notice:
    failure = _failure(doc)
    if failure is not None:
        return Notice(failure=failure)
    choice = _first_choice(doc)
    message = choice.get("message")
    begun = isinstance(message, dict) and any(
        message.get(key) for key in ("content", "tool_calls", "refusal", "function_call", "audio")
    )
    return Notice(
        begun=begun or (isinstance(message, dict) and bool(thought(message))),
        finished=bool(choice.get("finish_reason")),
        usage=read_usage(doc.get("usage")),
    )


def _failure(doc: JsonObject) -> Failure | None:
    """The failure that *doc* is: an error at its top, or a choice that ended in one."""
    if doc.get("error"):
        return read_error_object(doc["error"])
    choice = _first_choice(doc)
    if choice.get("finish_reason") == "error":
        return read_error_object(choice.get("error") or "the provider broke off")
    return None


def stream_usage(doc: JsonObject) -> Usage | None:
    """The usage of a chunk; some servers put it into the choice."""
    return read_usage(doc.get("usage")) or read_usage(_first_choice(doc).get("usage"))


def _first_choice(doc: JsonObject) -> JsonObject:
    choices: Any = doc.get("choices")
    first = choices[0] if isinstance(choices, list) and choices else None
    return first if isinstance(first, dict) else {}


# ── lists ────────────────────────────────────────────────────────────────────────────────────


def encode_models(models: Sequence[ModelInfo], /) -> bytes:
    return jsonio.dumps({"object": "list", "data": [_model(model) for model in models]})


def encode_model(model: ModelInfo, /) -> bytes:
    return jsonio.dumps(_model(model))


def _model(model: ModelInfo) -> JsonObject:
    return {"id": model.id, "object": "model", "created": 0, "owned_by": model.owner}
