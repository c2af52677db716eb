"""The vault's accounts through the management API: listed, added, changed, tested, put in order.

No secret ever comes back from here.
"""

import unicodedata
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Annotated, Any

import msgspec

from proxypal_core.accounts import oauth
from proxypal_core.accounts.profiles import is_profile_id, wishes
from proxypal_core.gateway import account_check
from proxypal_core.gateway.front import Call, Front
from proxypal_core.hub.failure import Failure, Kind, Refused, invalid
from proxypal_core.providers.catalog import find
from proxypal_core.providers.provider import Provider
from proxypal_core.settings.reading import did_you_mean
from proxypal_core.settings.schema import Settings
from proxypal_core.store import orders
from proxypal_core.store.vault_format import Snapshot
from proxypal_core.wire.jsonio import JsonObject

_Key = Annotated[str, msgspec.Meta(pattern=r"^[!-~]{1,16384}$", description="It is never told.")]


class NewAccount(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An API key of a provider. The account is called after ``name``, or ``email``."""

    provider: str
    key: _Key
    name: str = ""
    email: str = ""


class NewOrder(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Ids of accounts, the first to be asked first; accounts that it leaves out are not asked."""

    order: Annotated[tuple[str, ...], msgspec.Meta(min_length=1)]


# ── profiles ─────────────────────────────────────────────────────────────────────────────────


async def listed(front: Front, call: Call) -> Mapping[str, Any]:
    """Every profile of the vault. How the accounts do that they make is in the state."""
    profiles = await front.owner.profiles()
    return {"accounts": [_shown(front, name, profiles[name]) for name in profiles]}


def _shown(front: Front, name: str, profile: JsonObject) -> Mapping[str, Any]:
    """The fields of *profile* that hold no secret, each by its name."""
    return {
        "id": name,
        "provider": front.settings.provider_of(name),
        "type": str(profile.get("type", "")),
        "email": _text(profile, "email"),
        "created": _text(profile, "created"),
        "disabled": profile.get("disabled") is True,
        "expires": oauth.expires(profile) or None,
        "needs_login": bool(profile.get(oauth.NEEDS_LOGIN)),
        "unused": front.owner.hindrance(_without_vault(front.settings), name, profile),
    }


def _without_vault(settings: Settings) -> Settings:
    own = tuple(row for row in settings.accounts if row.id not in settings.kinds)
    return msgspec.structs.replace(settings, accounts=own)


def _text(profile: JsonObject, field: str) -> str:
    value = profile.get(field)
    return value if isinstance(value, str) else ""


async def add(front: Front, call: Call) -> Mapping[str, Any]:
    """Keep an API key in the vault.

    Raises:
        Refused: there is such an account already, or it could not be one.
    """
    new = call.as_(NewAccount)
    known = provider_called(front, new.provider)
    if known.login_only:
        raise invalid(
            f"{known.name} takes no keys, but its program's login: link it", param="provider"
        )
    profile: JsonObject = {
        "type": "api_key",
        "provider": known.name,
        "key": new.key,
        **({"email": new.email} if new.email else {}),
        **({"name": new.name} if new.name else {}),
        "created": created(front),
    }
    name = profile_id_of(known, new.name or new.email)

    def put(profiles: dict[str, JsonObject]) -> None:
        if name in profiles:
            raise _conflict(f"{name} is there already: remove it first, or give another name")
        profiles[name] = profile

    await front.owner.revise(_on_profiles(put))
    return _shown(front, name, profile)


async def replace(front: Front, name: str, profile: JsonObject) -> None:
    """Keep *profile* as *name*, in place of an older one of its type, of which its owner's wishes
    stay.

    Raises:
        Refused: there is one of another type.
    """

    def put(profiles: dict[str, JsonObject]) -> None:
        there = profiles.get(name, profile)
        if there.get("type") != profile["type"]:
            raise _conflict(
                f"{name} is there already, as {there.get('type')}: remove it first, or give another name"
            )
        profiles[name] = {**wishes(there), **profile}

    await front.owner.revise(_on_profiles(put))


async def remove(front: Front, call: Call) -> Mapping[str, Any]:
    """Forget an account of the vault."""
    name = await _changed(front, call, lambda _: None)
    return {"removed": name}


async def enable(front: Front, call: Call) -> Mapping[str, Any]:
    """Use an account of the vault again."""

    def switched_on(profile: JsonObject) -> JsonObject:
        return {field: value for field, value in profile.items() if field != "disabled"}

    return {"id": await _changed(front, call, switched_on), "disabled": False}


async def disable(front: Front, call: Call) -> Mapping[str, Any]:
    """Leave an account of the vault alone, without forgetting it."""
    name = await _changed(front, call, lambda profile: {**profile, "disabled": True})
    return {"id": name, "disabled": True}


async def _changed(
    front: Front, call: Call, change: Callable[[JsonObject], JsonObject | None]
) -> str:
    """Let *change* work on the profile of the path; None takes it out. Gives its id.

    Raises:
        Refused: the vault has none of that id.
    """
    name = call.at["id"]

    def on_profile(profiles: dict[str, JsonObject]) -> None:
        if name not in profiles:
            raise _not_there(front, name)
        after = change(profiles[name])
        if after is None:
            del profiles[name]
        else:
            profiles[name] = after

    if name not in await front.owner.profiles():  # before a vault is made for nothing
        raise _not_there(front, name)
    await front.owner.revise(_on_profiles(on_profile))
    return name


def _not_there(front: Front, name: str) -> Refused:
    if any(account.id == name for account in front.services.pool.accounts):
        return _conflict(f"{name} is not in the vault: change it in the settings")
    return Refused(Failure(Kind.NO_ROUTE, f"there is no account {name!r}; see /api/accounts"))


# ── accounts that run ────────────────────────────────────────────────────────────────────────


async def test(front: Front, call: Call) -> Mapping[str, Any]:
    """Ask a model of the account for a few words.

    Raises:
        Refused: there is no such account.
    """
    name = call.at["id"]
    for account in front.services.pool.accounts:
        if account.id == name:
            found = await account_check.tried(front, account, call.request)
            return msgspec.structs.asdict(found)
    raise Refused(Failure(Kind.NO_ROUTE, f"there is no account {name!r}; see /api/state"))


# ── the order ────────────────────────────────────────────────────────────────────────────────


async def order(front: Front, call: Call) -> Mapping[str, Any]:
    """The order of a provider's accounts; null when they take turns."""
    name = provider_called(front, call.at["provider"]).name
    own = front.settings.routing.order.get(name)
    return {"provider": name, "order": None if own is None else list(own)}


async def set_order(front: Front, call: Call) -> Mapping[str, Any]:
    """Have a provider's accounts asked in an order, and no others.

    Raises:
        Refused: an id is none of them, or the settings have an order.
    """
    name = provider_called(front, call.at["provider"]).name
    wanted = call.as_(NewOrder).order
    known = {account.id for account in front.services.pool.accounts if account.provider == name}
    known |= {
        one for one in await front.owner.profiles() if front.settings.provider_of(one) == name
    }
    for one in wanted:
        if one not in known or wanted.count(one) > 1:
            raise invalid(
                f"{one!r} is no account of {name}, or stands there twice; see /api/accounts",
                param="order",
            )
    await _revise_order(front, name, wanted)
    return {"provider": name, "order": list(wanted)}


async def clear_order(front: Front, call: Call) -> Mapping[str, Any]:
    """Let a provider's accounts take turns again.

    Raises:
        Refused: the order is the settings'.
    """
    name = provider_called(front, call.at["provider"]).name
    await _revise_order(front, name, None)
    return {"provider": name, "order": None}


async def _revise_order(front: Front, provider: str, ids: tuple[str, ...] | None) -> None:
    if (await front.owner.settings()).routing.order.get(provider):
        raise _conflict(f"the settings have an order for {provider}: change routing.order there")
    await front.owner.revise(lambda now: orders.with_order(now, provider, ids))


# ── what they share ──────────────────────────────────────────────────────────────────────────


def provider_called(front: Front, word: str) -> Provider:
    """The provider of that name or alias.

    Raises:
        Refused: there is none.
    """
    known = find(front.settings.catalog, word)
    if known is None:
        hint = (
            did_you_mean(word, front.settings.catalog) or "add it under providers in the settings"
        )
        told = f"there is no provider called {word!r}; {hint}"
        raise Refused(Failure(Kind.NO_ROUTE, told, param="provider"))
    return known


def profile_id_of(provider: Provider, name: str) -> str:
    """``provider:name`` for a new profile.

    Raises:
        Refused: *name* is none.
    """
    found = unicodedata.normalize("NFC", f"{provider.name}:{name or 'default'}")
    if not is_profile_id(found):
        raise invalid(
            "name: must have at most 254 characters, all printable, and no / or \\", param="name"
        )
    return found


def created(front: Front) -> str:
    return datetime.fromtimestamp(front.services.clock(), UTC).isoformat(timespec="seconds")


def _on_profiles(change: Callable[[dict[str, JsonObject]], None]) -> Callable[[Snapshot], Snapshot]:
    def changed(now: Snapshot) -> Snapshot:
        profiles = dict(now.profiles)
        change(profiles)
        return msgspec.structs.replace(now, profiles=profiles)

    return changed


def _conflict(message: str) -> Refused:
    return Refused(Failure(Kind.CONFLICT, message))
