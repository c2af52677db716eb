"""Where the program's files are, and the settings read from theirs.

Each place can be named by a flag or a variable; without, it is the platform's usual one.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import platformdirs

from proxypal_core.providers.yamlio import LARGEST
from proxypal_core.settings.parse import Problem, SettingsError, parse
from proxypal_core.settings.schema import Settings

_APP = "proxypal"


class Listen(NamedTuple):
    """An address given on the command line; None leaves the setting as it is."""

    host: str | None = None
    port: int | None = None


_AS_SET = Listen()


def config_path(flag: str | Path | None, environment: Mapping[str, str]) -> Path:
    """The settings file: *flag*, ``PROXYPAL_CONFIG``, or the usual one."""
    named = flag or environment.get("PROXYPAL_CONFIG")
    return Path(named).expanduser() if named else default_config_path()


def default_config_path() -> Path:
    return Path(platformdirs.user_config_dir(_APP, appauthor=False)) / "config.yaml"


def data_dir(environment: Mapping[str, str]) -> Path:
    """Where the vault and the database are: ``PROXYPAL_DATA_DIR``, or the usual folder."""
    named = environment.get("PROXYPAL_DATA_DIR")
    if named:
        return Path(named).expanduser()
    return Path(platformdirs.user_data_dir(_APP, appauthor=False))


def state_dir(environment: Mapping[str, str]) -> Path:
    """Where keys of this machine are, apart from what they open: ``PROXYPAL_STATE_DIR``, or the
    usual folder.
    """
    named = environment.get("PROXYPAL_STATE_DIR")
    if named:
        return Path(named).expanduser()
    return Path(platformdirs.user_state_dir(_APP, appauthor=False))


def load_settings(
    path: Path | None, environment: Mapping[str, str], *, listen: Listen = _AS_SET
) -> Settings:
    """The settings in the file at *path*; None is the usual file, which need not exist.

    Raises:
        SettingsError: the file cannot be read, or what it says cannot be used.
    """
    usual = default_config_path()
    path = path or usual
    text = "" if path == usual and not path.exists() else _read(path)
    settings = parse(text, environment, host=listen.host, port=listen.port)
    if settings.network.ca_file:
        _check_roots(settings.network.ca_file)
    return settings


def _check_roots(ca_file: str) -> None:
    from proxypal_core.upstream import trust  # noqa: PLC0415 — slow to load, and seldom needed

    try:
        trust.roots(ca_file)
    except OSError as error:
        problem = f"{ca_file} cannot be used: {error.strerror or error}"
        hint = "name a file that holds certificates in PEM"
        raise SettingsError([Problem("network.ca_file", problem, hint)]) from None


def _read(path: Path) -> str:
    try:
        with path.open("rb") as file:
            data = file.read(LARGEST * 4 + 1)
        return data.decode("utf-8-sig")
    except FileNotFoundError:
        problem, hint = f"there is no file {path}", "start from the config.yaml of the repository"
    except OSError as error:
        problem, hint = (
            f"cannot read {path}: {error.strerror or error}",
            "see whose it is, and its mode",
        )
    except UnicodeDecodeError as error:
        problem, hint = f"{path} is not UTF-8 text (byte {error.start})", "save it as UTF-8"
    raise SettingsError([Problem("", problem, hint)])
