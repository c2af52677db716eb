"""How accounts are doing, so that a restart forgets no rest: ``accounts`` of ``state.db``.

A health that changes is written at once, off the event loop: it is in the system's hands within
milliseconds, so that killing the process loses no rest. Whose turn it was, and how often, waits for
whatever the database does next. Losing the file costs a few requests to accounts that rest.
"""

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from threading import Lock

import msgspec

from proxypal_core.accounts.health import WELL, Health
from proxypal_core.accounts.standing import Bookkeeping
from proxypal_core.store.database import Database, transaction

_SCHEMA = """
CREATE TABLE IF NOT EXISTS accounts (
    account TEXT NOT NULL, model TEXT NOT NULL, used INTEGER NOT NULL, used_at REAL NOT NULL,
    served INTEGER NOT NULL, failed INTEGER NOT NULL, health TEXT NOT NULL,
    PRIMARY KEY (account, model)
) WITHOUT ROWID;
"""
_WRITE = "INSERT OR REPLACE INTO accounts VALUES (?, ?, ?, ?, ?, ?, ?)"
_READ = "SELECT account, model, used, used_at, served, failed, health FROM accounts"
_DELETE = "DELETE FROM accounts WHERE account = ? AND model = ?"
_RESET = "UPDATE accounts SET health = ?1 WHERE ?2 IN ('', account)"
_RESET_MODELS = "DELETE FROM accounts WHERE model != '' AND ? IN ('', account)"

_encode = msgspec.json.encode
_decode = msgspec.json.Decoder(Health).decode


class AccountsDB:
    """The bookkeeping of every account, and of accounts that are gone."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._lock = Lock()
        self._changed: dict[tuple[str, str], Bookkeeping] = {}
        """What is not written yet; what could not be is written with the next change."""
        self._healths: dict[tuple[str, str], Health] = {}
        database.add_tables(_SCHEMA)
        database.before_all(self._write)

    def put(self, row: Bookkeeping) -> None:
        """Keep *row* in place of what there was. Returns at once."""
        key = (row.account, row.model)
        with self._lock:
            self._changed[key] = row
        if self._healths.get(key) is not row.health:
            self._healths[key] = row.health
            self._database.submit(lambda _: None)

    def rows(self) -> Sequence[Bookkeeping]:
        """Everything that is kept; blocks until it is read."""
        nothing: Sequence[Bookkeeping] = ()
        return self._database.now(lambda db: list(_rows(db)), nothing)

    def reset(self, account: str) -> None:
        """Forget what is held against *account*, or against all when it is empty; blocks. For when no
        daemon runs, which would write down what it knows.
        """
        self._database.now(lambda db: _reset(db, account), None)

    def _write(self, db: sqlite3.Connection) -> None:
        with self._lock:
            rows = dict(self._changed)
        if not rows:
            return
        transaction(db, lambda db: _put(db, rows.values()))
        with self._lock:
            for key, row in rows.items():
                if self._changed[key] is row:
                    del self._changed[key]


def _put(db: sqlite3.Connection, rows: Iterable[Bookkeeping]) -> None:
    gone = [(row.account, row.model) for row in rows if row.model and row.health == WELL]
    db.executemany(_DELETE, gone)
    db.executemany(_WRITE, [_columns(row) for row in rows if (row.account, row.model) not in gone])


def _columns(row: Bookkeeping) -> tuple[str | int | float, ...]:
    health = _encode(row.health).decode()
    return (row.account, row.model, row.used, row.used_at, row.served, row.failed, health)


def _rows(db: sqlite3.Connection) -> Iterator[Bookkeeping]:
    with closing(db.execute(_READ)) as rows:
        for account, model, used, used_at, served, failed, text in rows:
            try:
                health = _decode(text)
            except msgspec.MsgspecError:
                health = WELL  # another version wrote it; a rest is forgotten
            yield Bookkeeping(account, model, used, used_at, served, failed, health)


def _reset(db: sqlite3.Connection, account: str) -> None:
    db.execute(_RESET_MODELS, (account,))
    db.execute(_RESET, (_encode(WELL).decode(), account))
