"""A whole answer, both ways."""

from proxypal_core.dialects import answers, extras
from proxypal_core.dialects.anthropic import citations
from proxypal_core.dialects.anthropic.content_decode import read_block
from proxypal_core.dialects.anthropic.content_encode import (
    redacted,
    tool_input,
)
from proxypal_core.dialects.anthropic.errors import failure_in
from proxypal_core.dialects.anthropic.words import (
    ID_PREFIX,
    NAME,
    VENDOR,
    read_stop,
    read_usage,
    refusal,
    stop_fields,
    usage_fields,
)
from proxypal_core.dialects.base import Reply
from proxypal_core.hub.failure import Refused
from proxypal_core.hub.messages import (
    Audio,
    File,
    Image,
    Opaque,
    Part,
    Refusal,
    Response,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
)
from proxypal_core.wire import jsonio
from proxypal_core.wire.jsonio import JsonObject, arr, obj, opt, string


def decode_response(doc: JsonObject, /) -> Response:
    failure = failure_in(doc)
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
            "id": answers.answer_id(ID_PREFIX, response.id, reply),
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
        case Text(text=text):
            if not text:
                return []
            cited = [told for one in part.citations if (told := citations.told(one))]
            block: JsonObject = {"type": "text", "text": text}
            return [{**block, "citations": cited} if cited else block]
        case Thinking(text=text):
            data, signed = redacted(part), extras.blob_of(part.blobs, VENDOR, "signature")
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
