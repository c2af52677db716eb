"""Streams of chunks, read from any server."""

from collections.abc import Iterable, Iterator, Sequence

from proxypal_core.dialects import failures, tools
from proxypal_core.dialects.openai_chat.errors import choice_failure, read_error_object
from proxypal_core.dialects.openai_chat.words import (
    content_pieces,
    read_annotations,
    read_call,
    read_finish,
    read_function_call,
    stream_usage,
    synthetic_id,
    thought,
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
    Citation,
    Part,
    Refusal,
    Text,
    Thinking,
    ToolCall,
    Usage,
)
from proxypal_core.wire import jsonio
from proxypal_core.wire.jsonio import JsonObject
from proxypal_core.wire.sse import Frame


class _Growing:
    """A part that is still coming in, and what of it was not told yet."""

    def __init__(self, part: Part) -> None:
        self.part = part
        self.untold: list[str] = []
        self.citations: list[Citation] = []
        self.blobs: list[Blob] = []


class _Call(_Growing):
    """A call, whose id and name may come late."""

    def __init__(self, *, freeform: bool) -> None:
        super().__init__(ToolCall("", ""))
        self.id = ""
        self.name = ""
        self.arguments = ""
        self.freeform = freeform

    def add(self, fragment: ToolCall) -> None:
        self.id = self.id or fragment.id
        self.name = self.name or fragment.name
        self.blobs += fragment.blobs
        if fragment.arguments:
            self.untold.append(fragment.arguments)
            self.arguments += fragment.arguments

    @property
    def known(self) -> bool:
        return bool(self.id and self.name)

    @property
    def complete(self) -> bool:
        """Whether the arguments need nothing more. Nobody can tell of a freeform call."""
        text = self.arguments.rstrip()
        return not self.freeform and text.endswith("}") and tools.is_object_text(text)


