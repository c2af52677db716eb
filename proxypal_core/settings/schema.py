"""Every setting: its name, its type, its default and its one sentence.

``Document`` is what ``config.yaml`` may hold. ``Settings`` is a document that was checked, with
the providers and accounts it leads to.
"""

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal, TypeAlias

import msgspec
from msgspec import Meta

from proxypal_core.providers.catalog import Catalog, find
from proxypal_core.providers.provider import Auth, DialectName


class Row(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A mapping in the file: unknown keys in it are errors."""


class Duration(float):
    """Seconds, written ``90s``, ``5m``, ``1h30m``, ``250ms`` or as a bare number of seconds."""

    __slots__ = ()

    @classmethod
    def read(cls, value: Any) -> "Duration":
        """The duration that *value* spells.

        Raises:
            ValueError: it spells none.
        """
        if isinstance(value, (int, float)) and not isinstance(value, bool) and value >= 0:
            return cls(value)
        match = _DURATION.fullmatch(value) if isinstance(value, str) else None
        if match is None or not any(match.groups()):
            raise ValueError("must be a duration, such as 90s, 5m, 1h30m or 250ms")
        return cls(sum(float(match[unit] or 0) * size for unit, size in _SECONDS.items()))

    def __str__(self) -> str:
        left = round(self * 1000)
        text = ""
        for unit, size in _SECONDS.items():
            many, left = divmod(left, round(size * 1000))
            text += f"{many}{unit}" if many else ""
        return text or "0s"


_SECONDS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}
_DURATION = re.compile(
    r"(?:(?P<h>\d+(?:\.\d+)?)h)?(?:(?P<m>\d+(?:\.\d+)?)m)?"
    r"(?:(?P<s>\d+(?:\.\d+)?)s)?(?:(?P<ms>\d+(?:\.\d+)?)ms)?"
)


class SecretText(str):
    """A string that ``repr`` does not show, so that a printed setting gives nothing away."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "'***'" if self else "''"


Headers: TypeAlias = Mapping[str, SecretText]
Count: TypeAlias = Annotated[int, Meta(ge=0)]
Amount: TypeAlias = Annotated[float, Meta(ge=0)]


# ── the way in ───────────────────────────────────────────────────────────────────────────────


class Tls(Row, frozen=True):
    cert: Annotated[str, Meta(description="Path of the certificate (PEM).")] = ""
    key: Annotated[str, Meta(description="Path of the certificate's private key (PEM).")] = ""


class Listen(Row, frozen=True):
    host: Annotated[
        str, Meta(description="Address to listen on; other than loopback needs client_keys.")
    ] = "127.0.0.1"
    port: Annotated[
        int, Meta(ge=0, le=65535, description="Port to listen on; 0 lets the system choose.")
    ] = 8317
    allowed_hosts: Annotated[
        tuple[str, ...],
        Meta(description="Host names that requests may be addressed to, besides loopback's."),
    ] = ()
    tls: Annotated[Tls, Meta(description="Serve HTTPS with this certificate.")] = Tls()


class ClientKey(Row, frozen=True):
    name: Annotated[str, Meta(description="What the key is called in logs and listings.")]
    key: Annotated[SecretText, Meta(description="The key itself, better as ${NAME}.")]
    models: Annotated[
        tuple[str, ...], Meta(description="Patterns of models it may ask for; none means all.")
    ] = ()
    requests_per_minute: Annotated[
        Count, Meta(description="Requests it may make in a minute; 0 means no limit.")
    ] = 0
    tokens_per_minute: Annotated[
        Count, Meta(description="Tokens it may use in a minute; 0 means no limit.")
    ] = 0
    budget_usd: Annotated[
        Amount, Meta(description="US dollars it may spend in a month; 0 means no limit.")
    ] = 0
    expires: Annotated[
        str, Meta(description="Date (2027-01-31) or time after which it is refused.")
    ] = ""


# ── the way out ──────────────────────────────────────────────────────────────────────────────


class OAuth(Row, frozen=True):
    client_id: Annotated[
        str,
        Meta(description="Your OAuth client at the provider, of the kind for desktop programs."),
    ] = ""
    client_secret: Annotated[
        SecretText, Meta(description="The client's secret, where the provider gives it one.")
    ] = SecretText("")
    authorize_url: Annotated[
        str, Meta(description="Where a browser is sent to log in (authorization code with PKCE).")
    ] = ""
    token_url: Annotated[
        str, Meta(description="Where codes and refresh tokens are exchanged for tokens.")
    ] = ""
    device_url: Annotated[
        str, Meta(description="Where a device code is asked for, to log in on another machine.")
    ] = ""
    scopes: Annotated[tuple[str, ...], Meta(description="What the login may be used for.")] = ()
    redirect_port: Annotated[
        int,
        Meta(ge=0, le=65535, description="Loopback port that the browser comes back to; 0 is any."),
    ] = 0
    issuer: Annotated[
        str, Meta(description="The issuer that the provider names in its answers, to be checked.")
    ] = ""
    extra: Annotated[Mapping[str, str], Meta(description="Parameters added to authorize_url.")] = {}


class ProviderRow(Row, frozen=True):
    name: Annotated[str, Meta(description="The provider's name, as in provider/model.")]
    dialect: Annotated[
        Literal["", "openai-chat", "openai-responses", "anthropic", "gemini"],
        Meta(description="What is spoken at base_url."),
    ] = ""
    base_url: Annotated[
        str, Meta(description="The address that the vendor's SDK takes for this dialect.")
    ] = ""
    endpoints: Annotated[
        Mapping[DialectName, str],
        Meta(description="Instead of dialect and base_url: a base URL for each dialect spoken."),
    ] = {}
    auth: Annotated[
        Auth, Meta(description="How the key travels; empty means as the dialect does it.")
    ] = ""
    headers: Annotated[
        Headers, Meta(description="Headers added to every request to the provider.")
    ] = {}
    models: Annotated[
        tuple[str, ...], Meta(description="Model ids to list, and to find by their bare names.")
    ] = ()
    families: Annotated[
        tuple[str, ...], Meta(description="Patterns of bare model names that belong here.")
    ] = ()
    aliases: Annotated[tuple[str, ...], Meta(description="Other names of the provider.")] = ()
    env: Annotated[
        tuple[str, ...], Meta(description="Environment variables that may hold a key.")
    ] = ()
    oauth: Annotated[
        OAuth, Meta(description="An OAuth client of your own, for proxypal auth login.")
    ] = OAuth()


class Account(Row, frozen=True):
    id: Annotated[str, Meta(description="provider:name, such as openai:work.")]
    api_key: Annotated[
        SecretText,
        Meta(description="The key, better as ${NAME}; unset, the account is left out."),
    ] = SecretText("")
    disabled: Annotated[
        bool, Meta(description="Leave the account alone, without deleting its row.")
    ] = False
    prefix: Annotated[
        str, Meta(description="A name of your own: prefix/model asks only accounts that have it.")
    ] = ""
    priority: Annotated[int, Meta(description="Accounts of the highest priority go first.")] = 0
    weight: Annotated[
        int, Meta(ge=1, description="Its share of the requests under the weighted strategy.")
    ] = 1
    max_concurrency: Annotated[
        Count, Meta(description="Requests it may serve at a time; 0 means no limit.")
    ] = 0
    proxy: Annotated[
        str, Meta(description="Proxy URL for this account; direct for none; empty as network.")
    ] = ""
    models: Annotated[
        tuple[str, ...], Meta(description="Patterns of models it serves; none means all.")
    ] = ()
    excluded_models: Annotated[
        tuple[str, ...], Meta(description="Patterns of models it does not serve.")
    ] = ()
    headers: Annotated[
        Headers, Meta(description="Headers added to every request with this account.")
    ] = {}


class ModelRow(Row, frozen=True):
    name: Annotated[
        str, Meta(description="The name that clients ask for; one * in it stands for any text.")
    ]
    route: Annotated[
        tuple[str, ...],
        Meta(min_length=1, description="Models to try for it; * is what the name's * stood for."),
    ]
    strategy: Annotated[
        Literal["in_order", "spread"],
        Meta(description="Try them one after the other, or let their accounts take turns."),
    ] = "in_order"


class Routing(Row, frozen=True):
    strategy: Annotated[
        Literal["round_robin", "fill_first", "least_busy", "weighted"],
        Meta(description="Which of several ready accounts answers."),
    ] = "round_robin"
    order: Annotated[
        Mapping[str, tuple[str, ...]],
        Meta(description="Ids of a provider's accounts, by provider, in the order to ask them."),
    ] = {}
    fallbacks: Annotated[
        Mapping[str, tuple[str, ...]],
        Meta(description="Models to try after those that a pattern fits, by pattern."),
    ] = {}
    session_affinity: Annotated[
        bool, Meta(description="Keep a conversation on one account, so that prompt caches hit.")
    ] = True
    affinity_ttl: Annotated[
        Duration, Meta(description="How long after its last request a conversation is kept.")
    ] = Duration(3600)
    max_attempts: Annotated[
        int,
        Meta(
            ge=1,
            description="Attempts of a request that may fail; an account that refuses at once,"
            " being limited, without credit or logged out, is not counted.",
        ),
    ] = 4
    wait_up_to: Annotated[
        Duration,
        Meta(description="How long a request waits inside for an account that is ready soon."),
    ] = Duration(5)
    queue_timeout: Annotated[
        Duration,
        Meta(description="How long a request waits for an account at its max_concurrency."),
    ] = Duration(30)


class CooldownRule(Row, frozen=True):
    provider: Annotated[
        str, Meta(description="The provider whose failures it judges; empty means any.")
    ] = ""
    status: Annotated[Count, Meta(description="The status it judges; 0 means any.")] = 0
    text: Annotated[
        str,
        Meta(description="A regular expression to find in what the provider says, in any case."),
    ] = ""
    means: Annotated[
        Literal[
            "",
            "rate_limit",
            "billing",
            "auth",
            "forbidden",
            "overloaded",
            "transient",
            "request",
            "model",
        ],
        Meta(description="What such a failure is taken for; it must be given."),
    ] = ""
    rest: Annotated[
        str,
        Meta(description="A duration to rest instead; 0s means none, empty leaves it as it is."),
    ] = ""


class Cooldowns(Row, frozen=True):
    ladder: Annotated[
        tuple[Duration, ...],
        Meta(min_length=1, description="How long an account rests after each failure in a row."),
    ] = (Duration(60), Duration(300), Duration(1500), Duration(3600))
    billing_backoff_hours: Annotated[
        Amount, Meta(description="First rest of an account without credit; it doubles.")
    ] = 5
    billing_max_hours: Annotated[
        Amount, Meta(description="Longest rest of an account without credit.")
    ] = 24
    failure_window_hours: Annotated[
        Amount, Meta(description="Failures older than this are forgotten.")
    ] = 24
    rules: Annotated[
        tuple[CooldownRule, ...],
        Meta(description="What failures mean, where you know better; the first that fits counts."),
    ] = ()


class Timeouts(Row, frozen=True):
    connect: Annotated[
        Duration, Meta(description="For the connection to a provider to be made.")
    ] = Duration(10)
    first_byte: Annotated[
        Duration, Meta(description="From the request to the first byte of its answer.")
    ] = Duration(300)
    idle: Annotated[Duration, Meta(description="Between two pieces of an answer.")] = Duration(120)


class Streaming(Row, frozen=True):
    hold: Annotated[
        Duration,
        Meta(description="How long a client waits for its status while accounts are tried."),
    ] = Duration(10)
    heartbeat: Annotated[
        Duration, Meta(description="Silence after which a sign of life is sent to the client.")
    ] = Duration(15)


class Network(Row, frozen=True):
    proxy: Annotated[
        str,
        Meta(description="Proxy URL for all providers; environment goes by HTTPS_PROXY and so on."),
    ] = ""
    no_proxy: Annotated[
        str,
        Meta(description="Names, addresses and networks (CIDR) reached without network.proxy."),
    ] = "127.0.0.1,localhost"
    ca_file: Annotated[
        str,
        Meta(description="PEM file of authorities to trust besides the system's."),
    ] = ""


class Media(Row, frozen=True):
    fetch_urls: Annotated[
        bool,
        Meta(description="Fetch files that a request points to for a target that does not."),
    ] = True
    max_bytes: Annotated[
        int, Meta(ge=1, description="Bytes that the fetched files of a request may have together.")
    ] = 20 * 1024 * 1024
    timeout: Annotated[Duration, Meta(description="For all files of a request to be fetched.")] = (
        Duration(10)
    )


# ── what is kept ─────────────────────────────────────────────────────────────────────────────


class Plan(Row, frozen=True):
    name: Annotated[str, Meta(description="What the plan is called.")]
    provider: Annotated[str, Meta(description="The provider whose accounts it pays for.")] = ""
    account: Annotated[
        str, Meta(description="The one account that it pays for, instead of provider.")
    ] = ""
    usd_per_month: Annotated[Amount, Meta(description="What it costs, in US dollars a month.")] = 0


class Usage(Row, frozen=True):
    retain_days: Annotated[
        Count, Meta(description="Days that records of requests are kept; 0 means for ever.")
    ] = 30
    capture_bodies: Annotated[
        Literal["none", "errors", "all"],
        Meta(description="Whose requests and answers are kept word for word."),
    ] = "none"
    plans: Annotated[
        tuple[Plan, ...],
        Meta(description="Subscriptions you pay for, to compare what they gave with their price."),
    ] = ()


class Alerts(Row, frozen=True):
    webhook: Annotated[
        SecretText, Meta(description="An address to which alerts are posted as JSON.")
    ] = SecretText("")
    ntfy: Annotated[
        SecretText, Meta(description="An ntfy topic's address, such as https://ntfy.sh/topic.")
    ] = SecretText("")
    desktop: Annotated[
        bool, Meta(description="Show alerts on the desktop of the daemon's machine.")
    ] = False
    on: Annotated[
        tuple[Literal["dry", "back", "login"], ...],
        Meta(
            description="What is told: an account rests for five minutes or longer for its limit or"
            " credit, is back, or needs a login."
        ),
    ] = ("dry", "back", "login")


class State(Row, frozen=True):
    backend: Annotated[
        Literal["local", "redis"],
        Meta(description="Where this daemon shares what replicas must share; local is not at all."),
    ] = "local"
    url: Annotated[
        SecretText,
        Meta(description="Address of the Redis or Valkey server (redis://, rediss:// or unix://)."),
    ] = SecretText("")
    tenant: Annotated[
        str, Meta(description="Name that keeps several installations apart in one Redis.")
    ] = ""


class Vault(Row, frozen=True):
    key_source: Annotated[
        Literal["auto", "keyring", "file", "passphrase", "environment"],
        Meta(description="Where the key that encrypts the vault comes from."),
    ] = "auto"


class Logging(Row, frozen=True):
    level: Annotated[
        Literal["debug", "info", "warning", "error"], Meta(description="Least level logged.")
    ] = "info"
    format: Annotated[
        Literal["text", "json"], Meta(description="Lines for people, or for machines.")
    ] = "text"
    file: Annotated[
        str, Meta(description="A file to log to, rotated; empty means standard error.")
    ] = ""
    max_bytes: Annotated[
        int, Meta(ge=1024, description="Size at which the file is put aside and another is begun.")
    ] = 10 * 1024 * 1024
    keep: Annotated[int, Meta(ge=1, description="Earlier files that are kept.")] = 5


class Telemetry(Row, frozen=True):
    otlp_endpoint: Annotated[
        str,
        Meta(description="An OpenTelemetry collector's base URL, for spans; needs the otel extra."),
    ] = ""


# ── the whole ────────────────────────────────────────────────────────────────────────────────


class Document(Row, frozen=True):
    """What ``config.yaml`` may hold."""

    listen: Annotated[Listen, Meta(description="Where clients connect.")] = Listen()
    client_keys: Annotated[
        tuple[ClientKey, ...],
        Meta(description="Keys that clients must show; none leaves loopback open."),
    ] = ()
    admin_key: Annotated[
        SecretText, Meta(description="Key for /api and the dashboard; empty means one is made.")
    ] = SecretText("")
    providers: Annotated[
        tuple[ProviderRow, ...],
        Meta(description="Providers added to the built-in ones, or overriding them."),
    ] = ()
    accounts: Annotated[
        tuple[Account, ...],
        Meta(description="API keys given here; other credentials live in the vault."),
    ] = ()
    models: Annotated[
        tuple[ModelRow, ...], Meta(description="Your own names for models and chains of them.")
    ] = ()
    routing: Annotated[Routing, Meta(description="How accounts are chosen.")] = Routing()
    cooldowns: Annotated[
        Cooldowns, Meta(description="How long an account rests after a failure.")
    ] = Cooldowns()
    timeouts: Annotated[Timeouts, Meta(description="How long to wait for a provider.")] = Timeouts()
    streaming: Annotated[Streaming, Meta(description="What a waiting client is sent.")] = (
        Streaming()
    )
    strict: Annotated[
        bool,
        Meta(description="Refuse a request with a field the target cannot carry, not drop it."),
    ] = False
    backends: Annotated[
        Mapping[str, Mapping[str, Any]],
        Meta(description="Command-line tools as providers, by name; keys as in OpenClaw."),
    ] = {}
    network: Annotated[Network, Meta(description="The way to the providers.")] = Network()
    media: Annotated[Media, Meta(description="Images and files given by their address.")] = Media()
    usage: Annotated[Usage, Meta(description="Records of what was used.")] = Usage()
    alerts: Annotated[Alerts, Meta(description="Being told when an account changes.")] = Alerts()
    state: Annotated[State, Meta(description="Sharing between installations.")] = State()
    vault: Annotated[Vault, Meta(description="Encrypted credentials.")] = Vault()
    logging: Annotated[Logging, Meta(description="The program's own log.")] = Logging()
    telemetry: Annotated[Telemetry, Meta(description="Spans for other programs.")] = Telemetry()


class Settings(Document, frozen=True):
    """A document that was checked.

    ``accounts`` also holds those that come from the environment; ``catalog`` holds every provider,
    built in or from the document; ``kinds`` says what is not an API key, by the account's id;
    ``notices`` say what was left out and why; ``bookkeeping`` is the vault's.
    """

    catalog: Catalog = {}
    kinds: Mapping[str, Literal["oauth", "token", "api_key"]] = {}
    notices: tuple[str, ...] = ()
    bookkeeping: Mapping[str, Any] = {}

    def provider_of(self, account_id: str) -> str:
        """The name of the provider that *account_id* begins with, which may be an alias."""
        name = account_id.partition(":")[0]
        provider = find(self.catalog, name)
        return provider.name if provider else name
