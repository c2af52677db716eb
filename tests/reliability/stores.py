"""Disasters of what is kept: disks, the database, the vault. Those of the database happen to a proxy of
this process, the others to a daemon.
"""

import asyncio
import os
import random
import resource
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, closing, contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

import aiohttp

from proxypal_core.store.database import STATE_FILE
from tests.fault_server import FaultServer
from tests.gateway.asking import DIALECTS, question, read, upstream
from tests.proxy import Proxy, StoppedClock, proxy
from tests.reliability.place import (
    Disaster,
    Outcome,
    Place,
    all_recorded,
    api,
    daemon_of,
    refused_start,
    stopped,
    whole_answers,
)

LOCKED = 60.0
"""Seconds for which another program holds the database."""
SLOWER = 0.020
"""Seconds by which the slowest but one of a hundred answers may be slower while it does, and twice
as slow besides: other work of the machine makes as much. Waiting for the database would be 1 s.
"""


# ── disks ────────────────────────────────────────────────────────────────────────────────────


async def disk_full(place: Place) -> Outcome:
    """The disk fills up under a running daemon, and is freed again."""
    with _small_disk(place.data):
        before = place.fill_vault(1)
        async with daemon_of(place) as started:
            first = await whole_answers(started)
            await all_recorded(started.url, first)
            with _full(place.data, started.process.pid):
                during = await whole_answers(started)
                key, _ = await api(started.url, "keys", {"name": "laptop"})
                untouched = place.vault.path.read_bytes() == before
            recorded = await all_recorded(started.url, first + during)
            code = await stopped(started)
        left = list(place.data.rglob("*.tmp"))
    return Outcome(
        f"{during} of 8 answered, a new key refused ({key}), the vault as it was, and afterwards"
        f" {'all' if recorded else 'not all'} recorded",
        held=during == 8 and key >= 500 and untouched and recorded and code == 0 and not left,
    )


async def read_only(place: Place) -> Outcome:
    """The data directory cannot be written."""
    with _read_only(place.data):
        return await refused_start(place, code=1, saying="cannot write in the data directory")


async def data_removed(place: Place) -> Outcome:
    """Somebody deletes the data directory under a running daemon."""
    async with daemon_of(place) as started:
        before = await whole_answers(started)
        shutil.rmtree(place.data)
        after = await whole_answers(started)
        lives = await stopped(started) == 0
    return Outcome(f"{after} of 8 answered", held=before == after == 8 and lives)


@contextmanager
def _small_disk(folder: Path) -> Iterator[None]:
    """A disk of 2 MiB at *folder*, where that may be made."""
    mounted = _mounted(folder, "size=2m,mode=0700")
    try:
        yield
    finally:
        if mounted:
            _system("umount", "--lazy", str(folder))


def _mounted(folder: Path, options: str) -> bool:
    """Whether a disk of its own is at *folder* now."""
    if sys.platform != "linux" or os.geteuid() != 0:
        return False
    return _system("mount", "-t", "tmpfs", "-o", options, "none", str(folder))


def _system(*command: str) -> bool:
    done = subprocess.run(command, check=False, capture_output=True)  # noqa: S603 — ours
    return done.returncode == 0


@contextmanager
def _full(folder: Path, pid: int) -> Iterator[None]:
    """No byte more can be written in *folder* by the process *pid*: its disk is full, or it may make
    no file larger.
    """
    if os.path.ismount(folder):
        ballast = folder / "ballast"
        with suppress(OSError), ballast.open("wb", buffering=0) as file:
            while True:
                file.write(bytes(4096))
        yield
        ballast.unlink()
        return
    before = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (0, before[1]))
    yield
    resource.prlimit(pid, resource.RLIMIT_FSIZE, before)


@contextmanager
def _read_only(folder: Path) -> Iterator[None]:
    mounted = _mounted(folder, "ro,mode=0700")
    if not mounted:
        folder.chmod(0o500)
    try:
        yield
    finally:
        if mounted:
            _system("umount", "--lazy", str(folder))
        else:
            folder.chmod(0o700)


# ── the database ─────────────────────────────────────────────────────────────────────────────


async def locked(place: Place) -> Outcome:
    """Another program holds the database."""
    async with _before_a_provider(place) as p:
        await whole_answers(p, model="m-1")
        await all_recorded(p.url, 8)
        before = await _slowest(p, 2.0)
        recorded = 8 + before.asked
        with closing(sqlite3.connect(place.data / STATE_FILE, isolation_level=None)) as other:
            other.execute("PRAGMA busy_timeout = 10000")
            other.execute("BEGIN EXCLUSIVE")
            during = await _slowest(p, place.locked)
            other.execute("ROLLBACK")
        whole = await all_recorded(p.url, recorded + during.asked)
    return Outcome(
        f"{during.whole:,} of {during.asked:,} answered in {place.locked:.0f} s, p99"
        f" {during.p99 * 1000:.1f} ms (before: {before.p99 * 1000:.1f} ms), then"
        f" {'all' if whole else 'not all'} recorded",
        held=during.whole == during.asked and during.p99 < 2 * before.p99 + SLOWER and whole,
    )


