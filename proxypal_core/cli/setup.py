"""``proxypal setup`` and ``unsetup``: an agent's own files pointed at the proxy, and put back."""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from difflib import unified_diff
from pathlib import Path
from typing import NamedTuple

import click

from proxypal_core import app
from proxypal_core.agents import edits as ways
from proxypal_core.agents.agent import Agent, Values, edits
from proxypal_core.agents.tree import Unreadable, spelt
from proxypal_core.cli.accounts import config_option, fail
from proxypal_core.cli.agents import (
    agent_argument,
    client_key,
    found,
    given_to,
    kept_key,
    model_option,
    place,
    receipts,
    usable,
)
from proxypal_core.cli.loading import settings_or_exit
from proxypal_core.daemon.reach import is_proxypal
from proxypal_core.store import agent_files, files
from proxypal_core.store.agent_files import BadReceipt, Changed, Receipt
from proxypal_core.wire import jsonio

dry_run_option = click.option("--dry-run", is_flag=True, help="Show what would change, and stop.")
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


class Change(NamedTuple):
    """A file and what it says ``now`` and ``then``, None where there is no file; its mode then."""

    path: Path
    now: str | None
    then: str | None
    mode: int
    left: Sequence[str] = ()
    folders: Sequence[str] = ()


@click.command()
@agent_argument
@model_option
@dry_run_option
@json_option
@config_option
def setup(
    agent: Agent,
    model: str | None,
    dry_run: bool,  # noqa: FBT001 — click passes flags by name
    as_json: bool,  # noqa: FBT001
    config: str | None,
) -> None:
    """Point AGENT's own files at the proxy; proxypal unsetup AGENT puts them back.

    All else in them stays as it is. A file that cannot be read is not touched.
    """
    usable(agent)
    if not agent.setup:
        fail(f"{agent.label} cannot be set up: {agent.by_hand} Use: proxypal run {agent.name}")
    settings = settings_or_exit(config)
    with _alone(agent):
        earlier = _receipt(agent)
        stand_in = given_to(agent, settings, kept_key(agent, settings), model)
        changed = _planned(agent, stand_in, earlier, asked=bool(model))  # before a key is made
        if not dry_run:
            given = stand_in._replace(key=client_key(agent, settings))
            changed = _planned(agent, given, earlier, asked=bool(model))
        changes = [_change(one) for one in changed]
        if not dry_run:
            receipt = Receipt(agent=agent.name, at=app.Clock().now(), files=tuple(changed))
            # First, so that a crash between leaves nothing that nobody knows of.
            _write_receipt(receipt)
            _make(changes)
    _tell(agent, changes, dry_run=dry_run, as_json=as_json)
    if dry_run or as_json:
        return
    click.echo(f"{agent.label} is set up for the proxy{_asking(stand_in)}.")
    if not found(agent.command):
        click.echo(f"There is no program {agent.command} here yet.", err=True)
    if not is_proxypal(settings.listen):
        click.echo("No daemon runs yet: proxypal serve", err=True)


@click.command()
@agent_argument
@dry_run_option
@json_option
def unsetup(agent: Agent, dry_run: bool, as_json: bool) -> None:  # noqa: FBT001 — click's flags
    """Put AGENT's files back as they were before setup. What you changed since stays."""
    with _alone(agent):
        receipt = _receipt(agent)
        changes = [_put_back(one) for one in receipt.files] if receipt else []
        if receipt and not dry_run:
            _make(changes)
            receipts().remove(agent.name)
    _tell(agent, changes, dry_run=dry_run, as_json=as_json)
    if dry_run or as_json:
        return
    left = [f"{change.path}: {where}" for change in changes for where in change.left]
    if left:
        click.echo("You changed these since, so they stay as they are:\n  " + "\n  ".join(left))
    if receipt is None:
        click.echo(f"{agent.label} was not set up from here: there is nothing to put back.")
    else:
        click.echo(
            f"{agent.label} is as it was. Its client key stays: proxypal keys revoke {agent.name}"
        )


# ── planned ──────────────────────────────────────────────────────────────────────────────────


