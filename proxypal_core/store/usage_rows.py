"""The tables ``requests`` and ``usage_hours`` of ``state.db``: how records become rows, and what is read
of them.

Each request is a row, and a part of the sums of its hour. Everything here is done at once, on the
connection that is given; ``usage_db`` says when. Times are Unix seconds, money is US dollars.
"""

import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain, groupby
from typing import Any, Literal, NamedTuple, TypeAlias

import msgspec

from proxypal_core.hub.messages import Usage
from proxypal_core.metering import KINDS, Attempt, Record, is_failure, used

HOUR = 3600
_LONGEST_TEXT = 256
"""Characters of what a client may make as long as it likes."""
_MOST_DELETED = 2000
"""Old rows deleted with each write."""
_LARGEST = 2**40
"""Tokens of one kind; a provider may say anything, and the sums of SQLite's integers end at 2**63."""

By: TypeAlias = Literal["day", "week", "hour", "model", "account", "key", "agent", "provider"]


class Filter(msgspec.Struct, frozen=True):
    """Which requests: those that match everything that is not empty. ``model`` is what was asked for
    or who answered, with or without the provider; ``before`` is a row's number.
    """

    account: str = ""
    model: str = ""
    key: str = ""
    outcome: str = ""
    before: int = 0
    limit: int = 100


class Totals(msgspec.Struct):
    """What requests of one ``name`` used together. ``cost`` is in US dollars, of the ``priced`` ones
    among the ``requests``.
    """

    name: str = ""
    requests: int = 0
    failed: int = 0
    priced: int = 0
    input: int = 0
    output: int = 0
    cache_read: int = 0
    cache_write: int = 0
    reasoning: int = 0
    cost: float = 0.0


_COUNTS = ("requests", "failed", "priced", *KINDS)
_SUMS = (*_COUNTS, "cost")
_DIMENSIONS = ("", "account", "agent", "key", "model", "provider")
"""What each hour is added up by. All combinations together would be one row for each, and far more to
add up when something is asked.
"""
_KEY = ("dimension", "hour", "name")
_SHARED: Mapping[str, str] = {
    **dict.fromkeys(("dialect", "path", "model", "served_model"), "TEXT NOT NULL"),
    **dict.fromkeys(("provider", "client", "agent"), "TEXT NOT NULL"),
    "status": "INTEGER NOT NULL",
    "outcome": "TEXT NOT NULL",
    "stream": "INTEGER NOT NULL",
}
"""What requests that follow each other mostly have in common, even when accounts take turns."""
_OWN: Mapping[str, str] = {
    "id": "TEXT NOT NULL",
    "at": "REAL NOT NULL",
    "served_by": "TEXT NOT NULL",
    "session": "TEXT NOT NULL",
    "first_content": "REAL NOT NULL",
    "duration": "REAL NOT NULL",
    **dict.fromkeys(KINDS, "INTEGER NOT NULL"),
    "cost": "REAL",
    "attempts": "TEXT NOT NULL",
}
_COLUMNS: Mapping[str, str] = {**_SHARED, **_OWN}
SCHEMA = f"""
CREATE TABLE IF NOT EXISTS requests (
    number INTEGER PRIMARY KEY, {", ".join(f"{name} {kind}" for name, kind in _COLUMNS.items())}
);
CREATE INDEX IF NOT EXISTS requests_by_id ON requests (id);
CREATE INDEX IF NOT EXISTS requests_matched
    ON requests (number, served_by, provider, served_model, model, client, outcome);
CREATE TABLE IF NOT EXISTS usage_hours (
    dimension TEXT NOT NULL, hour INTEGER NOT NULL, name TEXT NOT NULL,
    {", ".join(f"{name} INTEGER NOT NULL" for name in _COUNTS)}, cost REAL NOT NULL,
    PRIMARY KEY ({", ".join(_KEY)})
) WITHOUT ROWID;
"""
_TOGETHER = 40
"""Rows of one statement, at each of which the event loop's thread is asked to stand aside."""


def _inserting(many: int, *, alike: bool) -> str:
    """The statement of *many* rows; of those that are *alike*, what is ``_SHARED`` is given but once,
    and first.
    """
    shared = [f"?{place}" if alike else "?" for place in range(1, len(_SHARED) + 1)]
    row = f"({', '.join([*shared, *'?' * len(_OWN)])})"
    rows = ", ".join([row] * many)
    return f"INSERT INTO requests ({', '.join(_COLUMNS)}) VALUES {rows}"  # noqa: S608 — the names are ours


