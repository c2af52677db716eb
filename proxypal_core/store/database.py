"""An SQLite file, and one thread that works on it for everything that is kept there: ``state.db``.

Nothing in it is secret in the way of a credential, and losing it is never fatal: a broken file is
moved aside, and without a file the memory has to do.
"""

import asyncio
import os
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

import structlog

from proxypal_core.store import files

STATE_FILE = "state.db"
_LOCKED = 1.0
"""Seconds to wait for another process that writes. All work has one thread: who waits, has all wait."""

log = structlog.get_logger(__name__)
_T = TypeVar("_T")
Work = Callable[[sqlite3.Connection], _T]


class Database:
    """All work is done in its order on one thread. *folder* None keeps everything in memory."""

    def __init__(self, folder: Path | None, name: str = STATE_FILE) -> None:
        self._name = name
        self._path = folder / name if folder else None
        self._tables: list[tuple[str, Work[None]]] = []
        self._before: list[Work[None]] = []
        self._connection: sqlite3.Connection | None = None
        self._worker = ThreadPoolExecutor(1, thread_name_prefix=name)

    def add_tables(self, schema: str, opened: Work[None] = lambda _: None) -> None:
        """Have the tables of *schema* made whenever a file is opened, and *opened* done then. To be
        called before anything else.
        """
        self._tables.append((schema, opened))

    def before_all(self, work: Work[None]) -> None:
        """Have *work*, which may find nothing to do, done before all other. To be called as
        ``add_tables``.
        """
        self._before.append(work)

    def submit(self, work: Work[None]) -> None:
        """Have *work* done, some time soon. Returns at once."""
        self._worker.submit(self._try, work, None)

    async def do(self, work: Work[_T], otherwise: _T) -> _T:
        """What *work* gives; *otherwise* when the database fails."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._worker, self._try, work, otherwise)

    def now(self, work: Work[_T], otherwise: _T) -> _T:
        """As ``do``, for those who may block: at startup, and on the command line."""
        return self._worker.submit(self._try, work, otherwise).result()

    def forget(self) -> None:
        """Delete the file, if there is one, some time soon. The next work begins a new one."""
        self._worker.submit(self._delete)

    async def aclose(self) -> None:
        """Finish what was begun."""
        await asyncio.get_running_loop().run_in_executor(self._worker, self._finish)
        self._worker.shutdown()

    def close(self) -> None:
        """As ``aclose``, for those who may block."""
        self._worker.submit(self._finish).result()
        self._worker.shutdown()

    # ── on the worker ────────────────────────────────────────────────────────────────────────

    def _try(self, work: Work[_T], otherwise: _T) -> _T:
        for before in self._before:
            self._tried(before, None)
        return self._tried(work, otherwise)

    def _tried(self, work: Work[_T], otherwise: _T) -> _T:
        try:
            return self._twice(work)
        except (sqlite3.Error, OSError) as error:
            log.warning("database failed", file=self._name, problem=str(error))
            return otherwise

    def _twice(self, work: Work[_T]) -> _T:
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
                log.warning("database only in memory", path=str(self._path), problem=problem)
                self._path = None
                self._connection = self._open(None)
        return self._connection

    def _open(self, path: Path | None) -> sqlite3.Connection:
        if path is not None:
            files.make_folder(path.parent)
            _make_private(path)
        # Transactions are begun by hand: what sqlite3 does by itself depends on its version.
        db = sqlite3.connect(path or ":memory:", isolation_level=None, timeout=_LOCKED)
        try:
            db.execute("PRAGMA journal_mode = WAL")
            db.execute("PRAGMA synchronous = NORMAL")
            db.execute("PRAGMA foreign_keys = ON")
            db.execute("PRAGMA secure_delete = ON")
            for schema, opened in self._tables:
                db.executescript(schema)
                try:
                    opened(db)
                except sqlite3.OperationalError as error:
                    if not _is_locked(error):  # by a backup, say: then it is tidied up another time
                        raise
        except BaseException:
            db.close()
            raise
        return db

    def _move_aside(self, path: Path, error: sqlite3.DatabaseError) -> None:
        self._close()
        aside = path.with_name(f"{path.name}.broken")
        path.replace(aside)
        _unlink_beside(path)
        log.warning("database is broken", moved_to=str(aside), problem=str(error))

    def _delete(self) -> None:
        self._close()
        if self._path is not None:
            try:
                self._path.unlink(missing_ok=True)
                _unlink_beside(self._path)
            except OSError as error:
                log.warning("database cannot be deleted", file=self._name, problem=str(error))

    def _finish(self) -> None:
        if self._connection is not None:
            self._try(lambda _: None, None)
        self._close()

    def _close(self) -> None:
        if self._connection is not None:
            with suppress(sqlite3.Error):
                self._connection.close()
            self._connection = None


def transaction(db: sqlite3.Connection, work: Work[None]) -> None:
    """Do all of *work*, or nothing."""
    db.execute("BEGIN IMMEDIATE")
    try:
        work(db)
        db.execute("COMMIT")
    except BaseException:
        with suppress(sqlite3.Error):
            db.execute("ROLLBACK")
        raise


def _is_broken(error: sqlite3.DatabaseError) -> bool:
    return _code(error) in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


def _is_locked(error: sqlite3.DatabaseError) -> bool:
    return _code(error) == sqlite3.SQLITE_BUSY


def _code(error: sqlite3.DatabaseError) -> int:
    code: int = getattr(error, "sqlite_errorcode", 0) & 0xFF  # the rest is detail
    return code


def _unlink_beside(path: Path) -> None:
    """Delete what SQLite keeps beside the file at *path*."""
    for suffix in ("-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)


def _make_private(path: Path) -> None:
    """An empty file for its owner alone, if there is none: SQLite would ask the umask, and gives
    the files beside it the mode of this one.
    """
    flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0)
    os.close(os.open(path, flags, 0o600))
