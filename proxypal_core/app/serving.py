"""Settings in, running parts out: what a daemon has, and how the parts know each other."""

import asyncio
import hmac
import os
import secrets
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import aclosing, asynccontextmanager, closing
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from proxypal_core import __version__, routing
from proxypal_core.accounts.account import Account
from proxypal_core.accounts.client_keys import Ledger
from proxypal_core.accounts.pool import Pool
from proxypal_core.app.alerts import Alerts
from proxypal_core.app.clock import Clock
from proxypal_core.app.configured import (
    accounts_of,
    allowed_hosts_of,
    book_of,
    client_keys_of,
    hindrance,
    ladders_of,
    order_of,
    pool_of,
    proxies_by,
    proxy_for,
    rules_of,
    scrubber,
    secrets_of,
    with_profiles,
)
from proxypal_core.app.sharing import replica_of
from proxypal_core.app.spans import Spans, spans_of
from proxypal_core.dialects.carry import Carrier
from proxypal_core.gateway import access, explain
from proxypal_core.gateway.dashboard_session import Sessions
from proxypal_core.gateway.endpoints import Gateway
from proxypal_core.gateway.explain import LastRequests
from proxypal_core.gateway.feed import Feed
from proxypal_core.gateway.front import Front
from proxypal_core.gateway.owned import Files, Owned
from proxypal_core.gateway.prepare import GivenSecrets, Services, Timeouts
from proxypal_core.gateway.queue import Queue
from proxypal_core.gateway.recorder import Recorder, Standings
from proxypal_core.gateway.responses import Conversations
from proxypal_core.hub.failure import Kind
from proxypal_core.providers import backend
from proxypal_core.providers.provider import Provider
from proxypal_core.settings.backends import backends_of
from proxypal_core.settings.schema import Network, Settings
from proxypal_core.store.accounts_db import AccountsDB
from proxypal_core.store.bodies_db import BODIES_FILE, MOST_DAYS, BodiesDB
from proxypal_core.store.database import STATE_FILE, Database
from proxypal_core.store.responses_db import ResponsesDB
from proxypal_core.store.usage_db import UsageDB
from proxypal_core.telemetry import log
from proxypal_core.telemetry.metrics import Metrics
from proxypal_core.upstream import demo, token_endpoint
from proxypal_core.upstream.fetch import Address, Fetcher, is_public
from proxypal_core.upstream.http import HttpTransport
from proxypal_core.upstream.linked import Links
from proxypal_core.upstream.logins import Logins
from proxypal_core.upstream.process import ProcessTransport
from proxypal_core.upstream.refresh import Profiles, of_this_machine
from proxypal_core.upstream.token_endpoint import Post
from proxypal_core.upstream.tokens import Tokens
from proxypal_core.upstream.transport import Transport

if TYPE_CHECKING:  # a daemon that shares nothing does without
    from proxypal_core.app.replica import Replica
    from proxypal_core.app.shared_vault import SharedVault

USER_AGENT = f"proxypal/{__version__}"
DAY = 86400.0


class Served:
    """A running handler, which can be had to go by other settings from the next request on."""

    def __init__(self, parts: "Parts", settings: Settings, files: Files | None = None) -> None:
        self._parts = parts
        self._owned = None
        if files is not None:
            self._owned = Owned(
                files,
                merge=lambda settings, now: with_profiles(settings, now.profiles, now.bookkeeping),
                apply=self.reload,
                hindrance=hindrance,
                secrets=lambda settings: secrets_of(settings, parts.admin_key),
            )
        self.handler = Gateway(parts.front(settings, self._owned))

    def reload(self, settings: Settings) -> None:
        parts = self._parts
        log.leave_out(secrets_of(settings, parts.admin_key))
        parts.pool.replace(
            accounts_of(settings),
            strategy=settings.routing.strategy,
            ladders=ladders_of(settings),
            order=order_of(settings),
        )
        if parts.replica is not None:
            meet(parts.replica, parts.pool, settings)
        parts.processes.replace(backends_of(settings.backends), scrubber(settings, parts.admin_key))
        if parts.tokens is not None:
            parts.tokens.use(settings.catalog, token_post(settings.network, parts.http))
        parts.alerts.use(settings)
        self.handler.use(parts.front(settings, self._owned))
        parts.recorder.feed.hint("accounts")


