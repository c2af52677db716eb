"""The bytes of a vault, as docs/vault-format.md has them: profiles in, sealed bytes out, and back."""

import os
import struct
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from proxypal_core.accounts.profiles import is_profile_id
from proxypal_core.store.master_key import MasterKey
from proxypal_core.wire import jsonio
from proxypal_core.wire.jsonio import JsonObject

MAGIC = b"PPAL"
VERSION = 2
FIRST = 1
"""The version in which every record was of the vault's own generation. It is only read."""
AES_256_GCM = 1
LARGEST = 16 * 1024 * 1024
BOOKKEEPING = "bookkeeping"
"""No profile can be called so: an id has a colon."""

_HEADER = struct.Struct(">4sBB8s16sQ")
_STORE = slice(30)
"""The header without the generation: what all records of a store under one key have in common."""
_GENERATION = struct.Struct(">Q")
_SIZE = struct.Struct(">I")
_ID_SIZE = struct.Struct(">H")
_NONCE = 12
_TAG = 16
_INDEX = ""
"""What the list of names is sealed as; nothing else can be called so."""


class VaultError(Exception):
    """The vault cannot be used; the message says what happened and what to do."""


class Damaged(VaultError):
    """The bytes are not what was written with this key; an earlier generation may serve."""

    def __init__(self, problem: str, remedy: str = "put it back from a backup") -> None:
        super().__init__(f"{problem}; {remedy}")


class OtherKey(Damaged):
    """It was written with another key than the one at hand."""


class Snapshot(msgspec.Struct, frozen=True):
    """What the vault held at one time. Generation 0 is a vault that was never written. ``problem``
    says why an earlier generation had to do, which can only be read. ``generations`` are those of
    the profiles that are there, and of the bookkeeping if there is any.
    """

    profiles: Mapping[str, JsonObject] = {}
    generation: int = 0
    store_id: bytes = b""
    problem: str = ""
    bookkeeping: JsonObject = {}
    generations: Mapping[str, int] = {}

    @property
    def entries(self) -> dict[str, JsonObject]:
        """What is sealed, each under its name, in this order."""
        book = {BOOKKEEPING: self.bookkeeping} if self.bookkeeping else {}
        return book | dict(self.profiles)


class Header(NamedTuple):
    magic: bytes
    version: int
    algorithm: int
    key_id: bytes
    store_id: bytes
    generation: int


def encode(
    snapshot: Snapshot,
    key: MasterKey,
    *,
    earlier: bytes = b"",
    nonce: Callable[[], bytes] = lambda: os.urandom(_NONCE),
) -> bytes:
    """*snapshot* as the bytes of a vault. *nonce* must never give the same twice for a key. Records
    whose name and generation are those of *earlier*, a vault that opens with *key*, are taken over.

    Raises:
        ValueError: a profile's id cannot be one.
        VaultError: all is longer than a vault may be.
    """
    for name in snapshot.profiles:
        if not is_profile_id(name):
            raise ValueError(f"not a profile id: {name!r}")
    header = _HEADER.pack(
        *Header(MAGIC, VERSION, AES_256_GCM, key.id, snapshot.store_id, snapshot.generation)
    )
    seal = _Seal(key, header[_STORE])
    kept = _records_of(earlier, seal) if earlier[_STORE] == header[_STORE] else {}
    entries = snapshot.entries
    index = [(name, snapshot.generations.get(name, snapshot.generation)) for name in entries]
    records = [seal.closed(_INDEX, snapshot.generation, index, nonce())]
    for name, generation in index:
        record = kept.get((name, generation))
        records.append(record or seal.closed(name, generation, entries[name], nonce()))
    data = header + b"".join(_SIZE.pack(len(record)) + record for record in records)
    if len(data) > LARGEST:
        raise VaultError(
            f"the vault would be longer than {LARGEST} bytes; take accounts out first: proxypal auth"
            " remove ID"
        )
    return data


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
    if header.version not in (FIRST, VERSION) or header.algorithm != AES_256_GCM:
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
    from cryptography.exceptions import InvalidTag  # noqa: PLC0415 — 7 MB, which a program without a vault is spared

    header = read_header(data, path)
    if header.key_id != key.id:
        raise OtherKey(
            f"{path} was written with another key (id {header.key_id.hex()}) than the one from "
            f"{key.origin} (id {key.id.hex()})",
            "give proxypal the key it was written with",
        )
    seal = _Seal(key, data[_STORE])
    try:
        records = _records_of(data, seal)
        values = {
            name: jsonio.load_object(seal.opened(name, generation, record))
            for (name, generation), record in records.items()
        }
    except _CutShort:
        raise Damaged(f"{path} is cut short, or has more in it than was written") from None
    except InvalidTag:
        raise Damaged(f"{path} was damaged or tampered with") from None
    return Snapshot(
        bookkeeping=values.pop(BOOKKEEPING, {}),
        profiles=values,
        generation=header.generation,
        store_id=header.store_id,
        generations=dict(records.keys()),
    )


class _CutShort(Exception):
    """The records do not fill the file, or are not those that the index lists."""


class _Seal:
    """Opens and closes records. One opens only in the store (and with the key, algorithm and
    version) that it was made for, under its name and as of its generation.
    """

    def __init__(self, key: MasterKey, store: bytes) -> None:
        # As in decode.
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # noqa: PLC0415

        self._cipher = AESGCM(key.data)
        self._store = store

    def closed(self, name: str, generation: int, value: Any, nonce: bytes) -> bytes:
        bound = self._bound_to(name, generation)
        return nonce + self._cipher.encrypt(nonce, jsonio.dumps(value), bound)

    def opened(self, name: str, generation: int, record: bytes) -> bytes:
        """What *record* holds.

        Raises:
            InvalidTag: it is not what was closed as *name* of this *generation*.
        """
        bound = self._bound_to(name, generation)
        return self._cipher.decrypt(record[:_NONCE], record[_NONCE:], bound)

    def _bound_to(self, name: str, generation: int) -> bytes:
        spelt = name.encode()
        return self._store + _GENERATION.pack(generation) + _ID_SIZE.pack(len(spelt)) + spelt


def _records_of(data: bytes, seal: _Seal) -> dict[tuple[str, int], bytes]:
    """The records of *data* by name and generation, in the order of its index, still closed.

    Raises:
        _CutShort: they are not all there, or more is.
        InvalidTag: the index is not what was written.
    """
    header = Header(*_HEADER.unpack_from(data))
    first, *others = _split(data)
    index = jsonio.loads(seal.opened(_INDEX, header.generation, first))
    if header.version == FIRST:
        index = [(name, header.generation) for name in index]
    if len(index) != len(others):
        raise _CutShort
    return {
        (name, generation): record for (name, generation), record in zip(index, others, strict=True)
    }


def _split(data: bytes) -> list[bytes]:
    """The records of *data*, without their sizes."""
    records: list[bytes] = []
    at = _HEADER.size
    while at < len(data) or not records:
        start = at + _SIZE.size
        size = _SIZE.unpack_from(data, at)[0] if start <= len(data) else 0
        at = start + size
        if size < _NONCE + _TAG or at > len(data):
            raise _CutShort
        records.append(data[start:at])
    return records
