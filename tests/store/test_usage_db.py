"""Every request is a row and a part of its hour's sums, and nothing that happens to the database
reaches those who make requests.
"""

import asyncio
import sqlite3
from contextlib import aclosing, asynccontextmanager, closing
from datetime import UTC, datetime, timedelta
from typing import get_args

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from proxypal_core.hub.messages import Usage
from proxypal_core.metering import Attempt, Record, is_failure, tokens
from proxypal_core.store import usage_db, usage_rows
from proxypal_core.store.database import STATE_FILE, Database
from proxypal_core.store.usage_db import UsageDB
from proxypal_core.store.usage_rows import By, Filter
from tests.running import running
from tests.strategies import usages, words

NOON = 1_795_003_200.0
HOUR = 3600.0
EVERYTHING = Filter(limit=10_000)

outcomes = st.sampled_from(["served", "abandoned", "client_gone", "rate_limit", "server"])
eighths = st.integers(0, 10_000).map(lambda many: many / 8)  # their sums are exact
records = st.builds(
    Record,
    id=st.uuids().map(lambda value: value.hex),
    at=st.integers(0, 100 * 3600).map(lambda second: NOON + second),
    dialect=st.sampled_from(["anthropic", "gemini"]),
    path=st.just("/v1/messages"),
    model=words,
    stream=st.booleans(),
    client=st.sampled_from(["", "laptop", "désk"]),
    agent=st.sampled_from(["", "codex"]),
    session=st.sampled_from(["", "0123"]),
    attempts=st.lists(st.builds(Attempt, words, words, outcomes, eighths), max_size=3),
    served_model=st.sampled_from(["m", "n/o"]),
    status=st.sampled_from([200, 429]),
    outcome=outcomes,
    first_content=eighths,
    duration=eighths,
    usage=usages(),
    cost=st.none() | eighths,
)
served = st.sampled_from([("", ""), ("p:a", "p"), ("p:b", "p"), ("alias:ü", "q")])
records = st.builds(
    lambda one, by: msgspec.structs.replace(one, served_by=by[0], provider=by[1]), records, served
)
batches = st.lists(st.lists(records, max_size=4), max_size=4)


def record(number=1, **fields):
    given_fields = {"at": NOON, "dialect": "anthropic", "path": "/v1/messages", **fields}
    return Record(id=f"{number:032x}", **given_fields)


@asynccontextmanager
async def opened(folder=None, **options):
    async with (
        aclosing(Database(folder)) as database,
        aclosing(UsageDB(database, **options)) as db,
    ):
        # Whoever finds the file locked is told so at once, and not after some seconds.
        await database.do(lambda db: db.execute("PRAGMA busy_timeout = 0"), None)
        yield db


async def kept(db, *given_records):
    for one in given_records:
        db.put(one)
    await db.flush()


async def test_records_that_came_together_are_a_row_each():
    many = [record(number) for number in range(2 * usage_rows._TOGETHER + 15)]

    async with opened() as db:
        await kept(db, *many)
        found = await db.requests(EVERYTHING)

    assert [one for _, one in found] == many[::-1]


async def rows(db, wanted=EVERYTHING):
    return [one for _, one in await db.requests(wanted)]


# ── laws ─────────────────────────────────────────────────────────────────────────────────────


@given(records)
async def test_a_row_is_read_as_it_was_written(one):
    async with opened() as db:
        await kept(db, one)

        assert await rows(db) == [one]
        assert await db.request(one.id) == one


def local(at):
    return datetime.fromtimestamp(at, UTC).astimezone()


_NAMES = {
    "day": lambda one: f"{local(one.at):%Y-%m-%d}",
    "week": lambda one: f"{local(one.at) - timedelta(days=local(one.at).weekday()):%Y-%m-%d}",
    "hour": lambda one: f"{local(one.at):%Y-%m-%dT%H:00}",
    "account": lambda one: one.served_by,
    "agent": lambda one: one.agent,
    "key": lambda one: one.client,
    "model": lambda one: one.provider and f"{one.provider}/{one.served_model}",
    "provider": lambda one: one.provider,
}


def added_up(by, found):
    """The totals of the rows *found*, by name."""
    totals = {}
    for one in found:
        adds = {
            "requests": 1,
            "failed": is_failure(one.outcome),
            "priced": one.cost is not None,
            "cost": one.cost or 0.0,
            **tokens(one.usage),
        }
        sums = totals.setdefault(_NAMES[by](one), dict.fromkeys(adds, 0))
        for name, amount in adds.items():
            sums[name] += amount
    return totals


