"""Which account answers next, and which rests."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxypal_core.accounts.account import Account, Secret, masked
from proxypal_core.accounts.pool import SELECTORS, NoneReady, Pool, Target
from proxypal_core.accounts.verdict import VERDICTS, Ladders, rest_seconds
from proxypal_core.hub.failure import Failure, Kind

LIMITED = Failure(Kind.RATE_LIMIT, "slow down")


class Clock:
    def __init__(self, now=1000.0):
        self.now = now

    def __call__(self):
        return self.now


def pool_of(*names, clock=None, **options):
    accounts = [Account(id=f"p:{name}", provider="p") for name in names]
    return Pool(accounts, clock=clock or Clock(), **options)


def take(pool, *models, **options):
    return pool.lease([Target("p", model) for model in models or ("m",)], **options)


def test_accounts_take_turns():
    pool = pool_of("a", "b", "c")

    names = [take(pool).account.id for _ in range(6)]

    assert names == ["p:a", "p:b", "p:c"] * 2


def test_a_limited_account_rests_and_the_next_one_answers():
    pool = pool_of("a", "b")
    pool.settle(take(pool), LIMITED)

    assert [take(pool).account.id for _ in range(3)] == ["p:b"] * 3


def test_it_comes_back_when_its_rest_is_over():
    clock = Clock()
    pool = pool_of("a", clock=clock)
    pool.settle(take(pool), LIMITED)

    with pytest.raises(NoneReady) as none:
        take(pool)
    assert none.value.resumes_at == clock.now + 60
    assert [rest.reason for rest in none.value.resting] == ["rate_limit"]

    clock.now += 60
    assert take(pool).account.id == "p:a"


def test_a_limit_of_one_model_leaves_the_others():
    pool = pool_of("a")
    pool.settle(take(pool, "big"), LIMITED)

    assert take(pool, "small").account.id == "p:a"
    with pytest.raises(NoneReady):
        take(pool, "big")


def test_no_money_rests_the_whole_account():
    pool = pool_of("a")
    pool.settle(take(pool, "big"), Failure(Kind.BILLING, "no credit"))

    with pytest.raises(NoneReady) as none:
        take(pool, "small")

    assert none.value.resumes_at == 1000 + 5 * 3600


def test_an_answer_clears_what_was_held_against_the_account():
    clock = Clock()
    pool = pool_of("a", clock=clock)
    pool.settle(take(pool), LIMITED)
    clock.now += 60
    pool.served(take(pool))
    pool.settle(take(pool), LIMITED)

    with pytest.raises(NoneReady) as none:
        take(pool)

    assert none.value.resumes_at == clock.now + 60


def test_failures_in_a_row_climb_the_ladder():
    clock = Clock()
    pool = pool_of("a", clock=clock)
    rests = []
    for _ in range(5):
        pool.settle(take(pool), LIMITED)
        with pytest.raises(NoneReady) as none:
            take(pool)
        rests.append(none.value.resumes_at - clock.now)
        clock.now = none.value.resumes_at

    assert rests == [60, 300, 1500, 3600, 3600]


def test_failures_far_apart_do_not_add_up():
    clock = Clock()
    pool = pool_of("a", clock=clock)
    pool.settle(take(pool), LIMITED)
    clock.now += 25 * 3600
    pool.settle(take(pool), LIMITED)

    with pytest.raises(NoneReady) as none:
        take(pool)

    assert none.value.resumes_at == clock.now + 60


def test_the_next_target_is_asked_when_the_first_has_nobody():
    accounts = [Account(id="p:a", provider="p"), Account(id="q:a", provider="q")]
    pool = Pool(accounts, clock=Clock())
    targets = [Target("p", "m"), Target("q", "n")]
    first = pool.lease(targets)
    pool.settle(first, LIMITED)

    second = pool.lease(targets)

    assert (second.account.id, second.model) == ("q:a", "n")


def test_what_was_tried_is_not_tried_again():
    pool = pool_of("a", "b")
    first = take(pool)
    second = take(pool, tried=[first])

    assert {first.account.id, second.account.id} == {"p:a", "p:b"}
    with pytest.raises(NoneReady) as none:
        take(pool, tried=[first, second])
    assert none.value.resumes_at is None


def test_priority_goes_before_turns_and_a_pin_before_all():
    accounts = [
        Account(id="p:spare", provider="p"),
        Account(id="p:first", provider="p", priority=5),
    ]
    pool = Pool(accounts, clock=Clock())

    assert [take(pool).account.id for _ in range(2)] == ["p:first"] * 2
    assert pool.lease([Target("p", "m", profile="p:spare")]).account.id == "p:spare"


def test_a_full_account_waits_until_a_lease_comes_back():
    pool = Pool([Account(id="p:a", provider="p", max_concurrency=1)], clock=Clock())
    lease = take(pool)
    with pytest.raises(NoneReady):
        take(pool)

    pool.settle(lease, None)

    assert take(pool).account.id == "p:a"


def test_models_are_matched_by_pattern():
    account = Account(id="p:a", provider="p", models=["claude-*"], excluded_models=["*-opus-*"])

    assert account.serves("claude-sonnet-4-5")
    assert not account.serves("claude-opus-4-5")
    assert not account.serves("gpt-5")


@pytest.mark.parametrize("strategy", SELECTORS)
def test_every_strategy_gives_each_account_work_or_says_why_not(strategy):
    pool = pool_of("a", "b", strategy=strategy)

    leased = {take(pool).account.id for _ in range(4)}

    assert leased == ({"p:a"} if strategy == "fill_first" else {"p:a", "p:b"})


def test_weights_share_the_work():
    accounts = [
        Account(id="p:big", provider="p", weight=3),
        Account(id="p:small", provider="p", weight=1),
    ]
    pool = Pool(accounts, clock=Clock(), strategy="weighted")

    names = [take(pool).account.id for _ in range(8)]

    assert names.count("p:big") == 6


def test_every_kind_of_failure_has_a_verdict():
    assert set(VERDICTS) == set(Kind)


@given(st.sampled_from(list(Kind)), st.integers(1, 50), st.none() | st.floats(0, 1e6))
def test_a_provider_that_names_a_later_time_is_obeyed(kind, failures, stated):
    seconds = rest_seconds(Failure(kind, "", retry_after=stated), failures, Ladders())

    assert seconds >= (stated or 0)
    assert seconds >= 60


@given(
    st.lists(
        st.tuples(st.integers(0, 2), st.sampled_from([None, *Kind]), st.floats(0, 400)), max_size=60
    )
)
def test_a_resting_account_is_never_leased_and_no_lease_is_lost(steps):
    clock = Clock()
    pool = pool_of("a", "b", "c", clock=clock)
    in_flight = []
    for which, outcome, seconds in steps:
        clock.now += seconds
        resting = {rest.account for rest in pool.resting()}
        try:
            lease = take(pool, f"m{which}")
        except NoneReady:
            assert len({name.split()[0] for name in resting}) == 3
            continue
        assert lease.account.id not in resting
        assert f"{lease.account.id} m{which}" not in resting
        in_flight.append(lease)
        if which:
            pool.settle(in_flight.pop(), Failure(outcome, "") if outcome else None)
    for lease in in_flight:
        pool.served(lease)

    assert all(candidate.in_flight == 0 for candidate in pool._candidates.values())


def test_a_secret_shows_that_it_is_there_and_nothing_else():
    secret = Secret("sk-very-secret")

    assert "very" not in f"{secret} {secret!r} {Account(id='p:a', provider='p', secret=secret)!r}"
    assert secret.reveal() == "sk-very-secret"
    assert not Secret("")


@pytest.mark.parametrize(
    ("account", "shown"),
    [
        ("anthropic:ann@example.com", "anthropic:a***@example.com"),
        ("anthropic:work", "anthropic:work"),
        ("demo:built-in", "demo:built-in"),
    ],
)
def test_an_e_mail_is_masked(account, shown):
    assert masked(account) == shown
