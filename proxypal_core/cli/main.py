"""The ``proxypal`` command."""

import os
import sys

import click
import structlog

from proxypal_core import __version__, app
from proxypal_core.cli.auth import auth, vault_or_exit
from proxypal_core.cli.settings import config as config_group
from proxypal_core.cli.watch import watch
from proxypal_core.daemon import files
from proxypal_core.daemon.run import CannotListen, banner, run
from proxypal_core.settings.parse import SettingsError, without_effect
from proxypal_core.store import admin_key as admin_keys
from proxypal_core.telemetry import log

EXIT_BAD_SETTINGS = 78


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
    path = files.config_path(config, os.environ)
    try:
        settings = files.load_settings(path, os.environ, listen=files.Listen(host, port))
    except SettingsError as error:
        click.echo(f"The settings are not valid: {path}", err=True)
        for problem in error.problems:
            click.echo(f"  {problem}", err=True)
        sys.exit(EXIT_BAD_SETTINGS)
    vault = vault_or_exit(settings)
    settings = app.with_profiles(settings, vault.profiles)
    admin_key = (
        os.environ.get("PROXYPAL_ADMIN_KEY")
        or str(settings.admin_key)
        or admin_keys.read_or_make(files.state_dir(os.environ))
    )
    log.configure(
        level=settings.logging.level,
        format=settings.logging.format,
        file=settings.logging.file,
        secrets=app.secrets_of(settings, admin_key),
    )
    logger = structlog.get_logger("proxypal")
    if vault.problem:
        logger.error(vault.problem)
    for notice in (*settings.notices, *without_effect(settings)):
        logger.warning(notice)
    try:
        run(
            settings,
            admin_key=admin_key,
            ready=lambda url: click.echo(banner(url, settings, path), err=True),
        )
    except CannotListen as error:
        click.echo(str(error), err=True)
        sys.exit(error.exit_code)


main.add_command(auth)
main.add_command(config_group)
main.add_command(watch)
