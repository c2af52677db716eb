"""Where the time of a run goes, by py-spy."""

import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

from bench.cells import Cell
from bench.processes import placed
from bench.rig import LOAD_CORE, Rig
from bench.targets import Target, Unavailable

RATE = 500
TOP = 30


def profile(rig: Rig, target: Target, cell: Cell, folder: Path) -> str:
    """Run *cell* under py-spy: its stacks go to a file in *folder*, of the form that flame graphs are
    made from, and the functions with the most time of their own are told.

    Raises:
        Unavailable: there is no py-spy, or nothing to look at.
    """
    program = shutil.which("py-spy") or shutil.which(
        "py-spy", path=str(Path(sys.executable).parent)
    )
    server = rig.server(target)
    if not program or not server:
        raise Unavailable(f"{target.name} cannot be profiled: py-spy is not installed, or it is C")
    folder.mkdir(parents=True, exist_ok=True)
    stacks = folder / f"{target.name}-{cell.name}.txt".replace(":", "-")
    arguments = [program, "record", "--pid", str(server.process.pid), "--rate", str(RATE)]
    arguments += [
        "--gil",
        "--function",
        "--format",
        "raw",
        "--output",
        str(stacks),
        "--duration",
        "3600",
    ]
    recording = subprocess.Popen(
        placed(arguments, LOAD_CORE, realtime=False),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        rig.run(target, cell)
    finally:
        recording.send_signal(2)  # as Ctrl-C: it writes what it has
        recording.wait(30)
    return f"{stacks}\n" + "\n".join(_own_time(stacks))


def _own_time(stacks: Path) -> list[str]:
    own: Counter[str] = Counter()
    for line in stacks.read_text().splitlines():
        stack, _, count = line.rpartition(" ")
        own[stack.rpartition(";")[2]] += int(count)
    whole = own.total() or 1
    return [f"{count / whole:6.1%}  {place}" for place, count in own.most_common(TOP)]
