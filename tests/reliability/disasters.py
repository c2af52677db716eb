"""R14: disks that are full, files that are broken, another daemon, and what else befalls a machine.

Each disaster is a function that has it happen and tells what was seen. What concerns a store alone
happens to a proxy of this process; all else to a daemon of its own.
"""

import asyncio
import resource
import signal
import socket
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from proxypal_core.store.bodies_db import BODIES_FILE
from proxypal_core.store.database import STATE_FILE
from tests.fault_server import FaultServer
from tests.figures import Figure
from tests.gateway.asking import DIALECTS, ask, upstream
from tests.proxy import Proxy, StoppedClock, proxy
from tests.reliability.place import (
    PATIENCE,
    Disaster,
    Outcome,
    Place,
    api,
    comes,
    daemon_of,
    refused_start,
    stopped,
    whole_answers,
)
from tests.reliability.stores import (
    LOCKED,
    SLOWER,
    broken,
    change_key,
    damaged_later,
    data_removed,
    disk_full,
    flip,
    halve,
    locked,
    locked_at_start,
    older,
    read_only,
    unreadable_vault,
    vault_damaged,
)

# ── other programs ───────────────────────────────────────────────────────────────────────────


async def second_daemon(place: Place) -> Outcome:
    """A second daemon is started on the same data."""
    async with daemon_of(place) as first:
        second = await refused_start(place, code=75, saying=f"process {first.process.pid}")
        answered = await whole_answers(first)
    return Outcome(f"{second.seen}; the first: {answered} of 8", second.held and answered == 8)


async def port_taken(place: Place) -> Outcome:
    """Another program has the port."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        return await refused_start(place, "--port", port, code=1, saying=f"port {port}")


async def settings_broken(place: Place) -> Outcome:
    """The settings file is saved half-written, and then whole."""
    async with daemon_of(place) as started:
        place.config.write_text("listen: {port: [")
        started.process.send_signal(signal.SIGHUP)
        await started.says("not reloaded")
        during = await whole_answers(started)
        place.configure("strict: true\n")
        started.process.send_signal(signal.SIGHUP)
        await started.says("settings reloaded")
        after = await whole_answers(started)
        code = await stopped(started)
    return Outcome(
        f"{during} of 8 answered with the old settings, {after} of 8 with the new",
        held=during == after == 8 and code == 0,
    )


async def frozen(place: Place) -> Outcome:
    """The machine stops for a moment in the middle of an answer."""
    async with daemon_of(place) as started:
        asked = asyncio.ensure_future(whole_answers(started))
        await asyncio.sleep(0.1)
        started.process.send_signal(signal.SIGSTOP)
        await asyncio.sleep(2.0)
        started.process.send_signal(signal.SIGCONT)
        answered = await asked
    return Outcome(f"{answered} of 8 answered", held=answered == 8)


async def before_1970(place: Place) -> Outcome:
    """The clock stands before its own beginning, as on a machine without a battery."""
    async with FaultServer() as server:
        clock = StoppedClock(-3e8)
        config = upstream(server, "openai-chat", extra=_LIMITED_KEY)
        async with proxy(config, clock=clock, data_dir=place.data) as p:
            answered = await _answered_with_key(p)
            status, _ = await api(p.url, "usage?since=-1000000000")
    return Outcome(
        f"{answered} of 8 answered; usage: {status}", held=answered == 8 and status == 200
    )


_LIMITED_KEY = (
    "client_keys: [{name: laptop, key: key-of-a-laptop, requests_per_minute: 100, budget_usd: 5}]\n"
)


async def _answered_with_key(p: Proxy) -> int:
    headers = {"authorization": "Bearer key-of-a-laptop"}
    answers = [await ask(p, DIALECTS[number % 4], headers=headers) for number in range(8)]
    return sum(status == 200 and whole for status, _, _, whole in answers)


# ── the log ──────────────────────────────────────────────────────────────────────────────────


async def log_moved(place: Place) -> Outcome:
    """The log file is moved away, as programs that rotate logs do, and the daemon told."""
    place.configure(f"logging: {{file: {place.log}}}\n")
    async with daemon_of(place) as started:
        before = await whole_answers(started)
        place.log.rename(place.folder / "proxypal.log.1")
        during = await whole_answers(started)
        started.process.send_signal(signal.SIGHUP)

        async def written() -> bool:
            return _holds(place.log, "settings reloaded")

        begun = await comes(written)
        await stopped(started)
    return Outcome(
        f"{before + during} of 16 answered; a new file {'begun' if begun else 'not begun'}",
        held=before + during == 16 and begun,
    )


def _holds(path: Path, text: str) -> bool:
    return path.exists() and text in path.read_text()


async def log_full(place: Place) -> Outcome:
    """The disk of the log is full."""
    place.configure(f"logging: {{file: {place.log}, level: debug}}\n")
    async with daemon_of(place) as started:
        before = len(started.err.splitlines())
        limit = resource.prlimit(started.process.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(started.process.pid, resource.RLIMIT_FSIZE, (0, limit[1]))
        during = await whole_answers(started)
        code = await stopped(started)
    lines = len(started.err.splitlines()) - before
    return Outcome(
        f"{during} of 8 answered, {lines} lines on standard error instead",
        held=during == 8 and code == 0 and lines < 100,
    )


async def nobody_reads(place: Place) -> Outcome:
    """Whoever read the daemon's standard error has gone."""
    async with daemon_of(place) as started:
        started.process._transport.get_pipe_transport(2).close()
        await asyncio.sleep(0.1)
        during = await whole_answers(started)
        started.process.send_signal(signal.SIGTERM)
        code = await asyncio.wait_for(started.process.wait(), PATIENCE)
    return Outcome(
        f"{during} of 8 answered; exit code {code} when told", held=during == 8 and code == 0
    )


