"""Streams, read. Every frame of one is a small whole answer, so one reader serves both."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Literal

from proxypal_core.dialects import answers, failures, tools
from proxypal_core.dialects.gemini import citations, words
from proxypal_core.dialects.gemini.errors import failure_in
from proxypal_core.dialects.gemini.words import NAME
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
from proxypal_core.hub.messages import (
    Blob,
    Citation,
    FinishReason,
    Opaque,
    Part,
    Text,
    Thinking,
    ToolCall,
)
from proxypal_core.wire import jsonio
from proxypal_core.wire.jsonio import JsonObject, arr, need, obj, opt, string
from proxypal_core.wire.sse import Frame


class GeminiDecoder:
    """Text is told as it comes; the finish waits for the end, because usage may come after it."""

    def __init__(self) -> None:
        self._started = False
        self._ended = False
        self._id = ""
        self._next = 0
        self._open: Literal["", "text", "thinking"] = ""
        self._signed = False
        self._said = bytearray()  # by the open text, in UTF-8
        self._bytes = 0  # of the texts before it
        self._cited: list[JsonObject] = []
        self._calls = False
        self._usage: JsonObject = {}
        self._finish = ""
        self._blocked = ""

    @property
    def proven(self) -> bool:
        return bool(self._finish or self._blocked)

    def read(self, frame: Frame, /) -> Iterable[Event]:
        if self._ended or not frame.data.strip() or frame.data.strip() == b"[DONE]":
            return []
        try:
            doc = jsonio.loads(frame.data)
        except jsonio.Malformed as error:
            return self._fail(failures.broken_event(error))
        return self.read_document(doc)

    def read_document(self, doc: Any) -> list[Event]:
        failure = failure_in(doc)
        if failure is not None:
            return self._fail(failure)
        events: list[Event] = []
        try:
            events.extend(self._document(obj(doc, "")))
        except jsonio.Malformed as error:
            message = f"the provider sent what no answer has: {error}"
            events.extend(self._fail(Failure(Kind.BAD_REPLY, message)))
        return events

    def heard(self, texts: Sequence[bytes], /) -> None:
        self._said += jsonio.unescaped(b"".join(texts)).encode()

    def end(self) -> Iterable[Event]:
        if self._ended:
            return
        yield from self._close()
        self._ended = True
        if not self._finish and not self._blocked:
            yield failures.TRUNCATED
            return
        yield UsageReport(words.read_usage(self._usage))
        if self._blocked and not self._finish:
            yield Finish(FinishReason.CONTENT_FILTER, self._blocked)
        else:
            reason = words.read_reason(self._finish)
            yield Finish(answers.settled(reason, calls=self._calls), self._finish)

    def _document(self, doc: JsonObject) -> Iterator[Event]:
        if not doc:
            return  # keeps the connection alive
        if not self._started:
            self._started = True
            self._id = opt(doc, "responseId", string) or ""
            yield ResponseStart(self._id, opt(doc, "modelVersion", string) or "")
        self._usage |= opt(doc, "usageMetadata", obj) or {}
        self._blocked = self._blocked or words.block_reason(doc)
        for at, candidate in enumerate(opt(doc, "candidates", arr) or ()):
            path = f"candidates[{at}]"
            # Only one answer was asked for; the first is it.
            if (opt(obj(candidate, path), "index", jsonio.integer, path) or 0) != 0:
                continue
            content = opt(candidate, "content", obj, path) or {}
            for number, part in enumerate(opt(content, "parts", arr, f"{path}.content") or ()):
                place = f"{path}.content.parts[{number}]"
                yield from self._part(obj(part, place), place)
            if candidate.get("groundingMetadata") or candidate.get("citationMetadata"):
                self._cited.append(candidate)
            self._finish = words.finish_reason(candidate) or self._finish

    def _part(self, part: JsonObject, path: str) -> Iterator[Event]:
        signature = words.blobs(part)
        if part.get("functionCall") is not None:
            yield from self._call(obj(part["functionCall"], path), path, signature)
        elif part.get("inlineData") is not None:
            yield from self._whole(words.read_inline(part["inlineData"], path))
        elif part.get("text") is not None:
            kind: Literal["text", "thinking"] = (
                "thinking" if part.get("thought") is True else "text"
            )
            yield from self._text(kind, string(part["text"], path), signature)
        elif set(part) - {"thought", "thoughtSignature"}:
            yield from self._whole(Opaque(NAME, part))
        else:
            yield from self._text(self._open or "text", "", signature)

    def _text(
        self, kind: Literal["text", "thinking"], text: str, signature: tuple[Blob, ...]
    ) -> Iterator[Event]:
        if not text and not self._open:
            return  # a signature of nothing, or nothing at all
        if text and (self._open != kind or self._signed):
            yield from self._close()
            self._open = kind
            yield PartStart(self._next, Text("") if kind == "text" else Thinking(""))
        if text:
            if kind == "text":
                self._said += text.encode()
            yield PartDelta(self._next, text)
        if signature and not self._signed:
            self._signed = True
            yield from (PartBlob(self._next, blob) for blob in signature)

    def _call(self, call: JsonObject, path: str, signature: tuple[Blob, ...]) -> Iterator[Event]:
        name = need(call, "name", string, path)
        arguments = jsonio.dumps_text(opt(call, "args", obj, path) or {})
        call_id = opt(call, "id", string, path) or tools.made_id(
            f"{self._id} {self._next} {name} {arguments}"
        )
        yield from self._close()
        self._calls = True
        yield PartStart(self._next, ToolCall(call_id, name))
        yield PartDelta(self._next, arguments)
        yield from (PartBlob(self._next, blob) for blob in signature)
        yield PartEnd(self._next)
        self._next += 1

    def _whole(self, part: Part) -> Iterator[Event]:
        yield from self._close()
        yield PartStart(self._next, part)
        yield PartEnd(self._next)
        self._next += 1

    def _close(self) -> Iterator[Event]:
        if self._open:
            if self._open == "text":
                yield from self._citations()
            yield PartEnd(self._next)
            self._next += 1
            self._open = ""
        self._signed = False

    def _citations(self) -> Iterator[Event]:
        text = self._said.decode()
        told: list[Citation] = []
        for candidate in self._cited:
            for citation in citations.read(candidate, text, self._bytes):
                if citation not in told:  # later frames repeat what earlier ones said
                    told.append(citation)
        yield from (PartCitation(self._next, citation) for citation in told)
        self._bytes += len(self._said)
        self._said.clear()

    def _fail(self, failure: Failure) -> list[Event]:
        self._ended = True
        return [*self._close(), failure]


def decoder() -> GeminiDecoder:
    return GeminiDecoder()
