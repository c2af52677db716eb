"""What routing knows: providers, the accounts there, and the user's own names for models."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

import msgspec

from proxypal_core.accounts.account import Account, matches
from proxypal_core.accounts.lease import Target
from proxypal_core.hub.messages import ModelInfo, Record
from proxypal_core.providers.provider import Provider
from proxypal_core.routing.names import canonical


class Route(Record, frozen=True):
    """What ``name`` stands for; one ``*`` in it stands for any text, and in ``members`` for the same
    text. ``spread``: the members share their turn instead of coming one after the other.
    """

    name: str
    members: tuple[str, ...]
    spread: bool = False


class RouteBook(msgspec.Struct, frozen=True):
    """What routing knows.

    ``names`` are the providers' names and aliases; ``accounts`` are grouped by provider; ``routes``
    and ``fallbacks`` are by canonical name. ``prefixes`` holds, for each prefix, what its accounts
    alone would make of a name. ``if_enabled`` is this book as it would be if nothing were disabled,
    None where that is so. ``resolved`` remembers names that were asked for.
    """

    providers: Mapping[str, Provider]
    names: Mapping[str, str]
    accounts: Mapping[str, Sequence[Account]]
    routes: Mapping[str, Route]
    fallbacks: Mapping[str, Route]
    prefixes: Mapping[str, "RouteBook"] = {}
    if_enabled: "RouteBook | None" = None
    resolved: dict[tuple[str, str], tuple[Target, ...]] = {}


def route_book(
    providers: Iterable[Provider],
    accounts: Iterable[Account],
    routes: Mapping[str, Sequence[str]],
    *,
    spread: Collection[str] = (),
    fallbacks: Mapping[str, Sequence[str]] | None = None,
    last_resort: str = "",
) -> RouteBook:
    """The book of *providers*, in order of preference, of *accounts* and of *routes*.

    *spread* names the routes whose members share their turn. *fallbacks* are tried after the models
    that their names fit. *last_resort* is the provider that ``auto`` asks only when it is alone.
    """
    rows = {provider.name: provider for provider in providers}
    aliases = {alias: row.name for row in rows.values() for alias in row.aliases}
    everyone = tuple(accounts)
    book = RouteBook(
        rows,
        aliases | {name: name for name in rows},
        {},
        _routes(routes, spread),
        _routes(fallbacks or {}),
    )
    enabled = [account for account in everyone if not account.disabled]
    full = _with_accounts(book, enabled, last_resort)
    if len(enabled) == len(everyone):
        return full
    return msgspec.structs.replace(full, if_enabled=_with_accounts(book, everyone, last_resort))


def listing(book: RouteBook) -> tuple[ModelInfo, ...]:
    """What can be asked for by name: the routes, then the known models of providers with an account
    that serves them, as ``provider/model``.
    """
    routes = tuple(ModelInfo(name, "proxypal") for name in book.routes if "*" not in name)
    models = tuple(
        ModelInfo(f"{target.provider}/{target.model}", target.provider)
        for target in known_targets(book)
    )
    return tuple({model.id: model for model in routes + models}.values())


# ── what is in it ────────────────────────────────────────────────────────────────────────────


def route_for(model: str, book: RouteBook) -> Route | None:
    """The route that *model* leads to. A pattern without ``/`` is for names without: who names a
    provider means it.
    """
    routes = book.routes
    if "/" in model:
        routes = {name: route for name, route in routes.items() if "/" in name}
    return route_of((model, canonical(model)), routes)


def route_of(names: Sequence[str], routes: Mapping[str, Route]) -> Route | None:
    """The one of *routes* that is called by one of *names*; failing that, the one whose pattern is
    the longest that fits, with its ``*`` filled in.
    """
    exact = next((routes[name] for name in names if name in routes), None)
    if exact is not None:
        return exact
    fitting = [
        (route, name)
        for route in routes.values()
        if "*" in route.name
        for name in names
        if matches(name, (route.name,))
    ]
    if not fitting:
        return None
    route, name = max(fitting, key=lambda found: len(found[0].name))
    before, _, after = route.name.partition("*")
    star = name[len(before) : len(name) - len(after)]
    return msgspec.structs.replace(
        route, members=tuple(member.replace("*", star) for member in route.members)
    )


def is_family(provider: Provider, model: str) -> bool:
    """Whether *model*, a name without provider, is by its looks one of *provider*'s own."""
    patterns = [pattern for pattern in provider.families if "/" in pattern or "/" not in model]
    return matches(canonical(model), patterns)


