"""The life of a request, over real sockets: a real client, our server, an upstream that misbehaves."""

import asyncio

import aiohttp
import pytest

from proxypal_core.wire import jsonio
from tests.fault_server import (
    MARK,
    SCENARIOS,
    Answer,
    CleanEndAfter,
    CutAfter,
    Empty,
    ErrorInside,
    Gzip,
    Html,
    JsonErrorInside,
    Raw,
    Redirect,
    Refuse,
    Reset,
    Split,
    Stall,
    Status,
    Whole,
)
from tests.fault_server.transcripts import DIALECTS as SPELLINGS
from tests.gateway.asking import (
    DIALECTS,
    KEY_HEADER,
    TERMINAL,
    ask,
    begun,
    question,
    read,
    upstream,
)
from tests.proxy import ADMIN_KEY, StoppedClock, proxy

every_dialect = pytest.mark.parametrize("dialect", DIALECTS)


def spoken(dialect, scenario="text", model="m-1"):
    return b"".join(SPELLINGS[dialect].frames(SCENARIOS[scenario], model))


def stalled(server):
    """Whether the first request has come as far as its stall."""
    return bool(server.requests) and server.requests[0].stalled


# ── same dialect ─────────────────────────────────────────────────────────────────────────────


@every_dialect
@pytest.mark.parametrize("scenario", ["text", "tool", "parallel_tools", "thinking", "length"])
async def test_a_stream_leaves_as_it_came(fault_server, dialect, scenario):
    fault_server.script(Answer(scenario))
    async with proxy(upstream(fault_server, dialect)) as p:
        status, headers, body, whole = await ask(p, dialect)

    assert (status, whole) == (200, True)
    assert body == spoken(dialect, scenario)
    assert headers["x-proxypal-account"] == "up:k1"
    assert headers["x-proxypal-model"] == "up/m-1"
    assert headers["x-proxypal-attempts"] == "1"
    assert headers["x-request-id"]


@every_dialect
@pytest.mark.parametrize("every", [1, 7])
async def test_however_it_is_cut(fault_server, dialect, every):
    fault_server.script(Split(every=every, scenario="tool"))
    async with proxy(upstream(fault_server, dialect)) as p:
        _, _, body, whole = await ask(p, dialect)

    assert (body, whole) == (spoken(dialect, "tool"), True)


@every_dialect
async def test_a_whole_answer_leaves_as_it_came(fault_server, dialect):
    async with proxy(upstream(fault_server, dialect)) as p:
        status, headers, body, _ = await ask(p, dialect, stream=False)

    assert status == 200
    assert headers["content-type"].startswith("application/json")
    assert jsonio.loads(body) == SPELLINGS[dialect].whole(SCENARIOS["text"], "m-1")


@every_dialect
async def test_the_request_arrives_as_it_was_sent_but_for_the_credentials(fault_server, dialect):
    """Case 187."""
    path, body = question(dialect)
    sent = jsonio.dumps(body).replace(b":", b" : ", 1) + b"\n"
    headers = {
        "content-type": "application/json",
        "x-api-key": "client-secret",
        "authorization": "Bearer client-secret",
        "x-goog-api-key": "client-secret",
        "cookie": "a=b",
        "anthropic-beta": "x-1",
        "user-agent": "some-program/1",
    }
    async with (
        proxy(upstream(fault_server, dialect)) as p,
        aiohttp.ClientSession() as session,
        session.post(p.url + path, data=sent, headers=headers) as answer,
    ):
        await answer.read()

    [received] = fault_server.requests
    assert received.body == sent
    name, form = KEY_HEADER[dialect]
    assert received.headers[name] == form.format(f"k1{MARK}")
    assert "client-secret" not in str(received.raw_headers)
    assert "cookie" not in received.headers
    assert received.headers["user-agent"].startswith("proxypal/")
    assert received.headers["accept-encoding"] == "identity"
    assert ("anthropic-beta" in received.headers) == (dialect == "anthropic")


