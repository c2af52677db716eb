"""Streams of chunks, read from any server and written as OpenAI's own SDK accumulates them."""

from collections.abc import Iterable, Iterator
from typing import Any

from proxypal_core.dialects import tools
from proxypal_core.dialects.base import Reply
from proxypal_core.dialects.openai_chat.answer import answer_id, freeform_names, stream_usage
from proxypal_core.dialects.openai_chat.errors import failure_frame, read_error_object
from proxypal_core.dialects.openai_chat.words import (
    annotation,
    answers_in_legacy_form,
    content_pieces,
    finish_word,
    read_call,
    read_finish,
    read_function_call,
    synthetic_id,
    thought,
    write_signature,
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
from proxypal_core.hub.failure import Failure, Kind
from proxypal_core.hub.messages import Blob, Part, Refusal, Text, Thinking, ToolCall, Usage
from proxypal_core.wire import jsonio, sse
from proxypal_core.wire.jsonio import JsonObject
from proxypal_core.wire.sse import Frame

# ── reading ──────────────────────────────────────────────────────────────────────────────────


class _Growing:
    """A part that is still coming in, and what of it was not told yet."""

    def __init__(self, part: Part) -> None:
        self.part = part
        self.untold: list[str] = []
        self.citations: list[Any] = []
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
        self._calls: dict[object, _Call] = {}
        self._last_call: _Call | None = None
        self._at = -1  # the index of the first of _parts, once it is open
        self._open = False
        self._called = False
        self._word = ""
        self._usage: Usage | None = None

    def read(self, frame: Frame, /) -> Iterable[Event]:
        data = frame.data.strip()
        if self._done or not data:
            return []
        if data == b"[DONE]":
            return self.end()
        try:
            return list(self._chunk(jsonio.load_object(data)))
        except jsonio.Malformed as error:
            message = f"the provider sent a broken event: {error}"
            return self._fail(Failure(Kind.BAD_REPLY, message))

    def end(self) -> Iterable[Event]:
        if self._done:
            return []
        if not self._word:
            message = "the provider's answer ended before it was complete"
            return self._fail(Failure(Kind.TRUNCATED, message))
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
            yield from self._fail(read_error_object(choice.get("error") or "it broke off"))
        elif not self._word or word in ("tool_calls", "function_call"):
            self._word = word or self._word

    def _collect(self, delta: JsonObject, path: str) -> None:
        reasoning = thought(delta)
        if reasoning:
            self._add(Thinking(""), reasoning)
        for piece in content_pieces(delta.get("content"), f"{path}.content"):
            if isinstance(piece, (Text, Thinking)):
                self._add(type(piece)(""), piece.text)
        citations = jsonio.opt(delta, "annotations", jsonio.arr, path)
        if citations and self._parts and isinstance(self._parts[-1].part, Text):
            self._parts[-1].citations += citations
        refusal = jsonio.opt(delta, "refusal", jsonio.string, path)
        if refusal:
            self._add(Refusal(""), refusal)
        fragments = jsonio.opt(delta, "tool_calls", jsonio.arr, path) or []
        for number, value in enumerate(fragments):
            place = f"{path}.tool_calls[{number}]"
            fragment = jsonio.obj(value, place)
            self._add_call(fragment.get("index"), read_call(fragment, place))
        if delta.get("function_call") is not None and not fragments:
            fragment_ = read_function_call(delta["function_call"], f"{path}.function_call")
            self._add_call("function_call", fragment_)

    def _add(self, part: Part, text: str) -> None:
        if not self._parts or type(self._parts[-1].part) is not type(part):
            self._parts.append(_Growing(part))
        self._parts[-1].untold.append(text)

    def _add_call(self, key: object, fragment: ToolCall) -> None:
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


# ── writing ──────────────────────────────────────────────────────────────────────────────────


class ChatEncoder:
    """Writes chunks under the rules of the SDK's accumulation: role once, a call's id and name
    once, calls numbered from 0, no list of objects twice.
    """

    def __init__(self, reply: Reply) -> None:
        self._reply = reply
        self._usage = Usage()
        self._legacy = answers_in_legacy_form(reply.request)
        self._freeform = freeform_names(reply.request)
        self._head = self._tail = b""
        self._part: Part | None = None
        self._written: dict[type, int] = {}  # characters, by kind of part
        self._previous: type | None = None
        self._separator = ""
        self._part_start = 0  # where the part's text begins in the message's
        self._calls = 0
        self._held: list[str] = []  # arguments that turn into a freeform call's text
        self._arguments = False
        self._annotations: list[JsonObject] = []
        self._done = False

    def write(self, event: Event, /) -> bytes:
        if self._done:
            return b""
        match event:
            case ResponseStart(id=given):
                return self._begin(given)
            case PartStart(part=part):
                return self._open(part)
            case PartDelta(text=text):
                return self._delta(text)
            case PartBlob(blob=blob) if isinstance(self._part, ToolCall):
                return self._sign(blob)
            case PartCitation(citation=raw):
                return self._cite(raw)
            case PartEnd():
                return self._close()
            case UsageReport(usage=usage):
                self._usage = usage
            case Finish():
                return self._finish(event)
            case Failure():
                self._done = True
                return failure_frame(event)
            case _:
                pass
        return b""

    # A chunk differs from the next only in its delta, so what stands around is made once.
    def _begin(self, given: str) -> bytes:
        head: JsonObject = {
            "id": answer_id(given, self._reply),
            "object": "chat.completion.chunk",
            "created": self._reply.created,
            "model": self._reply.request.model,
        }
        self._head = jsonio.dumps(head)[:-1]
        self._tail = b',"usage":null}' if self._reply.request.include_usage else b"}"
        return self._chunk({"role": "assistant", "content": ""})

    def _chunk(self, delta: JsonObject, finish: str | None = None) -> bytes:
        choice = b',"choices":[{"index":0,"delta":%b,"logprobs":null,"finish_reason":%b}]' % (
            jsonio.dumps(delta),
            jsonio.dumps(finish),
        )
        return sse.frame(self._head + choice + self._tail)

    def _open(self, part: Part) -> bytes:
        kind = type(part)
        # As in a whole answer: texts that something stands between get an empty line.
        apart = self._written.get(kind) and self._previous is not kind
        self._separator = "\n\n" if apart else ""
        self._part_start = self._written.get(kind, 0) + len(self._separator)
        self._previous = kind
        self._part = part
        if isinstance(part, ToolCall):
            return self._open_call(part)
        text = getattr(part, "text", "")
        return self._delta(text) if text else b""

    def _delta(self, text: str) -> bytes:
        part = self._part
        match part:
            case Text():
                return self._text("content", text)
            case Thinking():
                return self._text("reasoning_content", text)
            case Refusal():
                return self._text("refusal", text)
            case ToolCall():
                return self._arguments_delta(part, text)
            case _:
                return b""

    def _text(self, field: str, text: str) -> bytes:
        text = self._separator + text
        self._separator = ""
        kind = type(self._part)
        self._written[kind] = self._written.get(kind, 0) + len(text)
        return self._chunk({field: text})

    # ── calls ──

    def _is_text(self, call: ToolCall) -> bool:
        return call.freeform or call.name in self._freeform

    def _open_call(self, call: ToolCall) -> bytes:
        self._calls += 1
        self._arguments = False
        self._held.clear()
        if self._legacy:
            header = {"name": call.name, "arguments": ""}
            start = self._chunk({"function_call": header}) if self._calls == 1 else b""
        elif self._is_text(call):
            custom = {"name": call.name, "input": ""}
            start = self._call_delta({"id": call.id, "type": "custom", "custom": custom})
        else:
            function = {"name": call.name, "arguments": ""}
            start = self._call_delta({"id": call.id, "type": "function", "function": function})
        return start + (self._delta(call.arguments) if call.arguments else b"")

    def _call_delta(self, fields: JsonObject) -> bytes:
        if self._legacy:
            return b""
        return self._chunk({"tool_calls": [{"index": self._calls - 1, **fields}]})

    def _arguments_delta(self, call: ToolCall, text: str) -> bytes:
        self._arguments = True
        if self._legacy:
            # The form has room for one call.
            return self._chunk({"function_call": {"arguments": text}}) if self._calls == 1 else b""
        if call.freeform:
            return self._call_delta({"custom": {"input": text}})
        if call.name in self._freeform:
            self._held.append(text)
            return b""
        return self._call_delta({"function": {"arguments": text}})

    def _sign(self, blob: Blob) -> bytes:
        signature = write_signature([blob])
        if not signature:
            return b""
        # The SDK's helper wants a function in every delta of a call.
        return self._call_delta({"function": {"arguments": ""}, **signature})

    def _close(self) -> bytes:
        call, self._part = self._part, None
        if not isinstance(call, ToolCall):
            return b""
        if self._held:
            text = tools.freeform_text("".join(self._held))
            return self._call_delta({"custom": {"input": text}})
        if self._arguments or self._is_text(call):
            return b""
        return self._arguments_delta(call, "{}")  # clients parse the arguments of every call

    # ── the end ──

    def _cite(self, raw: Any) -> bytes:
        found = annotation(raw, self._part_start, self._written.get(Text, 0))
        if found:
            self._annotations.append(found)
        return b""

    def _finish(self, event: Finish) -> bytes:
        self._done = True
        out = b""
        if self._annotations:
            # All at once: the SDK cannot join two lists of them.
            out += self._chunk({"annotations": self._annotations})
        word = finish_word(
            event.reason,
            calls=self._calls > 0,
            refused=Refusal in self._written,
            legacy=self._legacy,
        )
        out += self._chunk({}, word)
        if self._reply.request.include_usage:
            usage = jsonio.dumps(write_usage(self._usage))
            out += sse.frame(self._head + b',"choices":[],"usage":' + usage + b"}")
        return out + sse.frame(b"[DONE]")


def encoder(reply: Reply, /) -> ChatEncoder:
    return ChatEncoder(reply)


# ── passing through ──────────────────────────────────────────────────────────────────────────


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