def knows(provider: Provider, model: str, book: RouteBook) -> bool:
    key = canonical(model)
    return any(canonical(name) == key for name in provider.models) or any(
        matches(name, account.models)
        for account in book.accounts.get(provider.name, ())
        for name in (model, key)
    )


def listed_models(provider: str, book: RouteBook) -> Sequence[str]:
    """The ids that the row of *provider* and its accounts spell out."""
    named = (
        name
        for account in book.accounts.get(provider, ())
        for name in account.models
        if "*" not in name
    )
    return tuple(dict.fromkeys((*book.providers[provider].models, *named)))


def known_targets(book: RouteBook) -> Iterator[Target]:
    """Every model that is spelt out somewhere and has an account."""
    for provider in book.providers:
        for model in listed_models(provider, book):
            target = Target(provider, model)
            if serving(target, book):
                yield target


def serving(target: Target, book: RouteBook) -> list[Account]:
    """The accounts that serve *target*, ready or not."""
    return [
        account
        for account in book.accounts.get(target.provider, ())
        if target.prefix in ("", account.prefix) and account.serves(target.model)
    ]


def provider_of(profile: str, book: RouteBook) -> str:
    head = profile.partition(":")[0]
    return book.names.get(head, head)


# ── how it is made ───────────────────────────────────────────────────────────────────────────


def _routes(rows: Mapping[str, Sequence[str]], spread: Collection[str] = ()) -> Mapping[str, Route]:
    return {
        canonical(name): Route(canonical(name), tuple(members), name in spread)
        for name, members in rows.items()
    }


def _with_accounts(book: RouteBook, accounts: Sequence[Account], last_resort: str) -> RouteBook:
    """*book* with *accounts*, and with what follows from them: ``auto`` and the prefixes."""
    grouped: dict[str, list[Account]] = {}
    for account in accounts:
        grouped.setdefault(account.provider, []).append(account)
    full = msgspec.structs.replace(book, accounts=grouped)
    routes = dict(book.routes)
    auto = _one_of_each(full, last_resort)
    if auto:
        routes.setdefault("auto", Route("auto", auto))
    prefixes = dict.fromkeys(account.prefix for account in accounts if account.prefix)
    return msgspec.structs.replace(
        full, routes=routes, prefixes={prefix: _behind(prefix, full) for prefix in prefixes}
    )


def _one_of_each(book: RouteBook, last_resort: str) -> tuple[str, ...]:
    """The first model of every provider that has an account for it; *last_resort*'s only when there
    is no other.
    """
    first: dict[str, str] = {}
    for target in known_targets(book):
        first.setdefault(target.provider, f"{target.provider}/{target.model}")
    others = tuple(model for provider, model in first.items() if provider != last_resort)
    return others or tuple(first.values())


def _behind(prefix: str, book: RouteBook) -> RouteBook:
    """*book* as those see it who put *prefix* before a name: its accounts and their providers."""
    accounts = {
        name: [account for account in group if account.prefix == prefix]
        for name, group in book.accounts.items()
    }
    accounts = {name: group for name, group in accounts.items() if group}
    return RouteBook(
        {name: row for name, row in book.providers.items() if name in accounts},
        {alias: name for alias, name in book.names.items() if name in accounts},
        accounts,
        routes={},
        fallbacks={},
    )
