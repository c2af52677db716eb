"""What only a server of its own can do: hang, restart, and forget who is there."""

import asyncio
import time

import aiohttp
import pytest

from proxypal_core.shared.redis import Redis
from proxypal_core.shared.state import ALIVE, Report, Unreachable
from tests.proxy import ADMIN_KEY, proxy
from tests.redis_server import MISSING, PROGRAM, redis_server
from tests.running import free_port

pytestmark = pytest.mark.skipif(PROGRAM is None, reason=MISSING)


@pytest.fixture
async def session():
    async with aiohttp.ClientSession() as made:
        yield made


def report(replica, number=1, **told):
    return Report(replica=replica, number=number, **told)


async def test_a_server_that_hangs_is_waited_for_as_long_as_is_said_and_then_answers_again():
    with redis_server() as server:
        shared = Redis(server.url, "t", "a", timeout=0.05)
        await shared.exchange(report("a"))
        server.hang()
        began = time.perf_counter()
        with pytest.raises(Unreachable):
            await shared.exchange(report("a", 2))
        took = time.perf_counter() - began
        server.go_on()
        while True:
            try:
                news = await shared.exchange(report("a", 2))
                break
            except Unreachable:
                await asyncio.sleep(0)
        await shared.close()

    assert took < 1.0
    assert news.replicas == 1


async def test_a_server_that_was_started_again_needs_no_new_connection_of_ours():
    with redis_server() as server:
        shared = Redis(server.url, "t", "a", timeout=10.0)
        before = await shared.exchange(report("a"))
        server.kill()
        with pytest.raises(Unreachable):
            await shared.exchange(report("a", 2))
        server.start()
        after = await shared.exchange(report("a", 2))
        await shared.close()

    assert before.epoch != after.epoch


async def test_who_is_silent_is_no_longer_there_and_has_nothing_in_flight(redis_at):
    one = Redis(redis_at.url, "silent", "a", timeout=10.0)
    await one.exchange(report("a", in_flight={"x": 2}))
    await one.exchange(report("b", in_flight={"x": 3, "y": 1}))
    with redis_at.asked() as client:
        client.zincrby("pp:{silent}:replicas", -2 * ALIVE, "b")

    news = await one.exchange(report("a", 2, in_flight={"x": 2}))
    await one.close()

    assert (news.replicas, news.in_flight) == (1, {"x": 2})


async def test_tenants_know_nothing_of_each_other(redis_at):
    one, other = (Redis(redis_at.url, name, "a", timeout=10.0) for name in ("t1", "t2"))
    await one.exchange(report("a", in_flight={"x": 2}, urgent=True))

    news = await other.exchange(report("b"))
    for each in (one, other):
        await each.close()

    assert (news.replicas, news.in_flight) == (1, {})


async def test_what_cannot_be_reached_is_said_without_its_address():
    shared = Redis(f"redis://:hush-hush@127.0.0.1:{free_port()}", "t", "a")

    with pytest.raises(Unreachable) as refused:
        await shared.exchange(report("a"))
    await shared.close()

    assert str(refused.value) == "Redis: ConnectionError"


async def test_what_is_there_and_not_ours_is_no_answer(redis_at):
    shared = Redis(redis_at.url, "foreign", "a", timeout=10.0)
    with redis_at.asked() as client:
        client.hset("pp:{foreign}:records", "name", "no JSON")

    with pytest.raises(Unreachable):
        await shared.records()
    await shared.close()


# ── a proxy ──────────────────────────────────────────────────────────────────────────────────


async def test_a_proxy_without_its_redis_serves_and_says_that_it_is_degraded(session):
    config = f"state: {{backend: redis, url: 'redis://127.0.0.1:{free_port()}'}}\n"

    async with proxy(config) as p:
        async with session.get(f"{p.url}/health") as health:
            told = health.status, await health.json()
        async with session.get(
            f"{p.url}/api/replicas", headers={"Authorization": f"Bearer {ADMIN_KEY}"}
        ) as answer:
            replicas = await answer.json()

    assert told[0] == 200
    assert told[1]["status"] == "degraded"
    assert replicas["why_not"] == "Redis: ConnectionError"


async def test_a_proxy_that_shares_nothing_is_one_of_one(session):
    async with proxy() as p:
        async with session.get(f"{p.url}/health") as health:
            told = await health.json()
        async with session.get(
            f"{p.url}/api/replicas", headers={"Authorization": f"Bearer {ADMIN_KEY}"}
        ) as answer:
            replicas = await answer.json()

    assert told["status"] == "ok"
    assert "shared_state" not in told
    assert replicas == {"reachable": True, "replicas": 1}
