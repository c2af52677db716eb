"""One tiny real request with one account: what ``models status --probe`` and ``auth test`` do.

The running daemon is asked to make it; without one, a gateway of the program's own, for as long as it
takes.
"""

import asyncio
import secrets
import ssl
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, nullcontext
from typing import NamedTuple

import aiohttp
from aiohttp import web

from proxypal_core import app
from proxypal_core.accounts.account import Account
from proxypal_core.cli import daemon_api
from proxypal_core.cli.accounts import logins
from proxypal_core.cli.outcomes import Outcome
from proxypal_core.daemon.reach import is_proxypal, own, reachable
from proxypal_core.gateway.account_check import SECONDS
from proxypal_core.gateway.server import server
from proxypal_core.settings.schema import Settings
from proxypal_core.telemetry import log
from proxypal_core.wire import jsonio

AT_A_TIME = 2
_PATIENCE = SECONDS + 2.0
"""The gateway itself gives up after SECONDS."""

_OUTCOMES: Mapping[str, str] = {
    "served": "ok",
    "auth": "auth",
    "forbidden": "auth",
    "no_account": "auth",
    "billing": "billing",
    "rate_limit": "rate_limit",
    "resting": "rate_limit",
    "timeout": "timeout",
    "invalid": "format",
    "context": "format",
    "unsupported": "format",
    "model": "no_model",
    "no_model": "no_model",
    "unreachable": "unreachable",
}


class _Way(NamedTuple):
    """Where a gateway is, and the key of its management API."""

    url: str
    admin_key: str
    tls: ssl.SSLContext | bool


def probe(settings: Settings, accounts: Sequence[Account]) -> list[Outcome]:
    """How each of *accounts* answers. *settings* have the vault's accounts in them."""
    return asyncio.run(_probe_all(settings, accounts))


async def _probe_all(settings: Settings, accounts: Sequence[Account]) -> list[Outcome]:
    running = await asyncio.to_thread(is_proxypal, settings.listen)
    slots = asyncio.Semaphore(AT_A_TIME)
    async with (
        nullcontext(_running_way(settings)) if running else _own_way(settings) as way,
        aiohttp.ClientSession(
            timeout=aiohttp.ClientTimeout(total=_PATIENCE),
            headers={"Authorization": f"Bearer {way.admin_key}"},
            trust_env=False,
        ) as session,
    ):

        async def one(account: Account) -> Outcome:
            async with slots:
                return await _probe(session, way, account)

        return list(await asyncio.gather(*map(one, accounts)))


def _running_way(settings: Settings) -> _Way:
    tls = settings.listen.tls.cert
    return _Way(
        reachable(settings.listen),
        daemon_api.admin_key(settings),
        own(tls) if tls else True,
    )


@asynccontextmanager
async def _own_way(settings: Settings) -> AsyncIterator[_Way]:
    """A gateway that nobody else knows: on any port, with a key of its own."""
    key = secrets.token_urlsafe()
    log.configure(level="error", secrets=app.secrets_of(settings, key))
    async with app.gateway(settings, admin_key=key, profiles=logins(settings)) as served:
        runner = web.ServerRunner(server(served.handler), shutdown_timeout=1)
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            port = runner.addresses[0][1]
            yield _Way(f"http://127.0.0.1:{port}", key, tls=True)
        finally:
            served.handler.close()
            await runner.cleanup()


async def _probe(session: aiohttp.ClientSession, way: _Way, account: Account) -> Outcome:
    path = daemon_api.account_path(account.id, "test")
    try:
        async with session.post(way.url + path, ssl=way.tls, allow_redirects=False) as answer:
            found = jsonio.load_object(await answer.read())
    except TimeoutError:
        return Outcome(account.id, "", "timeout", SECONDS, f"no answer in {SECONDS:g} seconds")
    except (aiohttp.ClientError, jsonio.Malformed) as error:
        return Outcome(account.id, "", "unknown", 0.0, type(error).__name__)
    refused = found.get("error")
    if isinstance(refused, dict):
        return Outcome(account.id, "", "unknown", 0.0, str(refused.get("message")))
    return Outcome(
        account.id,
        str(found["model"]),
        _OUTCOMES.get(str(found["outcome"]), "unknown"),
        round(float(found["seconds"]), 3),
        str(found["message"]),
    )
