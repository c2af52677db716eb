"""The demo provider answers as a vendor would, in each vendor's words."""

import asyncio
from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxypal_core.dialects import DIALECTS
from proxypal_core.hub.failure import Kind
from proxypal_core.hub.fold import fold
from proxypal_core.hub.messages import FinishReason, Text, Thinking, ToolCall
from proxypal_core.providers.provider import endpoint_url
from proxypal_core.upstream import demo
from proxypal_core.upstream.transport import Broken, Call
from proxypal_core.wire import jsonio, sse
from tests.gateway.asking import question
from tests.strategies import json_objects, json_values, names

every_dialect = pytest.mark.parametrize("dialect", DIALECTS)
streamed_or_not = pytest.mark.parametrize("stream", [True, False], ids=["stream", "whole"])

SCHEMA = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "days": {"type": "integer", "minimum": 3}},
    "required": ["city", "days"],
}
TOOLS = {
    "openai-chat": {
        "tools": [{"type": "function", "function": {"name": "weather", "parameters": SCHEMA}}]
    },
    "openai-responses": {
        "tools": [{"type": "function", "name": "weather", "parameters": SCHEMA, "strict": False}]
    },
    "anthropic": {"tools": [{"name": "weather", "input_schema": SCHEMA}]},
    "gemini": {
        "tools": [
            {"functionDeclarations": [{"name": "weather", "parametersJsonSchema": SCHEMA}]},
        ]
    },
}
CALLED = {
    "openai-chat": {
        "messages": [
            {"role": "user", "content": "How is it in Oslo?"},
            {
                "role": "assistant",
                "tool_calls": [
                    {
                        "id": "c1",
                        "type": "function",
                        "function": {"name": "weather", "arguments": "{}"},
                    }
                ],
            },
            {"role": "tool", "tool_call_id": "c1", "content": "It rains."},
        ]
    },
    "openai-responses": {
        "input": [
            {"role": "user", "content": "How is it in Oslo?"},
            {"type": "function_call", "call_id": "c1", "name": "weather", "arguments": "{}"},
            {"type": "function_call_output", "call_id": "c1", "output": "It rains."},
        ]
    },
    "anthropic": {
        "messages": [
            {"role": "user", "content": "How is it in Oslo?"},
            {
                "role": "assistant",
                "content": [{"type": "tool_use", "id": "c1", "name": "weather", "input": {}}],
            },
            {
                "role": "user",
                "content": [{"type": "tool_result", "tool_use_id": "c1", "content": "It rains."}],
            },
        ]
    },
    "gemini": {
        "contents": [
            {"role": "user", "parts": [{"text": "How is it in Oslo?"}]},
            {"role": "model", "parts": [{"functionCall": {"name": "weather", "args": {}}}]},
            {
                "role": "user",
                "parts": [
                    {"functionResponse": {"name": "weather", "response": {"output": "It rains."}}}
                ],
            },
        ]
    },
}


def transport():
    """The same at every use: the ids begin anew."""
    ids = count(1)
    return demo.DemoTransport(
        clock=lambda: 1_795_000_000.0, new_id=lambda: f"{next(ids):032x}", pace=0
    )


def asked(dialect, model="echo", *, stream=True, text="Hello, you there!", **more):
    _, body = question(dialect, model, stream=stream, text=text)
    url = endpoint_url(
        demo.PROVIDER.endpoints[dialect], dialect, "generate", model=model, stream=stream
    )
    return Call("POST", url, {}, jsonio.dumps({**body, **more}))


async def collect(reply, pieces):
    while piece := await reply.read():
        pieces.append(piece)


async def pieces_of(reply):
    pieces = []
    await collect(reply, pieces)
    return pieces


def read(dialect, pieces):
    """The answer that a stream's *pieces* fold to."""
    splitter = sse.Splitter()
    raws = [raw for piece in pieces for raw in splitter.feed(piece)]
    frames = [frame for frame in map(sse.parse, [*raws, splitter.close()]) if frame]
    decoder = DIALECTS[dialect].decoder()
    events = [event for frame in frames for event in decoder.read(frame)]
    return fold([*events, *decoder.end()])


