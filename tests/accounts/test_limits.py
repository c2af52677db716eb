"""When a provider says that it may be asked again, and how much it says is left."""

import math
import timeit

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxypal_core.accounts.limits import Gauge, gauges, timed
from proxypal_core.accounts.verdict import LONGEST
from proxypal_core.dialects import openai_chat
from proxypal_core.hub.failure import Failure, Kind
from proxypal_core.wire import jsonio

NOW = 1_795_273_200.0  # 2026-11-21T15:00:00Z
HOUR = 3600
LIMITED = Failure(Kind.RATE_LIMIT, "slow down")

UNIFIED = "anthropic-ratelimit-unified"
CLAUDE = "anthropic-ratelimit"


def unified(**windows):
    """Headers of Claude's subscriptions: the status, utilization and hours to reset of each."""
    headers = {}
    for name, (status, used, hours) in windows.items():
        stem = f"{UNIFIED}-{name.removeprefix('w')}" if name != "all" else UNIFIED
        headers |= {f"{stem}-status": status, f"{stem}-reset": str(int(NOW + hours * HOUR))}
        if used is not None:
            headers[f"{stem}-utilization"] = str(used)
    return headers


def bucket(prefix, **values):
    return {f"{prefix}-{name.replace('_', '-')}": value for name, value in values.items()}


OPENAI = "x-ratelimit"

