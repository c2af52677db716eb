"""What a well-formed document may still have wrong with it: one function a rule or a section."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from ipaddress import ip_address
from urllib.parse import urlsplit

from proxypal_core.providers.catalog import Catalog, find, variables
from proxypal_core.settings.backends import backend_problems
from proxypal_core.settings.reading import Problem, did_you_mean
from proxypal_core.settings.schema import ClientKey, Document

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
_PROXY_SCHEMES = ("http", "https")


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
            yield Problem(f"{path}.key", "must not be empty")
        if any(row.key == other.key for other in keys[:at] if row.key):
            yield Problem(f"{path}.key", "is the same as an earlier row's")
        yield from _sample(f"{path}.key", row.key)
        if row.expires and not _is_date(row.expires):
            yield Problem(f"{path}.expires", "must be a date such as 2027-01-31")


def _admin_key(document: Document, catalog: Catalog) -> Iterator[Problem]:
    yield from _sample("admin_key", document.admin_key)
    if document.admin_key and any(row.key == document.admin_key for row in document.client_keys):
        yield Problem("admin_key", "must not be a client's key as well")


def _providers(document: Document, catalog: Catalog) -> Iterator[Problem]:
    rows = document.providers
    yield from _repeated(("providers[{}].name", row.name) for row in rows)
    for at, row in enumerate(rows):
        path = f"providers[{at}]"
        if "/" in row.name or ":" in row.name or not row.name:
            yield Problem(f"{path}.name", "must not be empty, nor hold '/' or ':'")
        if row.endpoints and (row.base_url or row.dialect):
            yield Problem(f"{path}.endpoints", "stands instead of dialect and base_url")
        if row.base_url and not row.dialect:
            yield Problem(f"{path}.dialect", "is required with base_url")
        if row.dialect and not row.base_url:
            yield Problem(f"{path}.base_url", "is required with dialect")
        if row.base_url:
            yield from _address(f"{path}.base_url", row.base_url)
        for dialect, url in row.endpoints.items():
            yield from _address(f"{path}.endpoints.{dialect}", url)
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
                yield Problem(f"{path}.aliases", f"{name} is already the name of {other.name}")


def _accounts(document: Document, catalog: Catalog) -> Iterator[Problem]:
    yield from _repeated(("accounts[{}].id", row.id) for row in document.accounts)
    for at, row in enumerate(document.accounts):
        path = f"accounts[{at}]"
        name, colon, rest = row.id.partition(":")
        provider = find(catalog, name)
        if not (name and colon and rest):
            yield Problem(f"{path}.id", "must be provider:name", f"such as {name or 'openai'}:work")
        if provider is None:
            hint = did_you_mean(name, _names(catalog)) or "add it under providers"
            yield Problem(f"{path}.id", f"there is no provider called {name or '(nothing)'}", hint)
        elif not provider.endpoints:
            yield Problem(
                f"{path}.id", f"the address of {provider.name} is not known", _address_hint(name)
            )
        elif not row.api_key and not provider.keyless:
            hint = f"such as ${{{provider.env[0]}}}" if provider.env else ""
            yield Problem(f"{path}.api_key", "is required", hint)
        if row.proxy != "direct":
            yield from _proxy(f"{path}.proxy", row.proxy)


def _models(document: Document, catalog: Catalog) -> Iterator[Problem]:
    rows = document.models
    yield from _repeated(("models[{}].name", row.name) for row in rows)
    routes = {row.name: row.route for row in rows}
    for at, row in enumerate(rows):
        if not row.name:
            yield Problem(f"models[{at}].name", "must not be empty")
        if row.name in _reached(row.name, routes):
            yield Problem(
                f"models[{at}].route",
                f"leads back to {row.name}",
                "write provider/model to mean the provider's model of that name",
            )


def _network(document: Document, catalog: Catalog) -> Iterator[Problem]:
    yield from _proxy("network.proxy", document.network.proxy)


def _state(document: Document, catalog: Catalog) -> Iterator[Problem]:
    if document.state.backend == "redis" and not document.state.url:
        yield Problem("state.url", "is required with backend: redis", "such as redis://127.0.0.1")


def _backends(document: Document, catalog: Catalog) -> Iterator[Problem]:
    for name, backend in document.backends.items():
        yield from backend_problems(name, backend)
        if find(catalog, name) is not None:
            yield Problem(f"backends.{name}", "is already the name of a provider")


_RULES: tuple[Callable[[Document, Catalog], Iterator[Problem]], ...] = (
    _listen,
    _client_keys,
    _admin_key,
    _providers,
    _accounts,
    _models,
    _network,
    _state,
    _backends,
)


# ── what the rules share ─────────────────────────────────────────────────────────────────────


def _repeated(names: Iterable[tuple[str, str]]) -> Iterator[Problem]:
    first: dict[str, str] = {}
    for at, (path, name) in enumerate(names):
        where = path.format(at)
        if name in first:
            yield Problem(where, f"{name} is there already, at {first[name]}")
        first.setdefault(name, where)


def _sample(path: str, key: str) -> Iterator[Problem]:
    if key in _SAMPLE_KEYS:
        yield Problem(path, "is a key from a published example", "make one: openssl rand -hex 24")


def _address(path: str, url: str) -> Iterator[Problem]:
    try:
        parts = urlsplit(url)
        good = parts.scheme in ("http", "https") and bool(parts.hostname) and not parts.fragment
        _ = parts.port
    except ValueError:
        good = False
    if not good:
        yield Problem(path, f"is not an address: {url}", "such as https://api.example.com/v1")


def _proxy(path: str, url: str) -> Iterator[Problem]:
    if not url:
        return
    try:
        parts = urlsplit(url)
        good = parts.scheme in _PROXY_SCHEMES and bool(parts.hostname)
    except ValueError:
        good = False
    if not good:
        yield Problem(path, "must be an HTTP proxy", "such as http://127.0.0.1:8080")


def _address_hint(name: str) -> str:
    needed = variables(name)
    return f"set {' and '.join(needed)}" if needed else f"add {name} under providers"


def _names(catalog: Catalog) -> list[str]:
    return [name for row in catalog.values() for name in (row.name, *row.aliases)]


def _reached(start: str, routes: Mapping[str, tuple[str, ...]]) -> set[str]:
    """Every name that the route of *start* leads to."""
    reached: set[str] = set()
    ahead = [*routes[start]]
    while ahead:
        name = ahead.pop()
        if name not in reached:
            reached.add(name)
            ahead += routes.get(name, ())
    return reached


def _is_date(text: str) -> bool:
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return False
    return True
