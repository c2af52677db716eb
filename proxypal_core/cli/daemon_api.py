"""Asking the running daemon, by its management API."""

import os
import sys
from urllib.parse import quote, urlencode

import click

from proxypal_core.daemon import files, reach
from proxypal_core.daemon.reach import reachable
from proxypal_core.settings.schema import Settings
from proxypal_core.store import admin_key as admin_keys
from proxypal_core.wire import jsonio
from proxypal_core.wire.jsonio import JsonObject

SECONDS = 30.0


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
    answer = reach.ask(
        settings.listen,
        method,
        f"{path}?{urlencode(query)}" if query else path,
        key=admin_key(settings),
        seconds=SECONDS,
        body=b"" if body is None else jsonio.dumps(body),
    )
    return None if answer is None else document(answer.status, answer.body)


def document(status: int, body: bytes) -> JsonObject | None:
    """What a daemon answers with *status* and *body*; None where that is no JSON.

    Raises:
        Refusal: it refuses.
    """
    try:
        found = jsonio.load_object(body)
    except jsonio.Malformed:
        return None
    if status == 200:
        return found
    error = found.get("error")
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
