"""What this proxy promises of its speed, and whether a run keeps it.

Most are ratios to a yardstick that was measured beside it, since a ratio hardly depends on the
machine. ``must`` is what may not be missed, ``goal`` what the design is for.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from bench.rig import Run
from bench.targets import PAIRS

OURS = "proxypal"
RELAY = "aio-uv"
TRANSLATOR = "tr-coalesce"
Value = Callable[[Run, Run], float]
"""Of a run of the target and the run of the yardstick next to it."""


@dataclass(frozen=True)
class Promise:
    """``base`` is the yardstick; where there is none it is the target itself."""

    what: str
    cell: str
    target: str
    base: str
    value: Value
    must: float
    goal: float
    unit: str = "x"
    at_least: bool = False


@dataclass(frozen=True)
class Verdict:
    """``measured`` is the median over the rounds, ``spread`` the least and the greatest."""

    what: str
    cell: str
    measured: float
    spread: tuple[float, float]
    must: float
    goal: float
    unit: str
    at_least: bool = False

    @property
    def word(self) -> str:
        if self._keeps(self.goal):
            return "goal"
        return "must" if self._keeps(self.must) else "MISSED"

    def _keeps(self, bound: float) -> bool:
        return self.measured >= bound if self.at_least else self.measured <= bound


def judged(promises: Iterable[Promise], runs: Sequence[Run]) -> list[Verdict]:
    """Of the *promises* whose target and yardstick have run in their cell, in *runs* of some rounds."""
    by_place: dict[tuple[str, str], list[Run]] = {}
    for run in runs:
        by_place.setdefault((run.cell, run.target), []).append(run)
    verdicts = []
    for promise in promises:
        ours = by_place.get((promise.cell, promise.target), ())
        theirs = by_place.get((promise.cell, promise.base), ())
        values = [promise.value(*pair) for pair in zip(ours, theirs, strict=False) if _sound(*pair)]
        if values:
            verdicts.append(
                Verdict(
                    promise.what,
                    promise.cell,
                    median(values),
                    (min(values), max(values)),
                    promise.must,
                    promise.goal,
                    promise.unit,
                    promise.at_least,
                )
            )
    return verdicts


def faults(runs: Iterable[Run]) -> Verdict:
    """Every answer that was not whole, of every target that is ours."""
    failed = sum(run.failed for run in runs if run.target.startswith(OURS))
    what = "wrong answers: errors, lost, doubled or cut events, no end"
    return Verdict(what, "all", failed, (failed, failed), 0, 0, "")


def targets_of(cell: str) -> list[str]:
    """Those that the promises of *cell* need, yardsticks first."""
    those = [promise for promise in PROMISES if promise.cell == cell]
    names = [promise.base for promise in those] + [promise.target for promise in those]
    return sorted(dict.fromkeys(names), key=lambda name: name.startswith(OURS))


def table(rows: Sequence[Sequence[str]]) -> str:
    """*rows*, of which the first is the head, as a table of Markdown."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |"
        for row in rows
    ]
    lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(lines)


def verdict_table(verdicts: Iterable[Verdict]) -> str:
    rows = [("what", "cell", "measured", "rounds", "must", "goal", "verdict")]
    for v in verdicts:
        sign = "≥" if v.at_least else "≤"
        spread = " to ".join(f"{end:.3g}" for end in v.spread)
        must, goal = (f"{sign} {bound:g}" for bound in (v.must, v.goal))
        rows.append((v.what, v.cell, f"{v.measured:.3g} {v.unit}", spread, must, goal, v.word))
    return table(rows)


def run_table(runs: Sequence[Run]) -> str:
    """Every target in every cell: medians over the rounds."""
    rows = [tuple(_COLUMNS)]
    groups: dict[tuple[str, str], list[Run]] = {}
    for run in runs:
        groups.setdefault((run.cell, run.target), []).append(run)
    for (cell, target), those in groups.items():
        figures = (_shown(median(map(column, those))) for column in _FIGURES.values())
        rows.append((cell, target, *figures, str(sum(run.failed for run in those))))
    return table(rows)


