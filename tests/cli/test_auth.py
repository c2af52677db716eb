"""``proxypal auth`` keeps keys, shows that it has them, and never what they are."""

import os
import stat

import click
import pytest
from click.testing import CliRunner

from proxypal_core import app
from proxypal_core.cli import accounts as module
from proxypal_core.cli import serve as program
from proxypal_core.cli.main import main
from proxypal_core.settings.parse import parse
from proxypal_core.settings.schema import SecretText
from proxypal_core.wire import jsonio
from tests.cli.home import KEY, Home

OTHER_KEY = "sk-CANARY-of-another-account-987654"


@pytest.fixture
def home(tmp_path):
    return Home(tmp_path)


# ── add-key ──────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("arguments", "profile_id", "rest"),
    [
        ([], "openai:default", {}),
        (["--name", "work"], "openai:work", {"name": "work"}),
        (["--email", "me@example.com"], "openai:me@example.com", {"email": "me@example.com"}),
    ],
)
def test_a_piped_key_is_kept_and_the_next_step_is_said(home, arguments, profile_id, rest):
    result = home.add("openai", *arguments, key=f"  {KEY}\r\n")

    assert result.exit_code == 0, result.output
    assert f"{profile_id} is in the vault, {home.vault}." in result.output
    assert "Next: proxypal models status" in result.output
    kept = home.profiles()[profile_id]
    created = kept.pop("created")
    assert kept == {"type": "api_key", "provider": "openai", "key": KEY, **rest}
    assert created.endswith("+00:00")


def test_an_alias_is_kept_under_the_providers_own_name(home):
    home.add("google")

    assert list(home.profiles()) == ["gemini:default"]
    assert home.profiles()["gemini:default"]["provider"] == "gemini"


def test_a_provider_of_the_settings_is_known(home):
    home.configure(
        "providers: [{name: mine, dialect: openai-chat, base_url: 'http://127.0.0.1:1/v1'}]"
    )

    result = home.add("mine")

    assert result.exit_code == 0
    assert list(home.profiles()) == ["mine:default"]


def test_an_unknown_provider_is_a_usage_error_with_a_hint(home):
    result = home.add("opnai")

    assert result.exit_code == 2
    assert "no provider called opnai: did you mean openai?" in result.output
    assert not home.data.exists()


@pytest.mark.parametrize(
    "arguments",
    [
        ["openai", "--email", "a@b.c", "--name", "n"],
        ["openai", "--name", "a/b"],
        ["openai", "--name", "a\nb"],
        ["openai", "--name", "x" * 255],
        ["openai", KEY[:2]],
        [],
    ],
)
def test_wrong_words_are_usage_errors(home, arguments):
    assert home.add(*arguments).exit_code == 2
    assert not home.data.exists()


@pytest.mark.parametrize(
    "key", ["", "\n", "two words", "two\nlines", "schlüssel", "x" * 20_000, b"\xff\xfe\x00"]
)
def test_what_cannot_be_a_key_is_refused_and_not_repeated(home, key):
    result = home.add("openai", key=key)

    assert result.exit_code == 1
    assert "key" in result.stderr
    text = key.strip() if isinstance(key, str) else ""
    assert not text or text not in result.output
    assert not home.data.exists()


def test_on_a_terminal_the_key_is_asked_for_and_not_shown(home, monkeypatch):
    asked = []

    def prompt(text, **options):
        asked.append((text, options))
        return KEY

    monkeypatch.setattr(click, "prompt", prompt)
    monkeypatch.setattr(module.sys, "stdin", type("Terminal", (), {"isatty": lambda self: True})())
    for name in ("PROXYPAL_CONFIG", "PROXYPAL_DATA_DIR", "PROXYPAL_STATE_DIR"):
        monkeypatch.setenv(name, home.environment[name])

    with pytest.raises(SystemExit) as ended:  # CliRunner would put its own stdin in place
        main(["auth", "add-key", "openai"])

    assert ended.value.code == 0
    assert asked == [("API key for openai:default", {"hide_input": True, "err": True})]
    assert home.profiles()["openai:default"]["key"] == KEY


def test_an_account_that_is_there_is_replaced_only_by_force(home):
    home.add("openai")

    refused = home.add("openai", key=OTHER_KEY)
    assert refused.exit_code == 1
    assert "openai:default is there already" in refused.stderr
    assert "--force" in refused.stderr
    assert home.profiles()["openai:default"]["key"] == KEY

    assert home.add("openai", "--force", key=OTHER_KEY).exit_code == 0
    assert home.profiles()["openai:default"]["key"] == OTHER_KEY


