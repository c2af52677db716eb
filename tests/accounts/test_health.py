"""What failures leave behind: laws of the rests, and the table that users are told."""

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxypal_core.accounts.health import WELL, Count, Health, at, bounded, failed
from proxypal_core.accounts.verdict import LONGEST, VERDICTS, Ladders, Rest, rest_after
from proxypal_core.hub.failure import Failure, Kind

NOW = 1_795_000_000.0
MINUTE, HOUR = 60.0, 3600.0
USUAL = Ladders()
HELD = [kind for kind, verdict in VERDICTS.items() if verdict.elsewhere]
LADDERS = ("rate", "billing", "login", "model", "trouble", "provider", "none")

kinds = st.sampled_from(HELD)
seconds = st.floats(0, 2 * LONGEST)
failures = st.builds(
    Failure, kinds, st.just("no"), retry_after=st.none() | st.floats(-10, 2 * LONGEST)
)
steps = st.lists(seconds, min_size=1, max_size=4).map(tuple)
ladders = st.builds(Ladders, rate=steps, billing=steps, login=steps, window=seconds)


def after(*met, health=WELL, now=NOW, ladders=USUAL):
    """The health after failures a second apart, each of a lease given out after the one before."""
    for number, failure in enumerate(met, 1):
        health = failed(
            health, failure, ladders=ladders, now=now + number, lease=number, turn=number
        )
    return health


def times(kind, many, **options):
    return after(*[Failure(kind, "no")] * many, **options)


# ── laws ─────────────────────────────────────────────────────────────────────────────────────


@given(failures, st.integers(1, 20), ladders)
def test_who_is_barred_rests_and_nobody_does_for_ever(failure, many, ladders):
    rest = rest_after(failure, many, ladders)

    assert 0 <= rest.barred <= rest.preferred <= LONGEST


@given(failures, st.integers(1, 20), ladders)
def test_what_the_provider_states_is_always_kept(failure, many, ladders):
    rest = rest_after(failure, many, ladders)

    assert rest.barred >= min(failure.retry_after or 0.0, LONGEST)


@given(kinds, st.integers(1, 20))
def test_another_failure_in_a_row_is_never_rested_off_sooner(kind, many):
    failure = Failure(kind, "no")

    sooner, later = (rest_after(failure, number, USUAL) for number in (many, many + 1))

    assert later.preferred >= sooner.preferred
    assert later.barred >= sooner.barred


@given(st.lists(failures, min_size=1, max_size=8), failures)
def test_a_failure_never_shortens_a_rest(met, last):
    before = after(*met)
    now = before.failed_at
    more = failed(before, last, ladders=USUAL, now=now, lease=99, turn=99)

    assert more.rests_until >= before.rests_until
    assert more.barred_until >= before.barred_until


@given(failures, st.integers(2, 9))
def test_failures_of_requests_that_ran_at_the_same_time_count_once(failure, many):
    health = WELL
    for lease in range(1, many + 1):
        health = failed(health, failure, ladders=USUAL, now=NOW, lease=lease, turn=many)

    assert {count.failures for count in health.counts.values()} == {1}


@given(st.lists(failures, min_size=1, max_size=5), st.floats(0, 10 * LONGEST))
def test_a_clock_that_is_put_back_leaves_as_much_of_a_rest_as_there_was(met, back):
    health = after(*met)
    moved = at(health, health.failed_at - back)

    assert moved.rests_until - moved.failed_at == pytest.approx(
        health.rests_until - health.failed_at, abs=1e-3
    )
    assert moved.barred_until - moved.failed_at == pytest.approx(
        health.barred_until - health.failed_at, abs=1e-3
    )


@given(st.lists(failures, min_size=1, max_size=5), st.floats(0, 10 * LONGEST))
def test_a_clock_that_runs_on_changes_nothing(met, on):
    health = after(*met)

    assert at(health, health.failed_at + on) is health


@given(*[st.floats(0, 1e12)] * 3)
def test_whatever_was_written_down_no_rest_is_for_ever(failed_at, rests_until, barred_until):
    health = bounded(Health("x", failed_at, rests_until, barred_until))

    assert health.rests_until <= failed_at + LONGEST
    assert health.barred_until <= failed_at + LONGEST
    assert health.rests_until <= rests_until


@given(st.lists(failures, max_size=6))
def test_what_was_made_here_is_within_bounds_already(met):
    health = after(*met)

    assert bounded(health) == health


# ── counting ─────────────────────────────────────────────────────────────────────────────────