@every_dialect
@pytest.mark.parametrize("stream", [True, False])
async def test_the_answer_echoes_the_name_that_was_asked(fault_server, dialect, stream):  # case 191
    async with proxy(upstream(fault_server, dialect)) as p:
        _, _, body, _ = await ask(p, dialect, "up/m-1", stream=stream)

    [received] = fault_server.requests
    assert b"up/m-1" not in received.body
    assert "up/m-1" not in received.path
    assert b'"up/m-1"' in body
    assert b'"m-1"' not in body
    expected = spoken(dialect).replace(b'"m-1"', b'"up/m-1"')
    if stream:
        assert body == expected


@every_dialect
async def test_a_compressed_answer_is_read(fault_server, dialect):
    fault_server.script(Gzip())
    async with proxy(upstream(fault_server, dialect)) as p:
        _, _, body, whole = await ask(p, dialect)

    assert (body, whole) == (spoken(dialect), True)


@every_dialect
async def test_a_stream_answered_at_once_is_streamed_all_the_same(fault_server, dialect):
    """Case 162."""
    fault_server.script(Whole("tool"))
    async with proxy(upstream(fault_server, dialect)) as p:
        status, headers, body, whole = await ask(p, dialect)

    assert (status, whole) == (200, True)
    assert headers["content-type"] == "text/event-stream"
    assert TERMINAL[dialect] in body
    assert SCENARIOS["tool"].calls[0].name.encode() in body


# ── nothing ends cleanly that did not end ────────────────────────────────────────────────────

BREAKS = [CutAfter, CleanEndAfter, Reset, ErrorInside]


@every_dialect
@pytest.mark.parametrize("step", BREAKS, ids=lambda step: step.__name__)
async def test_an_answer_that_breaks_off_is_an_error_and_a_cut(fault_server, dialect, step):
    """Case 156."""
    fault_server.script(step(frames=begun(dialect)))
    async with proxy(upstream(fault_server, dialect, accounts=("k1", "k2"))) as p:
        status, _, body, whole = await ask(p, dialect)

    assert (status, whole) == (200, False)
    sent = b"".join(SPELLINGS[dialect].frames(SCENARIOS["text"], "m-1")[: begun(dialect)])
    assert body.startswith(sent)
    assert b"error" in body[len(sent) :]
    assert TERMINAL[dialect] not in body
    assert len(fault_server.requests) == 1


@every_dialect
@pytest.mark.parametrize(
    ("step", "status"),
    [
        (Status(500), 502),
        (Status(503), "busy"),
        (Status(529), "busy"),
        (Status(401), 503),
        (Status(403), 503),
        (Status(402), 429),
        (Status(429, retry_after=2), 429),
        (Status(400), 400),
        (Status(404), 404),
        (Html(502), 502),
        (Redirect("http://127.0.0.1:1/elsewhere"), 502),
        (Refuse(), 502),
        (Refuse(reset=True), 502),
        (Empty(), 502),
        (JsonErrorInside(529), "any"),
        (ErrorInside(frames=0), "any"),
    ],
    ids=str,
)
@pytest.mark.parametrize("stream", [True, False])
async def test_a_failure_before_content_is_a_status(fault_server, dialect, step, status, stream):
    """Case 158."""
    fault_server.always(step)
    async with proxy(upstream(fault_server, dialect)) as p:
        got, headers, body, whole = await ask(p, dialect, stream=stream)
    busy = 529 if dialect == "anthropic" else 503
    broken = 503 if dialect == "gemini" else 502  # Google's table has no 502

    assert whole
    expected = {"busy": [busy], "any": [busy, broken], 502: [broken]}.get(status, [status])
    assert got in expected
    assert headers["content-type"].startswith("application/json")
    assert set(jsonio.loads(body)) >= {"error"}
    assert b"k1" not in body.replace(b"up:k1", b"")  # an account may be named, its key may not
    if got == 429:
        assert int(headers["retry-after"]) >= 61
        assert headers["x-should-retry"] == "false"


# ── another account ──────────────────────────────────────────────────────────────────────────

