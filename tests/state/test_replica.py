"""Two replicas in one process: what one meets, the other knows."""

import asyncio
from itertools import count
from types import SimpleNamespace

import pytest

from proxypal_core.accounts.account import Account
from proxypal_core.accounts.affinity import Session
from proxypal_core.accounts.client_keys import ClientKey
from proxypal_core.accounts.lease import NoneReady, Target
from proxypal_core.accounts.pool import Pool
from proxypal_core.app.clock import Clock
from proxypal_core.app.replica import Replica
from proxypal_core.gateway.feed import Feed
from proxypal_core.gateway.recorder import Standings
from proxypal_core.hub.failure import Failure, Kind
from proxypal_core.hub.messages import Usage
from proxypal_core.metering import Record
from proxypal_core.shared.link import FAILURES
from proxypal_core.shared.local import Local
from proxypal_core.shared.state import Unreachable
from tests.running import PATIENCE
from tests.state.test_shared_vault import machines

NOW = 1_795_000_000.0
TARGET = Target("p", "m")
LIMITED = Failure(Kind.RATE_LIMIT, "slow down", scope="account")
KEY = ClientKey("laptop", b"", requests_per_minute=4)


class Shared(Local):
    up = True

    async def exchange(self, report):
        if not self.up:
            raise Unreachable("gone")
        return await super().exchange(report)


class Daemon:
    """A pool and what shares it, by a clock that is *behind* the server's."""

    def __init__(self, name, shared, *, behind=0.0, vault=None):
        ids = count(1)
        self.clock = Clock(
            now=lambda: NOW - behind,
            sleep=lambda _: asyncio.sleep(0),
            jitter=lambda: 0.5,
            new_id=lambda: f"{name}{next(ids)}",
        )
        self.replica = Replica(shared, name, clock=self.clock, affinity_ttl=3600.0, vault=vault)
        self.replica.ledger.watch([KEY])
        standings = Standings(lambda _: None, Feed(), tell=self.replica.noted)
        self.pool = Pool(
            [
                Account(id="p:a", provider="p"),
                Account(id="p:b", provider="p", max_concurrency=2),
            ],
            clock=self.clock.now,
            affinity=self.replica.affinity,
            changed=standings.note,
        )
        self.replica.use(self.pool, {}, weighted=False)

    def rest_of(self, account):
        return next(
            one.health.rests_until for one in self.pool.standings if one.account.id == account
        )

    def fail(self, account="p:a"):
        lease = self.pool.lease([Target("p", "m", profile=account)])
        self.pool.failed(lease, LIMITED)


async def exchanged(*daemons, times=2):
    for _ in range(times):
        for daemon in daemons:
            await daemon.replica.link.once()


@pytest.mark.parametrize("behind", [0.0, 3600.0, -3600.0])
async def test_an_account_that_is_limited_on_one_rests_on_the_other_as_long_by_its_own_clock(
    behind,
):
    shared = Shared(lambda: NOW)
    one, other = Daemon("a", shared), Daemon("b", shared, behind=behind)
    await exchanged(one, other)

    one.fail()
    await exchanged(one, other)

    assert one.rest_of("p:a") == NOW + 60
    assert other.rest_of("p:a") == NOW - behind + 60


async def test_what_is_forgotten_on_one_is_forgotten_on_the_other():
    shared = Shared(lambda: NOW)
    one, other = Daemon("a", shared), Daemon("b", shared)
    one.fail()
    await exchanged(one, other)

    other.pool.reset("p:a")
    await exchanged(other, one)

    assert one.rest_of("p:a") == other.rest_of("p:a") == 0.0


async def test_what_one_heard_it_does_not_tell_again():
    shared = Shared(lambda: NOW)
    one, other = Daemon("a", shared), Daemon("b", shared)
    one.fail()
    await exchanged(one, other)
    version = shared._version

    await exchanged(one, other, times=4)

    assert shared._version == version


async def test_a_server_that_forgot_everything_is_told_again_who_rests():
    shared = Shared(lambda: NOW)
    one, other = Daemon("a", shared), Daemon("b", shared)
    one.fail()
    await exchanged(one, other)

    shared.forget()
    await exchanged(one, other)

    assert [health.rests_until for health in shared._rests.values()] == [NOW + 60]
    assert one.rest_of("p:a") == other.rest_of("p:a") == NOW + 60


async def test_rests_of_the_time_without_a_server_are_merged_the_longest_counts():
    shared = Shared(lambda: NOW)
    one, other = Daemon("a", shared), Daemon("b", shared)
    await exchanged(one, other)
    shared.up = False
    await exchanged(one, other)
    one.fail()
    lease = other.pool.lease([Target("p", "m", profile="p:a")])
    other.pool.failed(lease, LIMITED, rest=600.0)
    shared.up = True

    await exchanged(one, other, times=3)  # the first sends again what was not answered

    assert one.rest_of("p:a") == other.rest_of("p:a") == NOW + 600


