"""An upstream's bytes into a client's: untouched where both speak the same, else through the hub.

A pipe is synchronous: ``feed`` takes what one read gave and returns what one write should send.
What it has seen stands in ``seen``; whether an answer may still be moved elsewhere, ended cleanly
or must be broken off is read there.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Protocol

import msgspec

from proxypal_core.dialects import failures
from proxypal_core.dialects.alike import Alike, Run, shape_of, taken_apart, written
from proxypal_core.dialects.base import Dialect, Encoded, Notice, Reply
from proxypal_core.dialects.carry import Outgoing
from proxypal_core.dialects.stopping import Stopping
from proxypal_core.dialects.structured import AsText, Unwrapping
from proxypal_core.hub.events import (
    Event,
    Finish,
    PartBlob,
    PartDelta,
    PartEnd,
    PartStart,
    UsageReport,
)
from proxypal_core.hub.failure import Failure, Kind
from proxypal_core.hub.fold import fold, unfold
from proxypal_core.hub.messages import Part, Response, Text, ToolCall, Usage
from proxypal_core.wire import jsonio, sse
from proxypal_core.wire.jsonio import JsonObject


class Seen(msgspec.Struct):
    """What an answer has shown so far. ``last``: its last event has come. ``proven``: it is complete,
    and its end alone has not been told. ``cut``: it is ended by us, whatever the upstream still says.
    """

    begun: bool = False
    finished: bool = False
    last: bool = False
    proven: bool = False
    cut: bool = False
    usage: Usage = Usage()
    failure: Failure | None = None

    def add(self, notice: Notice) -> None:
        self.begun = self.begun or notice.begun
        self.finished = self.finished or notice.finished
        self.last = self.last or notice.last
        if notice.usage is not None:
            self.usage = merged(self.usage, notice.usage)
        if notice.failure is not None and self.failure is None:
            self.failure = notice.failure


def merged(earlier: Usage, later: Usage) -> Usage:
    """Usage is cumulative: each count that is not zero replaces the earlier one."""
    return Usage(*(b or a for a, b in zip(_counts(earlier), _counts(later), strict=True)))


def _counts(usage: Usage) -> tuple[int, ...]:
    return (
        usage.input_total,
        usage.input_cached,
        usage.input_cache_write,
        usage.output_total,
        usage.output_reasoning,
    )


class Pipe(Protocol):
    seen: Seen

    def feed(self, data: bytes, /) -> bytes:
        """What to send for *data*, which the upstream sent; whole events only."""
        ...

    def close(self) -> bytes:
        """The upstream ended: what is still to be sent. Without the terminal event
        ``seen.failure`` is set; before the answer has begun the failure is not in the bytes.
        """
        ...

    def fail(self, failure: Failure, /) -> bytes:
        """What tells a client, in the middle of its stream, that *failure* ended it."""
        ...


class Passthrough:
    """Both sides speak *dialect*. Law: what goes in comes out, however it is cut.

    *rename* puts the client's name for the model in; *revise* takes out what only we asked for.
    """

    def __init__(
        self,
        dialect: Dialect,
        reply: Reply,
        *,
        rename: bool,
        revise: Callable[[bytes], bytes] | None = None,
    ) -> None:
        self.seen = Seen()
        self._dialect = dialect
        self._reply = reply
        self._revise = revise
        self._rename = rename
        self._splitter = sse.Splitter()
        self._alike = Alike()
        self._literals: Sequence[bytes] = ()
        """What a client is sent between what may differ, where that is not what came."""

    def feed(self, data: bytes, /) -> bytes:
        try:
            block = self._splitter.block(data)
        except sse.EventTooLong as error:
            return self._broken(Failure(Kind.TRUNCATED, str(error)))
        return self._alike.feed(block, self._said, self._pass)

    def close(self) -> bytes:
        out = b""
        rest = self._splitter.close()
        frame = sse.parse(rest)
        if frame is not None and _whole(frame.data):
            # Some servers leave out the last blank line.
            out = self._pass(rest) + b"\n\n"
        if not self.seen.finished and self.seen.failure is None:
            return out + self._broken(failures.TRUNCATED)
        if self.seen.failure is None and not self.seen.last:
            out += self._dialect.LAST  # some servers leave it out, too
        return out

    def fail(self, failure: Failure, /) -> bytes:
        return self._dialect.encoder(self._reply).write(failure)

    def _said(self, run: Run) -> bytes:
        if not self._literals:
            return run.raw
        return written(self._literals, run.columns)

    def _learn(self, raw: bytes, out: bytes, notice: Notice | None) -> None:
        """*raw*, of which *notice* tells, is passed on as *out*."""
        if notice is None or not notice.begun or notice.finished or notice.last:
            return
        came = shape_of(raw)
        literals, kinds = ((), came.kinds) if came and out == raw else taken_apart(out)
        if came and came.kinds == kinds:
            self._literals = literals
            self._alike.learn(came)

    def _pass(self, raw: bytes) -> bytes:
        if self.seen.failure is not None or self.seen.last:
            return b""
        came, notice = raw, None
        raw = raw.removeprefix(sse.BOM)
        frame = sse.parse(raw)
        if frame is None and b"event:" in raw:
            return b""  # no event without data; OpenAI's SDK takes it for broken JSON
        if frame is not None:
            try:
                document = _document(frame.data)
                notice = self._dialect.notice(frame)
                if self._rename and document:
                    raw = self._renamed(raw, frame.data, document)
            except jsonio.Malformed as error:
                return self._broken(failures.broken_event(error))
            if notice is not None:
                self.seen.add(notice)
                if notice.failure is not None:
                    # In our own words: not every form that is an error here is one to the SDKs.
                    return self.fail(notice.failure) if self.seen.begun else b""
            if self._revise is not None:
                raw = self._revise(raw)
        out = self._dialect.canonical(raw)
        self._learn(came, out, notice)
        return out

    def _renamed(self, raw: bytes, data: bytes, document: JsonObject) -> bytes:
        """*raw*, whose *data* is *document*, with the client's name for the model."""
        start = raw.rfind(data)
        if start < 0:
            return raw  # it has several lines
        changed = data
        for path in self._dialect.MODEL_PATHS:
            if b'"%b"' % path[-1].encode() in data:
                name = self._reply.request.model
                changed = jsonio.replace_string(changed, path, name, document=document)
        return b"".join((raw[:start], changed, raw[start + len(data) :]))

    def _broken(self, failure: Failure) -> bytes:
        if self.seen.failure is not None:
            return b""
        self.seen.failure = failure
        return self.fail(failure) if self.seen.begun else b""


