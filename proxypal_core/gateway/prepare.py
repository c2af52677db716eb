"""One attempt made ready: the client's request as it came, or in the provider's own words."""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Protocol

import msgspec
import structlog

from proxypal_core.accounts import oauth
from proxypal_core.accounts.account import Account, Secret
from proxypal_core.accounts.affinity import Session
from proxypal_core.accounts.lease import Lease, Target
from proxypal_core.accounts.pool import Pool
from proxypal_core.accounts.rules import Rule
from proxypal_core.dialects import SPOKEN, carry, effort
from proxypal_core.dialects.base import Dialect, Encoded, Reply, always_told
from proxypal_core.dialects.carry import Carrier
from proxypal_core.gateway.downstream import Reframe
from proxypal_core.gateway.queue import Queue
from proxypal_core.gateway.sessions import spoken
from proxypal_core.hub import inline
from proxypal_core.hub.failure import Failure, Kind, Refused, invalid
from proxypal_core.hub.messages import Base64, Request
from proxypal_core.providers.provider import Operation, Provider, endpoint_url
from proxypal_core.upstream import transport as way_out
from proxypal_core.wire import jsonio
from proxypal_core.wire.spliced import Spliced

COUNTS: tuple[Operation, ...] = ("count_tokens", "input_tokens")
"""What counting tokens is called, in one dialect and another."""

log = structlog.get_logger(__name__)


class Timeouts(msgspec.Struct, frozen=True):
    """Seconds. ``first_byte`` runs until content comes, ``idle`` between pieces after that."""

    first_byte: float = 300.0
    idle: float = 120.0
    hold: float = 10.0
    heartbeat: float = 15.0


class Credentials(Protocol):
    """Where an account's secret comes from at the moment it is sent."""

    async def credential(self, account: Account, /) -> Secret:
        """The secret to send now.

        Raises:
            Refused: there is none that is valid, with the command that mends it.
        """

    async def renew(self, account: Account, /, stale: Secret) -> bool:
        """Whether there is another secret by now than *stale*, which the provider refused.

        Raises:
            Refused: there may be one later.
        """


class GivenSecrets:
    """Credentials that never change: each account's own secret."""

    async def credential(self, account: Account, /) -> Secret:
        return account.secret

    async def renew(self, account: Account, /, stale: Secret) -> bool:
        return False


class Services(msgspec.Struct, frozen=True):
    """What every exchange uses; made once, by ``app``."""

    pool: Pool
    queue: Queue
    providers: Mapping[str, Provider]
    transports: Mapping[str, way_out.Transport]
    timeouts: Timeouts
    attempts: int
    """How many attempts of a request may fail."""
    patience: float
    """Seconds that a request may wait for an account which is ready soon."""
    rules: Sequence[Rule]
    """How the owner wants failures understood."""
    credentials: Credentials
    strict: bool
    """Refuse what a target has no place for, instead of dropping it."""
    carrier: Carrier
    silent_on_usage: set[str]
    """Providers that refused to be asked for a stream's usage."""
    clock: Callable[[], float]
    sleep: Callable[[float], Awaitable[None]]
    jitter: Callable[[], float]
    """Random, from 0 to 1."""
    proxy_for: Callable[[Account, str], str]
    agent: str
    """Our own User-Agent."""
    fetch: Callable[[Iterable[str]], Awaitable[Mapping[str, Base64]]] | None = None
    """Gets the files at addresses; None where the settings forbid it."""


class Ask(msgspec.Struct, frozen=True):
    """What a client asks, as far as the path and a first look at the body tell.

    ``operation`` is a row of the dialect's operations in ``providers.provider``; ``model`` is the
    client's own name for it and ``doc`` the body, parsed, or only ``glanced`` at.
    """

    id: str
    dialect: Dialect
    operation: Operation
    model: str
    stream: bool
    targets: Sequence[Target]
    session: Session | None
    doc: jsonio.JsonObject
    body: bytes
    headers: Mapping[str, str]
    """Those of the client's that go on to a provider of its own dialect, by their names in small
    letters; those that came several times are one list.
    """
    method: str = "POST"
    path: str = ""
    """The rest of the address of a ``passthrough``."""
    query: str = ""
    glanced: bool = False
    reframe: Callable[[], Reframe] | None = None
    reshape: Callable[[bytes], bytes] | None = None
    """Turns a whole answer into a form of the dialect that only this path speaks."""
    answered: "Answered | None" = None
    """Sees what is generated, and may change it, just before it is sent."""


