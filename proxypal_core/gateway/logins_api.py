"""Logins through the management API: begun here, finished by a person in a browser anywhere.

``browser`` goes by a loopback address of this machine, or by the address that the person's browser
ends at, pasted; ``device`` by a code that the person enters on the provider's page.
"""

from collections.abc import Mapping
from typing import Any, Literal

import msgspec

from proxypal_core.accounts import oauth as protocol
from proxypal_core.accounts.oauth import Grant, LoginRefused
from proxypal_core.gateway.accounts_api import created, profile_id_of, provider_called, replace
from proxypal_core.gateway.front import Call, Front
from proxypal_core.hub.failure import Failure, Kind, Refused, invalid
from proxypal_core.providers.provider import OAuth, Provider
from proxypal_core.upstream.logins import Login

_ADDRESS: Mapping[str, str] = {"browser": "authorize_url", "device": "device_url"}
"""What an OAuth client must have for each flow."""


class NewLogin(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The account is called after ``name``; without one, after its e-mail."""

    provider: str
    flow: Literal["browser", "device"] = "browser"
    name: str = ""


class Redirect(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The address that the person's browser ended at."""

    redirect: str


async def begin(front: Front, call: Call) -> Mapping[str, Any]:
    """Begin a login: where the person goes, and what is entered there.

    Raises:
        Refused: the provider offers no such login, or cannot be asked.
    """
    new = call.as_(NewLogin)
    provider = provider_called(front, new.provider)
    profile_id_of(provider, new.name)  # a wrong name is told before a person logs in
    client = _client(provider, new.flow)
    await front.owner.snapshot()  # so is a vault that cannot be read

    async def keep(grant: Grant) -> str:
        return await _kept(front, provider, grant, new.name)

    login = await front.logins.begin(client, keep, device=new.flow == "device")
    if login.state == "failed":
        raise _conflict(login.message)
    return _shown(login)


async def progress(front: Front, call: Call) -> Mapping[str, Any]:
    """How far a login is."""
    return _shown(_found(front, call))


async def paste(front: Front, call: Call) -> Mapping[str, Any]:
    """Go on with the address that the person's browser ended at.

    Raises:
        Refused: it is not this login's, or the provider says no.
    """
    login = _found(front, call)
    try:
        login.paste(call.as_(Redirect).redirect.strip())
    except LoginRefused as refused:
        raise invalid(str(refused), param="redirect") from None
    return _shown(login)


def _found(front: Front, call: Call) -> Login:
    login = front.logins.find(call.at["id"])
    if login is None:
        raise Refused(Failure(Kind.NO_ROUTE, "there is no such login; begin another"))
    return login


def _shown(login: Login) -> Mapping[str, Any]:
    return {
        "id": login.id,
        "state": login.state,
        "url": login.url,
        "user_code": login.user_code or None,
        "account": login.account or None,
        "message": login.message,
    }


def _client(provider: Provider, flow: str) -> OAuth:
    client = provider.oauth
    if client is None:
        raise _conflict(
            f"{provider.name} offers no login to other programs that proxypal knows of: use a key, or"
            " name an OAuth client of your own under providers[].oauth in the settings"
        )
    if not getattr(client, _ADDRESS[flow]):
        other = next(name for name in _ADDRESS if name != flow)
        raise _conflict(f"{provider.name} has no login by {flow}; try {other}")
    return client


async def _kept(front: Front, provider: Provider, grant: Grant, name: str) -> str:
    """Put what a login gave into the vault, in place of an older login of the same name.

    Raises:
        LoginRefused: it cannot be put there.
    """
    profile = protocol.profile_of(provider.name, grant, front.services.clock())
    email = profile.get("email")
    profile["created"] = created(front)
    try:
        profile_id = profile_id_of(provider, name or (email if isinstance(email, str) else ""))
        await replace(front, profile_id, profile)
    except Refused as refused:
        raise LoginRefused("kept", refused.failure.message) from None
    return profile_id


def _conflict(message: str) -> Refused:
    return Refused(Failure(Kind.CONFLICT, message))
