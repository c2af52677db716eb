"""A daemon as a process, with a window: its memory, descriptors, threads, children and tasks.

The program is the one that users run; it also says how many tasks it has when it gets SIGUSR1, and
has the fault that ``WATCHED_FAULT`` names: a gate must be seen to close.
"""

import asyncio
import os
import re
import runpy
import signal
import sys
import tempfile
import time
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple

import aiohttp

from proxypal_core.gateway.connection import Connection
from proxypal_core.gateway.downstream import Downstream
from proxypal_core.gateway.recorder import Recorder
from proxypal_core.telemetry import log
from proxypal_core.upstream.http import HttpReply
from tests.figures import Figure
from tests.gateway.asking import DIALECTS
from tests.proxy import ADMIN_KEY
from tests.reliability.client import connected
from tests.reliability.machine import tally
from tests.running import PATIENCE, daemon

MIB = 1024 * 1024
KEY = "key-of-the-load"
_SETTLING = 0.3
"""Seconds until connections that were closed are gone."""
NEXT = dict(zip(DIALECTS, (*DIALECTS[1:], DIALECTS[0]), strict=True))
"""A provider that does not speak the client's dialect."""


def settings(port, *, folder, extra="", rows=("", "")):
    """Providers ``p-DIALECT`` at *port*, one for each dialect, and a log in *folder*; *rows* are more
    providers, and their accounts.

    What they break off is not held against them, or they would soon rest.
    """
    url = {
        name: f"http://127.0.0.1:{port}" + "/v1" * name.startswith("openai") for name in DIALECTS
    }
    providers = "".join(
        f"  - {{name: p-{d}, dialect: {d}, base_url: {url[d]}}}\n" for d in DIALECTS
    )
    accounts = "".join(f"  - {{id: 'p-{d}:a', api_key: {KEY}}}\n" for d in DIALECTS)
    return (
        "listen: {port: 0}\n"
        f"logging: {{file: '{folder / 'daemon.log'}'}}\n"
        "cooldowns: {rules: [{text: broke off, means: request}]}\n"
        f"{extra}providers:\n{providers}{rows[0]}accounts:\n{accounts}{rows[1]}"
    )


class Reading(NamedTuple):
    """``rss`` in MiB."""

    rss: float
    descriptors: int
    threads: int
    children: int
    tasks: int

    def beyond(self, base):
        """What there is more of than in *base*, memory aside."""
        return {
            name: now - then
            for name, now, then in zip(self._fields[1:], self[1:], base[1:], strict=True)
            if now > then
        }


async def warm(daemon, port):
    """A reading of *daemon* at rest, after it asked the provider at *port* everything once: what it
    loads and starts for that is nobody's growth.
    """
    for dialect in DIALECTS:
        for target in DIALECTS:
            client = await connected(daemon.url)
            assert (await client.ask(dialect, f"p-{target}/m-text-9")).good
            client.abort()
    await tally(port, "/rest")
    await asyncio.sleep(_SETTLING)
    return await daemon.reading()


async def leftovers(promise, after, daemon, base, port, patience=10.0):
    """Two figures: the streams that are left *after* something, and what is more than in *base*, once
    the provider at *port* has ended the idle connections, which would be kept for 15 seconds, or when
    *patience* is over.
    """
    left, in_flight = (await tally(port))["answering"], await daemon.in_flight()
    ends = time.monotonic() + patience
    while (more := (await daemon.reading()).beyond(base)) and time.monotonic() < ends:
        await tally(port, "/rest")
        await asyncio.sleep(0.1)
    return [
        Figure(
            promise,
            f"streams left after {after}",
            f"{left} at the provider, {in_flight:g} in flight",
            "0",
            held=left == in_flight == 0,
        ),
        Figure(
            promise,
            f"descriptors, threads, children, tasks after {after}",
            ", ".join(f"{many} {name} more" for name, many in more.items()) or "as before",
            "as before",
            held=not more,
        ),
    ]


