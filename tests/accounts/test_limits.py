"""When a provider says that it may be asked again."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxypal_core.accounts.limits import retry_after

NOW = 1_795_000_000.0  # 2026-11-18T11:06:40Z


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "7"}, 7),
        ({"retry-after": "1.5"}, 1.5),
        ({"retry-after-ms": "250", "retry-after": "9"}, 0.25),
        ({"retry-after": "Wed, 18 Nov 2026 11:07:40 GMT"}, 60),
        ({"retry-after": "Wed, 18 Nov 2026 11:00:00 GMT"}, 0),
        ({"retry-after": "-5"}, None),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "nan"}, None),
        ({}, None),
    ],
)
def test_each_form(headers, seconds):
    assert retry_after(headers, NOW) == seconds


@given(st.text(max_size=40), st.text(max_size=40))
def test_whatever_comes_is_read_or_ignored(value, millis):
    seconds = retry_after({"retry-after": value, "retry-after-ms": millis}, NOW)

    assert seconds is None or seconds >= 0
