"""Answers that a client may come back to, in an SQLite file: ``responses`` of ``state.db``.

What is kept is bounded in size and age. Losing it costs a client one refusal, so nothing that goes
wrong here is fatal: a broken file is moved aside, and without a file the memory has to do.
"""

import asyncio
import os
import sqlite3
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from pathlib import Path
from typing import TypeVar

import msgspec
import structlog

from proxypal_core.store import files

FILE = "state.db"
SIZE_LIMIT = 256 * 1024 * 1024
"""Bytes of text in all; the oldest answers go first."""
AGE_LIMIT = 30 * 24 * 3600.0
"""Seconds an answer is kept; OpenAI keeps them as long."""
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

log = structlog.get_logger(__name__)
_T = TypeVar("_T")


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

    All work is done in its order on one thread, so that what was put is there for whoever asks
    next. *folder* None keeps everything in memory.
    """

    def __init__(
        self,
        folder: Path | None,
        *,
        clock: Callable[[], float],
        size: int = SIZE_LIMIT,
        age: float = AGE_LIMIT,
    ) -> None:
        self._path = folder / FILE if folder else None
        self._clock = clock
        self._size = size
        self._age = age
        self._total = 0
        """At least the size of all rows; exact after each time room was made."""
        self._connection: sqlite3.Connection | None = None
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="responses-db")

    def put(self, client: str, kept: Kept) -> None:
        """Keep *kept* in place of what had its id. Returns at once."""
        at = self._clock()
        self._worker.submit(self._try, lambda db: self._put(db, client, kept, at), None)

    async def get(self, client: str, name: str) -> Kept | None:
        """The answer called *name*, without the ids of its items."""
        oldest = self._oldest()
        return await self._do(lambda db: _find(db, client, name, oldest), None)

    async def holding(self, client: str, items: Iterable[str]) -> Mapping[str, Kept]:
        """The answers that *items* are part of, by the items' ids; unknown ones are left out."""
        names, oldest = tuple(items), self._oldest()
        nothing: Mapping[str, Kept] = {}
        return await self._do(lambda db: _find_by_items(db, client, names, oldest), nothing)

    async def delete(self, client: str, name: str) -> None:
        await self._do(lambda db: _delete(db, client, name), None)

    async def aclose(self) -> None:
        """Finish what was begun."""
        await asyncio.get_running_loop().run_in_executor(self._worker, self._close)
        self._worker.shutdown()

    # ── on the worker ────────────────────────────────────────────────────────────────────────

    async def _do(self, work: Callable[[sqlite3.Connection], _T], otherwise: _T) -> _T:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._worker, self._try, work, otherwise)

    def _try(self, work: Callable[[sqlite3.Connection], _T], otherwise: _T) -> _T:
        """What *work* gives; *otherwise* when the database fails."""
        try:
            return self._twice(work)
        except (sqlite3.Error, OSError) as error:
            log.warning("kept responses: the database failed", problem=str(error))
            return otherwise

    def _twice(self, work: Callable[[sqlite3.Connection], _T]) -> _T:
        try:
            return work(self._opened())
        except sqlite3.DatabaseError as error:
            if self._path is None or not _is_broken(error):
                raise
            self._move_aside(self._path, error)
            return work(self._opened())

    def _opened(self) -> sqlite3.Connection:
        if self._connection is None:
            try:
                self._connection = self._open(self._path)
            except (sqlite3.OperationalError, OSError) as error:
                if self._path is None:
                    raise
                problem = getattr(error, "strerror", None) or str(error)
                log.warning("kept responses: only in memory", path=str(self._path), problem=problem)
                self._path = None
                self._connection = self._open(None)
        return self._connection

    def _open(self, path: Path | None) -> sqlite3.Connection:
        if path is not None:
            files.make_folder(path.parent)
            _make_private(path)
        # Transactions are begun by hand: what sqlite3 does by itself depends on its version.
        db = sqlite3.connect(path or ":memory:", isolation_level=None)
        try:
            db.execute("PRAGMA journal_mode = WAL")
            db.execute("PRAGMA synchronous = NORMAL")
            db.execute("PRAGMA foreign_keys = ON")
            db.execute("PRAGMA secure_delete = ON")
            db.executescript(_SCHEMA)
            self._make_room(db, self._oldest())
        except BaseException:
            db.close()
            raise
        return db

    def _put(self, db: sqlite3.Connection, client: str, kept: Kept, at: float) -> None:
        row = (client, kept.id, at, kept.size, kept.account, kept.input, kept.document)
        items = [(client, item, kept.id) for item in kept.items]
        db.execute("BEGIN IMMEDIATE")
        try:
            _delete(db, client, kept.id)
            db.execute("INSERT INTO responses VALUES (?, ?, ?, ?, ?, ?, ?)", row)
            db.executemany("INSERT OR REPLACE INTO items VALUES (?, ?, ?)", items)
            db.execute("DELETE FROM responses WHERE at < ?", (at - self._age,))
            db.execute("COMMIT")
        except BaseException:
            with suppress(sqlite3.Error):
                db.execute("ROLLBACK")
            raise
        self._total += kept.size
        if self._total > self._size:
            self._make_room(db, at - self._age)

    def _make_room(self, db: sqlite3.Connection, oldest: float) -> None:
        db.execute("DELETE FROM responses WHERE at < ?", (oldest,))
        if _total(db) > self._size:
            db.execute(_OVERFLOW, (int(self._size * _ROOM),))
        self._total = _total(db)

    def _oldest(self) -> float:
        return self._clock() - self._age

    def _move_aside(self, path: Path, error: sqlite3.DatabaseError) -> None:
        self._close()
        aside = path.with_name(f"{path.name}.broken")
        path.replace(aside)
        for suffix in ("-wal", "-shm"):
            path.with_name(path.name + suffix).unlink(missing_ok=True)
        log.warning("kept responses: the file is broken", moved_to=str(aside), problem=str(error))

    def _close(self) -> None:
        if self._connection is not None:
            with suppress(sqlite3.Error):
                self._connection.close()
            self._connection = None


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


def _is_broken(error: sqlite3.DatabaseError) -> bool:
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF  # the rest is detail
    return code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


def _make_private(path: Path) -> None:
    """An empty file for its owner alone, if there is none: SQLite would ask the umask, and gives
    the files beside it the mode of this one.
    """
    flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0)
    os.close(os.open(path, flags, 0o600))