FAILURES = [
    Status(429, retry_after=30),
    Status(402),
    Status(401),
    Status(403),
    Status(500),
    Status(529),
    Refuse(),
    Empty(),
    ErrorInside(frames=0),
    JsonErrorInside(429),
    CutAfter(frames=0),
]


@every_dialect
@pytest.mark.parametrize("step", FAILURES, ids=str)
async def test_the_next_account_answers_and_the_client_never_notices(fault_server, dialect, step):
    fault_server.always(step, key="k1")
    config = upstream(fault_server, dialect, accounts=("k1", "k2"))
    async with proxy(config) as p:
        status, headers, body, whole = await ask(p, dialect)

    assert (status, whole) == (200, True)
    assert body == spoken(dialect)
    assert headers["x-proxypal-account"] == "up:k2"
    assert headers["x-proxypal-attempts"] == "2"


@every_dialect
async def test_a_request_that_is_wrong_goes_straight_back(fault_server, dialect):
    fault_server.always(Status(400))
    async with proxy(upstream(fault_server, dialect, accounts=("k1", "k2"))) as p:
        status, headers, _, _ = await ask(p, dialect)

    assert status == 400
    assert headers["x-proxypal-attempts"] == "1"
    assert len(fault_server.requests) == 1


@every_dialect
async def test_when_all_rest_the_client_is_told_until_when(fault_server, dialect):
    clock = StoppedClock()
    fault_server.always(Status(429, retry_after=300))
    async with proxy(upstream(fault_server, dialect, accounts=("k1", "k2")), clock=clock) as p:
        await ask(p, dialect)
        status, headers, body, _ = await ask(p, dialect)
        assert (status, headers["retry-after"]) == (429, "300")
        assert headers["x-should-retry"] == "false"
        assert b"up:k1 (rate_limit until 2026-11-18T11:11:40Z)" in body
        assert len(fault_server.requests) == 2

        fault_server.always(Answer())
        clock.at += 300
        status, _, _, _ = await ask(p, dialect)
        assert status == 200


async def test_a_route_goes_on_to_another_provider(fault_server):
    fault_server.always(Status(529), key="a1")
    config = f"""
providers:
  - {{name: one, dialect: openai-chat, base_url: {fault_server.url("openai-chat")}}}
  - {{name: two, dialect: anthropic, base_url: {fault_server.url("anthropic")}}}
accounts:
  - {{id: "one:a", api_key: a1}}
  - {{id: "two:b", api_key: b1}}
models:
  - {{name: best, route: [one/x-1, two/y-1]}}
"""
    async with proxy(config) as p:
        status, headers, body, whole = await ask(p, "openai-chat", "best")

    assert (status, whole) == (200, True)
    assert headers["x-proxypal-model"] == "two/y-1"
    assert b'"model":"best"' in body
    assert TERMINAL["openai-chat"] in body


async def test_the_demo_shows_failover():
    config = "models:\n  - {name: demo-failover, route: [demo/fail-429, demo/echo]}"
    async with proxy(config) as p:
        status, headers, body, _ = await ask(p, "openai-chat", "demo-failover", text="Hi there")

    assert status == 200
    assert headers["x-proxypal-attempts"] == "2"
    assert headers["x-proxypal-model"] == "demo/echo"
    assert b"there" in body


# ── the client leaves, waits, reads slowly ───────────────────────────────────────────────────


@every_dialect
@pytest.mark.parametrize("answered", [False, True])
async def test_a_client_that_leaves_ends_the_upstream_request(fault_server, dialect, answered):
    """Case 159."""
    fault_server.script(Stall(frames=begun(dialect) if answered else None))
    async with proxy(upstream(fault_server, dialect)) as p:
        path, body = question(dialect)
        async with aiohttp.ClientSession() as session:
            asking = asyncio.ensure_future(session.post(p.url + path, json=body))
            await fault_server.until(lambda: stalled(fault_server))
            if answered:
                (await asking).close()
            asking.cancel()

        async with asyncio.timeout(5):
            await fault_server.requests[0].closed.wait()
            await fault_server.until(lambda: fault_server.open_streams == 0)


