"""What every shared state promises, whatever it is kept in."""

import asyncio
import time
from contextlib import asynccontextmanager
from functools import reduce
from itertools import count

import msgspec
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from proxypal_core.accounts.health import Count, Health, merged
from proxypal_core.accounts.shared_affinity import Binding
from proxypal_core.accounts.shared_ledger import Used
from proxypal_core.shared.local import Local
from proxypal_core.shared.redis import Redis
from proxypal_core.shared.state import Known, Record, Report

NOW = 1_795_000_000.0
_tenants = count(1)


class InMemory:
    """Members that live in one process."""

    def __init__(self):
        self._local = Local(time.time)

    def member(self, name):
        return self._local

    def forget(self):
        self._local.forget()


class InRedis:
    """Members that have connections of their own."""

    def __init__(self, server):
        self._server = server
        self._tenant = f"contract-{next(_tenants)}"
        self._members = []

    def member(self, name):
        self._members.append(Redis(self._server.url, self._tenant, name, timeout=10.0))
        return self._members[-1]

    def forget(self):
        self._server.flush()

    async def close(self):
        for member in self._members:
            await member.close()


@pytest.fixture(params=["local", "redis"])
def place(request):
    """Makes a shared state that nobody has used."""
    server = request.getfixturevalue("redis_at") if request.param == "redis" else None

    @asynccontextmanager
    async def made():
        if server is None:
            yield InMemory()
            return
        shared = InRedis(server)
        try:
            yield shared
        finally:
            await shared.close()

    return made


def law(test):
    """Checked with few examples: each asks a server. The place is made anew in each."""
    return settings(
        max_examples=20,
        phases=[Phase.generate],
        suppress_health_check=[HealthCheck.function_scoped_fixture],
    )(test)


def report(replica, number=1, **told):
    return Report(replica=replica, number=number, **told)


times = st.integers(0, 100_000).map(lambda ms: round(NOW + ms / 1000, 3))
healths = st.builds(
    Health,
    reason=st.sampled_from(["rate_limit", "billing", "auth"]),
    failed_at=times,
    rests_until=times.map(lambda at: round(at + 1e9, 3)),
    barred_until=times,
    counts=st.dictionaries(
        st.sampled_from(["rate", "billing"]), st.builds(Count, st.integers(1, 9), times)
    ),
)
members = st.sampled_from(["a", "b", "c"])


# ── laws ─────────────────────────────────────────────────────────────────────────────────────


@law
@given(told=st.lists(st.tuples(members, st.sampled_from(["x", "y"]), healths), max_size=6))
def test_all_hear_of_every_rest_the_longest_whoever_tells_it_and_when(place, told):
    async def heard():
        async with place() as shared:
            for number, (name, key, health) in enumerate(told, 1):
                await shared.member(name).exchange(report(name, number, rests={key: health}))
            return (await shared.member("d").exchange(report("d"))).rests

    rests = asyncio.run(heard())

    assert rests == {
        key: reduce(merged, [health for _, other, health in told if other == key])
        for key in {key for _, key, _ in told}
    }


@law
@given(
    amounts=st.lists(
        st.tuples(members, st.integers(0, 9), st.integers(0, 900), st.integers(1, 3)), max_size=6
    )
)
def test_what_was_taken_is_counted_once_however_often_it_is_told(place, amounts):
    async def heard():
        async with place() as shared:
            for number, (name, requests, tokens, often) in enumerate(amounts, 1):
                told = report(
                    name,
                    number,
                    used={"key": Used(requests, tokens, requests / 4)},
                    usage={"requests": requests},
                    day="20261121",
                )
                for _ in range(often):
                    await shared.member(name).exchange(told)
            news = await shared.member("d").exchange(report("d", used={"key": Used()}))
            return news.used["key"], await shared.member("d").usage("20261121")

    total, usage = asyncio.run(heard())

    requests = sum(row[1] for row in amounts)
    assert sum(total.requests.values()) == requests
    assert sum(total.tokens.values()) == sum(row[2] for row in amounts)
    assert total.spent == pytest.approx(requests / 4)
    assert usage.get("requests", 0) == requests


@law
@given(
    told=st.lists(st.tuples(members, st.dictionaries(st.sampled_from("xyz"), st.integers(1, 9))))
)
def test_in_flight_is_the_sum_of_what_each_told_last(place, told):
    async def heard():
        async with place() as shared:
            for number, (name, in_flight) in enumerate(told, 1):
                await shared.member(name).exchange(report(name, number, in_flight=in_flight))
            return (await shared.member("d").exchange(report("d"))).in_flight

    totals = asyncio.run(heard())

    last = dict(told).values()
    assert totals == {
        account: sum(each.get(account, 0) for each in last)
        for account in {account for each in last for account in each}
    }


