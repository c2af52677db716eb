"""Opaque reasoning of one vendor, carried through another vendor's client and back.

A signature, encrypted reasoning or a thought signature is only valid at its maker, yet most come to
their maker again through a client that has no place for it. So it travels sealed: in the place where
the client keeps its own vendor's (Anthropic ``signature``, Responses ``encrypted_content``, Gemini
``thoughtSignature``), or, for Chat clients, which have no such place, in a bounded memory by the id
of the tool call that it belongs to. The seal is authenticated: a client cannot forge one.
"""

import base64
import binascii
import hashlib
import hmac
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence

import msgspec

from proxypal_core.hub.events import Event, PartBlob, PartCitation, PartDelta, PartEnd, PartStart
from proxypal_core.hub.messages import Blob, Part, Request, Thinking, ToolCall, Turn
from proxypal_core.wire import jsonio

MARK = "pp1."
"""What every seal begins with."""
_MARKS = (
    MARK.encode(),
    base64.b64encode(MARK.encode())[:5],
    b'"signature":""',
    b'"encrypted_index":""',
)
_TAG_BYTES = 16
REMEMBERED = 10_000
"""Tool calls whose reasoning is kept for Chat clients; the oldest goes first."""


class Place(msgspec.Struct, frozen=True):
    """Where a client keeps opaque reasoning: whose it takes it for, and under which name."""

    origin: str
    kind: str
    on_calls: bool
    """On the tool call (Gemini's clients forget their thoughts), else on the thought."""


_PLACES = {
    "anthropic": Place("anthropic", "signature", on_calls=False),
    "openai-responses": Place("openai", "encrypted_reasoning", on_calls=False),
    "gemini": Place("gemini", "thought_signature", on_calls=True),
}


class Sealed(msgspec.Struct, frozen=True):
    """One blob on its way. ``text`` is its thought's, where the client would lose it; ``call`` is
    the id of the tool call it hangs on, empty for a thought's own.
    """

    blob: Blob
    text: str = ""
    call: str = ""


class Carrier:
    """Seals with *key* (32 bytes, kept by this installation); one for the life of the process."""

    def __init__(self, key: bytes) -> None:
        self._key = key
        self._memory: OrderedDict[str, tuple[Sealed, ...]] = OrderedDict()

    def outgoing(self, client: str, provider: str) -> "Outgoing":
        """What an answer of the dialect *provider* passes on its way to a *client*."""
        return Outgoing(self, client, provider)

    def incoming(self, request: Request) -> Request:
        """*request* with everything that was sealed, or remembered, back in its place."""
        return msgspec.structs.replace(
            request,
            turns=tuple(
                msgspec.structs.replace(turn, parts=tuple(self._opened(turn)))
                if turn.role == "assistant"
                else turn
                for turn in request.turns
            ),
        )

    # ── seals ────────────────────────────────────────────────────────────────────────────────

    def seal(self, items: Iterable[Sealed]) -> str:
        rows = [
            [i.blob.origin, i.blob.kind, i.blob.value, i.blob.id, i.text, i.call] for i in items
        ]
        payload = base64.urlsafe_b64encode(jsonio.dumps(rows)).rstrip(b"=")
        return MARK + (payload + b"." + self._tag(payload)).decode()

    def open(self, value: str) -> tuple[Sealed, ...] | None:
        """What *value* holds: nothing when it was tampered with or sealed elsewhere; None when it
        is no seal at all.
        """
        text = value if value.startswith(MARK) else _decoded(value)
        if not text.startswith(MARK):
            return None
        payload, _, tag = text[len(MARK) :].encode("utf-8", "replace").partition(b".")
        if not hmac.compare_digest(tag, self._tag(payload)):
            return ()
        rows = jsonio.loads(base64.urlsafe_b64decode(payload + b"=" * (-len(payload) % 4)))
        return tuple(Sealed(Blob(row[0], row[1], row[2], row[3]), row[4], row[5]) for row in rows)

    def _tag(self, payload: bytes) -> bytes:
        digest = hmac.digest(self._key, payload, hashlib.sha256)[:_TAG_BYTES]
        return base64.urlsafe_b64encode(digest).rstrip(b"=")

    # ── Chat's memory ────────────────────────────────────────────────────────────────────────

    def remember(self, call_id: str, items: Sequence[Sealed]) -> None:
        self._memory[call_id] = tuple(items)
        self._memory.move_to_end(call_id)
        if len(self._memory) > REMEMBERED:
            self._memory.popitem(last=False)

    # ── the way back ─────────────────────────────────────────────────────────────────────────

    def _opened(self, turn: Turn) -> Iterator[Part]:
        hanging: dict[str, list[Blob]] = {}
        parts: list[Part] = []
        for part in turn.parts:
            if isinstance(part, Thinking):
                parts += self._opened_thought(part, hanging)
            elif isinstance(part, ToolCall):
                parts += self._opened_call(part, hanging)
            else:
                parts.append(part)
        for part in parts:
            if isinstance(part, ToolCall) and part.id in hanging:
                yield msgspec.structs.replace(part, blobs=(*part.blobs, *hanging[part.id]))
            else:
                yield part

    def _opened_thought(self, part: Thinking, hanging: dict[str, list[Blob]]) -> Iterator[Part]:
        blobs: list[Blob] = []
        carried = False
        for blob in part.blobs:
            items = self.open(blob.value)
            if items is None:
                blobs.append(blob)
                continue
            carried = True
            for item in items:
                if item.call:
                    hanging.setdefault(item.call, []).append(item.blob)
                else:
                    blobs.append(item.blob)
        if blobs or part.text or not carried:
            yield msgspec.structs.replace(part, blobs=tuple(blobs))

    def _opened_call(self, part: ToolCall, hanging: dict[str, list[Blob]]) -> Iterator[Part]:
        items = list(self._memory.get(part.id, ()))
        blobs: list[Blob] = []
        for blob in part.blobs:
            opened = self.open(blob.value)
            if opened is None:
                blobs.append(blob)
            else:
                items += opened
        for item in items:
            if item.call:
                hanging.setdefault(item.call, []).append(item.blob)
            else:
                yield Thinking(item.text, (item.blob,))
        yield msgspec.structs.replace(part, blobs=tuple(blobs))


