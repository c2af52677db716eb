"""Streams of chunks, written as OpenAI's own SDK accumulates them."""

from collections.abc import Sequence

from proxypal_core.dialects import answers, tools
from proxypal_core.dialects.alike import written
from proxypal_core.dialects.base import Reply
from proxypal_core.dialects.openai_chat.errors import failure_frame
from proxypal_core.dialects.openai_chat.words import (
    ID_PREFIX,
    annotation,
    answers_in_legacy_form,
    finish_word,
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
from proxypal_core.wire import jsonio, sse
from proxypal_core.wire.jsonio import JsonObject


class ChatEncoder:
    """Writes chunks under the rules of the SDK's accumulation: role once, a call's id and name
    once, calls numbered from 0, no list of objects twice.
    """

    def __init__(self, reply: Reply) -> None:
        self._reply = reply
        self._usage = Usage()
        self._legacy = answers_in_legacy_form(reply.request)
        self._freeform = tools.freeform_names(reply.request)
        self._head = self._tail = self._say_before = self._say_after = b""
        self._part: Part | None = None
        self._written: dict[type, int] = {}  # characters, by kind of part
        self._previous: type | None = None
        self._separator = ""
        self._part_start = 0  # where the part's text begins in the message's
        self._calls = 0
        self._held: list[str] = []  # arguments that turn into a freeform call's text
        self._arguments = False
        self._citations: list[Citation] = []  # of the open part
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
            case PartCitation(citation=citation):
                self._citations.append(citation)
                return b""
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
            "id": answers.answer_id(ID_PREFIX, given, self._reply),
            "object": "chat.completion.chunk",
            "created": self._reply.created,
            "model": self._reply.request.model,
        }
        self._head = jsonio.dumps(head)[:-1]
        self._say_before = b'data: %b,"choices":[{"index":0,"delta":{"content":"' % self._head
        self._tail = b',"usage":null}' if self._reply.request.include_usage else b"}"
        self._say_after = b'"},"logprobs":null,"finish_reason":null}]%b\n\n' % self._tail
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

    def say(self, texts: Sequence[bytes], /) -> bytes:
        if not isinstance(self._part, Text) or self._separator or self._done:
            return b""
        said = len(jsonio.unescaped(b"".join(texts)))
        self._written[Text] = self._written.get(Text, 0) + said
        return written((self._say_before, self._say_after), (texts,))

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
        if self._citations:
            self._cite()
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

    def _cite(self) -> None:
        """Where a part is cited as a whole, only its end tells how much that is."""
        length = self._written.get(Text, 0) - self._part_start
        written = [annotation(one, length, self._part_start) for one in self._citations]
        self._annotations += [one for one in written if one]
        self._citations.clear()

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