def test_an_account_that_will_not_be_used_is_said(home):
    home.configure("accounts: [{id: 'openai:work', api_key: sk-of-the-settings}]")

    assert "that one is used" in home.add("openai", "--name", "work").output
    assert "is not known yet: set" in home.add("azure").output


@pytest.mark.skipif(os.name != "posix", reason="modes are POSIX's")
def test_everything_made_is_the_owners_alone_and_holds_no_key(home):
    home.add("openai")
    home.add("anthropic")

    for path in (home.root / "elsewhere").rglob("*"):
        wanted = 0o700 if path.is_dir() else 0o600
        assert stat.S_IMODE(path.stat().st_mode) == wanted
        assert path.is_dir() or b"CANARY" not in path.read_bytes()


# ── list ─────────────────────────────────────────────────────────────────────────────────────


def test_the_list_has_every_account_and_where_it_comes_from(home):
    home.configure("accounts: [{id: 'google:mine', api_key: short-CANARY}]")
    home.add("openai", "--name", "work")

    rows = home.listed(ANTHROPIC_API_KEY=OTHER_KEY)

    assert {
        name: (row["type"], row["provider"], row["key"], row["source"])
        for name, row in rows.items()
    } == {
        "google:mine": ("api_key", "gemini", "…", "settings"),
        "anthropic:env": ("api_key", "anthropic", "sk-C…7654", "environment"),
        "openai:work": ("api_key", "openai", "sk-C…WXYZ", "vault"),
    }


def test_the_list_for_people_is_a_table(home):
    home.add("openai")

    lines = home.run("list").output.splitlines()

    assert lines[0].split() == ["ID", "TYPE", "PROVIDER", "KEY", "SOURCE", "STATE", "NOTE"]
    assert lines[1].split() == [
        "openai:default",
        "api_key",
        "openai",
        "sk-C…WXYZ",
        "vault",
        "static",
    ]


def test_an_empty_list_says_how_to_go_on_and_makes_nothing(home):
    result = home.run("list")

    assert result.exit_code == 0
    assert "proxypal auth add-key" in result.output
    assert not home.data.exists()


def test_an_account_that_is_not_used_has_its_reason(home):
    home.add("openai", "--name", "work")
    home.configure("accounts: [{id: 'openai:work', api_key: short-CANARY}]")

    result = home.run("list", "--json")

    notes = {row["source"]: row["note"] for row in jsonio.loads(result.stdout)["accounts"]}
    assert notes == {
        "settings": "",
        "vault": "the settings or the environment have an account of the same id",
    }


def test_a_damaged_vault_fails_the_list_and_hides_no_other_account(home):
    home.add("openai")
    home.vault.write_bytes(b"PPAL")

    result = home.run("list", "--json", ANTHROPIC_API_KEY=OTHER_KEY)

    assert result.exit_code == 1
    answer = jsonio.loads(result.stdout)
    assert [row["id"] for row in answer["accounts"]] == ["anthropic:env"]
    assert "cut short" in answer["vault"]["problem"]
    assert "cut short" in result.stderr


# ── remove ───────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("word", ["gemini:work", "google:work"])
def test_what_is_removed_is_gone(home, word):
    home.add("gemini", "--name", "work")
    home.add("gemini", "--name", "play")

    result = home.run("remove", word)

    assert result.exit_code == 0
    assert "gemini:work is no longer in the vault." in result.output
    assert list(home.profiles()) == ["gemini:play"]


def test_what_is_not_there_cannot_be_removed(home):
    home.add("openai", "--name", "work")

    near = home.run("remove", "openai:wrok")
    far = home.run("remove", "zzz")
    elsewhere = home.run("remove", "anthropic:env", ANTHROPIC_API_KEY=OTHER_KEY)

    assert [near.exit_code, far.exit_code, elsewhere.exit_code] == [1, 1, 1]
    assert "openai:wrok is not in the vault: did you mean openai:work?" in near.stderr
    assert "proxypal auth list" in far.stderr
    assert "the settings or the environment" in elsewhere.stderr
    assert list(home.profiles()) == ["openai:work"]


def test_removing_from_no_vault_makes_none(home):
    assert home.run("remove", "openai:work").exit_code == 1
    assert not home.data.exists()