class Outgoing:
    """One answer's events on their way to a client. Parts may be added: indexes are made anew."""

    def __init__(self, carrier: Carrier, client: str, provider: str) -> None:
        self._carrier = carrier
        self._place = _PLACES.get(client)
        # Gemini sends a call in one piece, and its signature with it: the thought that carries the
        # signature can stand before the call, where clients expect thoughts.
        self._holds_calls = provider == "gemini"
        self._next = 0
        self._at = 0
        self._part: Part | None = None
        self._text: list[str] = []
        self._blobs: list[Blob] = []
        self._held: list[Event] = []
        self._thoughts: list[Sealed] = []

    def pass_on(self, event: Event) -> Iterator[Event]:
        """*event*, with what it carries in the client's own place."""
        match event:
            case PartStart(part=part):
                self._part, self._text, self._blobs = part, [], []
                if self._holds(part):
                    self._held = [event]
                else:
                    self._at = self._index()
                    yield PartStart(self._at, part)
            case PartDelta(text=text):
                if isinstance(self._part, Thinking):
                    self._text.append(text)
                if self._held:
                    self._held.append(event)
                else:
                    yield PartDelta(self._at, text)
            case PartBlob(blob=blob):
                if self._place is not None and blob.origin == self._place.origin:
                    yield PartBlob(self._at, blob)
                else:
                    self._blobs.append(blob)
            case PartCitation(citation=citation):
                yield PartCitation(self._at, citation)
            case PartEnd():
                yield from self._end()
            case _:
                yield event

    def _index(self) -> int:
        self._next += 1
        return self._next - 1

    def _holds(self, part: Part) -> bool:
        """Whether a thought may have to stand before *part*."""
        return (
            self._holds_calls
            and isinstance(part, ToolCall)
            and self._place is not None
            and not self._place.on_calls
        )

    def _end(self) -> Iterator[Event]:
        part = self._part
        match part:
            case Thinking():
                yield from self._end_thought()
            case ToolCall(id=call_id):
                yield from self._end_call(call_id)
            case _:
                yield PartEnd(self._at)

    def _end_thought(self) -> Iterator[Event]:
        if self._place is not None and not self._place.on_calls:
            if self._blobs:
                sealed = self._carrier.seal(Sealed(blob) for blob in self._blobs)
                yield PartBlob(self._at, Blob(self._place.origin, self._place.kind, sealed))
        else:
            text = "".join(self._text)
            self._thoughts += [Sealed(blob, text) for blob in self._blobs]
        yield PartEnd(self._at)

    def _end_call(self, call_id: str) -> Iterator[Event]:
        own = [Sealed(blob, call=call_id) for blob in self._blobs]
        if self._place is None or self._place.on_calls:
            items, self._thoughts = [*self._thoughts, *own], []
            if items and self._place is None:
                self._carrier.remember(call_id, items)
            elif items and self._place is not None:
                value = base64.b64encode(self._carrier.seal(items).encode()).decode()
                yield PartBlob(self._at, Blob(self._place.origin, self._place.kind, value))
            yield PartEnd(self._at)
            return
        if own and self._held:
            yield from self._thought(own, self._place)
        held, self._held = self._held, []
        if held:
            self._at = self._index()
        for event in held:
            yield msgspec.structs.replace(event, at=self._at)
        yield PartEnd(self._at)
        if own and not held:
            yield from self._thought(own, self._place)

    def _thought(self, items: Sequence[Sealed], place: Place) -> Iterator[Event]:
        """A thought without words that carries *items*."""
        at = self._index()
        yield PartStart(at, Thinking(""))
        yield PartBlob(at, Blob(place.origin, place.kind, self._carrier.seal(items)))
        yield PartEnd(at)


def marks(body: bytes) -> bool:
    """Whether *body*, a request that would pass untouched, may hold a seal, or a thought or citation
    of another vendor's model, whose signature is empty: its own vendor would refuse them.
    """
    return any(mark in body for mark in _MARKS)


def _decoded(value: str) -> str:
    """The text that *value* is the base64 of, in either alphabet; empty when it is none."""
    try:
        data = base64.b64decode(value.translate(_STANDARD) + "=" * (-len(value) % 4))
    except (binascii.Error, ValueError):
        return ""
    return data.decode("utf-8", "replace")


_STANDARD = str.maketrans("-_", "+/")
