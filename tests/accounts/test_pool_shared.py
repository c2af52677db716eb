"""What a pool makes of what other replicas know."""

from functools import reduce
from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxypal_core.accounts.account import Account
from proxypal_core.accounts.affinity import Session
from proxypal_core.accounts.health import WELL, Count, Health, merged, moved
from proxypal_core.accounts.lease import NoneReady, Target
from proxypal_core.accounts.pool import Pool
from proxypal_core.accounts.shared_affinity import SharedAffinity
from proxypal_core.hub.failure import Failure, Kind

NOW = 1_795_000_000.0
TARGET = Target("p", "m")
REST = Health("rate_limit", NOW, NOW + 60, NOW + 60, {"rate": Count(2, NOW, 0)})

times = st.integers(0, 1000).map(lambda seconds: NOW + seconds)
healths = st.builds(
    Health,
    st.sampled_from(["rate_limit", "billing"]),
    times,
    times,
    times,
    st.dictionaries(st.sampled_from(["rate", "login"]), st.builds(Count, st.integers(1, 4), times)),
)


def pool_of(*accounts, **options):
    made = [Account(id=one, provider="p") if isinstance(one, str) else one for one in accounts]
    return Pool(made, clock=lambda: NOW, **options)


# ── laws ─────────────────────────────────────────────────────────────────────────────────────


@given(told=st.lists(healths, min_size=1, max_size=3))
def test_it_makes_no_difference_in_which_order_and_how_often_rests_are_heard(told):
    expected = reduce(merged, told)

    for order in permutations(told):
        assert reduce(merged, [*order, *order]) == expected


@given(health=healths, by=st.integers(-1000, 1000))
def test_a_health_by_another_clock_and_back_is_as_it_was(health, by):
    assert moved(moved(health, by), -by) == health


@given(health=healths)
def test_a_pool_that_hears_the_same_twice_tells_it_once(health):
    told = []
    pool = pool_of("a", changed=told.append)

    pool.merge("a", "", health)
    first = len(told)
    pool.merge("a", "", health)

    assert len(told) == first


# ── rests ────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("model", ["", "m"])
def test_an_account_that_another_replica_saw_limited_is_not_asked(model):
    pool = pool_of("a", "b")

    pool.merge("a", model, REST)

    assert [pool.lease([TARGET]).account.id for _ in range(3)] == ["b"] * 3


@pytest.mark.parametrize("model", ["", "m"])
def test_a_rest_that_is_forgotten_elsewhere_is_forgotten_here(model):
    pool = pool_of("a")
    pool.merge("a", model, REST)

    pool.forget("a", model, NOW - 1)
    with pytest.raises(NoneReady):
        pool.lease([TARGET])
    pool.forget("a", model, NOW)

    assert pool.lease([TARGET]).account.id == "a"


def test_failures_that_another_replica_saw_make_the_next_rest_longer():
    pool = pool_of("a")
    pool.merge(
        "a", "m", Health("rate_limit", NOW - 61, NOW - 1, NOW - 1, {"rate": Count(1, NOW - 61)})
    )

    pool.failed(pool.lease([TARGET]), Failure(Kind.RATE_LIMIT, "slow down"))

    [standing] = pool.standings
    assert standing.models["m"].rests_until == NOW + 300


def test_what_was_asked_before_the_rest_was_heard_of_does_not_lengthen_it():
    pool = pool_of("a")
    lease = pool.lease([TARGET])
    pool.merge("a", "m", REST)

    pool.failed(lease, Failure(Kind.RATE_LIMIT, "slow down"))

    [standing] = pool.standings
    assert standing.models["m"].counts["rate"].failures == 2


def test_accounts_that_are_not_here_are_passed_over():
    pool = pool_of("a")

    pool.merge("gone", "", REST)
    pool.forget("gone", "", NOW)
    pool.forget("a", "", NOW)

    assert pool.standings[0].health == WELL


# ── in flight ────────────────────────────────────────────────────────────────────────────────


def test_what_others_have_in_flight_counts_for_an_account_s_most():
    pool = pool_of(Account(id="a", provider="p", max_concurrency=3), "b")
    pool.lease([Target("p", "m", profile="a")])

    pool.share({"a": 2})

    assert pool.in_flight == {"a": 1}
    assert pool.lease([TARGET]).account.id == "b"
    assert pool.lease([TARGET]).account.id == "b"


def test_without_the_others_an_account_s_most_is_divided():
    pool = pool_of(Account(id="a", provider="p", max_concurrency=4))
    pool.divide(3)

    for _ in range(2):
        pool.lease([TARGET])

    with pytest.raises(NoneReady):
        pool.lease([TARGET])


def test_the_account_with_the_least_to_do_anywhere_is_asked():
    pool = pool_of("a", "b", strategy="least_busy")
    pool.share({"a": 5})

    assert {pool.lease([TARGET]).account.id for _ in range(3)} == {"b"}


# ── conversations ────────────────────────────────────────────────────────────────────────────


def test_two_pools_keep_a_conversation_on_one_account_without_a_word():
    found = set()
    for _ in range(2):
        affinity = SharedAffinity(3600.0, lambda: None)
        pool = pool_of("a", "b", "c", affinity=affinity)
        affinity.use(pool.accounts, {}, weighted=False)
        found |= {pool.lease([TARGET], session=Session("chat")).account.id for _ in range(3)}

    assert len(found) == 1
