"""The vault: every credential in one encrypted file. Its format is docs/vault-format.md.

A profile is a JSON object with a ``type``, kept as it is, whatever is in it (accounts/profiles.py).
Each has a generation of its own: that of the vault when it was last written. Beside the profiles is
their bookkeeping (orders and the like), nothing of which is secret.

- ``Vault.read`` gives all of it, ``Vault.signature`` says cheaply whether it is still so;
- ``Vault.update`` changes profiles under the lock, as they are at that moment;
- ``Vault.put`` replaces one, if it is still of the generation that was read;
- ``Vault.revise`` changes profiles and bookkeeping together;
- ``Vault.take`` takes over entries of other vaults, with their generations;
- ``Vault.rotate`` seals everything with another key.

A record that does not change is not sealed again: its bytes are taken over.
"""

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import msgspec

from proxypal_core.accounts.profiles import is_profile_id
from proxypal_core.store import files
from proxypal_core.store.master_key import KeyAbsent, KeySource, KeyUnusable, MasterKey
from proxypal_core.store.vault_format import (
    BOOKKEEPING,
    LARGEST,
    Damaged,
    OtherKey,
    Snapshot,
    VaultError,
    decode,
    encode,
    read_header,
)
from proxypal_core.wire import jsonio
from proxypal_core.wire.jsonio import JsonObject

__all__ = ["Damaged", "Snapshot", "Stale", "Vault", "VaultError", "is_profile_id"]

NAME = "auth-profiles.vault"
OLDER = 3
"""How many earlier generations are kept: ``.1`` is the one before, ``.2`` the one before that."""


class Stale(VaultError):
    """Somebody else changed the profile since it was read."""


class _Contents(NamedTuple):
    """A snapshot, and the bytes of the vault it was read from; none where there is no such vault."""

    snapshot: Snapshot
    data: bytes


