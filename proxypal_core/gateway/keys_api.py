"""Client keys through the management API: listed, created and revoked."""

from collections.abc import Mapping
from typing import Any

import msgspec

from proxypal_core.accounts.client_keys import ClientKey
from proxypal_core.gateway.front import Call, Front
from proxypal_core.gateway.new_keys import PREFIX, NewKey, described, made
from proxypal_core.hub.failure import Failure, Kind, Refused
from proxypal_core.store import client_keys


async def listed(front: Front, call: Call) -> Mapping[str, Any]:
    """Every client key, without what opens."""
    return {"keys": [_shown(front, key) for key in front.keyring.keys]}


async def create(front: Front, call: Call) -> Mapping[str, Any]:
    """Make a key. Only this answer ever holds it.

    Raises:
        Refused: there is one of that name, or the date cannot be read.
    """
    new = call.as_(NewKey)
    if any(key.name == new.name for key in front.keyring.keys):
        raise _conflict(f"there is a client key {new.name!r} already; revoke it first")
    text = PREFIX + front.token()
    key = made(new, text, front.services.clock())
    try:
        await front.owner.revise(lambda now: client_keys.with_key(now, key))
    except client_keys.Taken as taken:
        raise _conflict(str(taken)) from None
    return {"name": key.name, "key": text}


async def revoke(front: Front, call: Call) -> Mapping[str, Any]:
    """Forget the key of the path. ``open``: none is left, so that all may come.

    Raises:
        Refused: there is none, or it is the settings'.
    """
    name = call.at["name"]
    found = next((key for key in front.keyring.keys if key.name == name), None)
    if found is not None and not found.created:
        raise _conflict(f"the client key {name!r} is in the settings: take it out there")
    try:
        await front.owner.revise(lambda now: client_keys.without_key(now, name))
    except client_keys.Unknown as unknown:
        raise Refused(Failure(Kind.NO_ROUTE, str(unknown))) from None
    left = [key for key in front.keyring.keys if key.guards and key.name != name]
    return {"revoked": name, "open": not left}


def _shown(front: Front, key: ClientKey) -> Mapping[str, Any]:
    ledger = front.keyring.ledger
    return {
        **described(key, front.services.clock()),
        "spent_usd": ledger.spent(key),
        "quotas": msgspec.to_builtins(ledger.quotas(key)),
    }


def _conflict(message: str) -> Refused:
    return Refused(Failure(Kind.CONFLICT, message))
