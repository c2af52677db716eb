"""What an answer, or an event of one, tells who only looks on; and such events made safe."""

from typing import Any

from proxypal_core.dialects.anthropic.errors import decode_failure, failure_in
from proxypal_core.dialects.anthropic.words import read_usage
from proxypal_core.dialects.base import Notice
from proxypal_core.wire import jsonio, sse
from proxypal_core.wire.jsonio import JsonObject, Malformed
from proxypal_core.wire.sse import Frame

_BEGUN = Notice(begun=True)
_DELTA = b'{"type":"content_block_delta"'
_EMPTY_TEXTS = (b'"text":""', b'"thinking":""')
_STILL = (b'{"type":"content_block_stop"', b'{"type":"ping"', b'{"type": "ping"')


def notice(frame: Frame, /) -> Notice | None:
    data = frame.data
    if data.startswith(_DELTA) and not any(empty in data for empty in _EMPTY_TEXTS):
        return _BEGUN
    if data.startswith(_STILL) or data.strip() == b"[DONE]":
        return None
    doc = jsonio.load_object(data)
    match doc.get("type") or frame.event:
        case "content_block_start":
            return _BEGUN if _has_content(doc.get("content_block")) else None
        case "content_block_delta":
            return _BEGUN if _has_content(doc.get("delta")) else None
        case "message_start":
            message = doc.get("message")
            return _usage_notice(message if isinstance(message, dict) else {})
        case "message_delta":
            delta = doc.get("delta")
            # Some servers leave out the message_stop that should follow.
            finished = isinstance(delta, dict) and delta.get("stop_reason") is not None
            return _usage_notice(doc, finished=finished)
        case "message_stop":
            return Notice(finished=True, last=True)
        case "error":
            return Notice(failure=decode_failure(200, data))
        case _:
            failure = failure_in(doc, data)
            return None if failure is None else Notice(failure=failure)


def _has_content(piece: Any) -> bool:
    """Whether a block's start or delta holds something; text may begin empty, all else is news."""
    if not isinstance(piece, dict):
        return False
    for field in ("text", "thinking"):
        if piece.get("type") in (field, f"{field}_delta"):
            return bool(piece.get(field))
    return True


def _usage_notice(holder: JsonObject, *, finished: bool = False) -> Notice | None:
    usage = holder.get("usage")
    read = read_usage(usage) if isinstance(usage, dict) else None
    return Notice(finished=finished, usage=read) if finished or read is not None else None


def notice_whole(doc: JsonObject, /) -> Notice:
    failure = failure_in(doc)
    if failure is not None:
        return Notice(failure=failure)
    usage = doc.get("usage")
    return Notice(
        begun=bool(doc.get("content")),
        finished=doc.get("stop_reason") is not None,
        usage=read_usage(usage) if isinstance(usage, dict) else None,
    )


def canonical(raw: bytes, /) -> bytes:
    """*raw* with its event named: Anthropic's own SDK passes over events without a name."""
    if raw.startswith(b"event:"):
        return raw
    frame = sse.parse(raw)
    if frame is None or frame.event:
        return raw
    try:
        kind = jsonio.load_object(frame.data).get("type")
    except Malformed:
        return raw
    if not isinstance(kind, str) or not kind.replace("_", "").isalnum():
        return raw
    return b"event: %b\n%b" % (kind.encode(), raw)
