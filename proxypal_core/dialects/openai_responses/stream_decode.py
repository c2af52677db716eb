"""An upstream's stream into the hub's events."""

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import ClassVar, TypeAlias

import msgspec

from proxypal_core.dialects import failures, openai_citations
from proxypal_core.dialects.openai_responses.errors import failure_in
from proxypal_core.dialects.openai_responses.items import read_content, read_item
from proxypal_core.dialects.openai_responses.words import (
    COMPLETED,
    INCOMPLETE,
    NAME,
    read_finish,
    read_usage,
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
from proxypal_core.hub.messages import (
    Blob,
    Citation,
    Part,
    Refusal,
    Text,
    Thinking,
    ToolCall,
)
from proxypal_core.wire import jsonio
from proxypal_core.wire.jsonio import JsonObject, arr, integer, obj, opt, string
from proxypal_core.wire.sse import Frame

_Held: TypeAlias = PartDelta | PartBlob | PartCitation
_Key: TypeAlias = tuple[int, int]


class _Piece:
    """A part as far as it is known. Without its ``part`` it holds a place and what came for it."""

    def __init__(self, part: Part | None = None) -> None:
        self.part = part
        self.started = False
        self.ended = False
        self.held: list[_Held] = []
        self.said = False
        self.citations = 0
        self.voice: tuple[str, int] | None = None

    def say(self, text: str) -> None:
        if text:
            self.said = True
            self.held.append(PartDelta(0, text))

    def seal(self, blob: Blob) -> None:
        self.held.append(PartBlob(0, blob))

    def cite(self, citation: Citation) -> None:
        self.citations += 1
        self.held.append(PartCitation(0, citation))


class _Line:
    """Parts one after the other: the first speaks, the others wait for its end."""

    def __init__(self) -> None:
        self._waiting: deque[_Piece] = deque()
        self._at = 0

    def add(self, piece: _Piece) -> None:
        self._waiting.append(piece)

    def end_all(self) -> None:
        for piece in self._waiting:
            piece.ended = True

    def advance(self) -> Iterator[Event]:
        """The events that are due."""
        while self._waiting:
            piece = self._waiting[0]
            if piece.part is not None and not piece.started:
                piece.started = True
                yield PartStart(self._at, piece.part)
            if piece.started:
                for event in piece.held:
                    yield msgspec.structs.replace(event, at=self._at)
                piece.held.clear()
            if not piece.ended:
                return
            self._waiting.popleft()
            # A piece that ends without a part was an empty shell.
            if piece.started:
                yield PartEnd(self._at)
                self._at += 1


class ResponsesDecoder:
    proven = False  # what proves it ends it

    def __init__(self) -> None:
        self._line = _Line()
        self._pieces: dict[_Key, _Piece] = {}
        self._complete: set[int] = set()
        self._id = ""
        self._started = False
        self._over = False
        self._calls = False

    def read(self, frame: Frame, /) -> list[Event]:
        if self._over or frame.data.strip() in (b"[DONE]", b""):
            return []
        try:
            doc = jsonio.load_object(frame.data)
            events = self._read(doc, opt(doc, "type", string) or frame.event)
        except jsonio.Malformed as error:
            events = [failures.broken_event(error)]
        self._over = bool(events) and isinstance(events[-1], (Finish, Failure))
        return events

    def heard(self, texts: Sequence[bytes], /) -> None:
        """Nothing depends on it."""

    def end(self) -> list[Event]:
        if self._over:
            return []
        self._over = True
        return [failures.TRUNCATED]

    def _read(self, doc: JsonObject, kind: str) -> list[Event]:
        handle = self._HANDLERS.get(kind)
        if handle is None:
            failure = failure_in(doc)
            return [] if failure is None else [failure]
        last = handle(self, doc)
        # A failed answer's open parts stay open: nobody may take them for complete.
        if last and isinstance(last[-1], Failure):
            return last
        events = [*self._line.advance(), *last]
        if not self._started and (events or self._id):
            self._started = True
            events.insert(0, self._start(doc))
        return events

    def _start(self, doc: JsonObject) -> ResponseStart:
        response = opt(doc, "response", obj) or {}
        model = opt(response, "model", string, "response")
        return ResponseStart(self._id, model or "")

    # ── events ──

    def _created(self, doc: JsonObject) -> list[Event]:
        response = opt(doc, "response", obj) or {}
        self._id = self._id or opt(response, "id", string, "response") or ""
        return []

    def _item_added(self, doc: JsonObject) -> list[Event]:
        item = opt(doc, "item", obj) or {}
        at = _index(doc)
        match item.get("type"):
            case "reasoning":
                self._piece((at, 0))
            case "function_call" | "custom_tool_call":
                piece = self._piece((at, 0))
                # A server may say its name or id only at the end.
                if item.get("call_id") and item.get("name"):
                    (call,) = read_item({**item, "arguments": "", "input": ""}, "item")
                    piece.part = call
                    self._calls = True
            case _:
                pass
        return []

    def _content_added(self, doc: JsonObject) -> list[Event]:
        if (opt(doc, "part", obj) or {}).get("type") in ("output_text", "refusal"):
            self._piece((_index(doc), _content_index(doc)))
        return []

    def _text(self, doc: JsonObject) -> list[Event]:
        self._content(doc, Text("")).say(_delta(doc))
        return []

    def _refusal(self, doc: JsonObject) -> list[Event]:
        self._content(doc, Refusal("")).say(_delta(doc))
        return []

    def _content(self, doc: JsonObject, part: Part) -> _Piece:
        piece = self._piece((_index(doc), _content_index(doc)))
        piece.part = piece.part or part
        return piece

    def _annotation(self, doc: JsonObject) -> list[Event]:
        self._content(doc, Text("")).cite(openai_citations.read(doc.get("annotation"), NAME))
        return []

    def _summary(self, doc: JsonObject) -> list[Event]:
        return self._thought(doc, ("summary", opt(doc, "summary_index", integer) or 0))

    def _reasoning(self, doc: JsonObject) -> list[Event]:
        return self._thought(doc, ("content", opt(doc, "content_index", integer) or 0))

    def _thought(self, doc: JsonObject, voice: tuple[str, int]) -> list[Event]:
        """Reasoning in parts; of the summary and the raw text, what came first is kept."""
        piece = self._piece((_index(doc), 0))
        piece.part = piece.part or Thinking("")
        if piece.voice is None or piece.voice[0] == voice[0]:
            if piece.voice not in (None, voice):
                piece.say("\n\n")
            piece.voice = voice
            piece.say(_delta(doc))
        return []

    def _arguments(self, doc: JsonObject) -> list[Event]:
        self._piece((_index(doc), 0)).say(_delta(doc))
        return []

    def _item_done(self, doc: JsonObject) -> list[Event]:
        self._absorb(_index(doc), opt(doc, "item", obj) or {}, "item")
        return []

    def _finished(self, doc: JsonObject) -> list[Event]:
        response = opt(doc, "response", obj) or {}
        failure = failure_in(response)
        if failure is not None:
            return [failure]
        self._created(doc)
        for at, item in enumerate(opt(response, "output", arr, "response") or []):
            where = f"response.output[{at}]"
            self._absorb(at, obj(item, where), where)
        self._line.end_all()
        usage = read_usage(response.get("usage"))
        default = INCOMPLETE if doc.get("type") == "response.incomplete" else COMPLETED
        status = opt(response, "status", string, "response") or default
        finish, raw = read_finish(status, response.get("incomplete_details"), calls=self._calls)
        report: list[Event] = [UsageReport(usage)] if usage is not None else []
        return [*report, Finish(finish, raw)]

    def _failed(self, doc: JsonObject) -> list[Event]:
        failure = failure_in(opt(doc, "response", obj) or {}) or failure_in(doc)
        return [failure or Failure(Kind.SERVER, "the provider failed without saying why")]

    # ── items ──

    def _piece(self, key: _Key) -> _Piece:
        """The piece at *key*; one that is new goes to the end of the line."""
        piece = self._pieces.get(key)
        if piece is None:
            piece = self._pieces[key] = _Piece()
            self._line.add(piece)
        return piece

    def _absorb(self, at: int, item: JsonObject, path: str) -> None:
        """A finished item: whatever of it did not come in pieces, and its end."""
        if at in self._complete:
            return
        self._complete.add(at)
        if item.get("type") == "message":
            for index, raw in enumerate(opt(item, "content", arr, path) or []):
                where = f"{path}.content[{index}]"
                part = read_content(obj(raw, where), where)
                self._complete_piece((at, index), part)
        else:
            if item.get("type") in ("function_call", "custom_tool_call"):
                item = self._named(at, item)
            parts = read_item(item, path)
            self._complete_piece((at, 0), parts[0] if parts else None)
        for (index, _), piece in self._pieces.items():
            piece.ended = piece.ended or index == at

    def _named(self, at: int, item: JsonObject) -> JsonObject:
        """*item* with an id and a name even where the upstream gave none."""
        self._calls = True
        call_id = item.get("call_id") or item.get("id") or f"call_{self._id[-24:]}_{at}"
        return {**item, "call_id": call_id, "name": item.get("name") or ""}

    def _complete_piece(self, key: _Key, part: Part | None) -> None:
        if part is None:
            return
        piece = self._piece(key)
        text = ""
        bare = part
        match part:
            case Text() | Refusal() | Thinking():
                bare, text = msgspec.structs.replace(part, text=""), part.text
            case ToolCall():
                bare, text = msgspec.structs.replace(part, arguments=""), part.arguments
            case _:
                pass
        if isinstance(bare, Text):
            bare = msgspec.structs.replace(bare, citations=())
        if isinstance(bare, Thinking):
            bare = msgspec.structs.replace(bare, blobs=())
        piece.part = piece.part or bare
        if not piece.said:
            piece.say(text)
        if isinstance(part, Text):
            for citation in part.citations[piece.citations :]:
                piece.cite(citation)
        if isinstance(part, Thinking):
            for blob in part.blobs:
                piece.seal(blob)

    _HANDLERS: ClassVar[Mapping[str, Callable[["ResponsesDecoder", JsonObject], list[Event]]]] = {
        "response.created": _created,
        "response.in_progress": _created,
        "response.output_item.added": _item_added,
        "response.output_item.done": _item_done,
        "response.content_part.added": _content_added,
        "response.output_text.delta": _text,
        "response.output_text.annotation.added": _annotation,
        "response.refusal.delta": _refusal,
        "response.reasoning_summary_text.delta": _summary,
        "response.reasoning_text.delta": _reasoning,
        "response.function_call_arguments.delta": _arguments,
        "response.custom_tool_call_input.delta": _arguments,
        "response.completed": _finished,
        "response.incomplete": _finished,
        "response.failed": _failed,
        "error": _failed,
    }


def _index(doc: JsonObject) -> int:
    return opt(doc, "output_index", integer) or 0


def _content_index(doc: JsonObject) -> int:
    return opt(doc, "content_index", integer) or 0


def _delta(doc: JsonObject) -> str:
    return opt(doc, "delta", string) or ""


def decoder() -> ResponsesDecoder:
    return ResponsesDecoder()
