"""``proxypal agents``, and what the commands about agents share: programs found, models chosen,
client keys made.
"""

import os
import re
import secrets
import shutil
import subprocess
import time
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import click
import msgspec

from proxypal_core import app, routing
from proxypal_core.agents import edits as ways
from proxypal_core.agents.agent import (
    Agent,
    File,
    Values,
    addresses,
    agents,
    chosen_model,
    expanded,
    is_model,
    values,
)
from proxypal_core.agents.standing import Sight, Standing, standing
from proxypal_core.agents.tree import Unreadable
from proxypal_core.cli import accounts, daemon_api
from proxypal_core.cli.accounts import config_option, fail, table
from proxypal_core.cli.loading import settings_or_exit
from proxypal_core.daemon import files
from proxypal_core.daemon.reach import reachable
from proxypal_core.gateway import access, new_keys
from proxypal_core.settings.schema import Settings
from proxypal_core.store import agent_keys, client_keys
from proxypal_core.store.agent_files import BadReceipt, Receipt, Receipts
from proxypal_core.store.agent_files import read as read_file
from proxypal_core.store.vault import VaultError
from proxypal_core.wire import jsonio

_VERSION_SECONDS = 10.0
_NOTICED_SECONDS = 5.0
# Where package managers put programs without every shell's PATH knowing.
_PLACES = (
    "~/.local/bin",
    "~/bin",
    "~/.npm-global/bin",
    "~/.bun/bin",
    "~/.cargo/bin",
    "~/go/bin",
    "~/.deno/bin",
    "~/.volta/bin",
    "~/.asdf/shims",
    "~/.local/share/mise/shims",
    "~/.opencode/bin",
    "~/.local/share/pnpm",
    "~/.nvm/versions/node/*/bin",
    "~/.local/share/fnm/node-versions/*/installation/bin",
    "/opt/homebrew/bin",
    "/usr/local/bin",
    "/usr/bin",
    "${APPDATA:-~/AppData/Roaming}/npm",
)

agent_argument = click.argument(
    "agent",
    metavar="AGENT",
    type=click.Choice(list(agents())),
    callback=lambda *at: agents()[at[2]],
)
model_option = click.option("--model", "model", metavar="M", help="The model to ask for.")


# ── the listing ──────────────────────────────────────────────────────────────────────────────


class Seen(NamedTuple):
    """An agent on this machine; ``program`` and ``version`` are empty where it is not found."""

    agent: Agent
    program: str
    version: str
    standing: Standing
    note: str = ""


@click.command("agents")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@config_option
def list_agents(as_json: bool, config: str | None) -> None:  # noqa: FBT001 — click calls it
    """Show the coding agents of this machine, and whether they are set up for the proxy."""
    settings = settings_or_exit(config)
    with ThreadPoolExecutor(max_workers=2) as pool:
        rows = list(pool.map(lambda agent: seen(agent, settings), agents().values()))
    if as_json:
        click.echo(jsonio.dumps_pretty({"agents": [_shown(row) for row in rows]}))
        return
    click.echo(table(("agent", "version", "state", "note"), [_cells(row) for row in rows]))
    click.echo(
        "\nproxypal run AGENT starts one on the proxy; proxypal setup AGENT sets it up to stay."
    )


def _shown(row: Seen) -> Mapping[str, Any]:
    return {
        "name": row.agent.name,
        "label": row.agent.label,
        "program": row.program or None,
        "version": row.version or None,
        "state": row.standing.state,
        "address": row.standing.address or None,
        "changed": list(row.standing.changed),
        "note": row.note,
        "tried": row.agent.tried or None,
        "docs": row.agent.docs,
    }


def _cells(row: Seen) -> Sequence[str]:
    state, address, changed = row.standing
    told = f"points elsewhere: {address}" if state == "elsewhere" else state
    note = row.note or (f"changed since: {', '.join(changed)}" if changed else "")
    return row.agent.name, row.version, told, note


def seen(agent: Agent, settings: Settings) -> Seen:
    """*agent* as it is on this machine."""
    program = found(agent.command)
    version = version_of(program, agent.version_args) if program else ""
    note = "cannot be used: proxypal run says why" if agent.obstacle else ""
    sights: Sequence[Sight] = ()
    receipt: Receipt | None = None
    try:
        receipt = receipts().read(agent.name)
        sights = [_sight(file, agent, settings, receipt) for file in agent.setup]
    except (BadReceipt, Unreadable, OSError, UnicodeDecodeError) as error:
        note = str(error)
    at = standing(
        sights, reachable(settings.listen), found=bool(program), set_up=receipt is not None
    )
    return Seen(agent, program, version, at, note)


def _sight(file: File, agent: Agent, settings: Settings, receipt: Receipt | None) -> Sight:
    path = place(file)
    text = read_file(path).text
    laid = (
        next((one.laid for one in receipt.files if one.path == str(path)), None)
        if receipt
        else None
    )
    # An address at a place that the model's name is part of is found by the receipt alone.
    given = Values(reachable(settings.listen), key="", bare="", model="")
    known = addresses(file.set, given)
    return Sight(ways.read(file.format, text or ""), known, laid.done if laid else ())


