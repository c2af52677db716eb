"""The key that encrypts the vault: 256 bits, kept apart from what it opens."""

import base64
import binascii
import hashlib
import hmac
import os
import secrets
from collections.abc import Mapping
from pathlib import Path

import msgspec

from proxypal_core.store import files

NAME = "vault.key"
VARIABLE = "PROXYPAL_VAULT_KEY"
CREDENTIAL = "proxypal-vault-key"
SIZE = 32
_LARGEST_FILE = 4096


class KeyUnusable(Exception):
    """There is no key to be had; the message says why and what to do."""


class KeyAbsent(KeyUnusable):
    """No key was made yet, or it was lost."""


class MasterKey:
    """The key and where it comes from. ``repr`` does not show it."""

    __slots__ = ("data", "origin")

    def __init__(self, data: bytes, origin: str) -> None:
        self.data = data
        self.origin = origin

    @property
    def id(self) -> bytes:
        """Eight bytes that tell keys apart and say nothing else about them."""
        return hmac.digest(self.data, b"proxypal vault key id", hashlib.sha256)[:8]

    def __repr__(self) -> str:
        return f"MasterKey(***, {self.origin!r})"


class KeySource(msgspec.Struct, frozen=True):
    """Where the key is looked for. ``kind`` is the setting ``vault.key_source``: ``environment``
    is the variable or the systemd credential, ``file`` the file in *state_dir*, ``auto`` the first
    of these that is there.

    Raises:
        KeyUnusable: the kind is not supported.
    """

    kind: str
    state_dir: Path
    environment: Mapping[str, str]

    def __post_init__(self) -> None:
        if self.kind not in ("auto", "environment", "file"):
            raise KeyUnusable(
                f"vault.key_source: {self.kind} is not there yet; use auto, environment or file"
            )

    @property
    def file(self) -> Path:
        return self.state_dir / NAME

    def read(self) -> MasterKey:
        """The key.

        Raises:
            KeyAbsent: there is none.
            KeyUnusable: there is one, and it must not or cannot be used.
        """
        key = self._from_environment() if self.kind != "file" else None
        if key is not None:
            return key
        if self.kind == "environment":
            raise KeyAbsent(
                f"neither {VARIABLE} nor a systemd credential named {CREDENTIAL} is set, and "
                "vault.key_source is environment. Make a key: openssl rand -base64 32"
            )
        return self._from_file()

    def read_or_make(self) -> MasterKey:
        """The key; a new one in the file when there is none and the file is where to look.

        Raises:
            KeyUnusable: as ``read``.
            OSError: the file cannot be written.
        """
        try:
            return self.read()
        except KeyAbsent:
            if self.kind == "environment":
                raise
        with files.locked(self.file):
            if not os.path.lexists(self.file):  # another process may have been quicker
                text = base64.b64encode(secrets.token_bytes(SIZE)) + b"\n"
                files.write(self.file, text)
        return self._from_file()

    def _from_environment(self) -> MasterKey | None:
        text = self.environment.get(VARIABLE)
        if text:
            return MasterKey(_decoded(text, VARIABLE), VARIABLE)
        folder = self.environment.get("CREDENTIALS_DIRECTORY")
        if not folder:
            return None
        path = Path(folder) / CREDENTIAL
        try:  # systemd looks after this file: its owner may be root, and it may be a link
            text = path.read_text(encoding="ascii")
        except FileNotFoundError:
            return None
        except (OSError, UnicodeDecodeError):
            raise KeyUnusable(f"the systemd credential {path} cannot be read as text") from None
        return MasterKey(_decoded(text, str(path)), str(path))

    def _from_file(self) -> MasterKey:
        path = self.file
        try:
            text = files.read(path, _LARGEST_FILE, private=True).decode("ascii", "replace")
        except FileNotFoundError:
            raise KeyAbsent(f"there is no key file {path}") from None
        except files.NotPrivate as error:
            raise KeyUnusable(
                f"the key file {path} is {error.strerror}. Make it yours alone: chmod 600 {path}"
            ) from None
        except OSError as error:
            raise KeyUnusable(f"the key file {path} cannot be read: {error.strerror}") from None
        return MasterKey(_decoded(text, str(path)), str(path))


def _decoded(text: str, origin: str) -> bytes:
    text = text.strip()
    try:
        data = bytes.fromhex(text) if len(text) == 2 * SIZE else _base64(text)
    except (ValueError, binascii.Error):
        data = b""
    if len(data) != SIZE:
        raise KeyUnusable(
            f"{origin} does not hold a key: it must be {SIZE} bytes in base64 or hex, such as "
            "openssl rand -base64 32 prints"
        )
    return data


def _base64(text: str) -> bytes:
    plain = text.replace("-", "+").replace("_", "/").rstrip("=")
    return base64.b64decode(plain + "=" * (-len(plain) % 4), validate=True)
