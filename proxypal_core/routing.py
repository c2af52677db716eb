"""A model's name into the targets that can serve it, in the order to try them.

Pure: who is ready and whose turn it is, is the pool's business. The forms of a name::

    provider/model     model     a name from the settings
    model@provider:profile       model(high)  model(8192)  model(none)
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from difflib import get_close_matches

import msgspec

from proxypal_core.accounts.account import Account, matches
from proxypal_core.accounts.pool import Target
from proxypal_core.dialects.effort import EFFORTS
from proxypal_core.hub.messages import ModelInfo, Record
from proxypal_core.providers.provider import Provider

_LONGEST_CHAIN = 8
_LONGEST_NAME = 512


class ModelName(Record, frozen=True):
    """A name taken apart: ``model`` still has its provider, when it names one."""

    model: str
    profile: str = ""
    thinking: str = ""

    @classmethod
    def parse(cls, text: str) -> "ModelName":
        model, thinking = _without_thinking(text)
        match = _PROFILE.fullmatch(model)
        if match is None:
            return cls(model, thinking=thinking)
        model, profile = match["model"], match["profile"]
        if not thinking:
            model, thinking = _without_thinking(model)
        return cls(model, profile, thinking)


class RouteBook(msgspec.Struct, frozen=True):
    """What routing knows. ``names`` are the providers' names and aliases, ``accounts`` are grouped
    by provider, ``routes`` are by canonical name.
    """

    providers: Mapping[str, Provider]
    names: Mapping[str, str]
    accounts: Mapping[str, Sequence[Account]]
    routes: Mapping[str, Sequence[str]]


class UnknownModel(Exception):
    """Nobody here serves the name; the message says what would help."""

    def __init__(self, message: str, near: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.near = tuple(near)


def route_book(
    providers: Iterable[Provider],
    accounts: Iterable[Account],
    routes: Mapping[str, Sequence[str]],
) -> RouteBook:
    """The book of *providers*, in order of preference, of *accounts* and of *routes*."""
    by_name = {provider.name: provider for provider in providers}
    aliases = {alias: row.name for row in by_name.values() for alias in row.aliases}
    grouped: dict[str, list[Account]] = {}
    for account in accounts:
        grouped.setdefault(account.provider, []).append(account)
    return RouteBook(
        by_name,
        aliases | {name: name for name in by_name},
        grouped,
        {canonical(name): tuple(route) for name, route in routes.items()},
    )


def resolve(name: str, *, book: RouteBook, prefer: str = "") -> tuple[Target, ...]:
    """The targets of *name*, best first, never none. *prefer* is the provider, by any of its names,
    that a bare model name is asked of first.

    Raises:
        UnknownModel: nobody serves it, or a route leads back to itself.
    """
    if len(name) > _LONGEST_NAME:
        raise UnknownModel(f"a model's name has at most {_LONGEST_NAME} characters")
    wanted = _read(name, book)
    targets = tuple(dict.fromkeys(_targets(wanted, book, book.names.get(prefer, ""), ())))
    if not targets:
        raise _unknown(wanted, book)
    return targets


def listing(book: RouteBook) -> tuple[ModelInfo, ...]:
    """What can be asked for by name: the routes, then the known models of providers with an account
    that serves them, as ``provider/model``.
    """
    routes = tuple(ModelInfo(name, "proxypal") for name in book.routes)
    models = tuple(
        ModelInfo(f"{provider.name}/{model}", provider.name)
        for provider in book.providers.values()
        for model in _listed_models(provider.name, book)
        if _serving(provider.name, model, book)
    )
    return tuple({model.id: model for model in routes + models}.values())


# ── names ────────────────────────────────────────────────────────────────────────────────────

_PROFILE = re.compile(r"(?P<model>.+?)@(?P<profile>[a-z0-9][a-z0-9._-]*:.+)")
_THINKING = re.compile(rf"(?P<model>.+)\((?P<thinking>-1|\d+|none|off|auto|{'|'.join(EFFORTS)})\)")
_CLAUDE_DOT = re.compile(r"(?<=\d)\.(?=\d)")
_LONG_CONTEXT = re.compile(r"(?P<model>.*claude.*)\[1m\]", re.IGNORECASE)


def canonical(name: str) -> str:
    """*name* with the dots of a Claude version as hyphens, which is what the vendor calls it."""
    return _CLAUDE_DOT.sub("-", name) if "claude" in name else name


def _without_thinking(text: str) -> tuple[str, str]:
    match = _THINKING.fullmatch(text)
    return (match["model"], match["thinking"]) if match else (text, "")


def _without_context(model: str) -> tuple[str, bool]:
    match = _LONG_CONTEXT.fullmatch(model)
    return (match["model"], True) if match else (model, False)


# ── targets ──────────────────────────────────────────────────────────────────────────────────


def _read(name: str, book: RouteBook) -> ModelName:
    """*name* taken apart, unless a route is called just that."""
    return ModelName(name) if canonical(name) in book.routes else ModelName.parse(name)


def _targets(
    wanted: ModelName, book: RouteBook, prefer: str, chain: tuple[str, ...]
) -> Iterator[Target]:
    key = canonical(wanted.model)
    if key in book.routes:
        yield from _routed(wanted, key, book, prefer, chain)
        return
    for target in _named(wanted, book, prefer):
        if wanted.profile and target.provider != _provider_of(wanted.profile, book):
            continue
        yield msgspec.structs.replace(target, profile=wanted.profile, thinking=wanted.thinking)


def _named(wanted: ModelName, book: RouteBook, prefer: str) -> Sequence[Target]:
    """The targets of a name that is no route, without its suffixes."""
    head, slash, rest = wanted.model.partition("/")
    if slash and rest and head in book.names:
        return [_target(book.names[head], rest, book)]
    pinned = _provider_of(wanted.profile, book)
    if pinned in book.providers:
        return [_target(pinned, wanted.model, book)]
    return _bare(wanted.model, book, prefer)


def _routed(
    wanted: ModelName, key: str, book: RouteBook, prefer: str, chain: tuple[str, ...]
) -> Iterator[Target]:
    """The targets of a route's members; what the client pinned or asked wins over the member's."""
    if key in chain or len(chain) == _LONGEST_CHAIN:
        raise UnknownModel(f"the route {' → '.join((*chain, key))} does not end")
    for member in book.routes[key]:
        step = _read(member, book)
        step = ModelName(
            step.model, wanted.profile or step.profile, wanted.thinking or step.thinking
        )
        yield from _targets(step, book, prefer, (*chain, key))


def _bare(model: str, book: RouteBook, prefer: str) -> Sequence[Target]:
    """Who serves *model*, a name without provider: those that know it, then those whose family it
    is, each with *prefer* first; failing both, *prefer* itself.
    """
    serving = [
        provider
        for provider in sorted(book.providers.values(), key=lambda row: row.name != prefer)
        if _serving(provider.name, _target(provider.name, model, book).model, book)
    ]
    bare, _ = _without_context(model)
    knowing = [row for row in serving if _knows(row, model, book) or _knows(row, bare, book)]
    related = [row for row in serving if matches(canonical(model), row.families)]
    chosen = knowing + related or [row for row in serving if row.name == prefer]
    return [_target(row.name, model, book) for row in chosen]


def _target(provider: str, model: str, book: RouteBook) -> Target:
    bare, long_context = _without_context(model)
    if not long_context or model in _listed_models(provider, book):
        return Target(provider, _spelling(provider, model, book))
    return Target(provider, _spelling(provider, bare, book), long_context=True)


def _spelling(provider: str, model: str, book: RouteBook) -> str:
    """*model* as *provider* itself writes it, as far as that is known."""
    known = _listed_models(provider, book)
    if model in known:
        return model
    key = canonical(model)
    same = next((name for name in known if canonical(name) == key), "")
    if same:
        return same
    return key if matches(key, book.providers[provider].families) else model


def _knows(provider: Provider, model: str, book: RouteBook) -> bool:
    key = canonical(model)
    return any(canonical(name) == key for name in provider.models) or any(
        matches(name, account.models)
        for account in book.accounts.get(provider.name, ())
        for name in (model, key)
    )


def _listed_models(provider: str, book: RouteBook) -> Sequence[str]:
    """The ids that the row of *provider* and its accounts spell out."""
    named = (
        name
        for account in book.accounts.get(provider, ())
        for name in account.models
        if "*" not in name
    )
    return tuple(dict.fromkeys((*book.providers[provider].models, *named)))


def _serving(provider: str, model: str, book: RouteBook) -> bool:
    return any(account.serves(model) for account in book.accounts.get(provider, ()))


def _provider_of(profile: str, book: RouteBook) -> str:
    head = profile.partition(":")[0]
    return book.names.get(head, head)


# ── when nobody serves it ────────────────────────────────────────────────────────────────────


def _unknown(wanted: ModelName, book: RouteBook) -> UnknownModel:
    name = wanted.model
    if wanted.profile:
        return UnknownModel(f"{name!r} is not served by the account it is pinned to")
    missing = [
        row.name
        for row in book.providers.values()
        if not book.accounts.get(row.name)
        and (_knows(row, name, book) or matches(canonical(name), row.families))
    ]
    if missing:
        needed = " or ".join(missing)
        return UnknownModel(
            f"{name!r} needs an account of {needed}: proxypal auth add-key {missing[0]}"
        )
    known = [model.id for model in listing(book)]
    bare = {model.partition("/")[2] or model: model for model in known}
    near = [bare.get(word, word) for word in get_close_matches(name, [*known, *bare], n=3)]
    near = list(dict.fromkeys(near))
    hint = f"did you mean {', '.join(near)}?" if near else "see /v1/models, or use provider/model"
    return UnknownModel(f"no account here serves {name!r}; {hint}", near)
