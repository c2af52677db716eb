"""What the commands about accounts share: the vault opened and changed, accounts named, secrets read."""

import os
import sys
import unicodedata
from collections.abc import Callable, Iterator, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import NoReturn

import click

from proxypal_core.cli import passphrase
from proxypal_core.daemon import files
from proxypal_core.providers.catalog import find, variables
from proxypal_core.providers.provider import Provider
from proxypal_core.settings.reading import did_you_mean
from proxypal_core.settings.schema import Settings
from proxypal_core.store.logins import Logins
from proxypal_core.store.master_key import KeySource, KeyUnusable
from proxypal_core.store.vault import Snapshot, Vault, VaultError, is_profile_id
from proxypal_core.wire.jsonio import JsonObject

EXIT_FAILED = 1
EXIT_BAD_SETTINGS = 78
LONGEST_SECRET = 16 * 1024

config_option = click.option("--config", "config", metavar="FILE", help="The settings file.")


def fail(message: str, code: int = EXIT_FAILED) -> NoReturn:
    click.echo(message, err=True)
    sys.exit(code)


# ── the vault ────────────────────────────────────────────────────────────────────────────────


def vault_of(settings: Settings, environment: Mapping[str, str]) -> Vault:
    """The vault that *settings* and *environment* lead to.

    Raises:
        KeyUnusable: the settings want its key from where it cannot come.
    """
    keys = KeySource(
        settings.vault.key_source, files.state_dir(environment), environment, passphrase.asked
    )
    return Vault(files.data_dir(environment), keys)


def own_vault(settings: Settings) -> Vault:
    try:
        return vault_of(settings, os.environ)
    except KeyUnusable as error:
        fail(str(error), EXIT_BAD_SETTINGS)


def logins(settings: Settings) -> Logins:
    """The vault's profiles, for what keeps their tokens fresh."""
    return Logins(own_vault(settings))


def vault_or_exit(settings: Settings) -> Snapshot:
    """What is in the vault that *settings* lead to; the program ends when it cannot be read."""
    try:
        return own_vault(settings).read()
    except VaultError as error:
        fail(str(error))


def changeable(settings: Settings) -> Snapshot:
    """What is in the vault, for a command that means to change it."""
    snapshot = vault_or_exit(settings)
    if snapshot.problem:
        fail(snapshot.problem)
    return snapshot


def update(settings: Settings, change: Callable[[dict[str, JsonObject]], None]) -> Path:
    """Let *change* work on the profiles as they are now. Gives the vault's path."""
    vault = own_vault(settings)
    try:
        vault.update(change)
    except VaultError as error:
        fail(str(error))
    return vault.path


# ── names ────────────────────────────────────────────────────────────────────────────────────


def provider_called(word: str, settings: Settings) -> Provider:
    known = find(settings.catalog, word)
    if known is not None:
        return known
    names = [name for row in settings.catalog.values() for name in (row.name, *row.aliases)]
    hint = did_you_mean(word, names) or "Add it under providers in the settings."
    raise click.UsageError(f"There is no provider called {word}: {hint}")


def profile_id_of(provider: Provider, email: str | None, name: str | None) -> str:
    """``provider:name`` for a new profile."""
    if email and name:
        raise click.UsageError("Give --email or --name, not both.")
    profile_id = unicodedata.normalize("NFC", f"{provider.name}:{email or name or 'default'}")
    if not is_profile_id(profile_id):
        raise click.UsageError(
            "A name has at most 254 characters, all of them printable, and no / or \\."
        )
    return profile_id


def normalised(profile_id: str, settings: Settings) -> str:
    """*profile_id*, in which a person may have used an alias of the provider."""
    name, colon, rest = unicodedata.normalize("NFC", profile_id).partition(":")
    return f"{settings.provider_of(name)}{colon}{rest}"


def not_there(wanted: str, known: Sequence[str], settings: Settings) -> str:
    """What to say when *wanted* is not in the vault, whose ids are *known*."""
    if any(row.id == wanted for row in settings.accounts):
        return f"{wanted} comes from the settings or the environment: change it there."
    near = get_close_matches(wanted, list(known), n=3)
    hint = f"did you mean {' or '.join(near)}?" if near else "proxypal auth list shows what is."
    return f"{wanted} is not in the vault: {hint}"


# ── secrets ──────────────────────────────────────────────────────────────────────────────────


def asked_secret(what: str, profile_id: str, command: str) -> str:
    """The secret on standard input, which on a terminal is asked for and not shown. *what* it is
    called, as in "key"; *command* is how it is piped in.
    """
    if sys.stdin.isatty():
        label = "API key" if what == "key" else what.capitalize()
        text = str(click.prompt(f"{label} for {profile_id}", hide_input=True, err=True))
    else:
        text = sys.stdin.buffer.read(LONGEST_SECRET + 1).decode("utf-8-sig", "replace")
    secret = text.strip()
    if not secret:
        fail(f"There is no {what} on standard input. Try: {command} < {what}.txt")
    # It travels in a header. What was read is not repeated: it may hold a secret all the same.
    if (
        len(secret) > LONGEST_SECRET
        or not secret.isascii()
        or not secret.isprintable()
        or " " in secret
    ):
        fail(
            f"What was read is not a {what}: a {what} is one word of ASCII characters on one line."
            " Copy it again, and nothing around it."
        )
    return secret


def remarks(profile_id: str, provider: Provider, settings: Settings) -> Iterator[str]:
    """What keeps a new account from being used, and what to do next."""
    if any(row.id == profile_id for row in settings.accounts):
        yield "The settings have an account of the same id, and that one is used."
    if not provider.endpoints:
        needed = variables(provider.name)
        what = f"set {' and '.join(needed)}" if needed else "add it under providers"
        yield f"The address of {provider.name} is not known yet: {what}, where the daemon runs."
    yield "Next: proxypal models status"


# ── tables ───────────────────────────────────────────────────────────────────────────────────


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """*rows* in columns under *head*."""
    lines = [tuple(name.upper() for name in head), *rows]
    widths = [max(len(line[at]) for line in lines) for at in range(len(head))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )
