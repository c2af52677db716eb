"""``proxypal models``: what can be asked for, and whether the accounts for it are fit."""

import asyncio
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime

import click
import msgspec

from proxypal_core import app, routing
from proxypal_core.accounts.account import Account, model_for
from proxypal_core.cli import accounts, login_states, outcomes
from proxypal_core.cli.accounts import config_option, fail, vault_or_exit
from proxypal_core.cli.loading import settings_or_exit
from proxypal_core.cli.login_states import SOON, Standing
from proxypal_core.cli.outcomes import Outcome
from proxypal_core.daemon.reach import is_proxypal, reachable
from proxypal_core.providers.backend import builtin_rows
from proxypal_core.providers.catalog import find
from proxypal_core.settings.backends import backends_of
from proxypal_core.settings.schema import Duration, Settings
from proxypal_core.upstream.process_check import Found, examine_all
from proxypal_core.wire import jsonio

EXIT_MISSING = 1
EXIT_EXPIRING = 2


@click.group()
def models() -> None:
    """See what can be asked for, and whether the accounts for it are fit."""


@models.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@config_option
def list_models(as_json: bool, config: str | None) -> None:  # noqa: FBT001 — click calls it
    """Show the models that can be asked for by name; any other goes as provider/model."""
    settings = settings_or_exit(config)
    settings = app.with_profiles(settings, vault_or_exit(settings).profiles)
    found = routing.listing(app.book_of(settings, app.accounts_of(settings)))
    if as_json:
        rows = [{"id": one.id, "owned_by": one.owner} for one in found]
        click.echo(jsonio.dumps_pretty({"models": rows}))
    else:
        click.echo("\n".join(one.id for one in found))


# ── status ───────────────────────────────────────────────────────────────────────────────────