# ── settings, keys, damage ───────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("text", ["listen: {prot: 1}", "vault: {key_source: nowhere}"])
@pytest.mark.parametrize("arguments", [["add-key", "openai"], ["list"], ["remove", "openai:a"]])
def test_bad_settings_end_with_78(home, text, arguments):
    home.configure(text)

    result = home.run(*arguments, stdin=KEY)

    assert result.exit_code == 78
    assert "prot" in result.stderr or "key_source" in result.stderr
    assert not home.data.exists()


def test_with_a_key_from_the_environment_there_is_no_key_file(home):
    home.configure("vault: {key_source: environment}")

    assert home.add("openai").exit_code == 1
    result = home.add("openai", PROXYPAL_VAULT_KEY="5a" * 32)

    assert result.exit_code == 0, result.output
    assert not list(home.root.rglob("vault.key"))
    assert list(home.listed(PROXYPAL_VAULT_KEY="5a" * 32)) == ["openai:default"]
    assert home.run("list", PROXYPAL_VAULT_KEY="5b" * 32).exit_code == 1
    assert "5b5b" not in home.run("list", PROXYPAL_VAULT_KEY="5b" * 32).output


def test_a_full_disk_is_told_and_changes_nothing(home, monkeypatch):
    home.add("openai")

    def full(handle, data):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    result = home.add("anthropic")
    monkeypatch.undo()

    assert result.exit_code == 1
    assert f"{home.vault} cannot be written: No space left on device" in result.stderr
    assert list(home.profiles()) == ["openai:default"]


def test_a_vault_that_can_only_be_read_refuses_changes(home):
    for name in ("openai", "anthropic"):
        home.add(name)
    home.vault.write_bytes(b"")

    for result in (home.add("gemini"), home.run("remove", "openai:default")):
        assert result.exit_code == 1
        assert f"mv {home.vault}.1 {home.vault}" in result.stderr
    assert home.vault.read_bytes() == b""


# ── what the daemon makes of it ──────────────────────────────────────────────────────────────


def test_a_profile_of_the_vault_is_an_account_and_its_key_stays_out_of_the_log():
    settings = parse("accounts: [{id: 'openai:a', api_key: sk-of-the-settings}]", {})
    profiles = {
        name: {"type": "api_key", "provider": "openai", "key": KEY}
        for name in ("openai:a", "openai:b")
    }

    both = app.with_profiles(settings, profiles)

    assert {row.id: row.api_key for row in both.accounts} == {
        "openai:a": "sk-of-the-settings",
        "openai:b": KEY,
    }
    assert all(isinstance(row.api_key, SecretText) for row in both.accounts)
    assert KEY in app.secrets_of(both, "admin")
    assert [account.provider for account in app.accounts_of(both)[:2]] == ["openai", "openai"]
    assert ["openai:a of the vault is left out" in notice for notice in both.notices] == [True]


@pytest.mark.parametrize(
    ("profile_id", "profile", "reason"),
    [
        ("openai:a", {"type": "palm-print", "key": KEY}, "type 'palm-print'"),
        ("openai:a", {"type": ["oauth"], "key": KEY}, "does nothing with type"),
        ("openai:a", {"type": "oauth", "key": KEY}, "no refresh"),
        ("openai:a", {"type": "token", "key": KEY}, "no token"),
        ("openai:a", {"type": "linked", "file": "x"}, "no source"),
        ("openai:a", {}, "type None"),
        ("openai:a", {"type": "api_key"}, "no key"),
        ("openai:a", {"type": "api_key", "key": ""}, "no key"),
        ("openai:a", {"type": "api_key", "key": 5}, "no key"),
        ("gone:a", {"type": "api_key", "key": KEY}, "no provider called gone"),
        ("azure:a", {"type": "api_key", "key": KEY}, "address of azure"),
    ],
)
def test_a_profile_that_makes_no_account_is_a_notice(profile_id, profile, reason):
    settings = parse("", {})

    after = app.with_profiles(settings, {profile_id: profile})

    assert after.accounts == settings.accounts
    (notice,) = after.notices
    assert reason in notice
    assert KEY not in notice


def serve(home, monkeypatch, **environment):
    """Runs ``serve`` up to where it would listen; gives its result and the settings it has then."""
    served = []
    monkeypatch.setattr(program, "run", lambda settings, **_: served.append(settings))
    monkeypatch.setattr(program, "open_log", lambda *_: None)
    result = CliRunner(env={**home.environment, **environment}).invoke(main, ["serve"])
    assert "CANARY" not in result.output
    return result, served


