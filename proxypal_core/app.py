"""The composition root: settings in, running parts out. The only place that knows every room."""

import asyncio
import hmac
import os
import random
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager, closing, suppress
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any
from urllib.parse import unquote, urlsplit

import msgspec

from proxypal_core import __version__, routing
from proxypal_core.accounts.account import Account, CredentialKind, Secret
from proxypal_core.accounts.pool import Pool
from proxypal_core.accounts.profiles import options, resolved, unresolved
from proxypal_core.accounts.rules import Rule
from proxypal_core.accounts.verdict import Ladders
from proxypal_core.dialects.carry import Carrier
from proxypal_core.gateway import access, explain
from proxypal_core.gateway.endpoints import Front, Gateway
from proxypal_core.gateway.feed import Feed
from proxypal_core.gateway.management import LastRequests
from proxypal_core.gateway.prepare import Credentials, GivenSecrets, Services, Timeouts
from proxypal_core.gateway.queue import Queue
from proxypal_core.gateway.responses import Conversations
from proxypal_core.hub.failure import Kind
from proxypal_core.providers import backend
from proxypal_core.providers.catalog import find
from proxypal_core.providers.provider import Provider
from proxypal_core.settings import schema
from proxypal_core.settings.backends import backends_of
from proxypal_core.settings.schema import Duration, Network, Settings
from proxypal_core.store.accounts_db import AccountsDB
from proxypal_core.store.database import STATE_FILE, Database
from proxypal_core.store.responses_db import ResponsesDB
from proxypal_core.telemetry.log import scrubbed
from proxypal_core.upstream import demo, token_endpoint
from proxypal_core.upstream.fetch import Address, Fetcher, is_public
from proxypal_core.upstream.http import HttpTransport
from proxypal_core.upstream.linked import Links
from proxypal_core.upstream.process import ProcessTransport
from proxypal_core.upstream.refresh import Profiles
from proxypal_core.upstream.tokens import Tokens
from proxypal_core.upstream.transport import Transport
from proxypal_core.wire.jsonio import JsonObject, Malformed

USER_AGENT = f"proxypal/{__version__}"


class Clock(msgspec.Struct, frozen=True):
    """Where time, chance and names come from; tests bring their own."""

    now: Callable[[], float] = time.time  # noqa: TID251 — the one place that reads it
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    jitter: Callable[[], float] = random.random
    new_id: Callable[[], str] = lambda: uuid.uuid4().hex
    demo_pace: float = demo.PACE


class Served(msgspec.Struct, frozen=True):
    """A running handler; ``reload`` has it go by other settings from the next request on."""

    handler: Gateway
    reload: Callable[[Settings], None]


@asynccontextmanager
async def gateway(
    settings: Settings,
    *,
    admin_key: str,
    clock: Clock | None = None,
    data_dir: Path | None = None,
    profiles: Profiles | None = None,
    may_fetch: Callable[[Address], bool] = is_public,
) -> AsyncIterator[Served]:
    """The handler that *settings* describe, with its connections to providers open.

    Without *data_dir* nothing outlives it. *profiles* are the vault's, where logins are kept fresh.
    *may_fetch* says at which addresses it may get the files that a request points to.
    """
    clock = clock or Clock()
    database = Database(data_dir)
    responses = ResponsesDB(database, clock=clock.now)
    kept = AccountsDB(database)
    async with (
        aclosing(database),
        HttpTransport(connect=settings.timeouts.connect) as http,
        Fetcher(
            agent=USER_AGENT,
            max_bytes=settings.media.max_bytes,
            timeout=settings.media.timeout,
            allow=may_fetch,
        ) as fetcher,
        ProcessTransport(
            backends_of(settings.backends),
            home=data_dir / "backends" if data_dir else None,
            ours=os.environ,
            new_id=clock.new_id,
            scrub=_scrubber(settings, admin_key),
        ) as processes,
    ):
        pool = pool_of(settings, clock.now, kept)
        forgive_logins(pool)
        tokens = tokens_of(settings, profiles, http, clock) if profiles else None
        parts = Parts(
            clock=clock,
            credentials=tokens or GivenSecrets(),
            admin_key=admin_key,
            transports={
                "http": http,
                "https": http,
                demo.SCHEME: demo.DemoTransport(
                    clock=clock.now, new_id=clock.new_id, pace=clock.demo_pace
                ),
                backend.SCHEME: processes,
            },
            pool=pool,
            responses=responses,
            fetcher=fetcher,
            feed=Feed(),
            last_requests=LastRequests(),
            queue=Queue(settings.routing.queue_timeout),
        )
        handler = Gateway(parts.front(settings))

        def reload(settings: Settings) -> None:
            parts.pool.replace(
                accounts_of(settings),
                strategy=settings.routing.strategy,
                ladders=ladders_of(settings),
                order=order_of(settings),
            )
            processes.replace(backends_of(settings.backends), _scrubber(settings, admin_key))
            handler.front = parts.front(settings)
            if tokens:
                tokens.use(settings.catalog, token_post(settings.network, http))

        async with meanwhile(tokens.run(partial(forgive, pool)) if tokens else None):
            yield Served(handler, reload)


