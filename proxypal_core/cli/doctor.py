"""``proxypal doctor``: what is wrong on this machine, and what to do about it."""

import asyncio
import os
import shutil
import socket
import stat
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from email.utils import parsedate_to_datetime
from typing import Literal, NamedTuple
from urllib.parse import urlsplit

import click

from proxypal_core import app
from proxypal_core.cli import accounts, login_states
from proxypal_core.cli.accounts import config_option
from proxypal_core.daemon import files
from proxypal_core.daemon.port_owner import owner
from proxypal_core.daemon.reach import is_proxypal, reachable
from proxypal_core.settings.backends import backends_of
from proxypal_core.settings.parse import SettingsError, without_effect
from proxypal_core.settings.schema import Settings
from proxypal_core.store.master_key import KeyUnusable
from proxypal_core.store.vault import VaultError
from proxypal_core.upstream import proxies, trust
from proxypal_core.upstream.http import HttpTransport
from proxypal_core.upstream.linked import SOURCES
from proxypal_core.upstream.process_check import examine_all
from proxypal_core.upstream.transport import Broken, Call
from proxypal_core.wire import jsonio
from proxypal_core.wire.jsonio import JsonObject

EXIT_ERRORS = 1
EXIT_WARNINGS = 2
_SKEW = 60.0
_SECONDS = 5.0
_SOMEBODY = "another program"


class Finding(NamedTuple):
    """``problem`` says what is wrong, ``remedy`` what to do."""

    level: Literal["error", "warning"]
    topic: str
    problem: str
    remedy: str


class Patient(NamedTuple):
    """What is looked at: settings that could be read, and the vault's profiles, if it could."""

    settings: Settings
    profiles: Mapping[str, JsonObject]
    environment: Mapping[str, str]


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--network", is_flag=True, help="Also see whether the providers can be reached.")
@config_option
def doctor(
    as_json: bool,  # noqa: FBT001 — click passes flags by name
    network: bool,  # noqa: FBT001
    config: str | None,
) -> None:
    """Find what is wrong, and say what to do. Exit code 1: errors, 2: only warnings."""
    findings = list(_findings(config, network=network))
    if as_json:
        click.echo(jsonio.dumps_pretty({"findings": [one._asdict() for one in findings]}))
    elif findings:
        for one in findings:
            click.echo(f"{one.level}: {one.topic}: {one.problem}\n  {one.remedy}")
    else:
        click.echo("Nothing is wrong that could be seen.")
    sys.exit(_exit_code(findings))


def _exit_code(findings: Sequence[Finding]) -> int:
    levels = {one.level for one in findings}
    return EXIT_ERRORS if "error" in levels else EXIT_WARNINGS if levels else 0


def _findings(config: str | None, *, network: bool) -> Iterator[Finding]:
    file = files.config_path(config, os.environ)
    try:
        settings = files.load_settings(file, os.environ)
    except SettingsError as error:
        for wrong in error.problems:
            yield Finding(
                "error", "settings", f"{file}: {wrong}", "Change it; then proxypal config check."
            )
        yield from _modes(os.environ)
        return
    profiles, problem = _vault(settings)
    if problem is not None:
        yield problem
    patient = Patient(settings, profiles, os.environ)
    for check in _CHECKS:
        yield from check(patient)
    if network:
        yield from asyncio.run(_network(patient))


def _shared_state(patient: Patient) -> Iterator[Finding]:
    """Whether the other replicas could be heard."""
    state = patient.settings.state
    if state.backend == "local":
        return
    if problem := app.cannot_share(patient.settings):
        yield Finding("error", "state", problem, "The daemon does not start without it.")
    elif problem := asyncio.run(app.unreachable(patient.settings)):
        yield Finding(
            "warning",
            "state",
            f"the server of state.url does not answer ({problem}): replicas go on by themselves,"
            " and each has its part of every limit",
            "Start it, or correct state.url.",
        )


def _vault(settings: Settings) -> tuple[Mapping[str, JsonObject], Finding | None]:
    try:
        snapshot = accounts.vault_of(settings, os.environ).read()
    except (KeyUnusable, VaultError) as error:
        return {}, Finding("error", "vault", str(error), "Nothing is lost: see proxypal vault.")
    if snapshot.problem:
        return snapshot.profiles, Finding(
            "error", "vault", snapshot.problem, "See proxypal vault status."
        )
    return snapshot.profiles, None


# ── files ────────────────────────────────────────────────────────────────────────────────────


