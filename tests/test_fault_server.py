"""The upstream of our tests does what it says, and the vendors' own clients believe its answers."""

import asyncio
import gc
import gzip
import json

import aiohttp
import anthropic
import openai
import pytest
from google import genai
from google.genai import errors as genai_errors
from google.genai import types as genai_types

from proxypal_core.wire import sse
from tests.fault_server import (
    SCENARIOS,
    Answer,
    CleanEndAfter,
    CutAfter,
    Empty,
    ErrorInside,
    FaultServer,
    Gzip,
    Html,
    JsonErrorInside,
    Malformed,
    Raw,
    Redirect,
    Refuse,
    Reset,
    Scenario,
    Split,
    Stall,
    Status,
    Whole,
    Wire,
)
from tests.fault_server.transcripts import DIALECTS

pytestmark = pytest.mark.filterwarnings(  # google-genai's own doing
    "ignore:Inheritance class AiohttpClientSession:DeprecationWarning"
)

PATHS = {
    "openai-chat": "/v1/chat/completions",
    "openai-responses": "/v1/responses",
    "anthropic": "/v1/messages",
    "gemini": "/v1beta/models/m:streamGenerateContent?alt=sse",
}
STREAM = {"model": "m", "stream": True, "stream_options": {"include_usage": True}}
dialects = pytest.mark.parametrize("dialect", PATHS)
scenarios = pytest.mark.parametrize("scenario", SCENARIOS)


@pytest.fixture
async def http():
    async with aiohttp.ClientSession() as session:
        yield session


def ask(http, server, dialect="openai-chat", **options):
    return http.post(server.origin + PATHS[dialect], json=STREAM, **options)


async def read(response):
    """What came of the body, and the error it ended with, if any."""
    body = b""
    try:
        async for data in response.content.iter_any():
            body += data
    except aiohttp.ClientError as error:
        return body, error
    return body, None


def transcript(dialect, scenario="text"):
    return DIALECTS[dialect].frames(SCENARIOS[scenario], "m")


# ── the vendors' clients ─────────────────────────────────────────────────────────────────────


def openai_client(server):
    return openai.AsyncOpenAI(base_url=server.url("openai-chat"), api_key="k", max_retries=0)


def anthropic_client(server):
    return anthropic.AsyncAnthropic(base_url=server.url("anthropic"), api_key="k", max_retries=0)


def gemini_client(server):
    options = genai_types.HttpOptions(base_url=server.url("gemini"))
    return genai.Client(api_key="k", http_options=options)


async def chat_answers(server, scenario):
    messages = [{"role": "user", "content": "hi"}]
    async with openai_client(server) as client:
        server.script(Answer(scenario))
        whole = await client.chat.completions.create(model="m", messages=messages)
        server.script(Answer(scenario))
        stream = await client.chat.completions.create(
            model="m", messages=messages, stream=True, stream_options={"include_usage": True}
        )
        chunks = [chunk async for chunk in stream]
    state = openai.lib.streaming.chat.ChatCompletionStreamState()
    for chunk in chunks:
        # The helper takes "cut short" for an exception, by its own design.
        if not (chunk.choices and chunk.choices[0].finish_reason == "length"):
            state.handle_chunk(chunk)
    streamed = state.current_completion_snapshot
    finish = next(c.choices[0].finish_reason for c in reversed(chunks) if c.choices)
    return [
        (said_by_chat(answer.choices[0].message), reason, counts_of_chat(usage))
        for answer, reason, usage in (
            (whole, whole.choices[0].finish_reason, whole.usage),
            (streamed, finish, chunks[-1].usage),
        )
    ]


def said_by_chat(message):
    return (
        getattr(message, "reasoning_content", None) or "",
        message.content or message.refusal or "",
        [
            (c.id, c.function.name, json.loads(c.function.arguments))
            for c in message.tool_calls or []
        ],
    )


