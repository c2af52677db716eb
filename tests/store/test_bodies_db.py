"""What is kept word for word is bounded in every way, holds no secret, and can be deleted."""

import os
import sqlite3
import stat
from contextlib import aclosing, closing

import pytest
import structlog
from hypothesis import example, given
from hypothesis import strategies as st

from proxypal_core.store import bodies_db
from proxypal_core.store.bodies_db import BODIES_FILE, BodiesDB, Heard
from proxypal_core.store.database import Database
from proxypal_core.telemetry import log
from tests.proxy import StoppedClock

DAY = 86400.0
SECRET = "Qm7kTz0pWv9xRb3n"  # of no known form
LIMITS = {"LONGEST": 256, "MARGIN": 64}


def heard(asked=b"asked", told=b"told", *, piece=0):
    both = Heard()
    for body, data in ((both.asked, asked), (both.told, told)):
        for at in range(0, len(data), piece or len(data) or 1):
            body.add(data[at : at + (piece or len(data))])
    return both


def opened(folder=None, clock=None, *, days=7, secrets=(SECRET,)):
    bodies = BodiesDB(Database(folder, BODIES_FILE), clock or StoppedClock())
    bodies.use(keep=True, days=days, scrub=lambda text: log.scrubbed(text, secrets))
    return bodies


def closed(bodies):
    return aclosing(bodies._database)


async def kept(data, **options):
    """What is kept of an answer of *data*."""
    bodies = opened()
    async with closed(bodies):
        bodies.put("a", heard(told=data, **options))
        return (await bodies.of("a")).answer


@given(st.text(max_size=100), st.integers(1, 40))
async def test_a_short_body_comes_back_as_it_was(text, piece):
    data = text.encode()

    body = await kept(data, piece=piece)

    assert (body.text, body.size, body.cut) == (text, len(data), False)


@given(st.integers(0, 600), st.integers(0, 300))
@example(256 - 8, 100)
@example(256 + 64 - 8, 100)
async def test_no_part_of_a_secret_is_kept_wherever_a_body_is_cut(before, after):
    data = b"." * before + SECRET.encode() + b"." * after
    with pytest.MonkeyPatch.context() as patch:
        for name, value in LIMITS.items():
            patch.setattr(bodies_db, name, value)

        body = await kept(data)

    assert SECRET[:6] not in body.text
    assert set(body.text) <= {".", "*"}
    assert (body.size, body.cut) == (len(data), len(data) > 256)


@given(st.text(min_size=300, max_size=400), st.integers(1, 500))
async def test_of_a_long_body_the_beginning_is_kept(text, piece):
    data = text.encode()
    with pytest.MonkeyPatch.context() as patch:
        for name, value in LIMITS.items():
            patch.setattr(bodies_db, name, value)

        body = await kept(data, piece=piece)

    assert body.cut
    assert text.startswith(body.text)
    assert min(len(data) - 64, 256) - 64 - 4 < len(body.text.encode()) <= 256


@pytest.mark.parametrize("data", [b"\xff\xd8\xff", b"\x00\xc3", b"caf\xe9"])
async def test_what_is_no_text_is_counted_and_not_kept(data):
    body = await kept(data)

    assert (body.text, body.size) == (None, len(data))


async def test_the_oldest_go_when_there_is_too_much(monkeypatch):
    monkeypatch.setattr(bodies_db, "LARGEST", 10_000)
    bodies = opened()
    async with closed(bodies):
        for number in range(20):
            bodies.put(f"{number}", heard(b"q" * 500, b"a" * 500))
        left = [number for number in range(20) if await bodies.of(f"{number}")]

        assert left == list(range(13, 20))


async def test_bodies_expire_whether_or_not_others_come(tmp_path):
    clock = StoppedClock()
    bodies = opened(tmp_path, clock, days=2)
    async with closed(bodies):
        bodies.put("old", heard())
        clock.at += DAY
        bodies.put("new", heard())
        clock.at += DAY + 1

        assert await bodies.of("old") is None
        assert await bodies.of("new") is not None

        bodies.put("newest", heard())
        assert await bodies.of("newest") is not None
        assert ids(tmp_path) == ["new", "newest"]

    clock.at += DAY
    again = opened(tmp_path, clock, days=2)
    async with closed(again):
        assert await again.of("newest") is not None
        assert ids(tmp_path) == ["newest"]


async def test_the_limit_holds_over_a_restart(tmp_path, monkeypatch):
    monkeypatch.setattr(bodies_db, "LARGEST", 3000)
    for number in range(5):
        bodies = opened(tmp_path)
        async with closed(bodies):
            bodies.put(f"{number}", heard(b"q" * 500, b"a" * 500))

    assert ids(tmp_path) == ["3", "4"]


@pytest.mark.skipif(os.name == "nt", reason="modes are POSIX's")
async def test_the_file_is_its_owners_alone(tmp_path):
    bodies = opened(tmp_path)
    async with closed(bodies):
        bodies.put("a", heard())
        await bodies.of("a")
        modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}

    assert modes == dict.fromkeys((BODIES_FILE, f"{BODIES_FILE}-wal", f"{BODIES_FILE}-shm"), 0o600)


async def test_turned_off_it_deletes_the_file_and_keeps_nothing_that_still_comes(tmp_path):
    bodies = opened(tmp_path)
    async with closed(bodies):
        bodies.put("a", heard())
        bodies.use(keep=False, days=7, scrub=str)
        bodies.put("b", heard())

    assert list(tmp_path.iterdir()) == []


async def test_turned_on_again_it_begins_anew(tmp_path):
    bodies = opened(tmp_path)
    async with closed(bodies):
        bodies.put("a", heard())
        bodies.use(keep=False, days=7, scrub=str)
        bodies.use(keep=True, days=7, scrub=str)
        before = await bodies.of("a")
        bodies.put("b", heard())

        assert before is None
        assert await bodies.of("b") is not None


async def test_a_file_that_somebody_holds_is_told_once_and_stops_nobody(tmp_path, monkeypatch):
    monkeypatch.setattr("proxypal_core.store.database._LOCKED", 0.0)
    bodies = opened(tmp_path)
    async with closed(bodies):
        bodies.put("a", heard())
        await bodies.of("a")
        with (
            closing(sqlite3.connect(tmp_path / BODIES_FILE, isolation_level=None)) as other,
            structlog.testing.capture_logs() as logs,
        ):
            other.execute("BEGIN IMMEDIATE")
            bodies.put("b", heard())
            await bodies.of("b")
            bodies.put("c", heard())
            await bodies.of("c")
            other.execute("ROLLBACK")
            bodies.put("d", heard())
            await bodies.of("d")

        assert [line["event"] for line in logs] == ["bodies cannot be kept"]
        assert ids(tmp_path) == ["a", "d"]


async def test_what_waits_too_much_is_dropped(monkeypatch):
    monkeypatch.setattr(bodies_db, "MOST_WAITING", 100)
    bodies = opened()
    async with closed(bodies):
        bodies.put("large", heard(b"q" * 101))

        assert await bodies.of("large") is None


async def test_keeping_is_said_out_loud():
    bodies = BodiesDB(Database(None, BODIES_FILE), StoppedClock())
    async with closed(bodies):
        with structlog.testing.capture_logs() as logs:
            for keep in (False, True, True):
                bodies.use(keep=keep, days=7, scrub=str)

    assert [(line["log_level"], line["days"]) for line in logs] == [("warning", 7)]


def ids(folder):
    with closing(sqlite3.connect(folder / BODIES_FILE)) as db:
        return [row[0] for row in db.execute("SELECT id FROM bodies ORDER BY number")]
