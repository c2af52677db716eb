"""Requests as OpenTelemetry spans, one below for each attempt. Nothing of what was said is in them.

The names are those of the semantic conventions for generative AI:
https://opentelemetry.io/docs/specs/semconv/gen-ai/gen-ai-spans/. Spans are made of a request's record
when it has ended, so that nothing is on its way; the packages behind this are an extra.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from urllib.parse import urlsplit

from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanLimits, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import SpanKind, Status, StatusCode, set_span_in_context

from proxypal_core.accounts.account import masked
from proxypal_core.hub.messages import Usage
from proxypal_core.metering import Attempt, Record, is_failure
from proxypal_core.providers.provider import Provider

_OPERATIONS = tuple(
    (re.compile(pattern), name)
    for pattern, name in (
        (r".*/(chat/completions|responses|messages)/?", "chat"),
        (r".*:(g|streamG)enerateContent", "generate_content"),
        (r".*/completions/?", "text_completion"),
        (r".*(/embeddings/?|:(e|batchE)mbedContents?)", "embeddings"),
    )
)
"""What a path asks for; other paths have no name in the conventions, and get no span."""
_PROVIDERS: Mapping[str, str] = {
    "azure-openai": "azure.ai.openai",
    "gemini": "gcp.gemini",
    "mistral": "mistral_ai",
    "openai-codex": "openai",
    "vertex": "gcp.vertex_ai",
    "xai": "x_ai",
}
"""The conventions' names of providers, where they are not ours."""
_LONGEST_TEXT = 256
_PATIENCE = 3.0
"""Seconds in which a batch is sent, or given up: as long a daemon's end may take."""

_Attributes = dict[str, str | int | float | bool]
_Given = Iterator[tuple[str, str | int | float | bool]]


def exporter(endpoint: str) -> SpanProcessor:
    """Sends spans by OTLP over HTTP, some at a time, to the collector at *endpoint*, which is its
    base URL. What else can be said of it (headers, a certificate) is said by OpenTelemetry's own
    variables, such as ``OTEL_EXPORTER_OTLP_HEADERS``.
    """
    url = f"{endpoint.rstrip('/')}/v1/traces"
    return BatchSpanProcessor(OTLPSpanExporter(url, timeout=_PATIENCE))


class Spans:
    """``provider_of`` gives the provider that an account's id belongs to; it may be changed."""

    def __init__(
        self, processor: SpanProcessor, provider_of: Callable[[str], Provider | None], version: str
    ) -> None:
        self.provider_of = provider_of
        self._provider = TracerProvider(
            resource=Resource.create({"service.name": "proxypal", "service.version": version}),
            span_limits=SpanLimits(max_attribute_length=_LONGEST_TEXT),
            shutdown_on_exit=False,
        )
        self._provider.add_span_processor(processor)
        self._tracer = self._provider.get_tracer("proxypal_core", version)

    def note(self, record: Record) -> None:
        """Tell *record*, which has ended."""
        operation = _operation(record.path)
        if not operation:
            return
        whole = self._tracer.start_span(
            _text(f"{operation} {record.model}".strip()),
            Context(),
            SpanKind.SERVER,
            _clean(_of_request(operation, record)),
            start_time=_nanoseconds(record.at),
        )
        inside = set_span_in_context(whole, Context())
        for attempt, begun, ended in _timed(record):
            span = self._tracer.start_span(
                _text(f"{operation} {attempt.model}".strip()),
                inside,
                SpanKind.CLIENT,
                _clean(self._of_attempt(operation, record, attempt)),
                start_time=_nanoseconds(begun),
            )
            if is_failure(attempt.outcome):
                span.set_status(Status(StatusCode.ERROR))
            span.end(_nanoseconds(ended))
        if is_failure(record.outcome):
            whole.set_status(Status(StatusCode.ERROR))
        whole.end(_nanoseconds(record.at + record.duration))

    def close(self) -> None:
        """Send what was not sent yet. Blocks."""
        self._provider.shutdown()

    def _of_attempt(self, operation: str, record: Record, attempt: Attempt) -> _Given:
        yield "gen_ai.operation.name", operation
        yield "gen_ai.request.model", attempt.model
        yield "proxypal.account", masked(attempt.account)
        if is_failure(attempt.outcome):
            yield "error.type", attempt.outcome
        provider = self.provider_of(attempt.account)
        if provider is not None:
            yield "gen_ai.provider.name", _PROVIDERS.get(provider.name, provider.name)
            yield from _address(provider, record.dialect)


def _of_request(operation: str, record: Record) -> _Given:
    """Tokens are told here alone: what adds them up over all spans must not count them twice."""
    yield "gen_ai.operation.name", operation
    yield "gen_ai.request.model", record.model
    yield "gen_ai.request.stream", record.stream
    yield "gen_ai.conversation.id", record.session
    yield "gen_ai.provider.name", _PROVIDERS.get(record.provider, record.provider)
    yield "http.response.status_code", record.status
    yield "proxypal.request.id", record.id
    yield "proxypal.client_key", record.client
    yield "proxypal.agent", record.agent
    if is_failure(record.outcome):
        yield "error.type", record.outcome or "internal"
    else:
        yield "gen_ai.response.model", record.served_model
    if record.stream and record.first_content:
        yield "gen_ai.response.time_to_first_chunk", record.first_content
    if record.usage != Usage():
        yield from _of_usage(record.usage)


def _of_usage(usage: Usage) -> _Given:
    """The input with what was read from caches and written to them, as the conventions want it."""
    yield "gen_ai.usage.input_tokens", usage.input_total
    yield "gen_ai.usage.output_tokens", usage.output_total
    yield "gen_ai.usage.cache_read.input_tokens", usage.input_cached
    yield "gen_ai.usage.cache_creation.input_tokens", usage.input_cache_write
    yield "gen_ai.usage.reasoning.output_tokens", usage.output_reasoning


def _address(provider: Provider, dialect: str) -> _Given:
    """Where *provider* is asked by a client that speaks *dialect*."""
    addresses: Mapping[str, str] = {**provider.endpoints}
    parts = urlsplit(addresses.get(dialect) or next(iter(addresses.values()), ""))
    if parts.hostname and parts.scheme in ("http", "https"):
        yield "server.address", parts.hostname
        yield "server.port", parts.port or (443 if parts.scheme == "https" else 80)


def _timed(record: Record) -> Iterator[tuple[Attempt, float, float]]:
    """Each attempt with its begin and end, in Unix seconds. A record has only how long each took:
    the first follow upon each other, and the last one ends with the request.
    """
    begun, end = record.at, record.at + record.duration
    for attempt in record.attempts[:-1]:
        yield attempt, begun, begun + attempt.duration
        begun += attempt.duration
    for attempt in record.attempts[-1:]:
        yield attempt, max(begun, end - attempt.duration), end


def _operation(path: str) -> str:
    return next((name for pattern, name in _OPERATIONS if pattern.fullmatch(path)), "")


def _clean(given: _Given) -> _Attributes:
    """What is *given*, less what is empty."""
    return {
        name: _text(value) if isinstance(value, str) else value
        for name, value in given
        if value != ""
    }


def _text(text: str) -> str:
    """*text* as protobuf takes it, which has no word for a lone surrogate."""
    return text[:_LONGEST_TEXT].encode("utf-8", "replace").decode()


def _nanoseconds(seconds: float) -> int:
    return round(seconds * 1_000_000) * 1000  # a float of today has no more
