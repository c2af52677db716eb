"""What an answer, or a raw event of one, tells who only looks on; and such events made safe."""

import re

from proxypal_core.dialects import failures
from proxypal_core.dialects.base import Notice
from proxypal_core.dialects.openai_chat.errors import failure_in
from proxypal_core.dialects.openai_chat.words import first_choice, read_usage, stream_usage, thought
from proxypal_core.hub.failure import Failure, Kind
from proxypal_core.wire import jsonio, sse
from proxypal_core.wire.jsonio import JsonObject
from proxypal_core.wire.sse import Frame

# A key with its quotes never stands inside a JSON string, where quotes are escaped.
_CONTENT = re.compile(
    rb'"(?:content|reasoning_content|reasoning|refusal)"\s*:\s*(?:"[^"]|\[\s*\{)'
    rb'|"tool_calls"\s*:\s*\[\s*\{|"(?:function_call|audio)"\s*:\s*\{'
)
_FINISH = re.compile(rb'"finish_reason"\s*:\s*"[^"]')
_ERROR = re.compile(rb'"error"\s*:\s*["{]')
_USAGE = re.compile(rb'"usage"\s*:\s*\{')
_BEGUN = Notice(begun=True)
_LAST = Notice(last=True)
_PLAIN = (None, _BEGUN)


def notice(frame: Frame, /) -> Notice | None:
    data = frame.data
    begun = _CONTENT.search(data) is not None
    finish = _FINISH.search(data)
    if finish is None and not (_ERROR.search(data) or _USAGE.search(data)):
        if data.strip() == b"[DONE]":
            return _LAST
        if data.lstrip().startswith(b"{") or not data.strip():
            return _PLAIN[begun]
        return Notice(failure=Failure(Kind.BAD_REPLY, "the provider sent an event that is no JSON"))
    try:
        doc = jsonio.load_object(data)
    except jsonio.Malformed as error:
        return Notice(failure=failures.broken_event(error))
    failure = failure_in(doc)
    if failure is not None:
        return Notice(failure=failure)
    return Notice(begun=begun, finished=finish is not None, usage=stream_usage(doc))


def notice_whole(doc: JsonObject, /) -> Notice:
    failure = failure_in(doc)
    if failure is not None:
        return Notice(failure=failure)
    choice = first_choice(doc)
    message = choice.get("message")
    return Notice(
        begun=isinstance(message, dict) and _says_something(message),
        finished=bool(choice.get("finish_reason")),
        usage=read_usage(doc.get("usage")),
    )


def _says_something(message: JsonObject) -> bool:
    return bool(
        message.get("content")
        or message.get("tool_calls")
        or message.get("refusal")
        or message.get("function_call")
        or message.get("audio")
        or thought(message)
    )


def canonical(raw: bytes, /) -> bytes:
    """An event with empty data, which the SDK takes for broken JSON, is left out."""
    return b"" if raw.startswith(b"data:") and raw.strip() == b"data:" else raw


def without_usage(raw: bytes, /) -> bytes:
    """A raw event for a client that did not ask for usage, which is always asked for upstream."""
    if b'"usage"' not in raw:
        return raw
    frame = sse.parse(raw)
    if frame is None:
        return raw
    try:
        doc = jsonio.load_object(frame.data)
    except jsonio.Malformed:
        return raw
    if "usage" not in doc:
        return raw
    del doc["usage"]
    if doc.get("choices") == []:
        return b""
    return sse.frame(jsonio.dumps(doc))
