"""What clients asked and were told, word for word, where the owner wants it: ``bodies.db``.

A file of its own, so that it can be deleted. It is bounded: of each body the beginning is kept, of
all bodies the newest, and those for a few days. Secrets that are known, and what looks like one,
are taken out on the database's thread, before anything is written.
"""

import codecs
import sqlite3
from collections.abc import Callable, Sequence
from threading import Lock
from typing import Any

import msgspec
import structlog

from proxypal_core.store.database import Database, transaction

BODIES_FILE = "bodies.db"
LONGEST = 1024 * 1024
"""Bytes that are kept of one body."""
MARGIN = 16 * 1024
"""Bytes that are looked at beyond those: more than any secret has. The end of a body that is cut may
be half a secret, which nothing recognises, so that it is left out."""
LARGEST = 256 * 1024 * 1024
"""Bytes that are kept of all bodies together; the oldest go first."""
MOST_WAITING = 32 * 1024 * 1024
"""Bytes of bodies that wait to be written; what comes then is dropped."""
MOST_DAYS = 7
_DAY = 86400.0
_ROW = 256
"""Bytes that a row takes besides its texts, about."""

_SCHEMA = """
CREATE TABLE IF NOT EXISTS bodies (
    number INTEGER PRIMARY KEY, id TEXT NOT NULL, at REAL NOT NULL, size INTEGER NOT NULL,
    asked_size INTEGER NOT NULL, asked_cut INTEGER NOT NULL,
    told_size INTEGER NOT NULL, told_cut INTEGER NOT NULL,
    asked BLOB, told BLOB
);
CREATE INDEX IF NOT EXISTS bodies_by_id ON bodies (id);
"""
_INSERT = """
INSERT INTO bodies (id, at, size, asked_size, asked_cut, told_size, told_cut, asked, told)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
"""
_OLDEST = "SELECT number, at, size FROM bodies ORDER BY number LIMIT 1"
_FIND = """
SELECT asked, asked_size, asked_cut, told, told_size, told_cut FROM bodies
WHERE id = ? AND at >= ? ORDER BY number DESC LIMIT 1
"""

log = structlog.get_logger(__name__)


class Caught:
    """A body as it goes by, as far as it is kept."""

    def __init__(self) -> None:
        self.size = 0
        """Bytes of the whole."""
        self._pieces: list[bytes] = []

    def add(self, data: bytes) -> None:
        room = LONGEST + MARGIN - self.size
        if room > 0:
            self._pieces.append(data[:room])
        self.size += len(data)

    @property
    def cut(self) -> bool:
        """Whether only its beginning is kept."""
        return self.size > LONGEST

    @property
    def start(self) -> bytes:
        """Its first ``LONGEST + MARGIN`` bytes."""
        return b"".join(self._pieces)


class Heard:
    """What one client asks and is told, as it goes by."""

    def __init__(self) -> None:
        self.asked, self.told = Caught(), Caught()

    @property
    def held(self) -> int:
        """Bytes in memory, at the most."""
        return sum(min(body.size, LONGEST + MARGIN) for body in (self.asked, self.told))


class Body(msgspec.Struct, frozen=True):
    """``text`` is None where the body is none; ``size`` is the whole body's, in bytes; ``cut``: only
    the beginning is kept.
    """

    text: str | None
    size: int
    cut: bool


class Bodies(msgspec.Struct, frozen=True):
    request: Body
    answer: Body