class Answered(Protocol):
    """Given a whole answer or whole events of one; *account* is the id of whose it is, and
    *native* that its provider speaks the client's dialect.
    """

    def __call__(self, data: bytes, /, *, account: str, native: bool) -> bytes: ...


class Prepared(msgspec.Struct, frozen=True):
    """One attempt, ready to be sent to a provider that speaks ``speaks``.

    ``encoded`` is None where the client speaks the same; ``rename``: the answer names another model
    than the client asked for; ``asks_usage``: the stream's usage was asked for by us alone.
    """

    call: way_out.Call
    secret: Secret
    speaks: Dialect
    rename: bool
    encoded: Encoded | None = None
    asks_usage: bool = False


class Estimated(Exception):
    """No provider needs to be asked: these are about the tokens that were to be counted."""

    def __init__(self, tokens: int) -> None:
        super().__init__(tokens)
        self.tokens = tokens


_UNKNOWN = Secret("")


class Preparation:
    """Makes the attempts of one ask ready; what is decoded once serves them all."""

    def __init__(self, services: Services, ask: Ask, *, created: int) -> None:
        self._services = services
        self._ask = ask
        self._created = created
        self._decoded: Request | None = None
        self._files: dict[str, Base64] = {}
        self._secret = _UNKNOWN
        self._carries: bool | None = None

    async def prepare(self, lease: Lease) -> Prepared:
        """The attempt at *lease*.

        Raises:
            Refused: the provider cannot be asked this.
            Estimated: the provider does not count tokens.
        """
        provider = self._services.providers[lease.account.provider]
        self._secret = await self._services.credentials.credential(lease.account)
        if self._ask.dialect.NAME in provider.endpoints:
            return self._untouched(lease, provider)
        if self._ask.operation in COUNTS:
            return await self._count(lease, provider)
        return await self._translated(lease, provider)

    def request(self) -> Request:
        """What the client means, with what was carried through it back in its place."""
        if self._decoded is None:
            ask = self._ask
            self._decoded = self._services.carrier.incoming(
                ask.dialect.decode_request(self._doc(), model=ask.model, stream=ask.stream)
            )
        return self._decoded

    def _doc(self) -> jsonio.JsonObject:
        """The body, parsed. A glance lets pass what is only too deep, or too large, for us."""
        if not self._ask.glanced:
            return self._ask.doc
        try:
            return jsonio.load_object(self._ask.body)
        except jsonio.Malformed as error:
            raise invalid(f"the body: {error.problem}") from None

    def reply(self) -> Reply:
        """What an encoder is told; a request that passes through is not decoded for it."""
        ask = self._ask
        request = self._decoded or Request(
            dialect=ask.dialect.NAME, model=ask.model, stream=ask.stream
        )
        return Reply(request, ask.id, self._created)

    # ── the three ways ───────────────────────────────────────────────────────────────────────

    def _untouched(self, lease: Lease, provider: Provider) -> Prepared:
        ask = self._ask
        rename = lease.model != ask.model
        body: bytes | Spliced = ask.body
        if ask.operation == "generate" and (lease.target.thinking or self._may_carry()):
            body = ask.dialect.encode_request(self._meant(lease)).body
        elif rename:
            body = jsonio.with_string(ask.body, ("model",), lease.model, document=ask.doc)
        asks_usage = False
        if ask.stream and self._may_ask_usage(provider):
            asking = ask.dialect.with_usage(bytes(body), ask.doc)
            if asking is not None:
                body, asks_usage = asking, True
        head = ask.headers
        if ask.method == "POST" and "content-type" not in head:
            head = {**head, "content-type": "application/json"}
        call = self._call(lease, provider, ask.dialect.NAME, body, head)
        return Prepared(call, self._secret, ask.dialect, rename, asks_usage=asks_usage)

    def _may_ask_usage(self, provider: Provider) -> bool:
        told = self._ask.dialect.with_usage is always_told
        return not told and provider.name not in self._services.silent_on_usage

    def _may_carry(self) -> bool:
        """Whether the body may have something of ours in it; what no model has answered has not."""
        ask = self._ask
        if self._carries is None:
            answered = ask.session is None or ask.session.follow
            self._carries = answered and carry.marks(spoken(ask.doc) if ask.glanced else ask.body)
        return self._carries

    async def _translated(self, lease: Lease, provider: Provider) -> Prepared:
        ask = self._ask
        if ask.operation != "generate" or not provider.endpoints:
            raise self._unsupported(provider)
        speaks = next(iter(provider.endpoints))  # the first is the one that the catalog prefers
        meant = await self._with_files(self._meant(lease), SPOKEN[speaks])
        encoded = SPOKEN[speaks].encode_request(meant)
        if encoded.dropped:
            log.debug("fields dropped", request=ask.id, fields=encoded.dropped, target=speaks)
            if self._services.strict:
                field = encoded.dropped[0]
                raise invalid(
                    f"{', '.join(encoded.dropped)}: {provider.name} has no place for this, and the"
                    " settings are strict; leave it out, or set strict: false",
                    param=field,
                )
        head = {"content-type": "application/json", **encoded.headers}
        call = self._call(lease, provider, speaks, encoded.body, head)
        return Prepared(call, self._secret, SPOKEN[speaks], rename=True, encoded=encoded)

    async def _count(self, lease: Lease, provider: Provider) -> Prepared:
        """Counting by a provider of another dialect, where its API counts."""
        meant = self._meant(lease)
        for speaks in provider.endpoints:
            with_files = await self._with_files(meant, SPOKEN[speaks])
            body = SPOKEN[speaks].encode_count(with_files)
            if body is not None:
                operation: Operation = (
                    "input_tokens" if speaks == "openai-responses" else "count_tokens"
                )
                head = {"content-type": "application/json"}
                call = self._call(lease, provider, speaks, body, head, operation)
                return Prepared(
                    call, self._secret, SPOKEN[speaks], rename=False, encoded=Encoded(body)
                )
        raise Estimated(estimate(meant))

    def _meant(self, lease: Lease) -> Request:
        """The request as it is meant for the lease's model, with what its name says of thinking."""
        meant = msgspec.structs.replace(self.request(), model=lease.model)
        if not lease.target.thinking:
            return meant
        thinking = effort.from_suffix(lease.target.thinking)
        return msgspec.structs.replace(
            meant, reasoning=msgspec.structs.replace(thinking, show=meant.reasoning.show)
        )

    async def _with_files(self, meant: Request, speaks: Dialect) -> Request:
        """*meant* with the bytes of what a provider that speaks *speaks* would not fetch."""
        urls = [url.url for url in inline.urls(meant) if not speaks.TAKES_URLS.match(url.url)]
        if not urls or self._services.fetch is None:
            return meant
        if new := [url for url in urls if url not in self._files]:
            self._files |= await self._services.fetch(new)
        return inline.with_bytes(meant, {url: self._files[url] for url in urls})

    def _call(
        self,
        lease: Lease,
        provider: Provider,
        dialect: str,
        body: bytes | Spliced,
        head: Mapping[str, str],
        operation: Operation | None = None,
    ) -> way_out.Call:
        ask, account = self._ask, lease.account
        if lease.target.long_context and dialect == "anthropic":
            head = _with_long_context(head)
        url = endpoint_url(
            provider.endpoints[dialect],
            dialect,
            operation or ask.operation,
            lease.model,
            ask.path,
            ask.stream,
        )
        if ask.query:
            url += ("&" if "?" in url else "?") + ask.query
        return way_out.Call(
            ask.method,
            url,
            {
                "user-agent": self._services.agent,
                "accept": "text/event-stream" if ask.stream else "application/json",
                **oauth.request_headers(account, self._secret, provider, dialect, head),
                **provider.headers,
                **account.headers,
            },
            body,
            self._services.proxy_for(account, url),
        )

    def _unsupported(self, provider: Provider) -> Refused:
        wanted = f"{self._ask.path or self._ask.operation} in {self._ask.dialect.NAME}"
        return Refused(
            Failure(
                Kind.UNSUPPORTED,
                f"{provider.name} speaks {' and '.join(provider.endpoints)}; {wanted} is not translated"
                " to it; ask a model of another provider",
            )
        )


_LONG_CONTEXT = "context-1m-2025-08-07"


def _with_long_context(head: Mapping[str, str]) -> Mapping[str, str]:
    """*head* that asks Anthropic for a window of a million tokens."""
    betas = [beta for beta in head.get("anthropic-beta", "").split(", ") if beta]
    return {**head, "anthropic-beta": ", ".join(dict.fromkeys((*betas, _LONG_CONTEXT)))}


def estimate(request: Request) -> int:
    """About how many tokens *request* has: four bytes of its text, tools and arguments make one."""
    told = (request.system, request.turns, request.tools)
    return len(jsonio.dumps(msgspec.to_builtins(told))) // 4
