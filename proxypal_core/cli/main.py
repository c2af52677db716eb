"""The ``proxypal`` command."""

from collections.abc import Mapping

import click

from proxypal_core import __version__
from proxypal_core.cli.deferred import Row, add_commands


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="proxypal")
def main() -> None:
    """One local endpoint for every AI model you are entitled to."""


@main.command()
@click.option("--config", metavar="FILE", help="The settings file.")
def statusline(config: str | None) -> None:
    """Print one short line on how it goes, for tmux and for Claude Code."""
    from proxypal_core.cli.statusline import show  # noqa: PLC0415 — as the rows below

    show(config)


COMMANDS: Mapping[str, Row] = {
    "agents": Row(
        "agents:list_agents",
        "Show the coding agents of this machine, and whether they are set up for the proxy.",
    ),
    "auth": Row(
        "auth:auth",
        "Add accounts, see how they are, and take them out.",
    ),
    "config": Row(
        "settings:config",
        "Check and show the settings.",
    ),
    "dashboard": Row(
        "dashboard:dashboard",
        "Print a link to the dashboard, and open it on a desktop.",
    ),
    "doctor": Row(
        "doctor:doctor",
        "Find what is wrong, and say what to do.",
    ),
    "explain": Row(
        "explain:explain",
        "Say which account would serve MODEL, and why not the others.",
    ),
    "import": Row(
        "auth_exchange:import_group",
        "Move here from another program.",
    ),
    "keys": Row(
        "keys:keys",
        "Make, list and revoke the keys that clients must show.",
    ),
    "models": Row(
        "models:models",
        "See what can be asked for, and whether the accounts for it are fit.",
    ),
    "run": Row(
        "run:run",
        'Start AGENT on the proxy: proxypal run codex -- exec "Say hello".',
    ),
    "serve": Row(
        "serve:serve",
        "Run the daemon in the foreground.",
    ),
    "service": Row(
        "service:service",
        "Have the daemon started at login, and again when it fails.",
    ),
    "setup": Row(
        "setup:setup",
        "Point AGENT's own files at the proxy; proxypal unsetup AGENT puts them back.",
    ),
    "top": Row(
        "top:top",
        "Show accounts, today's totals and the last requests, live; q ends it.",
    ),
    "unsetup": Row(
        "setup:unsetup",
        "Put AGENT's files back as they were before setup. What you changed since stays.",
    ),
    "usage": Row(
        "usage:usage",
        "Show requests, tokens and cost.",
    ),
    "vault": Row(
        "vault:vault",
        "Look after the encrypted file that holds the accounts.",
    ),
    "watch": Row(
        "watch:watch",
        "Show each request as it ends.",
    ),
}

add_commands(main, COMMANDS)
