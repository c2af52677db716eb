"""How accounts are doing is known again after a restart, whatever it was that ended the process."""

import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from threading import Event

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxypal_core.accounts.account import Account
from proxypal_core.accounts.health import WELL, Count, Health
from proxypal_core.accounts.lease import NoneReady, Target
from proxypal_core.accounts.pool import Pool
from proxypal_core.accounts.standing import Bookkeeping
from proxypal_core.hub.failure import Failure, Kind
from proxypal_core.store.accounts_db import AccountsDB
from proxypal_core.store.database import STATE_FILE, Database
from tests.proxy import StoppedClock

M = Target("p", "m")
times = st.floats(0, 1e10)
counts = st.integers(0, 2**53)
healths = st.just(WELL) | st.builds(
    Health,
    reason=st.text(max_size=9),
    failed_at=times,
    rests_until=times,
    barred_until=times,
    counts=st.dictionaries(
        st.sampled_from(["rate", "billing", "login"]), st.builds(Count, counts, times, counts)
    ),
)
ids = st.sampled_from(["p:a", "p:b", "q:ü/\x00'"])
of_accounts = st.builds(Bookkeeping, ids, st.just(""), counts, times, counts, counts, healths)
of_models = st.builds(Bookkeeping, ids, st.sampled_from(["m", "n"]), health=healths)


def kept(folder, *rows):
    """Write *rows*, and end."""
    with closing(Database(folder)) as database:
        db = AccountsDB(database)
        for row in rows:
            db.put(row)


def read(folder):
    with closing(Database(folder)) as database:
        return {(row.account, row.model): row for row in AccountsDB(database).rows()}


# ── laws ─────────────────────────────────────────────────────────────────────────────────────


@given(st.lists(of_accounts | of_models, max_size=12))
def test_what_was_put_last_is_what_is_there(tmp_path_factory, rows):
    folder = tmp_path_factory.mktemp("data")
    kept(folder, *rows)

    last = {(row.account, row.model): row for row in rows}
    well = {key for key, row in last.items() if row.model and row.health == WELL}
    assert read(folder) == {key: row for key, row in last.items() if key not in well}


@given(
    st.lists(
        st.tuples(
            st.sampled_from([Kind.RATE_LIMIT, Kind.BILLING, Kind.SERVER, Kind.MODEL, None]),
            st.integers(0, 4000),
        ),
        max_size=12,
    )
)
def test_a_pool_goes_on_after_a_restart_as_it_would_have_without(tmp_path_factory, met):
    folder, clock = tmp_path_factory.mktemp("data"), StoppedClock()
    with closing(Database(folder)) as database:
        pool = pool_in(database, clock)
        for kind, wait in met:
            clock.at += wait
            try:
                lease = pool.lease([M])
            except NoneReady:
                continue
            if kind is None:
                pool.served(lease)
            else:
                pool.failed(lease, Failure(kind, "no"))
        before = shown(pool)
        expected = pool.explain([M])
    with closing(Database(folder)) as database:
        pool = pool_in(database, clock)

        assert shown(pool) == before
        assert pool.explain([M]) == expected


def pool_in(database, clock, names="abc"):
    db = AccountsDB(database)
    accounts = [Account(id=f"p:{name}", provider="p") for name in names]
    pool = Pool(accounts, clock=clock, changed=db.put)
    pool.restore(db.rows())
    return pool


def shown(pool):
    return [
        (one.used, one.used_at, one.served, one.failed, one.health, one.models)
        for one in pool.standings
    ]


# ── examples ─────────────────────────────────────────────────────────────────────────────────


def test_a_model_for_which_nothing_is_held_any_more_has_no_row(tmp_path):
    limited = Health("rate_limit", 1.0, 61.0, 61.0)
    kept(tmp_path, Bookkeeping("p:a", "m", health=limited), Bookkeeping("p:a", "m"))

    assert read(tmp_path) == {}


def test_an_account_that_is_gone_is_remembered_for_when_it_comes_back(tmp_path):
    clock = StoppedClock()
    for names in ("ab", "b", "ab"):
        with closing(Database(tmp_path)) as database:
            pool = pool_in(database, clock, names)
            if names == "ab" and not any(one.used for one in pool.standings):
                pool.failed(pool.lease([M]), Failure(Kind.BILLING, "no"))

    assert pool.standings[0].health.reason == "billing"


def test_leases_are_numbered_on_although_who_had_the_last_one_is_gone(tmp_path):
    clock = StoppedClock()
    with closing(Database(tmp_path)) as database:
        pool = pool_in(database, clock, "ab")
        first = pool.lease([M])
        for _ in range(50):
            pool.served(pool.lease([Target("p", "m", profile="p:b")]))
        pool.failed(first, Failure(Kind.RATE_LIMIT, "", scope="account"))
    clock.at += 60
    with closing(Database(tmp_path)) as database:
        pool = pool_in(database, clock, "a")
        pool.served(pool.lease([M]))

    assert pool.standings[0].health == WELL