async def answer_to(call, dialect, *, stream=True):
    reply = await transport().open(call)
    assert reply.status == 200
    pieces = await pieces_of(reply)
    if stream:
        assert reply.headers["content-type"] == "text/event-stream"
        return read(dialect, pieces)
    assert reply.headers["content-type"] == "application/json"
    return DIALECTS[dialect].decode_response(jsonio.load_object(b"".join(pieces)))


async def failure_of(call, dialect):
    reply = await transport().open(call)
    body = b"".join(await pieces_of(reply))
    return reply, DIALECTS[dialect].decode_failure(reply.status, body)


def text_of(response):
    return "".join(part.text for part in response.parts if isinstance(part, Text))


def call_of(response):
    [call] = [part for part in response.parts if isinstance(part, ToolCall)]
    return call


# ── answers ──────────────────────────────────────────────────────────────────────────────────


@every_dialect
@streamed_or_not
async def test_it_repeats_the_last_message(dialect, stream):
    response = await answer_to(asked(dialect, stream=stream), dialect, stream=stream)

    assert text_of(response) == "Hello, you there!"
    assert response.finish is FinishReason.STOP
    assert response.model == "echo"


@every_dialect
@pytest.mark.parametrize("text", ["a  b\n\n c\t", " lead", "é 漢字 🙂"])
async def test_not_a_blank_of_it_is_lost_between_the_words(dialect, text):
    assert text_of(await answer_to(asked(dialect, text=text), dialect)) == text


@every_dialect
@pytest.mark.parametrize("model", ["echo", "think", "tool"])
async def test_a_stream_s_pieces_fold_to_the_whole_answer(dialect, model):
    options = {"model": model, **TOOLS[dialect]}
    streamed = await answer_to(asked(dialect, **options), dialect)
    whole = await answer_to(asked(dialect, **options, stream=False), dialect, stream=False)

    assert streamed.parts == whole.parts
    assert (streamed.id, streamed.finish, streamed.model) == (whole.id, whole.finish, whole.model)


@every_dialect
async def test_words_come_one_by_one(dialect):
    reply = await transport().open(asked(dialect, text="one two three"))

    pieces = await pieces_of(reply)

    assert len([piece for piece in pieces if b"one" in piece and b"three" not in piece]) >= 1


@every_dialect
@pytest.mark.parametrize(("model", "text"), [("think", "Why?"), ("echo", "Why? /think")])
async def test_it_thinks_before_it_answers(dialect, model, text):
    response = await answer_to(asked(dialect, model, text=text), dialect)

    assert text_of(response) == text
    assert isinstance(response.parts[0], Thinking)
    assert response.parts[0].text


@every_dialect
@streamed_or_not
@pytest.mark.parametrize(("model", "text"), [("tool", "Oslo?"), ("echo", "Oslo? /tool")])
async def test_it_calls_the_first_tool_with_arguments_that_fit(dialect, stream, model, text):
    call = asked(dialect, model, text=text, stream=stream, **TOOLS[dialect])

    response = await answer_to(call, dialect, stream=stream)

    assert call_of(response).name == "weather"
    assert jsonio.loads(call_of(response).arguments) == {"city": "demo", "days": 3}
    assert response.finish is FinishReason.TOOL_CALLS


@every_dialect
async def test_it_answers_once_the_result_is_there(dialect):
    call = asked(dialect, "tool", **TOOLS[dialect], **CALLED[dialect])

    response = await answer_to(call, dialect)

    assert "It rains." in text_of(response)
    assert response.finish is FinishReason.STOP


@every_dialect
async def test_without_a_tool_it_says_so(dialect):
    assert "declares none" in text_of(await answer_to(asked(dialect, "tool"), dialect))


@every_dialect
async def test_an_empty_message_gets_a_greeting(dialect):
    assert "demo model" in text_of(await answer_to(asked(dialect, text=""), dialect))


@every_dialect
@streamed_or_not
async def test_what_was_read_and_written_is_counted(dialect, stream):
    call = asked(dialect, text="12345678", stream=stream)

    usage = (await answer_to(call, dialect, stream=stream)).usage

    assert (usage.input_total, usage.output_total) == (2, 2)


