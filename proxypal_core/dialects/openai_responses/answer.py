"""Whole answers, both ways; what an onlooker sees in them; and lists of models."""

import re
from collections.abc import Sequence
from typing import Any

from proxypal_core.dialects.base import Notice, Reply
from proxypal_core.dialects.openai_responses.errors import read_error_object
from proxypal_core.dialects.openai_responses.items import (
    ClientTools,
    finished_call,
    item_id,
    read_finish,
    read_image,
    read_usage,
    write_item,
    write_status,
    write_usage,
)
from proxypal_core.dialects.openai_responses.request_decode import (
    call_part,
    content,
    reasoning_part,
)
from proxypal_core.dialects.openai_responses.request_encode import (
    reasoning_words,
    text_format,
    tool_choice,
)
from proxypal_core.dialects.openai_responses.words import (
    COMPLETED,
    FAILED,
    INCOMPLETE,
    NAME,
)
from proxypal_core.hub.failure import Failure, Kind, Refused
from proxypal_core.hub.messages import (
    ModelInfo,
    Opaque,
    Part,
    Refusal,
    Response,
    Text,
    ToolCall,
    Usage,
)
from proxypal_core.wire import jsonio
from proxypal_core.wire.jsonio import JsonObject, arr, obj, opt, string
from proxypal_core.wire.sse import Frame

# ── reading ──────────────────────────────────────────────────────────────────────────────────


def decode_response(doc: JsonObject, /) -> Response:
    failure = failure_in(doc)
    if failure is not None:
        raise Refused(failure)
    status = opt(doc, "status", string) or COMPLETED
    if status not in (COMPLETED, INCOMPLETE):
        raise Refused(Failure(Kind.BAD_REPLY, f"the provider's answer is {status}, not complete"))
    parts: list[Part] = []
    for at, value in enumerate(opt(doc, "output", arr) or []):
        parts += read_item(obj(value, f"output[{at}]"), f"output[{at}]")
    calls = any(isinstance(part, ToolCall) for part in parts)
    finish, raw = read_finish(status, doc.get("incomplete_details"), calls=calls)
    return Response(
        id=opt(doc, "id", string) or "",
        model=opt(doc, "model", string) or "",
        parts=tuple(parts),
        finish=finish,
        finish_raw=raw,
        usage=read_usage(doc.get("usage")) or Usage(),
    )


def read_item(item: JsonObject, path: str) -> list[Part]:
    """The parts of an output item; what only this dialect has is kept as it is."""
    match item.get("type"):
        case "message":
            parts = [
                read_content(obj(part, f"{path}.content[{at}]"), f"{path}.content[{at}]")
                for at, part in enumerate(opt(item, "content", arr, path) or [])
            ]
            return [part for part in parts if part is not None]
        case "reasoning":
            thinking = reasoning_part(item, path)
            return [] if thinking is None else [thinking]
        case "function_call" | "custom_tool_call":
            return [call_part(item, path)]
        case "image_generation_call":
            image = read_image(item)
            return [Opaque(NAME, item)] if image is None else [image]
        case _:
            return [Opaque(NAME, item)]


def read_content(raw: JsonObject, path: str) -> Text | Refusal | None:
    """A part of a message; None when there is nothing in it."""
    (part,) = content([raw], path.rpartition("[")[0])
    if isinstance(part, Refusal):
        return part if part.text else None
    if not isinstance(part, Text):
        return None
    citations = tuple(opt(raw, "annotations", arr, path) or ())
    return Text(part.text, citations=citations) if part.text or citations else None


def failure_in(doc: JsonObject) -> Failure | None:
    """The failure that an answer or an event tells in place of content, in any of the forms seen."""
    error = doc.get("error")
    if error:
        # Beside a nested object, only the ChatGPT backend says the status too.
        return read_error_object(error, doc.get("status"))
    if doc.get("type") == "error":
        return read_error_object({key: doc[key] for key in doc if key not in ("type", "error")})
    if doc.get("status") == FAILED:
        return Failure(Kind.SERVER, "the provider's answer failed without saying why")
    return None


# ── writing ──────────────────────────────────────────────────────────────────────────────────


def answer_id(given: str, reply: Reply) -> str:
    """The answer's id in the form that this dialect's have."""
    value = given or reply.id
    return value if value.startswith("resp_") else f"resp_{value}"