HEADER_FORMS = [
    # exactly said
    ({"retry-after": "7"}, 7, ""),
    ({"retry-after": "1.5"}, 1.5, ""),
    ({"retry-after": "0"}, 0, ""),
    ({"retry-after": " 12 "}, 12, ""),
    ({"retry-after": "30s"}, 30, ""),
    ({"retry-after": "Sat, 21 Nov 2026 15:01:00 GMT"}, 60, ""),
    ({"retry-after": "2026-11-21T15:00:30Z"}, 30, ""),
    ({"retry-after": str(int(NOW) + 90)}, 90, ""),
    ({"retry-after": "Sat, 21 Nov 2026 14:00:00 GMT"}, None, ""),
    ({"retry-after": "-5"}, None, ""),
    ({"retry-after": "soon"}, None, ""),
    ({"retry-after": "nan"}, None, ""),
    ({"retry-after": "inf"}, None, ""),
    ({"retry-after": "1e300"}, None, ""),
    ({"retry-after": "9000000"}, LONGEST, ""),
    ({"retry-after": ""}, None, ""),
    ({"retry-after-ms": "250", "retry-after": "9"}, 0.25, ""),
    ({"x-ms-retry-after-ms": "1500", "retry-after": "9"}, 1.5, ""),
    ({"retry-after-ms": "junk", "retry-after": "9"}, 9, ""),
    ({"retry-after-ms": "-1", "retry-after": "9"}, 9, ""),
    # Claude's subscriptions
    (unified(w5h=("rejected", 1.0, 3)), 3 * HOUR, "account"),
    (unified(w5h=("rejected", None, 3)), 3 * HOUR, "account"),
    (unified(w5h=("rejected", 1, 3), w7d=("rejected", 1, 100)), 100 * HOUR, "account"),
    (unified(w5h=("allowed", 0.4, 3), w7d=("rejected", 1, 100)), 100 * HOUR, "account"),
    (unified(w5h=("rejected", 1, 3), w7d=("allowed_warning", 0.9, 100)), 3 * HOUR, "account"),
    (unified(w5h=("allowed", 0.4, 3), w7d=("allowed", 0.1, 100)), None, ""),
    (unified(w7d_opus=("rejected", 1, 50), w5h=("allowed", 0.4, 3)), 50 * HOUR, "model"),
    (unified(w7d_opus=("rejected", 1, 50), w5h=("rejected", 1, 3)), 50 * HOUR, "account"),
    (unified(all=("rejected", None, 2)), 2 * HOUR, "account"),
    (unified(all=("rejected", None, 2), w5h=("rejected", 1, 3)), 3 * HOUR, "account"),
    (unified(woverage=("rejected", 1, 500), w5h=("allowed", 0.2, 3)), None, ""),
    (unified(w5h=("rejected", 1, -1)), None, ""),
    ({f"{UNIFIED}-5h-status": "rejected", f"{UNIFIED}-reset": str(int(NOW) + 60)}, 60, "account"),
    ({f"{UNIFIED}-5h-status": "rejected", f"{UNIFIED}-5h-reset": "soon"}, None, ""),
    (unified(w5h=("rejected", 1, 3)) | {"retry-after": "60"}, 3 * HOUR, "account"),
    (unified(w7d=("rejected", 1, 300)), LONGEST, "account"),
    # ChatGPT's subscriptions
    (bucket("x-codex-primary", used_percent="100", reset_after_seconds="13873"), 13873, "account"),
    (bucket("x-codex-primary", used_percent="100.0", reset_at=str(int(NOW) + 60)), 60, "account"),
    (bucket("x-codex-secondary", used_percent="80", reset_after_seconds="9"), None, ""),
    (
        bucket("x-codex-primary", used_percent="100", reset_after_seconds="60")
        | bucket("x-codex-secondary", used_percent="100", reset_after_seconds="900"),
        900,
        "account",
    ),
    (bucket("x-codex-spark-primary", used_percent="100", reset_after_seconds="7"), 7, "model"),
    (bucket("x-codex-primary", used_percent="full", reset_after_seconds="7"), None, ""),
    # buckets: Anthropic
    (bucket(CLAUDE, requests_remaining="0", requests_reset="2026-11-21T15:00:20Z"), 20, ""),
    (bucket(CLAUDE, tokens_remaining="0", tokens_reset="2026-11-21T15:01:00Z"), 60, ""),
    (bucket(CLAUDE, input_tokens_remaining="0", input_tokens_reset="2026-11-21T15:00:05Z"), 5, ""),
    (
        bucket(CLAUDE, requests_remaining="50", requests_reset="2026-11-21T15:05:00Z")
        | bucket(CLAUDE, tokens_remaining="0", tokens_reset="2026-11-21T15:00:10Z"),
        10,
        "",
    ),
    (bucket(CLAUDE, tokens_remaining="0", tokens_reset="2026-11-21T14:00:00Z"), None, ""),
    (bucket(CLAUDE, tokens_reset="2026-11-21T15:00:09.5+00:00"), 9.5, ""),
    # buckets: OpenAI and those like it
    (bucket(OPENAI, remaining_requests="0", reset_requests="1s"), 1, ""),
    (bucket(OPENAI, remaining_requests="0", reset_requests="20ms"), 0.02, ""),
    (bucket(OPENAI, remaining_tokens="0", reset_tokens="6m0s"), 360, ""),
    (bucket(OPENAI, remaining_tokens="0", reset_tokens="1h2m3.5s"), 3723.5, ""),
    (bucket(OPENAI, remaining_tokens="9", reset_tokens="7.66s"), 7.66, ""),
    (
        bucket(OPENAI, remaining_tokens="9", reset_tokens="7s")
        | bucket(OPENAI, remaining_requests="0", reset_requests="2s"),
        2,
        "",
    ),
    (bucket(OPENAI, remaining_tokens="0", reset_tokens="6m0s") | {"retry-after": "2"}, 2, ""),
    (bucket(OPENAI, remaining_requests_day="0", reset_requests_day="33011.38"), 33011.38, ""),
    (bucket(OPENAI, remaining="0", reset=str(int(NOW) + 45)), 45, ""),
    (bucket(OPENAI, remaining="0", reset=str(int(NOW + 45) * 1000)), 45, ""),
    (bucket(OPENAI, remaining="0", reset="59"), 59, ""),
    (bucket("ratelimit", remaining="0", reset="50"), 50, ""),
    (bucket(OPENAI, remaining_tokens="0", reset_tokens="whenever"), None, ""),
    (bucket(OPENAI, limit_tokens="10", used_tokens="3"), None, ""),
    ({}, None, ""),
]  # fmt: skip

