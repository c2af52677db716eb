"""What it takes to start: seconds until it answers, megabytes then, and the import of it all."""

import subprocess
from statistics import median

from bench import targets
from bench.promises import Verdict
from bench.rig import Rig

STARTS = 5
_IMPORT = """\
import time
before = time.process_time()
import proxypal_core.cli.main, proxypal_core.daemon.run
print(time.process_time() - before)
"""


def verdicts(rig: Rig, python: str) -> list[Verdict]:
    """Of starts with an empty folder, as the first on a machine is."""
    given = targets.settings(rig.upstream)
    ready, memory = [], []
    for number in range(STARTS):
        server = rig.start(
            f"start-{number}", lambda folder, port: targets.proxypal(folder, port, python, given)
        )
        ready.append(server.ready)
        memory.append(server.rss)
        server.process.stop()
    imports = [_seconds_of_import(python) for _ in range(STARTS)]
    return [
        _verdict("memory at the start", memory, 60, 45, "MB"),
        _verdict("ready in", ready, 1.0, 0.5, "s"),
        _verdict("import of all that serves, CPU", imports, 0.3, 0.2, "s"),
    ]


def _verdict(what: str, values: list[float], must: float, goal: float, unit: str) -> Verdict:
    ends = min(values), max(values)
    return Verdict(what, "start", median(values), ends, must, goal, unit)


def _seconds_of_import(python: str) -> float:
    # -P: the modules are those of *python*, and not of the folder that this runs in.
    done = subprocess.run([python, "-P", "-c", _IMPORT], capture_output=True, text=True, check=True)
    return float(done.stdout)
