"""The official SDKs against the whole proxy: all four surfaces, streaming and whole, demo and
upstream, failures included.
"""

import anthropic
import openai
import pytest
from google import genai
from google.genai import errors as genai_errors
from google.genai import types as genai_types

from tests.fault_server import (
    SCENARIOS,
    Answer,
    CleanEndAfter,
    CutAfter,
    ErrorInside,
    Malformed,
    Raw,
    Status,
)
from tests.fault_server.transcripts import DIALECTS as SPELLINGS
from tests.gateway.asking import begun, upstream
from tests.proxy import proxy

pytestmark = pytest.mark.filterwarnings(  # google-genai leaves answers that it cannot read open
    "ignore:Unclosed connection:ResourceWarning"
)

TOOL = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
    "required": ["city"],
}
TEXT = "".join(SCENARIOS["text"].text)
CALL = SCENARIOS["tool"].calls[0]


def openai_client(p, base="/v1"):
    return openai.AsyncOpenAI(base_url=p.url + base, api_key="any", max_retries=0)


def anthropic_client(p, base=""):
    return anthropic.AsyncAnthropic(base_url=p.url + base, api_key="any", max_retries=0)


def gemini_client(p, base=""):
    options = genai_types.HttpOptions(base_url=p.url + base)
    return genai.Client(api_key="any", http_options=options).aio


# Each asks one question and returns (text, tool names), whole or streamed.


async def chat(p, model, *, stream, tools=False, base="/v1"):
    options = {}
    if tools:
        function = {"name": "get_weather", "parameters": TOOL}
        options["tools"] = [{"type": "function", "function": function}]
    async with openai_client(p, base) as client:
        messages = [{"role": "user", "content": "Hello there"}]
        if not stream:
            answer = await client.chat.completions.create(model=model, messages=messages, **options)
        else:
            async with client.chat.completions.stream(
                model=model, messages=messages, **options
            ) as events:
                answer = await events.get_final_completion()
    message = answer.choices[0].message
    assert answer.model == model
    return message.content or "", [call.function.name for call in message.tool_calls or []]


async def responses(p, model, *, stream, tools=False, base="/v1"):
    options = {}
    if tools:
        options["tools"] = [
            {"type": "function", "name": "get_weather", "parameters": TOOL, "strict": False}
        ]
    async with openai_client(p, base) as client:
        if not stream:
            answer = await client.responses.create(model=model, input="Hello there", **options)
        else:
            async with client.responses.stream(
                model=model, input="Hello there", **options
            ) as events:
                answer = await events.get_final_response()
    assert answer.model == model
    assert answer.status == "completed"
    return answer.output_text, [i.name for i in answer.output if i.type == "function_call"]


async def messages(p, model, *, stream, tools=False, base=""):
    options = {"tools": [{"name": "get_weather", "input_schema": TOOL}]} if tools else {}
    asked = {
        "model": model,
        "max_tokens": 1000,
        "messages": [{"role": "user", "content": "Hello there"}],
        **options,
    }
    async with anthropic_client(p, base) as client:
        if not stream:
            answer = await client.messages.create(**asked)
        else:
            async with client.messages.stream(**asked) as events:
                answer = await events.get_final_message()
    assert answer.model == model
    assert answer.usage.input_tokens >= 0
    text = "".join(block.text for block in answer.content if block.type == "text")
    return text, [block.name for block in answer.content if block.type == "tool_use"]


async def generate(p, model, *, stream, tools=False, base=""):
    config = {}
    if tools:
        declaration = {"name": "get_weather", "parameters_json_schema": TOOL}
        config["tools"] = [{"function_declarations": [declaration]}]
    client = gemini_client(p, base)
    asked = {"model": model, "contents": "Hello there", "config": config}
    try:
        if not stream:
            parts = [await client.models.generate_content(**asked)]
        else:
            parts = [part async for part in await client.models.generate_content_stream(**asked)]
    finally:
        await client.aclose()
    assert all(part.model_version == model for part in parts)
    found = [p for part in parts for c in part.candidates or [] for p in c.content.parts or []]
    text = "".join(p.text for p in found if p.text and not p.thought)
    return text, [p.function_call.name for p in found if p.function_call]


ASKING = {
    "openai-chat": chat,
    "openai-responses": responses,
    "anthropic": messages,
    "gemini": generate,
}
every_dialect = pytest.mark.parametrize("dialect", ASKING)
both_ways = pytest.mark.parametrize("stream", [True, False], ids=["stream", "whole"])


@every_dialect
@both_ways
async def test_the_demo_answers(dialect, stream):
    async with proxy() as p:
        text, calls = await ASKING[dialect](p, "demo", stream=stream)

    assert (text, calls) == ("Hello there", [])


@every_dialect
@both_ways
@pytest.mark.parametrize("model", ["demo/tool", "demo/think"])
async def test_the_demo_calls_tools_and_thinks(dialect, stream, model):
    async with proxy() as p:
        text, calls = await ASKING[dialect](p, model, stream=stream, tools=True)

    assert calls == (["get_weather"] if model == "demo/tool" else [])
    assert text == ("" if calls else "Hello there")


