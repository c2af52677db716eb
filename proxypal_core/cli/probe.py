"""One tiny real request with one account: what ``models status --probe`` and ``auth test`` do.

The account is pinned (``provider/model@account``), so that no other answers in its place. The running
daemon is asked; without one, a gateway of the program's own, for as long as it takes.
"""

import asyncio
import secrets
import ssl
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import NamedTuple

import aiohttp
import msgspec
from aiohttp import web

from proxypal_core import app
from proxypal_core.accounts.account import Account
from proxypal_core.cli import daemon_api
from proxypal_core.cli.accounts import logins
from proxypal_core.daemon.run import is_proxypal, reachable
from proxypal_core.gateway.server import server
from proxypal_core.settings.schema import Settings
from proxypal_core.telemetry import log
from proxypal_core.wire import jsonio

SECONDS = 8.0
AT_A_TIME = 2
_TOKENS = 8

_BY_CODE: Mapping[str, str] = {
    "all_accounts_cooling": "rate_limit",
    "insufficient_quota": "billing",
    "model_not_found": "no_model",
    "no_auth_available": "auth",
    "rate_limit_exceeded": "rate_limit",
    "upstream_unreachable": "unreachable",
}
_BY_STATUS: Mapping[int, str] = {
    200: "ok",
    400: "format",
    401: "auth",
    402: "billing",
    403: "auth",
    404: "no_model",
    422: "format",
    429: "rate_limit",
    504: "timeout",
}


class Outcome(NamedTuple):
    """``outcome`` is ok, auth, rate_limit, billing, timeout, format, no_model, unreachable or
    unknown.
    """

    account: str
    model: str
    outcome: str
    seconds: float
    message: str = ""


class _Way(NamedTuple):
    """Where a gateway is and what it wants to be shown."""

    url: str
    headers: Mapping[str, str]
    tls: ssl.SSLContext | bool


def model_for(account: Account, settings: Settings) -> str:
    """The model to ask *account* for; empty when none is known that it serves."""
    provider = {row.name: row for row in app.providers_of(settings)}.get(account.provider)
    named = [name for name in account.models if "*" not in name]
    known = (*named, *(provider.models if provider else ()))
    return next((model for model in known if account.serves(model)), "")


def probe(settings: Settings, accounts: Sequence[Account]) -> list[Outcome]:
    """How each of *accounts* answers. *settings* have the vault's accounts in them."""
    return asyncio.run(_probe_all(settings, accounts))


async def _probe_all(settings: Settings, accounts: Sequence[Account]) -> list[Outcome]:
    running = await is_proxypal(settings.listen)
    slots = asyncio.Semaphore(AT_A_TIME)
    async with (
        _running_way(settings) if running else _own_way(settings) as way,
        aiohttp.ClientSession(
            timeout=aiohttp.ClientTimeout(total=SECONDS), trust_env=False
        ) as session,
    ):

        async def one(account: Account) -> Outcome:
            async with slots:
                return await _probe(session, way, account, model_for(account, settings))

        return list(await asyncio.gather(*map(one, accounts)))


@asynccontextmanager
async def _running_way(settings: Settings) -> AsyncIterator[_Way]:
    key = settings.client_keys[0].key if settings.client_keys else ""
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    tls = settings.listen.tls.cert
    yield _Way(reachable(settings.listen), headers, daemon_api.trust(tls) if tls else True)


@asynccontextmanager
async def _own_way(settings: Settings) -> AsyncIterator[_Way]:
    """A gateway that nobody else knows: on any port, with a key of its own."""
    key = secrets.token_urlsafe()
    mine = msgspec.structs.replace(settings, client_keys=())
    log.configure(level="error", secrets=app.secrets_of(settings, key))
    async with app.gateway(mine, admin_key=key, profiles=logins(settings)) as served:
        runner = web.ServerRunner(server(served.handler), shutdown_timeout=1)
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            port = runner.addresses[0][1]
            yield _Way(f"http://127.0.0.1:{port}", {}, tls=True)
        finally:
            served.handler.close()
            await runner.cleanup()


async def _probe(
    session: aiohttp.ClientSession, way: _Way, account: Account, model: str
) -> Outcome:
    if not model:
        return Outcome(account.id, "", "no_model", 0.0, "no model of it is known to ask for")
    asked = {
        "model": f"{account.provider}/{model}@{account.id}",
        "max_tokens": _TOKENS,
        "messages": [{"role": "user", "content": "Say ok."}],
    }
    loop = asyncio.get_running_loop()
    began = loop.time()
    try:
        async with session.post(
            f"{way.url}/v1/chat/completions", json=asked, headers=way.headers, ssl=way.tls
        ) as answer:
            status, body = answer.status, await answer.read()
    except TimeoutError:
        return Outcome(account.id, model, "timeout", SECONDS, f"no answer in {SECONDS:g} seconds")
    except aiohttp.ClientError as error:
        return Outcome(account.id, model, "unknown", 0.0, type(error).__name__)
    code, message = ("", "") if status == 200 else _error(body)
    outcome = _BY_CODE.get(code) or _BY_STATUS.get(status, "unknown")
    return Outcome(account.id, model, outcome, round(loop.time() - began, 3), message)


def _error(body: bytes) -> tuple[str, str]:
    try:
        error = jsonio.need(jsonio.load_object(body), "error", jsonio.obj)
    except jsonio.Malformed:
        return "", "its answer cannot be read"
    return str(error.get("code") or ""), str(error.get("message") or "")


def shown(text: str) -> str:
    """*text* of a provider as it may drive no terminal, on one line."""
    return "".join(letter if letter.isprintable() else " " for letter in text)[:200]


def lines(outcomes: Iterable[Outcome]) -> list[tuple[str, ...]]:
    """*outcomes* as rows of a table: account, model, outcome, time, message."""
    return [
        (one.account, one.model, one.outcome, f"{one.seconds:.1f}s", shown(one.message))
        for one in outcomes
    ]
