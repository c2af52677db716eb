"""The key of the management API: made at the first start, readable by its owner alone."""

import secrets
from pathlib import Path

from proxypal_core.store import files

NAME = "admin.key"


def path(state_dir: Path) -> Path:
    return state_dir / NAME


def read(state_dir: Path) -> str:
    """The key, or an empty string when none was made yet."""
    try:
        return path(state_dir).read_text(encoding="utf-8").strip()
    except FileNotFoundError:
        return ""


def read_or_make(state_dir: Path) -> str:
    """The key; a new one of 256 bits when there is none yet.

    Raises:
        OSError: the folder cannot be written.
    """
    key = read(state_dir)
    if key:
        return key
    with files.locked(path(state_dir)):
        key = read(state_dir)  # another start may have been quicker
        if not key:
            key = secrets.token_urlsafe(32)
            files.write(path(state_dir), f"{key}\n".encode())
        return key
