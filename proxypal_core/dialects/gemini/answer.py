"""Gemini's answers and the hub's, whole and streamed.

Every frame of a stream is a small whole answer, so one reader and one writer serve both.
"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Literal

from proxypal_core.dialects import media, tools
from proxypal_core.dialects.base import Notice, Reply
from proxypal_core.dialects.gemini import errors, words
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
from proxypal_core.hub.fold import fold
from proxypal_core.hub.messages import (
    Audio,
    Base64,
    Blob,
    File,
    FinishReason,
    Image,
    Opaque,
    Part,
    Refusal,
    Response,
    Text,
    Thinking,
    ToolCall,
    Usage,
)
from proxypal_core.wire import jsonio
from proxypal_core.wire.jsonio import JsonObject, arr, need, obj, opt, string
from proxypal_core.wire.sse import Frame

_REASONS = {
    "STOP": FinishReason.STOP,
    "MAX_TOKENS": FinishReason.LENGTH,
    "CONTINUATION": FinishReason.PAUSE,
    "SAFETY": FinishReason.CONTENT_FILTER,
    "RECITATION": FinishReason.CONTENT_FILTER,
    "LANGUAGE": FinishReason.CONTENT_FILTER,
    "BLOCKLIST": FinishReason.CONTENT_FILTER,
    "PROHIBITED_CONTENT": FinishReason.CONTENT_FILTER,
    "SPII": FinishReason.CONTENT_FILTER,
    "MODEL_ARMOR": FinishReason.CONTENT_FILTER,
    "MALFORMED_FUNCTION_CALL": FinishReason.MALFORMED_CALL,
    "UNEXPECTED_TOOL_CALL": FinishReason.MALFORMED_CALL,
    "TOO_MANY_TOOL_CALLS": FinishReason.MALFORMED_CALL,
    "MISSING_THOUGHT_SIGNATURE": FinishReason.MALFORMED_CALL,
    "MALFORMED_RESPONSE": FinishReason.MALFORMED_CALL,
}
_UNSPECIFIED = "FINISH_REASON_UNSPECIFIED"

# There is no word for calls, and none for a pause that a client could continue without a token.
_WORDS = {
    FinishReason.STOP: "STOP",
    FinishReason.TOOL_CALLS: "STOP",
    FinishReason.STOP_SEQUENCE: "STOP",
    FinishReason.PAUSE: "STOP",
    FinishReason.LENGTH: "MAX_TOKENS",
    FinishReason.CONTEXT_WINDOW: "MAX_TOKENS",
    FinishReason.CONTENT_FILTER: "SAFETY",
    FinishReason.REFUSAL: "SAFETY",
    FinishReason.MALFORMED_CALL: "MALFORMED_FUNCTION_CALL",
    FinishReason.OTHER: "OTHER",
}

TRUNCATED = Failure(Kind.TRUNCATED, "the provider's answer ended before it was complete")


# ── reading ──────────────────────────────────────────────────────────────────────────────────


def decode_response(doc: JsonObject, /) -> Response:
    decoder = Decoder()
    return fold([*decoder.read_document(doc), *decoder.end()])


class Decoder:
    """Text is told as it comes; the finish waits for the end, because usage may come after it."""

    def __init__(self) -> None:
        self._started = False
        self._ended = False
        self._id = ""
        self._next = 0
        self._open: Literal["", "text", "thinking"] = ""
        self._signed = False
        self._calls = 0
        self._usage: JsonObject = {}
        self._finish = ""
        self._blocked = ""

    def read(self, frame: Frame, /) -> Iterable[Event]:
        if self._ended or not frame.data.strip() or frame.data.strip() == b"[DONE]":
            return []
        try:
            doc = jsonio.loads(frame.data)
        except jsonio.Malformed as error:
            return [*self._fail(f"the provider sent a broken event: {error}")]
        return self.read_document(doc)

    def read_document(self, doc: Any) -> list[Event]:
        failure = _failure(doc)
        if failure is not None:
            self._ended = True
            return [*self._close(), failure]
        events: list[Event] = []
        try:
            events.extend(self._document(obj(doc, "")))
        except jsonio.Malformed as error:
            events.extend(self._fail(f"the provider sent what no answer has: {error}"))
        return events

    def end(self) -> Iterable[Event]:
        if self._ended:
            return
        yield from self._close()
        self._ended = True
        if not self._finish and not self._blocked:
            yield TRUNCATED
            return
        yield UsageReport(usage_of(self._usage))
        if self._blocked and not self._finish:
            yield Finish(FinishReason.CONTENT_FILTER, self._blocked)
        elif self._finish == "STOP" and self._calls:
            yield Finish(FinishReason.TOOL_CALLS, self._finish)
        else:
            yield Finish(_reason(self._finish), self._finish)

    def _document(self, doc: JsonObject) -> Iterator[Event]:
        if not doc:
            return  # keeps the connection alive
        if not self._started:
            self._started = True
            self._id = opt(doc, "responseId", string) or ""
            yield ResponseStart(self._id, opt(doc, "modelVersion", string) or "")
        self._usage |= opt(doc, "usageMetadata", obj) or {}
        self._blocked = self._blocked or _block_reason(doc)
        for at, candidate in enumerate(opt(doc, "candidates", arr) or ()):
            path = f"candidates[{at}]"
            # Only one answer was asked for; the first is it.
            if (opt(obj(candidate, path), "index", jsonio.integer, path) or 0) != 0:
                continue
            content = opt(candidate, "content", obj, path) or {}
            for number, part in enumerate(opt(content, "parts", arr, f"{path}.content") or ()):
                place = f"{path}.content.parts[{number}]"
                yield from self._part(obj(part, place), place)
            self._finish = _finish_reason(candidate) or self._finish

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
            yield PartDelta(self._next, text)
        if signature and not self._signed:
            self._signed = True
            yield from (PartBlob(self._next, blob) for blob in signature)

    def _call(self, call: JsonObject, path: str, signature: tuple[Blob, ...]) -> Iterator[Event]:
        name = need(call, "name", string, path)
        arguments = jsonio.dumps_text(opt(call, "args", obj, path) or {})
        call_id = opt(call, "id", string, path) or self._made_id(name, arguments)
        yield from self._close()
        self._calls += 1
        yield PartStart(self._next, ToolCall(call_id, name))
        yield PartDelta(self._next, arguments)
        yield from (PartBlob(self._next, blob) for blob in signature)
        yield PartEnd(self._next)
        self._next += 1

    def _made_id(self, name: str, arguments: str) -> str:
        seed = f"{self._id} {self._next} {name} {arguments}"
        return f"call_{hashlib.sha256(seed.encode()).hexdigest()[:20]}"

    def _whole(self, part: Part) -> Iterator[Event]:
        yield from self._close()
        yield PartStart(self._next, part)
        yield PartEnd(self._next)
        self._next += 1

    def _close(self) -> Iterator[Event]:
        if self._open:
            yield PartEnd(self._next)
            self._next += 1
            self._open = ""
        self._signed = False

    def _fail(self, message: str) -> Iterator[Event]:
        self._ended = True
        yield from self._close()
        yield Failure(Kind.BAD_REPLY, message)


def _failure(doc: Any) -> Failure | None:
    """The failure *doc* tells instead of an answer; also in the array of a stream without SSE."""
    if isinstance(doc, list) and doc:
        doc = doc[0]
    if isinstance(doc, dict) and doc.get("error") is not None:
        return errors.decode_failure(200, jsonio.dumps(doc))
    return None


def _reason(word: str) -> FinishReason:
    if word.startswith(("IMAGE_", "NO_IMAGE")):
        return FinishReason.CONTENT_FILTER
    return _REASONS.get(word, FinishReason.OTHER)


def _finish_reason(candidate: Mapping[str, Any]) -> str:
    word = candidate.get("finishReason")
    return word if isinstance(word, str) and word != _UNSPECIFIED else ""


def _block_reason(doc: Mapping[str, Any]) -> str:
    feedback = doc.get("promptFeedback")
    word = feedback.get("blockReason") if isinstance(feedback, dict) else None
    return word if isinstance(word, str) else ""


def usage_of(counts: Mapping[str, Any]) -> Usage:
    """Counts that are zero are left out; the prompt includes what was cached."""

    def count(field: str) -> int:
        value = counts.get(field)
        return value if isinstance(value, int) else 0

    thoughts = count("thoughtsTokenCount")
    return Usage(
        input_total=count("promptTokenCount") + count("toolUsePromptTokenCount"),
        input_cached=count("cachedContentTokenCount"),
        output_total=count("candidatesTokenCount") + thoughts,
        output_reasoning=thoughts,
    )


# ── looking on ───────────────────────────────────────────────────────────────────────────────

_WORTH_READING = (b'"usageMetadata"', b'"parts"', b'"finishReason"', b'"blockReason"', b'"error"')


def notice(frame: Frame, /) -> Notice | None:
    """What *frame* tells.

    Raises:
        Malformed: its data is no JSON.
    """
    if not any(word in frame.data for word in _WORTH_READING):
        return None
    seen = notice_whole(jsonio.loads(frame.data))
    return None if seen == Notice() else seen


def notice_whole(doc: Any, /) -> Notice:
    failure = _failure(doc)
    if failure is not None:
        return Notice(failure=failure)
    if not isinstance(doc, dict):
        return Notice()
    listed = doc.get("candidates")
    candidates = (
        [one for one in listed if isinstance(one, dict)] if isinstance(listed, list) else []
    )
    counts = doc.get("usageMetadata")
    return Notice(
        begun=any(_has_content(one) for one in candidates),
        finished=bool(_block_reason(doc)) or any(map(_finish_reason, candidates)),
        usage=usage_of(counts) if isinstance(counts, dict) else None,
    )


def _has_content(candidate: Mapping[str, Any]) -> bool:
    content = candidate.get("content")
    parts = content.get("parts") if isinstance(content, dict) else None
    if not isinstance(parts, list):
        return False
    return any(
        bool(value)
        for part in parts
        if isinstance(part, dict)
        for key, value in part.items()
        if key not in ("thought", "thoughtSignature")
    )


# ── writing ──────────────────────────────────────────────────────────────────────────────────


def encode_response(response: Response, reply: Reply, /) -> bytes:
    said = response.parts
    if said and response.finish is FinishReason.LENGTH and _is_broken(said[-1]):
        said = said[:-1]
    parts = [written for part in said if (written := _written(part)) is not None]
    doc = _document(reply, response.id, parts, _WORDS[response.finish], response.usage)
    return jsonio.escape_separators(jsonio.dumps(doc))


def _document(
    reply: Reply, response_id: str, parts: list[JsonObject], finish: str, usage: Usage | None
) -> JsonObject:
    candidate: JsonObject = {"content": {"parts": parts, "role": "model"}, "index": 0}
    if finish:
        # Clients look for a part even where nothing is left to say.
        candidate["content"]["parts"] = parts or [{"text": ""}]
        candidate["finishReason"] = finish
    doc: JsonObject = {"candidates": [candidate]}
    if usage is not None:
        doc["usageMetadata"] = _usage(usage)
    doc["modelVersion"] = reply.request.model
    doc["responseId"] = response_id or reply.id
    return doc


def _usage(usage: Usage) -> JsonObject:
    counts = {
        "promptTokenCount": usage.input_total,
        "cachedContentTokenCount": usage.input_cached,
        "candidatesTokenCount": max(0, usage.output_total - usage.output_reasoning),
        "thoughtsTokenCount": usage.output_reasoning,
        "totalTokenCount": usage.total,
    }
    optional = ("cachedContentTokenCount", "thoughtsTokenCount")
    return {field: count for field, count in counts.items() if count or field not in optional}


def _written(part: Part) -> JsonObject | None:
    """*part* of an answer; None for one that Gemini's clients could not read."""
    match part:
        case Text(text=text, blobs=blobs):
            signature = words.signature(blobs)
            return {"text": text, **signature} if text or signature else None
        case Thinking(text=text, blobs=blobs):
            signature = words.signature(blobs)
            return {"text": text, "thought": True, **signature} if text or signature else None
        case Refusal(text=text):
            return {"text": text}
        case ToolCall():
            return _call(part)
        case Image(source=Base64() as source) | File(source=Base64() as source):
            return words.inline_part(media.true_mime(source), source.data)
        case Audio(mime=mime, data=data):
            return words.inline_part(mime, data)
        case Opaque(dialect=dialect, raw=raw) if dialect == NAME and isinstance(raw, dict):
            return raw
        case _:
            return None