def test_a_count_begins_anew_after_the_window():
    first = times(Kind.RATE_LIMIT, 3)
    window = USUAL.window

    within = failed(
        first,
        Failure(Kind.RATE_LIMIT, ""),
        ladders=USUAL,
        now=first.failed_at + window,
        lease=9,
        turn=9,
    )
    beyond = failed(
        first,
        Failure(Kind.RATE_LIMIT, ""),
        ladders=USUAL,
        now=first.failed_at + window + 1,
        lease=9,
        turn=9,
    )

    assert within.counts["rate"].failures == 4
    assert beyond.counts["rate"] == Count(1, first.failed_at + window + 1, 9)


def test_hiccups_are_in_a_row_within_a_minute():
    health = times(Kind.SERVER, 2)
    now = health.failed_at + MINUTE + 1

    later = failed(health, Failure(Kind.SERVER, ""), ladders=USUAL, now=now, lease=9, turn=9)

    assert later.counts["trouble"].failures == 1
    assert not later.rests(now)


def test_each_ladder_is_climbed_by_itself():
    health = after(*[Failure(kind, "") for kind in (Kind.RATE_LIMIT, Kind.BILLING, Kind.AUTH)])

    assert {name: count.failures for name, count in health.counts.items()} == {
        "rate": 1,
        "billing": 1,
        "login": 1,
    }


@pytest.mark.parametrize("kind", [Kind.OVERLOADED, Kind.UNREACHABLE])
def test_the_providers_trouble_leaves_no_rest_at_all(kind):
    health = times(kind, 50)

    assert not health.rests(health.failed_at)


def test_the_reason_is_that_of_the_rest_that_lasts():
    health = after(Failure(Kind.BILLING, ""), Failure(Kind.RATE_LIMIT, ""))

    assert health.reason == "billing"


@pytest.mark.parametrize(("rest", "until"), [(0.0, 0.0), (7.0, 7.0), (90 * MINUTE, 90 * MINUTE)])
def test_the_owners_own_rest_stands_for_all_others(rest, until):
    failure = Failure(Kind.RATE_LIMIT, "", retry_after=600)

    health = failed(WELL, failure, ladders=USUAL, now=NOW, lease=1, turn=1, rest=rest)

    assert (health.rests_until - NOW, health.barred_until - NOW) == (until, until)


def test_a_rest_ends_at_its_very_second():
    health = times(Kind.RATE_LIMIT, 1)

    assert health.barred(health.barred_until - 0.001)
    assert not health.barred(health.barred_until)
    assert not health.rests(health.rests_until)


@pytest.mark.parametrize("ladder", LADDERS)
def test_every_ladder_has_steps_and_a_window(ladder):
    assert USUAL.steps(ladder)
    assert USUAL.window_of(ladder) > 0


# ── what users are told ──────────────────────────────────────────────────────────────────────

PAGE = (Path(__file__).parents[2] / "docs/pool.md").read_text()


def rows():
    """The cells of the table of failures, by kind."""
    section = PAGE.partition("## What each failure means")[2].partition("\n## ")[0]
    for line in re.findall(r"^\|.*", section, re.MULTILINE):
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        for name in re.findall(r"`(\w+)`", cells[0]):
            yield name, cells[1:]


def told(duration):
    """``1m``, ``5h``: as the page writes a number of seconds."""
    for unit, size in (("h", HOUR), ("m", MINUTE)):
        if duration >= size and duration % size == 0:
            return f"{duration / size:g}{unit}"
    return f"{duration:g}s"


def test_the_page_tells_every_kind_that_is_held_against_somebody_once():
    assert sorted(name for name, _ in rows()) == sorted(kind.value for kind in HELD)


@pytest.mark.parametrize("kind", HELD)
def test_the_page_tells_who_rests_for_how_long_and_what_it_costs(kind):
    verdict = VERDICTS[kind]
    _, who, rest, attempt = dict(rows())[kind.value]

    def others(failures):
        """How many seconds others are asked first, and it is not asked at all."""
        found = rest_after(Failure(kind, ""), failures, USUAL)
        return found.preferred, found.barred

    steps = USUAL.steps(verdict.ladder)
    rests = [others(number)[0] for number in range(1, len(steps) + 1)]
    barred = any(others(number)[1] for number in range(1, len(steps) + 1))
    assert attempt == ("no" if verdict.refusal else "yes")
    if not any(rests):
        assert (who, rest) == ("nobody", "none")
        return
    assert who == ("the account" if verdict.account else "the account, for this model")
    shown = ", ".join(told(one) for one in rests)
    assert rest == (shown if barred else f"asked last: {shown}")


@pytest.mark.parametrize("kind", [kind for kind, it in VERDICTS.items() if not it.elsewhere])
def test_the_requests_own_fault_rests_nobody_whatever_time_is_stated(kind):
    assert rest_after(Failure(kind, "no", retry_after=60), 1, Ladders()) == Rest()
