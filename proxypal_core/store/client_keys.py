"""Client keys that are made here: in the vault's bookkeeping, of each its SHA-256 alone.

The vault and not ``state.db``, though there is nothing secret in a hash: losing ``state.db`` must
never hurt, and a proxy that forgot its keys would be open to everybody.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from proxypal_core.accounts import client_keys
from proxypal_core.accounts.client_keys import ClientKey
from proxypal_core.store.vault_format import Snapshot

_ENTRY = "client_keys"


class Taken(Exception):
    """There is a key of that name already."""


class Unknown(Exception):
    """There is no key of that name."""


def kept(bookkeeping: Mapping[str, Any]) -> Sequence[ClientKey]:
    """The keys in *bookkeeping*, the vault's."""
    return [client_keys.restored(name, row) for name, row in _rows(bookkeeping).items()]


def with_key(now: Snapshot, key: ClientKey) -> Snapshot:
    """*now* and *key*.

    Raises:
        Taken: it has one of the same name.
    """
    rows = _rows(now.bookkeeping)
    if key.name in rows:
        raise Taken(f"there is a client key {key.name!r} already; revoke it first")
    return _with_rows(now, {**rows, key.name: client_keys.stored(key)})


def without_key(now: Snapshot, name: str) -> Snapshot:
    """*now* without the key *name*.

    Raises:
        Unknown: it has none.
    """
    rows = _rows(now.bookkeeping)
    if name not in rows:
        raise Unknown(f"there is no client key {name!r} in the vault")
    return _with_rows(now, {other: row for other, row in rows.items() if other != name})


def _rows(bookkeeping: Mapping[str, Any]) -> Mapping[str, Any]:
    rows = bookkeeping.get(_ENTRY)
    return rows if isinstance(rows, dict) else {}


def _with_rows(now: Snapshot, rows: Mapping[str, Any]) -> Snapshot:
    bookkeeping = {**now.bookkeeping, _ENTRY: rows}
    return msgspec.structs.replace(now, bookkeeping=bookkeeping)
