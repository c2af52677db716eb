"""Limits of the process, as a server wants them."""

import os
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

if sys.platform != "win32":
    import resource

_MACOS_MOST = 10_240
"""``OPEN_MAX`` of macOS, which says "infinite", and does not mean it."""
MOST_CONNECTIONS = 4096
_SHORT = 0.8
"""The part of the memory we may have from which on new requests are refused, as Envoy's overload
manager would: better some refused than all killed.
"""


def raise_file_limit() -> None:
    """As many open files as we may have. Each request takes two, and the usual limit of 1,024 is meant
    for programs that use ``select``.
    """
    if sys.platform != "win32":
        _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        for wanted in (most, _MACOS_MOST):
            with suppress(ValueError, OSError):
                resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, most))
                return


def leave_no_core() -> None:
    """Leave no core file behind in a crash: it would hold the keys that are in memory. Programs that
    we start do not either.
    """
    if sys.platform != "win32":
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def most_connections() -> int:
    """A quarter of the files that we may open: one is a client's, one its upstream's, and there must
    be some for all else. A limit of 0 would be no server, so it is 1 at least.
    """
    if sys.platform == "win32":
        return MOST_CONNECTIONS
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if files == resource.RLIM_INFINITY:
        return MOST_CONNECTIONS
    return max(1, min(MOST_CONNECTIONS, files // 4))


def memory_watch(
    proc: Path = Path("/proc/self"), groups: Path = Path("/sys/fs/cgroup"), *, processes: int = 1
) -> Callable[[], bool]:
    """What tells whether this process, of so many *processes*, has nearly all the memory that it may
    have; where nobody has said how much that is (Linux alone has cgroups), it never has.
    """
    most = memory_limit(proc, groups) // processes
    if not most:
        return lambda: False
    return lambda: resident(proc) > _SHORT * most


def memory_limit(proc: Path, groups: Path) -> int:
    """Bytes; 0 for none. ``memory.max`` of our control group and of those around it, the smallest
    (cgroups(7), version 2; systemd's ``MemoryMax`` and containers set it).
    """
    try:
        lines = (proc / "cgroup").read_text().splitlines()
    except OSError:
        return 0
    own = next((line[3:].strip("/") for line in lines if line.startswith("0::")), None)
    if own is None:
        return 0
    group = groups / own
    limits = []
    for folder in (group, *group.parents):
        with suppress(OSError, ValueError):  # the outermost has no file; "max" is no number
            limits.append(int((folder / "memory.max").read_text()))
        if folder == groups:
            break
    return min(limits, default=0)


def resident(proc: Path) -> int:
    """Bytes of memory that we have (proc_pid_statm(5))."""
    return int((proc / "statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
