"""Client keys as they are asked for and listed, over HTTP and at the command line alike."""

from collections.abc import Mapping
from typing import Annotated, Any

import msgspec

from proxypal_core.accounts.client_keys import ClientKey
from proxypal_core.gateway import access
from proxypal_core.hub.failure import invalid

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


def made(new: NewKey, text: str, now: float) -> ClientKey:
    """The key that *new* asks for, which is *text*.

    Raises:
        Refused: its date cannot be read, or is over.
    """
    try:
        expires = access.expiry(new.expires)
    except ValueError:
        raise invalid("expires: must be a date such as 2027-01-31", param="expires") from None
    if expires and expires <= now:
        raise invalid("expires: this date is over; give one to come", param="expires")
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
