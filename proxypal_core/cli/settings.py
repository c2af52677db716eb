"""``proxypal config``: is the settings file right, and what does it come to."""

import os
import sys
from pathlib import Path
from typing import Any

import click
import msgspec
import yaml

from proxypal_core.daemon import files
from proxypal_core.settings.describe import json_schema, shown
from proxypal_core.settings.parse import Problem, SettingsError, without_effect
from proxypal_core.settings.schema import Document, Settings
from proxypal_core.wire import jsonio

EXIT_BAD_SETTINGS = 78

_file_option = click.option("--config", "flag", metavar="FILE", help="The settings file.")
_json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


@click.group()
def config() -> None:
    """Check and show the settings."""


@config.command()
@_file_option
@_json_option
def check(flag: str | None, as_json: bool) -> None:  # noqa: FBT001 — click passes flags by name
    """Say everything that is wrong with the settings file; exit 78 if anything is."""
    file = files.config_path(flag, os.environ)
    settings, problems = _load(file)
    notices = [*settings.notices, *without_effect(settings)] if settings else []
    if as_json:
        _print_json(
            {
                "file": str(file),
                "ok": not problems,
                "problems": msgspec.to_builtins(problems),
                "notices": notices,
            }
        )
    else:
        for problem in problems:
            click.echo(_told(file, problem))
        for notice in notices:
            click.echo(f"note: {notice}")
        if not problems:
            click.echo(f"{file}: fine" if file.exists() else f"{file}: not there; defaults apply")
    if problems:
        sys.exit(EXIT_BAD_SETTINGS)


@config.command()
@_file_option
@_json_option
def show(flag: str | None, as_json: bool) -> None:  # noqa: FBT001 — click passes flags by name
    """Print the settings in effect, defaults and accounts from the environment included."""
    file = files.config_path(flag, os.environ)
    settings, problems = _load(file)
    if settings is None:
        for problem in problems:
            click.echo(_told(file, problem), err=True)
        sys.exit(EXIT_BAD_SETTINGS)
    effective = {name: shown(getattr(settings, name)) for name in Document.__struct_fields__}
    if as_json:
        _print_json(effective)
    else:
        click.echo(yaml.safe_dump(effective, sort_keys=False, allow_unicode=True), nl=False)


@config.command()
@_file_option
def path(flag: str | None) -> None:
    """Print where the settings file is, or would be."""
    click.echo(files.config_path(flag, os.environ))


@config.command()
def schema() -> None:
    """Print the JSON Schema of the settings file."""
    _print_json(json_schema())


def _load(file: Path) -> tuple[Settings | None, tuple[Problem, ...]]:
    try:
        return files.load_settings(file, os.environ), ()
    except SettingsError as error:
        return None, error.problems


def _told(file: Path, problem: Problem) -> str:
    """``file:line: path: problem (hint)``, the form that editors follow."""
    return f"{file}:{problem.line}: {problem}" if problem.line else f"{file}: {problem}"


def _print_json(value: Any) -> None:
    click.echo(jsonio.dumps_pretty(value))
