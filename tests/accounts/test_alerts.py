"""What an owner is told of: laws, the table of changes, and the words."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxypal_core.accounts.account import Account
from proxypal_core.accounts.alerts import ALERTS, APART, LONG, Watch, condition
from proxypal_core.accounts.health import WELL, Health
from proxypal_core.accounts.standing import Standing
from proxypal_core.hub.failure import Kind
from proxypal_core.wire.countdown import countdown

NOW = 1_795_000_000.0
HOUR = 3600.0
ACCOUNT = Account(id="anthropic:home", provider="anthropic")


def held(kind, rest=HOUR, *, at=NOW):
    return Health(reason=str(kind), failed_at=at, rests_until=at + rest)


def standing(health=WELL, *, account=ACCOUNT, **models):
    return Standing(account, health=health, models=models)


READY = standing()
STATES = {
    "ready": READY,
    "partly": standing(opus=held(Kind.RATE_LIMIT)),
    "dry": standing(held(Kind.RATE_LIMIT)),
    "login": standing(held(Kind.AUTH)),
}
states = st.sampled_from(sorted(STATES))
healths = st.builds(
    held, st.sampled_from(list(Kind)), st.floats(0, 2 * HOUR), at=st.floats(NOW, NOW + HOUR)
)
looks = st.lists(
    st.tuples(st.builds(standing, healths, opus=healths) | st.just(READY), st.floats(0, 600)),
    min_size=1,
    max_size=30,
)


def told(*seen, watch=None):
    """What is said of accounts that were seen so, each at its time."""
    watch = watch or Watch()
    return [alert for one, at in seen for alert in watch.look([one], at)]


# ── laws ─────────────────────────────────────────────────────────────────────────────────────


@given(looks)
def test_an_account_is_told_of_once_a_minute_at_most(seen):
    watch, at, times = Watch(), NOW, []
    for one, later in seen:
        at += later
        times += [at] * len(watch.look([one], at))

    assert all(late - early >= APART for early, late in pairwise(times))


@given(looks)
def test_nobody_is_back_who_was_not_away(seen):
    watch, at, events = Watch(), NOW, ["back"]
    watch.look([READY], NOW)
    for one, later in seen:
        at += later
        events += [alert.event for alert in watch.look([one], at)]

    assert all(pair != ("back", "back") for pair in pairwise(events))


@given(states, st.floats(NOW, NOW + HOUR - 1))
def test_nothing_is_said_of_how_an_account_was_found(state, at):
    assert told((STATES[state], at), (STATES[state], at + 0.5)) == []


@given(st.lists(states, max_size=10), states)
def test_within_a_minute_only_how_it_ends_is_said(between, last):
    watch = Watch()
    watch.look([READY], NOW)
    watch.look([STATES["dry"]], NOW)
    for number, state in enumerate(between):
        assert watch.look([STATES[state]], NOW + 1 + number) == []

    said = watch.look([STATES[last]], NOW + APART)

    expected = ALERTS.get(("dry", last))
    assert [alert.event for alert in said] == ([expected] if expected else [])


# ── the table ────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("before", STATES)
@pytest.mark.parametrize("after", STATES)
def test_a_change_is_told_as_the_table_says(before, after):
    events = [alert.event for alert in told((STATES[before], NOW), (STATES[after], NOW + 1))]

    expected = ALERTS.get((before, after))
    assert events == ([expected] if expected else [])


@pytest.mark.parametrize(
    ("kind", "rest", "state"),
    [
        (Kind.RATE_LIMIT, LONG, "dry"),
        (Kind.RATE_LIMIT, LONG - 1, "ready"),
        (Kind.BILLING, 5 * HOUR, "dry"),
        (Kind.AUTH, HOUR, "login"),
        (Kind.AUTH, 0.0, "ready"),  # its owner's rule lets it be
        (Kind.FORBIDDEN, HOUR, "login"),
        (Kind.OVERLOADED, HOUR, "ready"),
        (Kind.SERVER, HOUR, "ready"),
    ],
)
def test_what_is_held_against_an_account_says_how_it_is(kind, rest, state):
    assert condition(standing(held(kind, rest)), NOW + 1, "ready").state == state


@pytest.mark.parametrize(
    ("kind", "state"),
    [(Kind.RATE_LIMIT, "ready"), (Kind.BILLING, "dry"), (Kind.AUTH, "login")],
)
def test_only_a_limit_is_cured_by_waiting(kind, state):
    one = standing(held(kind))

    assert condition(one, NOW + 2 * HOUR, state).state == state


def test_a_rest_that_was_long_is_one_to_its_end():
    away = standing(held(Kind.RATE_LIMIT, HOUR))
    asked_all_the_same = standing(Health("rate_limit", NOW + HOUR - 60, NOW + HOUR))

    assert told((READY, NOW), (away, NOW)) != []
    watch = Watch()
    told((READY, NOW), (away, NOW), watch=watch)
    assert told((asked_all_the_same, NOW + HOUR - 30), watch=watch) == []
    [back] = told((asked_all_the_same, NOW + HOUR), watch=watch)
    assert back.event == "back"


def test_a_disabled_account_is_nobodys_concern():
    disabled = Account(id="anthropic:home", provider="anthropic", disabled="by the settings")

    assert told((READY, NOW), (standing(held(Kind.AUTH), account=disabled), NOW)) == []


def test_a_clock_that_goes_back_silences_nobody():
    watch = Watch()
    told((READY, NOW), (STATES["login"], NOW), watch=watch)

    [alert] = told((READY, NOW - HOUR), watch=watch)

    assert alert.event == "back"


def test_each_account_has_its_own_minute():
    other = Account(id="openai:work", provider="openai")
    watch = Watch()
    watch.look([READY, standing(account=other)], NOW)
    watch.look([STATES["dry"], standing(account=other)], NOW)

    [alert] = watch.look([STATES["dry"], standing(held(Kind.AUTH), account=other)], NOW + 1)

    assert (alert.event, alert.account) == ("login", "openai:work")


# ── words ────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("after", "title", "text"),
    [
        (
            standing(held(Kind.RATE_LIMIT, 2820)),
            "anthropic:home has run dry",
            "Its limit is used up. It is back in 47m.",
        ),
        (
            standing(held(Kind.BILLING, 5 * HOUR)),
            "anthropic:home has run dry",
            "Its credit is used up, or its plan does not cover this.",
        ),
        (
            standing(**{"claude-opus-4-5": held(Kind.RATE_LIMIT)}),
            "anthropic:home has run dry for claude-opus-4-5",
            "Its limit is used up. It is back in 1h.",
        ),
        (
            standing(**{f"m{number}": held(Kind.RATE_LIMIT) for number in range(5)}),
            "anthropic:home has run dry for m0, m1, m2 and 2 more",
            "Its limit is used up. The first is back in 1h.",
        ),
        (
            standing(held(Kind.AUTH)),
            "anthropic:home needs a login",
            "Its provider refuses its credential: log in again, or give it a new key.",
        ),
        (
            standing(held(Kind.FORBIDDEN)),
            "anthropic:home is refused",
            "Its provider refuses this use of it.",
        ),
    ],
)
def test_a_message_says_who_why_and_until_when(after, title, text):
    [alert] = told((READY, NOW), (after, NOW))

    assert (alert.title, alert.text) == (title, text)


def test_who_comes_back_is_said_in_two_short_sentences():
    [alert] = told((STATES["login"], NOW), (READY, NOW))

    assert (alert.title, alert.text) == ("anthropic:home is back", "It is asked again.")


def test_an_address_is_masked_and_what_a_client_said_is_short_and_plain():
    who = Account(id="anthropic:jane.doe@example.com", provider="anthropic")
    model = "\x1b]0;title\x07\n" + "m" * 500

    [alert] = told(
        (standing(account=who), NOW), (standing(account=who, **{model: held("rate_limit")}), NOW)
    )

    assert alert.account == "anthropic:j***@example.com"
    assert "jane" not in repr(alert)
    assert alert.title.isprintable()
    assert len(alert.title) < 150


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(-1, "0s"), (40, "40s"), (2820, "47m"), (7800, "2h 10m"), (7200, "2h"), (4 * 86400, "4 days")],
)
def test_what_is_left_is_said_coarser_the_longer_it_is(seconds, text):
    assert countdown(seconds) == text
