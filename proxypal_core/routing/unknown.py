"""Why nobody serves a name, and what would help."""

from collections.abc import Iterable
from difflib import get_close_matches

from proxypal_core.accounts.account import DISABLED_IN_VAULT, masked
from proxypal_core.providers.backend import SCHEME
from proxypal_core.providers.provider import Provider
from proxypal_core.routing.book import RouteBook, is_family, knows, listing, route_for, serving
from proxypal_core.routing.names import ModelName
from proxypal_core.routing.targets import UnknownModel, targets_of


def unknown(wanted: ModelName, book: RouteBook, prefer: str) -> UnknownModel:
    """Why nobody serves *wanted*: the first reason that applies."""
    for reason in (_all_disabled, _badly_pinned, _route_to_nowhere, _no_account, _all_limited):
        message = reason(wanted, book, prefer)
        if message:
            return UnknownModel(message)
    return _unheard_of(wanted.model, book)


def _all_disabled(wanted: ModelName, book: RouteBook, prefer: str) -> str:
    if book.if_enabled is None:
        return ""
    try:
        targets = targets_of(wanted, book.if_enabled, prefer)
    except UnknownModel:
        return ""
    accounts = {a.id: a for target in targets for a in serving(target, book.if_enabled)}
    if not accounts:
        return ""
    shown = ", ".join(f"{masked(a.id)} ({a.disabled})" for a in accounts.values())
    kept = next((a.id for a in accounts.values() if a.disabled == DISABLED_IN_VAULT), "")
    step = f"proxypal auth enable {masked(kept)}" if kept else "change disabled in the settings"
    return f"{wanted.model!r} has only disabled accounts: {shown}; to enable one: {step}"


def _badly_pinned(wanted: ModelName, book: RouteBook, prefer: str) -> str:
    if not wanted.profile:
        return ""
    return (
        f"{wanted.model!r} is pinned to {masked(wanted.profile)}, whose provider does not serve it;"
        " pin it to another account (proxypal auth list), or leave out the @ and what follows"
    )


def _route_to_nowhere(wanted: ModelName, book: RouteBook, prefer: str) -> str:
    route = route_for(wanted.model, book)
    if route is None:
        return ""
    return (
        f"{wanted.model!r} stands for {', '.join(route.members)}, and no account here serves any"
        " of them; add an account (proxypal auth add-key PROVIDER), or change the route under models"
        " in the settings"
    )


def _no_account(wanted: ModelName, book: RouteBook, prefer: str) -> str:
    missing = [row for row in _concerned(wanted.model, book) if not book.accounts.get(row.name)]
    if not missing:
        return ""
    first = missing[0]
    if SCHEME in first.endpoints:
        step = f"put {first.name}: {{}} under backends in the settings"
    elif first.keyless:
        step = f"put {{name: {first.name}}} under providers in the settings"
    else:
        step = f"proxypal auth add-key {first.name}"
    return (
        f"{wanted.model!r} needs an account of {_either(row.name for row in missing)}, and there is"
        f" none; to add it: {step}"
    )


def _all_limited(wanted: ModelName, book: RouteBook, prefer: str) -> str:
    rows = _concerned(wanted.model, book)
    ids = [masked(account.id) for row in rows for account in book.accounts.get(row.name, ())]
    if not ids:
        return ""
    return (
        f"{wanted.model!r} is not among the models of {_either(ids)}; change models or"
        " excluded_models under accounts in the settings"
    )


def _concerned(name: str, book: RouteBook) -> list[Provider]:
    """The providers that *name*, which is no route, is about."""
    head, slash, rest = name.partition("/")
    if slash and rest and head in book.names:
        return [book.providers[book.names[head]]]
    return [
        row for row in book.providers.values() if knows(row, name, book) or is_family(row, name)
    ]


def _either(words: Iterable[str]) -> str:
    return " or ".join(words)


def _unheard_of(name: str, book: RouteBook) -> UnknownModel:
    known = [model.id for model in listing(book)]
    bare = {model.partition("/")[2] or model: model for model in known}
    near = [bare.get(word, word) for word in get_close_matches(name, [*known, *bare], n=3)]
    near = list(dict.fromkeys(near))
    hint = f"did you mean {', '.join(near)}?" if near else "see /v1/models, or use provider/model"
    return UnknownModel(f"no account here serves {name!r}; {hint}", near)