def _permissions(patient: Patient) -> Iterator[Finding]:
    yield from _modes(patient.environment)


def _modes(environment: Mapping[str, str]) -> Iterator[Finding]:
    """Our folders, and what is in them: nobody else should read it, and none of it be a link."""
    if os.name != "posix":
        return
    for folder in dict.fromkeys((files.data_dir(environment), files.state_dir(environment))):
        for path in (folder, *(sorted(folder.iterdir()) if folder.is_dir() else ())):
            try:
                state = path.lstat()
            except OSError:
                continue
            if stat.S_ISLNK(state.st_mode):
                if path != folder:
                    yield Finding(
                        "error", "files", f"{path} is a symbolic link", f"Remove it: rm {path}"
                    )
            elif state.st_uid != os.geteuid():
                yield Finding(
                    "error", "files", f"{path} belongs to another user", f"chown it, or move {path}"
                )
            elif state.st_mode & (stat.S_IRWXG | stat.S_IRWXO):
                wanted = "700" if stat.S_ISDIR(state.st_mode) else "600"
                yield Finding(
                    "error",
                    "files",
                    f"{path} is open to other users (mode {stat.S_IMODE(state.st_mode):03o})",
                    f"chmod {wanted} {path}",
                )


# ── the port ─────────────────────────────────────────────────────────────────────────────────


def _port(patient: Patient) -> Iterator[Finding]:
    listen = patient.settings.listen
    if not listen.port or is_proxypal(listen):
        return
    host = urlsplit(reachable(listen)).hostname or listen.host
    if _answers(host, listen.port):
        yield Finding(
            "error",
            "port",
            f"{owner(host, listen.port) or _SOMEBODY} listens on {host}:{listen.port}",
            "End it, or set listen.port.",
        )


def _squatters(patient: Patient) -> Iterator[Finding]:
    """Programs of others on our port, at the other loopback address: localhost may mean theirs, and
    they would be handed our clients' keys.
    """
    listen = patient.settings.listen
    other = {"127.0.0.1": "::1", "::1": "127.0.0.1"}.get(listen.host)
    if other and listen.port and _answers(other, listen.port):
        yield Finding(
            "error",
            "port",
            f"{owner(other, listen.port) or _SOMEBODY} listens on the same port at {other}, and gets"
            f" what is sent to localhost:{listen.port}",
            f"End it, and have clients use {reachable(listen)}.",
        )


def _answers(host: str, port: int) -> bool:
    try:
        with closing(socket.create_connection((host, port), timeout=1)):
            return True
    except OSError:
        return False


# ── surroundings ─────────────────────────────────────────────────────────────────────────────


def _clock(patient: Patient) -> Iterator[Finding]:
    """Files of the future mean that the clock was set back, and then tokens seem to last too long."""
    now = app.Clock().now()
    folder = files.data_dir(patient.environment)
    latest = max((path.stat().st_mtime for path in folder.glob("*.vault")), default=0.0)
    if latest - now > _SKEW:
        yield Finding(
            "warning",
            "clock",
            f"the vault was written {round((latest - now) / 60)} minutes after what this machine"
            " says it is now",
            "Set the clock; logins are renewed by it.",
        )


def _proxies(patient: Patient) -> Iterator[Finding]:
    named = proxies.of_environment(patient.environment)
    chosen = patient.settings.network.proxy
    if named and not chosen:
        yield Finding(
            "warning",
            "proxy",
            f"{' and '.join(named)} is set, and proxypal does not go by it",
            "If providers can only be reached through it, set network.proxy: environment.",
        )
    elif chosen == proxies.ENVIRONMENT and not named:
        yield Finding(
            "warning",
            "proxy",
            "network.proxy is environment, and no variable names a proxy",
            "Set HTTPS_PROXY where the daemon starts, or name the proxy in the settings.",
        )


def _roots(patient: Patient) -> Iterator[Finding]:
    """Whether any server's certificate can be accepted at all."""
    context = trust.roots(patient.settings.network.ca_file)
    if trust.is_empty(context):
        yield Finding(
            "error",
            "certificates",
            "this system trusts no certificate authority, so no provider can be reached",
            "Install the package ca-certificates, or name a file: network.ca_file.",
        )


def _notices(patient: Patient) -> Iterator[Finding]:
    for notice in (*patient.settings.notices, *without_effect(patient.settings)):
        yield Finding(
            "warning", "settings", notice, "Change it, or leave it: proxypal config show."
        )


