"""The composition root: settings in, running parts out. The only place that knows every room."""

import hmac
import time
import uuid
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from urllib.parse import unquote, urlsplit

import msgspec

from proxypal_core import __version__, routing
from proxypal_core.accounts.account import Account, Secret
from proxypal_core.accounts.pool import Pool
from proxypal_core.accounts.verdict import Ladders
from proxypal_core.dialects.carry import Carrier
from proxypal_core.gateway import access
from proxypal_core.gateway.endpoints import Front, Gateway
from proxypal_core.gateway.feed import Feed
from proxypal_core.gateway.prepare import Services, Timeouts
from proxypal_core.gateway.responses import Conversations
from proxypal_core.providers.catalog import find
from proxypal_core.providers.provider import Provider
from proxypal_core.settings import schema
from proxypal_core.settings.schema import Network, Settings
from proxypal_core.store.responses_db import ResponsesDB
from proxypal_core.upstream import demo
from proxypal_core.upstream.fetch import Address, Fetcher, is_public
from proxypal_core.upstream.http import HttpTransport
from proxypal_core.wire.jsonio import JsonObject

USER_AGENT = f"proxypal/{__version__}"


class Clock(msgspec.Struct, frozen=True):
    """Where time and names come from; tests bring their own."""

    now: Callable[[], float] = time.time  # noqa: TID251 — the one place that reads it
    new_id: Callable[[], str] = lambda: uuid.uuid4().hex
    demo_pace: float = demo.PACE


@asynccontextmanager
async def gateway(
    settings: Settings,
    *,
    admin_key: str,
    clock: Clock | None = None,
    data_dir: Path | None = None,
    may_fetch: Callable[[Address], bool] = is_public,
) -> AsyncIterator[Gateway]:
    """The handler that *settings* describe, with its connections to providers open.

    Without *data_dir* nothing outlives it. *may_fetch* says at which addresses it may get the
    files that a request points to.
    """
    clock = clock or Clock()
    providers: Mapping[str, Provider] = {
        **settings.catalog,
        demo.PROVIDER.name: demo.PROVIDER,
    }
    accounts = accounts_of(settings)
    book = routing.route_book(providers.values(), accounts, routes_of(settings))
    responses = ResponsesDB(data_dir, clock=clock.now)
    async with (
        aclosing(responses),
        HttpTransport(connect=settings.timeouts.connect) as http,
        Fetcher(
            agent=USER_AGENT,
            max_bytes=settings.media.max_bytes,
            timeout=settings.media.timeout,
            allow=may_fetch,
        ) as fetcher,
    ):
        services = Services(
            pool=Pool(
                accounts,
                clock=clock.now,
                strategy=settings.routing.strategy,
                ladders=ladders_of(settings),
            ),
            providers=providers,
            transports={
                "http": http,
                "https": http,
                demo.SCHEME: demo.DemoTransport(
                    clock=clock.now, new_id=clock.new_id, pace=clock.demo_pace
                ),
            },
            timeouts=Timeouts(
                first_byte=settings.timeouts.first_byte,
                idle=settings.timeouts.idle,
                hold=settings.streaming.hold,
                heartbeat=settings.streaming.heartbeat,
            ),
            attempts=settings.routing.max_attempts,
            strict=settings.strict,
            carrier=Carrier(hmac.digest(admin_key.encode(), b"carried reasoning", "sha256")),
            silent_on_usage=set(),
            clock=clock.now,
            proxy_for=lambda account, url: proxy_for(account, url, settings.network),
            agent=USER_AGENT,
            fetch=fetcher.fetch if settings.media.fetch_urls else None,
        )
        yield Gateway(
            Front(
                services=services,
                book=book,
                keyring=access.Keyring(client_keys_of(settings), clock.now),
                admin=access.digest(admin_key),
                allowed_hosts=allowed_hosts_of(settings),
                models=routing.listing(book),
                conversations=Conversations(responses, services),
                feed=Feed(),
                new_id=clock.new_id,
                version=__version__,
                heartbeat=settings.streaming.heartbeat,
            )
        )


