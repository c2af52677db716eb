"""``state.db`` is its owner's alone, outlives the daemon, and is never a reason to stop."""

import os
import sqlite3
import stat
import threading
from contextlib import aclosing, asynccontextmanager, closing

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxypal_core.store.database import STATE_FILE, Database, transaction

posix = pytest.mark.skipif(os.name != "posix", reason="modes are POSIX's")
A_PAGE = "x" * 4096


@asynccontextmanager
async def opened(folder=None, done=lambda _: None):
    async with aclosing(Database(folder)) as database:
        database.add_tables("CREATE TABLE IF NOT EXISTS words (word TEXT)", done)
        yield database


def adding(*words):
    return lambda db: db.executemany("INSERT INTO words VALUES (?)", [(word,) for word in words])


def told(db):
    with closing(db.execute("SELECT word FROM words ORDER BY rowid")) as rows:
        return [word for (word,) in rows]


# ── work ─────────────────────────────────────────────────────────────────────────────────────


@given(st.lists(st.sampled_from(["submit", "do", "now"]), max_size=12))
async def test_all_work_is_done_in_its_order(ways):
    async with opened() as database:
        for number, way in enumerate(ways):
            work = adding(str(number))
            match way:
                case "submit":
                    database.submit(work)
                case "do":
                    await database.do(work, None)
                case "now":
                    database.now(work, None)
        found = await database.do(told, [])

    assert found == [str(number) for number in range(len(ways))]


async def test_work_is_done_on_a_thread_of_its_own():
    async with opened() as database:
        threads = {await database.do(lambda _: threading.current_thread(), None) for _ in range(3)}

    assert len(threads) == 1
    assert threads.isdisjoint({threading.main_thread()})


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, sqlite3.IntegrityError])
async def test_a_transaction_that_fails_leaves_nothing_behind(error):
    def half(db):
        adding("half")(db)
        raise error

    def failing(db):
        with pytest.raises(error):
            transaction(db, half)

    async with opened() as database:
        await database.do(adding("before"), None)
        await database.do(failing, None)
        await database.do(lambda db: transaction(db, adding("after")), None)
        found = await database.do(told, [])

    assert found == ["before", "after"]


# ── the file ─────────────────────────────────────────────────────────────────────────────────


async def test_what_is_written_outlives_the_daemon(tmp_path):
    async with opened(tmp_path) as database:
        database.submit(adding("kept"))
    async with opened(tmp_path) as database:
        found = database.now(told, [])

    assert found == ["kept"]


async def test_closing_waits_for_what_was_begun(tmp_path):
    async with opened(tmp_path) as database:
        for number in range(200):
            database.submit(adding(str(number)))
    async with opened(tmp_path) as database:
        found = await database.do(told, [])

    assert len(found) == 200


def test_it_is_closed_without_a_loop_too(tmp_path):
    with closing(Database(tmp_path)) as database:
        database.add_tables("CREATE TABLE words (word TEXT)")
        database.submit(adding("kept"))

    with closing(sqlite3.connect(tmp_path / STATE_FILE)) as db:
        assert told(db) == ["kept"]


async def test_nothing_is_opened_before_it_is_needed(tmp_path):
    async with opened(tmp_path / "data"):
        pass

    assert not (tmp_path / "data").exists()


@posix
async def test_the_files_are_the_owners_alone(tmp_path):
    old = os.umask(0)
    try:
        async with opened(tmp_path / "data") as database:
            await database.do(adding("secret"), None)
            modes = {
                path.name: stat.S_IMODE(path.stat().st_mode)
                for path in (tmp_path / "data").iterdir()
            }
    finally:
        os.umask(old)

    assert modes == dict.fromkeys(["state.db", "state.db-wal", "state.db-shm"], 0o600)
    assert stat.S_IMODE((tmp_path / "data").stat().st_mode) == 0o700


@posix
async def test_a_link_in_its_place_is_not_followed(tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / STATE_FILE).symlink_to(tmp_path / "somewhere-else")
    async with opened(tmp_path / "data") as database:
        database.submit(adding("kept"))
        found = await database.do(told, [])

    assert found == ["kept"]
    assert not (tmp_path / "somewhere-else").exists()


async def test_what_is_deleted_is_overwritten(tmp_path):
    async with opened(tmp_path) as database:
        await database.do(adding("CANARY" * 1000), None)
        await database.do(lambda db: db.execute("DELETE FROM words"), None)

    assert b"CANARYCANARY" not in (tmp_path / STATE_FILE).read_bytes()


# ── when it fails ────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("damage", ["text", "cut", "middle"])
async def test_a_broken_file_is_moved_aside_and_the_work_goes_on(tmp_path, damage):
    path = tmp_path / STATE_FILE
    async with opened(tmp_path) as database:
        await database.do(adding(*[A_PAGE] * 20), None)
    whole = path.read_bytes()
    broken = {
        "text": b"This is no database. " * 500,
        "cut": whole[: len(whole) // 3],
        "middle": whole[:100] + b"\xff" * (len(whole) - 100),
    }[damage]
    path.write_bytes(broken)

    async with opened(tmp_path) as database:
        await database.do(adding("new"), None)
        found = await database.do(told, [])

    assert found == ["new"]
    assert (tmp_path / "state.db.broken").exists()


async def test_tables_are_made_anew_in_the_file_that_takes_its_place(tmp_path):
    (tmp_path / STATE_FILE).write_bytes(b"This is no database. " * 500)
    opened_again = []
    async with opened(tmp_path, opened_again.append) as database:
        await database.do(adding("new"), None)

    assert len(opened_again) == 1


async def test_without_a_place_for_the_file_the_memory_has_to_do(tmp_path):
    (tmp_path / "data").write_bytes(b"a file where the folder should be")
    async with opened(tmp_path / "data") as database:
        database.submit(adding("new"))
        found = await database.do(told, [])

    assert found == ["new"]


async def test_work_that_fails_gives_what_was_to_be_given_otherwise(tmp_path):
    async with opened(tmp_path) as database:
        await database.do(adding("there"), None)
        with closing(sqlite3.connect(tmp_path / STATE_FILE)) as other:
            other.execute("DROP TABLE words")
        found = [await database.do(told, ["otherwise"]), database.now(told, ["otherwise"])]
        database.submit(told)

    assert found == [["otherwise"]] * 2
    assert not (tmp_path / "state.db.broken").exists()


async def test_another_program_may_read_it_meanwhile(tmp_path):
    async with opened(tmp_path) as database:
        await database.do(adding("one"), None)
        with closing(sqlite3.connect(tmp_path / STATE_FILE)) as other:
            first = told(other)
            await database.do(adding("two"), None)
            second = told(other)

    assert (first, second) == (["one"], ["one", "two"])
