"""With some accounts failing, in every way there is, the client never notices while one is well."""

import asyncio

import aiohttp
import pytest

from tests.fault_server import (
    Answer,
    CleanEndAfter,
    CutAfter,
    Empty,
    ErrorInside,
    Html,
    JsonErrorInside,
    Malformed,
    Raw,
    Redirect,
    Refuse,
    Reset,
    Stall,
    Status,
)
from tests.gateway.asking import DIALECTS, ask, question, read, upstream
from tests.gateway.test_sdks import ASKING, TEXT
from tests.proxy import StoppedClock, proxy

pytestmark = pytest.mark.filterwarnings(  # google-genai leaves answers that it cannot read open
    "ignore:Unclosed connection:ResourceWarning"
)

every_dialect = pytest.mark.parametrize("dialect", DIALECTS)
both_ways = pytest.mark.parametrize("stream", [True, False], ids=["stream", "whole"])
HEALTHY = "k4"
FAILING = ("k1", "k2", "k3")

FAILURES = {
    "limited": Status(429),
    "limited-until": Status(429, retry_after=30),
    "broke": Status(402),
    "logged-out": Status(401),
    "forbidden": Status(403),
    "model-unknown": Status(404),
    "broken": Status(500),
    "busy": Status(503),
    "overloaded": Status(529),
    "gateway-page": Html(502),
    "redirect": Redirect("http://127.0.0.1:1/elsewhere"),
    "refused": Refuse(),
    "reset": Refuse(reset=True),
    "empty": Empty(),
    "json-error-in-200": JsonErrorInside(529),
    "no-json": Raw(200, {"content-type": "application/json"}, [b"<html>"]),
    "silent": Stall(),
}
IN_STREAMS = {
    "error-first": ErrorInside(frames=0),
    "cut-first": CutAfter(frames=0),
    "reset-first": Reset(frames=0),
    "clean-end-first": CleanEndAfter(frames=0),
    "broken-event-first": Malformed(),
}


def four_accounts(server, dialect, extra=""):
    return upstream(server, dialect, accounts=(*FAILING, HEALTHY), extra=extra)


@pytest.mark.parametrize("dialect", ASKING)
@pytest.mark.parametrize(
    ("failure", "stream"),
    [
        *((name, stream) for name in FAILURES for stream in (True, False)),
        *((name, True) for name in IN_STREAMS),
    ],
)
async def test_the_sdks_get_their_answer_while_one_account_is_well(
    fault_server, dialect, failure, stream
):
    for key in FAILING:
        fault_server.always({**FAILURES, **IN_STREAMS}[failure], key=key)
    # A silent account is waited for in earnest, and each time.
    extra, times = ("timeouts: {first_byte: 1s}", 1) if failure == "silent" else ("", 3)
    async with proxy(four_accounts(fault_server, dialect, extra)) as p:
        found = [await ASKING[dialect](p, "m-1", stream=stream) for _ in range(times)]
        fault_server.release()

    assert found == [(TEXT, [])] * times


@every_dialect
@pytest.mark.parametrize("failing", [0, 1, 2, 3])
async def test_as_many_accounts_are_asked_as_it_takes(fault_server, dialect, failing):
    for key in FAILING[:failing]:
        fault_server.always(Status(429), key=key)
    async with proxy(upstream(fault_server, dialect, accounts=("k1", "k2", "k3", "k4"))) as p:
        status, headers, _, whole = await ask(p, dialect)

    assert (status, whole) == (200, True)
    assert headers["x-proxypal-attempts"] == str(failing + 1)
    assert headers["x-proxypal-account"] == f"up:k{failing + 1}"


async def test_accounts_that_refuse_at_once_cost_no_attempt(fault_server):
    keys = tuple(f"k{number}" for number in range(10))
    for key in keys[:-1]:
        fault_server.always(Status(429), key=key)
    async with proxy(upstream(fault_server, "anthropic", accounts=keys)) as p:
        status, headers, _, _ = await ask(p, "anthropic")

    assert (status, headers["x-proxypal-attempts"]) == (200, "10")


@pytest.mark.parametrize(("most", "asked"), [(1, 1), (2, 2), (4, 4)])
async def test_attempts_that_fail_are_bounded(fault_server, most, asked):
    fault_server.always(Status(500))
    keys = tuple(f"k{number}" for number in range(10))
    extra = f"routing: {{max_attempts: {most}}}"
    async with proxy(upstream(fault_server, "anthropic", accounts=keys, extra=extra)) as p:
        status, headers, _, _ = await ask(p, "anthropic")

    assert (status, headers["x-proxypal-attempts"]) == (502, str(asked))
    assert len(fault_server.requests) == asked


