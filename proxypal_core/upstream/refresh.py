"""Logins that renew themselves: one refresh at a time, on the disk before it is used.

A refresh token may be good for one use only, and using it twice can end the login. So an account is
refreshed by one task of one process at a time: in a process the tasks share one attempt, between
processes there is a lock, and whoever gets it looks first whether the work is done.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import (
    AbstractAsyncContextManager,
    AbstractContextManager,
    asynccontextmanager,
    nullcontext,
)
from typing import NamedTuple, Protocol, TypeAlias

import msgspec
import structlog

from proxypal_core.accounts import oauth
from proxypal_core.accounts.account import masked
from proxypal_core.accounts.oauth import NEEDS_LOGIN, Grant, LoginRefused
from proxypal_core.hub.failure import Kind
from proxypal_core.providers.provider import Provider
from proxypal_core.upstream.asking import Impossible, NotNow, Rests, Shared, seen
from proxypal_core.upstream.token_endpoint import Post
from proxypal_core.upstream.transport import Broken
from proxypal_core.wire.jsonio import JsonObject

_JUST_MADE = 30.0
"""A token that is refused at this age, in seconds, was not refused for its age."""
_FINAL = ("invalid_grant", "invalid_client", "unauthorized_client", "invalid_scope")

log = structlog.get_logger(__name__)


class Profiles(Protocol):
    """The vault, as logins need it. Its methods block, and may be called in any thread."""

    def read(self) -> Mapping[str, JsonObject]:
        """The profiles as they are now.

        Raises:
            OSError: they cannot be read.
        """
        ...

    def replace(self, profile_id: str, old: JsonObject, new: JsonObject) -> bool:
        """Put *new* in place of *old*, for good; False when *old* is not what is there.

        Raises:
            OSError: it could not be written.
        """
        ...

    def lock(self, profile_id: str) -> AbstractContextManager[None]:
        """Held by one at a time, of all processes."""
        ...


Claim: TypeAlias = Callable[[str], AbstractAsyncContextManager[object]]
"""Makes a profile ours alone among several machines, and as new as it is on any of them; at its end
they have it as it is here. Raises Impossible where that cannot be had."""


def of_this_machine(name: str) -> AbstractAsyncContextManager[object]:
    return nullcontext()


class Refresher:
    """The profiles of type ``oauth``, and their tokens. *chance* is a random number from 0 to 1."""

    def __init__(
        self,
        profiles: Profiles,
        providers: Mapping[str, Provider],
        post: Post,
        *,
        clock: Callable[[], float],
        chance: Callable[[], float],
        claim: Claim = of_this_machine,
    ) -> None:
        self._claim = claim
        self._profiles = profiles
        self._providers = providers
        self._post = post
        self._clock = clock
        self._chance = chance
        self._known: dict[str, JsonObject] = {}
        self._shared = Shared()
        self._rests = Rests(clock)
        self._due: dict[str, tuple[str, float]] = {}
        self._unsaved: dict[str, _Renewed] = {}

    def use(self, providers: Mapping[str, Provider], post: Post) -> None:
        """Go by *providers*, and their OAuth clients, from now on, and look at the vault anew."""
        self._providers = providers
        self._post = post
        self._known = {name: self._known[name] for name in self._unsaved}

    # ── what is known ────────────────────────────────────────────────────────────────────────

    async def profile(self, name: str) -> JsonObject | None:
        """The profile called *name* as it was when last looked at."""
        return self._known.get(name) or await self.reread(name)

    async def reread(self, name: str) -> JsonObject | None:
        """The profile called *name* as it is now.

        Raises:
            Impossible: the vault cannot be read.
        """
        if name in self._unsaved:
            return self._known[name]
        try:
            profile = (await asyncio.to_thread(self._profiles.read)).get(name)
        except OSError as error:
            raise NotNow(f"the vault cannot be read: {error}") from None
        if profile is None:
            self._known.pop(name, None)
        else:
            self._known[name] = profile
        return profile

    # ── one login ────────────────────────────────────────────────────────────────────────────

    async def token(self, name: str, profile: JsonObject) -> str:
        """The access token of *profile*, called *name*, refreshed when it is about to end. While
        that fails, the old one is good for as long as it lasts.

        Raises:
            Impossible: there is none.
        """
        if self._serves(profile, ""):
            return str(profile["access"])
        try:
            return await self.other(name, "")
        except Impossible:
            if oauth.expires(profile) > self._clock() and not profile.get(NEEDS_LOGIN):
                return str(profile["access"])
            raise

    async def other(self, name: str, stale: str) -> str:
        """A fresh access token of *name*, other than *stale*.

        Raises:
            Impossible: there is none.
        """
        while True:
            mine = await self._shared.run(name, lambda: self._renew(name, stale))
            profile = self._known.get(name)
            if mine or self._serves(profile, stale):
                break
        if profile is None or not self._serves(profile, stale):
            raise Impossible("its login changed just now, and does not serve any more")
        return str(profile["access"])

    def _serves(self, profile: JsonObject | None, stale: str) -> bool:
        return (
            profile is not None
            and not profile.get(NEEDS_LOGIN)
            and profile.get("access") not in (None, "", stale)
            and oauth.is_fresh(profile, self._clock())
        )

    async def _renew(self, name: str, stale: str) -> None:
        """Have a fresh token of *name* that is not *stale*: somebody else's, or a new one."""
        if self._serves(await self.reread(name), stale):
            return
        self._rests.check(name)
        async with self._claim(name), _held(self._profiles.lock(name)):
            profile = await self.reread(name)
            if profile is None:
                raise Impossible("it is no longer in the vault")
            if not self._serves(profile, stale):
                self._check_age(profile, stale)
                await self._refresh(name, profile)

    def _check_age(self, profile: JsonObject, stale: str) -> None:
        issued = profile.get("issued")
        age = self._clock() - issued / 1000 if isinstance(issued, (int, float)) else _JUST_MADE
        if stale and 0 <= age < _JUST_MADE:
            raise Impossible("the provider refuses a token that it gave a moment ago")

    async def _refresh(self, name: str, profile: JsonObject) -> None:
        """Have *profile* renewed by its provider and written. The lock of *name* is held."""
        if profile.get(NEEDS_LOGIN):
            raise Impossible(f"{profile[NEEDS_LOGIN]}; log in again: {login_command(name)}")
        if not profile.get("refresh"):
            raise Impossible(f"its login cannot be renewed; log in: {login_command(name)}")
        try:
            grant = await self._ask(name, profile)
        except Broken as broken:
            raise self._rests.failed(name, broken.failure.message) from None
        except LoginRefused as refused:
            if refused.error not in _FINAL:
                raise self._rests.failed(name, str(refused)) from None
            await self._refused(name, profile, str(refused))
        else:
            kept = msgspec.structs.replace(grant, refresh=grant.refresh or profile["refresh"])
            unsaved = self._unsaved.pop(name, None)
            there = unsaved.old if unsaved else profile
            await self._keep(name, _Renewed(there, kept, self._clock()))

    async def _ask(self, name: str, profile: JsonObject) -> Grant:
        provider = self._providers.get(str(profile.get("provider")))
        if provider is None or provider.oauth is None:
            raise Impossible(
                f"no OAuth client for {profile.get('provider')} is known; name one under"
                " providers[].oauth in the settings"
            )
        url = provider.oauth.token_url
        form = oauth.refresh_form(provider.oauth, str(profile["refresh"]))
        own = str(profile.get("proxy") or "")
        try:
            body = await self._post(url, form, own)
        except Broken as broken:
            if broken.failure.kind in (Kind.UNREACHABLE, Kind.OVERLOADED):
                raise
            # The answer was lost, and perhaps the new pair with it. Some servers give it again.
            log.warning("refresh unanswered, asked once more", account=masked(name))
            body = await self._post(url, form, own)
        return oauth.read_grant(body, self._clock(), form)

    async def _refused(self, name: str, profile: JsonObject, why: str) -> None:
        """The refresh token of *profile* is no good: take what somebody else wrote meanwhile who
        does not know our lock, else note in the vault that only a person can go on.
        """
        now = await self.reread(name)
        if now is not None and now.get("refresh") != profile.get("refresh"):
            if not self._serves(now, ""):
                await self._refresh(name, now)
            return
        marked = {**profile, NEEDS_LOGIN: why}
        self._known[name] = marked
        try:
            await asyncio.to_thread(self._profiles.replace, name, profile, marked)
        except OSError as error:
            log.warning("the vault cannot be written", account=masked(name), reason=str(error))
        raise Impossible(f"{why}; log in again: {login_command(name)}")

    async def _keep(self, name: str, renewed: "_Renewed") -> None:
        """Write what was *renewed*, then use it."""
        try:
            new = await self._written(name, renewed)
        except OSError as error:
            # The old refresh token may be spent: what is in memory is all that there is.
            log.warning(
                "a renewed login cannot be written", account=masked(name), reason=str(error)
            )
            self._unsaved[name] = renewed
            new = renewed.into(renewed.old)
        if new is None:
            log.info("a login was changed while it was renewed", account=masked(name))
            await self.reread(name)
        else:
            self._known[name] = new
            self._rests.over(name)
            log.info("login renewed", account=masked(name))

    async def _written(self, name: str, renewed: "_Renewed") -> JsonObject | None:
        """The profile as it is in the vault now, with what was *renewed*; None when there is another
        login by now. Other fields, such as ``disabled``, may have been changed meanwhile.

        Raises:
            OSError: it could not be written.
        """
        there = renewed.old
        while True:
            new = renewed.into(there)
            if await asyncio.to_thread(self._profiles.replace, name, there, new):
                return new
            found = (await asyncio.to_thread(self._profiles.read)).get(name)
            if found is None or found.get("refresh") != renewed.old.get("refresh"):
                return None
            there = found

    # ── ahead of expiry ──────────────────────────────────────────────────────────────────────

    async def refresh_due(self, tell: Callable[[str, str], None]) -> None:
        """Refresh what should be by now; *tell* is called with the name of what cannot, and why."""
        await self._save()
        try:
            profiles = await asyncio.to_thread(self._profiles.read)
        except OSError as error:
            log.warning("the vault cannot be read", reason=str(error))
            return
        due = [name for name, profile in profiles.items() if self._is_due(name, profile)]
        done = await asyncio.gather(
            *(self._ahead(name, str(profiles[name]["access"])) for name in due)
        )
        for name, why in zip(due, done, strict=True):
            if why:
                tell(name, why)

    def _is_due(self, name: str, profile: JsonObject) -> bool:
        """Whether *profile* should be refreshed now. The moment is drawn once for each token."""
        if profile.get("type") != "oauth" or profile.get(NEEDS_LOGIN) or name in self._unsaved:
            return False
        if not (profile.get("access") and profile.get("refresh") and oauth.expires(profile)):
            return False
        access = str(profile["access"])
        drawn = self._due.get(name)
        if drawn is None or drawn[0] != access:
            drawn = self._due[name] = (access, oauth.due(profile, self._chance()))
        return drawn[1] <= self._clock()

    async def _ahead(self, name: str, access: str) -> str:
        """Replace *access*, which is still good. Gives why that cannot be done, or nothing."""

        async def renew() -> None:
            self._rests.check(name)
            async with self._claim(name), _held(self._profiles.lock(name)):
                profile = await self.reread(name)
                if profile is not None and profile.get("access") == access:
                    await self._refresh(name, profile)

        try:
            await self._shared.run(name, renew)
        except Impossible as error:
            return str(error)
        return ""

    async def _save(self) -> None:
        """Try again to write what could not be written."""
        for name, renewed in list(self._unsaved.items()):
            try:
                new = await self._written(name, renewed)
            except OSError:
                continue
            del self._unsaved[name]
            if new is None:
                self._known.pop(name, None)
            else:
                log.info("a renewed login is written at last", account=masked(name))


class _Renewed(NamedTuple):
    """What a provider gave, at ``at``, for the refresh token in ``old``."""

    old: JsonObject
    grant: Grant
    at: float

    def into(self, profile: JsonObject) -> JsonObject:
        return oauth.refreshed(profile, self.grant, self.at)


@asynccontextmanager
async def _held(lock: AbstractContextManager[None]) -> AsyncIterator[None]:
    """*lock*, waited for in a thread."""
    entering = asyncio.ensure_future(asyncio.to_thread(lock.__enter__))
    try:
        await asyncio.shield(entering)
    except asyncio.CancelledError:
        entering.add_done_callback(lambda entered: seen(entered) or lock.__exit__(None, None, None))
        raise
    except OSError as error:
        raise Impossible(f"its lock cannot be had: {error.strerror or error}") from None
    try:
        yield
    finally:
        lock.__exit__(None, None, None)


def login_command(name: str, command: str = "login") -> str:
    """What a person types to bring the account *name* back."""
    provider, _, rest = name.partition(":")
    named = "" if rest == "default" else f" --name {rest}"
    return f"proxypal auth {command} {provider}{named}"
