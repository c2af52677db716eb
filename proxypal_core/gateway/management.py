"""The management API's view of what runs: the state, the feed, models, and who would answer.

Account ids are whole here: this is the owner's view.
"""

from collections.abc import Mapping
from typing import Any

import msgspec
from aiohttp import web

from proxypal_core import routing
from proxypal_core.accounts.account import Account
from proxypal_core.accounts.health import Health
from proxypal_core.accounts.standing import Standing
from proxypal_core.gateway import usage_api
from proxypal_core.gateway.dashboard_session import LINK_SECONDS
from proxypal_core.gateway.explain import explanation
from proxypal_core.gateway.front import Call, Front
from proxypal_core.gateway.request import Sent
from proxypal_core.hub.failure import Failure, Kind, Refused
from proxypal_core.telemetry.metrics import CONTENT_TYPE


async def state(front: Front, call: Call) -> Mapping[str, Any]:
    """The snapshot that a dashboard starts from. Times are Unix seconds."""
    now = front.services.clock()
    return {
        "version": front.version,
        "now": now,
        "accounts": [_account(standing, now) for standing in front.services.pool.standings],
        "models": [model.id for model in front.models],
        "usage_dropped": front.recorder.usage.dropped,
        "usage_problem": front.recorder.usage.problem,
        "capture_bodies": front.settings.usage.capture_bodies,
    }


async def replicas(front: Front, call: Call) -> Mapping[str, Any]:
    """Whether the other replicas are heard, and what all have used today."""
    if front.sharing is None:
        return {"reachable": True, "replicas": 1}
    return await front.sharing.seen()


async def metrics(front: Front, call: Call) -> web.Response:
    """What is counted, for Prometheus."""
    recorder, services = front.recorder, front.services
    text = recorder.metrics.text(
        services.pool.standings,
        dropped=recorder.usage.dropped,
        version=front.version,
        now=services.clock(),
    )
    return web.Response(body=text.encode(), headers={"content-type": CONTENT_TYPE})


async def follow(front: Front, call: Call) -> Sent:
    """The live feed, until the listener goes away or the daemon stops."""
    request = call.request
    last = request.named.get("last-event-id", "")
    headers = {"content-type": "text/event-stream", "cache-control": "no-store"}
    answer = request.stream(headers.items())
    after = int(last) if last.isdecimal() else None
    async for data in front.recorder.feed.follow(after, front.heartbeat):
        await answer.write(data)
    return await answer.end()


async def models(front: Front, call: Call) -> Mapping[str, Any]:
    """The models that can be asked for by name."""
    return {"models": [{"id": one.id, "owned_by": one.owner} for one in front.models]}


async def usage(front: Front, call: Call) -> Mapping[str, Any]:
    """What was used and what it cost."""
    settings, now = front.settings, front.services.clock()
    return await usage_api.usage(front.recorder.usage, call.query, settings=settings, now=now)


async def requests(front: Front, call: Call) -> Mapping[str, Any]:
    """The newest requests first."""
    return await usage_api.requests(front.recorder.usage, call.query)


async def request(front: Front, call: Call) -> Mapping[str, Any]:
    """One request."""
    return await usage_api.request(front.recorder.usage, call.at["id"])


async def bodies(front: Front, call: Call) -> Mapping[str, Any]:
    """The bodies of one request.

    Raises:
        Refused: none are kept.
    """
    return await usage_api.bodies(
        front.recorder.bodies, call.at["id"], keeps=front.settings.usage.capture_bodies
    )


async def explained(front: Front, call: Call) -> Mapping[str, Any]:
    """Who would answer a model, and why.

    Raises:
        Refused: nobody serves it, or none was named.
    """
    model, prefer = call.query.get("model", ""), call.query.get("prefer", "")
    if not model:
        raise Refused(Failure(Kind.INVALID, "model: name one, as in /api/explain?model=gpt-5"))
    try:
        return explanation(
            model,
            book=front.book,
            pool=front.services.pool,
            prefer=prefer,
            last=front.recorder.last_requests.of(model),
        )
    except routing.UnknownModel as unknown:
        raise Refused(Failure(Kind.MODEL, str(unknown), code="model_not_found")) from None


async def reset(front: Front, call: Call) -> Mapping[str, Any]:
    """Forget what is held against the account of the path, or against all where it names none.

    Raises:
        Refused: there is no such account.
    """
    pool, account = front.services.pool, call.at.get("id", "")
    if account and account not in {one.id for one in pool.accounts}:
        raise Refused(Failure(Kind.NO_ROUTE, f"there is no account {account!r}; see /api/state"))
    return {"reset": list(pool.reset(account))}


async def session_link(front: Front, call: Call) -> Mapping[str, Any]:
    """Where the dashboard can be entered, once."""
    return {
        "url": f"/dashboard?code={front.sessions.link()}",
        "expires": front.services.clock() + LINK_SECONDS,
    }


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