async def locked_at_start(place: Place) -> Outcome:
    """Another program, such as a backup, holds the database when the daemon starts."""
    async with _before_a_provider(place) as p:
        await whole_answers(p, model="m-1")
        await all_recorded(p.url, 8)
    with closing(sqlite3.connect(place.data / STATE_FILE, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        async with _before_a_provider(place) as p:
            during = await whole_answers(p, model="m-1")
            other.execute("ROLLBACK")
            whole = await all_recorded(p.url, 16)
    return Outcome(
        f"{during} of 8 answered, and afterwards {'all' if whole else 'not all'} recorded",
        held=during == 8 and whole,
    )


def broken(name: str) -> Disaster:
    """The database *name* is not one when the daemon starts."""

    async def disaster(place: Place) -> Outcome:
        (place.data / name).write_bytes(random.Random(14).randbytes(50_000))
        async with _before_a_provider(place, "usage: {capture_bodies: all}") as p:
            answered = await whole_answers(p, model="m-1")
            recorded = await all_recorded(p.url, 8)
        aside = (place.data / f"{name}.broken").exists()
        return Outcome(
            f"{answered} of 8 answered and {'all' if recorded else 'not all'} recorded, the file"
            f" {'moved aside' if aside else 'left'}",
            held=answered == 8 and recorded and aside,
        )

    return disaster


async def damaged_later(place: Place) -> Outcome:
    """The database is damaged under a running daemon."""
    async with _before_a_provider(place) as p:
        await whole_answers(p, model="m-1")
        await all_recorded(p.url, 8)
        for name in (STATE_FILE, f"{STATE_FILE}-wal"):
            (place.data / name).write_bytes(random.Random(14).randbytes(20_000))
        during = await whole_answers(p, model="m-1")
        await p.gateway.front.recorder.usage.flush()
        again = await whole_answers(p, model="m-1")
    async with _before_a_provider(place) as p:
        after = await whole_answers(p, model="m-1")
    return Outcome(
        f"{during + again} of 16 answered, and after a restart {after} of 8",
        held=during + again == 16 and after == 8,
    )


async def older(place: Place) -> Outcome:
    """The database is of a version that had fewer columns."""
    with closing(sqlite3.connect(place.data / STATE_FILE)) as db:
        db.executescript(
            """
            CREATE TABLE requests (number INTEGER PRIMARY KEY, id TEXT, at REAL);
            CREATE TABLE accounts (account TEXT PRIMARY KEY, used INTEGER);
            INSERT INTO requests VALUES (1, 'r', 1.0);
            """
        )
    (place.data / STATE_FILE).chmod(0o600)
    async with _before_a_provider(place) as p:
        answered = await whole_answers(p, model="m-1")
        recorded = await all_recorded(p.url, 8)
    with closing(sqlite3.connect(place.data / STATE_FILE)) as db:
        [rows] = db.execute("SELECT count(*) FROM requests").fetchone()
    where = "in the file" if rows > 1 else "in memory only" if rows else "and the old ones lost"
    return Outcome(
        f"{answered} of 8 answered, {'all' if recorded else 'not all'} recorded, {where}",
        held=answered == 8 and recorded and rows > 0,
    )


@asynccontextmanager
async def _before_a_provider(place: Place, extra: str = "") -> AsyncIterator[Proxy]:
    """A proxy with the data of *place*, before a provider of each dialect."""
    async with FaultServer() as server:
        config = upstream(server, "openai-chat", extra=extra)
        async with proxy(config, clock=Wall(), data_dir=place.data) as p:
            yield p


class Wall(StoppedClock):
    """The time as it is."""

    def __call__(self) -> float:
        return time.time()


class _Paced(NamedTuple):
    asked: int
    whole: int
    p99: float


async def _slowest(p: Proxy, seconds: float, pause: float = 0.02) -> _Paced:
    """Questions one after another for so long."""
    took = []
    whole = 0
    ends = time.monotonic() + seconds
    async with aiohttp.ClientSession() as session:
        while time.monotonic() < ends:
            path, body = question(DIALECTS[len(took) % 4], "m-1")
            began = time.perf_counter()
            async with session.post(p.url + path, json=body) as answer:
                _, complete = await read(answer)
            took.append(time.perf_counter() - began)
            whole += answer.status == 200 and complete
            await asyncio.sleep(pause)
    return _Paced(len(took), whole, sorted(took)[-(len(took) // 100 + 1)])


# ── the vault ────────────────────────────────────────────────────────────────────────────────


async def vault_damaged(place: Place) -> Outcome:
    """One bit of the vault is wrong, and there is the generation before."""
    place.fill_vault(2)
    flip(place.vault.path)
    damaged = place.vault.path.read_bytes()
    async with daemon_of(place) as started:
        answered = await whole_answers(started)
        key, _ = await api(started.url, "keys", {"name": "laptop"})
        _, told = await api(started.url, "state")
    accounts = [one["id"] for one in told["accounts"]]  # type: ignore[index,attr-defined] # JSON
    said = "earlier generation" in started.err
    untouched = place.vault.path.read_bytes() == damaged
    return Outcome(
        f"{answered} of 8 answered, with the earlier generation, and a new key refused ({key})",
        held=answered == 8 and key >= 400 and said and untouched and "groq:a" in accounts,
    )


def unreadable_vault(damage: Callable[[Place], None]) -> Disaster:
    """Nothing of the vault can be read: it must not be as if there were none."""

    async def disaster(place: Place) -> Outcome:
        place.fill_vault(1)
        damage(place)
        before = place.vault.path.read_bytes()
        outcome = await refused_start(place, code=1, saying="auth-profiles.vault")
        untouched = place.vault.path.read_bytes() == before
        told = "as it was" if untouched else "OVERWRITTEN"
        return Outcome(f"{outcome.seen}; the vault {told}", outcome.held and untouched)

    return disaster


def flip(path: Path) -> None:
    """Change one bit."""
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def halve(place: Place) -> None:
    path = place.vault.path
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def change_key(place: Place) -> None:
    place.vault.keys.file.unlink()
    place.vault.keys.read_or_make()
