"""Parts, read: those of requests and those of answers."""

from typing import Any

from proxypal_core.dialects import media
from proxypal_core.dialects.openai_responses.words import NAME
from proxypal_core.dialects.openai_words import ORIGIN, read_audio
from proxypal_core.hub.failure import invalid
from proxypal_core.hub.messages import (
    Blob,
    CacheMark,
    File,
    FileId,
    Image,
    Part,
    Refusal,
    Source,
    Text,
    Thinking,
    ToolCall,
)
from proxypal_core.wire import jsonio
from proxypal_core.wire.jsonio import JsonObject, arr, obj, opt, string


def reasoning_part(item: JsonObject, path: str) -> Thinking | None:
    """What a reasoning item shows and hides; None when it does neither."""
    text = "\n\n".join(_texts(item, "summary", path) or _texts(item, "content", path))
    encrypted = opt(item, "encrypted_content", string, path)
    if not text and not encrypted:
        return None
    name = opt(item, "id", string, path) or ""
    blobs = (Blob(ORIGIN, "encrypted_reasoning", encrypted, name),) if encrypted else ()
    return Thinking(text, blobs)


def _texts(item: JsonObject, key: str, path: str) -> list[str]:
    shown = opt(item, key, arr, path) or []
    texts = [opt(obj(part, f"{path}.{key}[{at}]"), "text", string) for at, part in enumerate(shown)]
    return [text for text in texts if text]


def call_part(item: JsonObject, path: str) -> ToolCall:
    freeform = item.get("type") == "custom_tool_call"
    return ToolCall(
        id=jsonio.need(item, "call_id", jsonio.filled, path),
        name=jsonio.need(item, "name", string, path),
        arguments=opt(item, "input" if freeform else "arguments", string, path) or "",
        namespace=opt(item, "namespace", string, path) or "",
        freeform=freeform,
    )


def content(value: Any, path: str) -> tuple[Part, ...]:
    """The parts of a message or of a tool's output, which may be plain text."""
    if value is None:
        return ()
    if isinstance(value, str):
        return (Text(value),) if value else ()
    return tuple(_part(part, f"{path}[{at}]") for at, part in enumerate(arr(value, path)))


def _part(value: Any, path: str) -> Part:
    if isinstance(value, str):
        return Text(value)
    raw = obj(value, path)
    kind = raw.get("type")
    match kind:
        case "input_text" | "output_text" | "text" | "summary_text":
            return Text(jsonio.need(raw, "text", string, path), cache=_cache(raw))
        case "refusal":
            return Refusal(jsonio.need(raw, "refusal", string, path))
        case "input_image":
            detail = opt(raw, "detail", string, path) or ""
            return Image(_image_source(raw, path), detail, cache=_cache(raw))
        case "input_file":
            name = opt(raw, "filename", string, path) or ""
            return File(_file_source(raw, path), name, cache=_cache(raw))
        case "input_audio":
            return read_audio(raw, path)
        case _:
            raise invalid(f"{path}: unknown content type {kind!r}; leave it out", param=path)


def _cache(raw: JsonObject) -> CacheMark | None:
    return CacheMark() if raw.get("prompt_cache_breakpoint") else None


def _image_source(raw: JsonObject, path: str) -> Source:
    address = raw.get("image_url")
    if isinstance(address, dict):
        address = address.get("url")  # as Chat Completions nests it
    if isinstance(address, str) and address:
        return media.addressed(address, f"{path}.image_url")
    return _file_id(raw, path, "image_url or file_id")


def _file_source(raw: JsonObject, path: str) -> Source:
    data = opt(raw, "file_data", string, path)
    if data:
        return media.attached(data, f"{path}.file_data")
    url = opt(raw, "file_url", string, path)
    if url:
        return media.addressed(url, f"{path}.file_url")
    return _file_id(raw, path, "file_data, file_url or file_id")


def _file_id(raw: JsonObject, path: str, wanted: str) -> FileId:
    file_id = opt(raw, "file_id", string, path)
    if not file_id:
        raise invalid(f"{path}: needs {wanted}", param=path)
    return FileId(file_id, NAME)
