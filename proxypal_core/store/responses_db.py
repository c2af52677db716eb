"""Answers that a client may come back to: ``responses`` of ``state.db``.

What is kept is bounded in size and age. Losing it costs a client one refusal.
"""

import asyncio
import sqlite3
from collections.abc import Callable, Iterable, Mapping
from contextlib import closing

import msgspec

from proxypal_core.store.database import Database, transaction

SIZE_LIMIT = 256 * 1024 * 1024
"""Bytes of text in all; the oldest answers go first."""
AGE_LIMIT = 30 * 24 * 3600.0
"""Seconds an answer is kept; OpenAI keeps them as long."""
WRITE_EVERY = 0.02
"""Seconds between two writes: a lone answer is written at once, those of a flood go together."""
_ROW = 1024
"""Bytes a row counts at least, so that small ones are bounded in number too."""
_ROOM = 0.9
"""How full the store is after it overflowed: making room for one answer at a time would be slow."""

_SCHEMA = """
CREATE TABLE IF NOT EXISTS responses (
    client TEXT NOT NULL, id TEXT NOT NULL, at REAL NOT NULL, size INTEGER NOT NULL,
    account TEXT NOT NULL, input BLOB NOT NULL, document BLOB NOT NULL,
    PRIMARY KEY (client, id)
);
CREATE INDEX IF NOT EXISTS responses_by_age ON responses (at, size);
CREATE TABLE IF NOT EXISTS items (
    client TEXT NOT NULL, id TEXT NOT NULL, response TEXT NOT NULL,
    PRIMARY KEY (client, id),
    FOREIGN KEY (client, response) REFERENCES responses (client, id) ON DELETE CASCADE
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS items_by_response ON items (client, response);
"""
_OVERFLOW = """
DELETE FROM responses WHERE rowid IN (
    SELECT rowid FROM (
        SELECT rowid, sum(size) OVER (ORDER BY at DESC, rowid DESC) AS upto FROM responses
    ) WHERE upto > ?
)
"""
_BY_ID = (
    "SELECT id, account, input, document FROM responses WHERE client = ? AND id = ? AND at >= ?"
)
_BY_ITEM = "SELECT response FROM items WHERE client = ? AND id = ?"


class Kept(msgspec.Struct, frozen=True):
    """An answer: whole, or only the account whose provider keeps it.

    ``input`` is the JSON array of everything that was said before, ``document`` the answer itself;
    both are empty where ``account`` is set. ``items`` are the ids of what the answer consists of.
    """

    id: str
    account: str = ""
    input: bytes = b""
    document: bytes = b""
    items: tuple[str, ...] = ()

    @property
    def size(self) -> int:
        texts = (self.id, self.account, self.input, self.document, *self.items)
        return max(_ROW, sum(map(len, texts)))


class ResponsesDB:
    """Every client has its own answers: a name of the empty string is a client too.

    What was put is there for whoever asks next.
    """

    def __init__(
        self,
        database: Database,
        *,
        clock: Callable[[], float],
        size: int = SIZE_LIMIT,
        age: float = AGE_LIMIT,
    ) -> None:
        self._database = database
        self._clock = clock
        self._size = size
        self._age = age
        self._total = 0
        """At least the size of all rows; exact after each time room was made."""
        self._waiting: list[tuple[str, Kept, float]] = []
        """Whose, what and when. The loop adds at its end, the database's thread takes from its front."""
        self._next_write = 0.0
        self._scheduled: asyncio.TimerHandle | None = None
        database.add_tables(_SCHEMA, lambda db: self._make_room(db, self._oldest()))
        database.before_all(self._write)

    def put(self, client: str, kept: Kept) -> None:
        """Keep *kept* in place of what had its id. Returns at once."""
        self._waiting.append((client, kept, self._clock()))
        loop = asyncio.get_running_loop()
        if loop.time() >= self._next_write:
            self._begin(loop)
        elif self._scheduled is None:
            self._scheduled = loop.call_at(self._next_write, self._begin, loop)

    async def aclose(self) -> None:
        """Begin no write any more; the database writes what waits when it ends."""
        if self._scheduled is not None:
            self._scheduled.cancel()

    def _begin(self, loop: asyncio.AbstractEventLoop) -> None:
        self._scheduled = None
        self._next_write = loop.time() + WRITE_EVERY
        self._database.submit(lambda _: None)  # which is written before

    async def get(self, client: str, name: str) -> Kept | None:
        """The answer called *name*, without the ids of its items."""
        oldest = self._oldest()
        return await self._database.do(lambda db: _find(db, client, name, oldest), None)

    async def holding(self, client: str, items: Iterable[str]) -> Mapping[str, Kept]:
        """The answers that *items* are part of, by the items' ids; unknown ones are left out."""
        names, oldest = tuple(items), self._oldest()
        nothing: Mapping[str, Kept] = {}
        return await self._database.do(
            lambda db: _find_by_items(db, client, names, oldest), nothing
        )

    async def delete(self, client: str, name: str) -> None:
        await self._database.do(lambda db: _delete(db, client, name), None)

    # ── on the database's thread ─────────────────────────────────────────────────────────────

    def _write(self, db: sqlite3.Connection) -> None:
        rows = tuple(self._waiting)
        if not rows:
            return
        try:
            transaction(db, lambda db: self._put(db, rows))
        finally:  # where it fails they are lost: what cannot be written does not stop what follows
            del self._waiting[: len(rows)]
        self._total += sum(kept.size for _, kept, _ in rows)
        if self._total > self._size:
            self._make_room(db, self._oldest())

    def _put(self, db: sqlite3.Connection, rows: Iterable[tuple[str, Kept, float]]) -> None:
        for client, kept, at in rows:
            _delete(db, client, kept.id)
            row = (client, kept.id, at, kept.size, kept.account, kept.input, kept.document)
            db.execute("INSERT INTO responses VALUES (?, ?, ?, ?, ?, ?, ?)", row)
            items = [(client, item, kept.id) for item in kept.items]
            db.executemany("INSERT OR REPLACE INTO items VALUES (?, ?, ?)", items)
        db.execute("DELETE FROM responses WHERE at < ?", (self._oldest(),))

    def _make_room(self, db: sqlite3.Connection, oldest: float) -> None:
        self._total = _total(db)
        db.execute("DELETE FROM responses WHERE at < ?", (oldest,))
        if _total(db) > self._size:
            db.execute(_OVERFLOW, (int(self._size * _ROOM),))
        self._total = _total(db)

    def _oldest(self) -> float:
        return self._clock() - self._age


def _find(db: sqlite3.Connection, client: str, name: str, oldest: float) -> Kept | None:
    with closing(db.execute(_BY_ID, (client, name, oldest))) as rows:
        row = rows.fetchone()
    return Kept(*row) if row else None


def _find_by_items(
    db: sqlite3.Connection, client: str, items: Iterable[str], oldest: float
) -> Mapping[str, Kept]:
    holders: dict[str, str] = {}
    for item in items:
        with closing(db.execute(_BY_ITEM, (client, item))) as rows:
            for (holder,) in rows:
                holders[item] = holder
    found = {name: _find(db, client, name, oldest) for name in set(holders.values())}
    return {item: kept for item, name in holders.items() if (kept := found[name]) is not None}


def _delete(db: sqlite3.Connection, client: str, name: str) -> None:
    db.execute("DELETE FROM responses WHERE client = ? AND id = ?", (client, name))


def _total(db: sqlite3.Connection) -> int:
    total: int
    (total,) = db.execute("SELECT coalesce(sum(size), 0) FROM responses").fetchone()
    return total
