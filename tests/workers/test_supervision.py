"""The process above the workers: who dies is started anew, who hangs is killed, who is told to end does."""

import asyncio
import os
import signal
import sys
from contextlib import asynccontextmanager

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxypal_core.daemon.orders import Orders
from proxypal_core.daemon.worker import Worker
from proxypal_core.daemon.workers import Ended, Workers, rest
from tests.running import PATIENCE

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="workers are Linux's")

# Stands for a worker: writes down that it lives, and what it is told; says that it is ready.
PROGRAM = """
import os, signal, socket, sys, time
note, way = sys.argv[1:]
def write(word):
    with open(note, "a") as file:
        file.write(f"{word} {os.getpid()}\\n")
def say(word):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as out:
        out.sendto(word, os.environ["NOTIFY_SOCKET"])
def told(number, _):
    write(signal.Signals(number).name)
    if number == signal.SIGHUP:
        say(b"READY=1")
    elif way != "stays" or open(note).read().count(f"SIGTERM {os.getpid()}") > 1:
        sys.exit(0)
signal.signal(signal.SIGTERM, told)
signal.signal(signal.SIGHUP, told)
write("began")
if way == "fails":
    sys.exit(78)
say(b"READY=1\\nSTATUS=fine")
while True:
    time.sleep(0.05)
    if way != "hangs":
        say(b"WATCHDOG=1")
"""


class Crew:
    """Workers of PROGRAM, and what they have written down."""

    def __init__(self, folder, *ways, hung=60.0):
        self.note = folder / "note"
        self.note.touch()
        self.ready = asyncio.Event()
        self.orders = Orders(asyncio.Event(), asyncio.Event(), asyncio.Event())
        workers = [Worker(number, len(ways), folder) for number in range(1, len(ways) + 1)]
        self.workers = Workers(
            workers,
            lambda worker: (sys.executable, "-c", PROGRAM, str(self.note), ways[worker.number - 1]),
            self.orders,
            inherited=os.open(os.devnull, os.O_RDONLY),
            hung=hung,
        )

    def said(self, word):
        """The processes that wrote *word*, in that order."""
        lines = [line.split() for line in self.note.read_text().splitlines()]
        return [int(pid) for said, pid in lines if said == word]

    async def until(self, word, many):
        async with asyncio.timeout(PATIENCE):
            while len(self.said(word)) < many:  # noqa: ASYNC110 — a file tells nobody
                await asyncio.sleep(0.02)
        return self.said(word)


@asynccontextmanager
async def crew(folder, *ways, **options):
    """A crew that is ready; ended at the end."""
    there = Crew(folder, *ways, **options)
    running = asyncio.ensure_future(there.workers.run(there.ready.set))
    try:
        async with asyncio.timeout(PATIENCE):
            await there.ready.wait()
        yield there
    finally:
        there.orders.stop.set()
        there.orders.now.set()
        async with asyncio.timeout(PATIENCE):
            await running


@given(st.integers(1, 10_000))
def test_who_dies_again_rests_longer_and_nobody_for_ever(deaths):
    assert rest(1) == 0.0
    assert 0.0 < rest(deaths + 1) <= 30.0
    assert rest(deaths) <= rest(deaths + 1)


async def test_who_dies_is_started_anew_and_the_others_go_on(tmp_path):
    async with crew(tmp_path, "well", "well") as there:
        first, second = there.said("began")
        os.kill(second, signal.SIGKILL)
        began = await there.until("began", 3)

        assert began[:2] == [first, second]
        assert began[2] not in (first, second)
    assert set(there.said("SIGTERM")) == {first, began[2]}


async def test_who_hangs_is_killed_and_started_anew(tmp_path):
    async with crew(tmp_path, "hangs", "well", hung=0.5) as there:
        hanging, well = there.said("began")
        began = await there.until("began", 3)

        assert began[2] not in (hanging, well)
        assert began.count(well) == 1
    assert hanging not in there.said("SIGTERM")


async def test_when_nothing_can_start_one_says_why_and_that_is_all(tmp_path):
    there = Crew(tmp_path, "fails", "well")

    with pytest.raises(Ended) as ended:
        await there.workers.run(there.ready.set)
    assert ended.value.exit_code == 78
    assert len(there.said("began")) == 1
    assert not there.ready.is_set()


async def test_one_that_cannot_start_ends_those_that_could(tmp_path):
    there = Crew(tmp_path, "well", "fails", "well")

    with pytest.raises(Ended) as ended:
        await there.workers.run(there.ready.set)
    assert ended.value.exit_code == 78
    assert not there.ready.is_set()
    # The third may not have come so far as to write that it was told.
    assert there.said("began")[0] in there.said("SIGTERM")


async def test_an_order_is_passed_on_to_all_and_the_second_end_too(tmp_path):
    async with crew(tmp_path, "stays", "stays") as there:
        both = set(there.said("began"))
        there.orders.reload.set()
        reloaded = await there.until("SIGHUP", 2)
        there.orders.end()
        ended = await there.until("SIGTERM", 2)
        there.orders.end()

        assert (set(reloaded), set(ended)) == (both, both)
    assert sorted(there.said("SIGTERM")) == sorted([*both, *both])
    assert set(there.said("began")) == both