@asynccontextmanager
async def gateway(
    settings: Settings,
    *,
    admin_key: str,
    clock: Clock | None = None,
    data_dir: Path | None = None,
    profiles: Profiles | None = None,
    may_fetch: Callable[[Address], bool] = is_public,
    files: Files | None = None,
) -> AsyncIterator[Served]:
    """The handler that *settings* describe, with its connections to providers open.

    Without *data_dir* nothing outlives it. *profiles* are the vault's, where logins are kept fresh.
    *may_fetch* says at which addresses it may get the files that a request points to. *files* are
    those that the management API may change.
    """
    clock = clock or Clock()
    database = Database(data_dir)
    responses = ResponsesDB(database, clock=clock.now)
    accounts = AccountsDB(database)
    usage = UsageDB(database)
    bodies_file = Database(data_dir, BODIES_FILE)
    bodies = BodiesDB(bodies_file, clock.now)
    feed = Feed()
    async with (
        aclosing(database),
        aclosing(bodies_file),
        aclosing(usage),
        aclosing(responses),
        HttpTransport(connect=settings.timeouts.connect, ca_file=settings.network.ca_file) as http,
        spans_of(settings) as spans,
        Fetcher(
            agent=USER_AGENT,
            max_bytes=settings.media.max_bytes,
            timeout=settings.media.timeout,
            allow=may_fetch,
            ca_file=settings.network.ca_file,
        ) as fetcher,
        ProcessTransport(
            backends_of(settings.backends),
            home=data_dir / "backends" if data_dir else None,
            ours=os.environ,
            new_id=clock.new_id,
            scrub=scrubber(settings, admin_key),
        ) as processes,
        replica_of(settings, clock, usage, files.vault if files else None) as replica,
    ):
        standings = Standings(
            accounts.put, feed, accounts.rows(), tell=replica.noted if replica else None
        )
        pool = pool_of(
            settings,
            clock.now,
            accounts,
            standings.note,
            affinity=replica.affinity if replica else None,
        )
        forgive_logins(pool)
        vault = replica.vault if replica else None
        tokens = tokens_of(settings, profiles, http, clock, vault) if profiles else None
        logins = Logins(
            lambda oauth: token_post(settings.network, http, as_json=oauth.gives == "key"),
            random=secrets.token_bytes,
            new_id=secrets.token_urlsafe,
            clock=clock.now,
            sleep=clock.sleep,
        )
        alerts = Alerts(settings, pool, http, clock.now, USER_AGENT)
        parts = Parts(
            clock=clock,
            tokens=tokens,
            alerts=alerts,
            admin_key=admin_key,
            http=http,
            processes=processes,
            transports={
                "http": http,
                "https": http,
                demo.SCHEME: demo.DemoTransport(
                    clock=clock.now,
                    new_id=clock.new_id,
                    pace=demo.PACE if clock.demo_pace is None else clock.demo_pace,
                ),
                backend.SCHEME: processes,
            },
            pool=pool,
            responses=responses,
            fetcher=fetcher,
            recorder=Recorder(
                usage,
                Metrics(),
                feed,
                LastRequests(),
                replica.ledger if replica else Ledger(clock.now, usage),
                bodies,
                trace=spans.note if spans else None,
                count=replica.count if replica else None,
            ),
            replica=replica,
            spans=spans,
            logins=logins,
            sessions=Sessions(clock.now, secrets.token_urlsafe),
            queue=Queue(settings.routing.queue_timeout),
        )
        served = Served(parts, settings, files)
        keeping = tokens.run(partial(forgive, pool)) if tokens else None
        if replica is not None:
            meet(replica, pool, settings)
            await replica.link.once()  # what the others know, before the first request
        async with (
            aclosing(logins),
            meanwhile(replica.run() if replica else None),
            meanwhile(keeping),
            meanwhile(alerts.run()),
        ):
            yield served


