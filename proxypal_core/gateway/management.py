"""The management API, ``/api/*``: what it says and does. Who may ask is ``access``'s business.

Account ids are whole here: this is the owner's view.
"""

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from proxypal_core import routing
from proxypal_core.accounts.account import Account
from proxypal_core.accounts.health import Health
from proxypal_core.accounts.pool import Pool, Standing
from proxypal_core.gateway.explain import explanation
from proxypal_core.hub.failure import Failure, Kind, Refused
from proxypal_core.metering import Record

_REMEMBERED = 512


class LastRequests:
    """The last request for each model, by the name that was asked; bounded."""

    def __init__(self) -> None:
        self._by_model: OrderedDict[str, Record] = OrderedDict()

    def note(self, record: Record) -> None:
        self._by_model[record.model] = record
        self._by_model.move_to_end(record.model)
        if len(self._by_model) > _REMEMBERED:
            self._by_model.popitem(last=False)

    def of(self, model: str) -> Record | None:
        return self._by_model.get(model)


def state(pool: Pool, *, version: str, models: Sequence[str], now: float) -> Mapping[str, Any]:
    """The snapshot that a dashboard starts from. Times are Unix seconds."""
    return {
        "version": version,
        "now": now,
        "accounts": [_account(standing, now) for standing in pool.standings],
        "models": models,
    }


def explained(
    model: str, *, book: routing.RouteBook, pool: Pool, prefer: str, last: LastRequests
) -> Mapping[str, Any]:
    """Who would answer *model*, and why.

    Raises:
        Refused: nobody serves it, or none was named.
    """
    if not model:
        raise Refused(Failure(Kind.INVALID, "model: name one, as in /api/explain?model=gpt-5"))
    try:
        return explanation(model, book=book, pool=pool, prefer=prefer, last=last.of(model))
    except routing.UnknownModel as unknown:
        raise Refused(Failure(Kind.MODEL, str(unknown), code="model_not_found")) from None


def reset(pool: Pool, account: str) -> Mapping[str, Any]:
    """Forget what is held against *account*, or against all when it is empty.

    Raises:
        Refused: there is no such account.
    """
    if account and account not in {one.id for one in pool.accounts}:
        raise Refused(Failure(Kind.NO_ROUTE, f"there is no account {account!r}; see /api/state"))
    return {"reset": list(pool.reset(account))}


def _account(standing: Standing, now: float) -> Mapping[str, Any]:
    account: Account = standing.account
    return {
        "id": account.id,
        "provider": account.provider,
        "kind": account.kind,
        "disabled": account.disabled,
        "in_flight": standing.in_flight,
        "served": standing.served,
        "failed": standing.failed,
        "last_used": standing.used_at or None,
        "resting": _rest(standing.health, now),
        "models": {
            model: rest
            for model, health in standing.models.items()
            if (rest := _rest(health, now)) is not None
        },
        "limits": [msgspec.to_builtins(gauge) for gauge in standing.gauges.values()],
    }


def _rest(health: Health, now: float) -> Mapping[str, Any] | None:
    """What rests, until when others are asked first, and until when it is not asked at all."""
    if not health.rests(now):
        return None
    return {
        "reason": health.reason,
        "until": health.rests_until,
        "barred_until": health.barred_until,
    }
