"""The pieces of a streamed answer: start, delta, end.

The grammar that every decoder keeps and every encoder may rely on::

    ResponseStart (PartStart (PartDelta | PartBlob | PartCitation)* PartEnd | UsageReport)*
    (Finish UsageReport? | Failure)

Parts never interleave and are numbered 0, 1, 2, … without gaps. ``PartStart`` of a tool call
carries its id and name; a decoder that does not know them yet holds the call back. Usage is
cumulative: a later report replaces an earlier one. ``Failure`` is terminal.
"""

from typing import TypeAlias

from proxypal_core.hub.failure import Failure
from proxypal_core.hub.messages import Blob, Citation, FinishReason, Part, Record, Usage


class ResponseStart(Record, frozen=True):
    id: str
    model: str


class PartStart(Record, frozen=True):
    """``part`` is the part with nothing in it yet; an Opaque part arrives whole."""

    at: int
    part: Part


class PartDelta(Record, frozen=True):
    """More text, thought, refusal or arguments for part ``at``."""

    at: int
    text: str


class PartBlob(Record, frozen=True):
    at: int
    blob: Blob


class PartCitation(Record, frozen=True):
    at: int
    citation: Citation


class PartEnd(Record, frozen=True):
    at: int


class UsageReport(Record, frozen=True):
    usage: Usage


class Finish(Record, frozen=True):
    reason: FinishReason
    raw: str = ""
    stop_sequence: str = ""


Event: TypeAlias = (
    ResponseStart
    | PartStart
    | PartDelta
    | PartBlob
    | PartCitation
    | PartEnd
    | UsageReport
    | Finish
    | Failure
)
