"""Spans say what the conventions want said, and nothing of what a client said."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.semconv._incubating.attributes import gen_ai_attributes
from opentelemetry.trace import SpanKind, StatusCode

from proxypal_core.hub.messages import Usage
from proxypal_core.metering import Attempt, Record, is_failure
from proxypal_core.providers import catalog
from proxypal_core.telemetry.spans import Spans
from tests.strategies import usages, words

NOON = 1_795_003_200.0
SECOND = 1_000_000_000
CATALOG = catalog.builtin({})
CONVENTIONS = {
    value for name, value in vars(gen_ai_attributes).items() if name.startswith("GEN_AI_")
}
PATHS = ["/v1/messages", "/anthropic/v1/chat/completions", "/v1/responses", "/v1/embeddings"]
outcomes = st.sampled_from(["served", "abandoned", "client_gone", "rate_limit", "server"])
seconds = st.integers(0, 800).map(lambda many: many / 8)
records = st.builds(
    Record,
    id=st.just("1" * 32),
    at=st.just(NOON),
    dialect=st.sampled_from(["anthropic", "gemini"]),
    path=st.sampled_from(PATHS),
    model=words,
    stream=st.booleans(),
    session=st.sampled_from(["", "0123"]),
    attempts=st.lists(
        st.builds(
            Attempt, st.sampled_from(["gemini:a", "claude:b", "x"]), words, outcomes, seconds
        ),
        max_size=3,
    ),
    provider=st.sampled_from(["", "gemini", "demo"]),
    served_model=words,
    status=st.sampled_from([200, 429, 499]),
    outcome=outcomes,
    first_content=seconds,
    usage=usages(),
)
records = records.map(
    lambda one: msgspec.structs.replace(
        one, duration=sum(each.duration for each in one.attempts) + 0.5
    )
)


def told(record):
    """The spans of *record*: the request's, and its attempts'."""
    kept = InMemorySpanExporter()
    spans = Spans(
        SimpleSpanProcessor(kept), lambda account: CATALOG.get(account.partition(":")[0]), "1.2"
    )
    spans.note(record)
    spans.close()
    *attempts, whole = kept.get_finished_spans() or (None,)
    return whole, attempts


@given(records)
def test_every_attempt_is_a_span_within_the_requests(record):
    whole, attempts = told(record)

    assert whole.parent is None
    assert len(attempts) == len(record.attempts)
    begun = whole.start_time
    for span in attempts:
        assert span.parent.span_id == whole.context.span_id
        assert begun <= span.start_time <= span.end_time <= whole.end_time
        begun = span.start_time
    assert whole.end_time - whole.start_time == record.duration * SECOND


@given(records)
def test_names_are_the_conventions_or_our_own(record):
    whole, attempts = told(record)

    for span in (whole, *attempts):
        for name, value in span.attributes.items():
            assert name in CONVENTIONS or not name.startswith("gen_ai."), name
            assert value != ""


@given(records)
def test_what_failed_is_an_error_and_what_was_left_is_none(record):
    whole, attempts = told(record)

    ends = [record.outcome, *(one.outcome for one in record.attempts)]
    for outcome, span in zip(ends, (whole, *attempts), strict=True):
        assert span.attributes.get("error.type") == (outcome if is_failure(outcome) else None)
        assert (span.status.status_code is StatusCode.ERROR) == is_failure(outcome)


@given(records)
def test_tokens_are_told_once(record):
    whole, attempts = told(record)

    told_input = whole.attributes.get("gen_ai.usage.input_tokens", 0)
    assert told_input == record.usage.input_total
    assert not any(name.startswith("gen_ai.usage") for span in attempts for name in span.attributes)


def record(**fields):
    return Record(
        **{"id": "1", "at": NOON, "dialect": "anthropic", "path": "/v1/messages", **fields}
    )


def test_a_request_that_a_second_account_answered():
    whole, (first, second) = told(
        record(
            model="best",
            stream=True,
            session="5e55",
            client="laptop",
            agent="codex",
            attempts=[
                Attempt("anthropic:me@example.com", "claude-x", "rate_limit", 1.0),
                Attempt("gemini:b", "gemini-x", "served", 2.0),
            ],
            provider="gemini",
            served_by="gemini:b",
            served_model="gemini-x",
            status=200,
            outcome="served",
            first_content=1.5,
            duration=4.0,
            usage=Usage(input_total=100, input_cached=60, output_total=20, output_reasoning=5),
        )
    )

    assert (whole.name, whole.kind) == ("chat best", SpanKind.SERVER)
    assert dict(whole.attributes) == {
        "gen_ai.operation.name": "chat",
        "gen_ai.request.model": "best",
        "gen_ai.request.stream": True,
        "gen_ai.conversation.id": "5e55",
        "gen_ai.provider.name": "gcp.gemini",
        "gen_ai.response.model": "gemini-x",
        "gen_ai.response.time_to_first_chunk": 1.5,
        "gen_ai.usage.input_tokens": 100,
        "gen_ai.usage.output_tokens": 20,
        "gen_ai.usage.cache_read.input_tokens": 60,
        "gen_ai.usage.cache_creation.input_tokens": 0,
        "gen_ai.usage.reasoning.output_tokens": 5,
        "http.response.status_code": 200,
        "proxypal.request.id": "1",
        "proxypal.client_key": "laptop",
        "proxypal.agent": "codex",
    }
    assert whole.resource.attributes["service.name"] == "proxypal"
    assert (first.name, first.kind) == ("chat claude-x", SpanKind.CLIENT)
    assert first.attributes["server.address"] == "api.anthropic.com"
    assert first.attributes["server.port"] == 443
    assert first.attributes["error.type"] == "rate_limit"
    assert "me@example.com" not in first.to_json()
    assert second.attributes["gen_ai.provider.name"] == "gcp.gemini"
    assert [(span.start_time, span.end_time) for span in (first, second)] == [
        (int(NOON) * SECOND, int(NOON + 1) * SECOND),
        (int(NOON + 2) * SECOND, int(NOON + 4) * SECOND),
    ]


@pytest.mark.parametrize(
    ("path", "operation"),
    [
        ("/v1/v1/messages/", "chat"),
        ("/vertex/v1beta/models/gemini-x:streamGenerateContent", "generate_content"),
        ("/v1/completions", "text_completion"),
        ("/v1beta/models/e:batchEmbedContents", "embeddings"),
        ("/v1/messages/count_tokens", None),
        ("/v1/files/chat", None),
    ],
)
def test_the_path_says_the_operation(path, operation):
    whole, _ = told(record(path=path, model="m"))

    assert (whole and whole.attributes["gen_ai.operation.name"]) == operation


def test_what_clients_write_is_made_short_and_fit_for_the_wire():
    whole, _ = told(record(model="\ud800" + "m" * 10_000))

    assert len(whole.attributes["gen_ai.request.model"]) <= 256
    assert whole.attributes["gen_ai.request.model"].encode()
    assert whole.name.encode()
