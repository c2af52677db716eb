"""How one request goes on after failures: it always comes to an end, and gives up no sooner."""

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from proxypal_core.accounts.account import Account
from proxypal_core.accounts.attempts import LONGEST_PAUSE, SHORTEST_PAUSE, Attempts
from proxypal_core.accounts.lease import Lease, NoneReady, Target, Waiting
from proxypal_core.accounts.pool import Pool
from proxypal_core.accounts.verdict import VERDICTS, Ladders
from proxypal_core.hub.failure import Failure, Kind

NOW = 1_795_000_000.0
REFUSALS = [kind for kind, verdict in VERDICTS.items() if verdict.refusal]
COSTLY = [kind for kind, v in VERDICTS.items() if v.elsewhere and not v.refusal]
OWN = [kind for kind, verdict in VERDICTS.items() if not verdict.elsewhere]
HICCUPS = [kind for kind, verdict in VERDICTS.items() if verdict.passing]
NOBODY = NoneReady([])


def lease(name="a", provider="p", model="m"):
    account = Account(id=f"{provider}:{name}", provider=provider)
    return Lease(1, account, Target(provider, model))


def met(*kinds, most=4, patience=5.0, provider="p", **fields):
    """The attempts of a request after failures at one account each."""
    attempts = Attempts(most, patience)
    for number, kind in enumerate(kinds):
        attempts.failed(lease(str(number), provider), Failure(kind, "no", **fields))
    return attempts


def resting(*seconds):
    return NoneReady([Waiting(f"p:{at}", "rate_limit", NOW + s) for at, s in enumerate(seconds)])


def pause(attempts, none=NOBODY, jitter=0.5):
    return attempts.pause(none, now=NOW, jitter=jitter)


# ── laws ─────────────────────────────────────────────────────────────────────────────────────


@given(st.lists(st.sampled_from(COSTLY), max_size=9), st.integers(1, 6))
def test_as_many_attempts_may_fail_as_the_settings_say(kinds, most):
    assert met(*kinds, most=most).over == (len(kinds) >= most)


@given(st.lists(st.sampled_from(REFUSALS), max_size=12), st.sampled_from(COSTLY))
def test_accounts_that_refuse_at_once_cost_no_attempt(kinds, last):
    assert not met(*kinds, most=2).over
    assert not met(*kinds, last, most=2).over
    assert met(*kinds, last, last, most=2).over


@given(st.sampled_from(OWN), st.lists(st.sampled_from(REFUSALS), max_size=3))
def test_the_requests_own_fault_ends_it(kind, before):
    assert met(*before, kind).over


@given(st.integers(1, 5))
def test_even_refusals_come_to_an_end(most):
    kinds = [Kind.RATE_LIMIT] * 200

    asked = next(many for many in range(200) if met(*kinds[:many], most=most).over)

    assert most < asked <= 10 * most


@given(
    st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from("mn")), max_size=6),
    st.sampled_from(COSTLY + REFUSALS),
)
def test_what_was_tried_is_an_account_with_its_target(asked, kind):
    attempts = Attempts(9, 5.0)
    for name, model in asked:
        attempts.failed(lease(name, model=model), Failure(kind, "no"))

    assert attempts.tried == {(f"p:{name}", Target("p", model)) for name, model in asked}


@given(st.lists(st.floats(0.1, 20), min_size=1, max_size=6), st.floats(0, 20))
def test_a_request_never_waits_longer_than_its_patience(rests, patience):
    attempts = Attempts(4, patience)
    waited = [pause(attempts, resting(seconds)) or 0.0 for seconds in rests]

    assert sum(waited) <= patience + 1e-6


@pytest.mark.parametrize("rest", [2.0, 30.0])
@given(st.lists(st.sampled_from(COSTLY + REFUSALS), min_size=1), st.integers(1, 4))
def test_against_a_pool_every_request_comes_to_its_end(rest, kinds, most):
    clock = [NOW]
    accounts = [Account(id=f"p:{name}", provider="p") for name in "abc"]
    pool = Pool(accounts, clock=lambda: clock[0], ladders=Ladders(rate=(rest,), login=(rest,)))
    attempts = Attempts(most, 5.0)

    for turn in range(200):
        if attempts.over:
            break
        try:
            one = pool.lease([Target("p", "m")], tried=attempts.tried, avoid=attempts.avoid)
        except NoneReady as none:
            wait = attempts.pause(none, now=clock[0], jitter=0.5)
            if wait is None:
                break
            clock[0] += wait
            continue
        failure = Failure(kinds[turn % len(kinds)], "no")
        pool.failed(one, failure)
        attempts.failed(one, failure)

    assert turn < 150
    assert clock[0] - NOW <= 5.0 + LONGEST_PAUSE