def counts_of_chat(usage):
    return (
        usage.prompt_tokens,
        usage.prompt_tokens_details.cached_tokens,
        usage.completion_tokens,
        usage.completion_tokens_details.reasoning_tokens,
    )


async def responses_answers(server, scenario):
    async with openai_client(server) as client:
        server.script(Answer(scenario))
        whole = await client.responses.create(model="m", input="hi")
        server.script(Answer(scenario))
        async with client.responses.stream(model="m", input="hi") as stream:
            events = [event async for event in stream]
    numbers = [event.sequence_number for event in events]
    assert numbers == list(range(len(numbers)))
    return [said_by_responses(answer) for answer in (whole, events[-1].response)]


def said_by_responses(answer):
    thought, text, calls = "", "", []
    for item in answer.output:
        match item.type:
            case "reasoning":
                thought += "".join(part.text for part in item.summary)
                assert item.encrypted_content
            case "message":
                text += "".join(getattr(p, "text", None) or p.refusal for p in item.content)
            case "function_call":
                calls.append((item.call_id, item.name, json.loads(item.arguments)))
    finish = answer.incomplete_details.reason if answer.incomplete_details else answer.status
    counts = (
        answer.usage.input_tokens,
        answer.usage.input_tokens_details.cached_tokens,
        answer.usage.output_tokens,
        answer.usage.output_tokens_details.reasoning_tokens,
    )
    return (thought, text, calls), finish, counts


async def anthropic_answers(server, scenario):
    question = {
        "model": "m",
        "max_tokens": 100,
        "messages": [{"role": "user", "content": "hi"}],
    }
    async with anthropic_client(server) as client:
        server.script(Answer(scenario))
        whole = await client.messages.create(**question)
        server.script(Answer(scenario))
        async with client.messages.stream(**question) as stream:
            streamed = await stream.get_final_message()
    return [said_by_anthropic(answer) for answer in (whole, streamed)]


def said_by_anthropic(answer):
    thought, text, calls = "", "", []
    for block in answer.content:
        match block.type:
            case "thinking":
                thought += block.thinking
                assert block.signature
            case "text":
                text += block.text
            case "tool_use":
                calls.append((block.id, block.name, block.input))
    usage = answer.usage
    counts = (
        usage.input_tokens + usage.cache_read_input_tokens,
        usage.cache_read_input_tokens,
        usage.output_tokens,
        usage.output_tokens_details.thinking_tokens,
    )
    return (thought, text, calls), answer.stop_reason, counts


async def gemini_answers(server, scenario):
    client = gemini_client(server)
    server.script(Answer(scenario), Answer(scenario))
    whole = await client.aio.models.generate_content(model="m", contents="hi")
    stream = await client.aio.models.generate_content_stream(model="m", contents="hi")
    chunks = [chunk async for chunk in stream]
    await client.aio.aclose()
    return [said_by_gemini(answer) for answer in ([whole], chunks)]


def said_by_gemini(chunks):
    thought, text, calls = "", "", []
    for part in (part for chunk in chunks for part in chunk.candidates[0].content.parts):
        if part.function_call:
            call = part.function_call
            calls.append((call.id, call.name, call.args))
        elif part.thought:
            thought += part.text
        else:
            text += part.text
    usage = chunks[-1].usage_metadata
    thinking = usage.thoughts_token_count or 0
    counts = (
        usage.prompt_token_count,
        usage.cached_content_token_count,
        usage.candidates_token_count + thinking,
        thinking,
    )
    return (thought, text, calls), chunks[-1].candidates[0].finish_reason.value, counts


ANSWERS = {
    "openai-chat": chat_answers,
    "openai-responses": responses_answers,
    "anthropic": anthropic_answers,
    "gemini": gemini_answers,
}
FINISHES = {
    "openai-chat": {"tool": "tool_calls", "parallel_tools": "tool_calls", "length": "length"},
    "openai-responses": {"length": "max_output_tokens"},
    "anthropic": {
        "tool": "tool_use",
        "parallel_tools": "tool_use",
        "refusal": "refusal",
        "length": "max_tokens",
    },
    "gemini": {"refusal": "SAFETY", "length": "MAX_TOKENS"},
}
STOP = {
    "openai-chat": "stop",
    "openai-responses": "completed",
    "anthropic": "end_turn",
    "gemini": "STOP",
}