@given(batches, st.sampled_from(get_args(By)), st.integers(0, 60), st.integers(0, 60))
async def test_totals_are_the_sums_of_the_rows(written, by, first, hours):
    since = NOON + first * HOUR
    until = since + hours * HOUR
    async with opened() as db:
        for batch in written:
            await kept(db, *batch)
        totals = await db.totals(by, since, until)
        found = await rows(db)

    assert len(found) == sum(map(len, written))
    assert {
        one.name: {name: getattr(one, name) for name in one.__struct_fields__[1:]} for one in totals
    } == added_up(by, [one for one in found if since <= one.at < until])


@given(st.lists(records, max_size=9), st.integers(1, 4))
async def test_pages_show_every_row_once_the_newest_first(written, limit):
    seen, before = [], 0
    async with opened() as db:
        await kept(db, *written)
        while page := await db.requests(Filter(limit=limit, before=before)):
            seen += [one for _, one in page]
            before = page[-1][0]

    assert seen == written[::-1]


@given(
    st.lists(records, max_size=9),
    st.fixed_dictionaries(
        {},
        optional={
            "account": st.sampled_from(["p:a", "alias:ü", "p:*"]),
            "model": st.sampled_from(["m", "p/m", "q/n/o", "p*/m"]),
            "key": st.sampled_from(["laptop", "désk", "nobody"]),
            "outcome": outcomes,
        },
    ),
)
async def test_a_filter_finds_what_matches_it_whole(written, terms):
    matches = {
        "account": lambda one, text: one.served_by == text,
        "model": lambda one, text: text in (one.model, one.served_model, _NAMES["model"](one)),
        "key": lambda one, text: one.client == text,
        "outcome": lambda one, text: one.outcome == text,
    }
    async with opened() as db:
        await kept(db, *written)
        found = await rows(db, Filter(**terms, limit=99))

    expected = [
        one for one in written if all(matches[name](one, text) for name, text in terms.items())
    ]
    assert found == expected[::-1]


# ── when it is written ───────────────────────────────────────────────────────────────────────


async def test_who_looks_finds_what_has_just_ended():
    one = record(1)
    async with opened() as db:
        db.put(one)

        assert await db.request(one.id) == one
        assert [total.requests for total in await db.totals("key", 0, 2**40)] == [1]


async def test_records_wait_a_quarter_of_a_second_for_each_other(monkeypatch):
    asked = []
    loop = asyncio.get_running_loop()
    call_later = loop.call_later
    written = asyncio.Event()

    def at_once(delay, then, *arguments):
        asked.append(delay)
        return call_later(0, lambda: (then(*arguments), written.set()))

    async with opened() as db:
        monkeypatch.setattr(loop, "call_later", at_once)
        for number in range(20):
            db.put(record(number))
        await written.wait()
        found = await rows(db)  # it is done after what the timer began
        monkeypatch.undo()

    assert asked == [0.25]
    assert len(found) == 20


async def test_what_waits_at_the_end_is_written(tmp_path):
    async with opened(tmp_path) as db:
        db.put(record())
    async with opened(tmp_path) as db:
        found = await rows(db)

    assert found == [record()]


_KILLED = """
import asyncio, sys
from pathlib import Path
from proxypal_core.metering import Record
from proxypal_core.store.database import Database
from proxypal_core.store.usage_db import UsageDB
from proxypal_core.store.usage_rows import Filter

async def main():
    db = UsageDB(Database(Path(sys.argv[1])))
    for number in range(10):
        db.put(Record(id=str(number), at=1e9, dialect="gemini", path="/"))
    while not await db.requests(Filter()):
        await asyncio.sleep(0.01)
    db.put(Record(id="late", at=1e9, dialect="gemini", path="/"))
    print("ready", file=sys.stderr, flush=True)
    await asyncio.sleep(60)

asyncio.run(main())
"""


async def test_a_process_that_is_killed_loses_what_waited_and_nothing_else(tmp_path):
    async with running("-c", _KILLED, tmp_path, program=()) as process:
        await process.says("ready")
        process.process.kill()
        await process.ended()
    async with opened(tmp_path) as db:
        found = await rows(db)
        totals = await db.totals("day", 0, NOON)

    assert [one.id for one in found if one.id != "late"] == [str(n) for n in range(9, -1, -1)]
    assert sum(one.requests for one in totals) == len(found)


# ── when it cannot be written ────────────────────────────────────────────────────────────────