# ── one account ──────────────────────────────────────────────────────────────────────────────


@every_dialect
@pytest.mark.parametrize("failure", [Status(500), Status(529), Refuse(), Empty()], ids=str)
async def test_a_lone_account_is_asked_again_after_a_hiccup(fault_server, dialect, failure):
    fault_server.script(failure)
    clock = StoppedClock()
    began = clock.at
    async with proxy(upstream(fault_server, dialect), clock=clock) as p:
        status, headers, _, whole = await ask(p, dialect)

    assert (status, whole) == (200, True)
    assert headers["x-proxypal-attempts"] == "2"
    assert 0.5 <= clock.at - began <= 2


async def test_once(fault_server):
    fault_server.always(Status(529))
    async with proxy(upstream(fault_server, "anthropic")) as p:
        status, headers, _, _ = await ask(p, "anthropic")

    assert (status, headers["x-should-retry"]) == (529, "true")
    assert len(fault_server.requests) == 2


@every_dialect
@both_ways
async def test_a_rest_of_seconds_is_waited_out_inside(fault_server, dialect, stream):
    fault_server.script(Status(429, retry_after=3))
    clock = StoppedClock()
    began = clock.at
    async with proxy(upstream(fault_server, dialect), clock=clock) as p:
        status, headers, _, whole = await ask(p, dialect, stream=stream)

    assert (status, whole) == (200, True)
    assert clock.at - began == 3
    assert headers["x-proxypal-attempts"] == "2"


@every_dialect
async def test_heartbeats_are_sent_while_it_is_waited_out(fault_server, dialect):
    fault_server.script(Status(429, retry_after=3))
    clock, over = StoppedClock(), asyncio.Event()

    async def sleep(seconds):
        await over.wait()
        clock.at += seconds

    clock.sleep = sleep
    extra = "streaming: {hold: 10ms, heartbeat: 10ms}"
    async with (
        proxy(upstream(fault_server, dialect, extra=extra), clock=clock) as p,
        aiohttp.ClientSession() as session,
    ):
        path, body = question(dialect)
        async with session.post(p.url + path, json=body) as answer:
            beat = await answer.content.readany()
            over.set()
            rest, whole = await read(answer)

    assert answer.status == 200
    assert beat
    assert whole
    assert b"The lake" in rest


@pytest.mark.parametrize(("stated", "told"), [(10, 61), (61, 61), (300, 300), (None, 61)])
@every_dialect
async def test_a_longer_rest_is_told_with_its_end(fault_server, dialect, stated, told):
    fault_server.always(Status(429, retry_after=stated))
    async with proxy(upstream(fault_server, dialect)) as p:
        status, headers, _, _ = await ask(p, dialect)
        again, headers_again, _, _ = await ask(p, dialect)

    assert (status, again) == (429, 429)
    assert headers["retry-after"] == headers_again["retry-after"] == str(told)
    assert headers["x-should-retry"] == headers_again["x-should-retry"] == "false"
    assert len(fault_server.requests) == 1


@every_dialect
async def test_who_rests_is_told_without_an_e_mail(fault_server, dialect):
    fault_server.always(Status(429))
    config = (
        f"providers: [{{name: up, dialect: {dialect}, base_url: {fault_server.url(dialect)}}}]\n"
        "accounts:\n"
        '  - {id: "up:ann.lee@example.com", api_key: k1, models: [m-1]}\n'
        '  - {id: "up:work", api_key: k2, models: [m-1]}\n'
    )
    async with proxy(config) as p:
        _, _, body, _ = await ask(p, dialect)

    assert b"ann.lee" not in body
    assert b"up:a***@example.com (rate_limit until 20" in body
    assert b"up:work (rate_limit until 20" in body


@pytest.mark.parametrize("status", [401, 403])
@every_dialect
async def test_when_all_are_logged_out_it_is_not_the_clients_key(fault_server, dialect, status):
    fault_server.always(Status(status))
    async with proxy(upstream(fault_server, dialect, accounts=("k1", "k2"))) as p:
        got, headers, body, _ = await ask(p, dialect)

    assert got == 503
    assert headers["x-should-retry"] == "false"
    assert b"proxypal models status" in body


