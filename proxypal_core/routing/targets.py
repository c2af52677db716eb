"""A name into targets: through routes and fallbacks to the models and who serves them."""

from collections.abc import Iterable, Iterator, Sequence
from typing import TypeAlias

import msgspec

from proxypal_core.accounts.account import matches
from proxypal_core.accounts.lease import Target
from proxypal_core.routing.book import (
    Route,
    RouteBook,
    is_family,
    knows,
    listed_models,
    provider_of,
    route_for,
    route_of,
    serving,
)
from proxypal_core.routing.names import ModelName, canonical, without_context

_LONGEST_CHAIN = 8


class UnknownModel(Exception):
    """Nobody here serves the name; the message says why, and what would help."""

    def __init__(self, message: str, near: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.near = tuple(near)


def read(name: str, book: RouteBook) -> ModelName:
    """*name* taken apart, unless a route is called just that."""
    return ModelName(name) if canonical(name) in book.routes else ModelName.parse(name)


def targets_of(wanted: ModelName, book: RouteBook, prefer: str) -> tuple[Target, ...]:
    """The targets of *wanted* and of its fallbacks, each with an account; *prefer* is a provider.

    Raises:
        UnknownModel: a route leads back to itself.
    """
    turns = [*_turns(wanted, book, prefer, ()), *_fallbacks(wanted, book, prefer)]
    return _in_order(turns, book)


# ── turns ────────────────────────────────────────────────────────────────────────────────────

_Turn: TypeAlias = tuple[Target, ...]
"""Targets among which the pool chooses; the next turn comes when none of them can serve."""


def _turns(
    wanted: ModelName, book: RouteBook, prefer: str, chain: tuple[str, ...]
) -> Iterator[_Turn]:
    """The turns of *wanted*, to which the routes of *chain* led. A route that names itself means the
    model of that name, and so does what its own pattern fits.
    """
    route = route_for(wanted.model, book)
    if route is not None and route.name not in chain[-1:]:
        yield from _routed(wanted, route, book, prefer, chain)
        return
    for target in _named(wanted, book, prefer):
        if wanted.profile and target.provider != provider_of(wanted.profile, book):
            continue
        yield (msgspec.structs.replace(target, profile=wanted.profile, thinking=wanted.thinking),)


def _routed(
    wanted: ModelName, route: Route, book: RouteBook, prefer: str, chain: tuple[str, ...]
) -> Iterator[_Turn]:
    """The turns of *route*, to which *wanted* led."""
    chain = (*chain, route.name)
    if route.name in chain[:-1]:
        raise _endless(chain, "leads back to itself")
    if len(chain) > _LONGEST_CHAIN:
        raise _endless(chain, f"goes through more than {_LONGEST_CHAIN} routes")
    turns = _through(wanted, route.members, book, prefer, chain)
    if route.spread:
        yield tuple(target for turn in turns for target in turn)
    else:
        yield from turns


def _endless(chain: Sequence[str], why: str) -> UnknownModel:
    return UnknownModel(
        f"the route {' → '.join(chain)} {why}; change it under models in the settings"
    )


def _through(
    wanted: ModelName,
    members: Sequence[str],
    book: RouteBook,
    prefer: str,
    chain: tuple[str, ...] = (),
) -> Iterator[_Turn]:
    """The turns of *members*; what the client pinned or asked wins over what a member says."""
    for member in members:
        step = read(member, book)
        step = ModelName(
            step.model, wanted.profile or step.profile, wanted.thinking or step.thinking
        )
        yield from _turns(step, book, prefer, chain)


def _fallbacks(wanted: ModelName, book: RouteBook, prefer: str) -> Iterator[_Turn]:
    """What is tried after the turns of *wanted* itself, unless it is pinned to one account."""
    if wanted.profile or not book.fallbacks:
        return
    route = route_of(_forms(wanted, book, prefer), book.fallbacks)
    if route is not None:
        yield from _through(wanted, route.members, book, prefer)


def _forms(wanted: ModelName, book: RouteBook, prefer: str) -> Sequence[str]:
    """The names under which *wanted* may have fallbacks: as it was asked, bare and with provider.

    Behind a prefix it is the first alone: whose accounts it names, others' do not stand in for.
    """
    asked, _ = without_context(wanted.model)
    targets = [target for target in _named(wanted, book, prefer) if not target.prefix]
    spelt = (asked, *(form for t in targets for form in (t.model, f"{t.provider}/{t.model}")))
    return [form for name in spelt for form in (name, canonical(name))]


def _in_order(turns: Iterable[_Turn], book: RouteBook) -> tuple[Target, ...]:
    """The targets of *turns* that can serve, each once, in the turn where it comes first."""
    found: dict[Target, bool] = {}
    for turn in turns:
        fresh = [t for t in dict.fromkeys(turn) if t not in found and _usable(t, book)]
        found.update((target, at > 0) for at, target in enumerate(fresh))
    return tuple(msgspec.structs.replace(t, together=shared) for t, shared in found.items())


def _usable(target: Target, book: RouteBook) -> bool:
    """Whether *target* can be asked; a pinned account's state is the pool's to tell."""
    return bool(target.profile or serving(target, book))


# ── targets ──────────────────────────────────────────────────────────────────────────────────


def _named(wanted: ModelName, book: RouteBook, prefer: str) -> Sequence[Target]:
    """The targets of a name that is no route, without its suffixes."""
    head, slash, rest = wanted.model.partition("/")
    if slash and rest and head in book.names:
        return [_target(book.names[head], rest, book)]
    if slash and rest and head in book.prefixes:
        return _prefixed(head, rest, book.prefixes[head], prefer)
    pinned = provider_of(wanted.profile, book)
    if pinned in book.providers:
        return [_target(pinned, wanted.model, book)]
    return _bare(wanted.model, book, prefer)


def _prefixed(prefix: str, model: str, behind: RouteBook, prefer: str) -> Sequence[Target]:
    """The targets of ``prefix/model``. Where nobody knows the model, all who have the prefix are
    asked: the client did choose them.
    """
    named = _named(ModelName(model), behind, prefer)
    targets = named or [_target(provider, model, behind) for provider in behind.providers]
    return [msgspec.structs.replace(target, prefix=prefix) for target in targets]


def _bare(model: str, book: RouteBook, prefer: str) -> Sequence[Target]:
    """Who serves *model*, a name without provider: those that know it, then those whose family it
    is, each with *prefer* first; failing both, *prefer* itself.
    """
    rows = [
        row
        for row in sorted(book.providers.values(), key=lambda row: row.name != prefer)
        if serving(_target(row.name, model, book), book)
    ]
    bare, _ = without_context(model)
    knowing = [row for row in rows if knows(row, model, book) or knows(row, bare, book)]
    related = [row for row in rows if is_family(row, model)]
    chosen = knowing + related or [row for row in rows if row.name == prefer]
    return [_target(row.name, model, book) for row in chosen]


def _target(provider: str, model: str, book: RouteBook) -> Target:
    bare, long_context = without_context(model)
    if not long_context or model in listed_models(provider, book):
        return Target(provider, _spelling(provider, model, book))
    return Target(provider, _spelling(provider, bare, book), long_context=True)


def _spelling(provider: str, model: str, book: RouteBook) -> str:
    """*model* as *provider* itself writes it, as far as that is known."""
    known = listed_models(provider, book)
    if model in known:
        return model
    key = canonical(model)
    same = next((name for name in known if canonical(name) == key), "")
    if same:
        return same
    return key if matches(key, book.providers[provider].families) else model
