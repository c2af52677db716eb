"""Counters and histograms in the text format of Prometheus, version 0.0.4.

https://prometheus.io/docs/instrumenting/exposition_formats/ says how it is written;
docs/decisions/0015-usage.md why it is written here.
"""

import collections
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TypeAlias

from proxypal_core.accounts.standing import Standing
from proxypal_core.metering import KINDS, Record, used

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

SECONDS = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0)
"""The upper bounds of the histograms' buckets."""
MOST_SERIES = 2000
"""Label sets of one metric; clients choose the models' names."""
OTHER = "other"
_TOGETHER = 200
"""Records that are added up together; each takes a third of its time then."""

Labels: TypeAlias = tuple[str, ...]


class Counter:
    """A number that grows, for each set of labels."""

    kind = "counter"

    def __init__(self, name: str, description: str, *labels: str) -> None:
        self.name, self.description, self.labels = name, description, labels
        self._values: dict[Labels, float] = {}

    def add(self, amount: float, *labels: str) -> None:
        values = self._values
        try:
            values[labels] += amount
        except KeyError:
            if len(values) >= MOST_SERIES:
                labels = (OTHER,) * len(labels)
            values[labels] = values.get(labels, 0.0) + amount

    def samples(self) -> Iterator[str]:
        for labels, value in self._values.items():
            yield sample(self.name, zip(self.labels, labels, strict=True), value)


class Histogram:
    """How often a value in seconds came to how much, for each set of labels."""

    kind = "histogram"

    def __init__(self, name: str, description: str, *labels: str) -> None:
        self.name, self.description, self.labels = name, description, labels
        self._series: dict[Labels, list[float]] = {}
        """How many values each bucket has, and the sum of all."""

    def observe(self, values: Sequence[float], *labels: str) -> None:
        series = self._series.get(labels)
        if series is None:
            if len(self._series) >= MOST_SERIES:
                labels = (OTHER,) * len(labels)
            series = self._series.setdefault(labels, [0] * (len(SECONDS) + 2))
        for value in values:
            series[bisect_left(SECONDS, value)] += 1
        series[-1] += sum(values)

    def samples(self) -> Iterator[str]:
        bounds = [*(f"{bound:g}" for bound in SECONDS), "+Inf"]
        for labels, (*buckets, total) in self._series.items():
            named = list(zip(self.labels, labels, strict=True))
            count = 0.0
            for bound, many in zip(bounds, buckets, strict=True):
                count += many
                yield sample(f"{self.name}_bucket", [*named, ("le", bound)], count)
            yield sample(f"{self.name}_sum", named, total)
            yield sample(f"{self.name}_count", named, count)


class Metrics:
    """What the daemon counts since it was started."""

    def __init__(self) -> None:
        self._noted: list[Record] = []
        """What is not added up yet."""
        self._requests = Counter(
            "proxypal_requests_total",
            "Requests that ended.",
            "dialect",
            "provider",
            "model",
            "outcome",
        )
        self._attempts = Counter(
            "proxypal_attempts_total", "Accounts that were asked.", "account", "outcome"
        )
        self._tokens = Counter(
            "proxypal_tokens_total",
            "Tokens used; reasoning is a part of output.",
            "provider",
            "model",
            "kind",
        )
        self._cost = Counter(
            "proxypal_cost_usd_total",
            "US dollars at the vendors' list prices.",
            "provider",
            "model",
        )
        self._unpriced = Counter(
            "proxypal_unpriced_requests_total",
            "Requests whose price is not known.",
            "provider",
            "model",
        )
        self._first_content = Histogram(
            "proxypal_first_content_seconds",
            "From a request to the first piece of its answer.",
            "provider",
        )
        self._duration = Histogram(
            "proxypal_request_duration_seconds", "From a request to its end.", "dialect"
        )

    def note(self, record: Record) -> None:
        """Count *record*, which has ended and does not change any more."""
        self._noted.append(record)
        if len(self._noted) >= _TOGETHER:
            self._add_up()

    def _add_up(self) -> None:
        """Count what is noted: most records have all their labels in common."""
        noted, self._noted = self._noted, []
        alike: dict[tuple[str, str, str, str], list[Record]] = {}
        for record in noted:
            labels = (record.dialect, record.provider, record.served_model, record.outcome)
            alike.setdefault(labels, []).append(record)
        for (dialect, provider, model, outcome), records in alike.items():
            self._requests.add(len(records), dialect, provider, model, outcome)
            self._duration.observe([record.duration for record in records], dialect)
            if begun := [record.first_content for record in records if record.first_content]:
                self._first_content.observe(begun, provider)
            kinds = zip(*[used(record.usage) for record in records], strict=True)
            for kind, many in zip(KINDS, map(sum, kinds), strict=True):
                if many:
                    self._tokens.add(many, provider, model, kind)
            costs = [record.cost for record in records if record.cost is not None]
            if unpriced := len(records) - len(costs):
                self._unpriced.add(unpriced, provider, model)
            if cost := sum(costs):
                self._cost.add(cost, provider, model)
        asked = [(one.account, one.outcome) for record in noted for one in record.attempts]
        for (account, outcome), many in collections.Counter(asked).items():
            self._attempts.add(many, account, outcome)

    def text(self, standings: Sequence[Standing], *, dropped: int, version: str, now: float) -> str:
        """Everything that is counted, and how the accounts stand at *now* (Unix seconds). *dropped*
        is how many requests were not recorded.
        """
        self._add_up()
        metrics = (
            self._requests,
            self._attempts,
            self._tokens,
            self._cost,
            self._unpriced,
            self._first_content,
            self._duration,
        )
        lines: list[str] = []
        for metric in metrics:
            lines += family(metric.name, metric.kind, metric.description, metric.samples())
        for name, description, values in _gauges(standings, now):
            accounts = (sample(name, [("account", id_)], value) for id_, value in values.items())
            lines += family(name, "gauge", description, accounts)
        name = "proxypal_usage_dropped_total"
        lines += family(name, "counter", "Requests that were not recorded.", [f"{name} {dropped}"])
        name = "proxypal_build_info"
        build = sample(name, [("version", version)], 1)
        lines += family(name, "gauge", "The version that runs.", [build])
        return "\n".join([*lines, ""])


def _gauges(
    standings: Sequence[Standing], now: float
) -> Iterator[tuple[str, str, Mapping[str, float]]]:
    yield (
        "proxypal_account_ready",
        "1 when the account may be asked, 0 when it rests or is disabled.",
        {
            one.account.id: not one.account.disabled and not one.health.rests(now)
            for one in standings
        },
    )
    yield (
        "proxypal_account_in_flight",
        "Requests that the account serves at the moment.",
        {one.account.id: one.in_flight for one in standings},
    )


# ── the format ───────────────────────────────────────────────────────────────────────────────


def family(name: str, kind: str, description: str, samples: Iterable[str]) -> Iterator[str]:
    """The lines of one metric."""
    yield f"# HELP {name} {description}"
    yield f"# TYPE {name} {kind}"
    yield from samples


def sample(name: str, labels: Iterable[tuple[str, str]], value: float) -> str:
    """One line: a value and what it is of."""
    named = ",".join(f'{label}="{_escaped(text)}"' for label, text in labels)
    return f"{name}{{{named}}} {float(value):.15g}"


_ESCAPES = str.maketrans({"\\": "\\\\", '"': '\\"', "\n": "\\n"})


def _escaped(text: str) -> str:
    return text.translate(_ESCAPES).encode("utf-8", "replace").decode()