def _planned(
    agent: Agent, given: Values, earlier: Receipt | None, *, asked: bool
) -> Sequence[Changed]:
    """The files of *agent* with their edits, which replace those of an *earlier* set-up."""
    known = {one.path: one for one in earlier.files} if earlier else {}
    planned: list[Changed] = []
    for file in agent.setup:
        path = place(file)
        before = known.pop(str(path), None)
        with _explained(path):
            there = agent_files.read(path)
            laid = ways.laid(
                file.format,
                there.text,
                edits(file.set, given, asked=asked),
                before.laid if before else None,
            )
        folders = tuple(map(str, agent_files.missing_folders(path)))
        planned.append(
            Changed(
                path=str(path),
                mode=before.mode if before else there.mode,
                laid=laid,
                folders=before.folders if before else folders,
            )
        )
    return [*planned, *known.values()]


def _change(one: Changed) -> Change:
    path = Path(one.path)
    with _explained(path):
        now = agent_files.read(path).text
    return Change(path, now, one.laid.after, agent_files.private(one.mode))


def _put_back(one: Changed) -> Change:
    path = Path(one.path)
    with _explained(path):
        now = agent_files.read(path).text
        then, left = ways.restored(one.laid, now)
    return Change(path, now, then, one.mode, [spelt(where) for where in left], one.folders)


# ── done ─────────────────────────────────────────────────────────────────────────────────────


def _make(changes: Sequence[Change]) -> None:
    for change in changes:
        with _explained(change.path):
            if change.then is None:
                change.path.unlink(missing_ok=True)
                _remove_empty(change.folders)
            elif change.now is not None or change.then:
                files.make_folder(change.path.parent)
                agent_files.write(change.path, change.then, change.mode)


def _remove_empty(folders: Sequence[str]) -> None:
    for folder in reversed(folders):
        with suppress(OSError):  # something else is in it
            Path(folder).rmdir()


def _write_receipt(receipt: Receipt) -> None:
    with _explained(receipts().path(receipt.agent)):
        receipts().write(receipt)


def _receipt(agent: Agent) -> Receipt | None:
    try:
        return receipts().read(agent.name)
    except BadReceipt as error:
        fail(
            f"{error}. Nothing was changed. Use the version of proxypal that wrote it, or delete it:"
            f" then what {agent.label} has now counts as its own."
        )


@contextmanager
def _alone(agent: Agent) -> Iterator[None]:
    path = receipts().path(agent.name)
    with _explained(path), files.locked(path):
        yield


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    try:
        yield
    except Unreadable as error:
        fail(f"{path} cannot be read, so nothing was changed: {error}. Mend it, then again.")
    except UnicodeDecodeError as error:
        fail(
            f"{path} is not UTF-8 text (byte {error.start}), so nothing was changed. Save it as"
            " UTF-8, then again."
        )
    except OSError as error:
        fail(
            f"{error.filename or path} cannot be used: {error.strerror or error}. See whose it is,"
            " and its mode."
        )


# ── told ─────────────────────────────────────────────────────────────────────────────────────


def _tell(agent: Agent, changes: Sequence[Change], *, dry_run: bool, as_json: bool) -> None:
    if as_json:
        rows = [
            {
                "path": str(change.path),
                "changed": change.now != change.then,
                "removed": change.now is not None and change.then is None,
                "left": list(change.left),
                **({"diff": diff(change)} if dry_run else {}),
            }
            for change in changes
        ]
        click.echo(jsonio.dumps_pretty({"agent": agent.name, "dry_run": dry_run, "files": rows}))
        return
    for change in changes:
        if dry_run:
            click.echo(diff(change) or f"{change.path} stays as it is.", nl=not diff(change))
        elif change.now != change.then:
            what = "removed" if change.then is None else "written"
            click.echo(f"{what}: {change.path}")


# What names a variable, as envKey and ${NAME} do, is none.
_SECRET = re.compile(
    r"(?i)(?<![\w.-])(?!env_?key\b)"
    r"(?P<name>[\w.-]*(?:key|token|secret|password|authorization)[\w.-]*[\"']?\s*[:=]\s*[\"']?)"
    r"(?P<value>(?!\$\{)[^\s\"',}]{6,})"
)


def diff(change: Change) -> str:
    """What *change* changes, for a person; without secrets."""
    now, then = ((_masked(text or "")).splitlines() for text in (change.now, change.then))
    lines = unified_diff(now, then, str(change.path), str(change.path), lineterm="")
    return "".join(f"{line}\n" for line in lines)


def _masked(text: str) -> str:
    return _SECRET.sub(lambda match: f"{match['name']}{match['value'][:3]}…", text)


def _asking(given: Values) -> str:
    return f", and asks for {given.model}" if given.model else ""
