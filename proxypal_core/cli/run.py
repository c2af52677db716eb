"""``proxypal run``: an agent started on the proxy, with no file of the user's touched."""

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import click

from proxypal_core.agents import edits as ways
from proxypal_core.agents.agent import (
    Agent,
    Copy,
    Values,
    command_line,
    edits,
    environment,
    expanded,
)
from proxypal_core.agents.tree import Unreadable
from proxypal_core.cli.accounts import config_option, fail
from proxypal_core.cli.agents import (
    agent_argument,
    beside,
    client_key,
    found,
    given_to,
    model_option,
    usable,
)
from proxypal_core.cli.loading import settings_or_exit
from proxypal_core.daemon import files as places
from proxypal_core.daemon.reach import is_proxypal, reachable
from proxypal_core.store import agent_files, files

EXIT_NOT_FOUND = 127
_PLATFORM: str = sys.platform


@click.command(context_settings={"ignore_unknown_options": True})
@agent_argument
@model_option
@config_option
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def run(agent: Agent, model: str | None, config: str | None, arguments: Sequence[str]) -> None:
    """Start AGENT on the proxy: proxypal run codex -- exec "Say hello".

    What stands behind -- goes to the agent as it is. No file of the agent's own is changed, and it
    shows a client key of its own, so that its usage is told apart. Ends as the agent ends.
    """
    usable(agent)
    settings = settings_or_exit(config)
    program = found(agent.command)
    if not program:
        how = f": npm install -g {agent.package}" if agent.package else f": see {agent.docs}"
        fail(
            f"There is no program {agent.command} here. Install {agent.label}{how}", EXIT_NOT_FOUND
        )
    if not is_proxypal(settings.listen):
        fail(
            f"No daemon answers at {reachable(settings.listen)}, so {agent.label} was not started."
            " Start one in another terminal: proxypal serve"
        )
    folder = places.data_dir(os.environ) / "agents" / agent.name
    given = given_to(agent, settings, client_key(agent, settings), model, str(folder))
    for copy in agent.run.files:
        _lay(folder, copy, given, asked=bool(model))
    argv = [program, *command_line(agent.run, given, arguments)]
    _become(argv, beside(program, environment(agent.run, given, os.environ)))


def _lay(folder: Path, copy: Copy, given: Values, *, asked: bool) -> None:
    """Put the file *copy* into our *folder*: the user's own, with the edits of the row."""
    home = str(Path.home())
    theirs = [Path(expanded(path, os.environ, home)) for path in copy.like]
    source = next((path for path in theirs if path.exists()), None)
    path = folder / copy.path
    try:
        text = agent_files.read(source).text if source else None
        laid = ways.laid(copy.format, text, edits(copy.set, given, asked=asked))
        files.make_folder(path.parent)
        files.write(path, laid.after.encode())
    except (Unreadable, UnicodeDecodeError) as error:
        fail(f"{source} cannot be read: {error}. Mend it, then again.")
    except OSError as error:
        fail(
            f"{error.filename or path} cannot be used: {error.strerror or error}. See whose it is,"
            " and its mode."
        )


def _become(argv: list[str], variables: Mapping[str, str]) -> None:
    """Let the agent take the place of this process, with its terminal, signals and exit code."""
    try:
        if _PLATFORM == "win32":  # where a process cannot be replaced
            sys.exit(subprocess.call(argv, env=variables))  # noqa: S603 — the user's own program
        os.execve(argv[0], argv, variables)  # noqa: S606 — no shell is wanted
    except OSError as error:
        fail(
            f"{argv[0]} cannot be started: {error.strerror or error}. Install it again.",
            EXIT_NOT_FOUND,
        )
