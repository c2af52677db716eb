"""Settings reach the pool, and new ones do while requests run."""

import asyncio

import aiohttp
import pytest

from proxypal_core.settings.parse import parse
from tests.fault_server import Stall, Status
from tests.gateway.asking import TERMINAL, ask, begun, question, read, upstream
from tests.proxy import StoppedClock, proxy


def config(server, *keys, extra=""):
    return upstream(server, "anthropic", accounts=keys, extra=extra)


def reload(p, text):
    p.reload(parse(text, {}))


async def served(p, many, **options):
    """Who answers the next so many requests."""
    answers = [await ask(p, "anthropic", **options) for _ in range(many)]
    return [headers["x-proxypal-account"] for _, headers, _, _ in answers]


# ── what the settings say ────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("routing", "expected"),
    [
        ("{strategy: round_robin}", ["k1", "k2", "k3", "k1"]),
        ("{strategy: fill_first}", ["k1", "k1", "k1", "k1"]),
        ("{strategy: least_busy}", ["k1", "k2", "k3", "k1"]),
        ("{strategy: weighted}", ["k1", "k2", "k3", "k1"]),
        ("{order: {up: ['up:k3', 'up:k2']}}", ["k3", "k3", "k3", "k3"]),
    ],
)
async def test_the_way_accounts_take_turns_is_the_settings(fault_server, routing, expected):
    text = config(fault_server, "k1", "k2", "k3", extra=f"routing: {routing}")
    async with proxy(text) as p:
        found = await served(p, 4)

    assert found == [f"up:{key}" for key in expected]


async def test_weights_are_the_accounts_own(fault_server):
    text = config(fault_server, "k1", "k2", extra="routing: {strategy: weighted}").replace(
        'api_key: "k1', 'weight: 3, api_key: "k1'
    )
    async with proxy(text) as p:
        found = await served(p, 8)

    assert sorted(found) == ["up:k1"] * 6 + ["up:k2"] * 2


@pytest.mark.parametrize(
    ("ttl", "wait", "expected"),
    [("1h", 3600, "up:k1"), ("1h", 3601, "up:k2"), ("5m", 301, "up:k2")],
)
async def test_a_conversation_is_kept_for_as_long_as_the_settings_say(
    fault_server, ttl, wait, expected
):
    clock = StoppedClock()
    text = config(fault_server, "k1", "k2", extra=f"routing: {{affinity_ttl: {ttl}}}")
    async with proxy(text, clock=clock) as p:
        await served(p, 1, headers={"x-session-id": "s"})
        clock.at += wait
        found = await served(p, 1, headers={"x-session-id": "s"})

    assert found == [expected]


# ── other settings ───────────────────────────────────────────────────────────────────────────


async def test_a_new_account_serves_the_next_request(fault_server):
    async with proxy(config(fault_server, "k1")) as p:
        before = await served(p, 2)
        reload(p, config(fault_server, "k1", "k2"))
        after = await served(p, 2)

    assert (before, after) == (["up:k1"] * 2, ["up:k2", "up:k1"])


async def test_an_account_that_was_removed_is_asked_no_more(fault_server):
    async with proxy(config(fault_server, "k1", "k2")) as p:
        await served(p, 2)
        reload(p, config(fault_server, "k2"))
        found = await served(p, 3)

    assert found == ["up:k2"] * 3


async def test_an_account_that_stays_keeps_its_rest(fault_server):
    fault_server.script(Status(402), key="k1")
    async with proxy(config(fault_server, "k1", "k2")) as p:
        await served(p, 1)
        reload(p, config(fault_server, "k1", "k2", "k3"))
        found = await served(p, 4)

    assert sorted(found) == ["up:k2"] * 2 + ["up:k3"] * 2