def with_profiles(settings: Settings, profiles: Mapping[str, JsonObject]) -> Settings:
    """*settings* with the accounts that the vault's *profiles* make, and a notice for each profile
    that makes none.
    """
    reasons = {name: hindrance(settings, name, profile) for name, profile in profiles.items()}
    added = [
        schema.Account(id=name, api_key=schema.SecretText(profiles[name]["key"]))
        for name, reason in reasons.items()
        if not reason
    ]
    notices = [
        f"{name} of the vault is left out: {reason}" for name, reason in reasons.items() if reason
    ]
    return msgspec.structs.replace(
        settings,
        accounts=(*settings.accounts, *added),
        notices=(*settings.notices, *notices),
    )


def hindrance(settings: Settings, profile_id: str, profile: JsonObject) -> str:
    """Why the vault's *profile* makes no account; empty when it makes one."""
    name = profile_id.partition(":")[0]
    provider = find(settings.catalog, name)
    if any(row.id == profile_id for row in settings.accounts):
        return "the settings or the environment have an account of the same id"
    if profile.get("type") != "api_key":
        return f"this version does nothing with type {profile.get('type')!r}"
    if not isinstance(profile.get("key"), str) or not profile["key"]:
        return "it has no key"
    if provider is None:
        return f"there is no provider called {name}"
    if not provider.endpoints:
        return f"the address of {name} is not known"
    return ""


def accounts_of(settings: Settings) -> Sequence[Account]:
    """The settings' accounts, and the demo's own."""
    return [
        *(
            Account(
                id=row.id,
                provider=settings.provider_of(row.id),
                secret=Secret(str(row.api_key)),
                priority=row.priority,
                weight=row.weight,
                max_concurrency=row.max_concurrency,
                proxy=row.proxy,
                models=row.models,
                excluded_models=row.excluded_models,
                headers=row.headers,
            )
            for row in settings.accounts
        ),
        Account(id=f"{demo.PROVIDER.name}:built-in", provider=demo.PROVIDER.name),
    ]


def routes_of(settings: Settings) -> Mapping[str, Sequence[str]]:
    """The settings' own names for models; bare ``demo`` is the demo that repeats what is said."""
    return {
        demo.PROVIDER.name: [f"{demo.PROVIDER.name}/{demo.MODELS[0]}"],
        **{row.name: row.route for row in settings.models},
    }


def ladders_of(settings: Settings) -> Ladders:
    rests = settings.cooldowns
    steps: list[float] = [rests.billing_backoff_hours]
    while steps[-1] and steps[-1] < rests.billing_max_hours:
        steps.append(min(steps[-1] * 2, rests.billing_max_hours))
    return Ladders(
        rate=tuple(rests.ladder),
        billing=tuple(hours * 3600 for hours in steps),
        window=rests.failure_window_hours * 3600,
    )


def client_keys_of(settings: Settings) -> Sequence[access.ClientKey]:
    return [
        access.ClientKey(
            name=row.name,
            digest=access.digest(row.key),
            models=row.models,
            requests_per_minute=row.requests_per_minute,
            expires=access.expiry(row.expires),
        )
        for row in settings.client_keys
    ]


def allowed_hosts_of(settings: Settings) -> frozenset[str]:
    return frozenset(
        name.lower() for name in (settings.listen.host, *settings.listen.allowed_hosts) if name
    )


def proxy_for(account: Account, url: str, network: Network) -> str:
    """The proxy that a call to *url* takes; the account's own goes before the network's."""
    if account.proxy:
        return "" if account.proxy == "direct" else account.proxy
    host = (urlsplit(url).hostname or "").lower()
    direct = [name.strip().lower().lstrip(".") for name in network.no_proxy.split(",")]
    if any(name and (host == name or host.endswith("." + name)) for name in direct):
        return ""
    return network.proxy


def secrets_of(settings: Settings, admin_key: str) -> frozenset[str]:
    """Every secret that is live, for the log to leave out."""
    found = {admin_key, settings.state.url}
    found |= {row.api_key for row in settings.accounts}
    found |= {row.key for row in settings.client_keys}
    found |= {value for row in settings.accounts for value in row.headers.values()}
    found |= {value for row in settings.providers for value in row.headers.values()}
    proxies = [settings.network.proxy, *(row.proxy for row in settings.accounts)]
    for url in (settings.state.url, *proxies):
        password = urlsplit(url).password or ""
        found |= {password, unquote(password)}
    return frozenset(str(secret) for secret in found if secret)
