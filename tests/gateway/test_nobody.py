"""What a client is told when nobody can answer: why, until when, and nobody's e-mail."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxypal_core.accounts.lease import NoneReady, Waiting
from proxypal_core.accounts.verdict import VERDICTS
from proxypal_core.gateway import nobody
from proxypal_core.hub.failure import Failure, Kind

NOW = 1_795_003_200.0  # 2026-11-18T12:00:00Z
REFUSALS = [kind for kind, verdict in VERDICTS.items() if verdict.refusal]
OTHERS = [kind for kind, verdict in VERDICTS.items() if not verdict.refusal]
reasons = st.sampled_from(["rate_limit", "billing", "auth", "forbidden"])
rests = st.builds(
    Waiting,
    st.sampled_from(["p:work", "p:ann.lee@example.com", "q:bob@b.example"]),
    reasons,
    st.floats(NOW, NOW + 1e6),
)
lasts = st.none() | st.builds(
    Failure,
    st.sampled_from(REFUSALS + OTHERS),
    st.just("the provider's words"),
    retry_after=st.none() | st.floats(0, 1e5),
)


def ready(*waiting, last=None, busy=False):
    return nobody.ready(NoneReady(waiting, busy=busy), last, model="gpt-5", now=NOW)


def rest(reason="rate_limit", seconds=100.0, account="p:work"):
    return Waiting(account, reason, NOW + seconds)


# ── laws ─────────────────────────────────────────────────────────────────────────────────────


@given(st.lists(rests, max_size=4), lasts, st.booleans())
def test_no_e_mail_is_told(waiting, last, busy):
    told = ready(*waiting, last=last, busy=busy).message

    assert "ann" not in told
    assert "bob" not in told


@given(st.lists(rests, max_size=4), lasts, st.booleans())
def test_a_limit_is_never_told_to_be_over_in_less_than_a_minute(waiting, last, busy):
    failure = ready(*waiting, last=last, busy=busy)

    if failure.kind in (Kind.RESTING, Kind.BILLING, Kind.RATE_LIMIT):
        assert failure.retry_after >= nobody.SOONEST_RETRY


@given(st.lists(rests, min_size=1, max_size=4), lasts)
def test_nobody_is_told_to_come_back_before_somebody_is_ready(waiting, last):
    failure = ready(*waiting, last=last)

    if failure.retry_after is not None:
        assert NOW + failure.retry_after >= min(one.until for one in waiting)


@given(st.lists(rests, min_size=1, max_size=4))
def test_each_account_is_told_with_its_reason_and_its_time(waiting):
    told = ready(*waiting).message

    assert told.count(" until 20") == len(waiting)
    assert all(f"({one.reason} until " in told for one in waiting)


@given(st.lists(rests, max_size=3), st.sampled_from(OTHERS))
def test_the_last_attempts_own_failure_goes_before_the_rests_of_others(waiting, kind):
    failure = ready(*waiting, last=Failure(kind, "it broke"))

    assert (failure.kind, failure.message) == (kind, "it broke")


# ── examples ─────────────────────────────────────────────────────────────────────────────────


def test_all_limited():
    failure = ready(rest(seconds=3600), rest("billing", 18_000, "p:ann@example.com"))

    assert failure.kind is Kind.RESTING
    assert failure.retry_after == 3600
    assert failure.code == "all_accounts_cooling"
    assert failure.message == (
        "every account that could answer is resting: p:work (rate_limit until"
        " 2026-11-18T13:00:00Z), p:a***@example.com (billing until 2026-11-18T17:00:00Z)"
    )


def test_all_without_credit():
    assert ready(rest("billing", 18_000)).kind is Kind.BILLING


@pytest.mark.parametrize("reason", ["auth", "forbidden"])
def test_all_logged_out(reason):
    failure = ready(rest(reason, 3600))

    assert failure.kind is Kind.NO_ACCOUNT
    assert failure.retry_after is None
    assert "proxypal models status" in failure.message


def test_what_this_request_met_last_is_told_too():
    failure = ready(rest(), last=Failure(Kind.RATE_LIMIT, "five hours are over"))

    assert failure.kind is Kind.RESTING
    assert failure.message.endswith("The last answer was: five hours are over")


def test_all_busy():
    failure = ready(busy=True)

    assert (failure.kind, failure.retry_after) == (Kind.OVERLOADED, 2.0)
    assert "max_concurrency" in failure.message


def test_nobody_at_all():
    failure = ready()

    assert failure.kind is Kind.NO_ACCOUNT
    assert "proxypal explain gpt-5" in failure.message


@pytest.mark.parametrize(
    ("kind", "stated", "told"),
    [
        (Kind.RATE_LIMIT, 10, 61),
        (Kind.RATE_LIMIT, 300, 300),
        (Kind.BILLING, None, 61),
        (Kind.OVERLOADED, 3, 3),
        (Kind.SERVER, None, None),
    ],
)
def test_when_the_attempts_are_used_up_the_last_failure_is_told(kind, stated, told):
    failure = nobody.exhausted(Failure(kind, "no", retry_after=stated), NOW)

    assert (failure.kind, failure.message, failure.retry_after) == (kind, "no", told)
