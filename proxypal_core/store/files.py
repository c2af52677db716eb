"""Files that hold secrets: whole or not at all, for their owner alone, never through a link."""

import errno
import os
import secrets
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

_OWN_FILE = 0o600
_OWN_FOLDER = 0o700
# The flags that a platform lacks stand for what it cannot do, or does anyway.
_BINARY = getattr(os, "O_BINARY", 0)
_NO_FOLLOW = getattr(os, "O_NOFOLLOW", 0)
_NO_WAIT = getattr(os, "O_NONBLOCK", 0)


class NotPrivate(OSError):
    """A file that must be its owner's alone is not."""


def read(path: Path, limit: int, *, private: bool = False) -> bytes:
    """The bytes of the file at *path*.

    Raises:
        NotPrivate: it was to be *private*, and others can read it or it is somebody else's.
        OSError: it cannot be read, is a symbolic link or no file, or is longer than *limit*.
    """
    # Without O_NONBLOCK, opening a pipe that stands there would wait for its writer.
    handle = _open(path, os.O_RDONLY | _BINARY | _NO_WAIT)
    try:
        state = os.fstat(handle)
        if not stat.S_ISREG(state.st_mode):
            raise OSError(errno.EINVAL, "not a regular file", str(path))
        if private:
            _check_private(path, state)
        with os.fdopen(handle, "rb", closefd=False) as file:
            data = file.read(limit + 1)
    finally:
        os.close(handle)
    if len(data) > limit:
        raise OSError(errno.EFBIG, f"longer than {limit} bytes", str(path))
    return data


def _check_private(path: Path, state: os.stat_result) -> None:
    if sys.platform == "win32":  # the mode says nothing there
        return
    if state.st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        mode = f"{stat.S_IMODE(state.st_mode):03o}"
        raise NotPrivate(errno.EPERM, f"open to other users (mode {mode})", str(path))
    if state.st_uid not in (os.geteuid(), 0):
        raise NotPrivate(errno.EPERM, f"another user's (uid {state.st_uid})", str(path))


def write(path: Path, data: bytes) -> None:
    """Put *data* at *path*, in place of what is there; after a crash or an error, what was there
    is there still. The folder must exist.

    Raises:
        OSError: it could not be written, and nothing changed.
    """
    temporary = stage(path, data)
    try:
        move(temporary, path)
    except BaseException:
        with suppress(OSError):
            temporary.unlink()
        raise


def stage(path: Path, data: bytes) -> Path:
    """A new file beside *path* that holds *data*, safe on the disk, to be moved to *path*.

    Raises:
        OSError: it could not be written, and there is none.
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}.tmp")
    handle = _open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _BINARY)
    try:
        try:
            _write_all(handle, data)
            _flush(handle)
        finally:
            os.close(handle)
    except BaseException:
        with suppress(OSError):
            temporary.unlink()
        raise
    return temporary


def move(source: Path, target: Path) -> None:
    """Let the file at *source* take the place of the one at *target*, in the same folder.

    Raises:
        OSError: it could not, and nothing changed.
    """
    source.replace(target)
    _flush_folder(target.parent)


def make_folder(path: Path) -> None:
    """The folder at *path*, for its owner alone if it is new, and so are those above it."""
    for folder in reversed([each for each in (path, *path.parents) if not each.exists()]):
        folder.mkdir(mode=_OWN_FOLDER, exist_ok=True)


def sweep(path: Path) -> None:
    """Remove what writers of *path*, or of ``path.*``, staged beside it and left. To be called under
    the lock of *path*, or it removes what another writer still needs.
    """
    for leftover in path.parent.glob(f".{path.name}.*.tmp"):
        with suppress(OSError):
            leftover.unlink()


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock of the file at *path* against other threads and processes that ask for it.
    The folder is made.

    The lock is a file of its own, since the one at *path* is replaced by every write.
    """
    make_folder(path.parent)
    handle = _open(path.with_name(f"{path.name}.lock"), os.O_RDWR | os.O_CREAT)
    try:
        _lock(handle)
        try:
            yield
        finally:
            _unlock(handle)
    finally:
        os.close(handle)


def _open(path: Path, flags: int) -> int:
    try:
        return os.open(path, flags | _NO_FOLLOW, _OWN_FILE)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.EMLINK):  # EMLINK is FreeBSD's word for it
            raise OSError(error.errno, "it is a symbolic link", str(path)) from None
        raise


def _write_all(handle: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:  # a nearly full disk takes a part, and fails at the next
        rest = rest[os.write(handle, rest) :]


def _flush(handle: int) -> None:
    if sys.platform == "darwin":
        # There fsync stops at the drive's own cache.
        with suppress(OSError):
            fcntl.fcntl(handle, fcntl.F_FULLFSYNC)
            return
    os.fsync(handle)


def _flush_folder(path: Path) -> None:
    """Make a rename in *path* last, where the system has a way to. The rename has happened, so a
    failure here is no failure to write.
    """
    if sys.platform == "win32":
        return
    with suppress(OSError):
        handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


if sys.platform == "win32":

    def _lock(handle: int) -> None:
        msvcrt.locking(handle, msvcrt.LK_LOCK, 1)

    def _unlock(handle: int) -> None:
        msvcrt.locking(handle, msvcrt.LK_UNLCK, 1)

else:

    def _lock(handle: int) -> None:
        fcntl.flock(handle, fcntl.LOCK_EX)

    def _unlock(handle: int) -> None:
        fcntl.flock(handle, fcntl.LOCK_UN)