@pytest.mark.parametrize(
    ("dialect", "operation", "expected"),
    [
        ("anthropic", "count_tokens", {"input_tokens": 2}),
        (
            "openai-responses",
            "input_tokens",
            {"object": "response.input_tokens", "input_tokens": 2},
        ),
        ("gemini", "count_tokens", {"totalTokens": 2}),
    ],
)
async def test_tokens_are_counted_on_request(dialect, operation, expected):
    _, body = question(dialect, "echo", text="12345678", stream=False)
    url = endpoint_url(demo.PROVIDER.endpoints[dialect], dialect, operation, model="echo")

    reply = await transport().open(Call("POST", url, {}, jsonio.dumps(body)))

    assert jsonio.loads(b"".join(await pieces_of(reply))) == expected


# ── failures ─────────────────────────────────────────────────────────────────────────────────


@every_dialect
@streamed_or_not
@pytest.mark.parametrize("how", [("fail-429", "Hi"), ("echo", "Hi /fail-429")])
async def test_it_is_limited_when_asked(dialect, stream, how):
    reply, failure = await failure_of(asked(dialect, how[0], text=how[1], stream=stream), dialect)

    assert (reply.status, failure.kind) == (429, Kind.RATE_LIMIT)
    assert reply.headers["retry-after"] == str(demo.RETRY_AFTER)


@every_dialect
@streamed_or_not
@pytest.mark.parametrize("how", [("fail-529", "Hi"), ("echo", "Hi /fail-529")])
async def test_it_is_overloaded_when_asked(dialect, stream, how):
    reply, failure = await failure_of(asked(dialect, how[0], text=how[1], stream=stream), dialect)

    assert reply.status in (503, 529)
    assert failure.kind is Kind.OVERLOADED


@every_dialect
@pytest.mark.parametrize("how", [("fail-cut", "one two three"), ("echo", "one two /fail-cut")])
async def test_it_breaks_off_in_the_middle_when_asked(dialect, how):
    reply = await transport().open(asked(dialect, how[0], text=how[1]))
    pieces = []

    with pytest.raises(Broken) as caught:
        await collect(reply, pieces)

    assert b"one" in b"".join(pieces)
    assert caught.value.failure.kind is Kind.TRUNCATED


@every_dialect
async def test_a_whole_answer_breaks_off_too(dialect):
    reply = await transport().open(asked(dialect, "fail-cut", stream=False))
    first = await reply.read()

    with pytest.raises(Broken):
        await reply.read()

    with pytest.raises(jsonio.Malformed):
        jsonio.loads(first)


@every_dialect
@streamed_or_not
async def test_an_unknown_model_is_refused_in_the_dialect_s_words(dialect, stream):
    reply, failure = await failure_of(asked(dialect, "gpt-99", stream=stream), dialect)

    assert (reply.status, failure.kind) == (404, Kind.MODEL)
    assert "'gpt-99'" in failure.message


@every_dialect
@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b'{"model":"echo","messages":7,"input":7,"contents":7}']
)
async def test_a_wrong_body_is_the_request_s_own_fault(dialect, body):
    url = endpoint_url(demo.PROVIDER.endpoints[dialect], dialect, "generate", model="echo")

    reply, failure = await failure_of(Call("POST", url, {}, body), dialect)

    assert (reply.status, failure.kind) == (400, Kind.INVALID)


@pytest.mark.parametrize("path", ["files", "embeddings", "images/generations", "audio/speech"])
@pytest.mark.parametrize("body", [b"", b"--form\r\n", b"{}"])
async def test_what_it_does_not_do_is_not_found(path, body):
    base = demo.PROVIDER.endpoints["openai-chat"]
    url = endpoint_url(base, "openai-chat", "passthrough", path=path)

    reply, failure = await failure_of(Call("POST", url, {}, body), "openai-chat")

    assert reply.status == 404
    assert "only generates text" in failure.message


# ── the pace ─────────────────────────────────────────────────────────────────────────────────