_FEW = 10
_INSERT_ALIKE = {many: _inserting(many, alike=True) for many in (_TOGETHER, _FEW)}
_INSERT = {many: _inserting(many, alike=False) for many in (_TOGETHER, _FEW, 3, 1)}
_ADD = f"""
INSERT INTO usage_hours ({", ".join((*_KEY, *_SUMS))})
VALUES ({", ".join("?" * (len(_KEY) + len(_SUMS)))})
ON CONFLICT DO UPDATE SET {", ".join(f"{name} = {name} + excluded.{name}" for name in _SUMS)}
"""  # noqa: S608 — the names are ours
_SELECT = f"SELECT number, {', '.join(_COLUMNS)} FROM requests"  # noqa: S608 — the names are ours
_BY_ID = f"{_SELECT} WHERE id = ? ORDER BY number DESC LIMIT 1"
_MATCHES: Mapping[str, str] = {
    "account": "served_by = :account",
    "model": "(:model IN (model, served_model) OR (:provider, :bare) = (provider, served_model))",
    "key": "client = :key",
    "outcome": "outcome = :outcome",
    "before": "number < :before",
}
_TIMES: Mapping[str, str] = {
    "day": "strftime('%Y-%m-%d', hour, 'unixepoch', 'localtime')",
    "week": "strftime('%Y-%m-%d', hour, 'unixepoch', 'localtime', 'weekday 0', '-6 days')",
    "hour": "strftime('%Y-%m-%dT%H:00', hour, 'unixepoch', 'localtime')",
}
# Rows are numbered in the order of their ends, so that none can come in behind a reader's back.
_DELETE_OLD = f"""
DELETE FROM requests WHERE number < min(
    coalesce((SELECT number FROM requests WHERE at >= :since ORDER BY number LIMIT 1), 9e18),
    (SELECT min(number) FROM requests) + {_MOST_DELETED}
)
"""  # noqa: S608 — the number is ours

_encode = msgspec.json.encode
_attempts = msgspec.json.Decoder(list[Attempt]).decode


# ── writing ──────────────────────────────────────────────────────────────────────────────────


def write(db: sqlite3.Connection, records: Sequence[Record], retain: float) -> None:
    """Add *records*, in the order in which they ended, to both tables. Unless *retain* is 0, some of the
    requests that came more than so many seconds before the newest of them are deleted.

    Raises:
        sqlite3.Error: they cannot be written.
    """
    runs = list(_runs(records))
    _insert(db, runs)
    db.executemany(_ADD, _by_hour(runs))
    if retain:
        newest = max([record.at for record in records])
        db.execute(_DELETE_OLD, {"since": newest - retain})


class _Run(NamedTuple):
    """Records that follow each other, of the same hour (Unix seconds), and with all that is ``_SHARED``
    in common; and the tokens that each of them used.
    """

    hour: int
    shared: Sequence[str | int]
    records: Sequence[Record]
    used: Sequence[Sequence[int]]


def _runs(records: Sequence[Record]) -> Iterator[_Run]:
    used_by, at = _used(records), 0
    for (hour, *shared), together in groupby(records, _alike):
        run = list(together)
        yield _Run(int(hour) * HOUR, shared, run, used_by[at : at + len(run)])
        at += len(run)


def _alike(record: Record) -> tuple[Any, ...]:
    """The hour, and what is ``_SHARED``."""
    return (
        record.at // HOUR,
        record.dialect,
        record.path,
        record.model,
        record.served_model,
        record.provider,
        record.client,
        record.agent,
        record.status,
        record.outcome,
        record.stream,
    )


def _own(record: Record, kinds: Sequence[int]) -> tuple[str | float | None, ...]:
    return (
        record.id,
        record.at,
        _text(record.served_by),
        record.session,
        record.first_content,
        record.duration,
        *kinds,
        record.cost,
        _encode(record.attempts).decode(),
    )


def _insert(db: sqlite3.Connection, runs: Iterable[_Run]) -> None:
    rows: list[Sequence[Any]] = []
    for run in runs:
        shared = [_text(one) if isinstance(one, str) else int(one) for one in run.shared]
        alike: Sequence[Sequence[Any]] = list(map(_own, run.records, run.used))
        if len(alike) >= _FEW:
            _insert_with(_INSERT, db, (), rows)
            rows = []
            alike = _insert_with(_INSERT_ALIKE, db, shared, alike)
        rows += [(*shared, *row) for row in alike]
    _insert_with(_INSERT, db, (), rows)


def _insert_with(
    statements: Mapping[int, str],
    db: sqlite3.Connection,
    shared: Sequence[str | int],
    rows: Sequence[Sequence[Any]],
) -> Sequence[Sequence[Any]]:
    """Insert *rows*, to each of which belongs what is *shared*; those for which there is no statement
    are returned.
    """
    at = 0
    for many, sql in statements.items():
        while len(rows) - at >= many:
            db.execute(sql, [*shared, *chain.from_iterable(rows[at : at + many])])
            at += many
    return rows[at:]


def _text(text: str) -> str:
    """*text* as SQLite takes it, which has no word for a lone surrogate."""
    short = text[:_LONGEST_TEXT]
    return short if short.isascii() else short.encode("utf-8", "replace").decode()


def _named_in(record: Record, account: str) -> tuple[str, ...]:
    """The name under which one like *record*, of *account*, counts in each of the ``_DIMENSIONS``."""
    model = record.provider and f"{record.provider}/{record.served_model}"
    return ("", account, record.agent, record.client, model, record.provider)