def meet(replica: "Replica", pool: Pool, settings: Settings) -> None:
    """Have *replica* go by the accounts of *pool*, and by *settings*."""
    weighted = settings.routing.strategy == "weighted"
    replica.use(pool, order_of(settings), weighted=weighted)


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
        await asyncio.wait([task])  # awaiting the task itself would hide that we are cancelled, too
        if not task.cancelled():
            task.result()


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


def tokens_of(
    settings: Settings,
    profiles: Profiles,
    http: Transport,
    clock: Clock,
    shared: "SharedVault | None" = None,
) -> Tokens:
    """What keeps the logins among *profiles* fresh; those that other replicas have, too, are
    *shared*.
    """
    return Tokens(
        profiles,
        settings.catalog,
        token_post(settings.network, http),
        Links(Path.home(), clock.now),
        clock=clock.now,
        chance=clock.jitter,
        sleep=clock.sleep,
        claim=shared.claim if shared else of_this_machine,
    )


def token_post(network: Network, http: Transport, *, as_json: bool = False) -> Post:
    """The way to token endpoints through *network*."""

    async def post(url: str, form: Mapping[str, str], proxy: str = "", /) -> bytes:
        way = proxy_for(Account(id="", provider="", proxy=proxy), url, network)
        return await token_endpoint.post(http, url, form, way, agent=USER_AGENT, as_json=as_json)

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
    tokens: Tokens | None
    alerts: Alerts
    admin_key: str
    http: Transport
    processes: ProcessTransport
    transports: Mapping[str, Transport]
    pool: Pool
    responses: ResponsesDB
    fetcher: Fetcher
    recorder: Recorder
    spans: Spans | None
    logins: Logins
    sessions: Sessions
    queue: Queue
    replica: "Replica | None"
    silent_on_usage: set[str] = set()

    def front(self, settings: Settings, owned: Owned | None = None) -> Front:
        """The way in, as *settings* want it."""
        self.recorder.usage.retain = settings.usage.retain_days * DAY
        self.recorder.bodies.use(
            keep=settings.usage.capture_bodies != "none",
            days=min(settings.usage.retain_days or MOST_DAYS, MOST_DAYS),
            scrub=scrubber(settings, self.admin_key),
        )
        book = book_of(settings, self.pool.accounts)
        services = self._services(settings, book.providers)
        if self.spans is not None:
            self.spans.provider_of = lambda account: book.providers.get(
                settings.provider_of(account)
            )
        return Front(
            settings=settings,
            services=services,
            book=book,
            keyring=access.Keyring(client_keys_of(settings), self.clock.now, self.recorder.ledger),
            admin=access.digest(self.admin_key),
            allowed_hosts=allowed_hosts_of(settings),
            models=routing.listing(book),
            conversations=Conversations(self.responses, services),
            sessions=self.sessions,
            recorder=self.recorder,
            logins=self.logins,
            new_id=self.clock.new_id,
            token=secrets.token_urlsafe,
            version=__version__,
            heartbeat=settings.streaming.heartbeat,
            owned=owned,
            sharing=self.replica,
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
            credentials=self.tokens or GivenSecrets(),
            strict=settings.strict,
            carrier=Carrier(hmac.digest(self.admin_key.encode(), b"carried reasoning", "sha256")),
            silent_on_usage=self.silent_on_usage,
            clock=clock.now,
            sleep=clock.sleep,
            jitter=clock.jitter,
            proxy_for=proxies_by(network),
            agent=USER_AGENT,
            fetch=self.fetcher.fetch if settings.media.fetch_urls else None,
        )