def test_a_row_of_another_version_is_read_as_far_as_it_can_be(tmp_path):
    kept(tmp_path, Bookkeeping("p:a", used=3, used_at=5.0, served=2, failed=1))
    with closing(sqlite3.connect(tmp_path / STATE_FILE)) as db, db:
        db.execute("UPDATE accounts SET health = ?", ('{"rests_until": "tomorrow"}',))

    assert read(tmp_path) == {
        ("p:a", ""): Bookkeeping("p:a", used=3, used_at=5.0, served=2, failed=1)
    }


def test_a_reset_at_rest_forgets_what_is_held_and_nothing_else(tmp_path):
    limited = Health("rate_limit", 1.0, 61.0, 61.0)
    for name in ("p:a", "p:b"):
        kept(tmp_path, Bookkeeping(name, used=3, served=2, failed=1, health=limited))
        kept(tmp_path, Bookkeeping(name, "m", health=limited))
    with closing(Database(tmp_path)) as database:
        AccountsDB(database).reset("p:a")

    assert read(tmp_path) == {
        ("p:a", ""): Bookkeeping("p:a", used=3, served=2, failed=1),
        ("p:b", ""): Bookkeeping("p:b", used=3, served=2, failed=1, health=limited),
        ("p:b", "m"): Bookkeeping("p:b", "m", health=limited),
    }
    with closing(Database(tmp_path)) as database:
        AccountsDB(database).reset("")
    assert all(row.health == WELL for row in read(tmp_path).values())


# ── writing ──────────────────────────────────────────────────────────────────────────────────


def test_putting_does_not_wait_and_many_changes_are_one_write(tmp_path):
    busy, over, writes = Event(), Event(), []

    def hold(_):
        busy.set()
        over.wait(30)

    def count(statement):
        if statement.startswith("BEGIN"):
            writes.append(statement)

    with closing(Database(tmp_path)) as database:
        db = AccountsDB(database)
        database.now(lambda connection: connection.set_trace_callback(count), None)
        database.submit(hold)
        busy.wait(30)
        for used in range(100):
            db.put(Bookkeeping("p:a", used=used))
        over.set()

    assert len(writes) == 1
    assert read(tmp_path)["p:a", ""].used == 99


def test_a_write_that_failed_is_made_up_for_by_the_next(tmp_path):
    with closing(Database(tmp_path)) as database:
        db = AccountsDB(database)
        db.put(Bookkeeping("p:a", used=1))
        database.now(lambda connection: connection.execute("PRAGMA query_only = ON"), None)
        db.put(Bookkeeping("p:a", used=2))
        db.put(Bookkeeping("p:b", used=3))
        database.now(lambda connection: connection.execute("PRAGMA query_only = OFF"), None)
        db.put(Bookkeeping("p:c", used=4))

    assert {account: row.used for (account, _), row in read(tmp_path).items()} == {
        "p:a": 2,
        "p:b": 3,
        "p:c": 4,
    }


@pytest.mark.skipif(os.name != "posix", reason="it is killed by a signal")
def test_a_process_that_is_killed_had_written_what_it_knew(tmp_path):
    program = (
        "import os, signal, sys; from pathlib import Path\n"
        "from proxypal_core.accounts.standing import Bookkeeping\n"
        "from proxypal_core.store.accounts_db import AccountsDB\n"
        "from proxypal_core.store.database import Database\n"
        "database = Database(Path(sys.argv[1]))\n"
        "db = AccountsDB(database)\n"
        "for used in range(500): db.put(Bookkeeping(f'p:{used % 7}', used=used))\n"
        "database.now(lambda _: None, None)\n"  # whatever was put is written before this
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )

    done = subprocess.run(  # noqa: S603 — our own
        [sys.executable, "-c", program, str(tmp_path)],
        cwd=Path(__file__).parents[2],
        check=False,
        timeout=50,
    )

    assert done.returncode == -9
    assert sorted(row.used for row in read(tmp_path).values()) == list(range(493, 500))


def test_what_is_put_while_the_file_is_broken_is_in_the_one_that_takes_its_place(tmp_path):
    (tmp_path / STATE_FILE).write_bytes(b"This is no database. " * 500)

    kept(tmp_path, Bookkeeping("p:b", used=2))

    assert read(tmp_path)["p:b", ""].used == 2
    assert (tmp_path / "state.db.broken").exists()
