"""What a pool seldom meets: accounts that are gone, clocks that jump, more than it keeps."""

import pytest

from proxypal_core.accounts.account import Account
from proxypal_core.accounts.health import WELL, Health
from proxypal_core.accounts.lease import NoneReady, Target
from proxypal_core.accounts.limits import Gauge
from proxypal_core.accounts.pool import Pool
from proxypal_core.accounts.standing import Bookkeeping
from proxypal_core.hub.failure import Failure, Kind

BROKE = Failure(Kind.BILLING, "no credit")
OVERLOADED = Failure(Kind.OVERLOADED, "overloaded")
KEPT = 256


class Clock:
    def __init__(self):
        self.now = 1_000_000.0

    def __call__(self):
        return self.now


def account(name, **fields):
    return Account(id=f"p:{name}", provider="p", **fields)


def pool_of(*names, clock=None, **options):
    return Pool([account(name) for name in names], clock=clock or Clock(), **options)


def take(pool, *models, **options):
    return pool.lease([Target("p", model) for model in models or ("m",)], **options)


def gauge(name):
    return Gauge(name, "account", 0.5, 2_000_000.0)


def test_the_accounts_stand_in_the_order_in_which_they_were_given():
    assert [one.id for one in pool_of("b", "a").accounts] == ["p:b", "p:a"]


def test_nobody_is_ready_for_nothing():
    with pytest.raises(NoneReady) as none:
        pool_of("a").lease([])

    assert (none.value.waiting, none.value.resumes_at) == ((), None)


def test_who_lost_its_credit_is_not_well_again_for_an_answer_that_had_begun_before():
    pool = pool_of("a")
    first, second = take(pool), take(pool)
    pool.failed(second, BROKE)

    pool.served(first)

    (standing,) = pool.standings
    assert standing.health.reason == "billing"
    assert standing.served == 1


def test_the_limits_of_an_account_that_was_removed_are_not_noted():
    pool = pool_of("a")
    lease = take(pool)
    pool.replace([])

    pool.note(lease, [gauge("requests")])

    assert pool.standings == []


def test_of_more_limits_than_are_kept_the_first_noted_are_forgotten():
    pool = pool_of("a")
    lease = take(pool)

    pool.note(lease, [gauge(str(number)) for number in range(KEPT + 2)])

    (standing,) = pool.standings
    assert [name for _, name in standing.gauges] == [str(n) for n in range(2, KEPT + 2)]


def test_of_more_models_than_are_kept_the_soonest_well_is_forgotten():
    clock, rows = Clock(), {}
    pool = pool_of("a", clock=clock, changed=lambda row: rows.update({row.model: row.health}))
    for number in range(KEPT + 1):
        lease = take(pool, f"m{number}")
        pool.failed(lease, Failure(Kind.MODEL, "no such model"))
        clock.now += 0.001

    (standing,) = pool.standings
    assert len(standing.models) == KEPT
    assert "m0" not in standing.models
    assert rows["m0"] == WELL


def test_the_others_are_explained_to_a_request_that_pins_one():
    found = pool_of("a", "b").explain([Target("p", "m", profile="p:b")])

    assert [(one.account, one.state, one.reason) for one in found] == [
        ("p:b", "ready", ""),
        ("p:a", "unfit", "another account is pinned"),
    ]


@pytest.mark.parametrize(("apart", "first"), [(1, "other"), (4, "p")])
def test_troubles_of_a_provider_add_up_only_when_they_are_close(apart, first):
    clock = Clock()
    other = Account(id="other:a", provider="other", priority=-1)
    pool = Pool([account("a"), other], clock=clock)
    for _ in range(5):
        pool.failed(take(pool), OVERLOADED)
        clock.now += apart

    lease = pool.lease([Target("p", "m"), Target("other", "m")])

    assert lease.account.provider == first


def test_an_account_that_rests_for_two_models_is_back_with_the_first_of_them():
    clock = Clock()
    pool = pool_of("a", clock=clock)
    for model, wait in (("long", 600), ("short", 90), ("longest", 900)):
        limited = Failure(Kind.RATE_LIMIT, "slow down", retry_after=wait)
        pool.failed(take(pool, model), limited)

    with pytest.raises(NoneReady) as none:
        take(pool, "long", "short", "longest")

    assert [(one.account, one.until - clock.now) for one in none.value.waiting] == [("p:a", 90)]


def test_what_was_noted_of_an_account_that_is_gone_is_passed_over():
    pool = pool_of("a")

    pool.restore([Bookkeeping("p:gone", used=41), Bookkeeping("p:a", served=7)])

    (standing,) = pool.standings
    assert standing.served == 7
    assert take(pool).number == 42


def test_an_account_that_is_barred_for_one_reason_and_rests_longer_for_another_does_both():
    clock = Clock()
    pool = pool_of("a", clock=clock)
    now = clock.now
    pool.restore(
        [
            Bookkeeping("p:a", health=Health("billing", now, now + 100, now + 100)),
            Bookkeeping("p:a", "m", health=Health("rate_limit", now, now + 500, now + 50)),
        ]
    )

    (barred,) = pool.explain([Target("p", "m")])
    clock.now += 200
    (resting,) = pool.explain([Target("p", "m")])

    assert (barred.state, barred.reason, barred.until) == ("barred", "billing", now + 100)
    assert (resting.state, resting.until) == ("resting", now + 500)