def test_the_daemon_has_the_accounts_of_the_vault(home, monkeypatch):
    home.add("openai", "--name", "work")

    result, (settings,) = serve(home, monkeypatch)

    assert result.exit_code == 0
    assert [row.id for row in settings.accounts] == ["openai:work"]


def test_the_daemon_does_not_start_without_its_accounts(home, monkeypatch):
    home.add("openai", "--name", "work")

    result, served = serve(home, monkeypatch, PROXYPAL_VAULT_KEY="5a" * 32)

    assert result.exit_code == 1
    assert "another key" in result.stderr
    assert served == []


def test_the_daemon_goes_on_with_an_earlier_generation_and_says_so(home, monkeypatch):
    home.add("openai", "--name", "work")
    home.add("openai", "--name", "play")
    home.vault.write_bytes(b"")

    result, (settings,) = serve(home, monkeypatch)

    assert [row.id for row in settings.accounts] == ["openai:work"]
    assert "is used in its place" in result.output


# ── switching off, putting in order, resetting ───────────────────────────────────────────────


def test_what_is_disabled_is_left_alone_and_not_forgotten(home):
    home.add("openai", "--name", "work")

    assert home.run("disable", "openai:work").exit_code == 0
    settings = app.with_profiles(parse("", {}), home.profiles())
    assert app.accounts_of(settings)[0].disabled
    assert "proxypal auth enable" in home.listed()["openai:work"]["note"]

    assert home.run("enable", "openai:work").exit_code == 0
    assert "disabled" not in home.profiles()["openai:work"]
    assert home.profiles()["openai:work"]["key"] == KEY


def test_only_what_is_in_the_vault_can_be_disabled(home):
    result = home.run("disable", "anthropic:env", ANTHROPIC_API_KEY=OTHER_KEY)

    assert result.exit_code == 1
    assert "the settings or the environment" in result.stderr


def order(home, *arguments):
    return home.run("order", *arguments)


def test_an_order_is_set_shown_and_cleared(home):
    for name in ("a", "b", "c"):
        home.add("gemini", "--name", name)
    before = home.profiles()

    assert "take turns" in order(home, "get", "--provider", "google").output
    assert order(home, "set", "--provider", "google", "google:b", "gemini:a").exit_code == 0
    assert order(home, "get", "--provider", "gemini").output.split() == ["gemini:b", "gemini:a"]
    shown = jsonio.loads(order(home, "get", "--provider", "gemini", "--json").output)
    assert shown == {"provider": "gemini", "order": ["gemini:b", "gemini:a"]}
    assert home.profiles() == before

    assert order(home, "clear", "--provider", "gemini").exit_code == 0
    shown = jsonio.loads(order(home, "get", "--provider", "gemini", "--json").output)
    assert shown == {"provider": "gemini", "order": None}


@pytest.mark.parametrize(
    ("ids", "code", "said"),
    [
        (["openai:b"], 1, "did you mean openai:a"),
        (["openai:a", "openai:a"], 2, "twice"),
        (["gemini:b"], 2, "no account of openai"),
        ([], 2, "ID"),
    ],
)
def test_an_order_names_accounts_of_its_provider_once(home, ids, code, said):
    home.add("openai", "--name", "a")
    home.add("gemini", "--name", "b")

    result = order(home, "set", "--provider", "openai", *ids)

    assert result.exit_code == code
    assert said in result.output


def test_an_order_in_the_settings_is_changed_there(home):
    home.add("openai", "--name", "a")
    home.configure('routing: {order: {openai: ["openai:a"]}}')

    result = order(home, "set", "--provider", "openai", "openai:a")

    assert result.exit_code == 1
    assert "routing.order" in result.stderr


def test_the_daemon_has_the_order_of_the_vault_and_prefers_the_settings(home):
    orders = {"order": {"openai": ["openai:a"], "gemini": ["gemini:b"], "odd": "x"}}
    settings = parse('routing: {order: {openai: ["openai:z"]}}', {})

    after = app.with_profiles(settings, {}, orders)

    assert after.routing.order == {"openai": ("openai:z",), "gemini": ("gemini:b",)}


def test_without_a_daemon_a_reset_is_for_the_next_one(home):
    home.configure("listen: {port: 1}")  # where nobody listens
    home.add("openai")

    for arguments in (["reset"], ["reset", "openai:default"]):
        result = home.run(*arguments)
        assert result.exit_code == 0
        assert "No daemon runs" in result.output


def test_a_login_only_provider_takes_no_key(home):
    result = home.add("openai-codex")

    assert result.exit_code == 2
    assert "proxypal auth link" in result.output