# ── all of them ──────────────────────────────────────────────────────────────────────────────

DISASTERS: Mapping[str, tuple[Disaster, str]] = {
    "the disk is full": (disk_full, "answers go on, nothing is lost"),
    "the data directory is read-only": (read_only, "exit code 1, and why"),
    "the data directory is deleted": (data_removed, "answers go on"),
    f"{STATE_FILE} is locked": (locked, f"p99 < 2 × + {SLOWER * 1000:.0f} ms, nothing is lost"),
    f"{STATE_FILE} is locked at the start": (locked_at_start, "answers go on, nothing is lost"),
    f"{STATE_FILE} is no database": (broken(STATE_FILE), "moved aside, a new one begun"),
    f"{BODIES_FILE} is no database": (broken(BODIES_FILE), "moved aside, a new one begun"),
    f"{STATE_FILE} is damaged while it is used": (damaged_later, "answers go on"),
    f"{STATE_FILE} lacks columns": (older, "answers go on, requests are recorded"),
    "the vault is damaged, an earlier one is there": (vault_damaged, "that is used, and frozen"),
    "the vault is damaged": (
        unreadable_vault(lambda place: flip(place.vault.path)),
        "exit code 1, and why",
    ),
    "the vault is cut off": (unreadable_vault(halve), "exit code 1, and why"),
    "the vault's key is another": (unreadable_vault(change_key), "exit code 1, and why"),
    "a second daemon is started": (second_daemon, "exit code 75, and why"),
    "the port is taken": (port_taken, "exit code 1, and why"),
    "the settings are broken when they are reloaded": (settings_broken, "the old ones go on"),
    "the process is frozen for 2 s": (frozen, "answers go on"),
    "the clock stands before 1970": (before_1970, "answers go on"),
    "the log file is moved away": (log_moved, "answers go on, a new one is begun"),
    "the disk of the log is full": (log_full, "answers go on, < 100 lines"),
    "nobody reads standard error": (nobody_reads, "answers go on"),
}


async def disasters(
    names: Sequence[str] = tuple(DISASTERS), *, locked_for: float = LOCKED
) -> list[Figure]:
    """Those of *names*; *locked_for* is how many seconds another program holds the database."""
    figures = []
    for name in names:
        disaster, bound = DISASTERS[name]
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
            try:
                seen, held = await disaster(Place(Path(folder), locked=locked_for))
            except Exception as error:  # noqa: BLE001 — the others still befall it
                seen, held = f"{type(error).__name__}: {error}"[:300], False
        figures.append(Figure("R14", name, seen, bound, held=held))
    return figures
