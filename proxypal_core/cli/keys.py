"""``proxypal keys``: keys for clients made, listed and revoked, whether or not a daemon runs."""

import os
import secrets
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

import click
import msgspec

from proxypal_core import app
from proxypal_core.cli import accounts, daemon_api
from proxypal_core.cli.accounts import config_option, fail, table
from proxypal_core.cli.loading import settings_or_exit
from proxypal_core.gateway import new_keys
from proxypal_core.hub.failure import Refused
from proxypal_core.settings.schema import Settings
from proxypal_core.store import client_keys
from proxypal_core.store.vault import Snapshot, VaultError
from proxypal_core.wire import jsonio


@click.group()
def keys() -> None:
    """Make, list and revoke the keys that clients must show."""


@keys.command()
@click.argument("name")
@click.option(
    "--model", "models", multiple=True, metavar="PATTERN", help="May ask for; repeatable."
)
@click.option("--requests-per-minute", type=click.IntRange(0), default=0, help="0: no limit.")
@click.option("--tokens-per-minute", type=click.IntRange(0), default=0, help="0: no limit.")
@click.option(
    "--budget",
    "budget_usd",
    type=click.FloatRange(0),
    default=0.0,
    help="US dollars a month; 0: any.",
)
@click.option("--expires", default="", metavar="DATE", help="Such as 2027-01-31.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@config_option
def create(name: str, as_json: bool, config: str | None, **limits: Any) -> None:  # noqa: FBT001 — click's
    """Make the client key NAME and print it. It is not kept, and cannot be shown again."""
    settings = settings_or_exit(config)
    asked = {"name": name, **limits}
    made = daemon_api.call_or_exit(settings, "POST", "/api/keys", asked)
    key = _made_at_rest(settings, asked) if made is None else str(made["key"])
    if as_json:
        click.echo(jsonio.dumps_text({"name": name, "key": key}))
        return
    click.echo(key)
    click.echo(f"This is the client key {name}: copy it now, it is not shown again.", err=True)


def _made_at_rest(settings: Settings, asked: Mapping[str, Any]) -> str:
    text = new_keys.PREFIX + secrets.token_urlsafe()
    try:
        new = msgspec.convert(asked, new_keys.NewKey)
        key = new_keys.made(new, text, app.Clock().now())
    except msgspec.ValidationError:
        raise click.UsageError("A name has at most 64 characters, and no space, / or \\.") from None
    except Refused as refused:
        raise click.UsageError(f"--{refused.failure.message}") from None
    if any(row.name == new.name for row in settings.client_keys):
        fail(f"The settings have a client key {new.name!r}: give another name.")
    _revise(settings, lambda now: client_keys.with_key(now, key))
    return text


@keys.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@config_option
def list_keys(as_json: bool, config: str | None) -> None:  # noqa: FBT001 — click calls it
    """Show every client key and its limits, but not the keys."""
    settings = settings_or_exit(config)
    found = daemon_api.call_or_exit(settings, "GET", "/api/keys")
    rows = found["keys"] if found is not None else _at_rest(settings)
    if as_json:
        click.echo(jsonio.dumps_pretty({"keys": rows}))
    elif rows:
        click.echo(table(_HEAD, [_cells(row) for row in rows]))
    else:
        click.echo(
            "There is no client key, so every program on this machine may ask. Make one with proxypal"
            " keys create NAME."
        )


def _at_rest(settings: Settings) -> Sequence[Mapping[str, Any]]:
    snapshot = accounts.vault_or_exit(settings)
    merged = app.with_profiles(settings, {}, snapshot.bookkeeping)
    now = app.Clock().now()
    return [new_keys.described(key, now) for key in app.client_keys_of(merged)]


_HEAD = ("name", "source", "models", "requests/min", "tokens/min", "usd/month", "expires")


def _cells(row: Mapping[str, Any]) -> Sequence[str]:
    spent = f"{row['spent_usd']:.2f} of " if row.get("spent_usd") and row["budget_usd"] else ""
    return (
        row["name"],
        row["source"],
        ", ".join(row["models"]) or "all",
        f"{row['requests_per_minute'] or '-'}",
        f"{row['tokens_per_minute'] or '-'}",
        f"{spent}{row['budget_usd']:g}" if row["budget_usd"] else "-",
        _day(row["expires"]) + (" (over)" if row["expired"] else ""),
    )


def _day(at: float | None) -> str:
    return "never" if at is None else datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M UTC")


@keys.command()
@click.argument("name")
@config_option
def revoke(name: str, config: str | None) -> None:
    """Refuse the client key NAME from now on."""
    settings = settings_or_exit(config)
    done = daemon_api.call_or_exit(settings, "DELETE", f"/api/keys/{quote(name, safe='')}")
    is_open = _revoked_at_rest(settings, name) if done is None else done["open"]
    click.echo(f"{name} is revoked.")
    if is_open:
        click.echo("No client key is left: every program on this machine may ask.", err=True)


def _revoked_at_rest(settings: Settings, name: str) -> bool:
    """Whether no key is left."""
    if any(row.name == name for row in settings.client_keys):
        fail(f"The client key {name!r} is in the settings: take it out there.")
    kept = client_keys.kept(accounts.changeable(settings).bookkeeping)
    if name not in {key.name for key in kept}:  # before a vault is made for nothing
        fail(f"There is no client key {name!r}; proxypal keys list shows what is.")
    _revise(settings, lambda now: client_keys.without_key(now, name))
    left = [key for key in kept if key.guards and key.name != name]
    return not left and not settings.client_keys


def _revise(settings: Settings, change: Callable[[Snapshot], Snapshot]) -> None:
    try:
        accounts.vault_of(settings, os.environ).revise(change)
    except (VaultError, client_keys.Taken, client_keys.Unknown) as error:
        fail(str(error))
