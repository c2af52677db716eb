"""``proxypal auth``: keys added, accounts listed, taken out, switched off and on, and put in order."""

import os
from collections.abc import Callable, Mapping
from contextlib import closing
from datetime import UTC, datetime

import click
import msgspec

from proxypal_core import app
from proxypal_core.accounts.profiles import wishes
from proxypal_core.cli import accounts, daemon_api, deferred, login_states
from proxypal_core.cli.accounts import config_option, fail, vault_or_exit
from proxypal_core.cli.loading import settings_or_exit
from proxypal_core.daemon import files
from proxypal_core.settings.schema import Settings
from proxypal_core.store import orders
from proxypal_core.store.accounts_db import AccountsDB
from proxypal_core.store.database import Database
from proxypal_core.store.vault import Snapshot, VaultError
from proxypal_core.wire import jsonio
from proxypal_core.wire.jsonio import JsonObject

_SHOWN = 4
_LONG = 24
"""Of a shorter key, four characters at each end would be too much to show."""


@click.group()
def auth() -> None:
    """Add accounts, see how they are, and take them out."""


ELSEWHERE: Mapping[str, deferred.Row] = {
    "export": deferred.Row(
        "auth_exchange:export_accounts",
        "Write the vault's accounts into FILE as an auth-profiles.json of OpenClaw, in plain text.",
    ),
    "import": deferred.Row(
        "auth_exchange:import_accounts",
        "Take in the accounts that FILE or DIR holds.",
    ),
    "link": deferred.Row(
        "login:link",
        "Use the LOGIN that a vendor's own program keeps on this machine.",
    ),
    "login": deferred.Row(
        "login:login",
        "Log in at PROVIDER and keep the login in the vault, where it renews itself.",
    ),
    "paste-token": deferred.Row(
        "login:paste_token",
        "Keep a token of PROVIDER in the vault, which is sent as Authorization: Bearer.",
    ),
    "setup-token": deferred.Row(
        "login:setup_token",
        "Keep the token that claude setup-token prints.",
    ),
    "test": deferred.Row(
        "models:test_account",
        "Ask the account ID for a few words, and say how it went.",
    ),
}

deferred.add_commands(auth, ELSEWHERE)


# ── keys ─────────────────────────────────────────────────────────────────────────────────────


@auth.command("add-key")
@click.argument("provider")
@click.option("--email", metavar="E", help="Whose key it is; names the account.")
@click.option("--name", metavar="N", help="Name of the account, if not the e-mail.")
@click.option("--force", is_flag=True, help="Replace the key of an account that is there.")
@config_option
def add_key(
    provider: str,
    email: str | None,
    name: str | None,
    force: bool,  # noqa: FBT001 — click passes flags by name
    config: str | None,
) -> None:
    """Keep an API key of PROVIDER in the vault.

    The key is read from standard input, or asked for on a terminal: proxypal auth add-key openai
    < key.txt
    """
    settings = settings_or_exit(config)
    known = accounts.provider_called(provider, settings)
    if known.login_only:
        raise click.UsageError(
            f"{known.name} takes no keys, but its program's login: proxypal auth link."
        )
    profile_id = accounts.profile_id_of(known, email, name)

    def refuse_to_replace(profiles: Mapping[str, JsonObject]) -> None:
        if profile_id in profiles and not force:
            fail(f"{profile_id} is there already. To replace its key, add --force.")

    refuse_to_replace(accounts.changeable(settings).profiles)  # before a key is asked for in vain
    key = accounts.asked_secret("key", profile_id, "proxypal auth add-key PROVIDER")
    profile = {
        "type": "api_key",
        "provider": known.name,
        "key": key,
        **({"email": email} if email else {"name": name} if name else {}),
        "created": datetime.fromtimestamp(app.Clock().now(), UTC).isoformat(timespec="seconds"),
    }

    def add(profiles: dict[str, JsonObject]) -> None:
        refuse_to_replace(profiles)
        profiles[profile_id] = {**wishes(profiles.get(profile_id, {})), **profile}

    path = accounts.update(settings, add)
    click.echo(f"{profile_id} is in the vault, {path}.")
    for remark in accounts.remarks(profile_id, known, settings):
        click.echo(remark)