@dialects
@scenarios
async def test_an_official_client_reads_the_scenario_whole_and_streamed(
    fault_server, dialect, scenario
):
    answers = await ANSWERS[dialect](fault_server, scenario)

    meant = SCENARIOS[scenario]
    said = (
        "".join(meant.thought),
        "".join(meant.text or meant.refusal),
        [(call.id, call.name, json.loads(call.arguments)) for call in meant.calls],
    )
    finish = FINISHES[dialect].get(scenario, STOP[dialect])
    counts = (
        meant.input_tokens,
        meant.cached_tokens,
        meant.output_tokens,
        meant.thinking_tokens,
    )
    assert answers == [(said, finish, counts)] * 2


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (400, openai.BadRequestError),
        (401, openai.AuthenticationError),
        (403, openai.PermissionDeniedError),
        (404, openai.NotFoundError),
        (429, openai.RateLimitError),
        (500, openai.InternalServerError),
        (503, openai.InternalServerError),
        (529, openai.InternalServerError),
    ],
)
async def test_openai_clients_raise_the_error_of_the_status(fault_server, status, error):
    fault_server.always(Status(status, retry_after=7))

    async with openai_client(fault_server) as client:
        with pytest.raises(error) as chat:
            await client.chat.completions.create(model="m", messages=[])
        with pytest.raises(error) as responses:
            await client.responses.create(model="m", input="hi")

    for caught in (chat.value, responses.value):
        assert caught.response.headers["retry-after"] == "7"
        assert caught.request_id == "req_fault1"
        assert "try again in 7s" in caught.body["message"]


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, "invalid_request_error"),
        (401, "authentication_error"),
        (402, "billing_error"),
        (403, "permission_error"),
        (404, "not_found_error"),
        (429, "rate_limit_error"),
        (500, "api_error"),
        (503, "api_error"),
        (529, "overloaded_error"),
    ],
)
async def test_anthropic_clients_raise_the_error_of_the_status(fault_server, status, kind):
    fault_server.script(Status(status, retry_after=7))

    async with anthropic_client(fault_server) as client:
        with pytest.raises(anthropic.APIStatusError) as caught:
            await client.messages.create(model="m", max_tokens=1, messages=[])

    assert (caught.value.status_code, caught.value.type) == (status, kind)
    assert caught.value.response.headers["retry-after"] == "7"


@pytest.mark.parametrize(
    ("status", "word"),
    [
        (400, "INVALID_ARGUMENT"),
        (401, "UNAUTHENTICATED"),
        (403, "PERMISSION_DENIED"),
        (404, "NOT_FOUND"),
        (429, "RESOURCE_EXHAUSTED"),
        (500, "INTERNAL"),
        (503, "UNAVAILABLE"),
    ],
)
async def test_gemini_clients_raise_the_error_of_the_status(fault_server, status, word):
    fault_server.script(Status(status, retry_after=7.5))

    client = gemini_client(fault_server)
    with pytest.raises(genai_errors.APIError) as caught:
        await client.aio.models.generate_content(model="m", contents="hi")
    await client.aio.aclose()

    assert (caught.value.code, caught.value.status) == (status, word)
    [detail] = caught.value.details["error"]["details"]
    assert detail["retryDelay"] == "7.5s"


