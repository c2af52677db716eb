"""``proxypal auth``: the accounts, and the vault that keeps their keys."""

import os
import sys
import unicodedata
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from difflib import get_close_matches
from pathlib import Path
from typing import NamedTuple, NoReturn

import click
import msgspec

from proxypal_core import app
from proxypal_core.daemon import files
from proxypal_core.providers.catalog import find, variables
from proxypal_core.providers.provider import Provider
from proxypal_core.settings.parse import Problem, SettingsError
from proxypal_core.settings.reading import did_you_mean
from proxypal_core.settings.schema import Account, Settings
from proxypal_core.store.master_key import KeySource, KeyUnusable
from proxypal_core.store.vault import Snapshot, Vault, VaultError, is_profile_id
from proxypal_core.wire import jsonio
from proxypal_core.wire.jsonio import JsonObject

EXIT_FAILED = 1
EXIT_BAD_SETTINGS = 78
LONGEST_KEY = 16 * 1024
_SHOWN = 4
_LONG = 24
"""Of a shorter key, four characters at each end would be too much to show."""

_file_option = click.option("--config", "config", metavar="FILE", help="The settings file.")


@click.group()
def auth() -> None:
    """Add, list and remove accounts."""


@auth.command("add-key")
@click.argument("provider")
@click.option("--email", metavar="E", help="Whose key it is; names the account.")
@click.option("--name", metavar="N", help="Name of the account, if not the e-mail.")
@click.option("--force", is_flag=True, help="Replace the key of an account that is there.")
@_file_option
def add_key(
    provider: str,
    email: str | None,
    name: str | None,
    force: bool,  # noqa: FBT001 — click passes flags by name
    config: str | None,
) -> None:
    """Keep an API key of PROVIDER in the vault.

    The key is read from standard input, or asked for on a terminal: proxypal auth add-key openai
    < key.txt
    """
    settings = _settings(config)
    vault = _vault(settings)
    known = _provider(provider, settings)
    profile_id = _profile_id(known, email, name)

    def refuse_to_replace(profiles: Mapping[str, JsonObject]) -> None:
        if profile_id in profiles and not force:
            _fail(f"{profile_id} is there already. To replace its key, add --force.")

    refuse_to_replace(_changeable(vault))  # before a person is asked for a key in vain
    key = _asked_key(profile_id)
    profile = {
        "type": "api_key",
        "provider": known.name,
        "key": key,
        **({"email": email} if email else {"name": name} if name else {}),
        "created": datetime.fromtimestamp(app.Clock().now(), UTC).isoformat(timespec="seconds"),
    }

    def add(profiles: dict[str, JsonObject]) -> None:
        refuse_to_replace(profiles)
        profiles[profile_id] = profile

    _update(vault, add)
    click.echo(f"{profile_id} is in the vault, {vault.path}.")
    for remark in _remarks(profile_id, known, settings):
        click.echo(remark)
    model = known.models[0] if known.models else "MODEL"
    click.echo(f"Restart the daemon (proxypal serve) to use it, then ask for {known.name}/{model}.")


@auth.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@_file_option
def list_accounts(as_json: bool, config: str | None) -> None:  # noqa: FBT001 — click calls it
    """Show every account: of the vault, the settings and the environment."""
    settings = _settings(config)
    vault = _vault(settings)
    try:
        snapshot = vault.read()
        problem = snapshot.problem
    except VaultError as error:
        snapshot = Snapshot()
        problem = str(error)
    rows = _rows(settings, snapshot.profiles)
    if as_json:
        shown = {
            "accounts": msgspec.to_builtins([row._asdict() for row in rows]),
            "vault": {
                "path": str(vault.path),
                "generation": snapshot.generation,
                "problem": problem,
            },
        }
        click.echo(jsonio.dumps_pretty(shown))
    else:
        click.echo(_table(rows) if rows else _NONE_YET)
    if problem:
        _fail(problem)


@auth.command()
@click.argument("profile_id", metavar="ID")
@_file_option
def remove(profile_id: str, config: str | None) -> None:
    """Forget the account ID of the vault."""
    settings = _settings(config)
    vault = _vault(settings)
    name, colon, rest = unicodedata.normalize("NFC", profile_id).partition(":")
    wanted = f"{settings.provider_of(name)}{colon}{rest}"

    def take_out(profiles: dict[str, JsonObject]) -> None:
        if wanted not in profiles:
            _fail(_not_there(wanted, profiles, settings))
        del profiles[wanted]

    take_out(_changeable(vault))  # before a vault is made for nothing
    _update(vault, take_out)
    click.echo(f"{wanted} is no longer in the vault. Restart the daemon (proxypal serve).")


# ── the vault and the settings ───────────────────────────────────────────────────────────────


def vault_of(settings: Settings, environment: Mapping[str, str]) -> Vault:
    """The vault that *settings* and *environment* lead to.

    Raises:
        KeyUnusable: the settings want its key from where it cannot come.
    """
    keys = KeySource(settings.vault.key_source, files.state_dir(environment), environment)
    return Vault(files.data_dir(environment), keys)


def vault_or_exit(settings: Settings) -> Snapshot:
    """What is in the vault that *settings* lead to; the program ends when it cannot be read."""
    return _read(_vault(settings))


def _settings(flag: str | None) -> Settings:
    file = files.config_path(flag, os.environ)
    try:
        return files.load_settings(file, os.environ)
    except SettingsError as error:
        _refuse_settings(file, error.problems)


