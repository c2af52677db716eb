"""Shared state in the memory of one process: for replicas that live in it, as those of tests do."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncGenerator, Callable, Mapping
from itertools import islice

from proxypal_core.accounts import health as health_rules
from proxypal_core.accounts.health import Health
from proxypal_core.accounts.shared_affinity import Binding
from proxypal_core.accounts.shared_ledger import Total, Used
from proxypal_core.shared.state import (
    ALIVE,
    BINDINGS,
    KEPT,
    PAGE,
    Known,
    News,
    Record,
    Report,
)

_MINUTE = 60


class Local:
    """What all who have this object share. *clock* is in Unix seconds."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._listeners: set[asyncio.Event] = set()
        self.epoch = 0
        self.forget()

    def forget(self) -> None:
        """Lose everything, as a server that is flushed."""
        self.epoch += 1
        self._rests: dict[str, Health] = {}
        self._version = 0
        self._bound: list[Binding] = []
        self._windows: defaultdict[tuple[str, str], dict[int, int]] = defaultdict(dict)
        self._spent: dict[tuple[int, str], float] = {}
        self._alive: dict[str, float] = {}
        self._in_flight: dict[str, Mapping[str, int]] = {}
        self._usage: defaultdict[str, dict[str, float]] = defaultdict(dict)
        self._counted: dict[str, tuple[int, int]] = {}
        self._locks: dict[str, tuple[str, float]] = {}
        self._records: dict[str, Record] = {}
        self._changes = 0

    async def exchange(self, report: Report) -> News:
        now = self._clock()
        self._meet(report, now)
        self._hear_rests(report, now)
        if report.urgent:
            self._nudge()
        self._bound += report.bound
        first = max(0, len(self._bound) - BINDINGS, int(report.known.bindings or 0))
        page = list(islice(self._bound, first, first + PAGE))
        fresh, at = self._first_time(report, int(now))
        return News(
            now=now,
            epoch=str(self.epoch),
            replicas=len(self._alive),
            counted_at=at,
            known=Known(self._version, str(first + len(page))),
            records=self._changes,
            rests=None if report.known.rests == self._version else dict(self._rests),
            bound=page,
            used={
                name: self._count(name, used, report.month, int(now), fresh=fresh)
                for name, used in report.used.items()
            },
            in_flight=self._totals(),
        )

    async def nudges(self) -> AsyncGenerator[None]:
        nudged = asyncio.Event()
        self._listeners.add(nudged)
        try:
            while True:
                await nudged.wait()
                nudged.clear()
                yield
        finally:
            self._listeners.discard(nudged)

    async def acquire(self, name: str, holder: str, seconds: float) -> bool:
        now = self._clock()
        if self._locks.get(name, ("", now))[1] > now:
            return False
        self._locks[name] = (holder, now + seconds)
        return True

    async def release(self, name: str, holder: str) -> None:
        if self._locks.get(name, ("", 0.0))[0] == holder:
            del self._locks[name]

    async def records(self) -> Mapping[str, Record]:
        return dict(self._records)

    async def put(self, name: str, record: Record, *, expected: int) -> bool:
        there = self._records.get(name)
        if (there.generation if there else 0) != expected:
            return False
        self._records[name] = record
        self._changes += 1
        self._nudge()
        return True

    async def usage(self, day: str) -> Mapping[str, float]:
        return dict(self._usage[day])

    async def close(self) -> None:
        """There is nothing to close."""

    def _meet(self, report: Report, now: float) -> None:
        self._alive[report.replica] = now
        self._in_flight[report.replica] = report.in_flight
        for replica, at in list(self._alive.items()):
            if at < now - ALIVE:
                del self._alive[replica], self._in_flight[replica]

    def _hear_rests(self, report: Report, now: float) -> None:
        changed = False
        for key, health in report.rests.items():
            self._rests[key] = health_rules.merged(self._rests.get(key, health), health)
            changed = True
        for key, until in report.cleared.items():
            if key in self._rests and self._rests[key].failed_at <= until:
                del self._rests[key]
                changed = True
        for key, health in list(self._rests.items()):
            if max(health.failed_at + KEPT, health.rests_until) < now:
                del self._rests[key]
        self._version += changed

    def _first_time(self, report: Report, second: int) -> tuple[bool, int]:
        """Whether the amounts of *report* are counted now, and the second in which they are."""
        number, at = self._counted.get(report.replica, (0, second))
        if report.number <= number:
            return False, at
        self._counted[report.replica] = (report.number, second)
        day = self._usage[report.day]
        for field, amount in report.usage.items():
            day[field] = day.get(field, 0.0) + amount
        return True, second

    def _count(self, name: str, used: Used, month: int, second: int, *, fresh: bool) -> Total:
        requests = self._window(name, "requests", used.requests * fresh, second)
        tokens = self._window(name, "tokens", used.tokens * fresh, second)
        spent = max(self._spent.get((month, name), 0.0), used.seen) + used.usd * fresh
        self._spent[month, name] = spent
        return Total(requests, tokens, spent)

    def _window(self, name: str, of: str, amount: int, second: int) -> Mapping[str, int]:
        rows = self._windows[name, of]
        if amount:
            rows[second] = rows.get(second, 0) + amount
        for at in [at for at in rows if at <= second - _MINUTE - 1]:
            del rows[at]
        return {str(at): amount for at, amount in rows.items()}

    def _totals(self) -> Mapping[str, int]:
        totals: dict[str, int] = {}
        for each in self._in_flight.values():
            for account, number in each.items():
                totals[account] = totals.get(account, 0) + number
        return totals

    def _nudge(self) -> None:
        for listener in self._listeners:
            listener.set()