class Translation:
    """The upstream speaks *source*, the client *target*."""

    def __init__(
        self,
        source: Dialect,
        target: Dialect,
        reply: Reply,
        encoded: Encoded,
        carrying: Outgoing,
    ) -> None:
        self.seen = Seen()
        self._way = _Way(encoded, carrying)
        self._decoder = source.decoder()
        self._encoder = target.encoder(reply)
        self._splitter = sse.Splitter()
        self._alike = Alike()
        self._part: Part | None = None
        """The part that is being told."""

    def feed(self, data: bytes, /) -> bytes:
        try:
            block = self._splitter.block(data)
        except sse.EventTooLong as error:
            return self._tell([Failure(Kind.BAD_REPLY, str(error))])
        return self._alike.feed(block, self._said, self._read)

    def close(self) -> bytes:
        return self._read(self._splitter.close()) + self._tell(self._decoder.end())

    def fail(self, failure: Failure, /) -> bytes:
        self.seen.failure = failure
        return self._encoder.write(failure)

    def _said(self, run: Run) -> bytes:
        """What to send for *run*; empty where its events have to be read."""
        out = self._encoder.say(run.texts)
        if out:
            self._decoder.heard(run.texts)
        return out

    def _read(self, raw: bytes) -> bytes:
        frame = sse.parse(raw)
        if frame is None:
            return b""
        events = list(self._decoder.read(frame))
        out = self._tell(events)
        self.seen.proven = self._decoder.proven
        match events:
            case [PartDelta()] if self._way.is_open and isinstance(self._part, Text):
                self._alike.learn(shape_of(raw))
            case _:
                pass
        return out

    def _tell(self, events: Iterable[Event]) -> bytes:
        out = b"".join(
            [self._write(passed) for event in events for passed in self._way.pass_on(event)]
        )
        self.seen.cut = self._way.cut
        return out

    def _write(self, event: Event) -> bytes:
        if self.seen.finished or self.seen.failure is not None:
            return b""
        match event:
            case PartStart(part=part):
                self.seen.begun = True
                self._part = part
            case PartDelta() | PartBlob():
                self.seen.begun = True
            case PartEnd():
                self._part = None
            case UsageReport(usage=usage):
                self.seen.usage = merged(self.seen.usage, usage)
            case Finish():
                self.seen.finished = True
            case Failure():
                self.seen.failure = event
                if not self.seen.begun:
                    return b""
            case _:
                pass
        return self._encoder.write(event)


class _Way:
    """All that an answer passes between the provider's words and the client's."""

    def __init__(self, encoded: Encoded, carrying: Outgoing) -> None:
        self._names = encoded.names
        self._stopping = Stopping(encoded.stops)
        self.is_open = not (encoded.answer_tool or encoded.wrapped or encoded.stops)
        """Whether texts go by as they are."""
        steps: list[tuple[bool, Callable[[Event], Iterable[Event]]]] = [
            (bool(encoded.answer_tool), AsText(encoded.answer_tool).pass_on),
            (encoded.wrapped, Unwrapping().pass_on),
            (bool(encoded.stops), self._stopping.pass_on),
            (True, carrying.pass_on),
        ]
        self._steps = [step for needed, step in steps if needed]

    @property
    def cut(self) -> bool:
        return self._stopping.cut

    def pass_on(self, event: Event) -> list[Event]:
        events = [event]
        for step in self._steps:
            events = [passed for each in events for passed in step(each)]
        return [own_name(each, self._names) for each in events] if self._names else events


def translated(response: Response, encoded: Encoded, carrying: Outgoing) -> Response:
    """A whole answer as ``Translation`` would stream it."""
    way = _Way(encoded, carrying)
    return fold(passed for event in unfold(response) for passed in way.pass_on(event))


def own_name(event: Event, names: Mapping[str, str]) -> Event:
    """*event* with the client's own name for the tool that it calls."""
    match event:
        case PartStart(at=at, part=ToolCall(name=name) as call) if name in names:
            return PartStart(at, msgspec.structs.replace(call, name=names[name]))
        case _:
            return event


def _document(data: bytes) -> JsonObject:
    """What an event says; nothing for a marker. What is neither would be a client's decoding error,
    without a word of what happened.

    Raises:
        Malformed: it is neither a JSON object nor a marker.
    """
    return {} if data.strip() in (b"", b"[DONE]") else jsonio.load_object(data)


def _whole(data: bytes) -> bool:
    """Whether an event that was not ended by a blank line is nevertheless complete."""
    if data.strip() == b"[DONE]":
        return True
    try:
        jsonio.loads(data)
    except jsonio.Malformed:
        return False
    return True