@asynccontextmanager
async def meanwhile(work: Coroutine[Any, Any, None] | None) -> AsyncIterator[None]:
    """Have *work*, which does not end by itself, done for as long as the context lasts."""
    if work is None:
        yield
        return
    task = asyncio.ensure_future(work)
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


def forgive_logins(pool: Pool) -> None:
    """Have every login asked again that was refused before a restart: it may be another one now."""
    for account in pool.accounts:
        if account.kind != "api_key":
            forgive(pool, account.id)


def forgive(pool: Pool, account_id: str) -> None:
    """Have the account called *account_id* asked again, if it rests because its login was refused."""
    if any(
        one.account.id == account_id and one.health.reason == Kind.AUTH.value
        for one in pool.standings
    ):
        pool.reset(account_id)


def tokens_of(settings: Settings, profiles: Profiles, http: Transport, clock: Clock) -> Tokens:
    """What keeps the logins among *profiles* fresh."""
    return Tokens(
        profiles,
        settings.catalog,
        token_post(settings.network, http),
        Links(Path.home(), clock.now),
        clock=clock.now,
        chance=clock.jitter,
        sleep=clock.sleep,
    )


def token_post(network: Network, http: Transport) -> token_endpoint.Post:
    """The way to token endpoints through *network*."""

    async def post(url: str, form: Mapping[str, str]) -> bytes:
        proxy = _proxy_of(network, url)
        return await token_endpoint.post(http, url, form, agent=USER_AGENT, proxy=proxy)

    return post


def explanation(
    settings: Settings, model: str, *, data_dir: Path, prefer: str = ""
) -> Mapping[str, Any]:
    """What ``/api/explain`` would say if a daemon ran, from what the last one left in *data_dir*.
    Blocks.

    Raises:
        routing.UnknownModel: nobody serves *model*.
    """
    left = data_dir if (data_dir / STATE_FILE).exists() else None  # nothing is made here
    with closing(Database(left)) as database:
        pool = pool_of(settings, Clock().now, AccountsDB(database))
        book = book_of(settings, pool.accounts)
        return explain.explanation(model, book=book, pool=pool, prefer=prefer)


