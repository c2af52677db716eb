"""``proxypal vault``: how the vault is, and another key for it."""

import os
import sys
from typing import Any

import click

from proxypal_core.cli.accounts import config_option, fail, own_vault
from proxypal_core.cli.loading import settings_or_exit
from proxypal_core.store.master_key import KeySource, KeyUnusable, MasterKey, decoded
from proxypal_core.store.vault import Snapshot, Vault, VaultError
from proxypal_core.wire import jsonio

_LONGEST = 4096
_SOURCES = ("keyring", "file", "passphrase", "environment")


@click.group()
def vault() -> None:
    """Look after the encrypted file that holds the accounts."""


@vault.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@config_option
def status(as_json: bool, config: str | None) -> None:  # noqa: FBT001 — click calls it
    """Show where the vault and its key are, and whether they are well. Exits with 1 if not."""
    found = _status(own_vault(settings_or_exit(config)))
    if as_json:
        click.echo(jsonio.dumps_pretty(found))
    else:
        click.echo("\n".join(_lines(found)))
    if found["problems"]:
        sys.exit(1)


def _status(vault: Vault) -> dict[str, Any]:
    problems = []
    try:
        snapshot = vault.read()
    except VaultError as error:
        snapshot = Snapshot(problem=str(error))
    if snapshot.problem:
        problems.append(snapshot.problem)
    key: dict[str, Any] = {"source": vault.keys.kind, "from": None, "id": None}
    if snapshot.generation:
        try:
            present = vault.keys.read()
            key |= {"from": present.origin, "id": present.id.hex()}
            if vault.keys.has_next():
                problems.append(
                    "A change of the key was cut off. To finish it: proxypal vault rotate"
                )
        except KeyUnusable as error:
            problems.append(str(error))
    return {
        "path": str(vault.path),
        "exists": os.path.lexists(vault.path),
        "generation": snapshot.generation,
        "accounts": len(snapshot.profiles),
        "key": key,
        "earlier": [
            {"path": str(path), "generation": earlier.generation, "problem": ""}
            if isinstance(earlier, Snapshot)
            else {"path": str(path), "generation": 0, "problem": str(earlier)}
            for path, earlier in vault.earlier()
        ],
        "problems": problems,
    }


def _lines(found: dict[str, Any]) -> list[str]:
    if not found["exists"] and not found["problems"]:
        return [f"There is no vault yet: {found['path']}", "Next: proxypal auth add-key PROVIDER"]
    key = found["key"]
    lines = [
        f"vault        {found['path']}",
        f"generation   {found['generation']}",
        f"accounts     {found['accounts']}",
        f"key          {key['from'] or 'none'} (source {key['source']}, id {key['id'] or 'none'})",
    ]
    for row in found["earlier"]:
        what = row["problem"] or f"generation {row['generation']}"
        lines.append(f"earlier      {row['path']}: {what}")
    return lines + [f"problem      {problem}" for problem in found["problems"]]


@vault.command()
@click.option(
    "--from",
    "source",
    type=click.Choice(_SOURCES),
    help="Where the present key is, if vault.key_source was changed.",
)
@config_option
def rotate(source: str | None, config: str | None) -> None:
    """Encrypt everything with a new key, kept where vault.key_source says.

    A key in the environment cannot be changed from here: the new one is read from standard input,
    or asked for.
    """
    target = own_vault(settings_or_exit(config))
    keys = target.keys
    present = KeySource(source, keys.state_dir, keys.environment, keys.ask) if source else keys
    try:
        new = _given_key() if keys.comes_from_outside() else None
        left = Vault(target.path.parent, present).rotate(keys, new)
    except (VaultError, KeyUnusable) as error:
        fail(str(error))
    click.echo(f"{target.path} and its earlier generations are encrypted with a new key.")
    for path in left:
        click.echo(f"Not so {path}: it was damaged before, and nothing can open it any more.")
    if new is not None:
        click.echo("Put the new key in the place of the old one, and restart the daemon.")
    elif present.kind != keys.kind:
        click.echo("The old key opens nothing any more.")


def _given_key() -> MasterKey:
    if sys.stdin.isatty():
        text = str(click.prompt("New vault key (32 bytes in base64)", hide_input=True, err=True))
    else:
        text = sys.stdin.buffer.read(_LONGEST).decode("ascii", "replace")
    if not text.strip():
        fail(
            "The vault's key comes from the environment, so the new one must be given on standard "
            "input: openssl rand -base64 32 > new.key; proxypal vault rotate < new.key"
        )
    return MasterKey(decoded(text, "what was read"), "standard input")
