"""Client keys through the management API: listed, created and revoked."""

from collections.abc import Mapping
from typing import Annotated, Any

import msgspec

from proxypal_core.accounts.client_keys import ClientKey
from proxypal_core.gateway import access
from proxypal_core.gateway.front import Call, Front
from proxypal_core.hub.failure import Failure, Kind, Refused, invalid
from proxypal_core.store import client_keys

PREFIX = "pp-"
"""What the keys that are made here begin with, so that one is known where it should not be."""

_Count = Annotated[int, msgspec.Meta(ge=0)]


class NewKey(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A limit of 0 is none; ``expires`` is a date (2027-01-31) or a time, empty for never."""

    name: Annotated[str, msgspec.Meta(pattern=r"^[^\s/\\]{1,64}$")]
    models: tuple[str, ...] = ()
    requests_per_minute: _Count = 0
    tokens_per_minute: _Count = 0
    budget_usd: Annotated[float, msgspec.Meta(ge=0)] = 0.0
    expires: str = ""


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


def made(new: NewKey, text: str, now: float) -> ClientKey:
    """The key that *new* asks for, which is *text*.

    Raises:
        Refused: its date cannot be read, or is over.
    """
    try:
        expires = access.expiry(new.expires)
    except ValueError:
        raise invalid("must be a date such as 2027-01-31", param="expires") from None
    if expires and expires <= now:
        raise invalid("this date is over; give one to come", param="expires")
    return ClientKey(
        name=new.name,
        digest=access.digest(text),
        models=new.models,
        requests_per_minute=new.requests_per_minute,
        tokens_per_minute=new.tokens_per_minute,
        budget_usd=new.budget_usd,
        expires=expires,
        created=now,
    )


def _shown(front: Front, key: ClientKey) -> Mapping[str, Any]:
    ledger = front.keyring.ledger
    return {
        **described(key, front.services.clock()),
        "spent_usd": ledger.spent(key),
        "quotas": msgspec.to_builtins(ledger.quotas(key)),
    }


def described(key: ClientKey, now: float) -> Mapping[str, Any]:
    """*key* as a row of a list. Times are Unix seconds; None for never."""
    return {
        "name": key.name,
        "source": "vault" if key.created else "settings",
        "models": list(key.models),
        "requests_per_minute": key.requests_per_minute,
        "tokens_per_minute": key.tokens_per_minute,
        "budget_usd": key.budget_usd,
        "expires": key.expires or None,
        "expired": bool(key.expires) and now >= key.expires,
        "created": key.created or None,
    }


def _conflict(message: str) -> Refused:
    return Refused(Failure(Kind.CONFLICT, message))
