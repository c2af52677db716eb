"""``proxypal serve``: the daemon, in the foreground."""

import os
import sys
from functools import partial

import click
import structlog

from proxypal_core import __version__, app
from proxypal_core.cli.accounts import EXIT_BAD_SETTINGS, EXIT_FAILED, fail, vault_of, vault_or_exit
from proxypal_core.cli.loading import settings_or_exit
from proxypal_core.daemon import files
from proxypal_core.daemon.reload import Sources, Unreadable
from proxypal_core.daemon.run import CannotStart, Place, banner, open_log, run
from proxypal_core.daemon.worker import Worker
from proxypal_core.daemon.workers import Ended
from proxypal_core.daemon.workers import run as run_workers
from proxypal_core.gateway.owned import Files
from proxypal_core.settings.parse import parse, without_effect
from proxypal_core.settings.schema import Settings
from proxypal_core.store import admin_key as admin_keys
from proxypal_core.store.logins import Logins
from proxypal_core.store.vault import VaultError

MOST_WORKERS = 64


@click.command()
@click.option("--config", "config", metavar="FILE", help="The settings file.")
@click.option("--host", help="Address to listen on, instead of listen.host.")
@click.option("--port", type=click.IntRange(0, 65535), help="Port, instead of listen.port.")
@click.option(
    "--workers",
    type=click.IntRange(1, MOST_WORKERS),
    default=1,
    help="Processes that share the port (Linux; more than one needs state.backend: redis).",
)
@click.option("--worker", "part", hidden=True, help="Which of them this is.")
def serve(
    config: str | None, host: str | None, port: int | None, workers: int, part: str | None
) -> None:
    """Run the daemon in the foreground."""
    listen = files.Listen(host, port)
    settings = settings_or_exit(config, listen)
    if problem := app.cannot_share(settings):
        fail(f"{problem}.", EXIT_BAD_SETTINGS)
    worker = Worker.read(part) if part else None
    if workers > 1 and worker is None:
        _several(workers, settings)
        return
    if worker:
        settings = worker.its(settings)
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
        if worker:
            loaded = worker.its(loaded)
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
            ready=lambda url: None if worker else click.echo(banner(url, settings, file), err=True),
            worker=worker,
        )
    except CannotStart as error:
        fail(str(error), error.exit_code)


def _several(count: int, settings: Settings) -> None:
    """Have *count* workers serve, each of which reads settings and vault for itself."""
    if settings.state.backend != "redis":
        fail(
            f"--workers {count} needs state.backend: redis, or each process would keep limits, budgets"
            " and rests of its own. Name a Redis server in state.url, or serve with one worker.",
            EXIT_BAD_SETTINGS,
        )
    _open_log(settings, "")
    try:
        run_workers(
            count,
            settings.listen,
            data_dir=files.data_dir(os.environ),
            ready=lambda url: click.echo(
                f"proxypal {__version__} listens on {url} with {count} workers", err=True
            ),
        )
    except CannotStart as error:
        fail(str(error), error.exit_code)
    except Ended as ended:
        sys.exit(ended.exit_code)


def _admin_key(settings: Settings) -> str:
    """The key of the management API, made at the first start."""
    given = os.environ.get("PROXYPAL_ADMIN_KEY") or str(settings.admin_key)
    if given:
        return given
    folder = files.state_dir(os.environ)
    try:
        return admin_keys.read_or_make(folder)
    except OSError as error:
        fail(
            f"The admin key cannot be kept in {folder}: {error.strerror or error}. Name another"
            " folder with PROXYPAL_STATE_DIR, or set admin_key.",
            EXIT_FAILED,
        )


def _open_log(settings: Settings, admin_key: str) -> None:
    try:
        open_log(settings, app.secrets_of(settings, admin_key))
    except OSError as error:
        fail(
            f"logging.file: cannot write {settings.logging.file}: {error.strerror or error}. Name"
            " another file, or none: then the log goes to standard error.",
            EXIT_BAD_SETTINGS,
        )
