"""``proxypal auth login``, ``link``, ``setup-token`` and ``paste-token``: credentials that are no keys."""

import asyncio
import os
import secrets
import sys
import webbrowser
from datetime import UTC, datetime
from pathlib import Path
from typing import NoReturn

import click

from proxypal_core import app
from proxypal_core.accounts import oauth as protocol
from proxypal_core.accounts.oauth import DeviceCode, Grant, LoginRefused
from proxypal_core.accounts.profiles import is_profile_id, wishes
from proxypal_core.cli import accounts
from proxypal_core.cli.accounts import config_option, fail
from proxypal_core.cli.loading import settings_or_exit
from proxypal_core.providers.provider import OAuth, Provider
from proxypal_core.settings.schema import Duration, Settings
from proxypal_core.upstream import linked
from proxypal_core.upstream import login as ways
from proxypal_core.upstream.http import HttpTransport
from proxypal_core.upstream.linked import SOURCES, Links, Unusable
from proxypal_core.upstream.transport import Broken
from proxypal_core.wire.jsonio import JsonObject

_PLATFORM: str = sys.platform


# ── logging in ───────────────────────────────────────────────────────────────────────────────


@click.command()
@click.argument("provider")
@click.option("--name", metavar="N", help="Name of the account, if not the e-mail.")
@click.option("--device", is_flag=True, help="Enter a code on any other machine.")
@click.option("--paste", is_flag=True, help="Paste the address that the browser ends at.")
@click.option("--no-browser", is_flag=True, help="Only print where to go.")
@config_option
def login(
    provider: str,
    name: str | None,
    device: bool,  # noqa: FBT001 — click passes flags by name
    paste: bool,  # noqa: FBT001
    no_browser: bool,  # noqa: FBT001
    config: str | None,
) -> None:
    """Log in at PROVIDER and keep the login in the vault, where it renews itself."""
    settings = settings_or_exit(config)
    known = accounts.provider_called(provider, settings)
    oauth = _client(known, device=device)
    if device and (paste or no_browser):
        raise click.UsageError("--device needs neither --paste nor --no-browser.")
    accounts.profile_id_of(known, None, name)  # a wrong name is told before a person logs in
    accounts.changeable(settings)
    paste = paste or not (no_browser or has_browser())
    try:
        grant = asyncio.run(
            _logged_in(settings, oauth, device=device, paste=paste, browser=not no_browser)
        )
    except LoginRefused as refused:
        _nothing_stored(str(refused), known)
    except Broken as broken:
        _nothing_stored(broken.failure.message, known)
    except TimeoutError:
        _nothing_stored(f"nobody came back within {ways.PATIENCE / 60:g} minutes", known)
    profile = protocol.profile_of(known.name, grant, app.Clock().now())
    _keep(settings, known, profile, name or _email(known, profile))


def _nothing_stored(why: str, known: Provider) -> NoReturn:
    fail(f"Nothing was stored: {why}. Once more: proxypal auth login {known.name}")


def _email(known: Provider, profile: JsonObject) -> str | None:
    """The e-mail that the provider told, if an account can be called so."""
    email = profile.get("email")
    named = isinstance(email, str) and is_profile_id(f"{known.name}:{email}")
    return email if named else None


def _client(known: Provider, *, device: bool) -> OAuth:
    """The OAuth client for *known*, which has what is needed."""
    if known.oauth is None:
        others = [name for name in SOURCES if name.partition("-")[0] == known.name]
        link = f" Or use your login there: proxypal auth link {others[0]}." if others else ""
        fail(
            f"{known.name} offers no login to other programs that proxypal knows of. Use a key"
            f" (proxypal auth add-key {known.name}), or name an OAuth client of your own under"
            f" providers[].oauth in the settings.{link}"
        )
    if device and not known.oauth.device_url:
        fail(f"{known.name} has no device_url in its oauth settings; try without --device.")
    if not device and not known.oauth.authorize_url:
        fail(f"{known.name} has no authorize_url in its oauth settings; try --device.")
    return known.oauth


def has_browser() -> bool:
    """Whether a browser opened from here would be on the person's screen."""
    if os.environ.get("SSH_CONNECTION"):
        return False
    if _PLATFORM.startswith("linux"):
        return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
    return True


async def _logged_in(
    settings: Settings, oauth: OAuth, *, device: bool, paste: bool, browser: bool
) -> Grant:
    clock = app.Clock()
    network = settings.network
    async with HttpTransport(connect=settings.timeouts.connect, ca_file=network.ca_file) as http:
        ask = app.token_post(network, http, as_json=oauth.gives == "key")
        if device:
            return await ways.by_device(oauth, ask, _show, clock=clock.now, sleep=asyncio.sleep)
        if paste:
            pending = ways.begin(oauth, secrets.token_bytes)
            code = protocol.code_of(pending, _pasted(pending.url))
            return await ways.redeem(pending, code, ask, clock.now)
        async with (
            asyncio.timeout(ways.PATIENCE),
            ways.listening(oauth, secrets.token_bytes) as (pending, coming),
        ):
            click.echo(f"Log in here:\n\n  {pending.url}\n", err=True)
            if browser:
                await asyncio.to_thread(webbrowser.open, pending.url)
            return await ways.redeem(pending, await coming, ask, clock.now)