BODY_FORMS = [
    ({"message": "Please try again in 11.054s."}, 11.054, ""),
    ({"message": "Please try again in 6m0s."}, 360, ""),
    ({"message": "Please try again in 20ms."}, 0.02, ""),
    ({"message": "try again in 1 day 2 hours"}, 93600, ""),
    ({"message": "Please retry after 26 seconds."}, 26, ""),
    ({"message": "Please wait 52220 seconds before retrying. UserByModelByDay"}, 52220, "model"),
    ({"message": "Individual quota reached. Resets in 9h22m20s."}, 33740, "account"),
    ({"message": "usage limit, resets at 2026-11-21T16:00:00Z (2056)"}, HOUR, "account"),
    ({"message": "Usage limit reached for 5 hour. Your limit will reset at 2026-11-22 00:35:41"}, 5741, "account"),
    ({"message": f"Claude AI usage limit reached|{int(NOW) + 60}"}, 60, "account"),
    ({"message": "resets at 2026-11-21T14:00:00Z"}, None, ""),
    ({"type": "usage_limit_reached", "resets_in_seconds": 60}, 60, "account"),
    ({"type": "usage_limit_reached", "resets_at": NOW + 60}, 60, "account"),
    ({"type": "usage_limit_reached", "resets_at": NOW + 90, "resets_in_seconds": 60}, 90, "account"),
    ({"message": "no", "resets_at": 1e18}, None, ""),
    ({"message": "no", "resets_at": NOW + 9e8}, LONGEST, ""),
    ({"message": "no", "details": [{"retryDelay": "34.07s"}]}, 34.07, ""),
    ({"message": "no", "details": [{"retryDelay": "900ms"}]}, 0.9, ""),
    ({"message": "no", "details": [{"metadata": {"quotaResetDelay": "373.8ms"}}]}, 0.3738, ""),
    ({"message": "no", "details": [{"metadata": {"quotaResetTimeStamp": "2026-11-21T15:00:10Z"}}]}, 10, ""),
    ({"message": "no", "metadata": {"headers": {"X-RateLimit-Reset": str(int(NOW + 10) * 1000)}}}, 10, ""),
    ({"message": "no", "retry_after": 3}, 3, ""),
    ({"message": "no"}, None, ""),
]  # fmt: skip


def told(failure):
    wait = failure.retry_after
    return (None if wait is None else round(wait, 6), failure.scope)


@pytest.mark.parametrize(("headers", "seconds", "scope"), HEADER_FORMS)
def test_when_headers_say_to_come_back(headers, seconds, scope):
    assert told(timed(LIMITED, headers, NOW)) == (seconds, scope)


@pytest.mark.parametrize(("error", "seconds", "scope"), BODY_FORMS)
def test_when_a_body_says_to_come_back(error, seconds, scope):
    failure = openai_chat.decode_failure(429, jsonio.dumps({"error": error}))

    assert told(timed(failure, {}, NOW)) == (seconds, scope)


def test_the_tables_are_as_long_as_they_were_meant_to_be():
    assert len(HEADER_FORMS) + len(BODY_FORMS) >= 60


def test_the_later_of_header_and_body_counts():
    failure = Failure(Kind.RATE_LIMIT, "no", retry_after=5, resets_at=NOW + 20)

    assert timed(failure, {"retry-after": "9"}, NOW).retry_after == 20
    assert timed(failure, {"retry-after": "30"}, NOW).retry_after == 30


@pytest.mark.parametrize("kind", [Kind.OVERLOADED, Kind.SERVER, Kind.INVALID])
def test_only_a_limit_is_about_windows_and_buckets(kind):
    headers = unified(w5h=("rejected", 1, 3)) | bucket(OPENAI, remaining="0", reset="9")

    assert timed(Failure(kind, "no"), headers, NOW).retry_after is None
    assert timed(Failure(kind, "no"), headers | {"retry-after": "4"}, NOW).retry_after == 4


def test_a_failure_about_which_nothing_is_stated_stays_itself():
    assert timed(LIMITED, {"date": "now"}, NOW) is LIMITED


