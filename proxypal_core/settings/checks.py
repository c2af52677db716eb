"""What a well-formed document may still have wrong with it: one function a rule or a section."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from ipaddress import ip_address
from urllib.parse import urlsplit

import msgspec

from proxypal_core.providers.catalog import Catalog, find, variables
from proxypal_core.settings.backends import backend_problems
from proxypal_core.settings.reading import Problem, did_you_mean
from proxypal_core.settings.schema import ClientKey, Document, Duration, OAuth

# Keys that stand in published examples, ours and other programs': somebody tries them.
_SAMPLE_KEYS = frozenset(
    {
        "…",
        "...",
        "changeme",
        "change-me",
        "dummy",
        "proxypal-local",
        "proxypal-mgmt-key",
        "secret",
        "sk-1234",
        "sk-dummy",
        "your-api-key",
        "your-api-key-1",
        "your-api-key-2",
        "your-api-key-3",
        "your-key-here",
    }
)
_PROXY_SCHEMES = ("http", "https", "socks5", "socks5h")
_LONGEST_EXPRESSION = 500
_AN_ADDRESS = "such as https://api.example.com/v1"
_PREFIX = re.compile(r"[a-z0-9][a-z0-9._-]*")
_RENAME = "choose another"
_NEW_KEY = "make one: openssl rand -hex 24"


def check(document: Document, catalog: Catalog) -> Iterator[Problem]:
    """Everything wrong with *document*, whose providers are in *catalog*."""
    for rule in _RULES:
        yield from rule(document, catalog)


def exposed(host: str, client_keys: Iterable[ClientKey]) -> Problem | None:
    """The problem with listening on *host*: beyond loopback, clients must show a key."""
    if is_loopback(host) or any(True for _ in client_keys):
        return None
    return Problem(
        "listen.host",
        f"{host or 'an empty address'} can be reached from other machines, and anybody could use "
        "your accounts",
        "add a key under client_keys, or listen on 127.0.0.1",
    )


def is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


# ── rules ────────────────────────────────────────────────────────────────────────────────────


def _listen(document: Document, catalog: Catalog) -> Iterator[Problem]:
    problem = exposed(document.listen.host, document.client_keys)
    if problem is not None:
        yield problem
    tls = document.listen.tls
    if bool(tls.cert) != bool(tls.key):
        missing = "key" if tls.cert else "cert"
        yield Problem(f"listen.tls.{missing}", "is required: HTTPS needs cert and key")


def _client_keys(document: Document, catalog: Catalog) -> Iterator[Problem]:
    keys = document.client_keys
    yield from _repeated(("client_keys[{}].name", row.name) for row in keys)
    for at, row in enumerate(keys):
        path = f"client_keys[{at}]"
        if not row.key:
            yield Problem(f"{path}.key", "must not be empty", _NEW_KEY)
        if any(row.key == other.key for other in keys[:at] if row.key):
            yield Problem(f"{path}.key", "is the same as an earlier row's", _NEW_KEY)
        yield from _sample(f"{path}.key", row.key)
        if row.expires and not _is_date(row.expires):
            yield Problem(f"{path}.expires", "must be a date such as 2027-01-31")


def _admin_key(document: Document, catalog: Catalog) -> Iterator[Problem]:
    yield from _sample("admin_key", document.admin_key)
    if document.admin_key and any(row.key == document.admin_key for row in document.client_keys):
        yield Problem("admin_key", "must not be a client's key as well", _NEW_KEY)


def _providers(document: Document, catalog: Catalog) -> Iterator[Problem]:
    rows = document.providers
    yield from _repeated(("providers[{}].name", row.name) for row in rows)
    for at, row in enumerate(rows):
        path = f"providers[{at}]"
        if "/" in row.name or ":" in row.name or not row.name:
            yield Problem(f"{path}.name", "must not be empty, nor hold '/' or ':'")
        if row.endpoints and (row.base_url or row.dialect):
            yield Problem(
                f"{path}.endpoints", "stands instead of dialect and base_url", "leave either out"
            )
        if row.base_url and not row.dialect:
            yield Problem(f"{path}.dialect", "is required with base_url", "such as openai-chat")
        if row.dialect and not row.base_url:
            yield Problem(f"{path}.base_url", "is required with dialect", _AN_ADDRESS)
        if row.base_url:
            yield from _address(f"{path}.base_url", row.base_url)
        for dialect, url in row.endpoints.items():
            yield from _address(f"{path}.endpoints.{dialect}", url)
        yield from _oauth(f"{path}.oauth", row.oauth)
        provider = find(catalog, row.name)
        if not (row.endpoints or row.base_url) and (provider is None or not provider.endpoints):
            yield Problem(
                path,
                f"{row.name} is not a built-in provider, so it needs an address",
                "give dialect and base_url",
            )
        for other in catalog.values():
            taken = {other.name, *other.aliases}.intersection(row.aliases)
            if taken and other is not provider:
                name = min(taken)
                yield Problem(
                    f"{path}.aliases", f"{name} is already the name of {other.name}", _RENAME
                )


def _oauth(path: str, row: OAuth) -> Iterator[Problem]:
    if row == OAuth():
        return
    for name in ("client_id", "token_url"):
        if not getattr(row, name):
            yield Problem(
                f"{path}.{name}", "is required", "the provider tells it to those who register there"
            )
    if not (row.authorize_url or row.device_url):
        yield Problem(f"{path}.authorize_url", "is required, or device_url")
    for name in ("authorize_url", "token_url", "device_url"):
        url = getattr(row, name)
        if url:
            yield from _confidential(f"{path}.{name}", url)


def _accounts(document: Document, catalog: Catalog) -> Iterator[Problem]:
    yield from _repeated(("accounts[{}].id", row.id) for row in document.accounts)
    for at, row in enumerate(document.accounts):
        path = f"accounts[{at}]"
        name, colon, rest = row.id.partition(":")
        provider = find(catalog, name)
        if not (name and colon and rest):
            yield Problem(f"{path}.id", "must be provider:name", f"such as {name or 'openai'}:work")
        if provider is None:
            yield _stranger(f"{path}.id", name, _names(catalog))
        elif not provider.endpoints:
            yield Problem(
                f"{path}.id", f"the address of {provider.name} is not known", _address_hint(name)
            )
        elif not row.api_key and not provider.keyless:
            variable = provider.env[0] if provider.env else "VARIABLE"
            yield Problem(f"{path}.api_key", "is required", f"such as ${{{variable}}}")
        if row.proxy != "direct":
            yield from _proxy(f"{path}.proxy", row.proxy)
        yield from _prefix(f"{path}.prefix", row.prefix, document, catalog)


def _models(document: Document, catalog: Catalog) -> Iterator[Problem]:
    rows = document.models
    yield from _repeated(("models[{}].name", row.name) for row in rows)
    routes = {row.name: row.route for row in rows}
    for at, row in enumerate(rows):
        if not row.name:
            yield Problem(f"models[{at}].name", "must not be empty", "such as smart")
        yield from _stars(f"models[{at}].name", row.name, f"models[{at}].route", row.route)
        back = _way_back(row.name, routes)
        if back:
            yield Problem(
                f"models[{at}].route",
                f"leads back to itself: {' → '.join(back)}",
                "write provider/model to mean the provider's model of that name",
            )


def _order(document: Document, catalog: Catalog) -> Iterator[Problem]:
    owners: dict[str, str] = {}
    for name, ids in document.routing.order.items():
        path = f"routing.order.{name}"
        owner = _owner(name, document, catalog)
        if not owner:
            yield _stranger(path, name, [*_names(catalog), *document.backends])
            continue
        if owner in owners:
            yield Problem(path, f"is the same provider as {owners[owner]}", "keep one")
        owners[owner] = name
        yield from _repeated((f"{path}[{{}}]", account) for account in ids)
        for at, account in enumerate(ids):
            head, colon, rest = account.partition(":")
            if not (colon and rest and _owner(head, document, catalog) == owner):
                yield Problem(f"{path}[{at}]", f"is no account of {owner}", f"ids are {owner}:name")


def _fallbacks(document: Document, catalog: Catalog) -> Iterator[Problem]:
    for pattern, models in document.routing.fallbacks.items():
        path = f"routing.fallbacks.{pattern}"
        yield from _stars(path, pattern, path, models)


def _cooldown_rules(document: Document, catalog: Catalog) -> Iterator[Problem]:
    for at, row in enumerate(document.cooldowns.rules):
        path = f"cooldowns.rules[{at}]"
        if not row.means:
            yield Problem(f"{path}.means", "is required", "such as rate_limit")
        if not row.status and not row.text:
            yield Problem(path, "would fit every failure", "give a status or a text")
        if row.provider and not _owner(row.provider, document, catalog):
            known = [*_names(catalog), *document.backends]
            yield _stranger(f"{path}.provider", row.provider, known)
        yield from _expression(f"{path}.text", row.text)
        if row.rest:
            yield from _duration(f"{path}.rest", row.rest)


def _network(document: Document, catalog: Catalog) -> Iterator[Problem]:
    if document.network.proxy != "environment":
        yield from _proxy("network.proxy", document.network.proxy)


def _plans(document: Document, catalog: Catalog) -> Iterator[Problem]:
    for at, row in enumerate(document.usage.plans):
        path = f"usage.plans[{at}]"
        if bool(row.provider) == bool(row.account):
            yield Problem(f"{path}.provider", "or account is required, and not both")
        elif row.provider and _owner(row.provider, document, catalog) != row.provider:
            owner = _owner(row.provider, document, catalog)
            problem = _stranger(f"{path}.provider", row.provider, _names(catalog))
            yield msgspec.structs.replace(problem, hint=f"write {owner}") if owner else problem


def _alerts(document: Document, catalog: Catalog) -> Iterator[Problem]:
    for name in ("webhook", "ntfy"):
        url = getattr(document.alerts, name)
        if url and any(_address("", url)):  # who has the address can post: it is not repeated
            yield Problem(f"alerts.{name}", "is not an address", "such as https://ntfy.sh/a-topic")


def _telemetry(document: Document, catalog: Catalog) -> Iterator[Problem]:
    endpoint = document.telemetry.otlp_endpoint
    if endpoint:
        yield from _address("telemetry.otlp_endpoint", endpoint)


def _state(document: Document, catalog: Catalog) -> Iterator[Problem]:
    url = str(document.state.url)
    if document.state.backend == "redis" and not url:
        yield Problem("state.url", "is required with backend: redis", "such as redis://127.0.0.1")
    elif url and urlsplit(url).scheme not in ("redis", "rediss", "unix"):
        yield Problem("state.url", "is not the address of a Redis", "such as redis://127.0.0.1")
    if set(document.state.tenant) & set("{}\n"):
        yield Problem("state.tenant", "has a brace in it", "use letters, digits and dashes")


def _backends(document: Document, catalog: Catalog) -> Iterator[Problem]:
    for name, backend in document.backends.items():
        yield from backend_problems(name, backend)
        if find(catalog, name) is not None:
            yield Problem(f"backends.{name}", "is already the name of a provider", _RENAME)


_RULES: tuple[Callable[[Document, Catalog], Iterator[Problem]], ...] = (
    _listen,
    _client_keys,
    _admin_key,
    _providers,
    _accounts,
    _models,
    _order,
    _fallbacks,
    _cooldown_rules,
    _network,
    _plans,
    _alerts,
    _state,
    _telemetry,
    _backends,
)


# ── what the rules share ─────────────────────────────────────────────────────────────────────


def _repeated(names: Iterable[tuple[str, str]]) -> Iterator[Problem]:
    first: dict[str, str] = {}
    for at, (path, name) in enumerate(names):
        where = path.format(at)
        if name in first:
            yield Problem(where, f"{name} is there already, at {first[name]}", "keep one")
        first.setdefault(name, where)


def _stranger(path: str, name: str, known: Iterable[str]) -> Problem:
    hint = did_you_mean(name, known) or "add it under providers"
    return Problem(path, f"there is no provider called {name or '(nothing)'}", hint)


def _sample(path: str, key: str) -> Iterator[Problem]:
    if key in _SAMPLE_KEYS:
        yield Problem(path, "is a key from a published example", _NEW_KEY)


def _prefix(path: str, prefix: str, document: Document, catalog: Catalog) -> Iterator[Problem]:
    if not prefix:
        return
    if not _PREFIX.fullmatch(prefix):
        yield Problem(path, "must be a-z, 0-9, '.', '_' or '-', and begin with a letter or a digit")
    elif prefix == "demo" or _owner(prefix, document, catalog):
        yield Problem(path, f"{prefix} is already the name of a provider", _RENAME)
    elif any(row.name == prefix for row in document.models):
        yield Problem(path, f"{prefix} is already the name of a route, under models", _RENAME)


def _stars(
    name_path: str, name: str, members_path: str, members: Iterable[str]
) -> Iterator[Problem]:
    if name.count("*") > 1:
        yield Problem(name_path, "must not have more than one *", "write two patterns")
    for at, member in enumerate(members):
        if "*" in member and "*" not in name:
            yield Problem(
                f"{members_path}[{at}]",
                f"has a *, and {name} has none that it could stand for",
                "write a whole name",
            )


def _expression(path: str, text: str) -> Iterator[Problem]:
    if len(text) >= _LONGEST_EXPRESSION:
        yield Problem(
            path, f"must be shorter than {_LONGEST_EXPRESSION} characters", "write two rules"
        )
        return
    try:
        re.compile(text)
    except re.error as error:
        yield Problem(
            path, f"is not a regular expression: {error}", "write \\ before what means itself"
        )


def _duration(path: str, text: str) -> Iterator[Problem]:
    try:
        Duration.read(text)
    except ValueError as error:
        yield Problem(path, str(error))


def _address(path: str, url: str) -> Iterator[Problem]:
    try:
        parts = urlsplit(url)
        good = parts.scheme in ("http", "https") and bool(parts.hostname) and not parts.fragment
        _ = parts.port
    except ValueError:
        good = False
    if not good:
        yield Problem(path, f"is not an address: {url}", _AN_ADDRESS)


def _confidential(path: str, url: str) -> Iterator[Problem]:
    """*url* is one that secrets go to: over TLS, or within this machine."""
    problems = list(_address(path, url))
    yield from problems
    parts = urlsplit(url)
    if not problems and parts.scheme != "https" and not is_loopback(parts.hostname or ""):
        yield Problem(path, "must begin with https://, since secrets go there")


def _proxy(path: str, url: str) -> Iterator[Problem]:
    if url and not is_proxy(url):
        yield Problem(
            path,
            "must be the URL of an HTTP proxy, or of a SOCKS5 proxy",
            "such as http://127.0.0.1:8080 or socks5h://127.0.0.1:1080",
        )


def is_proxy(url: str) -> bool:
    """Whether *url* is that of a proxy that can be used."""
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return False
    return parts.scheme in _PROXY_SCHEMES and bool(parts.hostname)


def _address_hint(name: str) -> str:
    needed = variables(name)
    return f"set {' and '.join(needed)}" if needed else f"add {name} under providers"


def _owner(name: str, document: Document, catalog: Catalog) -> str:
    """The provider or command-line tool called *name*, by any of its names; empty for none."""
    provider = find(catalog, name)
    return provider.name if provider else name if name in document.backends else ""


def _names(catalog: Catalog) -> list[str]:
    return [name for row in catalog.values() for name in (row.name, *row.aliases)]


def _way_back(start: str, routes: Mapping[str, tuple[str, ...]]) -> tuple[str, ...]:
    """The names over which the route of *start* leads back to it, with both ends; empty where it does
    not. The name of a route in its own chain is no way back: it means the model of that name.
    """
    ways: list[tuple[str, ...]] = [(start,)]
    seen: set[str] = set()
    while ways:
        way = ways.pop()
        for name in routes.get(way[-1], ()):
            if name == start != way[-1]:
                return (*way, start)
            if name != way[-1] and name not in seen:
                seen.add(name)
                ways.append((*way, name))
    return ()


def _is_date(text: str) -> bool:
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return False
    return True
