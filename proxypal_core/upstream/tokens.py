"""What to send for an account now, whatever kind of credential it has."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import NoReturn

import structlog

from proxypal_core.accounts import oauth
from proxypal_core.accounts.account import Account, Secret, masked
from proxypal_core.accounts.oauth import NEEDS_LOGIN, Grant, LoginRefused
from proxypal_core.accounts.profiles import secret
from proxypal_core.hub.failure import Failure, Kind, Refused
from proxypal_core.providers.provider import Provider
from proxypal_core.upstream.asking import Impossible, NotNow, Rests, Shared
from proxypal_core.upstream.linked import Links, Unusable
from proxypal_core.upstream.refresh import (
    Claim,
    Profiles,
    Refresher,
    login_command,
    of_this_machine,
)
from proxypal_core.upstream.token_endpoint import Post
from proxypal_core.upstream.transport import Broken
from proxypal_core.wire.jsonio import JsonObject

POLL = 30.0
"""Seconds between two looks at what should be refreshed."""
LOOK = 1.0
"""Seconds between two looks at whether somebody mended what could not be used."""

log = structlog.get_logger(__name__)


class Tokens:
    """*post* asks token endpoints, *links* reads vendors' own files, *chance* is a random number from
    0 to 1.
    """

    def __init__(  # noqa: PLR0913 — the clock, chance and sleep are three of them
        self,
        profiles: Profiles,
        providers: Mapping[str, Provider],
        post: Post,
        links: Links,
        *,
        clock: Callable[[], float],
        chance: Callable[[], float],
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        claim: Claim = of_this_machine,
    ) -> None:
        self._refresher = Refresher(
            profiles, providers, post, clock=clock, chance=chance, claim=claim
        )
        self._signer = _Signer(post, clock)
        self._links = links
        self._clock = clock
        self._sleep = sleep
        self._told: dict[str, str] = {}
        self._refused: dict[str, str] = {}
        """The login of each account that was refused, or that gave nothing to send."""

    def use(self, providers: Mapping[str, Provider], post: Post) -> None:
        """Go by *providers*, their OAuth clients and *post* from now on, and look at the vault anew."""
        self._refresher.use(providers, post)
        self._signer.use(post)

    async def credential(self, account: Account) -> Secret:
        """What to send for *account* now.

        Raises:
            Refused: ``AUTH``: there is nothing; the message names the command that repairs it.
                ``OVERLOADED``: there may be something later.
        """
        if account.kind == "api_key":
            return account.secret
        try:
            token = await self._token(account)
        except NotNow as error:
            raise self._later(account.id, error) from None
        except Impossible as error:
            await self._note(account.id)
            self._refuse(account.id, str(error))
        self._told.pop(account.id, None)
        return Secret(token)

    async def renew(self, account: Account, stale: Secret) -> bool:
        """Whether there is another credential than *stale*, which was refused; one that can be
        refreshed is, once for all who ask.

        Raises:
            Refused: ``OVERLOADED``: there may be another one later.
        """
        if account.kind == "api_key":
            return False
        try:
            return await self._other(account.id, stale.reveal()) != stale.reveal()
        except NotNow as error:
            raise self._later(account.id, error) from None
        except Impossible as error:
            self._tell(account.id, str(error))
            return False
        finally:
            await self._note(account.id)  # what is had by now may be refused as well

    async def run(self, mended: Callable[[str], object]) -> None:
        """Refresh ahead of expiry, for ever; it does not matter whether an account is resting. Call
        *mended* with the name of an account whose login was refused and is another now.
        """
        while True:
            await self._refresher.refresh_due(self._tell)
            for _ in range(round(POLL / LOOK)):
                await self._look_again(mended)
                await self._sleep(LOOK)

    # ── what was refused ─────────────────────────────────────────────────────────────────────

    async def _note(self, name: str) -> None:
        self._refused[name] = await self._login_of(name) or ""

    async def _look_again(self, mended: Callable[[str], object]) -> None:
        for name, refused in list(self._refused.items()):
            login = await self._login_of(name)
            if login is None:
                del self._refused[name]
            elif login not in ("", refused):
                del self._refused[name]
                mended(name)
                log.info("account has another login", account=masked(name))

    async def _login_of(self, name: str) -> str | None:
        """What the account *name* goes by at present, such as a refresh token; empty where that is
        of no use, None where there is no such account.
        """
        try:
            profile = await self._refresher.profile(name)
            if profile is None:
                return None
            if profile.get(NEEDS_LOGIN):
                return ""
            if profile.get("type") == "linked":
                return await self._linked(profile, again=False)
        except Impossible:
            return ""
        return secret(profile).reveal()

    # ── each kind ────────────────────────────────────────────────────────────────────────────

    async def _token(self, account: Account) -> str:
        name = account.id
        profile = await self._refresher.profile(name)
        if profile is None:
            return _or_impossible(account.secret.reveal(), "it is no longer in the vault")
        try:
            return await self._of(name, profile)
        except Impossible:
            now = await self._refresher.reread(name)
            if now is None or now == profile:
                raise
            return await self._of(name, now)  # somebody repaired it meanwhile

    async def _other(self, name: str, stale: str) -> str:
        profile = await self._refresher.profile(name)
        match (profile or {}).get("type"):
            case "oauth":
                return await self._refresher.other(name, stale)
            case "linked" | "service_account" if profile is not None:
                return await self._of(name, profile, stale)
            case _:
                now = await self._refresher.reread(name)
                return stale if now is None else await self._of(name, now)

    async def _of(self, name: str, profile: JsonObject, stale: str = "") -> str:
        """The token of *profile*, called *name*, that can be sent now."""
        match profile.get("type"):
            case "oauth":
                return await self._refresher.token(name, profile)
            case "linked":
                return await self._linked(profile, again=bool(stale))
            case "service_account":
                return await self._signer.token(name, profile, stale)
            case "token":
                ends = oauth.expires(profile)
                again = login_command(name, "paste-token")
                if ends and ends <= self._clock():
                    raise Impossible(f"its token has expired; paste a new one: {again}")
                return _or_impossible(str(profile.get("token") or ""), f"it has no token: {again}")
            case kind:
                raise Impossible(f"this version does nothing with type {kind!r}")

    async def _linked(self, profile: JsonObject, *, again: bool) -> str:
        try:
            return (await self._links.login(profile, again=again)).access
        except Unusable as error:
            raise Impossible(str(error)) from None

    def _later(self, name: str, error: NotNow) -> Refused:
        self._tell(name, str(error))
        return Refused(
            Failure(
                Kind.OVERLOADED,
                f"{masked(name)}: {error}",
                retry_after=error.seconds or None,
                scope="account",
            )
        )

    def _refuse(self, name: str, why: str) -> NoReturn:
        self._tell(name, why)
        raise Refused(Failure(Kind.AUTH, f"{masked(name)}: {why}")) from None

    def _tell(self, name: str, why: str) -> None:
        """Say once what keeps *name* from being used."""
        if self._told.get(name) != why:
            self._told[name] = why
            log.warning("account cannot be used", account=masked(name), reason=why)


class _Signer:
    """Tokens of service accounts. They are never kept: a new one costs one question."""

    def __init__(self, post: Post, clock: Callable[[], float]) -> None:
        self._post = post
        self._clock = clock
        self._made: dict[str, Grant] = {}
        self._shared = Shared()
        self._rests = Rests(clock)

    def use(self, post: Post) -> None:
        self._post = post

    async def token(self, name: str, profile: JsonObject, stale: str) -> str:
        async def make() -> None:
            self._made[name] = await self._signed_for(name, profile)

        if not self._usable(name, stale):
            await self._shared.run(name, make)
        return self._usable(name, stale) or stale

    def _usable(self, name: str, stale: str) -> str:
        grant = self._made.get(name, Grant())
        lasts = not grant.expires or grant.expires - self._clock() > oauth.MARGIN
        return grant.access if lasts and grant.access != stale else ""

    async def _signed_for(self, name: str, profile: JsonObject) -> Grant:
        from proxypal_core.accounts import service_account  # noqa: PLC0415 — 7 MB of cryptography

        self._rests.check(name)
        try:
            form = await asyncio.to_thread(service_account.form, profile, self._clock())
            own = str(profile.get("proxy") or "")
            body = await self._post(service_account.token_uri(profile), form, own)
            grant = oauth.read_grant(body, self._clock(), form)
        except Broken as broken:
            raise self._rests.failed(name, broken.failure.message) from None
        except LoginRefused as refused:
            raise Impossible(
                f"{refused}; put its key file in again: proxypal auth import FILE"
            ) from None
        self._rests.over(name)
        return grant


def _or_impossible(token: str, otherwise: str) -> str:
    if token:
        return token
    raise Impossible(otherwise)