async def test_a_busy_account_is_queued_for(fault_server):
    config = (
        f"providers: [{{name: up, dialect: anthropic, base_url: {fault_server.url('anthropic')}}}]\n"
        'accounts: [{id: "up:k1", api_key: k1, max_concurrency: 1}]\n'
    )
    fault_server.script(Stall())
    async with proxy(config) as p, asyncio.TaskGroup() as tasks:
        first = tasks.create_task(ask(p, "anthropic", "up/m-1"))
        await fault_server.until(lambda: any(one.stalled for one in fault_server.requests))
        second = tasks.create_task(ask(p, "anthropic", "up/m-1"))
        while not p.gateway.front.services.queue.length:  # noqa: ASYNC110 — it has no bell
            await asyncio.sleep(0)
        fault_server.release()

    assert [first.result()[0], second.result()[0]] == [200, 200]
    assert len(fault_server.requests) == 2


async def test_a_queue_that_does_not_move_is_left(fault_server):
    config = (
        f"providers: [{{name: up, dialect: anthropic, base_url: {fault_server.url('anthropic')}}}]\n"
        'accounts: [{id: "up:k1", api_key: k1, max_concurrency: 1}]\n'
        "routing: {queue_timeout: 20ms}\n"
    )
    fault_server.script(Stall())
    async with proxy(config) as p, asyncio.TaskGroup() as tasks:
        first = tasks.create_task(ask(p, "anthropic", "up/m-1"))
        await fault_server.until(lambda: any(one.stalled for one in fault_server.requests))
        status, headers, body, _ = await ask(p, "anthropic", "up/m-1")
        fault_server.release()

    assert (status, headers["retry-after"]) == (529, "2")
    assert b"max_concurrency" in body
    assert first.result()[0] == 200


# ── routes ───────────────────────────────────────────────────────────────────────────────────


def two_providers(server, extra="", accounts=("a1", "a2", "a3", "a4")):
    rows = "\n".join(f'  - {{id: "one:{key}", api_key: {key}}}' for key in accounts)
    return f"""
providers:
  - {{name: one, dialect: openai-chat, base_url: {server.url("openai-chat")}}}
  - {{name: two, dialect: anthropic, base_url: {server.url("anthropic")}}}
accounts:
{rows}
  - {{id: "two:b", api_key: b1}}
models:
  - {{name: best, route: [one/x-1, two/y-1]}}
{extra}
"""


@pytest.mark.parametrize("failure", [Status(529), Status(500), Status(503), Refuse()], ids=str)
async def test_a_provider_in_trouble_does_not_use_up_the_attempts(fault_server, failure):
    for key in ("a1", "a2", "a3", "a4"):
        fault_server.always(failure, key=key)
    async with proxy(two_providers(fault_server)) as p:
        status, headers, _, _ = await ask(p, "openai-chat", "best")

    assert (status, headers["x-proxypal-model"]) == (200, "two/y-1")
    assert int(headers["x-proxypal-attempts"]) <= 3


async def test_an_unreachable_provider_is_left_at_once(fault_server):
    config = two_providers(fault_server).replace(
        fault_server.url("openai-chat"), "http://127.0.0.1:9/v1"
    )
    async with proxy(config) as p:
        status, headers, _, _ = await ask(p, "openai-chat", "best")

    assert (status, headers["x-proxypal-model"]) == (200, "two/y-1")
    assert headers["x-proxypal-attempts"] == "2"


async def test_a_model_that_one_provider_does_not_know_is_asked_of_the_next(fault_server):
    fault_server.always(Status(404), key="a1")
    async with proxy(two_providers(fault_server, accounts=("a1",))) as p:
        status, headers, _, _ = await ask(p, "openai-chat", "best")

    assert (status, headers["x-proxypal-model"]) == (200, "two/y-1")


async def test_an_owners_rule_has_the_last_word(fault_server):
    refusal = {"error": {"message": "Not in your region", "type": "x", "code": None}}
    fault_server.always(Status(403, body=refusal), key="a1")
    rule = "cooldowns: {rules: [{provider: one, status: 403, text: region, means: request}]}"
    async with proxy(two_providers(fault_server, rule, accounts=("a1",))) as p:
        status, headers, body, _ = await ask(p, "openai-chat", "best")

    assert (status, headers["x-proxypal-attempts"]) == (400, "1")
    assert b"Not in your region" in body


