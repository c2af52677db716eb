"""Streams, written: one frame a piece, each a small whole answer."""

from collections.abc import Sequence

from proxypal_core.dialects.alike import written
from proxypal_core.dialects.base import Reply
from proxypal_core.dialects.gemini import citations, errors, words
from proxypal_core.dialects.gemini.answer import is_broken, write_answer, write_call, write_part
from proxypal_core.dialects.gemini.framing import frame
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
    FinishReason,
    Part,
    Refusal,
    Text,
    Thinking,
    ToolCall,
    Usage,
)
from proxypal_core.wire import jsonio
from proxypal_core.wire.jsonio import JsonObject

_HERE = "\0"
"""Where a text will stand."""


class GeminiEncoder:
    """One frame a piece; a call is written when it is whole."""

    def __init__(self, reply: Reply) -> None:
        self._reply = reply
        self._id = ""
        self._part: Part = Text("")
        self._arguments: list[str] = []
        self._blobs: tuple[Blob, ...] = ()
        self._doubtful: ToolCall | None = None
        self._said = bytearray()
        """By the open text, as JSON has it: a string for each piece would take ten times as much."""
        self._bytes = 0  # of the texts before it
        self._citations: list[Citation] = []  # of the open text
        self._cited: list[tuple[Citation, int, str]] = []
        self._usage: Usage | None = None
        self._say_before = self._say_after = b""

    def write(self, event: Event, /) -> bytes:
        match event:
            case ResponseStart(id=response_id):
                self._id = response_id
                self._say_before = b""
                return b""
            case PartStart(part=part):
                return self._settle() + self._start(part)
            case PartDelta(text=text):
                return self._delta(text)
            case PartBlob(blob=blob):
                return self._blob(blob)
            case PartEnd():
                return self._end()
            case UsageReport(usage=usage):
                self._usage = usage
                self._say_before = b""
                return b""
            case Finish(reason=reason):
                before = b"" if reason is FinishReason.LENGTH else self._settle()
                return before + self._frame([], words.REASON_WORDS[reason])
            case Failure():
                return frame(errors.body(event))
            case PartCitation(citation=citation):
                self._citations.append(citation)
                return b""

    def say(self, texts: Sequence[bytes], /) -> bytes:
        if not isinstance(self._part, Text):
            return b""
        self._said += b"".join(texts)
        if not self._say_before:
            self._say_before, _, self._say_after = self._frame([{"text": _HERE}]).partition(
                jsonio.escaped(_HERE)
            )
        return written((self._say_before, self._say_after), (texts,))

    def _start(self, part: Part) -> bytes:
        self._part = part
        self._arguments, self._blobs = [], ()
        if isinstance(part, (Text, Thinking, Refusal, ToolCall)):
            return b""
        written = write_part(part)
        return b"" if written is None else self._frame([written])

    def _delta(self, text: str) -> bytes:
        if isinstance(self._part, ToolCall):
            self._arguments.append(text)
            return b""
        if isinstance(self._part, (Text, Refusal)):
            self._said += jsonio.escaped(text)
        thought = {"thought": True} if isinstance(self._part, Thinking) else {}
        return self._frame([{"text": text, **thought}])

    def _blob(self, blob: Blob) -> bytes:
        """A text's signature comes after it, on a part without text, as Gemini sends it."""
        if isinstance(self._part, ToolCall):
            self._blobs = (*self._blobs, blob)
            return b""
        signature = words.signature((blob,))
        thought = {"thought": True} if isinstance(self._part, Thinking) else {}
        return self._frame([{"text": "", **thought, **signature}]) if signature else b""

    def _end(self) -> bytes:
        if isinstance(self._part, (Text, Refusal)):
            self._end_text()
        if not isinstance(self._part, ToolCall):
            return b""
        call = ToolCall(
            id=self._part.id,
            name=self._part.name,
            arguments="".join(self._arguments),
            freeform=self._part.freeform,
            blobs=self._blobs,
        )
        if is_broken(call):
            # Only the finish tells whether it was cut off or is merely odd.
            self._doubtful = call
            return b""
        return self._frame([write_call(call)])

    def _end_text(self) -> None:
        text = jsonio.unescaped(self._said)
        self._cited += [(citation, self._bytes, text) for citation in self._citations]
        self._bytes += len(text.encode())
        self._said.clear()
        self._citations.clear()

    def _settle(self) -> bytes:
        call, self._doubtful = self._doubtful, None
        return b"" if call is None else self._frame([write_call(call)])

    def _frame(self, parts: list[JsonObject], finish: str = "") -> bytes:
        sources = citations.write(self._cited) if finish else {}
        doc = write_answer(self._reply, self._id, parts, finish, self._usage, sources)
        return frame(jsonio.escape_separators(jsonio.dumps(doc)))


def encoder(reply: Reply, /) -> GeminiEncoder:
    return GeminiEncoder(reply)
