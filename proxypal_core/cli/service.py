"""``proxypal service``: the daemon in the care of the machine's own service manager.

A user's own, without a privilege: systemd's on Linux, launchd on macOS. What is installed is a file
that anybody can read, and the manager's own commands.
"""

import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import click

from proxypal_core.cli.accounts import config_option, fail
from proxypal_core.cli.loading import settings_or_exit
from proxypal_core.daemon import units

CARRIED = (
    "PATH",  # or the programs of backends are not found
    "PROXYPAL_CONFIG",
    "PROXYPAL_DATA_DIR",
    "PROXYPAL_STATE_DIR",
    "XDG_CONFIG_HOME",
    "XDG_DATA_HOME",
    "XDG_STATE_HOME",
)
"""What the service is given of the environment in which it is installed: places, and no secret."""

Command = tuple[str, ...]


class Service(NamedTuple):
    """What a service manager reads, and is told. ``logs`` is given how many lines, and whether to
    wait for more; ``after`` is for the user to know.
    """

    file: Path
    content: bytes
    install: Sequence[Command]
    uninstall: Sequence[Command]
    forget: Sequence[Command]
    """Once the file is gone."""
    status: Command
    logs: Callable[[int, bool], Command]
    after: str


@click.group()
def service() -> None:
    """Have the daemon started at login, and again when it fails."""


dry_run_option = click.option("--dry-run", is_flag=True, help="Only show what would be done.")


@service.command()
@dry_run_option
@config_option
def install(dry_run: bool, config: str | None) -> None:  # noqa: FBT001 — click passes flags by name
    """Install the service, and start it."""
    settings_or_exit(config)
    found = _service(os.environ, config)
    if dry_run:
        click.echo(f"# {found.file}\n{found.content.decode()}")
    else:
        if found.file.exists():
            for command in found.uninstall:  # launchd takes no second one of the same name
                _run(command)
        try:
            found.file.parent.mkdir(parents=True, exist_ok=True)
            found.file.write_bytes(found.content)
        except OSError as error:
            fail(
                f"{found.file} cannot be written: {error.strerror or error}. See whose its folder is."
            )
        click.echo(f"Wrote {found.file}.")
    _do(found.install, dry_run=dry_run)
    if not dry_run:
        click.echo(found.after)


@service.command()
@dry_run_option
def uninstall(dry_run: bool) -> None:  # noqa: FBT001
    """Stop the service, and take it out."""
    found = _service(os.environ)
    if not found.file.exists():
        click.echo(f"There is nothing to take out: no {found.file}.")
        return
    _do(found.uninstall, dry_run=dry_run)
    if dry_run:
        click.echo(f"rm {shlex.quote(str(found.file))}")
    else:
        found.file.unlink()
        click.echo(f"Removed {found.file}. Settings, accounts and records stay.")
    _do(found.forget, dry_run=dry_run)


@service.command()
@dry_run_option
def status(dry_run: bool) -> None:  # noqa: FBT001
    """Show how the service is. Exit code 1: it does not run."""
    found = _service(os.environ)
    if not found.file.exists():
        fail(
            f"The service is not installed (no {found.file}). Install it: proxypal service install"
        )
    _do([found.status], dry_run=dry_run)


@service.command()
@click.option("-n", "--lines", type=click.IntRange(1), default=100, help="How many lines (100).")
@click.option("-f", "--follow", is_flag=True, help="Go on with what comes.")
@dry_run_option
@config_option
def logs(lines: int, follow: bool, dry_run: bool, config: str | None) -> None:  # noqa: FBT001
    """Show what the service has logged."""
    file = settings_or_exit(config).logging.file
    command = (
        _tail(Path(file).expanduser(), lines, follow)
        if file
        else _service(os.environ).logs(lines, follow)
    )
    try:
        _do([command], dry_run=dry_run)
    except KeyboardInterrupt:  # the usual end of --follow
        return


