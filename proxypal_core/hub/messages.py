"""The hub's nouns: a request, its turns and parts, and a whole answer.

Every dialect is decoded into these and encoded from these. A word enters only when three
dialects have it; what fewer have travels in ``extras`` (request fields) or ``Opaque`` (parts),
tagged with its dialect, and is put back by that dialect alone.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Literal, TypeAlias

import msgspec


class Record(msgspec.Struct, frozen=True, gc=False):
    """A value: frozen, compared by type and content, cheap to make (msgspec)."""


# ── where bytes come from ────────────────────────────────────────────────────────────────────


class Base64(Record, frozen=True):
    """Inline bytes. ``data`` is standard base64 without white space; ``mime`` is lower case."""

    mime: str
    data: str


class Url(Record, frozen=True):
    """An http(s) address that the provider is asked to fetch."""

    url: str
    mime: str = ""


class FileId(Record, frozen=True):
    """A file stored at one vendor; ``origin`` is the dialect whose id it is."""

    id: str
    origin: str
    mime: str = ""


class PlainText(Record, frozen=True):
    """A document given as text."""

    text: str


Source: TypeAlias = Base64 | Url | FileId | PlainText


class Blob(Record, frozen=True):
    """Opaque state that only its maker can read: a signature, encrypted reasoning.

    ``origin`` is ``anthropic``, ``openai`` or ``gemini``; ``kind`` is ``signature``, ``redacted``,
    ``encrypted_reasoning`` or ``thought_signature``; ``id`` is the maker's name for the item.
    """

    origin: str
    kind: str
    value: str
    id: str = ""


class CacheMark(Record, frozen=True):
    """A prompt-cache breakpoint after the part that carries it; ``ttl`` is ``5m``, ``1h`` or empty."""

    ttl: str = ""


# ── parts of a turn ──────────────────────────────────────────────────────────────────────────


class Citation(Record, frozen=True):
    """Where a model has a part's text from: the characters from ``start`` up to ``end``, or the whole
    text where there is no ``end``. ``quote`` is what the source says. ``raw`` is the citation as
    ``dialect`` wrote it, for nobody but that dialect; one that names no ``url`` goes nowhere else.
    """

    url: str = ""
    title: str = ""
    quote: str = ""
    start: int = 0
    end: int | None = None
    dialect: str = ""
    raw: Any = None

    def span(self, length: int) -> tuple[int, int]:
        """What of a text of *length* characters is meant."""
        end = length if self.end is None else min(self.end, length)
        return min(self.start, end), end


class Text(Record, frozen=True):
    text: str
    blobs: tuple[Blob, ...] = ()
    citations: tuple[Citation, ...] = ()
    cache: CacheMark | None = None


class Image(Record, frozen=True):
    source: Source
    detail: str = ""
    cache: CacheMark | None = None


class Audio(Record, frozen=True):
    mime: str
    data: str


class File(Record, frozen=True):
    source: Source
    name: str = ""
    cache: CacheMark | None = None


class Thinking(Record, frozen=True):
    """Reasoning the model showed. Redacted reasoning is empty text with a ``redacted`` blob."""

    text: str
    blobs: tuple[Blob, ...] = ()


class ToolCall(Record, frozen=True):
    """A call the model makes. ``arguments`` is the exact JSON text that arrived, because
    re-serialising changes numbers and spoils prompt caches; for a freeform tool it is plain text.
    """

    id: str
    name: str
    arguments: str = ""
    namespace: str = ""
    freeform: bool = False
    blobs: tuple[Blob, ...] = ()


class ToolResult(Record, frozen=True):
    """What a tool answered; lives in a user turn."""

    call_id: str
    content: "tuple[Part, ...]" = ()
    name: str = ""
    is_error: bool = False
    cache: CacheMark | None = None


class Refusal(Record, frozen=True):
    text: str


class Opaque(Record, frozen=True):
    """A part only its own dialect understands (a server tool's call, say); ``raw`` as it came."""

    dialect: str
    raw: Any


Part: TypeAlias = Text | Image | Audio | File | Thinking | ToolCall | ToolResult | Refusal | Opaque

Role: TypeAlias = Literal["user", "assistant", "system"]


class Turn(Record, frozen=True):
    """``system`` turns are instructions in the middle; leading ones are in ``Request.system``."""

    role: Role
    parts: tuple[Part, ...]
    name: str = ""


# ── tools ────────────────────────────────────────────────────────────────────────────────────


class Tool(Record, frozen=True):
    """A declared tool.

    ``schema`` is JSON Schema, or None when the tool takes no arguments. ``freeform`` tools take
    text; ``grammar`` is their format as declared. A tool that the provider executes itself has
    ``native`` = its raw declaration and ``dialect`` = whose words those are.
    """

    name: str
    description: str = ""
    schema: Mapping[str, Any] | None = None
    strict: bool | None = None
    namespace: str = ""
    freeform: bool = False
    grammar: Any = None
    cache: CacheMark | None = None
    native: Any = None
    dialect: str = ""


class ToolChoice(Record, frozen=True):
    """``mode`` auto, none or required; ``names`` narrows it (required + one name = forced)."""

    mode: Literal["auto", "none", "required"]
    names: tuple[str, ...] = ()


# ── the request ──────────────────────────────────────────────────────────────────────────────


class Sampling(Record, frozen=True):
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    seed: int | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    logit_bias: Any = None
    n: int | None = None
    logprobs: bool | None = None
    top_logprobs: int | None = None


class Output(Record, frozen=True):
    """The wanted form of the answer."""

    kind: Literal["text", "json_object", "json_schema"] = "text"
    name: str = ""
    description: str = ""
    schema: Mapping[str, Any] | None = None
    strict: bool | None = None
    verbosity: str = ""


class Reasoning(Record, frozen=True):
    """``mode`` says which of the other fields speaks. Efforts: minimal low medium high xhigh max;
    ``budget`` is in tokens; ``show`` is what the client wants to see of it.
    """

    mode: Literal["unset", "off", "auto", "effort", "budget"] = "unset"
    effort: str = ""
    budget: int = 0
    show: Literal["unset", "none", "summary", "full"] = "unset"


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """One question, as meant. ``model`` is the client's name for the model until routing
    replaces it with the target's. ``extras`` holds what the hub has no word for, by dialect.
    """

    dialect: str
    model: str
    stream: bool = False
    system: tuple[Text, ...] = ()
    turns: tuple[Turn, ...] = ()
    tools: tuple[Tool, ...] = ()
    tool_choice: ToolChoice | None = None
    parallel_tools: bool | None = None
    max_output_tokens: int | None = None
    stop: tuple[str, ...] = ()
    sampling: Sampling = Sampling()
    output: Output = Output()
    reasoning: Reasoning = Reasoning()
    end_user: str = ""
    metadata: Mapping[str, Any] = {}
    service_tier: str = ""
    cache_key: str = ""
    include_usage: bool = False
    extras: Mapping[str, Any] = {}


# ── the answer ───────────────────────────────────────────────────────────────────────────────


class FinishReason(StrEnum):
    STOP = "stop"
    TOOL_CALLS = "tool_calls"
    LENGTH = "length"
    CONTEXT_WINDOW = "context_window"
    STOP_SEQUENCE = "stop_sequence"
    CONTENT_FILTER = "content_filter"
    REFUSAL = "refusal"
    PAUSE = "pause"
    MALFORMED_CALL = "malformed_call"
    OTHER = "other"


class Usage(Record, frozen=True):
    """Tokens. ``input_total`` includes cached and written ones, ``output_total`` the reasoning."""

    input_total: int = 0
    input_cached: int = 0
    input_cache_write: int = 0
    output_total: int = 0
    output_reasoning: int = 0

    @property
    def total(self) -> int:
        return self.input_total + self.output_total


class Response(Record, frozen=True):
    """A whole answer: what folding a stream gives, and what unfolding makes a stream of."""

    id: str
    model: str
    parts: tuple[Part, ...] = ()
    finish: FinishReason = FinishReason.STOP
    finish_raw: str = ""
    stop_sequence: str = ""
    usage: Usage = Usage()


class ModelInfo(Record, frozen=True):
    """A line of a model list. Token limits are 0 when unknown."""

    id: str
    owner: str
    name: str = ""
    context_tokens: int = 0
    output_tokens: int = 0
