"""Asking the running daemon, by its management API."""

import asyncio
import os
import ssl
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from types import MappingProxyType
from urllib.parse import quote

import aiohttp
import click

from proxypal_core.daemon import files
from proxypal_core.daemon.run import reachable
from proxypal_core.settings.schema import Settings
from proxypal_core.store import admin_key as admin_keys
from proxypal_core.wire import jsonio
from proxypal_core.wire.jsonio import JsonObject

_SECONDS = 30.0


class Refusal(Exception):
    """The daemon says no; the message is its own."""


def admin_key(settings: Settings) -> str:
    """The key of the management API; empty when there is none yet."""
    return (
        os.environ.get("PROXYPAL_ADMIN_KEY")
        or str(settings.admin_key)
        or admin_keys.read(files.state_dir(os.environ))
    )


def call(
    settings: Settings, method: str, path: str, body: JsonObject | None = None, /, **query: str
) -> JsonObject | None:
    """What the daemon that *settings* describe answers; None when none runs.

    Raises:
        Refusal: it refuses.
    """
    return asyncio.run(_call(settings, method, path, body, query))


async def _call(
    settings: Settings, method: str, path: str, body: JsonObject | None, query: Mapping[str, str]
) -> JsonObject | None:
    async with session(settings) as daemon:
        return await ask(daemon, method, path, body, query)


@asynccontextmanager
async def session(settings: Settings) -> AsyncIterator[aiohttp.ClientSession]:
    """The way to the daemon that *settings* describe, with its admin key."""
    async with aiohttp.ClientSession(
        reachable(settings.listen),
        connector=aiohttp.TCPConnector(ssl=trust(settings.listen.tls.cert)),
        headers={"Authorization": f"Bearer {admin_key(settings)}"},
        timeout=aiohttp.ClientTimeout(total=_SECONDS),
        trust_env=False,
    ) as opened:
        yield opened


async def ask(
    daemon: aiohttp.ClientSession,
    method: str,
    path: str,
    body: JsonObject | None = None,
    query: Mapping[str, str] = MappingProxyType({}),
) -> JsonObject | None:
    """What *daemon* answers; None when none runs.

    Raises:
        Refusal: it refuses.
    """
    try:
        async with daemon.request(
            method, path, params=query, json=body, allow_redirects=False
        ) as answer:
            data = await answer.read()
            # Another program may have the port.
            if answer.headers.get("server") != "proxypal":
                return None
            document = jsonio.load_object(data)
    except (aiohttp.ClientError, OSError, TimeoutError, jsonio.Malformed):
        return None
    if answer.status == 200:
        return document
    error = document.get("error")
    raise Refusal(str(error.get("message")) if isinstance(error, dict) else f"it answered {error}")


def call_or_exit(
    settings: Settings, method: str, path: str, body: JsonObject | None = None, /, **query: str
) -> JsonObject | None:
    """As ``call``; a refusal ends the program."""
    try:
        return call(settings, method, path, body, **query)
    except Refusal as refusal:
        click.echo(f"The daemon at {reachable(settings.listen)} refuses: {refusal}", err=True)
        sys.exit(1)


def account_path(account: str, action: str) -> str:
    """The path of *action* on *account*."""
    return f"/api/accounts/{quote(account, safe='')}/{action}"


def trust(cert: str) -> ssl.SSLContext:
    """The usual authorities, and the daemon's own certificate, which may be self-signed."""
    context = ssl.create_default_context()
    if cert:
        context.load_verify_locations(Path(cert).expanduser())
    return context
