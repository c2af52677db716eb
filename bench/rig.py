"""The rig: an upstream, the servers that are measured, and the load, each on a core of its own.

The server that is measured has core 0 for itself; upstream and load share core 1. What a server costs is the time on a processor that the kernel says it had,
divided by what it did in it; that hardly moves with other work on the machine.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from bench import answers, targets
from bench.answers import DIALECTS
from bench.cells import Cell
from bench.processes import Failed, Process, free_port, placed, stopped
from bench.targets import Command, Options, Target
from proxypal_core.wire import jsonio

SOURCES = Path(__file__).parent
PROXY_CORE = 0
LOAD_CORE = min(1, (os.cpu_count() or 1) - 1)
SETTLE = 0.35
"""Seconds after a run in which a server may finish what the run gave it to do, such as recording."""
WARM_UP = 0.7
"""Seconds of a run that is not counted, before the first of its kind."""


Plan = Mapping[Cell, Sequence[Target]]


@dataclass(frozen=True)
class Run:
    """One run of a cell on a target. Times have their unit in the name; sizes are in MB.

    ``peak`` is the most that was resident during the run. ``total_us``, ``first_us`` and ``lag_us`` have the keys p50, p90, p99 and max: of a whole answer,
    of the time to its first event, and of an event's way from the upstream to the client.
    """

    target: str
    cell: str
    served: int
    failed: int
    events: int
    seconds: float
    cpu_seconds: float
    rss_at_start: float
    peak: float
    total_us: dict[str, float] = field(default_factory=dict)
    first_us: dict[str, float] = field(default_factory=dict)
    lag_us: dict[str, float] = field(default_factory=dict)
    errors: dict[str, int] = field(default_factory=dict)
    sample: str = ""

    @property
    def request_us(self) -> float:
        """Microseconds of processor a request."""
        return self.cpu_seconds * 1e6 / max(self.served + self.failed, 1)

    @property
    def event_us(self) -> float:
        """Microseconds of processor an event."""
        return self.cpu_seconds * 1e6 / max(self.events, 1)

    @property
    def requests_per_second(self) -> float:
        return self.served / self.seconds

    @property
    def events_per_second(self) -> float:
        return self.events / self.seconds

    @property
    def wrong(self) -> str:
        """What was wrong with answers, in words; "" if nothing."""
        kinds = ", ".join(f"{kind} {count}" for kind, count in self.errors.items() if count)
        return f"{kinds} {self.sample}".strip()


class Server:
    """A process that listens; ``ready`` is in how many seconds it did, ``rss`` MB it had then."""

    def __init__(self, process: Process, port: int, settle: float) -> None:
        self.process = process
        self.port = port
        self.ready = process.wait_for(port)
        time.sleep(settle)
        self.rss = process.memory("VmRSS")


class Rig:
    """Servers, started when they are first asked; as a context manager it stops them all."""

    def __init__(self, options: Options, *, realtime: bool) -> None:
        self._options = options
        self._realtime = realtime
        self._exit = ExitStack()
        self._servers: dict[str, Server] = {}
        self._warm: set[tuple[str, str]] = set()

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            self._folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))
            answers.write(self._folder)
            self.upstream = free_port()
            program = [str(compiled("upstream")), str(self.upstream), str(self._folder)]
            process = stack.enter_context(stopped(self._process("upstream", program, LOAD_CORE)))
            process.wait_for(self.upstream)
            self._exit = stack.pop_all()
        return self

    def __exit__(self, *failure: object) -> None:
        self._exit.close()

    def server(self, target: Target) -> Server | None:
        """That of *target*, started if it is not yet; None where that is the upstream.

        Raises:
            Unavailable: it cannot be had here.
            Failed: it does not start.
        """
        if not target.server:
            return None
        if target.server not in self._servers:
            start = targets.SERVERS[target.server]
            self.start(
                target.server,
                lambda folder, port: start(folder, port, self.upstream, self._options),
            )
        return self._servers[target.server]

    def start(
        self,
        name: str,
        command_of: Callable[[Path, int], Command],
        *,
        cores: int | str = PROXY_CORE,
    ) -> Server:
        """Start a server, from its folder and its port, on *cores* as taskset names them."""
        port = free_port()
        command = command_of(self.folder(name), port)
        process = self._process(name, command.arguments, cores, targets.environment(command))
        self._exit.enter_context(stopped(process))
        self._servers[name] = Server(process, port, command.settle)
        return self._servers[name]

    def folder(self, name: str) -> Path:
        """Where the server of that name has its files."""
        folder = self._folder / name
        folder.mkdir(exist_ok=True)
        return folder

    def run(self, target: Target, cell: Cell, *, requests: int | None = None) -> Run:
        """Run *cell* once; with *requests* it ends after so many, whatever its seconds."""
        server = self.server(target)
        kind = cell.name.partition("@")[0]
        if (target.name, kind) not in self._warm:
            self._warm.add((target.name, kind))
            self._loaded(target, cell, server, WARM_UP, None)
            time.sleep(SETTLE)
        return self._measured(target, cell, server, requests)

    def _measured(
        self, target: Target, cell: Cell, server: Server | None, requests: int | None
    ) -> Run:
        if not server:
            found = self._loaded(target, cell, server, cell.seconds, requests)
            return Run(target.name, cell.name, **found, cpu_seconds=0, rss_at_start=0, peak=0)
        process = server.process
        process.forget_peak()
        before = process.cpu()
        found = self._loaded(target, cell, server, cell.seconds, requests)
        time.sleep(SETTLE)
        return Run(
            target.name,
            cell.name,
            **found,
            cpu_seconds=process.cpu() - before,
            rss_at_start=server.rss,
            peak=process.memory("VmHWM"),
        )

    def _loaded(
        self,
        target: Target,
        cell: Cell,
        server: Server | None,
        seconds: float,
        requests: int | None,
    ) -> dict[str, Any]:
        """What the load generator says."""
        kind = cell.kind
        self._set_upstream(cell)
        port = server.port if server else self.upstream
        dialect = DIALECTS[target.client]
        asked = self._folder / "request"
        asked.write_bytes(
            answers.request(
                dialect,
                model=target.model,
                stream=kind.stream,
                prompt=("hello " * (kind.prompt // 6 + 1))[: kind.prompt],
                headers=dict(target.headers),
                host=f"127.0.0.1:{port}",
            )
        )
        options = {
            "-c": cell.connections,
            "-d": seconds if requests is None else 3600,
            "-n": -1 if requests is None else requests,
            "-e": kind.events if kind.stream else 1,
            "-m": dialect.end if kind.stream else "",
            "-r": kind.ramp,
        }
        flags = [text for name, value in options.items() for text in (name, str(value))]
        if kind.stream and dialect.says_again:
            flags.append("-w")
        command = [str(compiled("loadgen")), *flags, str(port), str(asked)]
        done = subprocess.run(
            placed(command, LOAD_CORE, realtime=self._realtime),
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise Failed(f"the load generator: {done.stderr}")
        return jsonio.load_object(done.stdout)

    def _set_upstream(self, cell: Cell) -> None:
        kind = cell.kind
        gap = round(kind.gap * 1e6)
        query = f"events={kind.events}&gap_us={gap}&group={kind.group}"
        urllib.request.urlopen(f"http://127.0.0.1:{self.upstream}/set?{query}", timeout=5).close()

    def _process(
        self,
        name: str,
        arguments: Sequence[str],
        core: int | str,
        environment: Mapping[str, str] | None = None,
    ) -> Process:
        return Process(
            arguments,
            core=core,
            realtime=self._realtime,
            folder=self.folder(name),
            environment=environment,
        )


def rounds(rig: Rig, plan: Plan, count: int) -> Iterator[Run]:
    """Every cell on every target of its in turn, *count* times over: what the machine does to one,
    it does to its neighbours.
    """
    for _ in range(count):
        for cell, those in plan.items():
            for target in those:
                yield rig.run(target, cell)


@contextmanager
def alone() -> Iterator[None]:
    """Keep this process off the core of what it measures."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {LOAD_CORE})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def compiled(name: str) -> Path:
    """The program of a source of ours, compiled if that is newer."""
    source = SOURCES / f"{name}.c"
    program = Path(sys.prefix) / "lib" / "bench" / f"bench-{name}"
    if program.exists() and program.stat().st_mtime > source.stat().st_mtime:
        return program
    compiler = shutil.which("gcc") or shutil.which("cc")
    if not compiler:
        raise Failed("a C compiler is needed (Debian: apt install gcc)")
    program.parent.mkdir(exist_ok=True)
    new = program.with_suffix(f".{os.getpid()}")  # another process may be at it, too
    subprocess.run([compiler, "-O2", "-o", str(new), str(source)], check=True)
    return new.rename(program)