# ── listing ──────────────────────────────────────────────────────────────────────────────────

_NONE_YET = (
    "There is no account yet. Add one with proxypal auth add-key PROVIDER, or set a key such as "
    "ANTHROPIC_API_KEY."
)


class Row(msgspec.Struct, frozen=True):
    """One line of the list. ``note`` says why an account is not used, or what would help."""

    id: str
    type: str
    provider: str
    key: str
    source: str
    state: str
    note: str


@auth.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@config_option
def list_accounts(as_json: bool, config: str | None) -> None:  # noqa: FBT001 — click calls it
    """Show every account: of the vault, the settings and the environment."""
    settings = settings_or_exit(config)
    vault = accounts.own_vault(settings)
    try:
        snapshot = vault.read()
        problem = snapshot.problem
    except VaultError as error:
        snapshot = Snapshot()
        problem = str(error)
    rows = _rows(settings, snapshot.profiles)
    if as_json:
        shown = {
            "accounts": msgspec.to_builtins(rows),
            "vault": {
                "path": str(vault.path),
                "generation": snapshot.generation,
                "problem": problem,
            },
        }
        click.echo(jsonio.dumps_pretty(shown))
    elif rows:
        click.echo(
            accounts.table(Row.__struct_fields__, [msgspec.structs.astuple(r) for r in rows])
        )
    else:
        click.echo(_NONE_YET)
    if problem:
        fail(problem)


def _rows(settings: Settings, profiles: Mapping[str, JsonObject]) -> list[Row]:
    rests = login_states.resting(settings)
    keys = {row.id: str(row.api_key) for row in settings.accounts}
    rows = []
    for one in login_states.standings(settings, profiles):
        profile = profiles.get(one.id, {}) if one.source == "vault" else {"key": keys[one.id]}
        secret = profile.get("key") or profile.get("token") or ""
        off = "disabled; proxypal auth enable" if profile.get("disabled") is True else ""
        note = one.note if one.state == "unused" else off or rests.get(one.id, one.note)
        rows.append(
            Row(one.id, one.type, one.provider, masked(str(secret)), one.source, one.state, note)
        )
    return rows


def masked(key: str) -> str:
    """As much of *key* as may be shown."""
    if len(key) < _LONG:
        return "…" if key else ""
    return f"{key[:_SHOWN]}…{key[-_SHOWN:]}"


# ── changing ─────────────────────────────────────────────────────────────────────────────────


@auth.command()
@click.argument("profile_id", metavar="ID")
@config_option
def remove(profile_id: str, config: str | None) -> None:
    """Forget the account ID of the vault."""

    def take_out(profiles: dict[str, JsonObject], name: str) -> None:
        del profiles[name]

    name = _change(profile_id, config, take_out)
    click.echo(f"{name} is no longer in the vault.")


@auth.command()
@click.argument("profile_id", metavar="ID")
@config_option
def disable(profile_id: str, config: str | None) -> None:
    """Leave the account ID of the vault alone, without forgetting it."""

    def switch_off(profiles: dict[str, JsonObject], name: str) -> None:
        profiles[name] = {**profiles[name], "disabled": True}

    name = _change(profile_id, config, switch_off)
    click.echo(f"{name} is not used any more. To use it again: proxypal auth enable {name}")


@auth.command()
@click.argument("profile_id", metavar="ID")
@config_option
def enable(profile_id: str, config: str | None) -> None:
    """Use the account ID of the vault again."""

    def switch_on(profiles: dict[str, JsonObject], name: str) -> None:
        profiles[name] = {key: value for key, value in profiles[name].items() if key != "disabled"}

    name = _change(profile_id, config, switch_on)
    click.echo(f"{name} is used again. Next: proxypal models status")


