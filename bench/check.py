"""A slowdown, seen on any machine and whatever else runs on it.

Valgrind counts the instructions that a request takes, which are the same each time but for a few in a
hundred, while times vary by a third where others work too. What counts is their ratio to those of a
bare relay on the same event loop, so that the versions of Python and of aiohttp hardly matter. The
bounds are in bench/bounds.toml.
"""

import shutil
import subprocess
import tomllib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from bench import targets
from bench.cells import cell
from bench.processes import Failed
from bench.promises import Verdict
from bench.rig import Rig, Server
from bench.targets import Command, Options, Start, Target, Unavailable

BOUNDS = Path(__file__).with_name("bounds.toml")
CELLS: Mapping[str, tuple[str, int]] = {
    "json@1": ("instructions of a request, to a bare relay's", 60),
    "blob@1": ("instructions of a stream sent whole, to a bare relay's", 20),
}
"""What is counted in a cell, and in how many requests."""
_BASE = "aio"
_CALLGRIND = (
    "valgrind",
    "--tool=callgrind",
    "--callgrind-out-file=counts",
    "--instr-atstart=no",
    "--cache-sim=no",
    "--branch-sim=no",
)
_A_TURN = 200
"""Instructions of a turn of an empty loop in CPython 3.11, about."""


def verdicts(rig: Rig, options: Options, *, slower: float = 0.0) -> list[Verdict]:
    """The proxy beside the bounds that are stored; one that does so much more than it does, in which
    the slowdown must be seen, if *slower* is more than 0.

    Raises:
        Unavailable: Valgrind is not installed.
        Failed: an answer was wrong.
    """
    if not shutil.which("callgrind_control"):
        raise Unavailable("instructions are counted by Valgrind (Debian: apt install valgrind)")
    base = _counted(rig, _BASE, targets.SERVERS[_BASE], options)
    ours = _counted(rig, "proxypal", targets.SERVERS["proxypal"], options)
    if slower:
        start = _slowed([round(slower * ours[name] / _A_TURN) for name in CELLS])
        ours = _counted(rig, "proxypal", start, options)
    stored = tomllib.loads(BOUNDS.read_text())
    found = []
    for name, (what, _) in CELLS.items():
        ratio, usual = ours[name] / base[name], stored["ratio"][name]
        bound = round(usual * stored["margin"], 2)
        found.append(Verdict(what, name, ratio, (ratio, ratio), bound, usual, "x"))
    return found


def store(found: list[Verdict]) -> None:
    """Make what was measured the usual."""
    text = BOUNDS.read_text()
    head, _, _ = text.partition("[ratio]")
    lines = [f'"{verdict.cell}" = {verdict.measured:.2f}' for verdict in found]
    BOUNDS.write_text(head + "\n".join(["[ratio]", *lines]) + "\n")


def _counted(rig: Rig, name: str, start: Start, options: Options) -> dict[str, float]:
    """The instructions that a request of each cell takes of a server of its own."""

    def under_valgrind(folder: Path, port: int) -> Command:
        command = start(folder, port, rig.upstream, options)
        environment = {**command.environment, "PYTHONHASHSEED": "0"}
        return Command([*_CALLGRIND, *command.arguments], environment)

    server = rig.start(f"counted-{name}", under_valgrind)
    target = replace(targets.target(name), name=f"counted-{name}", server=f"counted-{name}")
    found = {cell: _count(rig, server, target, cell) for cell in CELLS}
    server.process.stop()
    return found


def _count(rig: Rig, server: Server, target: Target, name: str) -> float:
    requests = CELLS[name][1]
    rig.run(target, cell(name), requests=requests)  # what is done once is done
    _callgrind(server, "--instr=on")
    rig.run(target, cell(name), requests=requests // 4)  # Valgrind's translations are made anew
    _dumped(server)
    run = rig.run(target, cell(name), requests=requests)
    total = _dumped(server)
    _callgrind(server, "--instr=off")
    if run.failed:
        raise Failed(f"{target.name} answered wrongly in {name}: {run.wrong}")
    return total / requests


def _dumped(server: Server) -> int:
    """The instructions since the last dump."""
    _callgrind(server, "--dump")
    total = 0
    for dump in server.process.log.parent.glob("counts.*"):
        for line in dump.read_text().splitlines():
            if line.startswith("totals:"):
                total += int(line.split()[1])
        dump.unlink()
    return total


def _callgrind(server: Server, order: str) -> None:
    command = ["callgrind_control", order, str(server.process.pid)]
    subprocess.run(command, check=True, capture_output=True)


def _slowed(turns: list[int]) -> Start:
    """A proxy that turns an empty loop so often for a request, and for a stream."""

    def start(folder: Path, port: int, upstream: int, options: Options) -> Command:
        usual = targets.SERVERS["proxypal"](folder, port, upstream, options)
        serve = usual.arguments[usual.arguments.index("serve") :]
        arguments = [options.python, "-m", "bench.slowed", *map(str, turns), *serve]
        path = {"PYTHONPATH": str(Path(__file__).parents[1])}
        return Command(arguments, {**usual.environment, **path})

    return start
