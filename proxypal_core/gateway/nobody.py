"""What a client is told when nobody can answer (any more)."""

from collections.abc import Sequence
from datetime import UTC, datetime

import msgspec

from proxypal_core.accounts.account import masked
from proxypal_core.accounts.lease import NoneReady, Waiting
from proxypal_core.accounts.verdict import VERDICTS
from proxypal_core.hub.failure import Failure, Kind

SOONEST_RETRY = 61
"""The least retry-after, in seconds, when every account rests: OpenClaw turns to its fallback at
once above 60 and keeps asking for minutes below (measured on 2026.9.6)."""
_BUSY_RETRY = 2.0
_LOGIN = frozenset({Kind.AUTH.value, Kind.FORBIDDEN.value})
_LIMITS = frozenset({Kind.RATE_LIMIT, Kind.BILLING})


def ready(none: NoneReady, last: Failure | None, *, model: str, now: float) -> Failure:
    """Why nobody is ready for *model*. *last* is how the last attempt of this request failed."""
    if none.waiting and (last is None or VERDICTS[last.kind].refusal):
        return _waiting(none.waiting, last, now)
    if last is not None:
        return _with_wait(last, none, now)
    if none.busy:
        return Failure(
            Kind.OVERLOADED,
            "every account that could answer has as many requests as its max_concurrency allows; ask"
            " again in a moment",
            retry_after=_BUSY_RETRY,
        )
    return Failure(
        Kind.NO_ACCOUNT,
        f"no account can serve {model!r} now; `proxypal explain {model}` says why, GET /v1/models"
        " lists what can be asked",
    )


def exhausted(last: Failure | None, now: float) -> Failure:
    """Why the attempts ended although there may be others to ask."""
    if last is None:
        return Failure(Kind.NO_ACCOUNT, "routing.max_attempts is 0; raise it in the settings")
    return _with_wait(last, None, now)


def _waiting(waiting: Sequence[Waiting], last: Failure | None, now: float) -> Failure:
    reasons = {one.reason for one in waiting}
    told = ", ".join(
        f"{masked(one.account)} ({one.reason} until {_time(one.until)})" for one in waiting
    )
    said = f". The last answer was: {last.message}" if last is not None else ""
    if reasons <= _LOGIN:
        return Failure(
            Kind.NO_ACCOUNT,
            f"no account that could answer is logged in: {told}. `proxypal models status` says"
            f" what to do{said}",
        )
    wait = max(SOONEST_RETRY, min(one.until for one in waiting) - now)
    kind = Kind.BILLING if reasons <= {Kind.BILLING.value} else Kind.RESTING
    return Failure(
        kind,
        f"every account that could answer is resting: {told}{said}",
        retry_after=wait,
        code="all_accounts_cooling",
    )


def _with_wait(failure: Failure, none: NoneReady | None, now: float) -> Failure:
    """*failure* with when it is worth while to come back."""
    wait = failure.retry_after or 0.0
    if none is not None and none.resumes_at is not None:
        wait = max(wait, none.resumes_at - now)
    if failure.kind in _LIMITS:
        return msgspec.structs.replace(failure, retry_after=max(SOONEST_RETRY, wait))
    return msgspec.structs.replace(failure, retry_after=wait) if wait else failure


def _time(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