async def test_one_with_another_key_begins_anew(fault_server):
    fault_server.always(Status(401), key="k1")
    async with proxy(config(fault_server, "k1")) as p:
        before, _, _, _ = await ask(p, "anthropic")
        reload(p, config(fault_server, "k1").replace('api_key: "k1', 'api_key: "renewed'))
        after, _, _, _ = await ask(p, "anthropic")

    assert (before, after) == (503, 200)
    assert fault_server.requests[-1].key == "renewed"


async def test_an_account_that_is_disabled_is_left_alone_from_then_on(fault_server):
    async with proxy(config(fault_server, "k1", "k2")) as p:
        text = config(fault_server, "k1", "k2")
        reload(p, text.replace('api_key: "k1', 'disabled: true, api_key: "k1'))
        found = await served(p, 3)

    assert found == ["up:k2"] * 3


async def test_another_order_is_kept_from_then_on(fault_server):
    text = config(fault_server, "k1", "k2", extra="routing: {order: {up: ['up:k1']}}")
    async with proxy(text) as p:
        before = await served(p, 2)
        reload(p, text.replace("['up:k1']", "['up:k2']"))
        after = await served(p, 2)

    assert (before, after) == (["up:k1"] * 2, ["up:k2"] * 2)


@pytest.mark.parametrize("dialect", TERMINAL)
async def test_a_stream_that_runs_is_finished_by_the_account_that_was_removed(
    fault_server, dialect
):
    fault_server.script(Stall(frames=begun(dialect)), key="k1")
    path, body = question(dialect)
    async with (
        proxy(upstream(fault_server, dialect, accounts=("k1",))) as p,
        aiohttp.ClientSession() as session,
        session.post(p.url + path, json=body) as answer,
    ):
        first = await answer.content.readany()
        reload(p, upstream(fault_server, dialect, accounts=("k2",)))
        _, headers, _, _ = await ask(p, dialect)
        fault_server.release()
        rest, whole = await read(answer)
        leased = p.gateway.front.services.pool.leased

    assert answer.headers["x-proxypal-account"] == "up:k1"
    assert headers["x-proxypal-account"] == "up:k2"
    assert whole
    assert TERMINAL[dialect] in first + rest
    assert leased == 0


@pytest.mark.parametrize("left", ["laptop", "phone"])
async def test_a_stream_is_cut_off_when_the_key_that_asked_for_it_is_taken_away(fault_server, left):
    fault_server.script(Stall(frames=begun("anthropic")), key="k1")
    path, body = question("anthropic")
    keys = "client_keys: [{{name: {0}, key: key-of-{0}}}]\n".format
    text = config(fault_server, "k1")
    async with (
        proxy(text + keys("laptop")) as p,
        aiohttp.ClientSession(headers={"x-api-key": "key-of-laptop"}) as session,
        session.post(p.url + path, json=body) as answer,
    ):
        await answer.content.readany()
        reload(p, text + keys(left))
        if left == "laptop":
            fault_server.release()
        _, whole = await read(answer)

    assert whole == (left == "laptop")


async def test_a_request_whose_account_is_removed_under_it_goes_on_with_the_next(fault_server):
    fault_server.script(Stall(then=Status(429)), key="k1")
    async with proxy(config(fault_server, "k1", "k2")) as p, asyncio.TaskGroup() as tasks:
        first = tasks.create_task(ask(p, "anthropic"))
        await fault_server.until(lambda: any(one.stalled for one in fault_server.requests))
        reload(p, config(fault_server, "k2"))
        fault_server.release()

    status, headers, _, whole = first.result()
    assert (status, whole) == (200, True)
    assert headers["x-proxypal-account"] == "up:k2"


async def test_its_counters_go_on(fault_server):
    async with proxy(config(fault_server, "k1")) as p:
        await served(p, 2)
        reload(p, config(fault_server, "k1", "k2"))
        await served(p, 2)
        found = {one.account.id: one.served for one in p.gateway.front.services.pool.standings}

    assert found == {"up:k1": 3, "up:k2": 1, "demo:built-in": 0}