_FIGURES: Mapping[str, Callable[[Run], float]] = {
    "requests/s": lambda run: run.requests_per_second,
    "events/s": lambda run: run.events_per_second,
    "CPU µs/request": lambda run: run.request_us,
    "CPU µs/event": lambda run: run.event_us,
    "answer p50 ms": lambda run: run.total_us["p50"] / 1e3,
    "p99": lambda run: run.total_us["p99"] / 1e3,
    "first event p50 ms": lambda run: run.first_us["p50"] / 1e3,
    "p99 ": lambda run: run.first_us["p99"] / 1e3,
    "lag p50 ms": lambda run: run.lag_us["p50"] / 1e3,
    " p99": lambda run: run.lag_us["p99"] / 1e3,
    "core": lambda run: run.cpu_seconds / run.seconds,
    "peak MB": lambda run: run.peak,
}
_COLUMNS = ("cell", "target", *_FIGURES, "wrong")


def _shown(value: float) -> str:
    return f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"


def _sound(*runs: Run) -> bool:
    return all(run.served and run.events for run in runs)


def _request(run: Run, base: Run) -> float:
    return run.request_us / base.request_us


def _event(run: Run, base: Run) -> float:
    return run.event_us / base.event_us


def _rate(run: Run, base: Run) -> float:
    return run.requests_per_second / base.requests_per_second


def _added(quantile: str) -> Value:
    return lambda run, base: (run.total_us[quantile] - base.total_us[quantile]) / 1e3


def _first(quantile: str) -> Value:
    return lambda run, _: run.first_us[quantile] / 1e3


def _lag(run: Run, _: Run) -> float:
    return run.lag_us["p99"] / 1e3


def _grown(run: Run, _: Run) -> float:
    return run.peak - run.rss_at_start


def _translated(pair: str, kind: str, cell: str, must: float, goal: float) -> Promise:
    what = f"CPU a {kind} event, {pair}, to a bare translator's"
    return Promise(what, cell, f"{OURS}:{pair}", TRANSLATOR, _event, must, goal)


PROMISES: Sequence[Promise] = (
    Promise("CPU a request, to a bare relay's", "json@16", OURS, RELAY, _request, 1.25, 0.6),
    Promise("CPU a lone event, to a bare relay's", "paced@256", OURS, RELAY, _event, 1.10, 0.85),
    Promise("CPU a joined event, to a bare relay's", "blob@16", OURS, RELAY, _event, 1.15, 0.4),
    *(_translated(pair, "lone", "paced@256", 1.10, 0.85) for pair in PAIRS),
    *(_translated(pair, "joined", "blob@16", 1.5, 0.6) for pair in PAIRS),
    Promise(
        "CPU a request of 100 KB, to a bare relay's", "big@16", OURS, RELAY, _request, 1.2, 0.7
    ),
    Promise(
        "CPU a request of 1 MB, to a bare relay's", "big1m@16", OURS, RELAY, _request, 1.2, 0.7
    ),
    Promise("added latency p50", "json@1", OURS, "direct", _added("p50"), 0.35, 0.15, "ms"),
    Promise("added latency p99", "json@1", OURS, "direct", _added("p99"), 0.6, 0.3, "ms"),
    Promise("time to first event p50", "paced@256", OURS, OURS, _first("p50"), 1.5, 0.5, "ms"),
    Promise("time to first event p99", "paced@256", OURS, OURS, _first("p99"), 25, 3, "ms"),
    Promise("lag of an event p99", "paced@256", OURS, OURS, _lag, 5, 0.8, "ms"),
    Promise("requests/s, to LiteLLM's", "json@64", OURS, "litellm", _rate, 40, 100, at_least=True),
    Promise(
        "translated events/s, to LiteLLM's",
        "burst@64",
        f"{OURS}:chat-anthropic",
        "litellm:chat-anthropic",
        _rate,
        60,
        120,
        at_least=True,
    ),
    Promise(
        "passed events/s, to LiteLLM's", "burst@64", OURS, "litellm", _rate, 20, 40, at_least=True
    ),
    Promise("MB more than at its start", "paced@256", OURS, OURS, _grown, 20, 8, "MB"),
)
CELLS = tuple(dict.fromkeys(promise.cell for promise in PROMISES))