async def test_official_clients_raise_the_error_inside_a_stream(fault_server):
    fault_server.always(ErrorInside(frames=2))
    messages = [{"role": "user", "content": "hi"}]

    async with openai_client(fault_server) as client:
        stream = await client.chat.completions.create(model="m", messages=messages, stream=True)
        with pytest.raises(openai.APIError, match="Not available"):
            [chunk async for chunk in stream]
        # This client hands the event over instead of raising it.
        stream = await client.responses.create(model="m", input="hi", stream=True)
        assert [event.type async for event in stream][-1] == "error"
    async with anthropic_client(fault_server) as client:
        stream = await client.messages.create(
            model="m", max_tokens=1, messages=messages, stream=True
        )
        with pytest.raises(anthropic.APIStatusError, match="Not available"):
            [event async for event in stream]


@pytest.mark.filterwarnings("ignore:Unclosed connection:ResourceWarning")
async def test_gemini_clients_raise_the_error_inside_a_stream(fault_server):
    fault_server.always(ErrorInside(frames=2))

    client = gemini_client(fault_server)
    stream = await client.aio.models.generate_content_stream(model="m", contents="hi")
    with pytest.raises(genai_errors.ServerError, match="UNAVAILABLE") as caught:
        [chunk async for chunk in stream]
    await client.aio.aclose()

    # The client leaves its connection to the collector; let it be collected here.
    del stream, caught
    gc.collect()


async def test_official_clients_count_list_and_embed(fault_server):
    async with openai_client(fault_server) as client:
        vectors = await client.embeddings.create(model="m", input=["a", "b"])
        counted = await client.responses.input_tokens.count(model="m", input="hi")
        openai_models = [model.id async for model in client.models.list()]
    async with anthropic_client(fault_server) as client:
        tokens = await client.messages.count_tokens(
            model="m", messages=[{"role": "user", "content": "hi"}]
        )
        anthropic_models = [model.id async for model in client.models.list()]
    client = gemini_client(fault_server)
    total = await client.aio.models.count_tokens(model="m", contents="hi")
    gemini_models = [model.name async for model in await client.aio.models.list()]
    await client.aio.aclose()

    assert [item.embedding for item in vectors.data] == [[0.25, -0.5, 1.0]] * 2
    assert counted.input_tokens == tokens.input_tokens == total.total_tokens == 90
    assert openai_models == anthropic_models == ["fault-large", "fault-small"]
    assert gemini_models == ["models/fault-large", "models/fault-small"]


# ── answers ──────────────────────────────────────────────────────────────────────────────────


@dialects
async def test_a_stream_is_sent_event_by_event(http, fault_server, dialect):
    async with ask(http, fault_server, dialect) as response:
        chunks = [chunk async for chunk, _ in response.content.iter_chunks() if chunk]

    assert chunks == transcript(dialect)
    assert response.content_type == "text/event-stream"


async def test_a_stream_has_usage_only_for_those_who_ask(http, fault_server):
    url = fault_server.origin + PATHS["openai-chat"]

    async with http.post(url, json={"model": "m", "stream": True}) as response:
        body = await response.read()

    assert b"usage" not in body
    assert body.endswith(b"data: [DONE]\n\n")


async def test_gemini_streams_an_array_without_alt_sse(http, fault_server):
    url = fault_server.origin + "/v1beta/models/a/b:free:streamGenerateContent"

    async with http.post(url, json={}) as response:
        replies = await response.json()

    assert replies[-1]["candidates"][0]["finishReason"] == "STOP"
    assert {reply["modelVersion"] for reply in replies} == {"a/b:free"}


async def test_a_scenario_of_ones_own_is_spelled_too(http, fault_server):
    fault_server.script(Answer(Scenario(text=("a\u2028b",))))

    async with ask(http, fault_server) as response:
        body = await response.text()

    assert '"content":"a\u2028b"' in body


@dialects
async def test_a_whole_answer_may_come_instead_of_a_stream(http, fault_server, dialect):
    fault_server.script(Whole("tool"))

    async with ask(http, fault_server, dialect) as response:
        document = await response.json()

    assert document == DIALECTS[dialect].whole(SCENARIOS["tool"], "m")