async def test_a_limit_is_everybody_s_and_alone_each_has_its_part():
    shared = Shared(lambda: NOW)
    one, other = Daemon("a", shared), Daemon("b", shared)
    for daemon in (one, other):
        daemon.replica.ledger.admit(KEY)
    await exchanged(one, other)
    together = other.replica.ledger.quotas(KEY)[0].left
    shared.up = False
    await exchanged(one, other, times=FAILURES)

    alone = [daemon.replica.ledger.quotas(KEY)[0].left for daemon in (one, other)]

    assert together == 2
    assert alone == [1, 1]
    assert one.replica.standing() == {"reachable": False, "replicas": 2}


async def test_requests_in_flight_count_everywhere_and_alone_their_most_is_divided():
    shared = Shared(lambda: NOW)
    one, other = Daemon("a", shared), Daemon("b", shared)
    pinned = Target("p", "m", profile="p:b")
    for _ in range(2):
        one.pool.lease([pinned])
    await exchanged(one, other)
    with pytest.raises(NoneReady):
        other.pool.lease([pinned])
    shared.up = False
    await exchanged(one, other, times=FAILURES)

    other.pool.lease([pinned])

    with pytest.raises(NoneReady):
        other.pool.lease([pinned])


async def test_a_conversation_that_had_to_move_is_found_by_the_other():
    shared = Shared(lambda: NOW)
    one, other = Daemon("a", shared), Daemon("b", shared)
    chat = Session("chat")
    home = one.pool.lease([TARGET], session=chat).account.id
    one.fail(home)
    moved = one.pool.lease([TARGET], session=chat).account.id
    await exchanged(one, other)
    other.pool.reset()  # the account is back, and the conversation stays

    found = other.pool.lease([TARGET], session=chat).account.id

    assert moved != home
    assert found == moved


async def test_what_all_have_used_today_is_told():
    shared = Shared(lambda: NOW)
    one, other = Daemon("a", shared), Daemon("b", shared)
    record = Record(
        id="1",
        at=NOW,
        dialect="",
        path="",
        served_by="p:a",
        outcome="served",
        usage=Usage(5, 0, 0, 7, 0),
        cost=0.5,
    )
    one.replica.count(record)
    other.replica.count(record)

    await exchanged(one, other)
    seen = await one.replica.seen()

    assert seen["used_today"] == {"p:a": {"requests": 2, "input": 10, "output": 14, "usd": 1.0}}
    assert seen["when_gone"]["logins"]["fails"] == "closed"


async def test_what_is_written_in_one_vault_comes_to_the_other_while_they_run(tmp_path):
    shared = Shared(lambda: NOW)
    one, other = machines(tmp_path, shared)
    daemons = [Daemon(name, shared, vault=m.shared) for name, m in (("a", one), ("b", other))]
    running = [asyncio.ensure_future(daemon.replica.run()) for daemon in daemons]
    one.write("p:a", key="first")

    async with asyncio.timeout(PATIENCE):
        for _ in range(2):
            while "p:a" not in other.profiles:
                for daemon in daemons:
                    daemon.replica.link.soon()
                await asyncio.sleep(0.001)
            shared.forget()
            other.remove("p:a")
            one.write("p:a", key="again")
    for task in running:
        task.cancel()
    await asyncio.gather(*running, return_exceptions=True)

    assert one.profiles["p:a"]["key"] == "again"


async def test_a_vault_that_cannot_be_shared_is_told_and_the_rest_goes_on(tmp_path, monkeypatch):
    told = []
    log = SimpleNamespace(info=lambda *_, **__: None, warning=lambda event, **_: told.append(event))
    monkeypatch.setattr("proxypal_core.app.replica.log", log)
    shared = Shared(lambda: NOW)
    [machine] = machines(tmp_path, shared, 1)
    machine.write("p:a", key="first")
    machine.vault.path.write_bytes(b"no vault")
    daemon = Daemon("a", shared, vault=machine.shared)
    running = asyncio.ensure_future(daemon.replica.run())
    async with asyncio.timeout(PATIENCE):
        while "the vault cannot be shared" not in told:
            daemon.replica.link.soon()
            await asyncio.sleep(0.001)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)

    assert daemon.replica.link.reachable


async def test_who_ends_tells_what_is_left_to_tell():
    shared = Shared(lambda: NOW)
    one, other = Daemon("a", shared), Daemon("b", shared)
    await exchanged(one, other)
    one.fail()

    await one.replica.close()
    await exchanged(other)

    assert other.rest_of("p:a") == NOW + 60
