"""What more processes gain: requests a second with one worker, two and four, side by side.

The server may use every core, unlike in the other measures: upstream and load take a part of one.
"""

import os
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median

from bench import targets
from bench.cells import cell
from bench.processes import Process, stopped
from bench.rig import LOAD_CORE, Rig, Run
from bench.shared_load import address, command
from bench.targets import Command, Target

COUNTS = (1, 2, 4)
CELLS = ("json@64", "burst@32")
_CORES = f"0-{(os.cpu_count() or 1) - 1}"
_ALL_READY = 4.0
"""Seconds for the workers after the first."""


@dataclass(frozen=True)
class Row:
    """The median of some rounds: ``gain`` is to one worker's requests a second in the same round."""

    cell: str
    workers: int
    per_second: float
    gain: float
    request_us: float
    memory: float


def measured(rig: Rig, python: str, rounds: int) -> list[Row]:
    """A row for each cell and number of workers.

    Raises:
        Unavailable: there is no Redis server.
    """
    with ExitStack() as stack:
        name = stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-redis-"))
        server = Process(command(name), core=LOAD_CORE, realtime=False, folder=Path(name))
        stack.enter_context(stopped(server))
        for count in COUNTS:
            _start(rig, count, python, address(name))
        runs = [
            [[rig.run(_target(count), cell(name)) for count in COUNTS] for _ in range(rounds)]
            for name in CELLS
        ]
    return [
        _row([those[place] for those in of_cell], [those[0] for those in of_cell], count)
        for of_cell in runs
        for place, count in enumerate(COUNTS)
    ]


def table(rows: Sequence[Row]) -> str:
    """*rows* as Markdown."""
    lines = [
        "| cell | workers | requests/s | to one worker | CPU a request | memory |",
        "|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {row.cell} | {row.workers} | {row.per_second:.0f} | {row.gain:.2f} |"
        f" {row.request_us:.0f} µs | {row.memory:.0f} MB |"
        for row in rows
    ]
    return "\n".join(lines)


def _row(runs: Sequence[Run], alone: Sequence[Run], count: int) -> Row:
    gains = (
        one.requests_per_second / other.requests_per_second
        for one, other in zip(runs, alone, strict=True)
    )
    return Row(
        cell=runs[0].cell,
        workers=count,
        per_second=median(one.requests_per_second for one in runs),
        gain=median(gains),
        request_us=median(one.request_us for one in runs),
        memory=max(one.peak for one in runs),
    )


def _start(rig: Rig, count: int, python: str, url: str) -> None:
    state: Mapping[str, object] = {"state": {"backend": "redis", "url": url}}
    given = targets.settings(rig.upstream, **state)

    def start(folder: Path, port: int) -> Command:
        alone = targets.proxypal(folder, port, python, given)
        arguments = [*alone.arguments, "--workers", str(count)]
        return replace(alone, arguments=arguments, settle=_ALL_READY)

    rig.start(f"workers-{count}", start, cores=_CORES)


def _target(count: int) -> Target:
    name = f"workers-{count}"
    return replace(targets.target("proxypal"), name=name, server=name)