async def test_every_piece_of_a_stream_waits_its_turn(monkeypatch):
    waited = []

    async def sleep(seconds):
        waited.append(seconds)

    monkeypatch.setattr(asyncio, "sleep", sleep)
    slow = demo.DemoTransport(clock=lambda: 0.0, new_id=lambda: "1" * 32, pace=0.5)

    pieces = await pieces_of(await slow.open(asked("openai-chat")))
    await pieces_of(await slow.open(asked("openai-chat", stream=False)))

    assert waited == [0.5] * (len(pieces) + 1) + [0.0, 0.0]


async def test_no_answer_takes_for_ever(monkeypatch):
    waited = []

    async def sleep(seconds):
        waited.append(seconds)

    monkeypatch.setattr(asyncio, "sleep", sleep)
    slow = demo.DemoTransport(clock=lambda: 0.0, new_id=lambda: "1" * 32, pace=60.0)

    pieces = await pieces_of(await slow.open(asked("openai-chat", text="word " * 500)))

    assert len(pieces) >= 500
    assert sum(waited[:-1]) <= demo.LONGEST + 0.01


async def test_a_closed_answer_has_nothing_more_to_say():
    reply = await transport().open(asked("openai-chat"))
    await reply.read()

    reply.close()

    assert await reply.read() == b""


# ── arguments ────────────────────────────────────────────────────────────────────────────────


def allowed(value, schema):
    """Whether *schema* allows *value*, for the keywords that are drawn below."""
    if "const" in schema:
        return value == schema["const"]
    if "enum" in schema:
        return value in schema["enum"]
    if "anyOf" in schema:
        return any(allowed(value, one) for one in schema["anyOf"])
    kinds = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
    return any(_is_of(value, kind.lower(), schema) for kind in kinds)


def _is_of(value, kind, schema):
    match kind:
        case "object":
            return (
                isinstance(value, dict)
                and set(schema.get("required", ())) <= set(value)
                and all(allowed(v, schema["properties"][k]) for k, v in value.items())
            )
        case "array":
            return isinstance(value, list) and all(allowed(v, schema["items"]) for v in value)
        case "integer" | "number":
            kinds = (int,) if kind == "integer" else (int, float)
            return isinstance(value, kinds) and value >= schema.get("minimum", value)
        case "boolean":
            return isinstance(value, bool)
        case "null":
            return value is None
        case _:
            return isinstance(value, str)


@st.composite
def _objects(draw, inner):
    properties = draw(st.dictionaries(names, inner, min_size=1, max_size=4))
    required = draw(st.lists(st.sampled_from(sorted(properties)), unique=True))
    return {"type": "object", "properties": properties, "required": required}


_plain = st.sampled_from(
    [{"type": kind} for kind in ("string", "boolean", "null", "STRING", ["null", "string"])]
)
_numbers = st.builds(
    lambda kind, least: {"type": kind, **({} if least is None else {"minimum": least})},
    st.sampled_from(["integer", "number", "INTEGER"]),
    st.none() | st.integers(-1000, 1000),
)
_chosen = st.builds(lambda v: {"const": v}, json_values) | st.builds(
    lambda v: {"enum": v}, st.lists(json_values, min_size=1, max_size=3)
)
schemas = st.recursive(
    _plain | _numbers | _chosen,
    lambda inner: (
        _objects(inner)
        | st.builds(lambda items: {"type": "array", "items": items}, inner)
        | st.builds(lambda schema: {**schema, "nullable": True}, inner)
        | st.builds(lambda schema: {"anyOf": [schema, {"type": "null"}]}, inner)
    ),
    max_leaves=8,
)


@given(schemas)
def test_sampled_arguments_are_what_the_schema_allows(schema):
    assert allowed(demo._sample(schema), schema)


_keywords = st.sampled_from(
    ["type", "properties", "required", "enum", "anyOf", "oneOf", "items", "minimum"]
)


@given(st.dictionaries(_keywords, json_values, max_size=5) | json_objects)
def test_whatever_is_called_a_schema_there_are_arguments(schema):
    assert jsonio.dumps(demo._sample(schema))
