"""One vault on many machines: each entry is everywhere as it was last written anywhere.

Every vault keeps its own file, and can go on by it alone. Beside that each entry is, sealed, in the
shared state, with the generation of the vault that wrote it. An entry is written there only over the
generation that the writer knew (compare-and-swap): so who was stopped for too long with a lock in its
hands, and writes when somebody else has gone on, loses what it wrote and takes over theirs.
"""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, suppress

import structlog

from proxypal_core.accounts.account import masked
from proxypal_core.shared.state import Record, Shared, Unreachable
from proxypal_core.store.master_key import KeyUnusable
from proxypal_core.store.sealing import Sealing, Unopened
from proxypal_core.store.vault import Snapshot, Vault, VaultError
from proxypal_core.upstream.asking import NotNow
from proxypal_core.wire.jsonio import JsonObject

LOCK = 60.0
"""Seconds after which a lock is free again whose holder is gone: longer than a renewal takes."""
PATIENCE = 30.0
_LOOK = 0.05
_UNSHARED = "linked"
"""The type of profiles that stay where they are: their login is a file of that machine."""

log = structlog.get_logger(__name__)


class SharedVault:
    """*vault* beside those of the other replicas. *new_id* makes names that nobody else has."""

    def __init__(
        self, shared: Shared, vault: Vault, *, tenant: str, new_id: Callable[[], str]
    ) -> None:
        self._shared = shared
        self._vault = vault
        self._tenant = tenant
        self._new_id = new_id
        self._turn = asyncio.Lock()
        self._agreed: dict[str, int] = {}
        """Of which generation each record was when it was last the same here and there."""
        self._homes: dict[str, str] = {}
        self._unopened: set[str] = set()
        self._sealing: Sealing | None = None

    def signature(self) -> tuple[int, ...]:
        """Numbers that change when the vault does."""
        return self._vault.signature()

    async def sync(self) -> None:
        """Have every entry here and there as it was written last.

        Raises:
            Unreachable: there is no answer.
            VaultError: this vault cannot be read or written.
        """
        async with self._turn:
            snapshot = await asyncio.to_thread(self._vault.read)
            if snapshot.problem:
                raise VaultError(snapshot.problem)
            records = await self._shared.records()
            self._homes |= {name: record.by for name, record in records.items()}
            sealing = await asyncio.to_thread(self._open)
            told = await self._push(snapshot, records, sealing)
            others = {name: record for name, record in records.items() if name not in told}
            taken = dict(self._newer(snapshot, others, sealing))
            if taken:
                await asyncio.to_thread(self._vault.take, taken, as_of=snapshot)
                self._agreed |= {name: generation for name, (generation, _) in taken.items()}
                log.info("entries of another replica's vault taken over", entries=len(taken))

    @asynccontextmanager
    async def claim(self, name: str) -> AsyncIterator[None]:
        """The profile *name* is ours alone, and as new as it is anywhere; at the end it is so there.

        Raises:
            NotNow: somebody else has it for too long; or the shared state is gone, and another
                replica was the last that renewed it.
        """
        lock = f"login:{hashlib.sha256(name.encode()).hexdigest()[:32]}"
        holder = self._new_id()
        held = await self._begin(name, lock, holder)
        try:
            yield
        finally:
            if held:
                with suppress(Unreachable):  # it is in our vault, and told when the server is back
                    await self._synced()
                with suppress(Unreachable):
                    await self._shared.release(lock, holder)

    async def _begin(self, name: str, lock: str, holder: str) -> bool:
        """Whether the lock is had; it need not be, by who renewed *name* last."""
        try:
            await self._acquire(lock, holder)
            await self._synced()
        except Unreachable:
            await self._check_home(name)
            return False
        return True

    async def _acquire(self, lock: str, holder: str) -> None:
        try:
            async with asyncio.timeout(PATIENCE):
                while not await self._shared.acquire(lock, holder, LOCK):  # noqa: ASYNC110 — a lock of another machine sets no event here
                    await asyncio.sleep(_LOOK)
        except TimeoutError:
            raise NotNow("another replica renews its login, and takes too long") from None

    async def _synced(self) -> None:
        try:
            await self.sync()
        except VaultError as error:
            log.warning("the vault cannot be shared", reason=str(error))

    async def _check_home(self, name: str) -> None:
        own = (await asyncio.to_thread(self._vault.read)).store_id.hex()
        if self._homes.get(name) != own:
            raise NotNow(
                "its login has to be renewed by the replica that did so last, since the shared state"
                " (state.url) cannot be reached"
            )

    def _open(self) -> Sealing:
        try:
            key = self._vault.keys.read_or_make()
        except (KeyUnusable, OSError) as error:
            raise VaultError(str(error)) from None
        if self._sealing is None or self._sealing.key_id != key.id.hex():
            self._sealing = Sealing(key, self._tenant)
        return self._sealing

    async def _push(
        self, snapshot: Snapshot, records: Mapping[str, Record], sealing: Sealing
    ) -> set[str]:
        """Tell what is newer here; the names that were told."""
        by = snapshot.store_id.hex()
        told = set()
        for name, value in snapshot.entries.items():
            own, there = snapshot.generations[name], _generation(records, name)
            agreed = self._agreed_with(name, there)
            if own > there and agreed in (None, there) and value.get("type") != _UNSHARED:
                sealed = sealing.sealed(name, own, value)
                await self._put(name, Record(own, by, sealing.key_id, sealed), there)
                told.add(name)
        for name, agreed in list(self._agreed.items()):
            record = records.get(name)
            if name in snapshot.entries or record is None or not record.sealed:
                continue
            if record.generation == agreed:  # it was removed here
                above = max(snapshot.generation, agreed + 1)
                await self._put(name, Record(above, by, sealing.key_id), agreed)
                told.add(name)
        return told

    async def _put(self, name: str, record: Record, expected: int) -> None:
        if await self._shared.put(name, record, expected=expected):
            self._agreed[name] = record.generation
            self._homes[name] = record.by

    def _newer(
        self, snapshot: Snapshot, records: Mapping[str, Record], sealing: Sealing
    ) -> Iterator[tuple[str, tuple[int, JsonObject | None]]]:
        """What is newer there; and what was changed here by who did not know that."""
        for name, record in records.items():
            own, there = snapshot.generations.get(name, 0), record.generation
            agreed = self._agreed_with(name, there)
            if agreed == there or (agreed is None and own > there):
                continue
            if not record.sealed:
                if name in snapshot.entries:
                    yield name, (there, None)
                else:
                    self._agreed[name] = there
                continue
            try:
                value = sealing.opened(name, there, record.sealed)
            except Unopened:
                self._tell_unopened(name, record, sealing)
                continue
            if own == there and value == snapshot.entries.get(name):
                self._agreed[name] = there
            else:
                yield name, (there, value)

    def _agreed_with(self, name: str, there: int) -> int | None:
        """When *name* was last the same here and there, where it is of the generation *there* now. That
        only grows: what is of an earlier one was forgotten, and told again by somebody else.
        """
        agreed = self._agreed.get(name)
        return agreed if agreed is not None and agreed <= there else None

    def _tell_unopened(self, name: str, record: Record, sealing: Sealing) -> None:
        """Say once that *record* does not open."""
        if record.sealed not in self._unopened:
            self._unopened.add(record.sealed)
            log.error(
                "an entry of another replica's vault does not open: all need the same vault key",
                entry=masked(name),
                key=record.key,
                ours=sealing.key_id,
            )


def _generation(records: Mapping[str, Record], name: str) -> int:
    record = records.get(name)
    return record.generation if record else 0
