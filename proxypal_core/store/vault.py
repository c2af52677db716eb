"""The vault: every credential in one encrypted file. Its format is docs/decisions/0007-vault.md.

A profile is a JSON object with a ``type``; one of a type that this version does not know is kept
as it is. ``api_key`` has ``provider``, ``key`` and ``created`` (RFC 3339), and may have ``email``
or ``name``.
"""

import os
import struct
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from proxypal_core.store import files
from proxypal_core.store.master_key import KeyAbsent, KeySource, KeyUnusable, MasterKey
from proxypal_core.wire import jsonio
from proxypal_core.wire.jsonio import JsonObject

NAME = "auth-profiles.vault"
OLDER = 2
"""How many earlier generations are kept: ``.1`` is the one before, ``.2`` the one before that."""


class VaultError(Exception):
    """The vault cannot be used; the message says what happened and what to do."""


class Stale(VaultError):
    """Somebody else wrote since the generation that was to be replaced."""


class Damaged(VaultError):
    """The bytes are not what was written with this key; an earlier generation may serve."""

    def __init__(self, problem: str, remedy: str = "put it back from a backup") -> None:
        super().__init__(f"{problem}; {remedy}")


class Snapshot(msgspec.Struct, frozen=True):
    """What the vault held at one time. Generation 0 is a vault that was never written. ``problem``
    says why an earlier generation had to do, which can only be read.
    """

    profiles: Mapping[str, JsonObject] = {}
    generation: int = 0
    store_id: bytes = b""
    problem: str = ""


def is_profile_id(text: str) -> bool:
    """Whether *text* is ``provider:name``, printable, and not a path in any disguise."""
    provider, _, name = text.partition(":")
    return (
        0 < len(provider) <= 64
        and 0 < len(name) <= 254
        and text.isprintable()
        and not any(mark in text for mark in "/\\")
    )


class Vault:
    """The vault in *folder*, opened with the key from *keys*."""

    def __init__(self, folder: Path, keys: KeySource) -> None:
        self.path = folder / NAME
        self._older = [self.path.with_name(f"{NAME}.{age}") for age in range(1, OLDER + 1)]
        self._keys = keys

    def read(self) -> Snapshot:
        """What the vault holds; when it is damaged or gone, what an earlier generation holds.

        Raises:
            VaultError: there is a vault, and none of it can be read.
        """
        try:
            snapshot = self._opened(self.path)
        except Damaged as error:
            problem = error
        else:
            if snapshot is not None:
                return snapshot
            if not any(os.path.lexists(path) for path in self._older):
                return Snapshot()
            problem = Damaged(f"{self.path} is missing, though earlier generations are there")
        for path in self._older:
            try:
                earlier = self._opened(path)
            except VaultError:
                continue
            if earlier is not None:
                told = (
                    f"{problem}. The earlier generation {path} is used in its place, and nothing "
                    f"can be changed; to go on with it: mv {path} {self.path}"
                )
                return msgspec.structs.replace(earlier, problem=told)
        raise problem

    def update(
        self, change: Callable[[dict[str, JsonObject]], None], *, expected: int | None = None
    ) -> Snapshot:
        """Let *change* work on the profiles as they are now, and write the outcome. Nobody else
        writes meanwhile. *expected* is the generation that must still be the current one.

        Raises:
            Stale: it is not.
            VaultError: the vault cannot be read or written. It holds what it held.
        """
        with _explained(f"{self.path} cannot be written"), files.locked(self.path):
            now = self.read()
            if now.problem:
                raise VaultError(now.problem)
            if expected not in (None, now.generation):
                raise Stale(f"{self.path} is at generation {now.generation}, not {expected}")
            profiles = dict(now.profiles)
            change(profiles)
            after = Snapshot(profiles, now.generation + 1, now.store_id or os.urandom(16))
            data = encode(after, self._keys.read_or_make())
            files.sweep(self.path)
            if now.generation:
                self._keep_current()
            files.write(self.path, data)
            return after

    def _keep_current(self) -> None:
        """Every generation becomes one older. The current one is copied: it is never missing."""
        for newer, older in reversed(list(pairwise(self._older))):
            if os.path.lexists(newer):
                newer.replace(older)
        files.write(self._older[0], files.read(self.path, LARGEST))

    def _opened(self, path: Path) -> Snapshot | None:
        """What the file at *path* holds; None when there is none."""
        with _explained(f"{path} cannot be read"):
            try:
                data = files.read(path, LARGEST)
            except FileNotFoundError:
                return None
            header = read_header(data, path)
            try:
                key = self._keys.read()
            except KeyAbsent as error:
                raise VaultError(
                    f"{path} is there, but its key is not: {error}. Put the key with the id "
                    f"{header.key_id.hex()} back; without it nobody can open the vault"
                ) from None
        return decode(data, key, path)


