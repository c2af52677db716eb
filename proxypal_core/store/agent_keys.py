"""The client keys that were made for agents: in the vault's bookkeeping, since they are handed to
the agent again at its next start. Of any other client key only the hash is kept.
"""

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from proxypal_core.accounts.client_keys import ClientKey
from proxypal_core.store import client_keys
from proxypal_core.store.vault_format import Snapshot

_ENTRY = "agent_keys"


def kept(now: Snapshot, agent: str, digest: Callable[[str], bytes]) -> str:
    """The key of *agent*, if one is kept and still opens; *digest* is that of client keys."""
    text = str(_texts(now).get(agent, ""))
    opens = {key.name: key.digest for key in client_keys.kept(now.bookkeeping)}
    return text if text and opens.get(agent) == digest(text) else ""


def with_key(now: Snapshot, key: ClientKey, text: str) -> Snapshot:
    """*now* and *key*, which is *text*, for the agent of its name.

    Raises:
        Taken: there is a client key of that name.
    """
    added = client_keys.with_key(now, key)
    bookkeeping = {**added.bookkeeping, _ENTRY: {**_texts(now), key.name: text}}
    return msgspec.structs.replace(added, bookkeeping=bookkeeping)


def _texts(now: Snapshot) -> Mapping[str, Any]:
    rows = now.bookkeeping.get(_ENTRY)
    return rows if isinstance(rows, dict) else {}
