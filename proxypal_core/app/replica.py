"""One daemon of several: what it tells the others, and what it makes of what it hears."""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import msgspec
import structlog

from proxypal_core.accounts.client_keys import month_of
from proxypal_core.accounts.health import WELL, Health, moved
from proxypal_core.accounts.pool import Pool
from proxypal_core.accounts.shared_affinity import Binding, SharedAffinity
from proxypal_core.accounts.shared_ledger import SharedLedger
from proxypal_core.accounts.standing import Bookkeeping
from proxypal_core.app.clock import Clock
from proxypal_core.app.shared_vault import SharedVault
from proxypal_core.metering import Record, is_failure, tokens
from proxypal_core.shared.link import Link
from proxypal_core.shared.state import (
    PAGE,
    WHEN_GONE,
    Known,
    News,
    Report,
    Shared,
    Unreachable,
    held,
    held_of,
)
from proxypal_core.store.usage_db import UsageDB
from proxypal_core.store.vault import VaultError

_SAME = 1.0
"""Seconds by which the time of a failure may seem to differ, as clocks are read at other moments."""

log = structlog.get_logger(__name__)


class Replica:
    """*name* is nobody else's; *affinity_ttl* is how many seconds a conversation stays with its
    account, 0 for not at all. ``ledger`` counts what all take; ``use`` brings the pool, whose
    accounts rest where others met their limits.
    """

    def __init__(
        self,
        shared: Shared,
        name: str,
        *,
        clock: Clock,
        spending: UsageDB | None = None,
        affinity_ttl: float = 0.0,
        vault: SharedVault | None = None,
    ) -> None:
        self.vault = vault
        self._shared = shared
        self._name = name
        self._clock = clock.now
        self._pool: Pool | None = None
        self.link = Link(
            shared=shared,
            report=self._report,
            hear=self._hear,
            lost=self._lost,
            sleep=clock.sleep,
            chance=clock.jitter,
        )
        self.affinity = SharedAffinity(affinity_ttl, self._urge) if affinity_ttl else None
        self.ledger = SharedLedger(clock.now, spending, self.link.soon)
        self._number = 0
        self._known = Known()
        self._epoch = ""
        self._ahead = 0.0
        """By how many seconds the server's clock is ahead of ours."""
        self._rests: dict[str, Health] = {}
        self._cleared: dict[str, float] = {}
        self._failed_at: dict[str, float] = {}
        self._seen: Mapping[str, Health] = {}
        """The rests that all know. These four are by the server's clock."""
        self._hearing = False
        self._urgent = False
        self._usage: dict[str, float] = {}
        self._records = -1
        self._signature: tuple[int, ...] = ()
        self._unsynced = asyncio.Event()

    def use(self, pool: Pool, order: Mapping[str, Sequence[str]], *, weighted: bool) -> None:
        """Go by the accounts of *pool* from now on, in its *order*."""
        self._pool = pool
        if self.affinity is not None:
            self.affinity.use(pool.accounts, order, weighted=weighted)

    async def run(self) -> None:
        """Tell and hear, for ever. The vault is kept as the others' is."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self.link.run())
            if self.vault is not None:
                tasks.create_task(self._keep(self.vault))

    async def close(self) -> None:
        """Tell what is left to tell."""
        with suppress(TimeoutError):
            async with asyncio.timeout(1.0):
                await self.link.once()
        await self._shared.close()

    # ── what is told ─────────────────────────────────────────────────────────────────────────

    def noted(self, row: Bookkeeping) -> None:
        """What is held against an account has changed."""
        if self._hearing:
            return
        key = held(row.account, row.model)
        if row.health == WELL:
            failed_at = self._failed_at.get(key)
            if failed_at is None:
                return
            self._rests.pop(key, None)
            self._cleared[key] = failed_at
        elif row.health.rests(self._clock()):
            self._hold(key, row.health)
        else:
            return
        self._urge()

    def _urge(self) -> None:
        """There is something that the others should hear at once."""
        self._urgent = True
        self.link.soon()

    def _hold(self, key: str, health: Health) -> None:
        self._rests[key] = moved(health, self._ahead)
        self._failed_at[key] = self._rests[key].failed_at
        self._cleared.pop(key, None)

    def count(self, record: Record) -> None:
        """An exchange has ended."""
        counted = {
            "requests": 1,
            "failures": int(is_failure(record.outcome)),
            "usd": record.cost or 0.0,
            **tokens(record.usage),
        }
        for what, amount in counted.items():
            if amount:
                field = f"{record.served_by}\n{what}"
                self._usage[field] = self._usage.get(field, 0.0) + amount

    def _report(self) -> Report:
        self._number += 1
        rests, self._rests = self._rests, {}
        cleared, self._cleared = self._cleared, {}
        usage, self._usage = self._usage, {}
        bound: Mapping[tuple[str, str], Binding] = {}
        if self.affinity is not None:
            bound, self.affinity.moved = self.affinity.moved, {}
        urgent, self._urgent = self._urgent, False
        now = self._clock()
        return Report(
            replica=self._name,
            number=self._number,
            urgent=urgent,
            known=self._known,
            rests=rests,
            cleared=cleared,
            bound=tuple(bound.values()),
            used=self.ledger.report(),
            month=int(month_of(now)),
            in_flight=self._pool.in_flight if self._pool else {},
            day=f"{datetime.fromtimestamp(now, UTC):%Y%m%d}",
            usage=usage,
        )

    # ── what is heard ────────────────────────────────────────────────────────────────────────

    def _hear(self, report: Report, news: News) -> None:
        self._ahead = news.now - self._clock()
        self._hearing = True
        try:
            self._hear_epoch(news)
            self._hear_rests(news)
            self._hear_pool(report, news)
        finally:
            self._hearing = False
        self.ledger.heard(
            report.used,
            news.used,
            at=news.counted_at,
            ahead=self._ahead,
            replicas=news.replicas,
        )
        self._hear_records(news)

    def _hear_epoch(self, news: News) -> None:
        if news.epoch == self._epoch:
            self._known = news.known
            return
        forgotten, self._epoch = bool(self._epoch), news.epoch
        self._known, self._records, self._seen = Known(), -1, {}
        if forgotten:
            log.warning(
                "the shared state has forgotten everything; what is known here is told again"
            )
            self._tell_all()
        self._urge()

    def _tell_all(self) -> None:
        now = self._clock()
        for one in self._pool.standings if self._pool else ():
            for model, health in {"": one.health, **one.models}.items():
                if health.rests(now):
                    self._hold(held(one.account.id, model), health)

    def _hear_rests(self, news: News) -> None:
        if news.rests is None or self._pool is None:
            return
        for key in self._seen.keys() - news.rests.keys() - self._rests.keys():
            until = self._seen[key].failed_at - self._ahead + _SAME
            self._pool.forget(*held_of(key), until)
            self._failed_at.pop(key, None)
        for key, health in news.rests.items():
            if self._seen.get(key) != health and key not in self._cleared:
                self._pool.merge(*held_of(key), moved(health, -self._ahead))
                self._failed_at[key] = max(health.failed_at, self._failed_at.get(key, 0.0))
        self._seen = news.rests

    def _hear_pool(self, report: Report, news: News) -> None:
        if self._pool is not None:
            own = report.in_flight
            self._pool.share(
                {name: number - own.get(name, 0) for name, number in news.in_flight.items()}
            )
        if self.affinity is not None:
            now = self._clock()
            for binding in news.bound:
                self.affinity.hear(binding, now)
        if len(news.bound) == PAGE:
            self.link.soon()

    def _hear_records(self, news: News) -> None:
        if self.vault is None:
            return
        signature = self.vault.signature()
        if (news.records, signature) != (self._records, self._signature):
            self._records, self._signature = news.records, signature
            self._unsynced.set()

    def _lost(self) -> None:
        self.ledger.alone()
        if self._pool is not None:
            self._pool.divide(self.link.replicas)

    async def _keep(self, vault: SharedVault) -> None:
        while True:
            await self._unsynced.wait()
            self._unsynced.clear()
            try:
                await vault.sync()
            except Unreachable:
                self._records = -1  # again, when it can be reached
            except (VaultError, ValueError) as error:  # ValueError: it would be too long
                log.warning("the vault cannot be shared", reason=str(error))

    # ── looking on ───────────────────────────────────────────────────────────────────────────

    def standing(self) -> Mapping[str, Any]:
        """Whether the others are heard, and how many there are."""
        return {"reachable": self.link.reachable, "replicas": self.link.replicas}

    async def seen(self) -> Mapping[str, Any]:
        """More of that: why not, what becomes of each kind of state then, and what all replicas have
        used today, by account.
        """
        day = f"{datetime.fromtimestamp(self._clock(), UTC):%Y%m%d}"
        used: dict[str, dict[str, float]] = {}
        with suppress(Unreachable):
            for field, amount in (await self._shared.usage(day)).items():
                account, _, what = field.partition("\n")
                used.setdefault(account, {})[what] = amount
        return {
            **self.standing(),
            "why_not": self.link.why_not,
            "when_gone": msgspec.to_builtins(WHEN_GONE),
            "used_today": used,
        }
