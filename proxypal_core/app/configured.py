"""What settings come to: providers, accounts, routes, rests, keys."""

import os
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache, partial
from types import MappingProxyType
from typing import Any
from urllib.parse import unquote, urlsplit

import msgspec

from proxypal_core import routing
from proxypal_core.accounts.account import (
    DISABLED_BY_SETTINGS,
    DISABLED_IN_VAULT,
    Account,
    CredentialKind,
    Secret,
)
from proxypal_core.accounts.affinity import Affinity
from proxypal_core.accounts.client_keys import ClientKey
from proxypal_core.accounts.pool import Pool
from proxypal_core.accounts.profiles import options, resolved, unresolved
from proxypal_core.accounts.rules import Rule
from proxypal_core.accounts.standing import Bookkeeping
from proxypal_core.accounts.verdict import Ladders
from proxypal_core.gateway import access
from proxypal_core.providers import backend
from proxypal_core.providers.catalog import find
from proxypal_core.providers.provider import Provider
from proxypal_core.settings import schema
from proxypal_core.settings.backends import backends_of
from proxypal_core.settings.checks import is_proxy
from proxypal_core.settings.schema import Duration, Network, Settings
from proxypal_core.store import orders
from proxypal_core.store.accounts_db import AccountsDB
from proxypal_core.store.client_keys import kept
from proxypal_core.telemetry import log
from proxypal_core.upstream import demo, proxies
from proxypal_core.wire.jsonio import JsonObject, Malformed


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


def pool_of(
    settings: Settings,
    clock: Callable[[], float],
    kept: AccountsDB,
    changed: Callable[[Bookkeeping], None] | None = None,
    affinity: Affinity | None = None,
) -> Pool:
    """The accounts of *settings*, as they were when an earlier process ended. *changed* is told of
    what is to be kept, if not *kept* itself. *affinity* is another than the usual one.
    """
    pool = Pool(
        accounts_of(settings),
        clock=clock,
        strategy=settings.routing.strategy,
        ladders=ladders_of(settings),
        affinity=affinity
        or (settings.routing.affinity_ttl if settings.routing.session_affinity else 0.0),
        order=order_of(settings),
        changed=changed or kept.put,
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
            settings.routing, order={**orders.kept(bookkeeping), **settings.routing.order}
        ),
        notices=(*settings.notices, *notices),
        bookkeeping=bookkeeping,
    )


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
        proxy = options(profile).proxy
    except Malformed as error:
        return str(error)
    if proxy not in ("", "direct") and not is_proxy(proxy):
        return "its proxy must be the URL of an HTTP or SOCKS5 proxy, or direct"
    if provider is None:
        return f"there is no provider called {name}"
    if not provider.endpoints:
        return f"the address of {name} is not known"
    return ""


def _disabled_where(name: str, settings: Settings) -> str:
    return DISABLED_IN_VAULT if name in settings.kinds else DISABLED_BY_SETTINGS


def accounts_of(settings: Settings) -> Sequence[Account]:
    """The settings' accounts, and those without a key: of programs that they name, and the demo's."""
    return [
        *(
            Account(
                id=row.id,
                provider=settings.provider_of(row.id),
                kind=settings.kinds.get(row.id, "api_key"),
                secret=Secret(str(row.api_key)),
                disabled=_disabled_where(row.id, settings) if row.disabled else "",
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


def client_keys_of(settings: Settings) -> Sequence[ClientKey]:
    """The settings' client keys, and those of the vault."""
    own = [
        ClientKey(
            name=row.name,
            digest=access.digest(row.key),
            models=row.models,
            requests_per_minute=row.requests_per_minute,
            tokens_per_minute=row.tokens_per_minute,
            budget_usd=row.budget_usd,
            expires=access.expiry(row.expires),
        )
        for row in settings.client_keys
    ]
    names = {key.name for key in own}
    return [*own, *(key for key in kept(settings.bookkeeping) if key.name not in names)]


def allowed_hosts_of(settings: Settings) -> frozenset[str]:
    names = (settings.listen.host, *settings.listen.allowed_hosts)
    return frozenset(_as_in_host(name.lower()) for name in names if name)


def _as_in_host(name: str) -> str:
    """*name* as it stands in a Host header, where an IPv6 address has brackets."""
    return f"[{name}]" if ":" in name and not name.startswith("[") else name


def proxy_for(account: Account, url: str, network: Network) -> str:
    """The proxy that a call to *url* takes; the account's own goes before the network's."""
    if account.proxy:
        return "" if account.proxy == "direct" else account.proxy
    return proxy_of(network, url)


def proxies_by(network: Network) -> Callable[[Account, str], str]:
    """``proxy_for``, which looks once at each address. The environment is that of the first time."""
    chosen = lru_cache(maxsize=1024)(partial(proxy_of, network))

    def proxy(account: Account, url: str) -> str:
        if account.proxy:
            return proxy_for(account, url, network)
        return chosen(url)

    return proxy


def proxy_of(network: Network, url: str) -> str:
    return proxies.chosen(url, network.proxy, network.no_proxy, os.environ)


def proxies_of(settings: Settings) -> Sequence[str]:
    """Every proxy that a call may take."""
    named = [settings.network.proxy, *(row.proxy for row in settings.accounts)]
    if settings.network.proxy == proxies.ENVIRONMENT:
        named += proxies.of_environment(os.environ).values()
    return [url for url in dict.fromkeys(named) if is_proxy(url)]


def secrets_of(settings: Settings, admin_key: str) -> frozenset[str]:
    """Every secret, for the log to leave out; *admin_key* is the one in force."""
    found = {admin_key, settings.admin_key, settings.state.url}
    found |= {settings.alerts.webhook, settings.alerts.ntfy}
    found |= {row.api_key for row in settings.accounts}
    found |= {row.key for row in settings.client_keys}
    found |= {row.oauth.client_secret for row in settings.providers}
    found |= {value for row in settings.accounts for value in row.headers.values()}
    found |= {value for row in settings.providers for value in row.headers.values()}
    found |= {value for row in settings.backends.values() for value in row.get("env", {}).values()}
    for url in (settings.state.url, *proxies_of(settings)):
        password = urlsplit(url).password or ""
        found |= {password, unquote(password)}
    return frozenset(str(secret) for secret in found if secret)


def scrubber(settings: Settings, admin_key: str) -> Callable[[str], str]:
    """What takes every secret that is live out of a text."""
    secrets = secrets_of(settings, admin_key)
    return lambda text: log.scrubbed(text, secrets)