class Vault:
    """The vault in *folder*, opened with the key from *keys*."""

    def __init__(self, folder: Path, keys: KeySource) -> None:
        self.path = folder / NAME
        self._older = [self.path.with_name(f"{NAME}.{age}") for age in range(1, OLDER + 1)]
        self.keys = keys

    def read(self) -> Snapshot:
        """What the vault holds; when it is damaged or gone, what an earlier generation holds.

        Raises:
            VaultError: there is a vault, and none of it can be read.
        """
        return self._contents().snapshot

    def earlier(self) -> list[tuple[Path, Snapshot | VaultError]]:
        """The earlier generations that are there, the youngest first; or why one cannot be read."""
        found: list[tuple[Path, Snapshot | VaultError]] = []
        for path in self._older:
            try:
                contents = self._opened(path)
            except VaultError as error:
                found.append((path, error))
            else:
                found += [(path, contents.snapshot)] if contents else []
        return found

    def signature(self) -> tuple[int, ...]:
        """Numbers that change whenever the vault does, and cost one look at the file's state."""
        try:
            state = self.path.lstat()
        except OSError:
            return ()
        return state.st_ino, state.st_mtime_ns, state.st_size

    def update(self, change: Callable[[dict[str, JsonObject]], None]) -> Snapshot:
        """Let *change* work on the profiles as they are now, and write the outcome. Nobody else
        writes meanwhile.

        Raises:
            VaultError: the vault cannot be read or written. It holds what it held.
        """

        def changed(now: Snapshot) -> Snapshot:
            profiles = dict(now.profiles)
            change(profiles)
            return msgspec.structs.replace(now, profiles=profiles)

        return self.revise(changed)

    def put(self, profile_id: str, profile: JsonObject | None, *, expected: int) -> Snapshot:
        """Replace one profile, or remove it, if it is still of the generation *expected*; 0 is for
        one that must not be there.

        Raises:
            Stale: it is not.
            VaultError: as ``update``.
        """

        def changed(now: Snapshot) -> Snapshot:
            found = now.generations.get(profile_id, 0)
            if found != expected:
                raise Stale(f"{profile_id} is at generation {found}, not {expected}")
            profiles = {**now.profiles, profile_id: profile or {}}
            if profile is None:
                del profiles[profile_id]
            return msgspec.structs.replace(now, profiles=profiles)

        return self.revise(changed)

    def revise(self, change: Callable[[Snapshot], Snapshot]) -> Snapshot:
        """Write the profiles and the bookkeeping that *change* makes of those that are there.

        Raises:
            VaultError: as ``update``.
        """
        return self._revise(lambda now: _next(now, _spelt(now), change(now)))

    def take(
        self, taken: Mapping[str, tuple[int, JsonObject | None]], *, as_of: Snapshot
    ) -> Snapshot:
        """Have the entries *taken*, each with its generation, in place of what is there under these
        names, unless that has changed since *as_of*; None removes one. The vault's own generation is
        higher than all of them.

        Raises:
            VaultError: as ``update``.
        """

        def changed(now: Snapshot) -> Snapshot:
            fit = {
                name: row
                for name, row in taken.items()
                if now.generations.get(name) == as_of.generations.get(name)
            }
            entries = {**now.entries, **{name: value or {} for name, (_, value) in fit.items()}}
            for name, (_, value) in fit.items():
                if value is None:
                    del entries[name]
            bookkeeping = entries.pop(BOOKKEEPING, {})
            after = msgspec.structs.replace(now, profiles=entries, bookkeeping=bookkeeping)
            newest = max((generation for generation, _ in fit.values()), default=0)
            above = msgspec.structs.replace(now, generation=max(now.generation, newest))
            following = _next(above, _spelt(now), after)
            theirs = {name: generation for name, (generation, _) in fit.items() if name in entries}
            if bookkeeping and BOOKKEEPING in fit:
                theirs[BOOKKEEPING] = fit[BOOKKEEPING][0]
            return msgspec.structs.replace(
                following, generations={**following.generations, **theirs}
            )

        return self._revise(changed, anew=True)

    def _revise(self, change: Callable[[Snapshot], Snapshot], *, anew: bool = False) -> Snapshot:
        """Write what *change* makes of what is there; *anew*: seal all of it, as an entry may be
        another one of the same generation.
        """
        with _explained(f"{self.path} cannot be written"), files.locked(self.path):
            now, data = self._contents()
            if now.problem:
                raise VaultError(now.problem)
            after = change(now)
            key = self._key_of(data, self.path) if data else self.keys.read_or_make()
            written = encode(after, key, earlier=b"" if anew else data)
            files.sweep(self.path)
            try:
                self._replace(data, written)
            except OSError:
                files.sweep(self.path)
                raise
            return after

    def rotate(self, keys: KeySource, new: MasterKey | None = None) -> list[Path]:
        """Seal everything with a new key, which *keys* makes and keeps from then on, or which is
        *new* where the key comes from outside. What was begun and cut off is gone on with.

        Returns the earlier generations that could not be opened, and so stay as they are.

        Raises:
            VaultError: there is no vault, or it cannot be read or written. Every key that was in
                use before still is where it was.
        """
        with _explained(f"{self.path} cannot be rotated"), files.locked(self.path):
            if not os.path.lexists(self.path):
                raise VaultError(f"there is no vault {self.path}; the next change makes one")
            key = new or keys.next_or_make()
            self._sealed_with(key, self.path)
            files.sweep(self.path)
            left = [path for path in reversed(self._older) if not self._reseal(key, path)]
            files.write(self.path, self._sealed_with(key, self.path))
            if new is None:
                keys.promote()
            return left

    def _reseal(self, key: MasterKey, path: Path) -> bool:
        """Whether the earlier generation at *path* is not there, or is sealed with *key* now."""
        if os.path.lexists(path):
            try:
                data = self._sealed_with(key, path)
            except Damaged:
                return False
            files.write(path, data)
        return True

    def _sealed_with(self, key: MasterKey, path: Path) -> bytes:
        with _explained(f"{path} cannot be read"):
            data = files.read(path, LARGEST)
        if read_header(data, path).key_id == key.id:
            decode(data, key, path)
            return data
        return encode(decode(data, self._key_of(data, path), path), key)

    def _replace(self, current: bytes, new: bytes) -> None:
        """Put *new* in the place of *current*, and let every generation become one older. What a full
        disk could refuse comes first, so that failing again and again uses no generation up.
        """
        copied = files.stage(self._older[0], current) if current else None
        following = files.stage(self.path, new)
        if copied:  # not moved: the vault is never missing
            for newer, older in reversed(list(pairwise([copied, *self._older]))):
                if os.path.lexists(newer):
                    newer.replace(older)
        files.move(following, self.path)

    def _contents(self) -> _Contents:
        try:
            contents = self._opened(self.path)
        except Damaged as error:
            problem = error
        else:
            if contents is not None:
                return contents
            if not any(os.path.lexists(path) for path in self._older):
                return _Contents(Snapshot(), b"")
            problem = Damaged(f"{self.path} is missing, though earlier generations are there")
        for path, earlier in self.earlier():
            if isinstance(earlier, Snapshot):
                told = (
                    f"{problem}. The earlier generation {path} is used in its place, and nothing "
                    f"can be changed; to go on with it: mv {path} {self.path}"
                )
                return _Contents(msgspec.structs.replace(earlier, problem=told), b"")
        raise problem

    def _opened(self, path: Path) -> _Contents | None:
        """What the file at *path* holds; None when there is none."""
        try:
            return self._opened_once(path)
        except OtherKey:  # a rotation may have come between the vault and the key
            return self._opened_once(path)

    def _opened_once(self, path: Path) -> _Contents | None:
        with _explained(f"{path} cannot be read"):
            try:
                data = files.read(path, LARGEST)
            except FileNotFoundError:
                return None
            key = self._key_of(data, path)
        return _Contents(decode(data, key, path), data)

    def _key_of(self, data: bytes, path: Path) -> MasterKey:
        header = read_header(data, path)
        try:
            return self.keys.opening(header.key_id)
        except KeyAbsent as error:
            raise VaultError(
                f"{path} is there, but its key is not: {error}. Put the key with the id "
                f"{header.key_id.hex()} back; without it nobody can open the vault"
            ) from None


def _spelt(now: Snapshot) -> Mapping[str, bytes]:
    """The entries of *now* as text, which a change that works in place does not change."""
    return {name: jsonio.dumps(value) for name, value in now.entries.items()}


def _next(now: Snapshot, had: Mapping[str, bytes], after: Snapshot) -> Snapshot:
    """The generation that follows *now*, which held *had*, and holds what *after* does. What it had
    was spelt before the change, which may have worked in place.
    """
    generation = now.generation + 1
    return msgspec.structs.replace(
        after,
        generation=generation,
        store_id=now.store_id or os.urandom(16),
        generations={
            name: now.generations[name] if had.get(name) == jsonio.dumps(value) else generation
            for name, value in after.entries.items()
        },
    )


@contextmanager
def _explained(what: str) -> Iterator[None]:
    """Errors of the system and of the key, as errors of the vault."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or error
        raise VaultError(
            f"{what}: {reason}. See whose it is, its mode, and the room on the disk"
        ) from error
    except KeyUnusable as error:
        raise VaultError(f"{what}: {error}") from None
