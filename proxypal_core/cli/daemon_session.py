"""Asking the running daemon again and again, without blocking, over connections that are kept."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from types import MappingProxyType

import aiohttp

from proxypal_core.cli import daemon_api
from proxypal_core.daemon import reach
from proxypal_core.settings.schema import Settings
from proxypal_core.wire.jsonio import JsonObject


@asynccontextmanager
async def session(settings: Settings) -> AsyncIterator[aiohttp.ClientSession]:
    """The way to the daemon that *settings* describe, with its admin key."""
    async with aiohttp.ClientSession(
        reach.reachable(settings.listen),
        connector=aiohttp.TCPConnector(ssl=reach.own(settings.listen.tls.cert)),
        headers={"Authorization": f"Bearer {daemon_api.admin_key(settings)}"},
        timeout=aiohttp.ClientTimeout(total=daemon_api.SECONDS),
        trust_env=False,
    ) as opened:
        yield opened


async def ask(
    daemon: aiohttp.ClientSession, path: str, query: Mapping[str, str] = MappingProxyType({})
) -> JsonObject | None:
    """What *daemon* answers; None when none runs.

    Raises:
        daemon_api.Refusal: it refuses.
    """
    try:
        async with daemon.get(path, params=query, allow_redirects=False) as answer:
            body = await answer.read()
    except (aiohttp.ClientError, OSError, TimeoutError):
        return None
    # Another program may have the port.
    ours = answer.headers.get("server") == "proxypal"
    return daemon_api.document(answer.status, body) if ours else None