def _vault(settings: Settings) -> Vault:
    try:
        return vault_of(settings, os.environ)
    except KeyUnusable as error:
        _fail(str(error), EXIT_BAD_SETTINGS)


def _read(vault: Vault) -> Snapshot:
    try:
        return vault.read()
    except VaultError as error:
        _fail(str(error))


def _changeable(vault: Vault) -> dict[str, JsonObject]:
    """The profiles in *vault*, for a command that means to change them."""
    snapshot = _read(vault)
    if snapshot.problem:
        _fail(snapshot.problem)
    return dict(snapshot.profiles)


def _update(vault: Vault, change: Callable[[dict[str, JsonObject]], None]) -> None:
    try:
        vault.update(change)
    except VaultError as error:
        _fail(str(error))


def _refuse_settings(file: Path, problems: tuple[Problem, ...]) -> NoReturn:
    click.echo(f"The settings are not valid: {file}", err=True)
    for problem in problems:
        click.echo(f"  {problem}", err=True)
    sys.exit(EXIT_BAD_SETTINGS)


def _fail(message: str, code: int = EXIT_FAILED) -> NoReturn:
    click.echo(message, err=True)
    sys.exit(code)


# ── adding ───────────────────────────────────────────────────────────────────────────────────


def _provider(word: str, settings: Settings) -> Provider:
    known = find(settings.catalog, word)
    if known is not None:
        return known
    names = [name for row in settings.catalog.values() for name in (row.name, *row.aliases)]
    hint = did_you_mean(word, names) or "Add it under providers in the settings."
    raise click.UsageError(f"There is no provider called {word}: {hint}")


def _profile_id(provider: Provider, email: str | None, name: str | None) -> str:
    if email and name:
        raise click.UsageError("Give --email or --name, not both.")
    profile_id = unicodedata.normalize("NFC", f"{provider.name}:{email or name or 'default'}")
    if not is_profile_id(profile_id):
        raise click.UsageError(
            "A name has at most 254 characters, all of them printable, and no / or \\."
        )
    return profile_id


def _asked_key(profile_id: str) -> str:
    """The key on standard input, which on a terminal is asked for and not shown."""
    if sys.stdin.isatty():
        text = str(click.prompt(f"API key for {profile_id}", hide_input=True, err=True))
    else:
        text = sys.stdin.buffer.read(LONGEST_KEY + 1).decode("utf-8-sig", "replace")
    key = text.strip()
    if not key:
        _fail("There is no key on standard input. Try: proxypal auth add-key PROVIDER < key.txt")
    # It travels in a header. What was read is not repeated: it may hold a key all the same.
    if len(key) > LONGEST_KEY or not key.isascii() or not key.isprintable() or " " in key:
        _fail("What was read is not a key: a key is one word of ASCII characters on one line.")
    return key


def _remarks(profile_id: str, provider: Provider, settings: Settings) -> Iterator[str]:
    """What keeps the new account from being used, other than a restart."""
    if any(row.id == profile_id for row in settings.accounts):
        yield "The settings have an account of the same id, and that one is used."
    if not provider.endpoints:
        needed = variables(provider.name)
        what = f"set {' and '.join(needed)}" if needed else "add it under providers"
        yield f"The address of {provider.name} is not known yet: {what}, where the daemon runs."


# ── listing and removing ─────────────────────────────────────────────────────────────────────

_NONE_YET = (
    "There is no account yet. Add one with proxypal auth add-key PROVIDER, or set a key such as "
    "ANTHROPIC_API_KEY."
)


class Row(NamedTuple):
    """One line of the list. ``note`` says why an account is not used."""

    id: str
    type: str
    provider: str
    key: str
    source: str
    note: str


def _rows(settings: Settings, profiles: Mapping[str, JsonObject]) -> list[Row]:
    own = [
        Row(
            id=row.id,
            type="api_key" if row.api_key else "none",
            provider=settings.provider_of(row.id),
            key=_masked(row.api_key),
            source=_source(row, settings),
            note="",
        )
        for row in settings.accounts
    ]
    kept = [
        Row(
            id=profile_id,
            type=str(profile.get("type", "")),
            provider=settings.provider_of(profile_id),
            key=_masked(str(profile.get("key", ""))),
            source="vault",
            note=app.hindrance(settings, profile_id, profile),
        )
        for profile_id, profile in profiles.items()
    ]
    return own + kept


def _source(row: Account, settings: Settings) -> str:
    """Where the account comes from: those of the environment are named so and hold its key."""
    provider = find(settings.catalog, settings.provider_of(row.id))
    keys = {os.environ.get(name) for name in provider.env} if provider else set()
    return "environment" if row.id.endswith(":env") and row.api_key in keys else "settings"


def _masked(key: str) -> str:
    if len(key) < _LONG:
        return "…" if key else ""
    return f"{key[:_SHOWN]}…{key[-_SHOWN:]}"


def _table(rows: list[Row]) -> str:
    lines = [tuple(name.upper() for name in Row._fields), *rows]
    widths = [max(len(line[at]) for line in lines) for at in range(len(Row._fields))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )


def _not_there(wanted: str, profiles: Mapping[str, JsonObject], settings: Settings) -> str:
    if any(row.id == wanted for row in settings.accounts):
        return f"{wanted} comes from the settings or the environment: take it out there."
    near = get_close_matches(wanted, list(profiles), n=3)
    hint = f"did you mean {' or '.join(near)}?" if near else "proxypal auth list shows what is."
    return f"{wanted} is not in the vault: {hint}"
