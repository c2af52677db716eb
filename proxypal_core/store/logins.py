"""The vault as logins need it: a profile is replaced only by who saw it as it is."""

import hashlib
from collections.abc import Mapping
from contextlib import AbstractContextManager

from proxypal_core.store import files
from proxypal_core.store.vault import Vault, VaultError
from proxypal_core.wire.jsonio import JsonObject


class _Changed(Exception):
    """The profile is not what it was taken for."""


class Logins:
    """The profiles in *vault*, and a lock for each, whose files are in a folder beside it."""

    def __init__(self, vault: Vault) -> None:
        self._vault = vault
        self._folder = vault.path.parent / "locks"

    def read(self) -> Mapping[str, JsonObject]:
        """The profiles as they are now.

        Raises:
            OSError: they cannot be read.
        """
        try:
            return self._vault.read().profiles
        except VaultError as error:
            raise OSError(str(error)) from error

    def replace(self, profile_id: str, old: JsonObject, new: JsonObject) -> bool:
        """Put *new* in place of *old*; False when *old* is not what is there.

        Raises:
            OSError: it could not be written.
        """

        def change(profiles: dict[str, JsonObject]) -> None:
            if profiles.get(profile_id) != old:
                raise _Changed
            profiles[profile_id] = new

        try:
            self._vault.update(change)
        except _Changed:
            return False
        except VaultError as error:
            raise OSError(str(error)) from error
        return True

    def lock(self, profile_id: str) -> AbstractContextManager[None]:
        """Held by one at a time, of all processes."""
        # An id is a person's words, and may be an e-mail address: no name for a file.
        return files.locked(self._folder / hashlib.sha256(profile_id.encode()).hexdigest()[:32])
