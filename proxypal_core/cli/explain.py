"""``proxypal explain``: which account would answer a model, and why not the others."""

import os
import sys
from collections.abc import Iterator, Mapping
from typing import Any

import click

from proxypal_core import app, routing
from proxypal_core.cli import daemon_api
from proxypal_core.cli.accounts import vault_or_exit
from proxypal_core.cli.loading import settings_or_exit
from proxypal_core.daemon import files
from proxypal_core.settings.schema import Duration, Settings
from proxypal_core.wire import jsonio

_STATES = {
    "ready": "ready",
    "running_low": "ready, but running low",
    "busy": "busy",
    "resting": "resting, asked when nobody else is left",
    "barred": "resting",
    "unfit": "not for this",
}


@click.command()
@click.argument("model")
@click.option("--prefer", metavar="PROVIDER", default="", help="As under its prefix: /anthropic.")
@click.option("--config", metavar="FILE", help="The settings file.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def explain(
    model: str,
    prefer: str,
    config: str | None,
    as_json: bool,  # noqa: FBT001 — click passes flags by name
) -> None:
    """Say which account would serve MODEL, and why not the others.

    The running daemon is asked; without one, what it left behind tells. Exit code 1: nobody could.
    """
    settings = settings_or_exit(config)
    found: Mapping[str, Any] | None = daemon_api.call_or_exit(
        settings, "GET", "/api/explain", model=model, prefer=prefer
    )
    if found is None:
        found = _without_daemon(settings, model, prefer)
    now = app.Clock().now()
    click.echo(jsonio.dumps_text(found) if as_json else "\n".join(_lines(found, now)))
    sys.exit(0 if found["answers"] else 1)


def _without_daemon(settings: Settings, model: str, prefer: str) -> Mapping[str, Any]:
    vault = vault_or_exit(settings)
    settings = app.with_profiles(settings, vault.profiles, vault.bookkeeping)
    try:
        found = app.explanation(settings, model, data_dir=files.data_dir(os.environ), prefer=prefer)
    except routing.UnknownModel as unknown:
        click.echo(str(unknown), err=True)
        sys.exit(1)
    click.echo("No daemon runs; this is what one would do.", err=True)
    return found


def _lines(found: Mapping[str, Any], now: float) -> Iterator[str]:
    """*found* for people. What comes from clients and providers must not drive our terminal."""
    for line in _told(found, now):
        yield "".join(letter if letter.isprintable() else "?" for letter in line)


def _told(found: Mapping[str, Any], now: float) -> Iterator[str]:
    answers = found["answers"]
    if answers:
        yield f"{found['model']}: {answers['account']} would answer, with {answers['model']}"
    else:
        yield f"{found['model']}: nobody could answer now"
    yield ""
    for one in found["candidates"]:
        place = str(one["place"] or "-")
        served = f"{one['provider']}/{one['model']}"
        yield f"{place:>3}  {one['account']:<32} {served:<36} {_state(one, now)}"
    last = found["last_request"]
    if last:
        tried = ", then ".join(f"{a['account']} {a['outcome']}" for a in last["attempts"])
        ago = Duration(max(0, round(now - last["at"])))
        yield ""
        yield f"The last request for it, {ago} ago: {tried or last['outcome']}"


def _state(one: dict[str, Any], now: float) -> str:
    state = _STATES[one["state"]]
    reason = f": {one['reason']}" if one["reason"] else ""
    left = Duration(max(0, round(one["until"] - now)))
    return f"{state}{reason}{f', for another {left}' if one['until'] else ''}"
