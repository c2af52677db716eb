"""What users say that a failure means."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxypal_core.accounts.rules import Rule, apply
from proxypal_core.hub.failure import Failure, Kind

REFUSED = Failure(Kind.FORBIDDEN, "Daily allowance used up", status=403, code="no_more")


@pytest.mark.parametrize(
    ("rule", "fits"),
    [
        (Rule(means="rate_limit", status=403), True),
        (Rule(means="rate_limit", status=429), False),
        (Rule(means="rate_limit", text="allowance used"), True),
        (Rule(means="rate_limit", text="DAILY .* up$"), True),
        (Rule(means="rate_limit", text="no_more"), True),
        (Rule(means="rate_limit", text="weekly"), False),
        (Rule(means="rate_limit", status=403, text="weekly"), False),
        (Rule(means="rate_limit", provider="openai", status=403), True),
        (Rule(means="rate_limit", provider="gemini", status=403), False),
    ],
)
def test_a_rule_fits_by_provider_status_and_text(rule, fits):
    failure, _ = apply([rule], REFUSED, "openai")

    assert failure.kind is (Kind.RATE_LIMIT if fits else Kind.FORBIDDEN)


@pytest.mark.parametrize(
    ("means", "kind"),
    [
        ("rate_limit", Kind.RATE_LIMIT),
        ("billing", Kind.BILLING),
        ("auth", Kind.AUTH),
        ("forbidden", Kind.FORBIDDEN),
        ("overloaded", Kind.OVERLOADED),
        ("transient", Kind.SERVER),
        ("request", Kind.INVALID),
        ("model", Kind.MODEL),
    ],
)
def test_what_each_meaning_is(means, kind):
    failure, _ = apply([Rule(means=means, status=403)], REFUSED, "openai")

    assert failure.kind is kind


def test_the_first_rule_that_fits_counts():
    rules = [
        Rule(means="auth", status=401),
        Rule(means="billing", status=403, rest=60.0),
        Rule(means="model", status=403, rest=5.0),
    ]

    failure, rest = apply(rules, REFUSED, "openai")

    assert (failure.kind, rest) == (Kind.BILLING, 60.0)


@pytest.mark.parametrize("rest", [None, 0.0, 1800.0])
def test_the_rest_is_as_the_rule_wants_it(rest):
    assert apply([Rule(means="model", status=403, rest=rest)], REFUSED, "openai")[1] == rest


def test_what_stands_in_the_details_is_found():
    failure = Failure(Kind.INVALID, "no", status=400, details=[{"reason": "ODD_THING"}])

    assert apply([Rule(means="auth", text="odd_thing")], failure, "x")[0].kind is Kind.AUTH


@given(
    st.builds(Failure, st.sampled_from(list(Kind)), st.text(max_size=30), st.integers(0, 599)),
    st.text(max_size=8),
)
@settings(max_examples=100, deadline=None)
def test_only_the_kind_changes_and_without_rules_nothing_does(failure, provider):
    changed, _ = apply([Rule(means="model", status=failure.status or 1)], failure, provider)

    assert apply([], failure, provider) == (failure, None)
    assert (changed.message, changed.status) == (failure.message, failure.status)
