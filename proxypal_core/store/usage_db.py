"""Every request as a row, and what was used in each hour: ``requests`` and ``usage_hours`` of
``state.db``.

Nothing here is on a request's way: a record is put into a bounded list, and four times a second
what is there is written (``usage_rows``) in one transaction, on the database's own thread. When that fails, since
the disk is full or another process holds the file, the records wait for the next try; when too many
wait, the newest are dropped and counted. Hours are kept for good, requests as long as ``retain``.
"""

import asyncio
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import suppress
from threading import Lock
from typing import TypeVar

import structlog

from proxypal_core.metering import Record
from proxypal_core.store import usage_rows
from proxypal_core.store.database import Database, transaction
from proxypal_core.store.usage_rows import By, Filter, Totals

WRITE_EVERY = 0.25
"""Seconds; what is lost when the process is killed."""
MOST_WAITING = 10_000
"""Records that wait for a database that cannot be written."""

_T = TypeVar("_T")
log = structlog.get_logger(__name__)


class UsageDB:
    """The recorder. ``put`` belongs to the event loop; everything else may be asked anywhere.

    *retain* is how many seconds requests are kept, 0 for good; it may be changed.
    """

    def __init__(self, database: Database, *, retain: float = 0.0) -> None:
        self.retain = retain
        self.dropped = 0
        """Requests that were not recorded."""
        self.problem = ""
        """Why nothing can be written at the moment; empty when all is well."""
        self._database = database
        self._lock = Lock()
        self._waiting: list[Record] = []
        self._scheduled: asyncio.TimerHandle | None = None
        self._closed = False
        database.add_tables(usage_rows.SCHEMA)

    # ── writing ──────────────────────────────────────────────────────────────────────────────

    def put(self, record: Record) -> None:
        """Have *record*, which has ended, written soon. Returns at once and never fails."""
        with self._lock:
            if len(self._waiting) >= MOST_WAITING:
                self.dropped += 1
                return
            self._waiting.append(record)
        if self._scheduled is None:
            self._schedule(asyncio.get_running_loop())

    async def flush(self) -> None:
        """Write what waits."""
        await self._database.do(self._write, None)

    async def aclose(self) -> None:
        """Write what waits, for the last time."""
        self._closed = True
        if self._scheduled is not None:
            self._scheduled.cancel()
        await self.flush()
        if self._waiting:
            log.warning("requests are not recorded", many=len(self._waiting))

    def _schedule(self, loop: asyncio.AbstractEventLoop) -> None:
        if not self._closed:
            self._scheduled = loop.call_later(WRITE_EVERY, self._begin, loop)

    def _begin(self, loop: asyncio.AbstractEventLoop) -> None:
        self._database.submit(lambda db: self._write_and_go_on(db, loop))

    def _write_and_go_on(self, db: sqlite3.Connection, loop: asyncio.AbstractEventLoop) -> None:
        """One write at a time is under way: a database that is slow to refuse gets no queue."""
        try:
            self._write(db)
        finally:
            with suppress(RuntimeError):  # the loop is closed
                loop.call_soon_threadsafe(self._written, loop)

    def _written(self, loop: asyncio.AbstractEventLoop) -> None:
        self._scheduled = None
        if self._waiting:
            self._schedule(loop)

    # ── on the database's thread ─────────────────────────────────────────────────────────────

    def _write(self, db: sqlite3.Connection) -> None:
        with self._lock:
            records, self._waiting = self._waiting, []
        if not records:
            return
        try:
            transaction(db, lambda db: usage_rows.write(db, records, self.retain))
        except sqlite3.OperationalError as error:  # full, locked, read-only: it may pass
            self._put_back(records)
            if not self.problem:
                log.warning("requests cannot be recorded", problem=str(error))
            self.problem = str(error)
        except Exception as error:
            if type(error) is sqlite3.DatabaseError:  # a broken file is replaced, then tried again
                self._put_back(records)
                raise
            # A record that cannot be written must not stand in the others' way.
            self.dropped += len(records)
            log.exception("requests are not recorded", many=len(records))
        else:
            self.problem = ""

    def _put_back(self, records: list[Record]) -> None:
        with self._lock:
            together = records + self._waiting
            self._waiting = together[:MOST_WAITING]
            self.dropped += len(together) - len(self._waiting)

    # ── reading ──────────────────────────────────────────────────────────────────────────────

    async def _read(self, read: Callable[[sqlite3.Connection], _T], otherwise: _T) -> _T:
        """What *read* gives when all that has ended is written: who has just asked looks for it."""

        def fresh(db: sqlite3.Connection) -> _T:
            self._write(db)
            return read(db)

        return await self._database.do(fresh, otherwise)

    async def requests(self, wanted: Filter) -> Sequence[tuple[int, Record]]:
        """The newest of the *wanted* requests, each with its row's number."""
        nothing: Sequence[tuple[int, Record]] = ()
        return await self._read(lambda db: usage_rows.requests(db, wanted), nothing)

    async def request(self, request_id: str) -> Record | None:
        """The request of that id, if its row is still kept."""
        nothing: Record | None = None
        return await self._read(lambda db: usage_rows.request(db, request_id), nothing)

    async def totals(self, by: By, since: float, until: float) -> Sequence[Totals]:
        """What was used in the hours that begin from *since* up to *until* (Unix seconds), for each
        name of what *by* says. Days, weeks (by the name of their Monday) and hours are local time,
        and come in their order; everything else by its cost.
        """
        nothing: Sequence[Totals] = ()
        return await self._read(lambda db: usage_rows.totals(db, by, since, until), nothing)

    async def first_hour(self) -> float | None:
        """When the first hour of which anything is known began (Unix seconds)."""
        nothing: float | None = None
        return await self._read(usage_rows.first_hour, nothing)

    def spent(self, client: str, since: float) -> float:
        """US dollars that requests with the key called *client* cost in the hours that began at
        *since* (Unix seconds) or later. Blocks until the database is read.
        """
        return self._database.now(lambda db: usage_rows.spent(db, client, since), 0.0)
