"""The key that encrypts the vault: 256 bits, kept apart from what it opens.

Where a key can be kept by this program (a file, plain or under a passphrase, or the system's
keyring), it has two slots: the present key, and while the vault is re-encrypted the next one.
Whichever of the two a crash leaves in use is found by its id.
"""

import base64
import binascii
import hashlib
import hmac
import secrets
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol

import msgspec

from proxypal_core.store import files, passphrase

NAME = "vault.key"
NEXT = "vault.key.next"
VARIABLE = "PROXYPAL_VAULT_KEY"
PASSPHRASE = "PROXYPAL_VAULT_PASSPHRASE"
CREDENTIAL = "proxypal-vault-key"
SERVICE = "proxypal"
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


class Ask(Protocol):
    """Asks the person for the passphrase of *what*; a new one is asked for twice."""

    def __call__(self, what: str, *, new: bool) -> str: ...


class KeySource(msgspec.Struct, frozen=True):
    """Where the key is looked for. ``kind`` is the setting ``vault.key_source``: ``environment``
    is the variable or the systemd credential, ``file`` the file in *state_dir*, ``passphrase`` the
    same file under a passphrase, ``keyring`` the system's; ``auto`` is the environment if the key
    is there, and else the file. Without *ask*, a passphrase comes from its variable alone.
    """

    kind: str
    state_dir: Path
    environment: Mapping[str, str]
    ask: Ask | None = None

    @property
    def file(self) -> Path:
        return self.state_dir / NAME

    def read(self) -> MasterKey:
        """The present key.

        Raises:
            KeyAbsent: there is none.
            KeyUnusable: there is one, and it must not or cannot be used.
        """
        if self.kind in ("auto", "environment"):
            key = self._from_environment()
            if key is not None:
                return key
        if self.kind == "environment":
            raise KeyAbsent(
                f"neither {VARIABLE} nor a systemd credential named {CREDENTIAL} is set, and "
                "vault.key_source is environment. Make a key: openssl rand -base64 32"
            )
        key = self._kept(self.file)
        if key is None:
            raise KeyAbsent(f"there is no key {self._where(self.file)}")
        return key

    def opening(self, key_id: bytes) -> MasterKey:
        """The key with *key_id* if it is one of the two at hand; else the present key.

        Raises:
            KeyUnusable: as ``read``.
        """
        try:
            present = self.read()
        except KeyAbsent:
            following = self._following()
            if following is None:
                raise
            return following
        if present.id == key_id:
            return present
        following = self._following()
        return following if following and following.id == key_id else present

    def read_or_make(self) -> MasterKey:
        """The key; a new one when there is none and it can be kept.

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
            try:
                return self.read()  # another process may have been quicker
            except KeyAbsent:
                self._keep(self.file)
        return self.read()

    def next_or_make(self) -> MasterKey:
        """The key that is to follow the present one; it is kept, and found again after a crash.

        Raises:
            KeyUnusable: it cannot be kept where this key comes from.
            OSError: the file cannot be written.
        """
        if self.comes_from_outside():
            raise KeyUnusable("the key is set from outside, and cannot be changed from here")
        path = self.state_dir / NEXT
        with files.locked(self.file):
            key = self._kept(path)
            if key is None:
                self._keep(path)
                key = self._kept(path)
        if key is None:
            raise KeyUnusable(f"the new key was not kept {self._where(path)}")
        return key

    def promote(self) -> None:
        """Let the next key be the present one, which is gone then. Nothing happens without one."""
        self._slots.move(self.state_dir / NEXT, self.file)

    def has_next(self) -> bool:
        """Whether a rotation was begun and not finished.

        Raises:
            KeyUnusable: as ``read``.
        """
        return self.kind != "environment" and self._slots.get(self.state_dir / NEXT) is not None

    def comes_from_outside(self) -> bool:
        """Whether the key is the variable or the systemd credential, which others look after."""
        return self.kind == "environment" or (
            self.kind == "auto" and self._from_environment() is not None
        )

    # ── the environment ──────────────────────────────────────────────────────────────────────

    def _from_environment(self) -> MasterKey | None:
        text = self.environment.get(VARIABLE)
        if text:
            return MasterKey(decoded(text, VARIABLE), VARIABLE)
        folder = self.environment.get("CREDENTIALS_DIRECTORY")
        if not folder:
            return None
        path = Path(folder) / CREDENTIAL
        try:  # systemd looks after this file: its owner may be root, and it may be a link
            text = path.read_text(encoding="ascii")
        except FileNotFoundError:
            return None
        except (OSError, UnicodeDecodeError):
            raise KeyUnusable(
                f"the systemd credential {path} cannot be read as text; make it anew from what"
                " openssl rand -base64 32 prints"
            ) from None
        return MasterKey(decoded(text, str(path)), str(path))

    # ── what this program keeps ──────────────────────────────────────────────────────────────

    def _following(self) -> MasterKey | None:
        return None if self.kind == "environment" else self._kept(self.state_dir / NEXT)

    @property
    def _slots(self) -> "_Slots":
        return _Keyring() if self.kind == "keyring" else _Files()

    def _where(self, path: Path) -> str:
        return f"in the system's keyring ({path})" if self.kind == "keyring" else f"file {path}"

    def _kept(self, path: Path) -> MasterKey | None:
        text = self._slots.get(path)
        if text is None:
            return None
        origin = f"the system's keyring ({path})" if self.kind == "keyring" else str(path)
        if not passphrase.is_wrapped(text):
            return MasterKey(decoded(text, origin), origin)
        try:
            return MasterKey(passphrase.unwrap(text, self._passphrase(path, new=False)), origin)
        except passphrase.NotOpened:
            raise KeyUnusable(
                f"the passphrase does not open the key {path}; give the one that it was made with"
            ) from None

    def _keep(self, path: Path) -> None:
        """Put a new key into the slot at *path*. To be called under the lock."""
        files.sweep(self.file)  # what a killed maker left holds a key
        key = secrets.token_bytes(SIZE)
        under = self.kind == "passphrase" or (
            self.kind == "auto" and bool(self.environment.get(PASSPHRASE))
        )
        self._slots.put(
            path,
            passphrase.wrap(key, self._passphrase(path, new=True))
            if under
            else base64.b64encode(key).decode(),
        )

    def _passphrase(self, path: Path, *, new: bool) -> str:
        given = self.environment.get(PASSPHRASE)
        if not given and self.ask is not None:
            given = self.ask(str(path), new=new)
        if not given:
            raise KeyUnusable(
                f"the key {path} {'is to be' if new else 'is'} under a passphrase, and there is no "
                f"terminal to ask for it on. Set {PASSPHRASE}"
            )
        return given


class _Slots(Protocol):
    """Where keys are kept, each under the path that its file has or would have."""

    def get(self, path: Path) -> str | None: ...

    def put(self, path: Path, text: str) -> None: ...

    def move(self, source: Path, target: Path) -> None: ...


class _Files:
    def get(self, path: Path) -> str | None:
        try:
            return files.read(path, _LARGEST_FILE, private=True).decode("ascii", "replace")
        except FileNotFoundError:
            return None
        except files.NotPrivate as error:
            raise KeyUnusable(
                f"the key file {path} is {error.strerror}. Make it yours alone: chmod 600 {path}"
            ) from None
        except OSError as error:
            raise KeyUnusable(
                f"the key file {path} cannot be read: {error.strerror}. See whose it is, and its mode"
            ) from None

    def put(self, path: Path, text: str) -> None:
        files.write(path, f"{text}\n".encode())

    def move(self, source: Path, target: Path) -> None:
        with suppress(FileNotFoundError):
            files.move(source, target)


class _Keyring:
    """The system's keyring, through the package of that name."""

    def __init__(self) -> None:
        try:
            import keyring  # noqa: PLC0415 — an extra, and slow to import
            from keyring.errors import KeyringError  # noqa: PLC0415
        except ImportError:
            raise KeyUnusable(
                "vault.key_source is keyring, which needs a package that is not installed: "
                "pip install 'proxypal-core[keyring]', or use file"
            ) from None
        self._keyring: Any = keyring
        self._error = KeyringError

    def get(self, path: Path) -> str | None:
        found: str | None = self._call(lambda: self._keyring.get_password(SERVICE, str(path)))
        return found

    def put(self, path: Path, text: str) -> None:
        self._call(lambda: self._keyring.set_password(SERVICE, str(path), text))

    def move(self, source: Path, target: Path) -> None:
        text = self.get(source)
        if text is not None:
            self.put(target, text)
            self._call(lambda: self._keyring.delete_password(SERVICE, str(source)))

    def _call(self, act: Callable[[], Any]) -> Any:
        try:
            return act()
        except self._error as error:
            raise KeyUnusable(
                f"the system's keyring cannot be used ({str(error).strip(' .')}). Without a desktop "
                "session there may be none: then use vault.key_source: file"
            ) from None


def decoded(text: str, origin: str) -> bytes:
    """The key that *text* from *origin* spells.

    Raises:
        KeyUnusable: it is not 32 bytes in base64 or hex.
    """
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
