"""What commands begin with: the settings, or an end that says what is wrong with them."""

import os
import sys

import click

from proxypal_core.daemon import files
from proxypal_core.settings.parse import SettingsError
from proxypal_core.settings.schema import Settings

EXIT_BAD_SETTINGS = 78
_AS_SET = files.Listen()


def settings_or_exit(config: str | None, listen: files.Listen = _AS_SET) -> Settings:
    """The settings in the file that *config* names, or the usual one."""
    path = files.config_path(config, os.environ)
    try:
        return files.load_settings(path, os.environ, listen=listen)
    except SettingsError as error:
        click.echo(f"The settings are not valid: {path}", err=True)
        for problem in error.problems:
            click.echo(f"  {problem}", err=True)
        sys.exit(EXIT_BAD_SETTINGS)