@every_dialect
@both_ways
@pytest.mark.parametrize("scenario", ["text", "tool", "thinking"])
async def test_an_upstream_answers(fault_server, dialect, stream, scenario):
    fault_server.script(Answer(scenario))
    async with proxy(upstream(fault_server, dialect)) as p:
        text, calls = await ASKING[dialect](p, "m-1", stream=stream, tools=True)

    assert text == "".join(SCENARIOS[scenario].text)
    assert calls == [call.name for call in SCENARIOS[scenario].calls]


@pytest.mark.parametrize(
    ("dialect", "base"),
    [
        ("openai-chat", ""),
        ("openai-chat", "/openai"),
        ("openai-chat", "/openai/v1"),
        ("openai-chat", "/v1/v1"),
        ("openai-responses", "/openai"),
        ("openai-responses", "/codex"),
        ("anthropic", "/anthropic"),
        ("anthropic", "/anthropic/v1"),
        ("anthropic", "/v1"),
        ("gemini", "/gemini"),
        ("gemini", "/gemini/v1beta"),
    ],
)
async def test_every_base_url_works(dialect, base):
    async with proxy() as p:
        text, _ = await ASKING[dialect](p, "demo", stream=True, base=base)

    assert text == "Hello there"


# ── across dialects ──────────────────────────────────────────────────────────────────────────

PAIRS = [(a, b) for a in ASKING for b in ASKING if a != b]
each_pair = pytest.mark.parametrize(("client", "provider"), PAIRS)


@each_pair
@both_ways
@pytest.mark.parametrize("scenario", ["text", "tool", "parallel_tools", "thinking"])
async def test_a_translated_answer_is_the_same_answer(
    fault_server, client, provider, stream, scenario
):
    fault_server.script(Answer(scenario))
    async with proxy(upstream(fault_server, provider)) as p:
        text, calls = await ASKING[client](p, "m-1", stream=stream, tools=True)

    assert text == "".join(SCENARIOS[scenario].text)
    assert calls == [call.name for call in SCENARIOS[scenario].calls]
    assert fault_server.requests[0].dialect == provider


# ── failures ─────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("provider", ["openai-chat", "anthropic"])
@pytest.mark.parametrize(
    ("step", "openai_error", "anthropic_error"),
    [
        (Status(429), openai.RateLimitError, anthropic.RateLimitError),
        (Status(400), openai.BadRequestError, anthropic.BadRequestError),
        (Status(529), openai.InternalServerError, anthropic.OverloadedError),
        (Status(500), openai.InternalServerError, anthropic.InternalServerError),
        (Status(401), openai.InternalServerError, anthropic.InternalServerError),
    ],
    ids=str,
)
async def test_a_status_raises_the_sdks_own_error(
    fault_server, provider, step, openai_error, anthropic_error
):
    fault_server.always(step)
    async with proxy(upstream(fault_server, provider, accounts=("k1", "k2"))) as p:
        with pytest.raises(openai_error):
            await chat(p, "m-1", stream=True)
    fault_server.always(step)
    async with proxy(upstream(fault_server, provider)) as p:
        with pytest.raises(anthropic_error):
            await messages(p, "m-1", stream=True)


SDK_ERRORS = (openai.OpenAIError, anthropic.AnthropicError, genai_errors.APIError)
CUTS = [CutAfter, CleanEndAfter, ErrorInside, Malformed]


@pytest.mark.parametrize(
    ("client", "provider"), [*PAIRS, *((dialect, dialect) for dialect in ASKING)]
)
@pytest.mark.parametrize("step", CUTS, ids=lambda step: step.__name__)
async def test_a_cut_is_an_error_in_every_sdk(fault_server, client, provider, step):
    fault_server.always(step(frames=begun(provider)))
    async with proxy(upstream(fault_server, provider)) as p:
        with pytest.raises(SDK_ERRORS):
            await ASKING[client](p, "m-1", stream=True)


@pytest.mark.parametrize(
    ("client", "provider"), [*PAIRS, *((dialect, dialect) for dialect in ASKING)]
)
async def test_invalid_utf8_is_an_error_in_every_sdk(fault_server, client, provider):
    frames = SPELLINGS[provider].frames(SCENARIOS["text"], "m-1")
    broken = b"".join(frames).replace("°".encode(), b"\xff\xfe")
    fault_server.always(Raw(200, {"content-type": "text/event-stream"}, [broken]))
    async with proxy(upstream(fault_server, provider)) as p:
        with pytest.raises(SDK_ERRORS):
            await ASKING[client](p, "m-1", stream=True)


async def test_gemini_lists_and_counts():
    async with proxy() as p:
        client = gemini_client(p)
        names = [model.name async for model in await client.models.list()]
        counted = await client.models.count_tokens(model="demo", contents="four chars each")
        await client.aclose()

    assert "models/demo/echo" in names
    assert counted.total_tokens > 0


async def test_anthropic_lists_and_counts():
    async with proxy() as p, anthropic_client(p) as client:
        ids = [model.id async for model in client.models.list()]
        counted = await client.messages.count_tokens(
            model="demo", messages=[{"role": "user", "content": "four chars each"}]
        )

    assert "demo/echo" in ids
    assert counted.input_tokens == 4


async def test_openai_lists():
    async with proxy() as p, openai_client(p) as client:
        ids = [model.id async for model in client.models.list()]
        one = await client.models.retrieve("demo/echo")

    assert "demo/echo" in ids
    assert one.owned_by == "demo"
