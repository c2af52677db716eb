"""What an answer, or an event of one, tells who only looks on; and such events made safe."""

import re
from typing import Any

from proxypal_core.dialects.base import Notice
from proxypal_core.dialects.openai_responses.errors import failure_in
from proxypal_core.dialects.openai_responses.words import COMPLETED, INCOMPLETE, read_usage
from proxypal_core.wire import jsonio
from proxypal_core.wire.jsonio import JsonObject
from proxypal_core.wire.sse import Frame

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
        last=failure is None,
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


def canonical(raw: bytes, /) -> bytes:
    """*raw* itself: every event of this dialect is safe for its clients."""
    return raw