async def test_an_order_is_kept(fault_server):
    order = "routing: {order: {one: ['one:a3', 'one:a1']}}"
    async with proxy(two_providers(fault_server, order)) as p:
        served = []
        for failing in (None, "a3", "a1"):
            if failing:
                fault_server.always(Status(429), key=failing)
            _, headers, _, _ = await ask(p, "openai-chat", "best")
            served.append(headers["x-proxypal-account"])

    assert served == ["one:a3", "one:a1", "two:b"]


async def test_an_account_that_runs_dry_is_spared_before_its_first_429(fault_server):
    dry = {
        "anthropic-ratelimit-requests-limit": "50",
        "anthropic-ratelimit-requests-remaining": "0",
        "anthropic-ratelimit-requests-reset": "2026-11-18T11:07:40Z",
    }
    fault_server.always(Status(200, body=_anthropic_answer(), headers=dry), key="k1")
    config = upstream(fault_server, "anthropic", accounts=("k1", "k2"))
    clock = StoppedClock()
    async with proxy(config, clock=clock) as p:
        served = []
        for _ in range(4):
            _, headers, _, _ = await ask(p, "anthropic", stream=False)
            served.append(headers["x-proxypal-account"])
        clock.at += 60
        _, headers, _, _ = await ask(p, "anthropic", stream=False)

    assert served == ["up:k1", "up:k2", "up:k2", "up:k2"]
    assert headers["x-proxypal-account"] == "up:k1"


def _anthropic_answer():
    return {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "m-1",
        "content": [{"type": "text", "text": "Hello."}],
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": {"input_tokens": 1, "output_tokens": 1},
    }


# ── conversations ────────────────────────────────────────────────────────────────────────────


@every_dialect
async def test_a_named_conversation_stays_on_its_account(fault_server, dialect):
    async with proxy(upstream(fault_server, dialect, accounts=("k1", "k2", "k3"))) as p:
        served = []
        for session in ("a", "b", "a", "b", "a", "b"):
            _, headers, _, _ = await ask(p, dialect, headers={"x-session-id": session})
            served.append(headers["x-proxypal-account"])

    assert served == ["up:k1", "up:k2"] * 3


async def test_it_does_not_where_the_settings_say_so(fault_server):
    extra = "routing: {session_affinity: false}"
    async with proxy(upstream(fault_server, "anthropic", accounts=("k1", "k2"), extra=extra)) as p:
        served = []
        for _ in range(4):
            _, headers, _, _ = await ask(p, "anthropic", headers={"x-session-id": "a"})
            served.append(headers["x-proxypal-account"])

    assert served == ["up:k1", "up:k2"] * 2


# ── a day ────────────────────────────────────────────────────────────────────────────────────

NOON = 1_795_003_200.0  # 2026-11-18T12:00:00Z


async def test_an_always_on_agents_day(fault_server):
    """In the morning one provider does the work; at noon it is limited until two, and the other
    takes over; at two it is back. The agent never notices.
    """
    clock = StoppedClock(NOON - 4 * 3600)
    config = f"""
providers:
  - {{name: claude-plan, dialect: anthropic, base_url: {fault_server.url("anthropic")}}}
  - {{name: gpt-plan, dialect: openai-responses, base_url: {fault_server.url("openai-responses")}}}
accounts:
  - {{id: "claude-plan:pro", api_key: claude}}
  - {{id: "gpt-plan:plus", api_key: gpt}}
models:
  - {{name: agent, route: [claude-plan/claude-sonnet-4-5, gpt-plan/gpt-5]}}
"""
    limited = Status(
        429,
        headers={
            "anthropic-ratelimit-unified-status": "rejected",
            "anthropic-ratelimit-unified-5h-status": "rejected",
            "anthropic-ratelimit-unified-5h-reset": str(int(NOON + 2 * 3600)),
            "anthropic-ratelimit-unified-reset": str(int(NOON + 2 * 3600)),
        },
    )
    day = []
    async with proxy(config, clock=clock) as p:
        while clock.at < NOON + 6 * 3600:
            at_limit = NOON <= clock.at < NOON + 2 * 3600
            fault_server.always(limited if at_limit else Answer(), key="claude")
            status, headers, _, whole = await ask(p, "anthropic", "agent")
            assert (status, whole) == (200, True)
            hour = 12 + (clock.at - NOON) / 3600
            day.append((hour, headers["x-proxypal-model"].partition("/")[0]))
            clock.at += 600

    assert {who for hour, who in day if hour < 12 or hour >= 14} == {"claude-plan"}
    assert {who for hour, who in day if 12 <= hour < 14} == {"gpt-plan"}
    assert len([one for one in fault_server.requests if one.key == "claude"]) == 24 + 24 + 1