def _change(
    profile_id: str, config: str | None, change: Callable[[dict[str, JsonObject], str], None]
) -> str:
    """Let *change* work on a profile of the vault, which must be there. Gives its whole name."""
    settings = settings_or_exit(config)
    wanted = accounts.normalised(profile_id, settings)

    def checked(profiles: dict[str, JsonObject]) -> None:
        if wanted not in profiles:
            fail(accounts.not_there(wanted, list(profiles), settings))
        change(profiles, wanted)

    checked(dict(accounts.changeable(settings).profiles))  # before a vault is made for nothing
    accounts.update(settings, checked)
    return wanted


@auth.command()
@click.argument("profile_id", metavar="[ID]", required=False, default="")
@config_option
def reset(profile_id: str, config: str | None) -> None:
    """Forget what is held against the account ID, or against all: rests after limits and failures."""
    settings = settings_or_exit(config)
    wanted = accounts.normalised(profile_id, settings) if profile_id else ""
    path = daemon_api.account_path(wanted, "reset") if wanted else "/api/accounts/reset"
    done = daemon_api.call_or_exit(settings, "POST", path)
    if done is None:
        _reset_at_rest(wanted)
        click.echo("No daemon runs; the next one begins without what was held against", nl=False)
        click.echo(f" {wanted or 'any account'}.")
        return
    names = done.get("reset") or ()
    click.echo(f"Ready again: {', '.join(names)}." if names else "Nothing was held against it.")


def _reset_at_rest(wanted: str) -> None:
    folder = files.data_dir(os.environ)
    if folder.is_dir():
        with closing(Database(folder)) as database:
            AccountsDB(database).reset(wanted)


# ── the order ────────────────────────────────────────────────────────────────────────────────


@auth.group("order")
def order_group() -> None:
    """In which order a provider's accounts are asked."""


_provider_option = click.option("--provider", required=True, metavar="P", help="Whose accounts.")


@order_group.command("get")
@_provider_option
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@config_option
def get_order(provider: str, as_json: bool, config: str | None) -> None:  # noqa: FBT001 — click's
    """Show the order of provider P, if it has one."""
    settings = settings_or_exit(config)
    name = accounts.provider_called(provider, settings).name
    snapshot = vault_or_exit(settings)
    own = app.with_profiles(settings, {}, snapshot.bookkeeping).routing.order.get(name)
    if as_json:
        click.echo(jsonio.dumps_text({"provider": name, "order": None if own is None else [*own]}))
    elif own is None:
        click.echo(f"{name} has no order of its own: its accounts take turns.")
    else:
        click.echo("\n".join(own))


@order_group.command("set")
@_provider_option
@click.argument("ids", metavar="ID...", nargs=-1, required=True)
@config_option
def set_order(provider: str, ids: tuple[str, ...], config: str | None) -> None:
    """Ask the accounts ID... of provider P in this order, and no others."""
    settings = settings_or_exit(config)
    name = accounts.provider_called(provider, settings).name
    wanted = [accounts.normalised(one, settings) for one in ids]
    if len(set(wanted)) < len(wanted):
        raise click.UsageError("An account stands there twice: name each once.")
    known = [row.id for row in settings.accounts] + list(vault_or_exit(settings).profiles)
    for one in wanted:
        if one not in known:
            fail(accounts.not_there(one, known, settings))
        if settings.provider_of(one) != name:
            raise click.UsageError(f"{one} is no account of {name}. See: proxypal auth list")
    if settings.routing.order.get(name):
        fail(f"The settings have an order for {name}, under routing.order: change it there.")
    _revise_order(settings, name, wanted)
    click.echo(f"{name}: {', '.join(wanted)}")


@order_group.command("clear")
@_provider_option
@config_option
def clear_order(provider: str, config: str | None) -> None:
    """Let the accounts of provider P take turns again."""
    settings = settings_or_exit(config)
    name = accounts.provider_called(provider, settings).name
    if name in orders.kept(vault_or_exit(settings).bookkeeping):
        _revise_order(settings, name, None)
    click.echo(f"{name} has no order of its own any more.")


def _revise_order(settings: Settings, provider: str, ids: list[str] | None) -> None:
    try:
        accounts.own_vault(settings).revise(lambda now: orders.with_order(now, provider, ids))
    except VaultError as error:
        fail(str(error))
