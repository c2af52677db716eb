"""What the owner of a running daemon may change: its settings file and its vault.

Files are read and written on another thread; what they come to is in force when a change returns.
"""

import asyncio
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

import msgspec

from proxypal_core.hub.failure import Failure, Kind, Refused
from proxypal_core.settings.reading import SettingsError
from proxypal_core.settings.schema import Settings
from proxypal_core.store import files
from proxypal_core.store.vault import Snapshot, Vault, VaultError
from proxypal_core.wire.jsonio import JsonObject

_T = TypeVar("_T")


class Files(msgspec.Struct, frozen=True):
    """``parse`` makes settings of the text of the file at ``config``, which need not exist; it
    raises SettingsError.
    """

    vault: Vault
    config: Path
    parse: Callable[[str], Settings]


class Owned(msgspec.Struct, frozen=True):
    """``merge`` adds to settings what a vault holds, ``apply`` has the daemon go by them,
    ``hindrance`` says why a profile makes no account, ``secrets`` what in settings is secret.
    """

    files: Files
    merge: Callable[[Settings, Snapshot], Settings]
    apply: Callable[[Settings], None]
    hindrance: Callable[[Settings, str, JsonObject], str]
    secrets: Callable[[Settings], frozenset[str]]
    turn: asyncio.Lock = msgspec.field(default_factory=asyncio.Lock)

    async def snapshot(self) -> Snapshot:
        """What the vault holds.

        Raises:
            Refused: it cannot be read.
        """
        return await _on_thread(self.files.vault.read)

    async def settings(self) -> Settings:
        """What the settings file says by itself.

        Raises:
            Refused: it cannot be used.
        """
        return await _on_thread(lambda: self.files.parse(self._text()))

    async def profiles(self) -> Mapping[str, JsonObject]:
        return (await self.snapshot()).profiles

    async def revise(self, change: Callable[[Snapshot], Snapshot]) -> None:
        """Let *change* work on the vault, and go by it.

        Raises:
            Refused: it cannot be written, or the settings file is broken.
        """
        await _on_thread(lambda: self.files.vault.revise(change))
        await self.reload()

    async def reload(self) -> None:
        """Go by what the files say now.

        Raises:
            Refused: they cannot be used.
        """

        def loaded() -> Settings:
            settings = self.files.parse(self._text())
            return self.merge(settings, self.files.vault.read())

        async with self.turn:  # what was read first must not come in force last
            self.apply(await _on_thread(loaded))

    async def text(self) -> str:
        """The settings file, as it is; empty where there is none.

        Raises:
            Refused: it cannot be read.
        """
        return await _on_thread(self._text)

    async def write(self, text: str) -> None:
        """Put *text* in place of the settings file, keep what was there as ``.bak``, and go by it.

        Raises:
            Refused: it cannot be written, and nothing has changed.
        """

        def written() -> None:
            path = self.files.config.resolve()  # a link stays one
            files.make_folder(path.parent)
            if path.exists():
                files.write(path.with_name(f"{path.name}.bak"), path.read_bytes())
            files.write(path, text.encode())

        await _on_thread(written)
        await self.reload()

    def _text(self) -> str:
        try:
            return self.files.config.read_text(encoding="utf-8-sig")
        except FileNotFoundError:
            return ""


async def _on_thread(work: Callable[[], _T]) -> _T:
    try:
        return await asyncio.to_thread(work)
    except VaultError as error:
        raise Refused(Failure(Kind.INTERNAL, str(error))) from None
    except SettingsError as error:
        told = "; ".join(map(str, error.problems))
        problem = f"the settings file is not valid, so that nothing new is in force: {told}"
        raise Refused(Failure(Kind.CONFLICT, problem)) from None
    except OSError as error:
        problem = f"{error.filename}: {error.strerror or error}; see whose it is, and its mode"
        raise Refused(Failure(Kind.INTERNAL, problem)) from None