# ── accounts ─────────────────────────────────────────────────────────────────────────────────


def _accounts(patient: Patient) -> Iterator[Finding]:
    rows = login_states.standings(patient.settings, patient.profiles)
    if not rows:
        yield Finding(
            "warning",
            "accounts",
            "there is no account, so only the built-in demo answers",
            "proxypal auth add-key anthropic, or set a key such as ANTHROPIC_API_KEY",
        )
    for row in rows:
        match row.state:
            case "expired":
                yield Finding("error", "accounts", f"{row.id} is expired", row.note)
            case "expiring":
                yield Finding("warning", "accounts", f"{row.id} ends within a day", row.note)
            case "unused":
                yield Finding(
                    "warning",
                    "accounts",
                    f"{row.id} is not used: {row.note}",
                    f"Mend it, or take it out: proxypal auth remove {row.id}",
                )
            case _:
                pass
    for name, why in login_states.resting(patient.settings).items():
        yield Finding("warning", "accounts", f"{name}: {why}", f"proxypal auth test {name}")


def _programs(patient: Patient) -> Iterator[Finding]:
    """The vendors' own programs that linked logins and backends need."""
    for name, profile in patient.profiles.items():
        source = SOURCES.get(str(profile.get("source")))
        if profile.get("type") == "linked" and source and not shutil.which(source.program):
            yield Finding(
                "warning",
                "programs",
                f"{source.program} is not there, which renews the login of {name}",
                f"Install it, or put it on the PATH, or: proxypal auth remove {name}",
            )
    backends = backends_of(patient.settings.backends)
    for found in asyncio.run(examine_all(backends.values(), patient.environment)):
        backend = backends[found.name]
        if not found.path:
            yield Finding(
                "error",
                "programs",
                f"{backend.command} is not there, which is the command of the backend {found.name}",
                "Install it, or change the backend's command in the settings.",
            )
        elif found.logged_in is False:
            yield Finding(
                "warning",
                "programs",
                f"{backend.command} ({found.version}) is not logged in, and answers nothing as the"
                f" backend {found.name}",
                f"Run {backend.command}, and log in.",
            )


_CHECKS: tuple[Callable[[Patient], Iterator[Finding]], ...] = (
    _notices,
    _permissions,
    _port,
    _squatters,
    _clock,
    _proxies,
    _roots,
    _accounts,
    _programs,
    _shared_state,
)


# ── the network ──────────────────────────────────────────────────────────────────────────────


async def _network(patient: Patient) -> list[Finding]:
    """Which providers with an account do not answer by the way their accounts take, and whose clock
    differs from ours.
    """
    settings = app.with_profiles(patient.settings, patient.profiles)
    ways = dict.fromkeys(
        (account.provider, url, app.proxy_for(account, url, settings.network))
        for account in app.accounts_of(settings)
        for url in list(_endpoints(settings, account.provider))[:1]
    )
    async with HttpTransport(connect=_SECONDS, ca_file=settings.network.ca_file) as http:
        found = await asyncio.gather(*(_reach(http, *way) for way in ways))
    return [finding for finding in found if finding is not None]


def _endpoints(settings: Settings, provider: str) -> Iterable[str]:
    return settings.catalog[provider].endpoints.values() if provider in settings.catalog else ()


async def _reach(http: HttpTransport, name: str, url: str, proxy: str) -> Finding | None:
    host = urlsplit(url)
    base = f"{host.scheme}://{host.netloc}/"
    try:
        async with asyncio.timeout(_SECONDS):
            reply = await http.open(Call("HEAD", base, {"User-Agent": app.USER_AGENT}, b"", proxy))
        reply.close()
    except (Broken, TimeoutError) as error:
        why = error.failure.message if isinstance(error, Broken) else "it does not answer in time"
        return Finding(
            "error",
            "network",
            f"{name} cannot be reached at {base}: {why}",
            "See whether this machine is online, and whether a proxy is needed: network.proxy.",
        )
    return _skew(name, reply.headers.get("date", ""))


def _skew(name: str, told: str) -> Finding | None:
    try:
        behind = parsedate_to_datetime(told).timestamp() - app.Clock().now()
    except ValueError:
        return None
    if abs(behind) <= _SKEW:
        return None
    return Finding(
        "warning",
        "clock",
        f"this machine's clock and that of {name} differ by {round(abs(behind))} seconds",
        "Set the clock; logins are renewed by it.",
    )
