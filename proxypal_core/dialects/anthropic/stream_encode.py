"""A streamed answer, written."""

from collections.abc import Sequence

from proxypal_core.dialects import answers, tools
from proxypal_core.dialects.alike import written
from proxypal_core.dialects.anthropic import citations
from proxypal_core.dialects.anthropic.answer import placeholder
from proxypal_core.dialects.anthropic.errors import error_document
from proxypal_core.dialects.anthropic.words import (
    ID_PREFIX,
    NAME,
    VENDOR,
    stop_fields,
    usage_fields,
)
from proxypal_core.dialects.base import Reply
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
    Audio,
    Blob,
    Citation,
    File,
    Image,
    Opaque,
    Refusal,
    Text,
    Thinking,
    ToolCall,
    Usage,
)
from proxypal_core.wire import jsonio, sse
from proxypal_core.wire.jsonio import JsonObject

_DELTA_BEFORE = (
    b'event: content_block_delta\ndata: {"type":"content_block_delta","index":%d,'
    b'"delta":{"type":"text_delta","text":"'
)
_DELTA_AFTER = b'"}}\n\n'


class MessagesEncoder:
    """A block is opened when there is something in it: clients send empty ones back, which
    Anthropic then refuses.
    """

    def __init__(self, reply: Reply) -> None:
        self._reply = reply
        self._started = False
        self._index = -1
        self._open = ""  # the open block's type
        self._part: object = None
        self._signature = ""
        self._spoken = False  # whether arguments of the open call were passed on
        self._held: list[str] | None = None  # arguments that are not passed on as they come
        self._calls = False
        self._refused = False
        self._usage = Usage()

    def write(self, event: Event, /) -> bytes:
        match event:
            case ResponseStart(id=given):
                return self._start(given)
            case PartStart(part=part):
                return self._begin() + self._part_start(part)
            case PartDelta(text=text):
                return self._part_delta(text)
            case PartBlob(blob=blob):
                return self._part_blob(blob)
            case PartCitation(citation=citation):
                return self._part_citation(citation)
            case PartEnd():
                return self._part_end()
            case UsageReport(usage=usage):
                self._usage = usage
                return b""
            case Finish():
                return self._begin() + self._finish(event)
            case Failure():
                return _event(error_document(event))

    def say(self, texts: Sequence[bytes], /) -> bytes:
        if self._open != "text" or not isinstance(self._part, Text):
            return b""
        return written((_DELTA_BEFORE % self._index, _DELTA_AFTER), (texts,))

    def _begin(self) -> bytes:
        return b"" if self._started else self._start("")

    def _start(self, given: str) -> bytes:
        self._started = True
        message: JsonObject = {
            "id": answers.answer_id(ID_PREFIX, given, self._reply),
            "type": "message",
            "role": "assistant",
            "model": self._reply.request.model,
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "usage": usage_fields(self._usage),
        }
        return _event({"type": "message_start", "message": message})

    def _finish(self, finish: Finish) -> bytes:
        stop = stop_fields(
            finish.reason, finish.stop_sequence, calls=self._calls, refused=self._refused
        )
        usage = usage_fields(self._usage)
        return _event({"type": "message_delta", "delta": stop, "usage": usage}) + _event(
            {"type": "message_stop"}
        )

    # ── parts ────────────────────────────────────────────────────────────────────────────────

    def _part_start(self, part: object) -> bytes:
        self._part, self._signature, self._spoken, self._held = part, "", False, None
        match part:
            case ToolCall(id=call_id, name=name):
                self._calls = True
                if part.freeform:
                    self._held = []
                return self._block({"type": "tool_use", "id": call_id, "name": name, "input": {}})
            case Refusal():
                self._refused = True
            case Opaque(dialect=dialect, raw=raw) if dialect == NAME:
                return self._own_block(raw)
            case Image() | Audio() | File():
                return self._say(placeholder(part))
            case _:
                pass
        return b""

    def _own_block(self, raw: JsonObject) -> bytes:
        """A call of a server's tool is written as calls are: its input follows."""
        if not isinstance(raw.get("input"), dict):
            return self._block(raw)
        piece = jsonio.dumps_text(raw["input"])
        return self._block({**raw, "input": {}}) + self._json(piece)

    def _part_delta(self, text: str) -> bytes:
        match self._part:
            case Thinking():
                out = self._thinking()
                return out + self._delta({"type": "thinking_delta", "thinking": text})
            case ToolCall():
                return self._piece(text)
            case _:
                return self._say(text)

    def _piece(self, text: str) -> bytes:
        """Arguments as they come, if they begin like the object they must be."""
        if self._held is None and not self._spoken and text.lstrip()[:1] != "{":
            self._held = []
        if self._held is not None:
            self._held.append(text)
            return b""
        self._spoken = True
        return self._json(text)

    def _part_blob(self, blob: Blob) -> bytes:
        if not isinstance(self._part, Thinking) or blob.origin != VENDOR:
            return b""
        if blob.kind == "redacted" and not self._open:
            return self._block({"type": "redacted_thinking", "data": blob.value})
        if blob.kind == "signature":
            self._signature = blob.value
        return b""

    def _part_citation(self, citation: Citation) -> bytes:
        told = citations.told(citation)
        if told is None:
            return b""
        return self._text() + self._delta({"type": "citations_delta", "citation": told})

    def _part_end(self) -> bytes:
        out = b""
        if self._signature and self._open in ("", "thinking"):
            out += self._thinking()
            out += self._delta({"type": "signature_delta", "signature": self._signature})
        if isinstance(self._part, ToolCall) and not self._spoken:
            out += self._json(self._arguments(self._part))
        if self._open:
            out += _event({"type": "content_block_stop", "index": self._index})
        self._open, self._part = "", None
        return out

    def _arguments(self, call: ToolCall) -> str:
        """The whole arguments of a call of which nothing was passed on yet."""
        text = "".join(self._held or ())
        if call.freeform:
            return tools.freeform_arguments(text)
        return jsonio.dumps_text(tools.arguments_object(text)) if text else ""

    # ── blocks ───────────────────────────────────────────────────────────────────────────────

    def _say(self, text: str) -> bytes:
        return self._text() + self._delta({"type": "text_delta", "text": text}) if text else b""

    def _text(self) -> bytes:
        return b"" if self._open else self._block({"type": "text", "text": ""})

    def _thinking(self) -> bytes:
        if self._open:
            return b""
        return self._block({"type": "thinking", "thinking": "", "signature": ""})

    def _block(self, block: JsonObject) -> bytes:
        self._index += 1
        self._open = block["type"]
        return _event({"type": "content_block_start", "index": self._index, "content_block": block})

    def _json(self, piece: str) -> bytes:
        return self._delta({"type": "input_json_delta", "partial_json": piece})

    def _delta(self, delta: JsonObject) -> bytes:
        return _event({"type": "content_block_delta", "index": self._index, "delta": delta})


def _event(document: JsonObject) -> bytes:
    return sse.frame(jsonio.dumps(document), document["type"])


def encoder(reply: Reply, /) -> MessagesEncoder:
    return MessagesEncoder(reply)