@every_dialect
async def test_while_an_account_thinks_the_client_gets_signs_of_life(fault_server, dialect):
    """Case 160."""
    fault_server.script(Stall())
    config = upstream(fault_server, dialect, extra="streaming: {hold: 10ms, heartbeat: 10ms}")
    async with proxy(config) as p, aiohttp.ClientSession() as session:
        path, body = question(dialect)
        async with session.post(p.url + path, json=body) as answer:
            assert answer.status == 200
            beats = await answer.content.read(64)
            await fault_server.until(lambda: stalled(fault_server))
            fault_server.release()
            rest, whole = await read(answer)

    assert whole
    assert (beats + rest).endswith(spoken(dialect))
    heartbeats = (beats + rest).removesuffix(spoken(dialect))
    assert heartbeats
    if dialect == "gemini":
        assert not heartbeats.strip()


@every_dialect
async def test_after_signs_of_life_a_failure_is_told_in_the_stream(fault_server, dialect):
    """Case 157."""
    fault_server.script(Stall(then=Status(500)), Status(500))
    config = upstream(fault_server, dialect, extra="streaming: {hold: 10ms, heartbeat: 10ms}")
    async with proxy(config) as p, aiohttp.ClientSession() as session:
        path, body = question(dialect)
        async with session.post(p.url + path, json=body) as answer:
            await answer.content.readany()
            await fault_server.until(lambda: stalled(fault_server))
            fault_server.release()
            rest, whole = await read(answer)

    assert not whole
    assert b"error" in rest
    assert TERMINAL[dialect] not in rest


async def test_after_signs_of_life_another_account_may_still_answer(fault_server):
    fault_server.script(Stall(then=Status(500)), key="k1")
    config = upstream(
        fault_server,
        "anthropic",
        accounts=("k1", "k2"),
        extra="streaming: {hold: 10ms, heartbeat: 10ms}",
    )
    async with proxy(config) as p, aiohttp.ClientSession() as session:
        path, body = question("anthropic")
        async with session.post(p.url + path, json=body) as answer:
            await answer.content.readany()
            await fault_server.until(lambda: stalled(fault_server))
            fault_server.release()
            rest, whole = await read(answer)

    assert whole
    assert rest.endswith(spoken("anthropic"))


@every_dialect
@pytest.mark.parametrize("frames", [None, 3])
async def test_silence_has_a_limit(fault_server, dialect, frames):
    fault_server.always(Stall(frames=frames))
    config = upstream(fault_server, dialect, extra="timeouts: {first_byte: 50ms, idle: 50ms}")
    async with proxy(config) as p:
        status, _, body, whole = await ask(p, dialect)

    assert (status, whole) in [(504, True), (200, False)]
    assert b"sent nothing" in body


# ── other forms ──────────────────────────────────────────────────────────────────────────────


async def test_gemini_without_sse_is_a_json_array(fault_server):  # case 164
    path, body = question("gemini")
    async with (
        proxy(upstream(fault_server, "gemini")) as p,
        aiohttp.ClientSession() as session,
        session.post(p.url + path.replace("?alt=sse", ""), json=body) as answer,
    ):
        received = await answer.read()

    assert answer.content_type == "application/json"
    frames = SPELLINGS["gemini"].frames(SCENARIOS["text"], "m-1")
    assert jsonio.loads(received) == [jsonio.loads(f.removeprefix(b"data: ")) for f in frames]


@pytest.mark.parametrize("stream", [True, False])
async def test_legacy_completions(fault_server, stream):
    async with (
        proxy(upstream(fault_server, "openai-chat")) as p,
        aiohttp.ClientSession() as session,
        session.post(
            p.url + "/v1/completions", json={"model": "m-1", "prompt": "Hi", "stream": stream}
        ) as answer,
    ):
        received = await answer.read()

    [request] = fault_server.requests
    assert request.path == "/v1/chat/completions"
    assert request.json["messages"] == [{"role": "user", "content": "Hi"}]
    assert answer.status == 200
    assert b"text_completion" in received
    assert b"chat.completion" not in received
    if stream:
        assert received.endswith(b"data: [DONE]\n\n")


