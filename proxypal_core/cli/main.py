"""The ``proxypal`` command."""

import os
import sys
from functools import partial
from typing import NoReturn

import click
import structlog

from proxypal_core import __version__, app
from proxypal_core.cli.agents import list_agents
from proxypal_core.cli.auth import auth, vault_of, vault_or_exit
from proxypal_core.cli.auth_exchange import export_accounts, import_accounts, import_group
from proxypal_core.cli.dashboard import dashboard
from proxypal_core.cli.doctor import doctor
from proxypal_core.cli.explain import explain
from proxypal_core.cli.keys import keys
from proxypal_core.cli.loading import EXIT_BAD_SETTINGS, settings_or_exit
from proxypal_core.cli.login import link, login, paste_token, setup_token
from proxypal_core.cli.models import models, test_account
from proxypal_core.cli.run import run as run_agent
from proxypal_core.cli.service import service
from proxypal_core.cli.settings import config as config_group
from proxypal_core.cli.setup import setup, unsetup
from proxypal_core.cli.statusline import show
from proxypal_core.cli.top import top
from proxypal_core.cli.usage import usage
from proxypal_core.cli.vault import vault as vault_group
from proxypal_core.cli.watch import watch
from proxypal_core.daemon import files
from proxypal_core.daemon.reload import Sources, Unreadable
from proxypal_core.daemon.run import CannotStart, Place, banner, open_log, run
from proxypal_core.gateway.owned import Files
from proxypal_core.settings.parse import parse, without_effect
from proxypal_core.settings.schema import Settings
from proxypal_core.store import admin_key as admin_keys
from proxypal_core.store.logins import Logins
from proxypal_core.store.vault import VaultError

EXIT_FAILED = 1


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="proxypal")
def main() -> None:
    """One local endpoint for every AI model you are entitled to."""


@main.command()
@click.option("--config", "config", metavar="FILE", help="The settings file.")
@click.option("--host", help="Address to listen on, instead of listen.host.")
@click.option("--port", type=click.IntRange(0, 65535), help="Port, instead of listen.port.")
def serve(config: str | None, host: str | None, port: int | None) -> None:
    """Run the daemon in the foreground."""
    listen = files.Listen(host, port)
    settings = settings_or_exit(config, listen)
    snapshot = vault_or_exit(settings)
    vault = vault_of(settings, os.environ)
    settings = app.with_profiles(settings, snapshot.profiles, snapshot.bookkeeping)
    admin_key = _admin_key(settings)
    _open_log(settings, admin_key)
    logger = structlog.get_logger("proxypal")
    if snapshot.problem:
        logger.error(snapshot.problem)
    for notice in (*settings.notices, *without_effect(settings)):
        logger.warning(notice)
    path = files.config_path(config, os.environ)
    file = path if path.exists() else None
    data_dir = files.data_dir(os.environ)

    def load() -> Settings:
        loaded = files.load_settings(path, os.environ, listen=listen)
        try:
            now = vault.read()
        except VaultError as error:
            raise Unreadable(str(error)) from None
        return app.with_profiles(loaded, now.profiles, now.bookkeeping)

    try:
        run(
            settings,
            admin_key=admin_key,
            place=Place(
                data_dir,
                Logins(vault),
                Sources((path, vault.path), load),
                Files(vault, path, partial(parse, environment=os.environ, host=host, port=port)),
            ),
            ready=lambda url: click.echo(banner(url, settings, file), err=True),
        )
    except CannotStart as error:
        _fail(str(error), error.exit_code)


@main.command()
@click.option("--config", metavar="FILE", help="The settings file.")
def statusline(config: str | None) -> None:
    """Print one short line on how it goes, for tmux and for Claude Code."""
    show(config)


def _admin_key(settings: Settings) -> str:
    """The key of the management API, made at the first start."""
    given = os.environ.get("PROXYPAL_ADMIN_KEY") or str(settings.admin_key)
    if given:
        return given
    folder = files.state_dir(os.environ)
    try:
        return admin_keys.read_or_make(folder)
    except OSError as error:
        _fail(
            f"The admin key cannot be kept in {folder}: {error.strerror or error}. Name another"
            " folder with PROXYPAL_STATE_DIR, or set admin_key.",
            EXIT_FAILED,
        )


def _open_log(settings: Settings, admin_key: str) -> None:
    try:
        open_log(settings, app.secrets_of(settings, admin_key))
    except OSError as error:
        _fail(
            f"logging.file: cannot write {settings.logging.file}: {error.strerror or error}",
            EXIT_BAD_SETTINGS,
        )


def _fail(message: str, code: int) -> NoReturn:
    click.echo(message, err=True)
    sys.exit(code)


for command in (
    login,
    link,
    paste_token,
    setup_token,
    test_account,
    import_accounts,
    export_accounts,
):
    auth.add_command(command)
main.add_command(auth)
main.add_command(list_agents)
main.add_command(run_agent)
main.add_command(setup)
main.add_command(unsetup)
main.add_command(config_group)
main.add_command(dashboard)
main.add_command(doctor)
main.add_command(explain)
main.add_command(import_group)
main.add_command(keys)
main.add_command(models)
main.add_command(service)
main.add_command(top)
main.add_command(usage)
main.add_command(vault_group)
main.add_command(watch)
