"""What the kernel says of a process and of those that it started (Linux: proc(5))."""

import os
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

PATIENCE = 120.0
"""Seconds that a server may take to start; LiteLLM takes 20."""
_PROC = Path("/proc")


class Failed(Exception):
    """A program did not do what it was started for; the message has the end of its log."""


class Process:
    """A program of ours on a core of its own.

    *realtime* puts it before every ordinary process of the machine, so that no other work is in the
    figures; only root may.
    """

    def __init__(
        self,
        arguments: Sequence[str],
        *,
        core: int | str,
        realtime: bool,
        folder: Path,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.log = folder / "log"
        self.began = time.monotonic()
        with self.log.open("wb") as log:
            self._popen = subprocess.Popen(
                placed(arguments, core, realtime=realtime),
                cwd=folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        return self._popen.pid

    def wait_for(self, port: int) -> float:
        """The seconds that it took to listen on *port*.

        Raises:
            Failed: it ended, or took too long.
        """
        while time.monotonic() - self.began < PATIENCE and self._popen.poll() is None:
            with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                return time.monotonic() - self.began
            time.sleep(0.005)
        raise Failed(f"{self._popen.args!r} does not listen:\n{self.log.read_text()[-2000:]}")

    def stop(self) -> None:
        if self._popen.poll() is not None:
            return
        self._popen.terminate()
        try:
            self._popen.wait(10)
        except subprocess.TimeoutExpired:
            self._popen.kill()
            self._popen.wait()

    def cpu(self) -> float:
        """Seconds on a processor so far, by all its threads and the processes that it started."""
        return sum(_cpu(pid) for pid in _family(self.pid))

    def memory(self, field: str) -> float:
        """MB of ``VmRSS``, what is resident, or ``VmHWM``, the most of it since ``forget_peak``."""
        return sum(_memory(pid, field) for pid in _family(self.pid))

    def forget_peak(self) -> None:
        for pid in _family(self.pid):
            with suppress(OSError):
                (_PROC / str(pid) / "clear_refs").write_text("5")


def placed(arguments: Sequence[str], core: int | str, *, realtime: bool) -> list[str]:
    """The command that runs *arguments* on *core*."""
    first = ["chrt", "--rr", "1"] if realtime else []
    return ["taskset", "--cpu-list", str(core), *first, *arguments]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def stopped(process: Process) -> Iterator[Process]:
    """*process*, until the end of the block."""
    try:
        yield process
    finally:
        process.stop()


def _family(root: int) -> list[int]:
    """*root* and all that descend from it."""
    children: dict[int, list[int]] = {}
    for entry in _PROC.iterdir():
        if entry.name.isdigit():
            with suppress(OSError):
                # After the name, which may have anything in it: state, parent, ...
                parent = (entry / "stat").read_text().rpartition(")")[2].split()[1]
                children.setdefault(int(parent), []).append(int(entry.name))
    found = [root]
    for pid in found:
        found.extend(children.get(pid, ()))
    return found


def _cpu(pid: int) -> float:
    total = 0
    with suppress(OSError):
        for task in os.scandir(_PROC / str(pid) / "task"):
            with suppress(OSError):
                # In nanoseconds; /proc/PID/stat counts in hundredths of a second.
                total += int((Path(task.path) / "schedstat").read_text().split()[0])
    return total / 1e9


def _memory(pid: int, field: str) -> float:
    with suppress(OSError):
        for line in (_PROC / str(pid) / "status").read_text().splitlines():
            if line.startswith(f"{field}:"):
                return int(line.split()[1]) / 1024
    return 0.0
