"""A whole answer is a folded stream. Law: ``fold(unfold(r)) == r``."""

from collections.abc import Iterable, Iterator

import msgspec

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
from proxypal_core.hub.failure import Failure, Kind, Refused
from proxypal_core.hub.messages import Part, Refusal, Response, Text, Thinking, ToolCall, Usage


def fold(events: Iterable[Event]) -> Response:
    """The answer that *events* spell.

    Raises:
        Refused: with the stream's own failure, or ``TRUNCATED`` when it has no ``Finish``.
    """
    start = ResponseStart("", "")
    parts: list[Part] = []
    deltas: list[str] = []
    usage = Usage()
    finish: Finish | None = None
    for event in events:
        match event:
            case ResponseStart():
                start = event
            case PartStart(part=part):
                parts.append(part)
                deltas.clear()
            case PartDelta(text=text):
                deltas.append(text)
            case PartBlob() | PartCitation():
                parts[-1] = _attach(parts[-1], event)
            case PartEnd():
                parts[-1] = _complete(parts[-1], "".join(deltas))
            case UsageReport():
                usage = event.usage
            case Finish():
                finish = event
            case Failure():
                raise Refused(event)
    if finish is None:
        raise Refused(Failure(Kind.TRUNCATED, "the provider's answer ended before it was complete"))
    return Response(
        id=start.id,
        model=start.model,
        parts=tuple(parts),
        finish=finish.reason,
        finish_raw=finish.raw,
        stop_sequence=finish.stop_sequence,
        usage=usage,
    )


def unfold(response: Response) -> Iterator[Event]:
    """The shortest stream that folds into *response*."""
    yield ResponseStart(response.id, response.model)
    for at, part in enumerate(response.parts):
        match part:
            case Text(text=text) | Thinking(text=text) | Refusal(text=text):
                bare: Part = msgspec.structs.replace(part, text="")
            case ToolCall(arguments=text):
                bare = msgspec.structs.replace(part, arguments="")
            case _:
                bare, text = part, ""
        if isinstance(bare, (Text, Thinking, ToolCall)):
            bare = msgspec.structs.replace(bare, blobs=())
        if isinstance(bare, Text):
            bare = msgspec.structs.replace(bare, citations=())
        yield PartStart(at, bare)
        if text:
            yield PartDelta(at, text)
        if isinstance(part, Text):
            for citation in part.citations:
                yield PartCitation(at, citation)
        if isinstance(part, (Text, Thinking, ToolCall)):
            for blob in part.blobs:
                yield PartBlob(at, blob)
        yield PartEnd(at)
    yield UsageReport(response.usage)
    yield Finish(response.finish, response.finish_raw, response.stop_sequence)


def _attach(part: Part, event: PartBlob | PartCitation) -> Part:
    if isinstance(event, PartCitation):
        if isinstance(part, Text):
            return msgspec.structs.replace(part, citations=(*part.citations, event.citation))
    elif isinstance(part, (Text, Thinking, ToolCall)):
        return msgspec.structs.replace(part, blobs=(*part.blobs, event.blob))
    return part


def _complete(part: Part, text: str) -> Part:
    match part:
        case Text() | Thinking() | Refusal():
            return msgspec.structs.replace(part, text=part.text + text)
        case ToolCall():
            return msgspec.structs.replace(part, arguments=part.arguments + text)
        case _:
            return part