class BodiesDB:
    """``use`` and ``put`` belong to the event loop. *database* is theirs alone; *clock* gives Unix
    seconds.
    """

    def __init__(self, database: Database, clock: Callable[[], float]) -> None:
        self._database = database
        self._clock = clock
        self._keep = False
        self._retain = 0.0
        self._scrub: Callable[[str], str] = str
        self._lock = Lock()
        self._waiting: list[tuple[str, float, Heard]] = []
        self._waiting_size = 0
        self._kept = 0
        """Bytes in the file."""
        self._troubled = False
        database.add_tables(_SCHEMA, self._opened)

    def use(self, *, keep: bool, days: int, scrub: Callable[[str], str]) -> None:
        """From now on keep bodies for *days*, less what *scrub* takes out of a text; unless *keep*,
        delete the file.
        """
        self._retain, self._scrub = days * _DAY, scrub
        if keep and not self._keep:
            log.warning("usage.capture_bodies keeps requests and answers word for word", days=days)
        self._keep = keep
        if not keep:
            self._database.forget()

    def put(self, request_id: str, heard: Heard) -> None:
        """Have the bodies of a request that has ended written soon. Returns at once, never fails."""
        if not self._keep:
            return
        with self._lock:
            if self._waiting_size + heard.held > MOST_WAITING:
                return
            self._waiting.append((request_id, self._clock(), heard))
            self._waiting_size += heard.held
        self._database.submit(self._write)

    async def of(self, request_id: str) -> Bodies | None:
        """The bodies of the request of that id, if they are still kept."""
        nothing: Bodies | None = None
        since = self._clock() - self._retain
        return await self._database.do(lambda db: _found(db, request_id, since), nothing)

    # ── on the database's thread ─────────────────────────────────────────────────────────────

    def _opened(self, db: sqlite3.Connection) -> None:
        db.execute("DELETE FROM bodies WHERE at < ?", (self._clock() - self._retain,))
        self._kept = db.execute("SELECT coalesce(sum(size), 0) FROM bodies").fetchone()[0]

    def _write(self, db: sqlite3.Connection) -> None:
        with self._lock:
            waiting, self._waiting, self._waiting_size = self._waiting, [], 0
        if not waiting:  # an earlier call wrote them
            return
        before = self._kept
        rows = [self._row(*one) for one in waiting]
        try:
            transaction(db, lambda db: self._store(db, rows))
            self._troubled = False
        except sqlite3.OperationalError as error:  # full, locked, read-only: it may pass
            self._kept = before
            if not self._troubled:
                log.warning("bodies cannot be kept", problem=str(error))
            self._troubled = True

    def _row(self, request_id: str, at: float, heard: Heard) -> tuple[Any, ...]:
        asked, told = self._text(heard.asked), self._text(heard.told)
        size = _ROW + len(asked or b"") + len(told or b"")
        sizes = (heard.asked.size, heard.asked.cut, heard.told.size, heard.told.cut)
        return (request_id, at, size, *sizes, asked, told)

    def _store(self, db: sqlite3.Connection, rows: Sequence[tuple[Any, ...]]) -> None:
        db.executemany(_INSERT, rows)
        self._kept += sum(row[2] for row in rows)
        since = self._clock() - self._retain
        while (oldest := db.execute(_OLDEST).fetchone()) is not None:
            number, at, size = oldest
            if self._kept <= LARGEST and at >= since:
                break
            db.execute("DELETE FROM bodies WHERE number = ?", (number,))
            self._kept -= size

    def _text(self, body: Caught) -> bytes | None:
        """What is kept of *body*, as UTF-8."""
        decoder = codecs.getincrementaldecoder("utf-8")()
        try:
            text = decoder.decode(body.start, final=not body.cut)
        except UnicodeDecodeError:
            return None
        clean = self._scrub(text).encode()
        if not body.cut:
            return clean
        whole = clean[: max(0, min(LONGEST, len(clean) - MARGIN))]
        return whole.decode("utf-8", "ignore").encode()  # without half a character


def _found(db: sqlite3.Connection, request_id: str, since: float) -> Bodies | None:
    row = db.execute(_FIND, (request_id, since)).fetchone()
    return Bodies(_body(*row[:3]), _body(*row[3:])) if row else None


def _body(kept: bytes | None, size: int, cut: int) -> Body:
    return Body(None if kept is None else kept.decode(), size, bool(cut))
