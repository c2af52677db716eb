"""The management API as a table: method, path, what it takes, who answers it.

``ENDPOINTS`` is all there is: requests are matched with it, and the OpenAPI document is made of it.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import unquote

from aiohttp import web

from proxypal_core.gateway import access, answers, dashboard_session, management, openapi, surface
from proxypal_core.gateway import accounts_api as accounts
from proxypal_core.gateway import connect_api as connect
from proxypal_core.gateway import keys_api as keys
from proxypal_core.gateway import logins_api as logins
from proxypal_core.gateway import settings_api as settings
from proxypal_core.gateway.front import Call, Front
from proxypal_core.gateway.new_keys import NewKey
from proxypal_core.gateway.openapi import Endpoint, Holder
from proxypal_core.gateway.request import Answer, Request, Sent
from proxypal_core.hub.failure import Failure, Kind, Refused
from proxypal_core.wire import jsonio


async def described(front: Front, call: Call) -> Mapping[str, Any]:
    """The OpenAPI document."""
    return openapi.document(ENDPOINTS, version=front.version)


ENDPOINTS: tuple[Endpoint, ...] = (
    # ── what runs ──
    Endpoint(
        "GET",
        "/api/state",
        "Every account with how it is, and every model: what a dashboard starts from.",
        management.state,
    ),
    Endpoint(
        "GET",
        "/api/events",
        "Every exchange as it ends, as server-sent events; Last-Event-ID brings what was missed. An"
        " event accounts says that the state is worth asking for again.",
        management.follow,
        media="text/event-stream",
    ),
    Endpoint(
        "GET",
        "/api/replicas",
        "Whether the other replicas are heard, what becomes of each kind of state where they are not,"
        " and what all have used today.",
        management.replicas,
    ),
    Endpoint("GET", "/api/models", "The models that can be asked for by name.", management.models),
    Endpoint(
        "GET",
        "/api/explain",
        "Who would answer for a model, in which order, and what stands against everybody else.",
        management.explained,
        query={"model": "The model's name, as a client says it.", "prefer": "A provider's name."},
    ),
    Endpoint(
        "GET",
        "/metrics",
        "Counters and histograms, for Prometheus.",
        management.metrics,
        media="text/plain",
    ),
    # ── what was used ──
    Endpoint(
        "GET",
        "/api/requests",
        "The newest requests first, page by page.",
        management.requests,
        query={
            "limit": "Rows of a page, at most 500.",
            "before": "Where a page begins: next of the page before.",
            "account": "Served by this account.",
            "model": "Asked for, or served as, this model.",
            "key": "Sent with the client key of this name.",
            "outcome": "Ended like this: served, or a failure's kind.",
        },
    ),
    Endpoint("GET", "/api/requests/{id}", "One request.", management.request),
    Endpoint(
        "GET",
        "/api/requests/{id}/bodies",
        "What a request's client asked and was told, word for word, where usage.capture_bodies keeps"
        " it.",
        management.bodies,
    ),
    Endpoint(
        "GET",
        "/api/usage",
        "Requests, tokens and cost.",
        management.usage,
        query={
            "by": "What a row is of: day, week, hour, model, account, key, agent or provider.",
            "since": "From when on, in Unix seconds; 30 days ago if left out.",
            "until": "Up to when, in Unix seconds; now if left out.",
        },
    ),
    # ── accounts ──
    Endpoint("GET", "/api/accounts", "The vault's accounts, without secrets.", accounts.listed),
    Endpoint(
        "POST",
        "/api/accounts",
        "Keep an API key in the vault.",
        accounts.add,
        body=accounts.NewAccount,
    ),
    Endpoint(
        "POST",
        "/api/accounts/reset",
        "Forget what is held against every account.",
        management.reset,
    ),
    Endpoint(
        "GET",
        "/api/accounts/link",
        "The logins of other programs that could be linked, and whether this machine has them.",
        connect.links,
    ),
    Endpoint(
        "POST",
        "/api/accounts/link",
        "Use the login that another program keeps on this machine.",
        connect.link,
        body=connect.NewLink,
    ),
    Endpoint(
        "POST",
        "/api/accounts/import",
        "Take in the accounts that another program's file holds.",
        connect.take_in,
        body=connect.NewImport,
    ),
    Endpoint("DELETE", "/api/accounts/{id}", "Forget an account of the vault.", accounts.remove),
    Endpoint("POST", "/api/accounts/{id}/enable", "Use an account again.", accounts.enable),
    Endpoint("POST", "/api/accounts/{id}/disable", "Leave an account alone.", accounts.disable),
    Endpoint(
        "POST",
        "/api/accounts/{id}/reset",
        "Forget what is held against an account.",
        management.reset,
    ),
    Endpoint(
        "POST",
        "/api/accounts/{id}/test",
        "Ask a model of the account for a few words, and say how it went.",
        accounts.test,
    ),
    Endpoint(
        "GET",
        "/api/order/{provider}",
        "The order of a provider's accounts; null when they take turns.",
        accounts.order,
    ),
    Endpoint(
        "PUT",
        "/api/order/{provider}",
        "Have a provider's accounts asked in an order, and no others.",
        accounts.set_order,
        body=accounts.NewOrder,
    ),
    Endpoint(
        "DELETE",
        "/api/order/{provider}",
        "Let a provider's accounts take turns again.",
        accounts.clear_order,
    ),
    Endpoint(
        "POST",
        "/api/logins",
        "Begin a login at a provider: where the person goes, and what is entered there.",
        logins.begin,
        body=logins.NewLogin,
    ),
    Endpoint("GET", "/api/logins/{id}", "How far a login is.", logins.progress),
    Endpoint(
        "POST",
        "/api/logins/{id}",
        "Go on with the address that the person's browser ended at.",
        logins.paste,
        body=logins.Redirect,
    ),
    # ── client keys ──
    Endpoint("GET", "/api/keys", "Every client key, and what is left of its limits.", keys.listed),
    Endpoint(
        "POST",
        "/api/keys",
        "Make a client key; the answer is the only one that holds it.",
        keys.create,
        body=NewKey,
    ),
    Endpoint("DELETE", "/api/keys/{name}", "Forget a client key.", keys.revoke),
    # ── settings ──
    Endpoint(
        "GET",
        "/api/settings",
        "The settings file; in place of what is secret in it stand marks.",
        settings.read,
    ),
    Endpoint(
        "POST",
        "/api/settings/check",
        "Whether a text could be the settings file, and what it would change.",
        settings.check,
        body=settings.Text,
    ),
    Endpoint(
        "PUT",
        "/api/settings",
        "Put a text in place of the settings file, and go by it.",
        settings.write,
        body=settings.Text,
    ),
    # ── the API itself ──
    Endpoint(
        "POST",
        "/api/session-links",
        "A link to the dashboard that works once, within a minute.",
        management.session_link,
        holder="admin",
    ),
    Endpoint("GET", "/api/openapi.json", "This description.", described),
)


def _pattern(path: str) -> re.Pattern[str]:
    return re.compile(re.sub(r"\\\{(\w+)\\\}", r"(?P<\1>[^/]+)", re.escape(path)))


_ROUTES = tuple((_pattern(row.path), row) for row in ENDPOINTS)


def find(method: str, path: str) -> tuple[Endpoint, Mapping[str, str]]:
    """The endpoint of *method* on the raw *path*, and the path's parameters.

    Raises:
        WrongMethod: the path is known, the method is not.
        NotFound: the path is unknown.
    """
    found = [(match, row) for pattern, row in _ROUTES if (match := pattern.fullmatch(path))]
    for match, row in found:
        if row.method == method:
            return row, {name: unquote(text) for name, text in match.groupdict().items()}
    if found:
        raise surface.WrongMethod(surface.CHAT, tuple(row.method for _, row in found))
    raise surface.NotFound(surface.CHAT)


async def serve(front: Front, request: Request, shown: Sequence[bytes]) -> Answer:
    """The answer to *request*, which shows keys with the digests *shown*.

    Raises:
        Refused: who sent it may not, or what it asks cannot be.
        NotFound: there is no such endpoint; only those who may call any are told.
    """
    holder = _holder(front, request, shown)
    endpoint, at = find(request.method, request.path.rstrip("/"))
    if endpoint.holder == "admin" and holder != "admin":
        raise Refused(
            Failure(
                Kind.FORBIDDEN_HERE, "this needs the admin key itself, as Authorization: Bearer"
            )
        )
    body: jsonio.JsonObject = {}
    if endpoint.body is not None:
        access.check_content_type(request.named.get("content-type"))
        body = jsonio.load_object(await request.read())
    answer = await endpoint.handler(front, Call(request, at, body))
    return answer if isinstance(answer, web.Response | Sent) else answers.as_json(answer)


def _holder(front: Front, request: Request, shown: Sequence[bytes]) -> Holder:
    if access.is_admin(shown, front.admin):
        return "admin"
    if dashboard_session.is_signed_in(front.sessions, request):
        return "owner"
    raise front.keyring.stranger(
        shown,
        "this needs the admin key (Authorization: Bearer), or the dashboard's cookie: proxypal"
        " dashboard",
    )
