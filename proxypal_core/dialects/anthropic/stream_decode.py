"""A streamed answer, read."""

from collections import deque
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from proxypal_core.dialects import failures, tools
from proxypal_core.dialects.anthropic import citations
from proxypal_core.dialects.anthropic.errors import decode_failure, failure_in
from proxypal_core.dialects.anthropic.words import (
    ID_PREFIX,
    NAME,
    VENDOR,
    read_stop,
    read_usage,
    refusal,
)
from proxypal_core.hub.events import (
    Event,
    Finish,
    PartBlob,
    PartCitation,
    PartDelta,
    PartEnd,
    PartStart,
    ResponseStart,
    UsageReport,
)
from proxypal_core.hub.failure import Failure
from proxypal_core.hub.messages import (
    Blob,
    Opaque,
    Refusal,
    Text,
    Thinking,
    ToolCall,
)
from proxypal_core.wire import jsonio
from proxypal_core.wire.jsonio import JsonObject, Malformed, arr, integer, need, obj, opt, string
from proxypal_core.wire.sse import Frame


class MessagesDecoder:
    """Blocks come one after another. Should they not, all but the first opened are held back
    until it is their turn.
    """

    def __init__(self) -> None:
        self._id = ""
        self._started = False
        self._ended = False
        self._usage: JsonObject = {}
        self._stop: JsonObject | None = None
        self._queue: deque[_Block] = deque()  # those not told to their end yet
        self._open: dict[int, _Block] = {}
        self._told = 0
        self._calls = False

    @property
    def proven(self) -> bool:
        return self._stop is not None and bool(self._stop.get("stop_reason"))

    def read(self, frame: Frame, /) -> Iterable[Event]:
        if self._ended or frame.data.strip() == b"[DONE]":
            return ()
        try:
            return self._read(frame)
        except Malformed as error:
            return self._broken(error)

    def heard(self, texts: Sequence[bytes], /) -> None:
        """Nothing depends on it."""

    def end(self) -> Iterable[Event]:
        if self._ended:
            return ()
        if self._stop is None or not self._stop.get("stop_reason"):
            return self._fail(failures.TRUNCATED)
        try:
            return self._finish()  # some servers leave out the message_stop
        except Malformed as error:
            return self._broken(error)

    def _read(self, frame: Frame) -> list[Event]:
        doc = jsonio.load_object(frame.data)
        match opt(doc, "type", string) or frame.event:
            case "message_start":
                return self._start(need(doc, "message", obj))
            case "content_block_start":
                at = need(doc, "index", integer)
                raw = need(doc, "content_block", obj)
                return self._begin_block(at, raw)
            case "content_block_delta":
                return self._delta(need(doc, "index", integer), need(doc, "delta", obj))
            case "content_block_stop":
                return self._end_block(need(doc, "index", integer))
            case "message_delta":
                self._add_usage(opt(doc, "usage", obj))
                delta = opt(doc, "delta", obj) or {}
                if delta.get("stop_reason") or self._stop is None:
                    self._stop = delta
                return []
            case "message_stop":
                return self._finish()
            case "error":
                return self._fail(decode_failure(200, frame.data))
            case _:
                failure = failure_in(doc, frame.data)
                return [] if failure is None else self._fail(failure)

    def _start(self, message: JsonObject) -> list[Event]:
        if self._started:
            return []
        self._id = opt(message, "id", string, "message") or ""
        self._add_usage(opt(message, "usage", obj, "message"))
        events = self._begin(opt(message, "model", string, "message") or "")
        if self._usage:
            events.append(UsageReport(read_usage(self._usage)))
        return events

    def _begin(self, model: str = "") -> list[Event]:
        if self._started:
            return []
        self._started = True
        return [ResponseStart(self._id, model)]

    def _add_usage(self, usage: JsonObject | None) -> None:
        """Counts are cumulative and replace one another field by field."""
        self._usage |= {field: value for field, value in (usage or {}).items() if value is not None}

    def _begin_block(self, at: int, raw: JsonObject) -> list[Event]:
        earlier = self._open.pop(at, None)
        if earlier is not None:
            earlier.close()
        block = _block(raw, f"toolu_{self._id.removeprefix(ID_PREFIX)}_{at}")
        self._calls = self._calls or isinstance(block, _CallBlock)
        self._queue.append(block)
        self._open[at] = block
        return [*self._begin(), *self._tell()]

    def _delta(self, at: int, delta: JsonObject) -> list[Event]:
        block = self._open.get(at)
        if block is None:
            return []
        block.add(delta)
        return self._tell()

    def _end_block(self, at: int) -> list[Event]:
        block = self._open.pop(at, None)
        if block is None:
            return []
        block.close()
        return self._tell()

    def _tell(self) -> list[Event]:
        """What can be told now: the first block's news, and the next one's once that is over."""
        events: list[Event] = []
        while self._queue:
            events += self._queue[0].news(self._told)
            if not self._queue[0].closed:
                break
            self._told += 1
            self._queue.popleft()
        return events

    def _finish(self) -> list[Event]:
        for block in self._open.values():
            block.close()
        events = [*self._begin(), *self._tell()]
        stop = self._stop or {}
        for part in refusal(stop):
            events += (
                PartStart(self._told, Refusal("")),
                PartDelta(self._told, part.text),
                PartEnd(self._told),
            )
        events.append(UsageReport(read_usage(self._usage)))
        reason, raw = read_stop(opt(stop, "stop_reason", string) or "", calls=self._calls)
        sequence = opt(stop, "stop_sequence", string) or ""
        events.append(Finish(reason, raw, sequence))
        self._ended = True
        return events

    def _broken(self, error: Malformed) -> list[Event]:
        return self._fail(failures.broken_event(error))

    def _fail(self, failure: Failure) -> list[Event]:
        self._ended = True
        return [failure]