def _call(call: ToolCall) -> JsonObject:
    text = tools.freeform_arguments(call.arguments) if call.freeform else call.arguments
    return {
        "functionCall": {"id": call.id, "name": call.name, "args": tools.arguments_object(text)},
        **words.signature(call.blobs),
    }


def _is_broken(part: Part) -> bool:
    """Whether *part* is a call that was cut off: to run it would be dangerous."""
    return (
        isinstance(part, ToolCall)
        and not part.freeform
        and not tools.is_object_text(part.arguments)
    )


class Encoder:
    """One frame a piece; a call is written when it is whole."""

    def __init__(self, reply: Reply) -> None:
        self._reply = reply
        self._id = ""
        self._part: Part = Text("")
        self._arguments: list[str] = []
        self._blobs: tuple[Blob, ...] = ()
        self._doubtful: ToolCall | None = None
        self._usage: Usage | None = None

    def write(self, event: Event, /) -> bytes:
        match event:
            case ResponseStart(id=response_id):
                self._id = response_id
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
                return b""
            case Finish(reason=reason):
                before = b"" if reason is FinishReason.LENGTH else self._settle()
                return before + self._frame([], _WORDS[reason])
            case Failure():
                return frame(errors.body(event))
            case PartCitation():
                return b""

    def _start(self, part: Part) -> bytes:
        self._part = part
        self._arguments, self._blobs = [], ()
        if isinstance(part, (Text, Thinking, Refusal, ToolCall)):
            return b""
        written = _written(part)
        return b"" if written is None else self._frame([written])

    def _delta(self, text: str) -> bytes:
        if isinstance(self._part, ToolCall):
            self._arguments.append(text)
            return b""
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
        if not isinstance(self._part, ToolCall):
            return b""
        call = ToolCall(
            id=self._part.id,
            name=self._part.name,
            arguments="".join(self._arguments),
            freeform=self._part.freeform,
            blobs=self._blobs,
        )
        if _is_broken(call):
            # Only the finish tells whether it was cut off or is merely odd.
            self._doubtful = call
            return b""
        return self._frame([_call(call)])

    def _settle(self) -> bytes:
        call, self._doubtful = self._doubtful, None
        return b"" if call is None else self._frame([_call(call)])

    def _frame(self, parts: list[JsonObject], finish: str = "") -> bytes:
        doc = _document(self._reply, self._id, parts, finish, self._usage)
        return frame(jsonio.escape_separators(jsonio.dumps(doc)))


def frame(data: bytes) -> bytes:
    """An event as Google's servers write it; their own clients read no other form."""
    return b"data: %b\r\n\r\n" % data
