"""Whole answers, both ways."""

from proxypal_core.dialects import answers
from proxypal_core.dialects.base import Reply
from proxypal_core.dialects.openai_responses.errors import failure_in
from proxypal_core.dialects.openai_responses.items import (
    ClientTools,
    finished_call,
    item_id,
    read_item,
    write_item,
)
from proxypal_core.dialects.openai_responses.request_encode import (
    reasoning_words,
    text_format,
    tool_choice,
)
from proxypal_core.dialects.openai_responses.words import (
    COMPLETED,
    ID_PREFIX,
    INCOMPLETE,
    NAME,
    read_finish,
    read_usage,
    write_status,
    write_usage,
)
from proxypal_core.hub.failure import Failure, Kind, Refused
from proxypal_core.hub.messages import Part, Response, ToolCall, Usage
from proxypal_core.wire import jsonio
from proxypal_core.wire.jsonio import JsonObject, arr, obj, opt, string

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


# ── writing ──────────────────────────────────────────────────────────────────────────────────


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
    name = answers.answer_id(ID_PREFIX, response.id, reply)
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
    return write_item(part, item_id(part, name.removeprefix(ID_PREFIX), index), status)