@law
@given(writers=st.integers(2, 8))
def test_of_those_who_write_over_the_same_generation_one_succeeds(place, writers):
    async def written():
        async with place() as shared:
            one = shared.member("a")
            await one.put("n", Record(5, "a", "k", "first"), expected=0)
            wrote = await asyncio.gather(
                *(
                    shared.member(str(number)).put(
                        "n", Record(6 + number, str(number), "k", "next"), expected=5
                    )
                    for number in range(writers)
                )
            )
            return wrote, (await one.records())["n"]

    wrote, record = asyncio.run(written())

    assert wrote.count(True) == 1
    assert record.by == str(wrote.index(True))


@law
@given(holders=st.integers(2, 12))
def test_a_lock_is_had_by_one_at_a_time(place, holders):
    async def had():
        async with place() as shared:
            one = shared.member("a")
            first = await asyncio.gather(
                *(one.acquire("lock", str(number), 30.0) for number in range(holders))
            )
            owner = first.index(True)
            await one.release("lock", "somebody else")
            still = await one.acquire("lock", "x", 30.0)
            await one.release("lock", str(owner))
            return first, still, await one.acquire("lock", "x", 30.0)

    first, still, after = asyncio.run(had())

    assert first.count(True) == 1
    assert (still, after) == (False, True)


# ── examples ─────────────────────────────────────────────────────────────────────────────────

RESTS = Health("rate_limit", NOW, NOW + 1e9, NOW + 60)


async def test_a_rest_that_is_cleared_is_gone_for_all(place):
    async with place() as shared:
        await shared.member("a").exchange(report("a", rests={"x": RESTS}))
        await shared.member("b").exchange(report("b", cleared={"x": NOW}))
        news = await shared.member("a").exchange(report("a", 2))

    assert news.rests == {}


async def test_a_rest_that_is_newer_than_what_is_cleared_stays(place):
    later = msgspec.structs.replace(RESTS, failed_at=NOW + 1)
    async with place() as shared:
        await shared.member("a").exchange(report("a", rests={"x": later}))
        news = await shared.member("b").exchange(report("b", cleared={"x": NOW}))

    assert news.rests == {"x": later}


async def test_a_rest_of_long_ago_is_not_kept(place):
    old = Health("rate_limit", 1e9, 1e9 + 60, 1e9)
    async with place() as shared:
        await shared.member("a").exchange(report("a", rests={"x": old}))
        news = await shared.member("b").exchange(report("b"))

    assert news.rests == {}


async def test_rests_that_are_known_are_not_told_again(place):
    async with place() as shared:
        first = await shared.member("a").exchange(report("a", rests={"x": RESTS}))
        second = await shared.member("a").exchange(report("a", 2, known=first.known))

    assert (first.rests, second.rests) == ({"x": RESTS}, None)


async def test_moved_conversations_are_heard_once_and_in_order(place):
    rows = [Binding("p", f"s{number}", "p:a") for number in range(7)]
    async with place() as shared:
        await shared.member("a").exchange(report("a", bound=rows[:3]))
        first = await shared.member("b").exchange(report("b"))
        await shared.member("a").exchange(report("a", 2, bound=rows[3:]))
        second = await shared.member("b").exchange(report("b", 2, known=first.known))
        third = await shared.member("b").exchange(report("b", 3, known=second.known))

    assert [*first.bound] == rows[:3]
    assert [*second.bound] == rows[3:]
    assert [*third.bound] == []


async def test_replicas_are_counted(place):
    async with place() as shared:
        for name in "abc":
            news = await shared.member(name).exchange(report(name))

    assert news.replicas == 3


async def test_a_budget_that_was_spent_before_counts_once_for_all(place):
    async with place() as shared:
        await shared.member("a").exchange(report("a", used={"k": Used(usd=1.0, seen=5.0)}))
        news = await shared.member("b").exchange(report("b", used={"k": Used(usd=2.0, seen=4.0)}))

    assert news.used["k"].spent == pytest.approx(8.0)


async def test_others_are_nudged_by_what_is_urgent(place):
    async with place() as shared:
        one, two = shared.member("a"), shared.member("b")
        nudges = two.nudges()
        nudged = asyncio.ensure_future(anext(nudges))
        while not nudged.done():  # who has just begun to listen may miss the first
            await one.exchange(report("a", urgent=True))
            await asyncio.wait([nudged], timeout=0.01)
        await nudges.aclose()

    assert nudged.exception() is None


async def test_a_removed_record_is_there_as_removed(place):
    async with place() as shared:
        one = shared.member("a")
        await one.put("n", Record(1, "a", "k", "text"), expected=0)
        before = await one.exchange(report("a"))
        removed = await one.put("n", Record(2, "a", "k"), expected=1)
        after = await one.exchange(report("a", 2))
        records = await one.records()

    assert removed
    assert records == {"n": Record(2, "a", "k", "")}
    assert before.records != after.records


async def test_who_forgets_everything_says_so(place):
    async with place() as shared:
        one = shared.member("a")
        before = await one.exchange(report("a", rests={"x": RESTS}))
        shared.forget()
        after = await one.exchange(report("a", 2, known=Known()))

    assert before.epoch != after.epoch
    assert after.rests == {}