def _do(commands: Sequence[Command], *, dry_run: bool) -> None:
    """Run *commands* one after the other, until one fails."""
    for command in commands:
        if dry_run:
            click.echo(shlex.join(command))
        elif shutil.which(command[0]) is None:
            fail(
                f"{command[0]} is not there, which is needed for: {shlex.join(command)}. Install it,"
                " then again."
            )
        elif code := _run(command):
            fail(f"{shlex.join(command)} ended with {code}. Mend what it says above, then again.")


def _run(command: Command) -> int:
    sys.stdout.flush()
    return subprocess.run(command, check=False).returncode  # noqa: S603 — our own words


# ── the service managers ─────────────────────────────────────────────────────────────────────


def _service(environment: Mapping[str, str], config: str | None = None) -> Service:
    given = {name: environment[name] for name in CARRIED if environment.get(name)}
    command = [*program(), "serve"]
    if config:
        command += ["--config", str(Path(config).expanduser().resolve())]
    if sys.platform == "darwin":
        return _launchd(command, given)
    if sys.platform == "win32":
        fail(
            "On Windows a scheduled task does this. Make it with:\n  schtasks /Create /TN ProxyPal"
            f' /SC ONLOGON /TR "{subprocess.list2cmdline(command)}"'
        )
    if not shutil.which("systemctl"):
        fail("There is no systemd here. Have your service manager run: " + shlex.join(command))
    return _systemd(command, given, environment)


def program() -> Sequence[str]:
    """How this very installation is started, by a name that outlives an upgrade."""
    own = Path(sys.executable).parent / "proxypal"
    if not own.exists():
        return [sys.executable, "-m", "proxypal_core"]
    linked = shutil.which("proxypal")
    if linked and Path(linked).resolve() == own.resolve():
        return [linked]  # of Homebrew, say, in whose own folder the version has a part
    return [str(own)]


def _systemd(
    command: Sequence[str], given: Mapping[str, str], environment: Mapping[str, str]
) -> Service:
    home = Path(environment.get("XDG_CONFIG_HOME") or Path.home() / ".config")
    ctl = ("systemctl", "--user")
    return Service(
        file=home / "systemd" / "user" / units.UNIT,
        content=units.systemd_unit(command, given).encode(),
        install=[
            (*ctl, "daemon-reload"),
            (*ctl, "enable", units.UNIT),
            (*ctl, "restart", units.UNIT),  # which also starts, and waits until it answers
        ],
        uninstall=[(*ctl, "disable", "--now", units.UNIT)],
        forget=[(*ctl, "daemon-reload")],
        status=(*ctl, "--no-pager", "status", units.UNIT),
        logs=lambda lines, follow: (
            *("journalctl", "--user", "--no-pager", "-u", units.UNIT, "-n", str(lines)),
            *(("-f",) if follow else ()),
        ),
        after="It runs while you are logged in. To have it run always: loginctl enable-linger",
    )


def _launchd(command: Sequence[str], given: Mapping[str, str]) -> Service:
    domain = f"gui/{os.getuid()}" if sys.platform != "win32" else ""
    file = Path.home() / "Library" / "LaunchAgents" / f"{units.LABEL}.plist"
    log = Path.home() / "Library" / "Logs" / "proxypal.log"
    return Service(
        file=file,
        content=units.launchd_agent(command, given, str(log)),
        install=[("launchctl", "bootstrap", domain, str(file))],
        uninstall=[("launchctl", "bootout", f"{domain}/{units.LABEL}")],
        forget=[],
        status=("launchctl", "print", f"{domain}/{units.LABEL}"),
        logs=lambda lines, follow: _tail(log, lines, follow),
        after="It runs while you are logged in.",
    )


def _tail(file: Path, lines: int, follow: bool) -> Command:  # noqa: FBT001 — as Service.logs
    return ("tail", "-n", str(lines), *(("-F",) if follow else ()), str(file))