async def test_other_paths_tell_what_they_were_sent(http, fault_server):
    form = aiohttp.FormData({"model": "m"})
    form.add_field("file", b"\x00\x01\x02", filename="a.wav")

    async with http.post(fault_server.origin + "/v1/audio/transcriptions?x=1", data=form) as first:
        multipart = await first.json()
    async with http.post(fault_server.origin + "/v1/moderations", json={"a": 1}) as second:
        plain = await second.json()

    assert multipart["query"] == "x=1"
    assert multipart["parts"] == [
        {"name": "model", "filename": None, "size": 1},
        {"name": "file", "filename": "a.wav", "size": 3},
    ]
    assert plain["json"] == {"a": 1}


# ── faults ───────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("reset", [False, True])
async def test_refuse_gives_not_a_byte(http, fault_server, reset):
    fault_server.script(Refuse(reset=reset))

    with pytest.raises(aiohttp.ClientConnectionError):
        await ask(http, fault_server)

    assert not fault_server.requests[0].closed.is_set()


@dialects
@pytest.mark.parametrize("frames", [0, 2])
async def test_cut_after_frames(http, fault_server, dialect, frames):
    fault_server.script(CutAfter(frames=frames))

    async with ask(http, fault_server, dialect) as response:
        body, error = await read(response)

    assert body == b"".join(transcript(dialect)[:frames])
    assert error is not None


@pytest.mark.parametrize(("fault", "reset"), [(CutAfter, False), (Reset, True)])
@pytest.mark.parametrize("size", [0, 1, 777])
async def test_cut_and_reset_after_bytes(http, fault_server, fault, reset, size):
    fault_server.script(fault(bytes=size))

    async with ask(http, fault_server) as response:
        body, error = await read(response)

    assert body == b"".join(transcript("openai-chat"))[:size]
    assert error is not None
    assert ("reset by peer" in str(error)) == reset


@dialects
async def test_a_clean_end_looks_like_an_end(http, fault_server, dialect):
    fault_server.script(CleanEndAfter(frames=1))

    async with ask(http, fault_server, dialect) as response:
        body, error = await read(response)

    assert body == transcript(dialect)[0]
    assert error is None


async def test_a_stall_before_the_headers_lasts_until_release(http, fault_server):
    fault_server.script(Stall(then=Status(500)))

    asking = asyncio.ensure_future(ask(http, fault_server))
    await fault_server.until(
        lambda: bool(fault_server.requests and fault_server.requests[0].stalled)
    )
    assert (asking.done(), fault_server.open_streams) == (False, 1)
    fault_server.release()

    async with await asking as response:
        assert response.status == 500
    await fault_server.until(lambda: fault_server.open_streams == 0)


async def test_a_stall_inside_lasts_until_release(http, fault_server):
    fault_server.script(Stall(frames=2))

    async with ask(http, fault_server) as response:
        await fault_server.until(lambda: fault_server.requests[0].stalled)
        before = response.content.read_nowait()
        fault_server.release()
        after = await response.read()

    assert before == b"".join(transcript("openai-chat")[:2])
    assert before + after == b"".join(transcript("openai-chat"))


async def test_headers_come_before_a_stall_at_the_first_event(http, fault_server):
    fault_server.script(Stall(frames=0))

    async with ask(http, fault_server) as response:
        assert response.status == 200
        fault_server.release()


@dialects
async def test_an_error_comes_inside_the_stream(http, fault_server, dialect):
    fault_server.script(ErrorInside(frames=2, status=429))

    async with ask(http, fault_server, dialect) as response:
        body, error = await read(response)

    before = b"".join(transcript(dialect)[:2])
    event = sse.parse(body.removeprefix(before))
    assert (response.status, error) == (200, None)
    assert "Rate limit" in json.dumps(json.loads(event.data))


async def test_an_error_comes_as_json_with_200(http, fault_server):
    fault_server.script(JsonErrorInside(status=429))

    async with ask(http, fault_server) as response:
        document = await response.json()

    assert response.status == 200
    assert document["error"]["code"] == "rate_limit_exceeded"


