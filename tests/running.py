"""The program as a person runs it: processes of their own, read until they say what is awaited."""

import asyncio
import os
import re
import socket
import sys
from contextlib import asynccontextmanager
from pathlib import Path

PATIENCE = 30.0
"""Seconds after which a test fails that waits for a process; nothing waits so long otherwise."""
PROGRAM = ("-m", "proxypal_core")


class Running:
    """A process, and what it has printed so far."""

    def __init__(self, process):
        self.process = process
        self.out = ""
        self.err = ""
        self._printed = asyncio.Event()
        # Read all the time: a process whose pipe is full stands still.
        self._reading = asyncio.gather(self._read("out"), self._read("err"))
        self._reading.add_done_callback(lambda _: self._printed.set())

    async def says(self, text):
        """The first line on standard error with *text* in it."""
        async with asyncio.timeout(PATIENCE):
            while True:
                for line in self.err.splitlines():
                    if text in line:
                        return line
                if self._reading.done():
                    raise AssertionError(f"it never said {text!r}, but:\n{self.err}")
                self._printed.clear()
                await self._printed.wait()

    async def ended(self):
        """Its exit code, once everything that it printed is read."""
        async with asyncio.timeout(PATIENCE):
            await self._reading
            return await self.process.wait()

    async def _read(self, name):
        stream = getattr(self.process, f"std{name}")
        while line := await stream.readline():
            setattr(self, name, getattr(self, name) + line.decode())
            self._printed.set()
        self._printed.set()


@asynccontextmanager
async def running(*arguments, program=PROGRAM, **environment):
    """``python -m proxypal_core`` with *arguments*; killed if it still runs at the end."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *program,
        *map(str, arguments),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1]), **environment},
    )
    started = Running(process)
    try:
        yield started
    finally:
        if process.returncode is None:
            process.kill()
            await started.ended()


@asynccontextmanager
async def daemon(*arguments, program=PROGRAM, **environment):
    """A daemon that answers, at its ``url``; on a free port unless *arguments* name one."""
    if "--port" not in arguments and "--config" not in arguments:
        arguments = (*arguments, "--port", 0)
    async with running("serve", *arguments, program=program, **environment) as started:
        line = await started.says("listens on")
        started.url = re.search(r"https?://\S+", line)[0]
        yield started


async def ran(*arguments, **environment):
    """The finished process."""
    async with running(*arguments, **environment) as process:
        await process.ended()
        return process


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
