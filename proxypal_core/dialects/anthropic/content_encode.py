"""Content blocks, written for an upstream; what it would refuse is left out or refused here."""

import re
from collections.abc import Mapping
from typing import Any

from proxypal_core.dialects import extras, media, tools
from proxypal_core.dialects.anthropic import citations
from proxypal_core.dialects.anthropic.words import NAME, VENDOR
from proxypal_core.hub.failure import invalid
from proxypal_core.hub.messages import (
    Audio,
    Base64,
    CacheMark,
    File,
    FileId,
    Image,
    Opaque,
    Part,
    PlainText,
    Refusal,
    Source,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
    Url,
)
from proxypal_core.wire.jsonio import JsonObject

ID_LIMIT = 64

_IMAGES = frozenset({"image/jpeg", "image/png", "image/gif", "image/webp"})
_PDF = "application/pdf"
_TEXTS = ("text/", "application/json", "application/xml", "application/yaml")
# What only this proxy and other vendors write into the place of a signature has other characters.
_SIGNATURE = re.compile(r"[A-Za-z0-9+/=_-]+")


def signature(part: Thinking) -> str:
    """The signature that Anthropic gave *part*, empty without one."""
    found = extras.blob_of(part.blobs, VENDOR, "signature")
    return found if _SIGNATURE.fullmatch(found) else ""


def redacted(part: Thinking) -> str:
    return extras.blob_of(part.blobs, VENDOR, "redacted")


def tool_input(call: ToolCall) -> Any:
    """A call's arguments as the object they must be, in their own spelling where that is one."""
    if call.freeform:
        return {"input": call.arguments}
    return tools.arguments_value(call.arguments)


def block(part: Part, names: Mapping[str, str]) -> JsonObject:
    """*part* of a tidy turn; *names* are the tools' names at the target."""
    match part:
        case Text():
            return _marked(_text(part), part.cache)
        case Image():
            return _marked(_image(part), part.cache)
        case File():
            return _marked(_file(part), part.cache)
        case Thinking():
            data = redacted(part)
            if data:
                return {"type": "redacted_thinking", "data": data}
            return {"type": "thinking", "thinking": part.text, "signature": signature(part)}
        case ToolCall():
            return {
                "type": "tool_use",
                "id": tools.target_id(part.id, limit=ID_LIMIT),
                "name": names[tools.flat_name(part)],
                "input": tool_input(part),
            }
        case ToolResult():
            return _marked(_tool_result(part, names), part.cache or _inner_mark(part))
        case Refusal(text=text):
            return {"type": "text", "text": text}
        case Opaque(raw=raw):
            return {**raw}
        case Audio():
            raise invalid("audio is not taken by this model's API; ask another model")


def cache_control(mark: CacheMark) -> JsonObject:
    return {"type": "ephemeral", "ttl": mark.ttl} if mark.ttl else {"type": "ephemeral"}


def _marked(block: JsonObject, mark: CacheMark | None) -> JsonObject:
    if mark is not None:
        block["cache_control"] = cache_control(mark)
    return block


def _text(part: Text) -> JsonObject:
    cited = [own for one in part.citations if (own := citations.own(one))]
    out: JsonObject = {"type": "text", "text": part.text}
    if cited:
        out["citations"] = cited
    return out


def _image(part: Image) -> JsonObject:
    match part.source:
        case Base64() as source:
            mime = media.true_mime(source)
            if mime not in _IMAGES:
                raise invalid(
                    f"images of type {mime} are not taken by this model's API"
                    "; send jpeg, png, gif or webp"
                )
            return {
                "type": "image",
                "source": {"type": "base64", "media_type": mime, "data": source.data},
            }
        case Url(url=url):
            return {"type": "image", "source": {"type": "url", "url": _address(url)}}
        case FileId() as source:
            return {"type": "image", "source": {"type": "file", "file_id": _own_id(source)}}
        case PlainText():
            raise invalid("an image cannot be given as text; send its bytes or address")


def _file(part: File) -> JsonObject:
    if isinstance(part.source, Base64) and media.true_mime(part.source) in _IMAGES:
        return _image(Image(part.source))
    out: JsonObject = {"type": "document", "source": _file_source(part.source)}
    if part.name:
        out["title"] = part.name
    return out


def _file_source(source: Source) -> JsonObject:
    match source:
        case Base64():
            return _document(source)
        case PlainText(text=text):
            return _plain(text)
        case Url(url=url):
            return {"type": "url", "url": _address(url)}
        case FileId():
            return {"type": "file", "file_id": _own_id(source)}


def _document(source: Base64) -> JsonObject:
    mime = media.true_mime(source)
    if mime == _PDF:
        return {"type": "base64", "media_type": mime, "data": source.data}
    if mime.startswith(_TEXTS):
        return _plain(media.decoded_text(source))
    raise invalid(f"files of type {mime} are not taken by this model's API; send pdf or text")


def _plain(text: str) -> JsonObject:
    return {"type": "text", "media_type": "text/plain", "data": text}


def _address(url: str) -> str:
    if url.startswith(("https://", "http://")):
        return url
    raise invalid("this model's API fetches http and https addresses alone; send the file itself")


def _own_id(source: FileId) -> str:
    if source.origin == NAME:
        return source.id
    raise media.stored_elsewhere("a file")


def _tool_result(part: ToolResult, names: Mapping[str, str]) -> JsonObject:
    out: JsonObject = {
        "type": "tool_result",
        "tool_use_id": tools.target_id(part.call_id, limit=ID_LIMIT),
    }
    inner = [_unmarked(block(item, names)) for item in part.content]
    if [item["type"] for item in inner] == ["text"]:
        out["content"] = inner[0]["text"]
    elif inner:
        out["content"] = inner
    if part.is_error:
        out["is_error"] = True
    return out


def _inner_mark(part: ToolResult) -> CacheMark | None:
    """Clients of other dialects mark a part of the result where the result itself is meant."""
    marked = (item for item in part.content if isinstance(item, (Text, Image, File)))
    return next((item.cache for item in marked if item.cache is not None), None)


def _unmarked(block: JsonObject) -> JsonObject:
    block.pop("cache_control", None)
    return block