@pytest.mark.parametrize("path", ["/v1/embeddings", "/openai/v1/moderations", "/v1/rerank"])
async def test_other_endpoints_are_passed_through(fault_server, path):
    async with (
        proxy(upstream(fault_server, "openai-chat")) as p,
        aiohttp.ClientSession() as session,
        session.post(p.url + path + "?a=b&key=k", json={"model": "up/m-1", "input": "x"}) as answer,
    ):
        await answer.read()

    [request] = fault_server.requests
    assert answer.status == 200
    assert request.path == "/v1/" + path.rpartition("/")[2]
    assert request.query == "a=b"
    assert request.json == {"model": "m-1", "input": "x"}
    assert request.key == "k1"


async def test_the_beta_in_the_query_is_no_part_of_the_address(fault_server):  # case 189
    path, body = question("anthropic", stream=False)
    async with (
        proxy(upstream(fault_server, "anthropic")) as p,
        aiohttp.ClientSession() as session,
        session.post(f"{p.url}{path}?beta=true", json=body) as answer,
    ):
        await answer.read()

    [request] = fault_server.requests
    assert answer.status == 200
    assert (request.path, request.query) == ("/v1/messages", "")


@pytest.mark.parametrize(("client", "beta"), [("anthropic", "a-1"), ("openai-chat", "")])
async def test_claude_codes_long_context_is_asked_for_in_a_header(  # case 192
    fault_server, client, beta
):
    config = upstream(fault_server, "anthropic").replace('"m-*"', '"claude-sonnet-4-5"')
    headers = {"anthropic-beta": beta} if beta else {}
    async with proxy(config) as p:
        status, _, body, _ = await ask(p, client, "up/claude-sonnet-4-5[1m]", headers=headers)

    [request] = fault_server.requests
    asked = request.headers["anthropic-beta"].split(", ")
    assert status == 200
    assert request.json["model"] == "claude-sonnet-4-5"
    assert asked == [*filter(None, [beta]), "context-1m-2025-08-07"]
    assert b'"up/claude-sonnet-4-5[1m]"' in body


@every_dialect
@pytest.mark.parametrize(
    ("step", "retry"), [(Status(500), "true"), (Status(529), "true"), (Status(400), None)]
)
async def test_a_client_is_told_whether_to_try_again(fault_server, dialect, step, retry):
    """Case 175; ``false`` is shown where every account rests."""
    fault_server.always(step)
    async with proxy(upstream(fault_server, dialect)) as p:
        _, headers, _, _ = await ask(p, dialect, stream=False)

    assert headers.get("x-should-retry") == retry


@every_dialect
@pytest.mark.parametrize("step", [Answer(), Status(400)])
async def test_every_answer_has_an_id_where_its_clients_look(fault_server, dialect, step):
    """Case 177."""
    fault_server.always(step)
    other = "gemini" if dialect == "anthropic" else "anthropic"
    async with proxy(upstream(fault_server, other)) as p:
        _, headers, _, _ = await ask(p, dialect, stream=False)

    assert headers["x-request-id"]
    assert headers["request-id"] == headers["x-request-id"]


async def test_a_form_is_passed_through_whole(fault_server):
    form = aiohttp.FormData()
    form.add_field("model", "m-1")
    form.add_field("file", b"\x00\x01RIFF", filename="a.wav", content_type="audio/wav")
    async with (
        proxy(upstream(fault_server, "openai-chat")) as p,
        aiohttp.ClientSession() as session,
        session.post(p.url + "/v1/audio/transcriptions", data=form) as answer,
    ):
        await answer.read()

    [request] = fault_server.requests
    assert answer.status == 200
    assert b"\x00\x01RIFF" in request.body
    assert request.headers["content-type"].startswith("multipart/form-data; boundary=")