class Watched:
    def __init__(self, running, folder):
        self._running = running
        self._log = folder / "daemon.log"
        self.url = running.url
        self.pid = running.process.pid
        self._about = Path(f"/proc/{self.pid}")

    async def reading(self):
        status = (self._about / "status").read_text()
        return Reading(
            rss=int(re.search(r"VmRSS:\s+(\d+)", status)[1]) / 1024,
            descriptors=len(os.listdir(self._about / "fd")),  # noqa: PTH208 — names alone
            threads=int(re.search(r"Threads:\s+(\d+)", status)[1]),
            children=sum(
                len(task.read_text().split()) for task in self._about.glob("task/*/children")
            ),
            tasks=await self._tasks(),
        )

    @property
    def sleeps(self):
        """Whether it waits for something to happen; a busy machine may keep it waiting for its turn."""
        return (self._about / "stat").read_text().rpartition(")")[2].split()[0] == "S"

    async def in_flight(self):
        """Requests that accounts serve at the moment, as the daemon counts them."""
        headers = {"authorization": f"Bearer {ADMIN_KEY}", "connection": "close"}
        async with (
            aiohttp.ClientSession() as session,
            session.get(f"{self.url}/metrics", headers=headers) as answer,
        ):
            said = await answer.text()
        return sum(
            map(float, re.findall(r"^proxypal_account_in_flight\{.*\} (.+)$", said, re.MULTILINE))
        )

    def left_by_clients(self):
        """How many exchanges were broken off by their client, as the log has it."""
        return self._log.read_bytes().count(b"client_gone")

    async def _tasks(self):
        before = self._running.err.count("tasks=")
        os.kill(self.pid, signal.SIGUSR1)
        async with asyncio.timeout(PATIENCE):
            while self._running.err.count("tasks=") == before:  # noqa: ASYNC110 — its words
                await asyncio.sleep(0.002)
        return int(self._running.err.rpartition("tasks=")[2].split()[0])


@asynccontextmanager
async def watched(port, *, extra="", rows=("", ""), prepare=None, fault=""):
    """A Watched daemon that records, with the providers of *port*. *prepare* is called before it
    starts, with what its environment has more than ours.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        config = folder / "config.yaml"
        config.write_text(settings(port, folder=folder, extra=extra, rows=rows))
        given = {
            "PROXYPAL_DATA_DIR": str(folder / "data"),
            "PROXYPAL_STATE_DIR": str(folder / "state"),
            "PROXYPAL_ADMIN_KEY": ADMIN_KEY,
            "PROXYPAL_VAULT_KEY": "5a" * 32,
            "WATCHED_FAULT": fault,
        }
        if prepare is not None:
            prepare(given)
        program = ("-m", "tests.reliability.watched")
        async with daemon("--config", config, program=program, **given) as running:
            yield Watched(running, folder)


# ── in the daemon's process ──────────────────────────────────────────────────────────────────


def _say_tasks(*_):
    # Not print: the signal may come while a line is being written.
    os.write(2, f"tasks={len(asyncio.all_tasks())}\n".encode())


_KEPT = []


def _after(owner, name, also):
    """Have *also* done whenever *owner*'s method *name* was called."""
    method = getattr(owner, name)

    def replaced(self, *args, **kwargs):
        result = method(self, *args, **kwargs)
        also(self, *args)
        return result

    setattr(owner, name, replaced)


def _leaks():
    _after(Recorder, "note", lambda self, record, client: _KEPT.append((record, bytearray(65536))))
    HttpReply.close = lambda self: _KEPT.append(self)  # noqa: PLW0108 — a builtin is no method


def _ignores_clients_that_leave():
    lost = Connection.connection_lost

    def stays(self, error):
        self._task = None
        lost(self, error)

    Connection.connection_lost = stays


def _hoards():
    async def at_once(self):
        return

    Connection.drain = at_once


def _dozes():
    for name in ("write", "write_now"):
        _after(Downstream, name, lambda self, data: time.sleep(0.2))


FAULTS = {
    "": lambda: None,
    "leaks": _leaks,
    "ignores clients that leave": _ignores_clients_that_leave,
    "hoards": _hoards,
    "dozes": _dozes,
}

if __name__ == "__main__":
    FAULTS[os.environ["WATCHED_FAULT"]]()
    log._WRITE_EVERY = 0.0  # when a client was noticed to be gone, the log says
    signal.signal(signal.SIGUSR1, _say_tasks)
    sys.argv[0] = "proxypal"
    runpy.run_module("proxypal_core", run_name="__main__", alter_sys=True)
