"""Agents' own files, written whole or not at all, and the receipts of what was changed in them.

A receipt holds the text that was there, so that it is for its owner alone, as any secret.
"""

import stat
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec

from proxypal_core.agents.edits import Laid
from proxypal_core.store import files
from proxypal_core.wire import jsonio

LARGEST = 4 << 20
_OWNER = 0o700
_VERSION = 1


class Changed(msgspec.Struct, frozen=True, kw_only=True):
    """One file: what was done to it, its mode before, and the ``folders`` that had to be made for
    it, the innermost last.
    """

    path: str
    mode: int
    laid: Laid
    folders: tuple[str, ...] = ()


class Receipt(msgspec.Struct, frozen=True, kw_only=True):
    """What setting up ``agent`` changed. ``at`` is in Unix seconds."""

    version: int = _VERSION
    agent: str
    at: float
    files: tuple[Changed, ...]


class BadReceipt(Exception):
    """A receipt that cannot be read."""


class Receipts:
    """Those in *folder*, by agent."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder / "receipts"

    def path(self, agent: str) -> Path:
        return self._folder / f"{agent}.json"

    def read(self, agent: str) -> Receipt | None:
        """The receipt of *agent*; None when it was not set up.

        Raises:
            BadReceipt: there is one, but it cannot be used.
        """
        path = self.path(agent)
        try:
            data = files.read(path, 4 * LARGEST)
            found = msgspec.convert(jsonio.loads(data), Receipt)
        except FileNotFoundError:
            return None
        except (OSError, jsonio.Malformed, msgspec.ValidationError) as error:
            raise BadReceipt(f"{path} cannot be read: {error}") from None
        if found.version != _VERSION:
            raise BadReceipt(f"{path} is of version {found.version}, which is not known here")
        return found

    def write(self, receipt: Receipt) -> None:
        files.make_folder(self._folder)
        files.write(self.path(receipt.agent), jsonio.dumps(msgspec.to_builtins(receipt)))

    def remove(self, agent: str) -> None:
        self.path(agent).unlink(missing_ok=True)


class Text(NamedTuple):
    """What a file says, None where there is no file; its mode, or that of a new one."""

    text: str | None
    mode: int


def read(path: Path) -> Text:
    """The file at *path*, through symbolic links: people keep such files elsewhere.

    Raises:
        OSError: it cannot be read, is no file, or larger than any settings file.
        UnicodeDecodeError: it is not UTF-8.
    """
    real = path.resolve()
    try:
        data = files.read(real, LARGEST)
    except FileNotFoundError:
        return Text(None, 0o600)
    return Text(data.decode(), stat.S_IMODE(real.stat().st_mode))


def write(path: Path, text: str, mode: int) -> None:
    """Put *text* at *path*, or where it links to, with *mode*.

    Raises:
        OSError: it could not be written, and nothing changed.
    """
    real = path.resolve()
    temporary = files.stage(real, text.encode())
    try:
        temporary.chmod(mode)
        files.move(temporary, real)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def private(mode: int) -> int:
    """*mode* without what it gives to others, for a file that now holds a key."""
    return mode & _OWNER


def missing_folders(path: Path) -> Sequence[Path]:
    """The folders that *path* lacks, the outermost first."""
    missing: list[Path] = []
    folder = path.parent
    while not folder.exists():
        missing.append(folder)
        folder = folder.parent
    return missing[::-1]
