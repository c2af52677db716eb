"""The gates of the suites that have packages of their own, which run their short forms themselves."""

import os
import sys
from pathlib import Path

import pytest

from proxypal_core.accounts.health import Health
from tests import orphans as trees
from tests import vault_kills
from tests.daemon import manners
from tests.reliability import suites
from tests.reliability.__main__ import SUITE
from tests.running import daemon

pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals are POSIX's here")
ROOT = Path(__file__).parents[2]


def test_every_promise_has_a_measure():
    assert list(SUITE) == [f"R{number}" for number in range(1, 19)]


async def test_what_cannot_be_measured_is_not_said_to_hold(monkeypatch):
    monkeypatch.setattr(suites, "PROGRAM", None)

    [figure] = await suites.shared_state()

    assert figure.held is None


# ── R4 ───────────────────────────────────────────────────────────────────────────────────────


async def test_a_vault_that_loses_its_last_write_is_seen(monkeypatch):
    killed = vault_kills._killed_writer

    def forgetful(context, folder, chance):
        last = killed(context, folder, chance)
        vault = vault_kills.vault_in(folder).path
        vault.with_name(f"{vault.name}.1").replace(vault)
        return last

    monkeypatch.setattr(vault_kills, "_killed_writer", forgetful)

    [figure] = await suites.lost_profiles(kills=3)

    assert figure.held is False


# ── R5 ───────────────────────────────────────────────────────────────────────────────────────

# Python runs a module of this name whenever it starts: processes that keep no lock.
LOCKLESS = """
from contextlib import nullcontext
from proxypal_core.store.logins import Logins
Logins.lock = lambda self, name: nullcontext()
"""


async def test_processes_that_ask_at_once_are_seen(monkeypatch, tmp_path):
    (tmp_path / "sitecustomize.py").write_text(LOCKLESS)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), str(ROOT)]))

    [figure] = await suites.refreshes(expiries=3, tasks=2, processes=2)

    assert figure.held is False


# ── R6 ───────────────────────────────────────────────────────────────────────────────────────


async def test_the_pool_keeps_its_law():
    [figure] = await suites.pool_law(steps=200)

    assert figure.held, figure


async def test_a_pool_that_asks_who_rests_is_seen(monkeypatch):
    monkeypatch.setattr(Health, "rests", lambda self, now: False)

    [figure] = await suites.pool_law(steps=400)

    assert figure.held is False


# ── R9, R15 ──────────────────────────────────────────────────────────────────────────────────

SABOTAGED = """
from proxypal_core.app.serving import Served
from proxypal_core.daemon import run
from proxypal_core.gateway.downstream import Downstream
from proxypal_core.__main__ import main
{}
main()
"""
# Who is answered when the time is up gets a proper end, as if that had been all.
SILENT = """
async def finish(self, last): return await Downstream.finish(self)
Downstream.break_off = finish
run.DRAIN = 0.05
"""
# For each time that the settings are read, some stream is cut.
CUTS = """
due = []
reload, write = Served.reload, Downstream.write
def reloaded(self, settings):
    due.append(settings)
    reload(self, settings)
async def written(self, data):
    if due and due.pop():
        await self.break_off(b"")
    await write(self, data)
Served.reload, Downstream.write = reloaded, written
"""


def sabotaged(monkeypatch, code):
    def program(*arguments, **options):
        return daemon(*arguments, program=("-c", SABOTAGED.format(code)), **options)

    monkeypatch.setattr(manners, "daemon", program)


async def test_a_daemon_that_ends_streams_as_if_they_were_whole_is_seen(monkeypatch):
    sabotaged(monkeypatch, SILENT)

    silent, _ = await suites.stops(daemons=1)

    assert silent.held is False


async def test_a_reload_that_cuts_streams_is_seen(monkeypatch):
    sabotaged(monkeypatch, CUTS)

    [figure] = await suites.reloads(often=5, streams=4)

    assert figure.held is False


# ── R11 ──────────────────────────────────────────────────────────────────────────────────────


def test_an_input_that_does_harm_is_told():
    def crashes(random):
        raise IndexError("out of range")

    assert suites.fault_among(range(16)) == ""
    assert suites.fault_among(range(7, 9), [crashes]) == "input 7: IndexError: out of range"


def test_an_input_that_takes_for_ever_is_told(monkeypatch):
    def hangs(random):
        while True:
            pass

    monkeypatch.setattr(suites, "SLOW", 0.05)

    assert "TimeoutError" in suites.fault_among(range(1), [hangs])


async def test_a_fault_that_a_process_tells_closes_the_gate(monkeypatch):
    monkeypatch.setattr(suites, "PROCESSES", 1)

    [figure] = await suites.damaged_inputs(2, look=str)

    assert figure.held is False


# ── R16 ──────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.skipif(sys.platform != "linux", reason="the figures come from /proc")
async def test_a_program_that_outlives_its_daemon_is_seen(monkeypatch):
    monkeypatch.setattr(trees, "WITHIN", 0.2)
    monkeypatch.setattr(trees, "running", lambda pid: True)

    [figure] = await suites.orphans(rounds=1)

    assert figure.held is False