def _pasted(url: str) -> str:
    click.echo(
        f"Log in here, on any machine:\n\n  {url}\n\nThe browser then ends at an address that it"
        " cannot open. Paste that address here, whole.",
        err=True,
    )
    if sys.stdin.isatty():
        return str(click.prompt("Address", err=True)).strip()
    return sys.stdin.readline().strip()


def _show(code: DeviceCode) -> None:
    click.echo(f"Enter the code {code.user_code} here, on any machine:\n\n  {code.url}\n", err=True)
    if code.complete_url:
        click.echo(f"Or go straight to:\n\n  {code.complete_url}\n", err=True)


def _keep(settings: Settings, known: Provider, profile: JsonObject, name: str | None) -> None:
    """Put *profile* into the vault, in place of an older login of the same name."""
    profile_id = accounts.profile_id_of(known, None, name)

    def put(profiles: dict[str, JsonObject]) -> None:
        there = profiles.get(profile_id)
        if there is not None and there.get("type") != profile["type"]:
            fail(
                f"{profile_id} is there already, as {there.get('type')}. Take it out (proxypal auth"
                f" remove {profile_id}), or give another --name."
            )
        profiles[profile_id] = {
            **wishes(there or {}),
            **profile,
            "created": _today(),
        }

    path = accounts.update(settings, put)
    click.echo(f"{profile_id} is in the vault, {path}.")
    for remark in accounts.remarks(profile_id, known, settings):
        click.echo(remark)


def _today() -> str:
    return datetime.fromtimestamp(app.Clock().now(), UTC).isoformat(timespec="seconds")


# ── linking ──────────────────────────────────────────────────────────────────────────────────


@click.command()
@click.argument("source", metavar="LOGIN", type=click.Choice(list(SOURCES)))
@click.option("--name", metavar="N", help="Name of the account, if not the program's.")
@config_option
def link(source: str, name: str | None, config: str | None) -> None:
    """Use the LOGIN that a vendor's own program keeps on this machine.

    Its file is read whenever it is needed, and never written: the program renews it.
    """
    settings = settings_or_exit(config)
    found = SOURCES[source]
    known = accounts.provider_called(found.provider, settings)
    try:
        profile = linked.profile_of(found, known.name, Path.home(), os.environ)
        asyncio.run(Links(Path.home(), app.Clock().now).login(profile))
    except Unusable as error:
        fail(f"Nothing was linked: {error}.")
    _keep(settings, known, profile, name or found.program)
    if found.notice:
        click.echo(f"Note: {found.notice}", err=True)


# ── tokens ───────────────────────────────────────────────────────────────────────────────────


def _length(_: click.Context, __: click.Parameter, value: str | None) -> Duration | None:
    try:
        return None if value is None else Duration.read(value)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


_expires_option = click.option(
    "--expires-in", metavar="12h", callback=_length, help="How long the token holds."
)


@click.command("paste-token")
@click.argument("provider")
@click.option("--name", metavar="N", help="Name of the account.")
@_expires_option
@config_option
def paste_token(
    provider: str, name: str | None, expires_in: Duration | None, config: str | None
) -> None:
    """Keep a token of PROVIDER in the vault, which is sent as Authorization: Bearer.

    The token is read from standard input, or asked for on a terminal.
    """
    settings = settings_or_exit(config)
    known = accounts.provider_called(provider, settings)
    _paste(settings, known, name, expires_in, "proxypal auth paste-token PROVIDER")


@click.command("setup-token")
@click.option("--name", metavar="N", help="Name of the account.")
@_expires_option
@config_option
def setup_token(name: str | None, expires_in: Duration | None, config: str | None) -> None:
    """Keep the token that claude setup-token prints.

    The token is read from standard input, or asked for on a terminal.
    """
    settings = settings_or_exit(config)
    known = accounts.provider_called("anthropic", settings)
    _paste(settings, known, name, expires_in, "proxypal auth setup-token")
    click.echo(f"Note: {SOURCES['anthropic'].notice}", err=True)


def _paste(
    settings: Settings,
    known: Provider,
    name: str | None,
    expires_in: Duration | None,
    command: str,
) -> None:
    profile_id = accounts.profile_id_of(known, None, name)
    accounts.changeable(settings)
    token = accounts.asked_secret("token", profile_id, command)
    if known.name == "anthropic" and token.startswith("sk-ant-api"):
        fail("That is an API key, not a token: proxypal auth add-key anthropic")
    profile: JsonObject = {"type": "token", "provider": known.name, "token": token}
    if expires_in is not None:
        profile["expires"] = round((app.Clock().now() + expires_in) * 1000)
    _keep(settings, known, profile, name)