class Parts(msgspec.Struct, frozen=True, kw_only=True):
    """What a daemon has only one of, whatever its settings come to be."""

    clock: Clock
    credentials: Credentials
    admin_key: str
    transports: Mapping[str, Transport]
    pool: Pool
    responses: ResponsesDB
    fetcher: Fetcher
    feed: Feed
    last_requests: LastRequests
    queue: Queue
    silent_on_usage: set[str] = set()

    def front(self, settings: Settings) -> Front:
        """The way in, as *settings* want it."""
        book = book_of(settings, self.pool.accounts)
        services = self._services(settings, book.providers)
        return Front(
            services=services,
            book=book,
            keyring=access.Keyring(client_keys_of(settings), self.clock.now),
            admin=access.digest(self.admin_key),
            allowed_hosts=allowed_hosts_of(settings),
            models=routing.listing(book),
            conversations=Conversations(self.responses, services),
            feed=self.feed,
            last_requests=self.last_requests,
            new_id=self.clock.new_id,
            version=__version__,
            heartbeat=settings.streaming.heartbeat,
        )

    def _services(self, settings: Settings, providers: Mapping[str, Provider]) -> Services:
        clock, network = self.clock, settings.network
        return Services(
            pool=self.pool,
            queue=self.queue,
            providers=providers,
            transports=self.transports,
            timeouts=Timeouts(
                first_byte=settings.timeouts.first_byte,
                idle=settings.timeouts.idle,
                hold=settings.streaming.hold,
                heartbeat=settings.streaming.heartbeat,
            ),
            attempts=settings.routing.max_attempts,
            patience=settings.routing.wait_up_to,
            rules=rules_of(settings),
            credentials=self.credentials,
            strict=settings.strict,
            carrier=Carrier(hmac.digest(self.admin_key.encode(), b"carried reasoning", "sha256")),
            silent_on_usage=self.silent_on_usage,
            clock=clock.now,
            sleep=clock.sleep,
            jitter=clock.jitter,
            proxy_for=lambda account, url: proxy_for(account, url, network),
            agent=USER_AGENT,
            fetch=self.fetcher.fetch if settings.media.fetch_urls else None,
        )


def providers_of(settings: Settings) -> Sequence[Provider]:
    """Everybody who can be asked, those that are preferred first."""
    programs = [
        backend.provider_of(each, listed=name in settings.backends)
        for name, each in backends_of({**backend.builtin_rows(), **settings.backends}).items()
    ]
    return [*settings.catalog.values(), *programs, demo.PROVIDER]


def book_of(settings: Settings, accounts: Sequence[Account]) -> routing.RouteBook:
    return routing.route_book(
        providers_of(settings),
        accounts,
        routes_of(settings),
        spread={row.name for row in settings.models if row.strategy == "spread"},
        fallbacks=settings.routing.fallbacks,
        last_resort=demo.PROVIDER.name,
    )


def pool_of(settings: Settings, clock: Callable[[], float], kept: AccountsDB) -> Pool:
    """The accounts of *settings*, as they were when an earlier process ended."""
    pool = Pool(
        accounts_of(settings),
        clock=clock,
        strategy=settings.routing.strategy,
        ladders=ladders_of(settings),
        affinity=settings.routing.affinity_ttl if settings.routing.session_affinity else 0.0,
        order=order_of(settings),
        changed=kept.put,
    )
    pool.restore(kept.rows())
    return pool


def with_profiles(
    settings: Settings,
    profiles: Mapping[str, JsonObject],
    bookkeeping: Mapping[str, Any] = MappingProxyType({}),
) -> Settings:
    """*settings* with the accounts that the vault's *profiles* make, a notice for each profile that
    makes none, and the orders in its *bookkeeping* where the settings have none.
    """
    reasons = {name: hindrance(settings, name, profile) for name, profile in profiles.items()}
    added = [
        schema.Account(
            id=name,
            api_key=schema.SecretText(_secret_of(resolved(profiles[name], os.environ))),
            disabled=profiles[name].get("disabled") is True,
            **msgspec.structs.asdict(options(profiles[name])),
        )
        for name, reason in reasons.items()
        if not reason
    ]
    notices = [
        f"{name} of the vault is left out: {reason}" for name, reason in reasons.items() if reason
    ]
    return msgspec.structs.replace(
        settings,
        accounts=(*settings.accounts, *added),
        kinds={row.id: _KINDS[profiles[row.id]["type"]][0] for row in added},
        routing=msgspec.structs.replace(
            settings.routing, order={**orders(bookkeeping), **settings.routing.order}
        ),
        notices=(*settings.notices, *notices),
    )


