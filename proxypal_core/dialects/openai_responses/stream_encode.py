"""The hub's events into the stream that the official clients accept, which are strict.

Each item is announced, told and closed; the last event repeats all of them. An item is closed
only when the next event shows that the answer was not cut in it: agents run the calls they see
closed.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from proxypal_core.dialects import answers
from proxypal_core.dialects.base import Reply
from proxypal_core.dialects.openai_responses.answer import envelope
from proxypal_core.dialects.openai_responses.errors import error_object, failed_error
from proxypal_core.dialects.openai_responses.items import (
    ClientTools,
    finished_call,
    item_id,
    write_content,
    write_item,
)
from proxypal_core.dialects.openai_responses.words import (
    COMPLETED,
    FAILED,
    ID_PREFIX,
    IN_PROGRESS,
    INCOMPLETE,
    write_status,
    write_usage,
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
    Citation,
    Part,
    Refusal,
    Text,
    Thinking,
    ToolCall,
    Usage,
)
from proxypal_core.wire import jsonio, sse
from proxypal_core.wire.jsonio import JsonObject

_Told = tuple[str, JsonObject]
_DELTA_NAMES = {
    Text: "response.output_text",
    Refusal: "response.refusal",
    Thinking: "response.reasoning_summary_text",
}
_TEXT_DELTA = (
    b'event: response.output_text.delta\ndata: {"type":"response.output_text.delta",'
    b'"sequence_number":%%d,"output_index":%d,"item_id":%b,"content_index":0,"delta":"%%b",'
    b'"logprobs":[]}\n\n'
)
"""With a place for the item, and then for the number and the text of each event."""


class _Item:
    """An item being told. Its frames lack only what the stream adds to all of them."""

    def __init__(self, part: Part, name: str, *, wrapped: bool) -> None:
        self._part = part
        self._name = name
        self._wrapped = wrapped
        self._said = bytearray()
        """The text, as JSON has it: a string for each of its pieces would take ten times as much."""
        self.json_name = jsonio.dumps(name)
        if isinstance(part, ToolCall):
            freeform = part.freeform
            self._event = f"response.{_CUSTOM if freeform else _FUNCTION}"
        else:
            self._event = _DELTA_NAMES.get(type(part), "")
        # Where in the item the text stands.
        self._place: JsonObject = {}
        if isinstance(part, (Text, Refusal)):
            self._place = {"content_index": 0}
        elif isinstance(part, Thinking):
            self._place = {"summary_index": 0}

    def start(self, shell: JsonObject) -> Iterator[_Told]:
        """The frames that announce the item; *shell* is the item with nothing in it."""
        if isinstance(self._part, (Text, Refusal)):
            shell = {**shell, "content": []}
        yield "response.output_item.added", {"item": shell}
        if isinstance(self._part, (Text, Refusal)):
            yield self._at("response.content_part.added", part=write_content(self._part))

    def say(self, text: str) -> Iterator[_Told]:
        if isinstance(self._part, Thinking) and not self._said:
            yield self._at("response.reasoning_summary_part.added", part=_summary(""))
        self._said += jsonio.escaped(text)
        if not self._wrapped:
            yield self._delta(text)

    def hears(self, texts: Sequence[bytes]) -> bool:
        """Whether the item is a text, which goes on with *texts*, escaped."""
        if isinstance(self._part, Text):
            self._said += b"".join(texts)
        return isinstance(self._part, Text)

    def cite(self, citation: Citation) -> None:
        """What is cited is told when the text is whole: some cite all of it."""
        if isinstance(self._part, Text):
            citations = (*self._part.citations, citation)
            self._part = msgspec.structs.replace(self._part, citations=citations)

    def seal(self, event: PartBlob) -> None:
        if isinstance(self._part, (Text, Thinking, ToolCall)):
            blobs = (*self._part.blobs, event.blob)
            self._part = msgspec.structs.replace(self._part, blobs=blobs)

    def close(self, status: str) -> tuple[list[_Told], JsonObject]:
        """The frames that close the item, and the whole of it."""
        told = list(self._finish_text())
        item = write_item(self._part, self._name, status) or {}
        return [*told, ("response.output_item.done", {"item": item})], item

    def _finish_text(self) -> Iterator[_Told]:
        text = jsonio.unescaped(self._said)
        match self._part:
            case Text():
                self._part = msgspec.structs.replace(self._part, text=text)
                content = write_content(self._part)
                for index, written in enumerate(content["annotations"]):
                    yield self._at(
                        "response.output_text.annotation.added",
                        annotation_index=index,
                        annotation=written,
                    )
                yield self._at(f"{self._event}.done", text=text, logprobs=[])
                yield self._at("response.content_part.done", part=content)
            case Refusal():
                self._part = msgspec.structs.replace(self._part, text=text)
                yield self._at(f"{self._event}.done", refusal=text)
                yield self._at("response.content_part.done", part=write_content(self._part))
            case Thinking():
                self._part = msgspec.structs.replace(self._part, text=text)
                if text:
                    yield self._at(f"{self._event}.done", text=text)
                    yield self._at("response.reasoning_summary_part.done", part=_summary(text))
            case ToolCall():
                call = msgspec.structs.replace(self._part, arguments=text)
                self._part = call = finished_call(call, wrapped=self._wrapped)
                if self._wrapped or not text:
                    yield self._delta(call.arguments)
                key = "input" if call.freeform else "arguments"
                named = {} if call.freeform else {"name": call.name}
                yield self._at(f"{self._event}.done", **{key: call.arguments}, **named)
            case _:
                pass

    def _delta(self, text: str) -> _Told:
        logprobs: JsonObject = {"logprobs": []} if isinstance(self._part, Text) else {}
        return self._at(f"{self._event}.delta", delta=text, **logprobs)

    def _at(self, kind: str, **fields: Any) -> _Told:
        return kind, {"item_id": self._name, **self._place, **fields}


_FUNCTION = "function_call_arguments"
_CUSTOM = "custom_tool_call_input"


def _summary(text: str) -> JsonObject:
    return {"type": "summary_text", "text": text}


class ResponsesEncoder:
    def __init__(self, reply: Reply, /) -> None:
        self._reply = reply
        self._tools = ClientTools(reply.request)
        self._sequence = 0
        self._envelope: JsonObject = {}
        self._usage = Usage()
        self._items: list[JsonObject] = []
        self._item: _Item | None = None

    def write(self, event: Event, /) -> bytes:
        match event:
            case PartDelta(text=text):
                return self._tell(self._item.say(text)) if self._item and text else b""
            case ResponseStart(id=given):
                return self._start(given)
            case PartStart(part=part):
                return self._close(COMPLETED) + self._open(part)
            case PartCitation(citation=citation):
                if self._item:
                    self._item.cite(citation)
                return b""
            case PartBlob():
                if self._item:
                    self._item.seal(event)
            case UsageReport(usage=usage):
                self._usage = usage
            case Finish():
                return self._finish(event)
            case Failure():
                return self._fail(event)
            case PartEnd():
                pass
        return b""

    def say(self, texts: Sequence[bytes], /) -> bytes:
        if self._item is None or not self._item.hears(texts):
            return b""
        name = self._item.json_name.replace(b"%", b"%%")
        event = _TEXT_DELTA % (len(self._items), name)
        told = [event % numbered for numbered in enumerate(texts, self._sequence)]
        self._sequence += len(told)
        return b"".join(told)

    def _start(self, given: str) -> bytes:
        self._envelope = envelope(self._reply, answers.answer_id(ID_PREFIX, given, self._reply))
        answer = jsonio.dumps_text({**self._envelope, "status": IN_PROGRESS})
        told = {"response": jsonio.verbatim(answer)}
        return self._frame("response.created", told) + self._frame("response.in_progress", told)

    def _open(self, part: Part) -> bytes:
        if not self._envelope:
            return self._start("") + self._open(part)
        wrapped = False
        if isinstance(part, ToolCall):
            resolved = self._tools.resolve(part)
            wrapped = resolved.freeform and not part.freeform
            part = resolved
        stem = self._envelope["id"].removeprefix(ID_PREFIX)
        name = item_id(part, stem, len(self._items))
        shell = write_item(part, name, IN_PROGRESS)
        if shell is None:
            return b""
        self._item = _Item(part, name, wrapped=wrapped)
        return self._tell(self._item.start(shell))

    def _close(self, status: str) -> bytes:
        if self._item is None:
            return b""
        told, item = self._item.close(status)
        frames = self._tell(told)
        self._items.append(item)
        self._item = None
        return frames

    def _finish(self, finish: Finish) -> bytes:
        started = b"" if self._envelope else self._start("")
        status, details = write_status(finish.reason)
        closed = self._close(status)
        answer = {
            **self._envelope,
            "status": status,
            "incomplete_details": details,
            "output": self._items,
            "usage": write_usage(self._usage),
        }
        kind = "response.incomplete" if status == INCOMPLETE else "response.completed"
        return started + closed + self._frame(kind, {"response": answer})

    def _fail(self, failure: Failure) -> bytes:
        """The failed answer, which Codex reads, and an error, which the SDKs raise.

        They raise for a nested object only; others look for the same words beside it.
        """
        failed = b""
        if self._envelope:
            answer = {**self._envelope, "status": FAILED, "error": failed_error(failure)}
            failed = self._frame("response.failed", {"response": {**answer, "output": self._items}})
        error = error_object(failure)
        flat = {key: error[key] for key in ("code", "message", "param")}
        return failed + self._frame("error", {**flat, "error": error})

    def _tell(self, told: Any) -> bytes:
        index = len(self._items)
        return b"".join([self._frame(kind, {"output_index": index, **rest}) for kind, rest in told])

    def _frame(self, kind: str, fields: JsonObject) -> bytes:
        data = jsonio.dumps({"type": kind, "sequence_number": self._sequence, **fields})
        self._sequence += 1
        # Some readers of streams take the Unicode separators for line ends.
        return sse.frame(jsonio.escape_separators(data), kind)


def encoder(reply: Reply, /) -> ResponsesEncoder:
    return ResponsesEncoder(reply)