class ChatDecoder:
    """Reads an upstream's chunks.

    Parts are told one at a time: the first in ``_parts`` streams, those behind it wait until it is
    complete. Only servers that interleave calls ever make one wait.
    """

    def __init__(self) -> None:
        self._done = False
        self._started = False
        self._id = ""
        self._parts: list[_Growing] = []
        self._calls: dict[int | str, _Call] = {}
        self._last_call: _Call | None = None
        self._at = -1  # the index of the first of _parts, once it is open
        self._open = False
        self._called = False
        self._word = ""
        self._usage: Usage | None = None

    @property
    def proven(self) -> bool:
        return bool(self._word)

    def read(self, frame: Frame, /) -> Iterable[Event]:
        data = frame.data.strip()
        if self._done or not data:
            return []
        if data == b"[DONE]":
            return self.end()
        try:
            return list(self._chunk(jsonio.load_object(data)))
        except jsonio.Malformed as error:
            return self._fail(failures.broken_event(error))

    def heard(self, texts: Sequence[bytes], /) -> None:
        """Nothing depends on it."""

    def end(self) -> Iterable[Event]:
        if self._done:
            return []
        if not self._word:
            return self._fail(failures.TRUNCATED)
        self._done = True
        return list(self._finish())

    def _fail(self, failure: Failure) -> list[Event]:
        # The open part is not ended: its end would say that a cut call may be executed.
        self._done = True
        return [failure]

    def _finish(self) -> Iterator[Event]:
        yield from self._start("")
        yield from self._tell(closing=True)
        if self._usage is not None:
            yield UsageReport(self._usage)
        reason, raw = read_finish(self._word, calls=self._called)
        yield Finish(reason, raw)

    def _start(self, model: str) -> Iterator[Event]:
        if not self._started:
            self._started = True
            yield ResponseStart(self._id, model)

    def _chunk(self, doc: JsonObject) -> Iterator[Event]:
        if doc.get("error"):
            yield from self._fail(read_error_object(doc["error"]))
            return
        self._usage = stream_usage(doc) or self._usage
        self._id = self._id or jsonio.opt(doc, "id", jsonio.string) or ""
        choices = jsonio.opt(doc, "choices", jsonio.arr) or []
        if not choices and self._word and doc.get("usage"):
            yield from self.end()  # nothing comes after the usage
            return
        for index, value in enumerate(choices):
            path = f"choices[{index}]"
            choice = jsonio.obj(value, path)
            if self._done or choice.get("index", 0):
                continue  # the hub has one answer; n is asked only by those who read it raw
            yield from self._start(jsonio.opt(doc, "model", jsonio.string) or "")
            yield from self._choice(choice, path)

    def _choice(self, choice: JsonObject, path: str) -> Iterator[Event]:
        # A few servers send the whole message where the delta should be.
        delta = jsonio.opt(choice, "delta", jsonio.obj, path)
        if delta is None:
            delta = jsonio.opt(choice, "message", jsonio.obj, path) or {}
        self._collect(delta, f"{path}.delta")
        yield from self._tell()
        word = jsonio.opt(choice, "finish_reason", jsonio.string, path) or ""
        if word == "error":
            yield from self._fail(choice_failure(choice))
        elif not self._word or word in ("tool_calls", "function_call"):
            self._word = word or self._word

    def _collect(self, delta: JsonObject, path: str) -> None:
        reasoning = thought(delta)
        if reasoning:
            self._add(Thinking(""), reasoning)
        for piece in content_pieces(delta.get("content"), f"{path}.content"):
            self._add(type(piece)(""), piece.text)
        if self._parts and isinstance(self._parts[-1].part, Text):
            self._parts[-1].citations += read_annotations(delta, path)
        refusal = jsonio.opt(delta, "refusal", jsonio.string, path)
        if refusal:
            self._add(Refusal(""), refusal)
        fragments = jsonio.opt(delta, "tool_calls", jsonio.arr, path) or []
        for number, value in enumerate(fragments):
            place = f"{path}.tool_calls[{number}]"
            fragment = jsonio.obj(value, place)
            index = jsonio.opt(fragment, "index", jsonio.integer, place)
            self._add_call(index, read_call(fragment, place))
        if delta.get("function_call") is not None and not fragments:
            fragment_ = read_function_call(delta["function_call"], f"{path}.function_call")
            self._add_call("function_call", fragment_)

    def _add(self, part: Part, text: str) -> None:
        if not self._parts or type(self._parts[-1].part) is not type(part):
            self._parts.append(_Growing(part))
        self._parts[-1].untold.append(text)

    def _add_call(self, key: int | str | None, fragment: ToolCall) -> None:
        call = self._calls.get(key) if key is not None else self._last_call
        if call is None or _is_another(call, fragment, numbered=key is not None):
            call = _Call(freeform=fragment.freeform)
            self._parts.append(call)
        if key is not None:
            self._calls[key] = call
        self._last_call = call
        call.add(fragment)

    def _tell(self, *, closing: bool = False) -> Iterator[Event]:
        """What can be told by now; all of it when *closing*."""
        while self._parts:
            first = self._parts[0]
            if isinstance(first, _Call) and not first.known:
                if not closing:
                    return
                if not first.name:
                    self._parts.pop(0)  # a call of nothing
                    continue
                first.id = synthetic_id(self._id, self._at + 1)
            yield from self._told(first)
            waiting = len(self._parts) > 1
            over = not isinstance(first, _Call) or first.complete
            if not closing and not (waiting and over):
                return
            yield PartEnd(self._at)
            self._open = False
            self._parts.pop(0)

    def _told(self, first: _Growing) -> Iterator[Event]:
        if not self._open:
            self._open = True
            self._at += 1
            part = first.part
            if isinstance(first, _Call):
                self._called = True
                part = ToolCall(first.id, first.name, freeform=first.freeform)
            yield PartStart(self._at, part)
        if first.untold:
            yield PartDelta(self._at, "".join(first.untold))
            first.untold.clear()
        for citation in first.citations:
            yield PartCitation(self._at, citation)
        first.citations.clear()
        for blob in first.blobs:
            yield PartBlob(self._at, blob)
        first.blobs.clear()


def _is_another(call: _Call, fragment: ToolCall, *, numbered: bool) -> bool:
    """Whether *fragment* begins a call of its own, though its place is that of *call*: there are
    servers that number every call 0, and some that number none or give no ids.
    """
    if fragment.id and call.id and fragment.id != call.id:
        return bool(fragment.name) or not numbered
    return not fragment.id and bool(fragment.name and call.name) and call.complete


def decoder() -> ChatDecoder:
    return ChatDecoder()