class _Block:
    """A block as it comes. ``news`` are the events since they were last asked for."""

    def __init__(self) -> None:
        self.closed = False
        self._pending: list[Event] = []

    def add(self, delta: JsonObject) -> None:
        """Take in what comes after the beginning; some blocks are whole then."""

    def close(self) -> None:
        self.closed = True
        self._end()
        self._pending.append(PartEnd(0))

    def _end(self) -> None:
        """Adds what only the end of the block tells."""

    def news(self, at: int) -> list[Event]:
        told, self._pending = self._pending, []
        return [_at(event, at) for event in told]


def _at(event: Any, at: int) -> Event:
    return event if event.at == at else msgspec.structs.replace(event, at=at)  # type: ignore[no-any-return]  # every event of a part has ``at``


class _TextBlock(_Block):
    def __init__(self, raw: JsonObject) -> None:
        super().__init__()
        self._pending = [PartStart(0, Text(""))]
        self._say(raw)
        cited = opt(raw, "citations", arr) or ()
        self._pending += [PartCitation(0, citations.read(item)) for item in cited]

    def add(self, delta: JsonObject) -> None:
        if delta.get("type") == "citations_delta":
            cited = citations.read(need(delta, "citation", obj, "delta"))
            self._pending.append(PartCitation(0, cited))
        else:
            self._say(delta)

    def _say(self, source: JsonObject) -> None:
        text = opt(source, "text", string)
        if text:
            self._pending.append(PartDelta(0, text))


class _ThinkingBlock(_Block):
    """A signature comes whole; should a server send several, the last one holds."""

    def __init__(self, raw: JsonObject) -> None:
        super().__init__()
        self._pending = [PartStart(0, Thinking(""))]
        self._signature = ""
        self.add(raw)

    def add(self, delta: JsonObject) -> None:
        text = opt(delta, "thinking", string)
        if text:
            self._pending.append(PartDelta(0, text))
        self._signature = opt(delta, "signature", string) or self._signature

    def _end(self) -> None:
        if self._signature:
            self._pending.append(PartBlob(0, Blob(VENDOR, "signature", self._signature)))


class _RedactedBlock(_Block):
    def __init__(self, raw: JsonObject) -> None:
        super().__init__()
        data = need(raw, "data", string, "content_block")
        self._pending = [
            PartStart(0, Thinking("")),
            PartBlob(0, Blob(VENDOR, "redacted", data)),
        ]


class _CallBlock(_Block):
    """Arguments come in pieces, or whole at the start from some servers, or never: ``{}``."""

    def __init__(self, raw: JsonObject, fallback_id: str) -> None:
        super().__init__()
        call_id = opt(raw, "id", string, "content_block") or fallback_id
        name = need(raw, "name", string, "content_block")
        self._pending = [PartStart(0, ToolCall(call_id, name))]
        self._whole = jsonio.dumps_text(opt(raw, "input", obj, "content_block") or {})

    def add(self, delta: JsonObject) -> None:
        piece = opt(delta, "partial_json", string)
        if piece:
            self._whole = ""
            self._pending.append(PartDelta(0, piece))

    def _end(self) -> None:
        if self._whole:
            self._pending.append(PartDelta(0, self._whole))


class _OwnBlock(_Block):
    """A block that only this dialect understands; it is told whole, at its end."""

    def __init__(self, raw: JsonObject) -> None:
        super().__init__()
        self._raw = dict(raw)
        self._input = ""

    def add(self, delta: JsonObject) -> None:
        for field, value in delta.items():
            if field == "partial_json":
                self._input += string(value, "delta.partial_json")
            elif field != "type":
                earlier = self._raw.get(field)
                both = isinstance(earlier, str) and isinstance(value, str)
                self._raw[field] = earlier + value if both else value

    def _end(self) -> None:
        if self._input:
            self._raw["input"] = tools.arguments_object(self._input)
        self._pending.append(PartStart(0, Opaque(NAME, self._raw)))


def _block(raw: JsonObject, fallback_id: str) -> _Block:
    match need(raw, "type", string, "content_block"):
        case "text":
            return _TextBlock(raw)
        case "thinking":
            return _ThinkingBlock(raw)
        case "redacted_thinking":
            return _RedactedBlock(raw)
        case "tool_use":
            return _CallBlock(raw, fallback_id)
        case _:
            return _OwnBlock(raw)


def decoder() -> MessagesDecoder:
    return MessagesDecoder()
