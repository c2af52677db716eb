"""What is counted comes out in the format that Prometheus reads."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxypal_core.accounts.account import Account
from proxypal_core.accounts.lease import Target
from proxypal_core.accounts.pool import Pool
from proxypal_core.hub.failure import Failure, Kind
from proxypal_core.hub.messages import Usage
from proxypal_core.metering import Attempt, Record
from proxypal_core.telemetry import metrics
from proxypal_core.telemetry.metrics import SECONDS, Counter, Histogram, Metrics
from tests.proxy import StoppedClock
from tests.strategies import usages, words

eighths = st.integers(0, 10_000).map(lambda many: many / 8)  # their sums are exact
LINE = re.compile(
    r'(?P<name>[a-z_:][a-z0-9_:]*)(?:\{(?P<labels>(?:[a-z_]+="(?:[^"\\\n]|\\[\\"n])*",?)*)\})?'
    r" (?P<value>[0-9.e+-]+)"
)
LABEL = re.compile(r'([a-z_]+)="((?:[^"\\]|\\.)*)"')
ESCAPED = {"\\\\": "\\", '\\"': '"', "\\n": "\n"}


def read(text):
    """The samples of *text* by name and labels, and the type of each metric."""
    samples, kinds = {}, {}
    for line in filter(None, text.split("\n")):
        if line.startswith("# TYPE "):
            _, _, name, kind = line.split()
            assert name not in kinds
            kinds[name] = kind
        elif not line.startswith("# HELP "):
            match = LINE.fullmatch(line)
            assert match, line
            labels = tuple(
                (name, re.sub(r"\\.", lambda found: ESCAPED[found[0]], value))
                for name, value in LABEL.findall(match["labels"] or "")
            )
            assert (match["name"], labels) not in samples
            samples[match["name"], labels] = float(match["value"])
    return samples, kinds


def record(**fields):
    return Record(id="1", at=0.0, dialect="anthropic", path="/", **fields)


def told(counted, standings=(), dropped=0):
    return read(counted.text(standings, dropped=dropped, version="1.2", now=0.0))


# ── laws ─────────────────────────────────────────────────────────────────────────────────────


@given(st.lists(st.tuples(words, st.integers(0, 2**40)), max_size=20))
def test_a_counter_is_the_sum_of_what_was_added(added):
    counter = Counter("n", "d", "label")
    for label, amount in added:
        counter.add(amount, label)
    samples, _ = read("\n".join(counter.samples()))

    expected = {}
    for label, amount in added:
        expected[label] = expected.get(label, 0) + amount
    assert {labels[0][1]: value for (_, labels), value in samples.items()} == expected


@given(st.lists(st.floats(0, 1000), min_size=1, max_size=20))
def test_a_bucket_holds_all_that_took_no_longer(values):
    histogram = Histogram("h", "d")
    for at in range(0, len(values), 3):
        histogram.observe(values[at : at + 3])
    samples, _ = read("\n".join(histogram.samples()))

    for bound in SECONDS:
        assert samples["h_bucket", (("le", f"{bound:g}"),)] == sum(v <= bound for v in values)
    assert samples["h_bucket", (("le", "+Inf"),)] == samples["h_count", ()] == len(values)
    assert samples["h_sum", ()] == pytest.approx(sum(values))


exchanges = st.builds(
    Record,
    id=st.just("1"),
    at=st.just(0.0),
    dialect=st.sampled_from(["anthropic", "gemini"]),
    path=st.just("/"),
    provider=st.sampled_from(["", "p"]),
    served_model=st.sampled_from(["m", "n"]),
    outcome=st.sampled_from(["served", "server"]),
    attempts=st.lists(
        st.builds(Attempt, st.just("p:a"), st.just("m"), st.just("served")), max_size=2
    ),
    first_content=eighths,
    duration=eighths,
    usage=usages(),
    cost=st.none() | eighths,
)


@given(st.lists(exchanges, max_size=12), st.integers(1, 12))
def test_it_does_not_matter_when_records_are_added_up(records, together):
    at_the_end, often = Metrics(), Metrics()
    for number, one in enumerate(records):
        at_the_end.note(one)
        often.note(one)
        if number % together == 0:
            told(often)

    assert told(often) == told(at_the_end)


def test_no_more_records_wait_than_are_added_up_together():
    counted = Metrics()
    for _ in range(3 * metrics._TOGETHER - 1):
        counted.note(record())

    assert len(counted._noted) == metrics._TOGETHER - 1


# ── examples ─────────────────────────────────────────────────────────────────────────────────


def test_a_request_is_counted_by_who_asked_and_who_answered():
    counted = Metrics()
    counted.note(
        record(
            attempts=[Attempt("p:a", "m", "rate_limit"), Attempt("p:b", "m", "served")],
            served_by="p:b",
            provider="p",
            served_model="m",
            outcome="served",
            first_content=0.3,
            duration=4.0,
            usage=Usage(100, 60, 10, 7, 2),
            cost=0.5,
        )
    )
    samples, kinds = told(counted)

    of_model = (("provider", "p"), ("model", "m"))
    request = (("dialect", "anthropic"), *of_model, ("outcome", "served"))
    assert samples["proxypal_requests_total", request] == 1
    for account, outcome in (("p:a", "rate_limit"), ("p:b", "served")):
        labels = (("account", account), ("outcome", outcome))
        assert samples["proxypal_attempts_total", labels] == 1
    assert {
        kind: samples["proxypal_tokens_total", (*of_model, ("kind", kind))]
        for kind in ("input", "output", "cache_read", "cache_write", "reasoning")
    } == {"input": 30, "output": 7, "cache_read": 60, "cache_write": 10, "reasoning": 2}
    assert samples["proxypal_cost_usd_total", of_model] == 0.5
    assert samples["proxypal_first_content_seconds_sum", (("provider", "p"),)] == 0.3
    buckets = "proxypal_request_duration_seconds_bucket"
    assert samples[buckets, (("dialect", "anthropic"), ("le", "2.5"))] == 0
    assert samples[buckets, (("dialect", "anthropic"), ("le", "5"))] == 1
    assert kinds["proxypal_requests_total"] == "counter"
    assert kinds["proxypal_request_duration_seconds"] == "histogram"


def test_a_request_without_a_price_is_counted_as_such():
    counted = Metrics()
    counted.note(record(provider="p", served_model="m", outcome="served"))
    samples, _ = told(counted)

    of_model = (("provider", "p"), ("model", "m"))
    assert samples["proxypal_unpriced_requests_total", of_model] == 1
    assert ("proxypal_cost_usd_total", of_model) not in samples


def test_accounts_and_what_was_not_recorded_are_told_as_they_are():
    clock = StoppedClock(0.0)
    pool = Pool(
        [Account(id="p:a", provider="p"), Account(id="p:b", provider="p", disabled="so")],
        clock=clock,
    )
    samples, kinds = told(Metrics(), pool.standings, dropped=3)

    ready = "proxypal_account_ready"
    assert samples[ready, (("account", "p:a"),)] == 1
    assert samples[ready, (("account", "p:b"),)] == 0
    assert samples["proxypal_account_in_flight", (("account", "p:a"),)] == 0
    assert samples["proxypal_usage_dropped_total", ()] == 3
    assert samples["proxypal_build_info", (("version", "1.2"),)] == 1
    assert kinds[ready] == "gauge"


def test_an_account_that_rests_is_not_ready():
    pool = Pool([Account(id="p:a", provider="p")], clock=StoppedClock(0.0))
    lease = pool.lease([Target("p", "m")])
    pool.failed(lease, Failure(Kind.BILLING, "no credit"))
    samples, _ = told(Metrics(), pool.standings)

    assert samples["proxypal_account_ready", (("account", "p:a"),)] == 0


def test_names_that_clients_choose_do_not_grow_without_end(monkeypatch):
    monkeypatch.setattr(metrics, "MOST_SERIES", 3)
    counted = Metrics()
    for number in range(10):
        counted.note(record(provider="p", served_model=f"m-{number}", outcome="served"))
    samples, _ = told(counted)

    requests = [many for (name, _), many in samples.items() if name == "proxypal_requests_total"]
    assert sorted(requests) == [1, 1, 1, 7]
