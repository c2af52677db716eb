"""Output items: what is in them, and how parts are written as one."""

import msgspec

from proxypal_core.dialects import extras, media, openai_citations, tools
from proxypal_core.dialects.openai_responses.content_decode import (
    call_part,
    reasoning_part,
)
from proxypal_core.dialects.openai_responses.words import NAME
from proxypal_core.dialects.openai_words import ORIGIN
from proxypal_core.hub.messages import (
    Base64,
    Citation,
    Image,
    Opaque,
    Part,
    Refusal,
    Request,
    Text,
    Thinking,
    ToolCall,
)
from proxypal_core.wire.jsonio import JsonObject, arr, need, obj, opt, string

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
            self._tools.setdefault(tools.flat_name(tool), found)
            self._tools.setdefault(tool.name, found)

    def resolve(self, call: ToolCall) -> ToolCall:
        """*call* under the client's name for the tool; its arguments as they are."""
        if call.namespace or call.name not in self._tools:
            return call
        name, namespace, freeform = self._tools[call.name]
        return msgspec.structs.replace(
            call, name=name, namespace=namespace, freeform=call.freeform or freeform
        )


# ── items into parts ─────────────────────────────────────────────────────────────────────────


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
    """A part of a message; None when there is nothing in it, or nothing that is known here."""
    match raw.get("type"):
        case "refusal":
            refusal = need(raw, "refusal", string, path)
            return Refusal(refusal) if refusal else None
        case "output_text" | "text":
            text = need(raw, "text", string, path)
            found = opt(raw, "annotations", arr, path) or ()
            citations = tuple(openai_citations.read(one, NAME) for one in found)
            return Text(text, citations=citations) if text or citations else None
        case _:
            return None


def read_image(item: JsonObject) -> Image | None:
    """The picture of a finished image_generation_call."""
    data = item.get("result")
    if not isinstance(data, str) or not data:
        return None
    form = item.get("output_format")
    mime = f"image/{form}" if isinstance(form, str) else "image/png"
    return Image(media.inline(mime, data))


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
    value = extras.blob_of(part.blobs, ORIGIN)
    return {"encrypted_content": value} if value else {}


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


_FILES = frozenset({"file_citation", "container_file_citation", "file_path"})


def annotation(citation: Citation, length: int) -> JsonObject | None:
    """*citation* of a text of *length* characters; None where these clients could not follow it."""
    if citation.url:
        return {"type": openai_citations.KIND, **openai_citations.source(citation, length)}
    raw = citation.raw
    own = citation.dialect == NAME and isinstance(raw, dict) and raw.get("type") in _FILES
    return raw if own else None
