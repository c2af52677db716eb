"""Whole answers, both ways."""

from collections.abc import Iterable

from proxypal_core.dialects import media, tools
from proxypal_core.dialects.base import Reply
from proxypal_core.dialects.gemini import citations, words
from proxypal_core.dialects.gemini.stream_decode import GeminiDecoder
from proxypal_core.dialects.gemini.words import NAME
from proxypal_core.hub.fold import fold
from proxypal_core.hub.messages import (
    Audio,
    Base64,
    Citation,
    File,
    FinishReason,
    Image,
    Opaque,
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


def decode_response(doc: JsonObject, /) -> Response:
    decoder = GeminiDecoder()
    return fold([*decoder.read_document(doc), *decoder.end()])


def encode_response(response: Response, reply: Reply, /) -> bytes:
    said = response.parts
    if said and response.finish is FinishReason.LENGTH and is_broken(said[-1]):
        said = said[:-1]
    parts = [written for part in said if (written := write_part(part)) is not None]
    doc = write_answer(
        reply,
        response.id,
        parts,
        words.REASON_WORDS[response.finish],
        response.usage,
        citations.write(_cited(said)),
    )
    return jsonio.escape_separators(jsonio.dumps(doc))


def write_answer(
    reply: Reply,
    response_id: str,
    parts: list[JsonObject],
    finish: str,
    usage: Usage | None,
    sources: JsonObject,
) -> JsonObject:
    candidate: JsonObject = {"content": {"parts": parts, "role": "model"}, "index": 0, **sources}
    if finish:
        # Clients look for a part even where nothing is left to say.
        candidate["content"]["parts"] = parts or [{"text": ""}]
        candidate["finishReason"] = finish
    doc: JsonObject = {"candidates": [candidate]}
    if usage is not None:
        doc["usageMetadata"] = words.write_usage(usage)
    doc["modelVersion"] = reply.request.model
    doc["responseId"] = response_id or reply.id
    return doc


def _cited(parts: Iterable[Part]) -> list[tuple[Citation, int, str]]:
    cited: list[tuple[Citation, int, str]] = []
    begin = 0
    for part in parts:
        if isinstance(part, (Text, Refusal)):
            if isinstance(part, Text):
                cited += [(citation, begin, part.text) for citation in part.citations]
            begin += len(part.text.encode())
    return cited


def write_part(part: Part) -> JsonObject | None:
    """*part* of an answer; None for one that Gemini's clients could not read."""
    match part:
        case Text(text=text, blobs=blobs):
            signature = words.signature(blobs)
            return {"text": text, **signature} if text or signature else None
        case Thinking(text=text, blobs=blobs):
            signature = words.signature(blobs)
            return {"text": text, "thought": True, **signature} if text or signature else None
        case Refusal(text=text):
            return {"text": text}
        case ToolCall():
            return write_call(part)
        case Image(source=Base64() as source) | File(source=Base64() as source):
            return words.inline_part(media.true_mime(source), source.data)
        case Audio(mime=mime, data=data):
            return words.inline_part(mime, data)
        case Opaque(dialect=dialect, raw=raw) if dialect == NAME and isinstance(raw, dict):
            return raw
        case _:
            return None


def write_call(call: ToolCall) -> JsonObject:
    text = tools.freeform_arguments(call.arguments) if call.freeform else call.arguments
    return {
        "functionCall": {"id": call.id, "name": call.name, "args": tools.arguments_value(text)},
        **words.signature(call.blobs),
    }


def is_broken(part: Part) -> bool:
    """Whether *part* is a call that was cut off: to run it would be dangerous."""
    return (
        isinstance(part, ToolCall)
        and not part.freeform
        and not tools.is_object_text(part.arguments)
    )
