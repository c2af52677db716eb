"""Who has a port: what Linux tells in ``/proc``, read without another program.

``/proc/net/tcp`` lists the sockets, and which user owns each; which process holds one is found among
the open files of the processes that we may look into: our own user's, or all as root.
"""

from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path

_TABLES = ("net/tcp", "net/tcp6")
_LISTENING = "0A"


def owner(host: str, port: int, proc: Path = Path("/proc")) -> str:
    """Whose program listens on TCP *port* at *host*, in words: ``nginx (process 12)``, or ``a program
    of the user 33``; empty where it cannot be told. IPv4 and IPv6 may have one each.
    """
    first, then = reversed(_TABLES) if ":" in host else _TABLES
    sockets = _listening(port, proc / first) or _listening(port, proc / then)
    held = {f"socket:[{inode}]" for inode in sockets}
    for process in proc.glob("[0-9]*") if held else ():
        if not held.isdisjoint(_open_files(process)):
            return f"{_name(process)} (process {process.name})"
    return next((f"a program of the user {uid}" for uid in sockets.values()), "")


def _listening(port: int, table: Path) -> Mapping[str, str]:
    """The inode of each socket that listens on *port*, and its user's id."""
    try:
        rows = [line.split() for line in table.read_text().splitlines()[1:]]
    except OSError:
        return {}
    return {
        inode: uid
        for _, local, _, state, _, _, _, uid, _, inode, *_ in rows
        if state == _LISTENING and int(local.rpartition(":")[2], 16) == port
    }


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