# ── hiccups ──────────────────────────────────────────────────────────────────────────────────


@given(st.sampled_from(HICCUPS), st.floats(0, 1))
def test_after_one_hiccup_the_same_account_is_asked_again_in_a_moment(kind, jitter):
    attempts = met(kind)

    assert SHORTEST_PAUSE <= pause(attempts, jitter=jitter) <= LONGEST_PAUSE
    assert attempts.tried == frozenset()


@pytest.mark.parametrize("kind", HICCUPS)
def test_after_two_it_is_not(kind):
    attempts = met(kind, kind)

    assert pause(attempts) is None
    assert len(attempts.tried) == 2


@pytest.mark.parametrize("kind", [kind for kind in COSTLY if kind not in HICCUPS])
def test_what_is_no_hiccup_is_not_asked_for_again(kind):
    assert pause(met(kind)) is None


def test_a_hiccup_leaves_those_tried_who_refused():
    attempts = met(Kind.RATE_LIMIT, Kind.SERVER)
    pause(attempts)

    assert attempts.tried == {("p:0", Target("p", "m"))}


def test_a_hiccup_that_says_when_it_is_over_is_waited_for():
    attempts = met(Kind.OVERLOADED, retry_after=3)

    assert pause(attempts, resting(3)) == 3
    assert attempts.tried == frozenset()


# ── waiting ──────────────────────────────────────────────────────────────────────────────────


def test_who_is_ready_soon_is_waited_for_and_asked_again():
    attempts = met(Kind.RATE_LIMIT, retry_after=3)

    assert pause(attempts, resting(3, 600)) == 3
    assert attempts.tried == frozenset()


def test_who_is_not_is_not():
    attempts = met(Kind.RATE_LIMIT, retry_after=6)

    assert pause(attempts, resting(6)) is None
    assert attempts.tried


def test_nobody_is_waited_for_when_nobody_comes_back():
    assert pause(met()) is None


@pytest.mark.parametrize("stated", [None, 1.0])
def test_nobody_is_waited_for_in_vain(stated):
    """Whoever it was that rested, and by whose word: after the wait it is asked."""
    clock = [NOW]
    account = Account(id="p:a", provider="p")
    pool = Pool([account], clock=lambda: clock[0], ladders=Ladders(rate=(1.0,)))
    attempts = Attempts(4, 5.0)
    first = pool.lease([Target("p", "m")])
    limited = Failure(Kind.RATE_LIMIT, "slow down", retry_after=stated)
    pool.failed(first, limited)
    attempts.failed(first, limited)
    with pytest.raises(NoneReady) as none:
        pool.lease([Target("p", "m")], tried=attempts.tried)

    clock[0] += attempts.pause(none.value, now=NOW, jitter=0.5)

    assert pool.lease([Target("p", "m")], tried=attempts.tried).account == account


# ── whom to turn to last ─────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("kind", "many"),
    [(Kind.UNREACHABLE, 1), (Kind.TIMEOUT, 1), (Kind.OVERLOADED, 2), (Kind.SERVER, 2)],
)
def test_a_provider_in_trouble_is_turned_to_last(kind, many):
    before, then = met(*[kind] * (many - 1)), met(*[kind] * many)

    assert before.avoid == set()
    assert then.avoid == {"p"}


def test_troubles_of_two_providers_are_not_added():
    attempts = Attempts(4, 5.0)
    for provider in ("p", "q"):
        attempts.failed(lease(provider=provider), Failure(Kind.SERVER, ""))

    assert attempts.avoid == set()


@given(st.lists(st.sampled_from(COSTLY), min_size=1, max_size=4))
def test_the_last_failure_is_the_one_that_is_told(kinds):
    assume(kinds)

    assert met(*kinds).last.kind is kinds[-1]


def test_an_accounts_own_trouble_is_not_held_against_its_provider():
    troubled = met(*[Kind.UNREACHABLE] * 3, scope="account")

    assert troubled.avoid == set()
    assert met(*[Kind.UNREACHABLE] * 3).avoid == {"p"}