async def test_empty_is_a_good_answer_without_a_byte(http, fault_server):
    fault_server.script(Empty())

    async with ask(http, fault_server) as response:
        assert response.status == 200
        assert await read(response) == (b"", None)


@pytest.mark.parametrize("split", [Split(every=1), Split(sizes=[3, 1, 40])])
async def test_split_cuts_anywhere_and_loses_nothing(http, fault_server, split):
    fault_server.script(split)

    async with ask(http, fault_server) as response:
        pieces = [piece async for piece in response.content.iter_any()]

    body = b"".join(transcript("openai-chat"))
    assert b"".join(pieces) == body
    assert len(pieces) > len(body) / 16


@dialects
async def test_a_malformed_event_is_among_good_ones(http, fault_server, dialect):
    fault_server.script(Malformed(frames=2))

    async with ask(http, fault_server, dialect) as response:
        body = await response.read()

    splitter = sse.Splitter()
    frames = [sse.parse(raw) for raw in splitter.feed(body)]
    good = transcript(dialect)
    assert len(frames) == len(good)
    with pytest.raises(json.JSONDecodeError):
        json.loads(frames[2].data)
    assert [frames[i] for i in (0, 1, 3)] == [sse.parse(good[i]) for i in (0, 1, 3)]


async def test_a_redirect_points_elsewhere(http, fault_server):
    fault_server.script(Redirect("http://127.0.0.2:1/v1"))

    async with ask(http, fault_server, allow_redirects=False) as response:
        assert response.status == 307
        assert response.headers["Location"] == "http://127.0.0.2:1/v1"


async def test_gzip_comes_unasked(fault_server):
    fault_server.script(Gzip())

    async with aiohttp.ClientSession(auto_decompress=False) as http:
        asked = {"Accept-Encoding": "identity"}
        async with ask(http, fault_server, headers=asked) as response:
            body = await response.read()

    assert response.headers["Content-Encoding"] == "gzip"
    assert gzip.decompress(body) == b"".join(transcript("openai-chat"))


async def test_html_is_no_json(http, fault_server):
    fault_server.script(Html(502))

    async with ask(http, fault_server) as response:
        assert (response.status, response.content_type) == (502, "text/html")


@pytest.mark.parametrize("headers", [{"X-A": "1"}, {"Content-Length": "4"}])
async def test_raw_is_taken_at_its_word(http, fault_server, headers):
    fault_server.script(Raw(418, headers, [b"ab", b"cd"]))

    async with ask(http, fault_server) as response:
        body = await response.read()

    assert (response.status, body) == (418, b"abcd")
    assert headers.items() <= response.headers.items()


async def test_wire_is_all_that_the_reader_gets(fault_server):
    fault_server.script(Wire([b"HTTP/1.1 200 OK\r\n", b"Content-Length: 9\r\n\r\n", b"half"]))
    reader, writer = await asyncio.open_connection(*fault_server.origin[7:].split(":"))

    writer.write(b"POST /v1/files HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n")
    got = await reader.read()
    writer.close()

    assert got == b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf"


@pytest.mark.parametrize(
    ("end", "error"), [("reset", ConnectionResetError), ("stall", TimeoutError)]
)
async def test_wire_may_end_otherwise(fault_server, end, error):
    fault_server.script(Wire([b"HTTP/1.1 200 OK\r\n"], end=end))
    reader, writer = await asyncio.open_connection(*fault_server.origin[7:].split(":"))

    writer.write(b"POST /v1/files HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n")
    assert await reader.readline() == b"HTTP/1.1 200 OK\r\n"
    with pytest.raises(error):
        await asyncio.wait_for(reader.read(), 0.05)
    writer.close()


async def test_a_status_may_have_a_body_and_headers_of_its_own(http, fault_server):
    fault_server.script(Status(499, body={"error": "odd"}, headers={"X-Should-Retry": "false"}))

    async with ask(http, fault_server) as response:
        assert response.status == 499
        assert await response.json() == {"error": "odd"}
        assert response.headers["x-should-retry"] == "false"