# ── programs ─────────────────────────────────────────────────────────────────────────────────


def found(command: str) -> str:
    """Where the program *command* is; empty when it is not found."""
    home = str(Path.home())
    places = [Path(expanded(place, os.environ, home)) for place in _PLACES]
    folders = [str(folder) for place in places for folder in sorted(_there(place), reverse=True)]
    path = os.pathsep.join([os.environ.get("PATH", os.defpath), *folders])
    return shutil.which(command, path=path) or ""


def _there(place: Path) -> Iterable[Path]:
    """The folders that *place* means, which may hold a ``*``."""
    return Path(place.anchor).glob(str(place.relative_to(place.anchor)))


def version_of(program: str, arguments: Sequence[str]) -> str:
    """What *program* says of its version; empty when it does not in time."""
    try:
        done = subprocess.run(  # noqa: S603 — the user's own program
            [program, *arguments],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_VERSION_SECONDS,
            check=False,
            env=beside(program, os.environ),
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    number = re.search(r"\d+(?:\.\d+)+[\w.+-]*", done.stdout.decode("utf-8", "replace"))
    return number[0] if number else ""


def beside(program: str, variables: Mapping[str, str]) -> Mapping[str, str]:
    """*variables* with the folder of *program* on the PATH, where what it is run by often is."""
    folder, path = str(Path(program).parent), variables.get("PATH", os.defpath)
    if folder in path.split(os.pathsep):
        return variables
    return {**variables, "PATH": f"{path}{os.pathsep}{folder}"}


# ── what a row needs to know ─────────────────────────────────────────────────────────────────


def receipts() -> Receipts:
    return Receipts(files.data_dir(os.environ))


def place(file: File) -> Path:
    """Which of the places of *file* is meant here."""
    home = str(Path.home())
    paths = [Path(expanded(path, os.environ, home)) for path in file.paths]
    return next((path for path in paths if path.exists()), paths[-1])


def usable(agent: Agent) -> None:
    """End the program when *agent* cannot be used."""
    if agent.obstacle:
        fail(
            f"{agent.label} cannot use this proxy: {agent.obstacle} Start it without:"
            f" {agent.command}"
        )


def given_to(
    agent: Agent, settings: Settings, key: str, wish: str | None, folder: str = ""
) -> Values:
    """What the row of *agent* is filled in with; *wish* is the model that the user names."""
    if wish and not is_model(wish):
        raise click.UsageError(f"--model: no model is called {wish!r}. See: proxypal models list")
    snapshot = accounts.vault_or_exit(settings)
    whole = app.with_profiles(settings, snapshot.profiles, snapshot.bookkeeping)
    listed = routing.listing(app.book_of(whole, app.accounts_of(whole)))
    # The demo answers when there is nobody else, and its routes show what failing looks like.
    real = [one for one in listed if not one.id.startswith("demo")]
    routes = [one.id for one in real if one.owner == "proxypal" and one.id != "auto"]
    served = [one.id for one in real if one.owner != "proxypal"] or ["demo/echo"]
    model = wish or chosen_model(agent, routes, served)
    return values(agent, reachable(settings.listen), key, model, folder)


def client_key(agent: Agent, settings: Settings) -> str:
    """The client key of *agent*, which is made when there is none yet."""
    own = next((row for row in settings.client_keys if row.name == agent.name), None)
    if own is not None:
        return str(own.key)
    kept = agent_keys.kept(accounts.changeable(settings), agent.name, access.digest)
    return kept or _made(agent, settings)


def kept_key(agent: Agent, settings: Settings) -> str:
    """As ``client_key``; a stand-in where it would have to be made."""
    own = next((str(row.key) for row in settings.client_keys if row.name == agent.name), "")
    kept = agent_keys.kept(accounts.vault_or_exit(settings), agent.name, access.digest)
    return own or kept or f"{new_keys.PREFIX}…"


def _made(agent: Agent, settings: Settings) -> str:
    text = new_keys.PREFIX + secrets.token_urlsafe()
    made = new_keys.made(new_keys.NewKey(agent.name), text, app.Clock().now())
    key = msgspec.structs.replace(made, guards=False)  # other clients may go on without one
    try:
        accounts.own_vault(settings).revise(lambda now: agent_keys.with_key(now, key, text))
    except client_keys.Taken:
        fail(
            f"There is a client key {agent.name!r} that was not made for this: proxypal keys revoke"
            f" {agent.name}, then again."
        )
    except VaultError as error:
        fail(str(error))
    click.echo(f"{agent.label} has a client key of its own now, {agent.name}.", err=True)
    _wait_until_known(agent.name, settings)
    return text


def _wait_until_known(name: str, settings: Settings) -> None:
    """A running daemon looks at its vault once a second, and would refuse the key till then."""
    until = time.monotonic() + _NOTICED_SECONDS
    while time.monotonic() < until:
        try:
            answer = daemon_api.call(settings, "GET", "/api/keys")
        except daemon_api.Refusal:
            return
        if answer is None or name in {row["name"] for row in answer["keys"]}:
            return
        time.sleep(0.1)
