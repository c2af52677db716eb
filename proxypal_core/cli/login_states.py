"""How the login of each account stands, and what the running daemon holds against it."""

import asyncio
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Literal, NamedTuple, TypeAlias

from proxypal_core import app
from proxypal_core.accounts import oauth
from proxypal_core.cli import daemon_api
from proxypal_core.daemon.reach import is_proxypal
from proxypal_core.providers.catalog import find
from proxypal_core.settings.schema import Account, Settings
from proxypal_core.upstream.linked import Links, Unusable
from proxypal_core.upstream.refresh import login_command
from proxypal_core.wire.jsonio import JsonObject

SOON = 24 * 3600.0
"""Seconds before its end at which a login that does not renew itself is said to expire soon."""

State: TypeAlias = Literal["ok", "static", "expiring", "expired", "missing", "unused"]


class Standing(NamedTuple):
    """``expires`` is in Unix seconds, 0 when it does not or renews itself; ``note`` is what is wrong
    and what helps.
    """

    id: str
    provider: str
    type: str
    source: str
    state: State
    expires: float = 0.0
    note: str = ""


def standings(settings: Settings, profiles: Mapping[str, JsonObject]) -> list[Standing]:
    """Every account: those of the settings and the environment, then those of the vault."""
    now = app.Clock().now()
    links = Links(Path.home(), lambda: now)
    own = [
        Standing(
            id=row.id,
            provider=settings.provider_of(row.id),
            type="api_key" if row.api_key else "none",
            source=source_of(row, settings),
            state="static",
            note="disabled by the settings" if row.disabled else "",
        )
        for row in settings.accounts
    ]
    kept = [_standing(settings, name, profiles[name], links, now) for name in profiles]
    return own + kept


def _standing(
    settings: Settings, name: str, profile: JsonObject, links: Links, now: float
) -> Standing:
    base = Standing(
        id=name,
        provider=settings.provider_of(name),
        type=str(profile.get("type", "")),
        source="vault",
        state="static",
    )
    hindrance = app.hindrance(settings, name, profile)
    if hindrance:
        return base._replace(state="unused", note=hindrance)
    ends = oauth.expires(profile)
    match profile.get("type"):
        case "linked":
            return _linked(base, profile, links)
        case "oauth" if profile.get(oauth.NEEDS_LOGIN):
            why = f"{profile[oauth.NEEDS_LOGIN]}; log in again: {login_command(name)}"
            return base._replace(state="expired", note=why)
        case "oauth" if profile.get("refresh"):
            return base._replace(state="ok", note="renews itself")
        case "oauth" | "token" if ends:
            return base._replace(state=_remaining(ends, now), expires=ends, note=_again(base))
        case _:
            return base


def _linked(base: Standing, profile: JsonObject, links: Links) -> Standing:
    try:
        login = asyncio.run(links.login(profile))
    except Unusable as error:
        return base._replace(state="expired", note=str(error))
    return base._replace(state="ok", expires=login.expires)


def _remaining(ends: float, now: float) -> State:
    if ends <= now:
        return "expired"
    return "expiring" if ends - now <= SOON else "ok"


def _again(base: Standing) -> str:
    command = "login" if base.type == "oauth" else "paste-token"
    return f"when it ends: {login_command(base.id, command)}"


def source_of(row: Account, settings: Settings) -> str:
    """Where the account comes from: those of the environment are named so and hold its key."""
    provider = find(settings.catalog, settings.provider_of(row.id))
    keys = {os.environ.get(name) for name in provider.env} if provider else set()
    return "environment" if row.id.endswith(":env") and row.api_key in keys else "settings"


# ── what is held against accounts ────────────────────────────────────────────────────────────

_REMEDIES: Mapping[str, str] = {
    "auth": "its credential is refused: log in again, or put in a new key",
    "forbidden": "its provider refuses it here, perhaps as it is only for the provider's own"
    " program: use an API key, or that program as a backend",
    "billing": "it has no credit: top it up, then proxypal auth reset",
    "rate_limit": "it is limited: wait",
}


def resting(settings: Settings) -> Mapping[str, str]:
    """Why the running daemon leaves accounts alone, by id; empty when none runs or says."""
    if not is_proxypal(settings.listen):
        return {}
    try:
        state = daemon_api.call(settings, "GET", "/api/state")
    except daemon_api.Refusal:
        return {}
    rows = state.get("accounts", ()) if state else ()
    reasons = {row["id"]: (row.get("resting") or {}).get("reason") for row in rows}
    return {
        name: f"resting: {_REMEDIES.get(reason, reason)}"
        for name, reason in reasons.items()
        if reason
    }