@models.command()
@click.option("--check", is_flag=True, help="Exit 1 if something is expired or missing, 2 if soon.")
@click.option("--probe", "probing", is_flag=True, help="Ask each account for a few words.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@config_option
def status(
    check: bool,  # noqa: FBT001 — click passes flags by name
    probing: bool,  # noqa: FBT001
    as_json: bool,  # noqa: FBT001
    config: str | None,
) -> None:
    """Show each account, whether its login is in force, and what is missing."""
    settings = settings_or_exit(config)
    snapshot = vault_or_exit(settings)
    rows = login_states.standings(settings, snapshot.profiles)
    whole = app.with_profiles(settings, snapshot.profiles, snapshot.bookkeeping)
    missing = list(_missing(whole))
    usable = [one for one in app.accounts_of(whole) if one.provider != _DEMO and not one.disabled]
    probed = _probed(whole, usable) if probing else []
    rests = login_states.resting(whole)
    programs = _programs(settings)
    if as_json:
        shown = {
            "accounts": [row._asdict() for row in rows],
            "resting": dict(rests),
            "missing": missing,
            "probes": [one._asdict() for one in probed],
            "programs": [msgspec.structs.asdict(one) for one in programs],
            "expiring_within_seconds": SOON,
        }
        click.echo(jsonio.dumps_pretty(shown))
    else:
        _tell(rows, rests, missing, probed)
        _tell_programs(programs, settings)
        click.echo(_next_step(whole, usable))
    if check:
        sys.exit(exit_code(rows, missing))
    if any(one.outcome != "ok" for one in probed):
        sys.exit(EXIT_MISSING)


_DEMO = "demo"


def _probed(settings: Settings, usable: Sequence[Account]) -> list[Outcome]:
    from proxypal_core.cli import probe  # noqa: PLC0415 — the whole gateway

    return probe.probe(settings, usable)


def exit_code(rows: Sequence[Standing], missing: Sequence[str]) -> int:
    """1 when a login is expired or missing, 2 when one expires soon, else 0."""
    states = {row.state for row in rows}
    if missing or "expired" in states or not states - {"unused"}:
        return EXIT_MISSING
    return EXIT_EXPIRING if "expiring" in states else 0


def _missing(settings: Settings) -> Iterator[str]:
    """Providers that the settings' routes name and no account serves."""
    served = {row.provider for row in app.accounts_of(settings) if not row.disabled}
    named = [member for row in settings.models for member in row.route]
    named += [member for members in settings.routing.fallbacks.values() for member in members]
    for member in dict.fromkeys(name.partition("/")[0] for name in named if "/" in name):
        provider = find(settings.catalog, member)
        if provider is not None and provider.name not in served:
            yield provider.name


def _tell(
    rows: Sequence[Standing],
    rests: Mapping[str, str],
    missing: Sequence[str],
    probed: Sequence[Outcome],
) -> None:
    now = app.Clock().now()
    if rows:
        shown = [
            (row.id, row.type, row.source, row.state, _end(row, now), rests.get(row.id, row.note))
            for row in rows
        ]
        click.echo(accounts.table(("id", "type", "source", "state", "expires", "note"), shown))
    for name in missing:
        click.echo(f"{name} is in a route and has no account: proxypal auth add-key {name}")
    if probed:
        click.echo()
        head = ("account", "model", "probe", "time", "message")
        click.echo(accounts.table(head, outcomes.lines(probed)))


def _programs(settings: Settings) -> Sequence[Found]:
    """The backends that the settings name, and the built-in ones whose program is here."""
    rows = {**builtin_rows(), **settings.backends}
    found = asyncio.run(examine_all(backends_of(rows).values(), os.environ))
    return [one for one in found if one.path or one.name in settings.backends]


def _tell_programs(programs: Sequence[Found], settings: Settings) -> None:
    if programs:
        login = {None: "not known", True: "yes", False: "no"}
        shown = [
            (
                one.name,
                one.path or "not here",
                one.version,
                login[one.logged_in] if one.path else "",
                ""
                if one.name in settings.backends
                else f"to use it: backends: {{{one.name}: {{}}}}",
            )
            for one in programs
        ]
        click.echo()
        click.echo(accounts.table(("backend", "program", "version", "logged in", "note"), shown))


def _end(row: Standing, now: float) -> str:
    if not row.expires:
        return ""
    if row.expires <= now:
        return datetime.fromtimestamp(row.expires, UTC).strftime("%Y-%m-%d")
    return f"in {Duration(round((row.expires - now) / 60) * 60)}"


def _next_step(settings: Settings, usable: Sequence[Account]) -> str:
    """What a person does now, as a command."""
    if not usable:
        return "There is no account yet. Next: proxypal auth add-key anthropic"
    url = reachable(settings.listen)
    providers = {row.name: row for row in app.providers_of(settings)}
    model = next(
        (f"{one.provider}/{found}" for one in usable if (found := model_for(one, providers))),
        "demo",
    )
    runs = is_proxypal(settings.listen)
    start = "" if runs else " proxypal serve, and in another terminal"
    key = " -H 'authorization: Bearer CLIENT_KEY'" if settings.client_keys else ""
    body = jsonio.dumps_text({"model": model, "messages": [{"role": "user", "content": "Hello!"}]})
    return (
        f"\nNext:{start}\n  curl {url}/v1/chat/completions{key}"
        f" -H 'content-type: application/json' -d '{body}'"
    )


# ── one account ──────────────────────────────────────────────────────────────────────────────


@click.command("test")
@click.argument("account", metavar="ID")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@config_option
def test_account(account: str, as_json: bool, config: str | None) -> None:  # noqa: FBT001 — click's
    """Ask the account ID for a few words, and say how it went."""
    settings = settings_or_exit(config)
    snapshot = vault_or_exit(settings)
    whole = app.with_profiles(settings, snapshot.profiles, snapshot.bookkeeping)
    wanted = accounts.normalised(account, settings)
    found = [one for one in app.accounts_of(whole) if one.id == wanted]
    if not found and wanted in snapshot.profiles:
        reason = app.hindrance(settings, wanted, snapshot.profiles[wanted])
        fail(
            f"{wanted} is not used: {reason}. Mend it, or take it out: proxypal auth remove {wanted}"
        )
    if not found:
        fail(accounts.not_there(wanted, [one.id for one in app.accounts_of(whole)], settings))
    (outcome,) = _probed(whole, found)
    if as_json:
        click.echo(jsonio.dumps_text(outcome._asdict()))
    elif outcome.outcome == "ok":
        click.echo(f"{wanted} answers, with {outcome.model}, in {outcome.seconds:.1f} seconds.")
    else:
        click.echo(
            f"{wanted} does not answer ({outcome.outcome}): {outcomes.shown(outcome.message)}"
        )
    sys.exit(0 if outcome.outcome == "ok" else 1)
