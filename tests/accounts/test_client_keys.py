"""How much a client key may be used."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxypal_core.accounts import client_keys
from proxypal_core.accounts.client_keys import MINUTE, ClientKey, Ledger, month_of, next_month

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC).timestamp()


class Clock:
    def __init__(self, at=NOON):
        self.at = at

    def __call__(self):
        return self.at


class Spent:
    """What was spent before, by name."""

    def __init__(self, **usd):
        self.usd = usd
        self.asked = []

    def spent(self, client, since):
        self.asked.append((client, since))
        return self.usd.get(client, 0.0)


def key(name="laptop", **limits):
    return ClientKey(name, b"digest", **limits)


def ledger(*keys, clock=None, spending=None):
    made = Ledger(clock or Clock(), spending)
    made.watch(keys)
    return made


waits = st.floats(0, 90)


@given(st.lists(waits, max_size=60), st.integers(1, 5))
def test_no_minute_has_more_requests_than_the_limit(pauses, limit):
    clock, laptop = Clock(), key(requests_per_minute=limit)
    counted = ledger(laptop, clock=clock)
    admitted = []
    for pause in pauses:
        clock.at += pause
        if not counted.admit(laptop):
            admitted.append(clock.at)

    for at in admitted:
        assert sum(at - MINUTE < one <= at for one in admitted) <= limit


@given(st.lists(waits, min_size=1, max_size=40), st.integers(1, 5))
def test_a_request_is_admitted_when_the_time_that_was_told_is_over(pauses, limit):
    clock, laptop = Clock(), key(requests_per_minute=limit)
    counted = ledger(laptop, clock=clock)
    for pause in pauses:
        clock.at += pause
        reached = counted.admit(laptop)
        if reached:
            before = clock.at
            clock.at = before + reached[0].resets_in + 1e-3

            assert 0 < reached[0].resets_in <= MINUTE
            assert not counted.admit(laptop)


@given(st.lists(st.tuples(waits, st.integers(0, 900)), max_size=40))
def test_what_is_left_of_the_tokens_is_what_the_last_minute_left(uses):
    clock, laptop = Clock(), key(tokens_per_minute=1000)
    counted = ledger(laptop, clock=clock)
    taken = []
    for pause, tokens in uses:
        clock.at += pause
        counted.used(laptop, tokens, 0.0)
        taken.append((clock.at, tokens))
        recent = sum(many for at, many in taken if at > clock.at - MINUTE)
        (quota,) = counted.quotas(laptop)

        assert quota.left == max(0, 1000 - recent)


def test_the_request_that_crosses_a_limit_of_tokens_is_answered_and_the_next_is_not():
    laptop = key(tokens_per_minute=1000)
    counted = ledger(laptop)

    assert not counted.admit(laptop)
    counted.used(laptop, 5000, 0.0)
    assert [quota.of for quota in counted.admit(laptop)] == ["tokens"]


def test_a_budget_lasts_for_the_calendars_month():
    clock, laptop = Clock(), key(budget_usd=10)
    counted = ledger(laptop, clock=clock)
    counted.used(laptop, 0, 10.0)
    reached = counted.admit(laptop)
    clock.at += reached[0].resets_in

    assert [(quota.of, quota.left) for quota in reached] == [("budget", 0.0)]
    assert clock.at == datetime(2026, 12, 1, tzinfo=UTC).timestamp()
    assert not counted.admit(laptop)
    assert counted.spent(laptop) == 0.0


def test_a_refused_request_counts_for_nothing():
    clock, laptop = Clock(), key(requests_per_minute=1)
    counted = ledger(laptop, clock=clock)
    counted.admit(laptop)
    for _ in range(5):
        clock.at += 10
        counted.admit(laptop)
    clock.at = NOON + MINUTE

    assert not counted.admit(laptop)


def test_what_was_spent_before_a_restart_is_asked_for_once():
    spending, laptop = Spent(laptop=9.5), key(budget_usd=10)
    counted = ledger(laptop, spending=spending)
    counted.used(laptop, 0, 0.5)
    counted.watch([laptop, key("desk")])

    assert spending.asked == [("laptop", month_of(NOON)), ("desk", month_of(NOON))]
    assert counted.spent(laptop) == 10.0
    assert counted.admit(laptop)


def test_a_key_that_is_gone_is_passed_over():
    laptop = key(budget_usd=10, requests_per_minute=1)
    counted = ledger(laptop)
    counted.watch([])
    counted.used(laptop, 10, 1.0)

    assert list(counted.quotas(laptop)) == []
    assert counted.spent(laptop) == 0.0


def test_a_key_without_limits_is_always_admitted():
    laptop = key()
    counted = ledger(laptop)

    assert not any(counted.admit(laptop) for _ in range(100))
    assert list(counted.quotas(laptop)) == []


@given(st.floats(0, 4e9))
def test_a_month_holds_its_moments(at):
    assert month_of(at) <= at < next_month(at)
    assert month_of(next_month(at)) == next_month(at)
    assert next_month(at) - month_of(at) in {days * 86400 for days in (28, 29, 30, 31)}


@given(
    st.builds(
        ClientKey,
        name=st.text(min_size=1),
        digest=st.binary(min_size=32, max_size=32),
        models=st.lists(st.text()).map(tuple),
        requests_per_minute=st.integers(0, 1000),
        budget_usd=st.floats(0, 1000),
        expires=st.floats(0, 4e9),
        created=st.floats(1, 4e9),
    )
)
def test_a_key_is_kept_as_it_is(made):
    kept = client_keys.stored(made)
    back = client_keys.restored(made.name, kept)

    assert "name" not in kept
    assert (back.digest, tuple(back.models)) == (made.digest, made.models)
    assert client_keys.stored(back) == kept


@pytest.mark.parametrize(
    "kept", [None, [], {}, {"digest": 7}, {"digest": "xyz"}, {"digest": "00", "expires": "soon"}]
)
def test_what_cannot_be_read_is_a_key_that_nobody_has(kept):
    back = client_keys.restored("laptop", kept)

    assert (back.name, back.digest) == ("laptop", b"")


@pytest.mark.parametrize(
    ("models", "allowed"), [((), True), (("gpt-*",), True), (("claude-*",), False)]
)
def test_a_key_may_be_for_some_models_only(models, allowed):
    assert key(models=models).allows("gpt-5") is allowed


def test_a_clock_that_is_set_back_makes_nobody_wait_longer_than_a_minute():
    clock, laptop = Clock(), key(requests_per_minute=1)
    counted = ledger(laptop, clock=clock)
    counted.admit(laptop)
    clock.at -= 3600

    (refused,) = [one for one in counted.quotas(laptop) if one.of == "requests"]

    assert (refused.left, refused.resets_in) == (0, MINUTE)
