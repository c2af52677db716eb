"""``proxypal auth import|export`` and ``proxypal import``: accounts from and for other programs."""

import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import click
import msgspec

from proxypal_core.accounts import interchange
from proxypal_core.accounts.interchange import Import, Line, Merge
from proxypal_core.cli.accounts import (
    changeable,
    config_option,
    fail,
    own_vault,
    table,
    vault_or_exit,
)
from proxypal_core.cli.loading import settings_or_exit
from proxypal_core.providers import yamlio
from proxypal_core.settings.schema import Settings
from proxypal_core.store import files as store_files
from proxypal_core.store.vault import Snapshot, VaultError
from proxypal_core.wire import jsonio
from proxypal_core.wire.jsonio import Malformed

OPENCLAW = "auth-profiles.json"
LARGEST = 16 * 1024 * 1024
_MOST_FILES = 10_000

_dry_option = click.option("--dry-run", is_flag=True, help="Show what would be done.")
_json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
_path_argument = click.argument("path", metavar="FILE|DIR", type=click.Path(path_type=Path))


@click.command("import")
@_path_argument
@_dry_option
@_json_option
@config_option
def import_accounts(path: Path, dry_run: bool, as_json: bool, config: str | None) -> None:  # noqa: FBT001 — click's
    """Take in the accounts that FILE or DIR holds.

    That is an auth-profiles.json of OpenClaw, a login of CLIProxyAPI or its folder of them, or the
    key file of a Google service account. What the vault has and FILE does not is kept.
    """
    settings = settings_or_exit(config)
    _take_in(_found(path), settings, path, dry_run=dry_run, as_json=as_json)


@click.group("import")
def import_group() -> None:
    """Move here from another program."""


@import_group.command()
@_path_argument
@_dry_option
@_json_option
@config_option
def cliproxyapi(path: Path, dry_run: bool, as_json: bool, config: str | None) -> None:  # noqa: FBT001 — click's
    """Take in the accounts of CLIProxyAPI: from its config.yaml, or its folder of logins."""
    settings = settings_or_exit(config)
    new = _found(path) if path.is_dir() else _of_config(path, settings)
    _take_in(new, settings, path, dry_run=dry_run, as_json=as_json)


@click.command("export")
@click.argument("path", metavar="FILE", type=click.Path(path_type=Path))
@click.option("--force", is_flag=True, help="Replace FILE if it is there.")
@config_option
def export_accounts(path: Path, force: bool, config: str | None) -> None:  # noqa: FBT001 — click's
    """Write the vault's accounts into FILE as an auth-profiles.json of OpenClaw, in plain text."""
    snapshot = vault_or_exit(settings_or_exit(config))
    if os.path.lexists(path) and not force:
        fail(f"{path} is there already. To replace it, add --force.")
    document = interchange.to_openclaw(snapshot.profiles, snapshot.bookkeeping)
    try:
        store_files.write(path, f"{jsonio.dumps_pretty(document)}\n".encode())
    except OSError as error:
        fail(f"{path} cannot be written: {error.strerror or error}. Name another file.")
    click.echo(
        f"{len(snapshot.profiles)} accounts are in {path}, readable by you alone. They are not "
        "encrypted there: delete the file when it has served."
    )
    if snapshot.problem:
        fail(snapshot.problem)


# ── reading ──────────────────────────────────────────────────────────────────────────────────


def _found(path: Path) -> Import:
    """What the JSON file or the folder at *path* holds. In a folder, a bad file stops no other."""
    if path.is_dir():
        openclaw = path / OPENCLAW
        return _of_file(openclaw) if openclaw.is_file() else _of_folder(path)
    return _of_file(path)


def _of_file(path: Path) -> Import:
    try:
        return _of_json(path)
    except OSError as error:
        fail(_unread(path, error))
    except Malformed as error:
        fail(f"Nothing was imported: {path} {_told(error)}. Export it again, or name another file.")


