"""What each failure means for the account that met it: one table."""

from collections.abc import Mapping
from typing import Literal

import msgspec

from proxypal_core.hub.failure import Failure, Kind


class Verdict(msgspec.Struct, frozen=True):
    """``elsewhere``: may another account be asked? ``rests``: what must rest, and by which
    ladder: the account for this model, the account, or nothing.
    """

    elsewhere: bool
    rests: Literal["nothing", "model", "account"] = "nothing"
    ladder: Literal["rate", "billing", "login"] = "rate"


_REQUESTS_OWN = Verdict(elsewhere=False)
_PROVIDERS = Verdict(elsewhere=True)

VERDICTS: Mapping[Kind, Verdict] = {
    Kind.INVALID: _REQUESTS_OWN,
    Kind.CONTEXT: _REQUESTS_OWN,
    Kind.TOO_LARGE: _REQUESTS_OWN,
    Kind.CLIENT_KEY: _REQUESTS_OWN,
    Kind.FORBIDDEN_HERE: _REQUESTS_OWN,
    Kind.NO_ROUTE: _REQUESTS_OWN,
    Kind.METHOD: _REQUESTS_OWN,
    Kind.MEDIA_TYPE: _REQUESTS_OWN,
    Kind.MODEL: _REQUESTS_OWN,
    Kind.CONFLICT: _REQUESTS_OWN,
    Kind.RESTING: _REQUESTS_OWN,
    Kind.NO_ACCOUNT: _REQUESTS_OWN,
    Kind.INTERNAL: _REQUESTS_OWN,
    Kind.UNSUPPORTED: _PROVIDERS,
    Kind.AUTH: Verdict(elsewhere=True, rests="account", ladder="login"),
    Kind.FORBIDDEN: Verdict(elsewhere=True, rests="account", ladder="login"),
    Kind.BILLING: Verdict(elsewhere=True, rests="account", ladder="billing"),
    Kind.RATE_LIMIT: Verdict(elsewhere=True, rests="model"),
    Kind.OVERLOADED: _PROVIDERS,
    Kind.SERVER: _PROVIDERS,
    Kind.TIMEOUT: _PROVIDERS,
    Kind.UNREACHABLE: _PROVIDERS,
    Kind.TRUNCATED: _PROVIDERS,
    Kind.BAD_REPLY: _PROVIDERS,
}


class Ladders(msgspec.Struct, frozen=True):
    """How long an account rests, in seconds, at its first, second, … failure in a row."""

    rate: tuple[float, ...] = (60, 300, 1500, 3600)
    billing: tuple[float, ...] = (5 * 3600, 10 * 3600, 20 * 3600, 24 * 3600)
    login: tuple[float, ...] = (3600,)
    window: float = 24 * 3600
    """Failures further apart than this do not add up."""


def rest_seconds(failure: Failure, failures: int, ladders: Ladders) -> float:
    """How long to rest after the *failures*-th failure in a row (1 is the first).

    A provider that names a later time is obeyed; an earlier one does not shorten the rest.
    """
    steps: tuple[float, ...] = getattr(ladders, VERDICTS[failure.kind].ladder)
    return max(steps[min(failures, len(steps)) - 1], failure.retry_after or 0)
