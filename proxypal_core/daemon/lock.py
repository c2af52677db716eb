"""One daemon for each data directory: a lock that its process holds, and that dies with it.

The lock is the system's (flock), so a killed daemon leaves none behind; what stands in the file is
only for the message to whoever comes second.
"""

import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from proxypal_core.store import files
from proxypal_core.wire import jsonio

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

NAME = "daemon.lock"
_LARGEST = 4096


class Holder(NamedTuple):
    """A running daemon: its process, and where it answers or is about to. 0 and empty if unknown."""

    pid: int = 0
    url: str = ""

    def __str__(self) -> str:
        process = f"process {self.pid}" if self.pid else "another process"
        return f"{process}, {self.url}" if self.url else process


class Taken(Exception):
    """Another daemon has the data directory."""

    def __init__(self, holder: Holder) -> None:
        super().__init__(str(holder))
        self.holder = holder


class Lock:
    """The lock, held until it is closed."""

    def __init__(self, handle: int) -> None:
        self.handle = handle
        """The open file; a process that inherits it holds the lock, too."""

    def note(self, url: str) -> None:
        """Tell who comes second that this process answers at *url*."""
        self._write(jsonio.dumps(Holder(os.getpid(), url)._asdict()))

    def close(self) -> None:
        self._write(b"")
        os.close(self.handle)

    def _write(self, said: bytes) -> None:
        with suppress(OSError):  # a full disk: the lock holds all the same
            os.ftruncate(self.handle, 0)
            os.lseek(self.handle, 0, os.SEEK_SET)
            os.write(self.handle, said)


def take(folder: Path, url: str) -> Lock:
    """The lock of *folder*, which is made, for the daemon that is about to answer at *url*.

    Raises:
        Taken: another process holds it.
        OSError: the folder cannot be written.
    """
    files.make_folder(folder)
    no_follow = getattr(os, "O_NOFOLLOW", 0)
    handle = os.open(folder / NAME, os.O_RDWR | os.O_CREAT | no_follow, 0o600)
    try:
        _lock(handle)
    except BlockingIOError:
        os.close(handle)
        raise Taken(holder(folder)) from None
    except OSError:
        os.close(handle)
        raise
    lock = Lock(handle)
    lock.note(url)
    return lock


def holder(folder: Path) -> Holder:
    """Who noted itself in *folder* last."""
    try:
        found = jsonio.load_object(files.read(folder / NAME, _LARGEST))
    except (OSError, jsonio.Malformed):
        return Holder()
    pid, url = found.get("pid"), found.get("url")
    return Holder(pid if isinstance(pid, int) else 0, url if isinstance(url, str) else "")


if sys.platform == "win32":

    def _lock(handle: int) -> None:
        os.lseek(handle, 1 << 30, os.SEEK_SET)  # there, what is locked cannot be read
        try:
            msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
        except OSError as error:
            raise BlockingIOError(error.errno, "locked") from None

else:

    def _lock(handle: int) -> None:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
