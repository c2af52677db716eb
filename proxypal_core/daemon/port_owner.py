"""Who has a port: what Linux tells in ``/proc``, read without another program.

``/proc/net/tcp`` lists the sockets, and which user owns each; which process holds one is found among
the open files of the processes that we may look into: our own user's, or all as root.
"""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

_TABLES = ("net/tcp", "net/tcp6")
_LISTENING = "0A"


def owner(port: int, proc: Path = Path("/proc")) -> str:
    """Whose program listens on TCP *port*, in words: ``nginx (process 12)``, or ``a program of the user
    33``; empty where it cannot be told.
    """
    sockets = dict(_listening(port, proc))
    held = {f"socket:[{inode}]" for inode in sockets}
    for process in proc.glob("[0-9]*") if held else ():
        if not held.isdisjoint(_open_files(process)):
            return f"{_name(process)} (process {process.name})"
    return next((f"a program of the user {uid}" for uid in sockets.values()), "")


def _listening(port: int, proc: Path) -> Iterator[tuple[str, str]]:
    """The inode and the user id of each socket that listens on *port*."""
    for table in _TABLES:
        try:
            lines = (proc / table).read_text().splitlines()[1:]
        except OSError:
            continue
        for line in lines:
            _, local, _, state, _, _, _, uid, _, inode, *_ = line.split()
            if state == _LISTENING and int(local.rpartition(":")[2], 16) == port:
                yield inode, uid


def _open_files(process: Path) -> Iterator[str]:
    with suppress(OSError):  # another user's, or it ended meanwhile
        for file in (process / "fd").iterdir():
            with suppress(OSError):  # closed meanwhile
                yield str(file.readlink())


def _name(process: Path) -> str:
    try:
        return (process / "comm").read_text().strip()
    except OSError:
        return "a program"