async def test_a_locked_database_is_written_when_it_is_free_again(tmp_path):
    async with opened(tmp_path) as db:
        with closing(sqlite3.connect(tmp_path / STATE_FILE, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            await kept(db, record(1))
            problem, locked_out = db.problem, await rows(db)
            other.execute("ROLLBACK")
        await kept(db, record(2))
        found = await rows(db)

    assert (problem, locked_out) == ("database is locked", [])
    assert found == [record(2), record(1)]
    assert (db.problem, db.dropped) == ("", 0)


async def test_it_is_tried_again_without_another_request(tmp_path, monkeypatch):
    monkeypatch.setattr(usage_db, "WRITE_EVERY", 0.001)
    async with opened(tmp_path) as db:
        with closing(sqlite3.connect(tmp_path / STATE_FILE, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            db.put(record())
            while not db.problem:
                await rows(db)
            other.execute("ROLLBACK")
        while not (found := await rows(db)):
            pass

    assert found == [record()]


async def test_when_too_many_wait_the_newest_are_dropped_and_counted(tmp_path, monkeypatch):
    monkeypatch.setattr(usage_db, "MOST_WAITING", 3)
    async with opened(tmp_path) as db:
        with closing(sqlite3.connect(tmp_path / STATE_FILE, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            for number in range(5):
                await kept(db, record(number))
            other.execute("ROLLBACK")
        dropped = db.dropped
        await db.flush()
        found = await rows(db)

    assert dropped == 2
    assert found == [record(2), record(1), record(0)]


async def test_a_full_disk_is_written_when_there_is_room_again(tmp_path):
    def limit(pages):
        return lambda db: db.execute(f"PRAGMA max_page_count = {pages}").fetchone()

    async with aclosing(Database(tmp_path)) as database, aclosing(UsageDB(database)) as db:
        await kept(db, record(0))
        await database.do(limit(1), None)  # not fewer than there are
        await kept(db, *(record(number, path="x" * 200) for number in range(1, 500)))
        problem, full = db.problem, len(await rows(db))
        await database.do(limit(100_000), None)
        await db.flush()
        found = await rows(db)

    assert problem == "database or disk is full"
    assert full == 1
    assert len(found) == 500
    assert (db.problem, db.dropped) == ("", 0)


async def test_a_broken_file_is_moved_aside_and_what_waits_is_written(tmp_path):
    (tmp_path / STATE_FILE).write_bytes(b"no database at all" * 1000)
    async with opened(tmp_path) as db:
        await kept(db, record())
        found = await rows(db)

    assert found == [record()]
    assert (tmp_path / f"{STATE_FILE}.broken").exists()


async def test_a_record_that_cannot_be_written_does_not_stop_those_after_it():
    async with opened() as db:
        await kept(db, record(1, outcome=object()))
        await kept(db, record(2))
        found = await rows(db)

    assert found == [record(2)]
    assert db.dropped == 1


async def test_numbers_that_nobody_uses_and_endless_names_are_cut():
    async with opened() as db:
        await kept(db, record(path="/" * 9999, model="\ud800", usage=Usage(10**30, -1, 0, 10**40)))
        found = await db.request(record().id)

    assert len(found.path) == 256
    assert found.model == "?"
    assert (found.usage.input_total, found.usage.output_total) == (2**40, 2**40)


# ── what is kept, and what is read ───────────────────────────────────────────────────────────


async def test_rows_are_kept_as_long_as_was_asked_and_hours_for_good():
    async with opened(retain=24 * HOUR) as db:
        await kept(db, record(1), record(2, at=NOON + HOUR))
        await kept(db, record(3, at=NOON + 25 * HOUR))
        found = await rows(db)
        totals = await db.totals("provider", NOON, NOON + 99 * HOUR)

    assert [int(one.id, 16) for one in found] == [3, 2]
    assert [one.requests for one in totals] == [3]


async def test_a_request_that_is_gone_is_nobody():
    async with opened() as db:
        assert await db.request("1") is None


async def test_what_a_key_spent_is_counted_from_the_month_on():
    async with opened() as db:
        await kept(
            db,
            record(1, client="laptop", cost=1.0, at=NOON - HOUR),
            record(2, client="laptop", cost=2.0),
            record(3, client="laptop", cost=None, at=NOON + HOUR),
            record(4, client="laptop", cost=4.0, at=NOON + 2 * HOUR),
            record(5, client="desk", cost=8.0),
        )

        assert await asyncio.to_thread(db.spent, "laptop", NOON) == 6.0
        assert await asyncio.to_thread(db.spent, "nobody", NOON) == 0.0


async def test_the_first_hour_is_known():
    async with opened() as db:
        before = await db.first_hour()
        await kept(db, record(at=NOON + 5 * HOUR + 59), record(2, at=NOON + 3 * HOUR + 1))

        assert before is None
        assert await db.first_hour() == NOON + 3 * HOUR
