"""Which changes of an account its owner is told of, and in which words. Times are Unix seconds.

Accounts are looked at every now and then, not told of: a rest that ends is no event. What is said is
the difference between now and what was said last, so that an account that goes up and down within a
minute is one message or none.
"""

from collections.abc import Mapping, Sequence
from typing import Literal, TypeAlias

import msgspec

from proxypal_core.accounts import health as health_rules
from proxypal_core.accounts.account import masked
from proxypal_core.accounts.health import Health
from proxypal_core.accounts.standing import Standing
from proxypal_core.hub.failure import Kind
from proxypal_core.wire.countdown import countdown

LONG = 300.0
"""Seconds of the shortest rest that an owner is told of."""
APART = 60.0
"""Seconds between two alerts of one account, at the least."""
_MOST_MODELS = 3
"""Models that a message names."""
_LONGEST_NAME = 80
"""Characters of a name that a message has; a client may ask for a model of any name."""

State: TypeAlias = Literal["ready", "partly", "dry", "login"]
What: TypeAlias = Literal["dry", "back", "login"]

ALERTS: Mapping[tuple[State, State], What] = {
    ("ready", "partly"): "dry",
    ("ready", "dry"): "dry",
    ("ready", "login"): "login",
    ("partly", "ready"): "back",
    ("partly", "dry"): "dry",
    ("partly", "login"): "login",
    ("dry", "ready"): "back",
    ("dry", "login"): "login",
    ("login", "ready"): "back",
    ("login", "partly"): "dry",
    ("login", "dry"): "dry",
}
"""What is said of a change; of one that does not stand here nothing is, and it does not count."""

_WHY: Mapping[str, str] = {
    Kind.RATE_LIMIT: "Its limit is used up.",
    Kind.BILLING: "Its credit is used up, or its plan does not cover this.",
    Kind.AUTH: "Its provider refuses its credential: log in again, or give it a new key.",
    Kind.FORBIDDEN: "Its provider refuses this use of it.",
}
_NEEDS_A_PERSON = (Kind.AUTH, Kind.FORBIDDEN)


class Condition(msgspec.Struct, frozen=True):
    """How an account is, as far as its owner cares. ``models`` are those that it is dry for, where
    it is not as a whole; ``until`` is 0 when nobody knows.
    """

    state: State = "ready"
    reason: str = ""
    until: float = 0.0
    models: tuple[str, ...] = ()


class Alert(msgspec.Struct, frozen=True):
    """A change to be told. No part of it is secret: e-mail addresses are masked."""

    event: What
    account: str
    reason: str = ""
    until: float | None = None
    models: tuple[str, ...] = ()
    title: str = ""
    text: str = ""


class Watch:
    """What was said last of each account."""

    def __init__(self) -> None:
        self._said: dict[str, tuple[State, float]] = {}

    def look(self, standings: Sequence[Standing], now: float) -> Sequence[Alert]:
        """What is to be said at *now*. Of an account that is new nothing is: it was like that."""
        before, self._said = self._said, {}
        alerts = []
        for one in standings:
            name = one.account.id
            if name not in before:
                self._said[name] = condition(one, now, "ready").state, 0.0
                continue
            said, at = self._said[name] = before[name]
            found = condition(one, now, said)
            event = ALERTS.get((said, found.state))
            if event and not 0 <= now - at < APART:
                self._said[name] = found.state, now
                alerts.append(_alert(event, name, found, now))
        return alerts


def condition(one: Standing, now: float, before: State) -> Condition:
    """How *one* is at *now*, when it was *before*. A rest that was long when it began is one to its
    end. Waiting brings neither a login nor credit: only an answer, or its owner's word, does.
    """
    if one.account.disabled:
        return Condition()
    health = health_rules.at(one.health, now)
    if health.reason in _NEEDS_A_PERSON and health.rests_until > health.failed_at:
        return Condition("login", health.reason)
    shortest = LONG if before == "ready" else 0.0
    if _is_dry(health, now, shortest=shortest):
        return Condition("dry", health.reason, health.rests_until)
    resting = {
        model: held
        for model, kept in one.models.items()
        if _is_dry(held := health_rules.at(kept, now), now, shortest=shortest)
    }
    if not resting:
        return Condition()
    first = min(resting.values(), key=lambda held: held.rests_until)
    return Condition("partly", first.reason, first.rests_until, tuple(resting))


def _is_dry(health: Health, now: float, *, shortest: float) -> bool:
    length = health.rests_until - health.failed_at
    match health.reason:
        case Kind.BILLING:
            return length >= LONG
        case Kind.RATE_LIMIT:
            return health.rests(now) and length >= shortest
        case _:
            return False


# ── words ────────────────────────────────────────────────────────────────────────────────────


def _alert(event: What, account: str, found: Condition, now: float) -> Alert:
    name = _plain(masked(account))
    models = tuple(map(_plain, found.models))
    # Whether there is credit again is not known before somebody asks.
    until = found.until if found.reason == Kind.RATE_LIMIT else 0.0
    text = _WHY.get(found.reason, "It is asked again.")
    if until:
        text += (
            f" {'The first is' if len(models) > 1 else 'It is'} back in {countdown(until - now)}."
        )
    return Alert(
        event=event,
        account=name,
        reason=found.reason,
        until=until or None,
        models=models,
        title=f"{name} {_predicate(event, found.reason, models)}",
        text=text,
    )


def _predicate(event: What, reason: str, models: Sequence[str]) -> str:
    match event:
        case "back":
            return "is back"
        case "login":
            return "needs a login" if reason == Kind.AUTH else "is refused"
        case "dry" if models:
            more = len(models) - _MOST_MODELS
            named = ", ".join(models[:_MOST_MODELS])
            return f"has run dry for {named}{f' and {more} more' if more > 0 else ''}"
        case _:
            return "has run dry"


def _plain(name: str) -> str:
    shown = "".join(letter if letter.isprintable() else "?" for letter in name)
    return shown if len(shown) <= _LONGEST_NAME else f"{shown[: _LONGEST_NAME - 1]}…"
