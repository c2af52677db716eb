"""``proxypal watch``: live requests, from the running daemon's event feed.

The feed is a long GET that should be reconnected, of which both ends are ours: what
aiohttp-sse-client is for (docs/decisions/0004-aiohttp-sse-client.md).
"""

import asyncio
import os
import sys
from typing import Any

import aiohttp
import click
from aiohttp_sse_client.client import EventSource

from proxypal_core.daemon import files
from proxypal_core.store import admin_key as admin_keys
from proxypal_core.wire import jsonio

RECONNECT_SECONDS = 2


@click.command()
@click.option("--url", default="http://127.0.0.1:8317", show_default=True, help="The daemon.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
@click.option("--count", type=click.IntRange(1), help="Stop after so many requests.")
def watch(url: str, as_json: bool, count: int | None) -> None:  # noqa: FBT001 — click calls it
    """Show each request as it ends."""
    key = os.environ.get("PROXYPAL_ADMIN_KEY") or admin_keys.read(files.state_dir(os.environ))
    if not key:
        click.echo("There is no admin key yet: start the daemon once (proxypal serve).", err=True)
        sys.exit(1)
    try:
        asyncio.run(_follow(url, key, as_json=as_json, count=count))
    except KeyboardInterrupt:
        pass
    except (ConnectionError, aiohttp.ClientError) as error:
        click.echo(f"No event feed at {url}: {error}. Does the daemon run?", err=True)
        sys.exit(1)


async def _follow(url: str, key: str, *, as_json: bool, count: int | None) -> None:
    source = EventSource(
        f"{url.rstrip('/')}/api/events",
        headers={"Authorization": f"Bearer {key}"},
        timeout=aiohttp.ClientTimeout(total=None),
    )
    seen = 0
    async with source as events:
        async for event in events:
            if event.type != "exchange":
                continue
            record = jsonio.load_object(event.data)
            click.echo(jsonio.dumps_text(record) if as_json else line(record))
            seen += 1
            if seen == count:
                return


def line(record: dict[str, Any]) -> str:
    """*record* for people: what was asked, who answered, how it went."""
    tokens = record["usage"]
    tried = " -> ".join(f"{a['account']} {a['outcome']}" for a in record["attempts"])
    return (
        f"{record['status']} {record['dialect']:<16} {record['model']:<28} "
        f"{record['duration']:6.2f}s {tokens['input_total']}+{tokens['output_total']} tokens  "
        f"{tried or record['outcome']}"
    )
