"""Durations and points of time as vendors write them."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxypal_core.wire import times

NOW = 1_795_273_200.0  # 2026-11-21T15:00:00Z


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("6m0s", 360),
        ("20ms", 0.02),
        ("161h39m41.3s", 581981.3),
        ("1 Day 2 hours", 93600),
        ("1w", 604800),
        ("5 mins", 300),
        ("1 hour, 5 minutes and 3 seconds", 3903),
        ("1m30", None),
        ("1 mango", None),
        ("-5s", None),
        ("s", None),
        ("", None),
    ],
)
def test_a_duration_is_the_sum_of_its_parts(text, seconds):
    assert times.seconds(text) == seconds


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-11-21T15:00:00Z", NOW),
        ("2026-11-21t15:00:00.123456789z", NOW + 0.123456),
        ("2026-11-21T17:00:00+02:00", NOW),
        ("2026-11-21 at 15:00 UTC", NOW),
        ("2026-11-21 23:00:00", NOW),  # Beijing's
        ("Sat, 21 Nov 2026 15:00:00 GMT", NOW),
        ("2026-13-21T15:00:00Z", None),
        ("tomorrow", None),
    ],
)
def test_a_point_of_time_is_read_in_its_zone(text, moment):
    assert times.moment(text) == moment


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (7, 7),
        ("7.5", 7.5),
        (NOW + 60, 60),
        ((NOW + 60) * 1000, 60),
        (NOW - 60, -60),
        ("2m", 120),
        ("2026-11-21T15:01:00Z", 60),
        (True, None),
        ("nan", None),
        (10**400, None),
        (1e15, None),
        (None, None),
        ("2026-11-21T15:01:00Z" + " " * 60, None),
    ],
)
def test_how_long_it_is_until_then(value, seconds):
    assert times.until(value, NOW) == seconds


@given(st.text(max_size=70) | st.floats() | st.integers() | st.none() | st.lists(st.integers()))
def test_whatever_comes_is_a_finite_length_or_nothing(value):
    read = times.until(value, NOW)

    assert read is None or math.isfinite(read)


@given(st.integers(0, 999), st.integers(0, 59), st.integers(0, 59))
def test_a_written_duration_is_read_back(hours, minutes, seconds):
    text = f"{hours}h{minutes}m{seconds}s"

    assert times.seconds(text) == hours * 3600 + minutes * 60 + seconds
