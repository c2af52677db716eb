"""What was used, as the management API tells it: ``/api/usage`` and ``/api/requests``.

Times are Unix seconds, money is US dollars.
"""

import math
from collections.abc import Collection, Mapping, Sequence
from typing import Any, get_args

import msgspec

from proxypal_core.hub.failure import Failure, Kind, Refused
from proxypal_core.metering import row
from proxypal_core.settings.schema import Settings
from proxypal_core.store.bodies_db import BodiesDB
from proxypal_core.store.usage_db import UsageDB
from proxypal_core.store.usage_rows import By, Filter, Totals

DAY = 86400.0
MONTH = 365.25 / 12 * DAY
DEFAULT_SPAN = 30 * DAY
DEFAULT_ROWS, MOST_ROWS = 100, 500
_KINDS = ("input", "output", "cache_read", "cache_write", "reasoning")


async def usage(
    db: UsageDB, query: Mapping[str, str], *, settings: Settings, now: float
) -> Mapping[str, Any]:
    """What was used: ``by`` (day) says of what, from ``since`` (30 days ago) up to ``until`` (now),
    in whole hours. The plans are those of the *settings*.

    Raises:
        Refused: *query* means nothing.
    """
    by = query.get("by", "day")
    if by not in get_args(By):
        known = ", ".join(get_args(By))
        raise _invalid("by", f"must be one of {known}, not {by!r}")
    until = _seconds(query, "until", now)
    since = _seconds(query, "since", until - DEFAULT_SPAN)
    rows = await db.totals(by, since, until)  # type: ignore[arg-type] # it is one of them
    total = _sum(rows)
    return {
        "by": by,
        "since": since,
        "until": until,
        "rows": [{"name": one.name, **_told(one)} for one in rows],
        "total": _told(total),
        "coverage": {"priced": total.priced, "requests": total.requests},
        "savings": await _savings(db, settings, since, until),
    }


async def requests(db: UsageDB, query: Mapping[str, str]) -> Mapping[str, Any]:
    """The newest requests first, and where the next page begins. *query* may have ``limit``,
    ``before`` (a page's ``next``), ``account``, ``model``, ``key`` and ``outcome``.

    Raises:
        Refused: *query* means nothing.
    """
    limit = _whole(query, "limit", DEFAULT_ROWS)
    if limit > MOST_ROWS:
        raise _invalid("limit", f"is at most {MOST_ROWS}")
    wanted = Filter(
        account=query.get("account", ""),
        model=query.get("model", ""),
        key=query.get("key", ""),
        outcome=query.get("outcome", ""),
        before=_whole(query, "before", 0),
        limit=limit + 1,
    )
    found = await db.requests(wanted)
    page = found[:limit]
    return {
        "requests": [row(record) for _, record in page],
        "next": str(page[-1][0]) if len(found) > limit else None,
    }


async def request(db: UsageDB, request_id: str) -> Mapping[str, Any]:
    """The request of that id.

    Raises:
        Refused: none is kept.
    """
    record = await db.request(request_id)
    if record is None:
        raise Refused(
            Failure(
                Kind.NO_ROUTE,
                f"there is no request {request_id!r} (any more); see GET /api/requests",
            )
        )
    return row(record)


async def bodies(db: BodiesDB, request_id: str, *, keeps: str) -> Mapping[str, Any]:
    """What the client of the request of that id asked and was told. *keeps* is the setting.

    Raises:
        Refused: none of it is kept.
    """
    if keeps == "none":
        problem = "bodies are not kept; usage.capture_bodies: errors, or all, turns it on"
        raise Refused(Failure(Kind.NO_ROUTE, problem))
    found = await db.of(request_id)
    if found is None:
        problem = f"no bodies of request {request_id!r} are kept; usage.capture_bodies is {keeps}"
        raise Refused(Failure(Kind.NO_ROUTE, problem))
    value: Mapping[str, Any] = msgspec.to_builtins(found)
    return value


# ── savings ──────────────────────────────────────────────────────────────────────────────────


async def _savings(
    db: UsageDB, settings: Settings, since: float, until: float
) -> Mapping[str, Any] | None:
    """What the plans' accounts served, at the vendors' list prices, against what the plans cost in
    that time; None without plans. Time of which nothing is recorded is not held against a plan.
    """
    plans = settings.usage.plans
    if not plans:
        return None
    first = await db.first_hour()
    months = 0.0 if first is None else max(0.0, until - max(since, first)) / MONTH
    worth = {one.name: one.cost for one in await db.totals("account", since, until)}
    covered = [
        {
            account
            for account in worth
            if plan.account == account or plan.provider == settings.provider_of(account)
        }
        for plan in plans
    ]

    def saved(accounts: Collection[str], usd_per_month: float) -> Mapping[str, float]:
        value, price = sum(worth[account] for account in accounts), usd_per_month * months
        return {"value": value, "plans": price, "saved": value - price}

    return {
        **saved(set().union(*covered), sum(plan.usd_per_month for plan in plans)),
        "by_plan": [
            {"name": plan.name, **saved(accounts, plan.usd_per_month)}
            for plan, accounts in zip(plans, covered, strict=True)
        ],
    }


# ── rows ─────────────────────────────────────────────────────────────────────────────────────


def _told(totals: Totals) -> Mapping[str, Any]:
    return {
        "requests": totals.requests,
        "failed": totals.failed,
        "tokens": {name: getattr(totals, name) for name in _KINDS},
        "cost": totals.cost,
        "priced": totals.priced,
    }


def _sum(rows: Sequence[Totals]) -> Totals:
    total = Totals()
    for name in total.__struct_fields__[1:]:
        setattr(total, name, sum(getattr(one, name) for one in rows))
    return total


# ── what is asked ────────────────────────────────────────────────────────────────────────────


def _seconds(query: Mapping[str, str], name: str, otherwise: float) -> float:
    if not query.get(name):
        return otherwise
    try:
        value = float(query[name])
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise _invalid(name, "must be a time in Unix seconds")
    return value


def _whole(query: Mapping[str, str], name: str, otherwise: int) -> int:
    text = query.get(name) or str(otherwise)
    if not text.isascii() or not text.isdecimal() or len(text) > 18:
        raise _invalid(name, "must be a whole number")
    return int(text)


def _invalid(name: str, problem: str) -> Refused:
    return Refused(Failure(Kind.INVALID, f"{name}: {problem}", param=name))
