"""What each failure means for the account that met it, and how long it rests: tables."""

from collections.abc import Mapping
from typing import Literal, TypeAlias

import msgspec

from proxypal_core.hub.failure import Failure, Kind

Ladder: TypeAlias = Literal["none", "rate", "billing", "login", "model", "trouble", "provider"]


class Verdict(msgspec.Struct, frozen=True):
    """``elsewhere``: may another account be asked? ``ladder``: by which steps it rests.

    ``account``: the whole account rests, not only for this model; a failure that states its scope
    is believed. ``refusal``: the account said no at once, which costs no attempt. ``passing``: it
    may be over in a moment, so that the same account may be asked again when there is no other.
    """

    elsewhere: bool
    ladder: Ladder = "none"
    account: bool = False
    refusal: bool = False
    passing: bool = False


_REQUESTS_OWN = Verdict(elsewhere=False)
_TROUBLE = Verdict(elsewhere=True, ladder="trouble", passing=True)
# The provider's trouble and not the account's, whose ladder it must never climb.
_PROVIDERS = Verdict(elsewhere=True, ladder="provider", passing=True)
_LOGIN = Verdict(elsewhere=True, ladder="login", account=True, refusal=True)

VERDICTS: Mapping[Kind, Verdict] = {
    Kind.INVALID: _REQUESTS_OWN,
    Kind.CONTEXT: _REQUESTS_OWN,
    Kind.TOO_LARGE: _REQUESTS_OWN,
    Kind.CLIENT_KEY: _REQUESTS_OWN,
    Kind.FORBIDDEN_HERE: _REQUESTS_OWN,
    Kind.NO_ROUTE: _REQUESTS_OWN,
    Kind.METHOD: _REQUESTS_OWN,
    Kind.MEDIA_TYPE: _REQUESTS_OWN,
    Kind.CONFLICT: _REQUESTS_OWN,
    Kind.RESTING: _REQUESTS_OWN,
    Kind.NO_ACCOUNT: _REQUESTS_OWN,
    Kind.INTERNAL: _REQUESTS_OWN,
    Kind.UNSUPPORTED: Verdict(elsewhere=True, refusal=True),
    Kind.MODEL: Verdict(elsewhere=True, ladder="model", refusal=True),
    Kind.AUTH: _LOGIN,
    Kind.FORBIDDEN: _LOGIN,
    Kind.BILLING: Verdict(elsewhere=True, ladder="billing", account=True, refusal=True),
    Kind.RATE_LIMIT: Verdict(elsewhere=True, ladder="rate", refusal=True),
    Kind.OVERLOADED: _PROVIDERS,
    Kind.UNREACHABLE: _PROVIDERS,
    Kind.SERVER: _TROUBLE,
    Kind.TRUNCATED: _TROUBLE,
    Kind.BAD_REPLY: Verdict(elsewhere=True, ladder="trouble"),
    Kind.TIMEOUT: Verdict(elsewhere=True, ladder="trouble"),
}

LONGEST = 8 * 24 * 3600.0
"""Seconds that a rest lasts at most: the longest window that a provider has is a week."""
HOUR = 3600.0


class Ladders(msgspec.Struct, frozen=True):
    """How long an account rests, in seconds, after its first, second, … failure in a row.

    ``window``: failures further apart than this do not add up.
    """

    rate: tuple[float, ...] = (60, 300, 1500, 3600)
    billing: tuple[float, ...] = (5 * HOUR, 10 * HOUR, 20 * HOUR, 24 * HOUR)
    login: tuple[float, ...] = (1 * HOUR, 6 * HOUR, 24 * HOUR)
    window: float = 24 * HOUR

    def steps(self, ladder: Ladder) -> tuple[float, ...]:
        """The rests of *ladder*; those that are not an account's fault are not settings."""
        match ladder:
            case "rate" | "billing" | "login":
                steps: tuple[float, ...] = getattr(self, ladder)
                return steps
            case "model":
                return (300.0,)
            case "trouble":
                return (0.0, 0.0, 15.0, 30.0, 60.0)
            case _:
                return (0.0,)

    def window_of(self, ladder: Ladder) -> float:
        return 60.0 if ladder == "trouble" else self.window


class Rest(msgspec.Struct, frozen=True):
    """``preferred``: seconds in which others are asked first. ``barred``: seconds in which it is
    not asked at all. The second is never longer.
    """

    preferred: float = 0.0
    barred: float = 0.0


# Rests that bar nobody who has no other choice: a hiccup must not black out a lone account.
_SOFT = frozenset({"model", "trouble", "provider", "none"})


def rest_after(failure: Failure, failures: int, ladders: Ladders) -> Rest:
    """The rest after the *failures*-th failure in a row (1 is the first).

    A time that the provider states is always kept. A ladder's longer step goes on top of it, and
    then others are asked first; but when none is left, the provider's own word is enough.
    """
    ladder = VERDICTS[failure.kind].ladder
    steps = ladders.steps(ladder)
    step = min(steps[min(failures, len(steps)) - 1], LONGEST)
    stated = min(max(0.0, failure.retry_after or 0.0), LONGEST)
    if VERDICTS[failure.kind].elsewhere is False:
        return Rest()
    preferred = max(step, stated)
    if ladder in _SOFT or (ladder == "rate" and stated):
        return Rest(preferred, stated)
    return Rest(preferred, preferred)