def _of_folder(folder: Path) -> Import:
    found = Import()
    paths = sorted(folder.rglob("*.json"))
    if not paths or len(paths) > _MOST_FILES:
        fail(
            f"There are {len(paths)} JSON files in {folder}, so it is no folder of logins. Name that"
            " one; usually it is ~/.cli-proxy-api."
        )
    for path in paths:
        try:
            found += _of_json(path)
        except OSError as error:
            found += _skipped(path, f"it cannot be read: {error.strerror or error}")
        except Malformed as error:
            found += _skipped(path, f"it {_told(error)}")
    return found


def _of_json(path: Path) -> Import:
    return interchange.detected(path.stem, jsonio.load_object(_bytes(path)))


def _of_config(path: Path, settings: Settings) -> Import:
    """The keys in CLIProxyAPI's settings at *path*, and the logins in the folder they name."""
    try:
        config = jsonio.obj(yamlio.load(_bytes(path).decode("utf-8-sig")).value, "")
        found = interchange.from_cliproxyapi_config(config, settings.catalog)
    except OSError as error:
        fail(_unread(path, error))
    except (UnicodeDecodeError, yamlio.BadYaml) as error:
        fail(f"Nothing was imported: {path} is not YAML: {error}. Mend it, then again.")
    except Malformed as error:
        fail(f"Nothing was imported: {path}: {error}. Mend it, then again.")
    folder = Path(str(config.get("auth-dir") or "~/.cli-proxy-api")).expanduser()
    folder = path.parent / folder
    return found + _of_folder(folder) if any(folder.rglob("*.json")) else found


def _bytes(path: Path) -> bytes:
    with path.open("rb") as file:
        data = file.read(LARGEST + 1)
    if len(data) > LARGEST:
        raise Malformed("", f"is longer than {LARGEST} bytes")
    return data


def _unread(path: Path, error: OSError) -> str:
    return f"{path} cannot be read: {error.strerror or error}. Check its name, and that you may."


def _told(error: Malformed) -> str:
    return (
        error.problem
        if error.problem.startswith("is ") and not error.path
        else f"is not well made: {error}"
    )


def _skipped(path: Path, reason: str) -> Import:
    return Import(skipped=(Line(str(path), "skipped", reason),))


# ── writing ──────────────────────────────────────────────────────────────────────────────────


def _take_in(new: Import, settings: Settings, path: Path, *, dry_run: bool, as_json: bool) -> None:
    now = changeable(settings)
    merge = interchange.merge(now.profiles, now.bookkeeping, new)
    changes = merge.profiles != now.profiles or merge.bookkeeping != now.bookkeeping
    if changes and not dry_run:
        merge = _written(settings, new)
    if as_json:
        told = {"dry_run": dry_run, **interchange.report(merge.lines, new)}
        click.echo(jsonio.dumps_pretty(told))
    else:
        click.echo("\n".join(_report(merge.lines, new, path, dry_run=dry_run)))


def _written(settings: Settings, new: Import) -> Merge:
    done: list[Merge] = []

    def change(now: Snapshot) -> Snapshot:
        done.append(interchange.merge(now.profiles, now.bookkeeping, new))
        return msgspec.structs.replace(
            now, profiles=done[-1].profiles, bookkeeping=done[-1].bookkeeping
        )

    try:
        own_vault(settings).revise(change)
    except (VaultError, ValueError) as error:
        fail(f"Nothing was imported: {error}")
    return done[-1]


def _report(lines: list[Line], new: Import, path: Path, *, dry_run: bool) -> Iterator[str]:
    if lines:
        yield table(("account", "action", "why"), lines)
    counts = Counter(line.action for line in lines)
    told = ", ".join(f"{count} {action}" for action, count in counts.items()) or "no account in it"
    yield f"{path}: {told}{'. Nothing was written (--dry-run)' if dry_run else ''}."
    for section, rows in new.settings.items():
        yield f"For config.yaml:\n{section}:"
        yield from (f"  - {jsonio.dumps_text(row)}" for row in rows)
    yield from new.notes
    if counts["added"] + counts["changed"] and not dry_run:
        yield f"The secrets are still in {path} as well, unencrypted."
        yield "Next: proxypal models status"