# ── what is scripted for whom, and what is written down ──────────────────────────────────────


@pytest.mark.parametrize(
    ("headers", "query"),
    [
        ({"Authorization": "Bearer k1"}, ""),
        ({"x-api-key": "k1"}, ""),
        ({"x-goog-api-key": "k1"}, ""),
        ({"api-key": "k1"}, ""),
        ({}, "?key=k1"),
    ],
)
async def test_one_account_can_fail_alone(http, fault_server, headers, query):
    fault_server.script(Status(401), key="k1")
    url = fault_server.origin + PATHS["openai-chat"] + query

    statuses = []
    for asked in ({"Authorization": "Bearer k2"}, headers, headers):
        async with http.post(
            url if asked is headers else url.split("?")[0], json=STREAM, headers=asked
        ) as r:
            statuses.append(r.status)

    assert statuses == [200, 401, 200]
    assert [request.key for request in fault_server.requests] == ["k2", "k1", "k1"]


async def test_what_is_always_so_comes_after_the_script(http, fault_server):
    fault_server.always(Status(503))
    fault_server.script(Status(429), Answer())

    statuses = []
    for _ in range(4):
        async with ask(http, fault_server) as response:
            statuses.append(response.status)

    assert statuses == [429, 200, 503, 503]


async def test_a_get_takes_no_step(http, fault_server):
    fault_server.script(Status(429))

    async with http.get(fault_server.origin + "/v1/models") as listed, ask(http, fault_server) as r:
        assert (listed.status, r.status) == (200, 429)


async def test_a_request_is_written_down_as_it_came(http, fault_server):
    headers = [("X-Twice", "a"), ("X-Twice", "b")]

    async with http.post(
        fault_server.origin + "/v1/messages?beta=true", data=b'{"model": "m" }', headers=headers
    ) as response:
        await response.read()

    [request] = fault_server.requests
    assert (request.method, request.path, request.query) == ("POST", "/v1/messages", "beta=true")
    assert (request.dialect, request.body, request.json) == (
        "anthropic",
        b'{"model": "m" }',
        {"model": "m"},
    )
    assert request.headers.getall("X-Twice") == ["a", "b"]
    assert set(headers) < set(request.raw_headers)
    assert request.finished


async def test_a_connection_is_known_again(http, fault_server):
    for _ in range(2):
        async with ask(http, fault_server) as response:
            await response.read()
    async with aiohttp.ClientSession() as other, ask(other, fault_server) as response:
        await response.read()

    first, second, third = (request.connection for request in fault_server.requests)
    assert first == second != third


@pytest.mark.parametrize("stall", [Stall(), Stall(frames=2)])
async def test_a_client_that_goes_away_is_noticed(http, fault_server, stall):
    fault_server.script(stall)

    async def wait_for_all():
        async with ask(http, fault_server) as response:
            await response.read()

    asking = asyncio.ensure_future(wait_for_all())
    await fault_server.until(
        lambda: bool(fault_server.requests and fault_server.requests[0].stalled)
    )
    asking.cancel()

    await fault_server.requests[0].closed.wait()
    await fault_server.until(lambda: fault_server.open_streams == 0)
    assert not fault_server.requests[0].finished


@pytest.mark.parametrize("step", [Answer(), CutAfter(frames=1), Reset(frames=1), Empty()])
async def test_an_end_made_by_the_server_is_no_client_gone(http, fault_server, step):
    fault_server.script(step)

    async with ask(http, fault_server) as response:
        await read(response)

    await fault_server.until(lambda: fault_server.open_streams == 0)
    assert fault_server.requests[0].finished
    assert not fault_server.requests[0].closed.is_set()


async def test_it_ends_though_a_client_still_waits(http):
    async with FaultServer() as server:
        server.script(Stall(frames=1))
        response = await ask(http, server)

    async with response:
        _, error = await read(response)
        assert error is not None
