"""``proxypal watch``: live requests, from the running daemon's event feed.

The feed is a long GET that should be reconnected, of which both ends are ours: what
aiohttp-sse-client is for (docs/decisions/0004-aiohttp-sse-client.md).
"""

import asyncio
import logging
import os
import ssl
import sys
from datetime import timedelta
from typing import Any

import aiohttp
import click
from aiohttp_sse_client.client import EventSource

from proxypal_core.cli import daemon_api
from proxypal_core.cli.loading import settings_or_exit
from proxypal_core.daemon import files
from proxypal_core.daemon.reach import own, reachable, trust
from proxypal_core.store import admin_key as admin_keys
from proxypal_core.wire import jsonio

RECONNECT_SECONDS = 2.0

logging.getLogger("aiohttp_sse_client").addHandler(logging.NullHandler())  # we tell it ourselves


@click.command()
@click.option("--config", metavar="FILE", help="The settings file, which says where to look.")
@click.option("--url", help="The daemon's address, instead of the settings'.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
@click.option("--count", type=click.IntRange(1), help="Stop after so many requests.")
def watch(
    config: str | None,
    url: str | None,
    as_json: bool,  # noqa: FBT001 — click passes flags by name
    count: int | None,
) -> None:
    """Show each request as it ends."""
    settings = settings_or_exit(config)
    cert = settings.listen.tls.cert
    tls = trust(cert) if url else own(cert)
    url = url or reachable(settings.listen)
    key = daemon_api.admin_key(settings)
    if not key:
        click.echo("There is no admin key yet: start the daemon once (proxypal serve).", err=True)
        sys.exit(1)
    try:
        asyncio.run(_follow(url, key, tls, as_json, count))
    except KeyboardInterrupt:
        pass
    except BrokenPipeError:
        raise  # our reader's going, which click knows how to take
    except ConnectionRefusedError:  # only an answer of 401 is told so
        click.echo(
            f"The daemon at {url} does not take this admin key. It goes by PROXYPAL_ADMIN_KEY,"
            f" else admin_key in the settings, else {admin_keys.path(files.state_dir(os.environ))}.",
            err=True,
        )
        sys.exit(1)
    except (ConnectionError, aiohttp.ClientError) as error:
        click.echo(
            f"No event feed at {url}: {_reason(error)}. Start it first: proxypal serve", err=True
        )
        sys.exit(1)


def _reason(error: Exception) -> str:
    match error:
        case aiohttp.ClientConnectorCertificateError():
            return "its TLS certificate is not accepted"
        case aiohttp.ClientConnectorError():
            return "no connection"
        case _:
            return str(error)


async def _follow(
    url: str,
    key: str,
    tls: ssl.SSLContext,
    as_json: bool,  # noqa: FBT001 — the command's own flag
    count: int | None,
) -> None:
    """Print requests until *count*, also over restarts of the daemon; it must run at first."""
    seen = 0
    met = False
    head = {"Authorization": f"Bearer {key}"}
    timeout = aiohttp.ClientTimeout(total=None)
    while True:
        try:
            async with (
                aiohttp.ClientSession(headers=head, timeout=timeout) as session,
                EventSource(
                    f"{url.rstrip('/')}/api/events",
                    reconnection_time=timedelta(seconds=RECONNECT_SECONDS),
                    max_connect_retry=0,
                    session=session,
                    ssl=tls,
                ) as events,
            ):
                met = True
                async for event in events:
                    if event.type != "exchange":
                        continue
                    record = jsonio.load_object(event.data)
                    click.echo(jsonio.dumps_text(record) if as_json else line(record))
                    seen += 1
                    if seen == count:
                        return
        except aiohttp.ClientError:
            if not met:
                raise
        await asyncio.sleep(RECONNECT_SECONDS)


def line(record: dict[str, Any]) -> str:
    """*record* for people: what was asked, who answered, how it went."""
    tokens = record["usage"]
    tried = " -> ".join(f"{a['account']} {a['outcome']}" for a in record["attempts"])
    shown = (
        f"{record['status']} {record['dialect']:<16} {record['model']:<28} "
        f"{record['duration']:6.2f}s {tokens['input_total']}+{tokens['output_total']} tokens  "
        f"{tried or record['outcome']}"
    )
    # The model's name is a client's, and must not drive our terminal.
    return "".join(letter if letter.isprintable() else "?" for letter in shown)