def envelope(reply: Reply, name: str) -> JsonObject:
    """The fields around an answer: its own and the request's, as far as clients read them.

    ``tools`` is required, but to repeat a long list in three events serves nobody.
    """
    request = reply.request
    choice = request.tool_choice
    return {
        "id": name,
        "object": "response",
        "created_at": reply.created,
        "status": COMPLETED,
        "background": False,
        "error": None,
        "incomplete_details": None,
        "instructions": None,
        "max_output_tokens": request.max_output_tokens,
        "model": request.model,
        "output": [],
        "parallel_tool_calls": request.parallel_tools is not False,
        "previous_response_id": None,
        "reasoning": reasoning_words(request),
        "service_tier": request.service_tier or "default",
        "store": bool(request.extras.get(NAME, {}).get("store", False)),
        "temperature": request.sampling.temperature,
        "text": {"format": text_format(request.output)},
        "tool_choice": tool_choice(choice, request.tools, {}) if choice else "auto",
        "tools": [],
        "top_p": request.sampling.top_p,
        "truncation": "disabled",
        "usage": None,
        "metadata": dict(request.metadata),
    }


def encode_response(response: Response, reply: Reply, /) -> bytes:
    name = answer_id(response.id, reply)
    status, details = write_status(response.finish)
    client_tools = ClientTools(reply.request)
    output: list[JsonObject] = []
    for at, part in enumerate(response.parts):
        # What an answer was cut in is its last part.
        last = at == len(response.parts) - 1
        item = _item(part, client_tools, name, len(output), status if last else COMPLETED)
        if item is not None:
            output.append(item)
    return jsonio.dumps(
        {
            **envelope(reply, name),
            "status": status,
            "incomplete_details": details,
            "output": output,
            "usage": write_usage(response.usage),
        }
    )


def _item(
    part: Part, client_tools: ClientTools, name: str, index: int, status: str
) -> JsonObject | None:
    if isinstance(part, ToolCall):
        resolved = client_tools.resolve(part)
        part = finished_call(resolved, wrapped=resolved.freeform and not part.freeform)
    return write_item(part, item_id(part, name.removeprefix("resp_"), index), status)


# ── looking on ───────────────────────────────────────────────────────────────────────────────

# The first key "type" of an event is its own, unless the server orders its keys otherwise; then
# the word is no event's name, and the event is read. A key with its quotes never stands inside a
# JSON string, where quotes are escaped.
_TYPE = re.compile(rb'"type"\s*:\s*"(response\.[a-z_.]+)"')
_ANY_TYPE = re.compile(rb'"type"\s*:\s*"')
_BEGUN = Notice(begun=True)
_ITEM_EVENTS = ("response.output_item.added", "response.output_item.done")
_LAST_EVENTS = ("response.completed", "response.incomplete", "response.failed")


def notice(frame: Frame, /) -> Notice | None:
    kind = _event_type(frame)
    if kind.endswith(".delta"):
        return _BEGUN
    if kind in _ITEM_EVENTS:
        return _notice_item(jsonio.load_object(frame.data), done=kind.endswith(".done"))
    if kind.startswith("response.") and kind not in _LAST_EVENTS:
        return None
    if frame.data.strip() == b"[DONE]":
        return None
    doc = jsonio.load_object(frame.data)
    answer = doc.get("response")
    if isinstance(answer, dict) and kind in _LAST_EVENTS:
        return _notice_last(answer)
    failure = failure_in(doc)
    return None if failure is None else Notice(failure=failure)


def _event_type(frame: Frame) -> str:
    first = _ANY_TYPE.search(frame.data)
    if first is not None:
        named = _TYPE.match(frame.data, first.start())
        if named is not None:
            return named[1].decode()
        kind = jsonio.load_object(frame.data).get("type")
        if isinstance(kind, str):
            return kind
    return frame.event


def _notice_item(doc: JsonObject, *, done: bool) -> Notice | None:
    """An item begins an answer unless it is still the empty shell of text to come."""
    item = doc.get("item")
    shell = isinstance(item, dict) and item.get("type") in ("message", "reasoning")
    return _BEGUN if done or not shell else None


def _notice_last(answer: JsonObject) -> Notice:
    failure = failure_in(answer)
    return Notice(
        begun=failure is None and bool(answer.get("output")),
        finished=failure is None,
        usage=read_usage(answer.get("usage")),
        failure=failure,
    )


def notice_whole(doc: JsonObject, /) -> Notice:
    usage = read_usage(doc.get("usage"))
    failure = failure_in(doc)
    if failure is not None:
        return Notice(usage=usage, failure=failure)
    output: Any = doc.get("output")
    finished = doc.get("status", COMPLETED) in (COMPLETED, INCOMPLETE) and output is not None
    return Notice(begun=bool(output), finished=finished, usage=usage)


# ── lists of models ──────────────────────────────────────────────────────────────────────────


def encode_models(models: Sequence[ModelInfo], /) -> bytes:
    return jsonio.dumps({"object": "list", "data": [_model(model) for model in models]})


def encode_model(model: ModelInfo, /) -> bytes:
    return jsonio.dumps(_model(model))


def _model(model: ModelInfo) -> JsonObject:
    return {"id": model.id, "object": "model", "created": 0, "owned_by": model.owner}
