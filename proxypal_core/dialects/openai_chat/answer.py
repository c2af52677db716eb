"""Whole answers, both ways."""

from collections.abc import Sequence

import msgspec

from proxypal_core.dialects import answers, tools
from proxypal_core.dialects.base import Reply
from proxypal_core.dialects.openai_chat.errors import failure_in
from proxypal_core.dialects.openai_chat.words import (
    ID_PREFIX,
    annotation,
    answers_in_legacy_form,
    content_pieces,
    finish_word,
    joined,
    read_annotations,
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
    Part,
    Refusal,
    Response,
    Text,
    Thinking,
    ToolCall,
    Usage,
)
from proxypal_core.wire import jsonio
from proxypal_core.wire.jsonio import JsonObject

# ── reading ──────────────────────────────────────────────────────────────────────────────────


def decode_response(doc: JsonObject, /) -> Response:
    """What *doc*, an answer with status 200, says.

    Raises:
        Malformed: it has not the form of an answer.
        Refused: it is an error, or was not finished.
    """
    failure = failure_in(doc)
    if failure is not None:
        raise Refused(failure)
    choices = jsonio.need(doc, "choices", jsonio.arr)
    if not choices:
        raise Refused(Failure(Kind.BAD_REPLY, "the provider's answer has no choices"))
    choice = jsonio.obj(choices[0], "choices[0]")
    word = jsonio.opt(choice, "finish_reason", jsonio.string, "choices[0]")
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
    cited = read_annotations(message, path)
    if cited and parts and isinstance(parts[-1], Text):
        parts[-1] = Text(parts[-1].text, citations=tuple(cited))
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


def encode_response(response: Response, reply: Reply, /) -> bytes:
    request = reply.request
    legacy = answers_in_legacy_form(request)
    freeform = tools.freeform_names(request)
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
            "id": answers.answer_id(ID_PREFIX, response.id, reply),
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
            length = len(part.text)
            offset = len(joined(parts[: at + 1], Text)) - length
            written = [annotation(one, length, offset) for one in part.citations]
            found += [one for one in written if one]
    return found