@contextmanager
def _explained(what: str) -> Iterator[None]:
    """Errors of the system and of the key, as errors of the vault."""
    try:
        yield
    except OSError as error:
        raise VaultError(f"{what}: {error.strerror or error}") from error
    except KeyUnusable as error:
        raise VaultError(f"{what}: {error}") from None


# ── the format ───────────────────────────────────────────────────────────────────────────────

MAGIC = b"PPAL"
VERSION = 1
AES_256_GCM = 1
LARGEST = 16 * 1024 * 1024

_HEADER = struct.Struct(">4sBB8s16sQ")
_SIZE = struct.Struct(">I")
_ID_SIZE = struct.Struct(">H")
_NONCE = 12
_TAG = 16
_INDEX = ""
"""What the list of ids is sealed under; no profile can be called so."""


class Header(NamedTuple):
    magic: bytes
    version: int
    algorithm: int
    key_id: bytes
    store_id: bytes
    generation: int


def encode(
    snapshot: Snapshot, key: MasterKey, *, nonce: Callable[[], bytes] = lambda: os.urandom(_NONCE)
) -> bytes:
    """*snapshot* as the bytes of a vault. *nonce* must never give the same twice for a key.

    Raises:
        ValueError: a profile's id cannot be one, or all is longer than a vault may be.
    """
    for name in snapshot.profiles:
        if not is_profile_id(name):
            raise ValueError(f"not a profile id: {name!r}")
    header = _HEADER.pack(
        *Header(MAGIC, VERSION, AES_256_GCM, key.id, snapshot.store_id, snapshot.generation)
    )
    cipher = AESGCM(key.data)
    data = bytearray(header)
    for name, value in ((_INDEX, list(snapshot.profiles)), *snapshot.profiles.items()):
        once = nonce()
        record = once + cipher.encrypt(once, jsonio.dumps(value), _bound_to(header, name))
        data += _SIZE.pack(len(record)) + record
    if len(data) > LARGEST:
        raise ValueError(f"the vault would be longer than {LARGEST} bytes")
    return bytes(data)


def read_header(data: bytes, path: Path) -> Header:
    """The header of *data*, not yet known to be genuine. *path* is what messages call the data.

    Raises:
        Damaged: it is no vault.
        VaultError: it is a vault of another version.
    """
    if len(data) < _HEADER.size:
        raise Damaged(f"{path} is cut short: {len(data)} bytes")
    header = Header(*_HEADER.unpack_from(data))
    if header.magic != MAGIC:
        raise Damaged(f"{path} is not a vault")
    if (header.version, header.algorithm) != (VERSION, AES_256_GCM):
        raise VaultError(
            f"{path} has format {header.version}.{header.algorithm}, and this version of "
            f"proxypal reads only {VERSION}.{AES_256_GCM}; use the version that wrote it"
        )
    return header


def decode(data: bytes, key: MasterKey, path: Path) -> Snapshot:
    """What *data*, a vault, holds. *path* is what messages call it.

    Raises:
        Damaged: one bit or more is not as it was written, or it was written with another key.
        VaultError: it is a vault of another version.
    """
    header = read_header(data, path)
    if header.key_id != key.id:
        raise Damaged(
            f"{path} was written with another key (id {header.key_id.hex()}) than the one from "
            f"{key.origin} (id {key.id.hex()})",
            "give proxypal the key it was written with",
        )
    records = _Records(data, AESGCM(key.data), path)
    ids: list[str] = jsonio.loads(records.next(_INDEX))
    profiles = {name: jsonio.load_object(records.next(name)) for name in ids}
    records.end()
    return Snapshot(profiles, header.generation, header.store_id)


class _Records:
    """The records after the header, opened one by one."""

    def __init__(self, data: bytes, cipher: AESGCM, path: Path) -> None:
        self._data = data
        self._header = data[: _HEADER.size]
        self._at = _HEADER.size
        self._cipher = cipher
        self._path = path

    def next(self, name: str) -> bytes:
        """What the next record holds, which must have been sealed for *name*."""
        start = self._at + _SIZE.size
        if start > len(self._data):
            raise Damaged(f"{self._path} is cut short")
        (size,) = _SIZE.unpack_from(self._data, self._at)
        end = start + size
        if size < _NONCE + _TAG or end > len(self._data):
            raise Damaged(f"{self._path} is cut short or damaged")
        self._at = end
        nonce, sealed = self._data[start : start + _NONCE], self._data[start + _NONCE : end]
        try:
            return self._cipher.decrypt(nonce, sealed, _bound_to(self._header, name))
        except InvalidTag:
            raise Damaged(f"{self._path} was damaged or tampered with") from None

    def end(self) -> None:
        if self._at != len(self._data):
            raise Damaged(f"{self._path} has more in it than was written")


def _bound_to(header: bytes, name: str) -> bytes:
    """What a record is authenticated with, besides its content: it opens in this file and under
    this id, nowhere else.
    """
    spelt = name.encode()
    return header + _ID_SIZE.pack(len(spelt)) + spelt