# ── what is left ─────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        (
            bucket(CLAUDE, requests_limit="50", requests_remaining="40", requests_reset="2026-11-21T15:00:01Z"),
            [("requests", "model", 0.8, 1)],
        ),
        (
            bucket(CLAUDE, output_tokens_limit="8000", output_tokens_remaining="2000", output_tokens_reset="2026-11-21T15:01:00Z"),
            [("output-tokens", "model", 0.25, 60)],
        ),
        (unified(w5h=("allowed", 0.4, 3)), [("5h", "account", 0.6, 3 * HOUR)]),
        (unified(w5h=("rejected", 0.97, 3)), [("5h", "account", 0, 3 * HOUR)]),
        (unified(w5h=("allowed", 1.2, 3)), [("5h", "account", 0, 3 * HOUR)]),
        (unified(w7d_opus=("allowed_warning", 0.9, 30)), [("7d_opus", "model", 0.1, 30 * HOUR)]),
        (unified(all=("allowed", None, 3)), []),
        (unified(woverage=("rejected", 1, 3)), []),
        (
            bucket("x-codex-primary", used_percent="25", reset_after_seconds="60", window_minutes="300"),
            [("primary", "account", 0.75, 60)],
        ),
        (
            bucket(OPENAI, limit_tokens="150000", remaining_tokens="75000", reset_tokens="6m0s"),
            [("tokens", "model", 0.5, 360)],
        ),
        (  # Cerebras
            bucket(OPENAI, limit_requests_day="100", remaining_requests_day="7", reset_requests_day="33011.5"),
            [("requests-day", "model", 0.07, 33011.5)],
        ),
        (  # Mistral
            bucket(OPENAI, limit_req_minute="100", remaining_req_minute="5"),
            [("req-minute", "model", 0.05, 60)],
        ),
        (
            bucket("x-ratelimitbysize", limit_minute="100", remaining_minute="50"),
            [("ratelimitbysize-minute", "model", 0.5, 60)],
        ),
        (  # OpenRouter
            bucket(OPENAI, limit="50", remaining="1", reset=str(int(NOW + 9) * 1000)),
            [("requests", "account", 0.02, 9)],
        ),
        (bucket(OPENAI, limit="0", remaining="0", reset="1"), []),
        (bucket(OPENAI, limit="100, 100;window=60", remaining="1", reset="1"), []),
        (bucket(OPENAI, limit="10", remaining="20", reset="1"), [("requests", "account", 1, 1)]),
        (bucket(OPENAI, limit_tokens="10", remaining_tokens="2"), []),
        ({"content-type": "application/json"}, []),
    ],
)  # fmt: skip
def test_how_much_an_answer_says_is_left(headers, expected):
    found = [
        (one.name, one.scope, round(one.left, 6), round(one.resets_at - NOW, 6))
        for one in gauges(headers, NOW)
    ]

    assert found == expected


def test_an_answer_that_tells_no_limits_costs_next_to_nothing():
    headers = {f"header-{at}": "value" for at in range(30)}

    runs = 2_000
    best = min(timeit.repeat(lambda: gauges(headers, NOW), number=runs, repeat=3)) / runs

    assert best < 200e-6


# ── laws ─────────────────────────────────────────────────────────────────────────────────────

NAMES = sorted({name for headers, _, _ in HEADER_FORMS for name in headers})
VALUES = sorted({value for headers, _, _ in HEADER_FORMS for value in headers.values()})
some_headers = st.dictionaries(
    st.sampled_from(NAMES) | st.text(max_size=20).map(lambda tail: "x-ratelimit-" + tail),
    st.sampled_from(VALUES) | st.text(max_size=24) | st.floats().map(str) | st.integers().map(str),
    max_size=8,
)
some_seconds = st.none() | st.floats()
some_failures = st.builds(
    lambda kind, wait, at: Failure(kind, "m", retry_after=wait, resets_at=at),
    st.sampled_from(list(Kind)),
    some_seconds,
    some_seconds,
)


@given(some_failures, some_headers, st.floats(0, 4e9))
@settings(max_examples=300, deadline=None)
def test_whatever_is_stated_the_wait_is_none_or_within_bounds(failure, headers, now):
    wait = timed(failure, headers, now).retry_after

    assert wait is None or 0 <= wait <= LONGEST


@given(some_headers, st.floats(0, 4e9))
@settings(max_examples=300, deadline=None)
def test_whatever_is_stated_a_gauge_is_a_share_and_a_time(headers, now):
    for gauge in gauges(headers, now):
        assert isinstance(gauge, Gauge)
        assert 0 <= gauge.left <= 1
        assert math.isfinite(gauge.resets_at)


@given(
    some_failures,
    some_headers,
    st.dictionaries(st.sampled_from(["date", "server", "x-request-id"]), st.text(max_size=9)),
)
@settings(max_examples=200, deadline=None)
def test_other_headers_change_nothing(failure, headers, others):
    assert timed(failure, headers | others, NOW) == timed(failure, headers, NOW)
    assert gauges(others | headers, NOW) == gauges(headers, NOW)