def orders(bookkeeping: Mapping[str, Any]) -> Mapping[str, tuple[str, ...]]:
    """The ids of accounts by provider, in the order that ``proxypal auth order set`` gave them."""
    found = bookkeeping.get("order")
    rows = found.items() if isinstance(found, dict) else ()
    return {name: tuple(map(str, ids)) for name, ids in rows if isinstance(ids, list)}


_KINDS: Mapping[str, tuple[CredentialKind, tuple[str, ...]]] = {
    "api_key": ("api_key", ("key",)),
    "token": ("token", ("token",)),
    "oauth": ("oauth", ("refresh", "access")),
    "linked": ("oauth", ("source",)),
    "service_account": ("oauth", ("private_key",)),
}
"""What account each type of profile makes, and the fields of which it must have one."""


def _secret_of(profile: JsonObject) -> str:
    """What an account of *profile* sends as it is; a login's tokens come from `upstream.tokens`."""
    return str(profile.get("key") or profile.get("token") or "")


def hindrance(settings: Settings, profile_id: str, profile: JsonObject) -> str:
    """Why the vault's *profile* makes no account; empty when it makes one."""
    name = profile_id.partition(":")[0]
    provider = find(settings.catalog, name)
    if any(row.id == profile_id for row in settings.accounts):
        return "the settings or the environment have an account of the same id"
    if str(profile.get("type")) not in _KINDS:
        return f"this version does nothing with type {profile.get('type')!r}"
    fields = _KINDS[profile["type"]][1]
    profile = resolved(profile, os.environ)
    if not any(isinstance(profile.get(field), str) and profile[field] for field in fields):
        return unresolved(profile) or f"it has no {fields[0]}"
    try:
        options(profile)
    except Malformed as error:
        return str(error)
    if provider is None:
        return f"there is no provider called {name}"
    if not provider.endpoints:
        return f"the address of {name} is not known"
    return ""


def accounts_of(settings: Settings) -> Sequence[Account]:
    """The settings' accounts, and those without a key: of programs that they name, and the demo's."""
    return [
        *(
            Account(
                id=row.id,
                provider=settings.provider_of(row.id),
                kind=settings.kinds.get(row.id, "api_key"),
                secret=Secret(str(row.api_key)),
                disabled="by the settings" if row.disabled else "",
                prefix=row.prefix,
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
        *(Account(id=f"{name}:local", provider=name) for name in settings.backends),
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


def order_of(settings: Settings) -> Mapping[str, Sequence[str]]:
    """The explicit orders, by the providers' own names."""
    return {settings.provider_of(name): ids for name, ids in settings.routing.order.items()}


def rules_of(settings: Settings) -> Sequence[Rule]:
    """The owner's own rules; checked settings have none that means nothing."""
    return [
        Rule(
            means=row.means,
            provider=settings.provider_of(row.provider) if row.provider else "",
            status=row.status,
            text=row.text,
            rest=Duration.read(row.rest) if row.rest else None,
        )
        for row in settings.cooldowns.rules
        if row.means
    ]


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
    return _proxy_of(network, url)


def _proxy_of(network: Network, url: str) -> str:
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
    found |= {row.oauth.client_secret for row in settings.providers}
    found |= {value for row in settings.accounts for value in row.headers.values()}
    found |= {value for row in settings.providers for value in row.headers.values()}
    found |= {value for row in settings.backends.values() for value in row.get("env", {}).values()}
    proxies = [settings.network.proxy, *(row.proxy for row in settings.accounts)]
    for url in (settings.state.url, *proxies):
        password = urlsplit(url).password or ""
        found |= {password, unquote(password)}
    return frozenset(str(secret) for secret in found if secret)


def _scrubber(settings: Settings, admin_key: str) -> Callable[[str], str]:
    """What takes every secret that is live out of a text."""
    secrets = secrets_of(settings, admin_key)
    return lambda text: scrubbed(text, secrets)