def _used(records: Sequence[Record]) -> Sequence[Sequence[int]]:
    """The tokens of each of *records*, none of which are too many to be added up."""
    kinds = [used(record.usage) for record in records]
    if all(min(column) >= 0 and max(column) <= _LARGEST for column in zip(*kinds, strict=True)):
        return kinds
    return [[min(max(0, many), _LARGEST) for many in row] for row in kinds]


def _by_hour(runs: Iterable[_Run]) -> Iterable[Sequence[Any]]:
    """The rows of ``usage_hours`` that *runs* add up to."""
    # Most have all their names in common: they are added up first, and then by each name.
    alike: dict[tuple[int, tuple[str, ...]], list[Sequence[float]]] = {}
    for hour, _, records, used_by in runs:
        first = records[0]
        accounts: dict[str, list[tuple[float | None, Sequence[int]]]] = {}
        for record, kinds in zip(records, used_by, strict=True):
            accounts.setdefault(record.served_by, []).append((record.cost, kinds))
        for account, parts in accounts.items():
            many, costs = len(parts), [cost for cost, _ in parts if cost is not None]
            failed = many if is_failure(first.outcome) else 0
            adds = (many, failed, len(costs), *_sums([kinds for _, kinds in parts]), sum(costs))
            alike.setdefault((hour, _named_in(first, account)), []).append(adds)
    hours: dict[tuple[str, int, str], list[Sequence[float]]] = {}
    for (hour, names), rows in alike.items():
        sums = _sums(rows)
        for dimension, name in zip(_DIMENSIONS, names, strict=True):
            hours.setdefault((dimension, hour, _text(name)), []).append(sums)
    return [(*key, *_sums(rows)) for key, rows in hours.items()]


def _sums(rows: Sequence[Sequence[float]]) -> Sequence[float]:
    return rows[0] if len(rows) == 1 else tuple(map(sum, zip(*rows, strict=True)))


# ── reading ──────────────────────────────────────────────────────────────────────────────────


def requests(db: sqlite3.Connection, wanted: Filter) -> Sequence[tuple[int, Record]]:
    """The newest of the *wanted* requests, each with its row's number."""
    provider, _, bare = wanted.model.partition("/")
    values = {**msgspec.structs.asdict(wanted), "provider": provider, "bare": bare}
    terms = " AND ".join(term for name, term in _MATCHES.items() if values[name]) or "1"
    # What matches is found in the index alone: few rows may match, and rows are long.
    sql = f"""
        {_SELECT} WHERE number IN (
            SELECT number FROM requests INDEXED BY requests_matched
            WHERE {terms} ORDER BY number DESC LIMIT :limit
        ) ORDER BY number DESC
    """  # noqa: S608 — the names are ours
    return list(_rows(db, sql, values))


def request(db: sqlite3.Connection, request_id: str) -> Record | None:
    """The newest request of that id, if its row is still kept."""
    found = list(_rows(db, _BY_ID, (request_id,)))
    return found[0][1] if found else None


def _rows(
    db: sqlite3.Connection, sql: str, values: Mapping[str, Any] | Sequence[Any]
) -> Iterator[tuple[int, Record]]:
    for number, *columns in db.execute(sql, values):
        fields: dict[str, Any] = dict(zip(_COLUMNS, columns, strict=True))
        kinds = {name: fields.pop(name) for name in KINDS}
        fields["stream"] = bool(fields["stream"])
        fields["attempts"] = _attempts(fields["attempts"])
        yield number, Record(**fields, usage=_usage(kinds))


def _usage(kinds: Mapping[str, int]) -> Usage:
    return Usage(
        input_total=kinds["input"] + kinds["cache_read"] + kinds["cache_write"],
        input_cached=kinds["cache_read"],
        input_cache_write=kinds["cache_write"],
        output_total=kinds["output"],
        output_reasoning=kinds["reasoning"],
    )


def totals(db: sqlite3.Connection, by: By, since: float, until: float) -> Sequence[Totals]:
    """The sums of the hours that begin from *since* up to *until*, for each name of what *by* says."""
    sums = ", ".join(f"sum({name})" for name in _SUMS)
    name = _TIMES.get(by, "name")
    order = "1" if by in _TIMES else "sum(cost) DESC, sum(requests) DESC, 1"
    sql = f"""
        SELECT {name}, {sums} FROM usage_hours
        WHERE dimension = ? AND hour >= ? AND hour < ? GROUP BY 1 ORDER BY {order}
    """  # noqa: S608 — the names are ours
    dimension = "" if by in _TIMES else by
    first = since // HOUR * HOUR
    return [Totals(*row) for row in db.execute(sql, (dimension, first, until))]


def first_hour(db: sqlite3.Connection) -> float | None:
    """When the first hour of which anything is known began."""
    row = db.execute("SELECT min(hour) FROM usage_hours WHERE dimension = ''").fetchone()
    return None if row[0] is None else float(row[0])


def spent(db: sqlite3.Connection, client: str, since: float) -> float:
    """What requests with the key called *client* cost in the hours that began at *since* or later."""
    sql = """
        SELECT coalesce(sum(cost), 0.0) FROM usage_hours
        WHERE dimension = 'key' AND hour >= ? AND name = ?
    """
    return float(db.execute(sql, (since, client)).fetchone()[0])
