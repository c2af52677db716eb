"""Content blocks, read: those of requests and those of answers."""

from collections.abc import Callable
from typing import Any, TypeAlias

from proxypal_core.dialects import media
from proxypal_core.dialects.anthropic import citations
from proxypal_core.dialects.anthropic.words import NAME, VENDOR
from proxypal_core.hub.failure import invalid
from proxypal_core.hub.messages import (
    Blob,
    CacheMark,
    File,
    FileId,
    Image,
    Opaque,
    Part,
    PlainText,
    Role,
    Source,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
)
from proxypal_core.wire import jsonio
from proxypal_core.wire.jsonio import JsonObject, arr, boolean, join, need, obj, opt, string

_Read: TypeAlias = Callable[[JsonObject, str], tuple[Part, ...]]


def read_content(content: Any, path: str, role: Role) -> tuple[Part, ...]:
    """The parts of a message's content: a string, or an array of blocks."""
    if content is None or content == "":
        return ()
    if isinstance(content, str):
        return (Text(content),)
    parts: list[Part] = []
    for at, item in enumerate(arr(content, path)):
        here = f"{path}[{at}]"
        parts += read_block(obj(item, here), here, role)
    return tuple(parts)


def read_block(block: JsonObject, path: str, role: Role) -> tuple[Part, ...]:
    kind = need(block, "type", string, path)
    read = _BLOCKS.get(kind)
    if read is not None:
        return read(block, path)
    # A block of the client's that nobody here can read holds what the model would answer without.
    if role != "assistant" and kind not in _OWN and not kind.endswith("_tool_result"):
        raise invalid(
            f"{path}: content blocks of type {kind!r} are not known here; leave them out",
            param=path,
        )
    return (Opaque(NAME, block),)


_OWN = frozenset({"container_upload", "tool_reference", "server_tool_use", "mcp_tool_use"})


def cache_mark(block: JsonObject, path: str) -> CacheMark | None:
    mark = opt(block, "cache_control", obj, path)
    if mark is None:
        return None
    return CacheMark(opt(mark, "ttl", string, join(path, "cache_control")) or "")


def read_text(block: JsonObject, path: str) -> Text:
    return Text(
        need(block, "text", string, path),
        citations=tuple(map(citations.read, opt(block, "citations", arr, path) or ())),
        cache=cache_mark(block, path),
    )


def _text(block: JsonObject, path: str) -> tuple[Part, ...]:
    return (read_text(block, path),)


def _image(block: JsonObject, path: str) -> tuple[Part, ...]:
    source = _source(need(block, "source", obj, path), join(path, "source"))
    return (Image(source, cache=cache_mark(block, path)),)


def _document(block: JsonObject, path: str) -> tuple[Part, ...]:
    source = need(block, "source", obj, path)
    title = opt(block, "title", string, path) or ""
    cache = cache_mark(block, path)
    where = join(path, "source")
    if source.get("type") != "content":
        return (File(_source(source, where), name=title, cache=cache),)
    parts = read_content(source.get("content"), join(where, "content"), "user")
    texts = [part.text for part in parts if isinstance(part, Text)]
    if len(texts) == len(parts):
        return (File(PlainText("\n\n".join(texts)), name=title, cache=cache),)
    return (Text(title), *parts) if title else parts


def _search_result(block: JsonObject, path: str) -> tuple[Part, ...]:
    """What a client found by itself, as a document: others know no search results."""
    parts = read_content(block.get("content"), join(path, "content"), "user")
    lines = [opt(block, "source", string, path) or ""]
    lines += [part.text for part in parts if isinstance(part, Text)]
    text = "\n\n".join(line for line in lines if line)
    title = opt(block, "title", string, path) or ""
    return (File(PlainText(text), name=title, cache=cache_mark(block, path)),)


def _source(source: JsonObject, path: str) -> Source:
    kind = need(source, "type", string, path)
    mime = opt(source, "media_type", string, path) or ""
    match kind:
        case "base64":
            return media.inline(mime, need(source, "data", string, path))
        case "url":
            return media.addressed(need(source, "url", string, path), join(path, "url"), mime)
        case "file":
            return FileId(need(source, "file_id", string, path), NAME, mime)
        case "text":
            return PlainText(need(source, "data", string, path))
        case _:
            raise invalid(
                f"{path}: sources of type {kind!r} are not known here; send base64, url, file or text",
                param=path,
            )


def _tool_result(block: JsonObject, path: str) -> tuple[Part, ...]:
    return (
        ToolResult(
            need(block, "tool_use_id", string, path),
            read_content(block.get("content"), join(path, "content"), "user"),
            is_error=opt(block, "is_error", boolean, path) or False,
            cache=cache_mark(block, path),
        ),
    )


def _thinking(block: JsonObject, path: str) -> tuple[Part, ...]:
    signature = opt(block, "signature", string, path)
    return (
        Thinking(
            opt(block, "thinking", string, path) or "",
            (Blob(VENDOR, "signature", signature),) if signature else (),
        ),
    )


def _redacted_thinking(block: JsonObject, path: str) -> tuple[Part, ...]:
    return (Thinking("", (Blob(VENDOR, "redacted", need(block, "data", string, path)),)),)


def _tool_use(block: JsonObject, path: str) -> tuple[Part, ...]:
    return (
        ToolCall(
            need(block, "id", jsonio.filled, path),
            need(block, "name", string, path),
            jsonio.dumps_text(opt(block, "input", obj, path) or {}),
        ),
    )


_BLOCKS: dict[str, _Read] = {
    "text": _text,
    "image": _image,
    "document": _document,
    "search_result": _search_result,
    "tool_result": _tool_result,
    "thinking": _thinking,
    "redacted_thinking": _redacted_thinking,
    "tool_use": _tool_use,
}
