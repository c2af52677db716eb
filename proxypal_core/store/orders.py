"""In which order a provider's accounts are asked: in the vault's bookkeeping, by the provider."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from proxypal_core.store.vault_format import Snapshot

_ENTRY = "order"


def kept(bookkeeping: Mapping[str, Any]) -> Mapping[str, tuple[str, ...]]:
    """The ids of accounts by provider."""
    found = bookkeeping.get(_ENTRY)
    rows = found.items() if isinstance(found, dict) else ()
    return {name: tuple(map(str, ids)) for name, ids in rows if isinstance(ids, list)}


def with_order(now: Snapshot, provider: str, ids: Sequence[str] | None) -> Snapshot:
    """*now* with *ids* as the order of *provider*, or without one for None."""
    rows = {**kept(now.bookkeeping), provider: ids}
    order = {name: list(ids) for name, ids in rows.items() if ids is not None}
    return msgspec.structs.replace(now, bookkeeping={**now.bookkeeping, _ENTRY: order})