@pytest.mark.parametrize("dialect", ["anthropic", "gemini"])
async def test_tokens_are_counted_where_the_provider_counts(fault_server, dialect):
    path, body = question(dialect, stream=False)
    path = path.replace("generateContent", "countTokens")
    path = path.replace("/messages", "/messages/count_tokens")
    async with (
        proxy(upstream(fault_server, dialect)) as p,
        aiohttp.ClientSession() as session,
        session.post(p.url + path, json=body) as answer,
    ):
        counted = await answer.json()

    assert answer.status == 200
    assert any(isinstance(value, int) for value in counted.values())
    assert fault_server.requests[0].path == path


# ── looking on ───────────────────────────────────────────────────────────────────────────────


@every_dialect
async def test_usage_is_read_on_the_side(fault_server, dialect):
    admin = {"Authorization": f"Bearer {ADMIN_KEY}"}
    async with (
        proxy(upstream(fault_server, dialect)) as p,
        aiohttp.ClientSession(headers=admin) as session,
        session.get(p.url + "/api/events") as events,
    ):
        await events.content.readuntil(b"\n\n")
        await ask(p, dialect)
        event = await events.content.readuntil(b"\n\n")

    record = jsonio.loads(event.split(b"data: ")[1])
    expected = SCENARIOS["text"]
    assert record["outcome"] == "served"
    assert record["status"] == 200
    assert record["attempts"] == [
        {"account": "up:k1", "model": "m-1", "outcome": "served", "duration": 0.0}
    ]
    assert record["usage"]["input_total"] == expected.input_tokens
    assert record["usage"]["output_total"] == expected.output_tokens
    assert record["usage"]["input_cached"] == expected.cached_tokens


@every_dialect
async def test_a_client_that_hangs_up_when_it_has_everything_was_served(fault_server, dialect):
    frames = len(SPELLINGS[dialect].frames(SCENARIOS["text"], "m-1"))
    fault_server.script(Stall(frames=frames))
    admin = {"Authorization": f"Bearer {ADMIN_KEY}"}
    async with (
        proxy(upstream(fault_server, dialect)) as p,
        aiohttp.ClientSession(headers=admin) as session,
        session.get(p.url + "/api/events") as events,
    ):
        await events.content.readuntil(b"\n\n")
        path, body = question(dialect)
        async with session.post(p.url + path, json=body) as answer:
            received = b""
            while received != spoken(dialect):
                received += await answer.content.readany()
        event = await events.content.readuntil(b"\n\n")

    record = jsonio.loads(event.split(b"data: ")[1])
    assert (record["outcome"], record["status"]) == ("served", 200)
    assert record["usage"]["output_total"] == 31


@pytest.mark.parametrize(
    ("client", "provider"), [(c, p) for c in DIALECTS for p in DIALECTS if c != p]
)
async def test_an_answer_that_cannot_be_read_is_the_providers_fault(fault_server, client, provider):
    odd = {"choices": [{"message": 5, "finish_reason": "stop"}], "content": [5], "output": [5],
           "candidates": [{"content": {"parts": [5]}, "finishReason": "STOP"}], "status": "completed",
           "stop_reason": "end_turn"}  # fmt: skip
    fault_server.always(Raw(200, {"content-type": "application/json"}, [jsonio.dumps(odd)]))
    async with proxy(upstream(fault_server, provider, accounts=("k1", "k2"))) as p:
        status, headers, body, _ = await ask(p, client, stream=False)

    assert status in (502, 503)
    assert headers["x-proxypal-attempts"] == "2"
    assert b"error" in body


@pytest.mark.parametrize("client", DIALECTS)
async def test_a_request_that_cannot_be_read_is_the_clients_fault(fault_server, client):
    provider = "anthropic" if client != "anthropic" else "openai-chat"
    path, body = question(client, stream=False)
    for field in ("messages", "input", "contents"):
        if field in body:
            body[field] = [7]
    async with (
        proxy(upstream(fault_server, provider)) as p,
        aiohttp.ClientSession() as session,
        session.post(p.url + path, json=body) as answer,
    ):
        error = jsonio.loads(await answer.read())["error"]

    assert answer.status == 400
    assert "[0]" in error["message"]
    assert fault_server.requests == []
