"""``proxypal auth import|export``, ``proxypal import``: nothing is lost on the way in or out."""

import os
import stat

import pytest

from proxypal_core import app
from proxypal_core.settings.parse import parse
from proxypal_core.wire import jsonio
from tests.accounts.test_interchange import CONFIG, GOOGLE, OPENCLAW
from tests.cli.test_vault import Home

LOGIN = {
    "type": "claude",
    "access_token": "CANARY-access",
    "refresh_token": "CANARY-refresh",
    "email": "me@example.com",
    "expired": "2026-09-21T14:13:20Z",
}


@pytest.fixture
def home(tmp_path):
    return Home(tmp_path)


def written(path, content):
    path.parent.mkdir(exist_ok=True, parents=True)
    path.write_text(content if isinstance(content, str) else jsonio.dumps_text(content))
    return path


def imported(home, *arguments):
    """What the command says it did, by account."""
    result = home.run(*arguments, "--json")
    assert result.exit_code == 0, result.output
    told = jsonio.loads(result.stdout)
    return {row["what"]: row["action"] for row in told["accounts"]}, told


# ── OpenClaw ─────────────────────────────────────────────────────────────────────────────────


def test_openclaws_file_comes_out_equal(home, tmp_path):
    source = written(tmp_path / "auth-profiles.json", OPENCLAW)

    actions, _ = imported(home, "auth", "import", source)
    result = home.run("auth", "export", tmp_path / "out.json")

    assert set(actions.values()) == {"added"}
    assert result.exit_code == 0, result.output
    assert "not encrypted" in result.output
    assert jsonio.loads((tmp_path / "out.json").read_bytes()) == OPENCLAW


def test_an_agents_folder_of_openclaw_is_as_good_as_its_file(home, tmp_path):
    written(tmp_path / "agent" / "auth-profiles.json", OPENCLAW)
    written(tmp_path / "agent" / "models.json", {"providers": {}})

    actions, _ = imported(home, "auth", "import", tmp_path / "agent")

    assert list(actions) == list(OPENCLAW["profiles"])


def test_a_second_import_changes_nothing_and_writes_nothing(home, tmp_path):
    source = written(tmp_path / "p.json", OPENCLAW)
    home.run("auth", "import", source)
    before = home.vault.read_bytes()

    actions, _ = imported(home, "auth", "import", source)

    assert set(actions.values()) == {"unchanged"}
    assert home.vault.read_bytes() == before


def test_a_dry_run_shows_all_and_writes_nothing(home, tmp_path):
    source = written(tmp_path / "p.json", OPENCLAW)

    result = home.run("auth", "import", source, "--dry-run")

    assert result.exit_code == 0
    assert "openai:manual" in result.output
    assert "3 added. Nothing was written" in result.output
    assert not home.vault.exists()


def test_the_accounts_that_were_there_stay(home, tmp_path):
    home.add("mine")

    result = home.run("auth", "import", written(tmp_path / "p.json", OPENCLAW))

    assert "Next: proxypal models status" in result.output
    assert f"still in {tmp_path / 'p.json'}" in result.output
    assert list(home.profiles()) == ["openai:mine", *OPENCLAW["profiles"]]


def test_the_orders_of_openclaw_are_ours_from_then_on(home, tmp_path):
    home.run("auth", "import", written(tmp_path / "p.json", OPENCLAW))

    result = home.run("auth", "order", "get", "--provider", "openai")

    assert result.output.split() == OPENCLAW["order"]["openai"]


def test_a_key_in_a_variable_is_taken_from_there_when_it_is_used(home, tmp_path, monkeypatch):
    home.run("auth", "import", written(tmp_path / "p.json", OPENCLAW))
    settings, held = parse("", {}), home.profiles()
    name = "openai:default"
    assert "WORK_KEY, which is not set" in app.hindrance(settings, name, held[name])

    monkeypatch.setenv("WORK_KEY", "sk-of-the-variable")

    assert app.hindrance(settings, name, held[name]) == ""
    rows = {row.id: row for row in app.with_profiles(settings, held).accounts}
    assert rows[name].api_key == "sk-of-the-variable"
    assert "key" not in home.profiles()[name]


@pytest.mark.parametrize(
    "content", ["", "no JSON", "[]", "{}", '{"profiles": []}', '{"profiles": {}', "\0" * 100]
)
def test_a_bad_file_is_refused_and_the_vault_is_as_it_was(home, tmp_path, content):
    home.add("mine")
    before = home.vault.read_bytes()

    result = home.run("auth", "import", written(tmp_path / "bad.json", content))

    assert result.exit_code == 1
    assert "Nothing was imported" in result.output
    assert home.vault.read_bytes() == before


def test_a_file_that_is_not_there_is_named(home, tmp_path):
    result = home.run("auth", "import", tmp_path / "none.json")

    assert result.exit_code == 1
    assert "No such file" in result.output


def test_nothing_is_imported_into_a_damaged_vault(home, tmp_path):
    for name in "ab":
        home.add(name)
    home.vault.write_bytes(b"PPAL")

    result = home.run("auth", "import", written(tmp_path / "p.json", OPENCLAW))

    assert result.exit_code == 1
    assert "nothing can be changed" in result.output
    assert home.vault.read_bytes() == b"PPAL"


# ── export ───────────────────────────────────────────────────────────────────────────────────


@pytest.mark.skipif(os.name != "posix", reason="modes and links are POSIX's")
def test_an_export_is_the_owners_alone_and_follows_no_link(home, tmp_path):
    home.add()
    victim = tmp_path / "victim"
    victim.write_text("precious")
    out = tmp_path / "out.json"
    out.symlink_to(victim)
    refused = home.run("auth", "export", out)
    assert refused.exit_code == 1
    assert "--force" in refused.output

    result = home.run("auth", "export", out, "--force")

    assert result.exit_code == 0
    assert victim.read_text() == "precious"
    assert stat.S_IMODE(out.lstat().st_mode) == 0o600
    assert list(jsonio.loads(out.read_bytes())["profiles"]) == ["openai:work"]


def test_an_export_replaces_nothing_unasked(home, tmp_path):
    home.add()
    out = written(tmp_path / "out.json", "precious")

    result = home.run("auth", "export", out)

    assert result.exit_code == 1
    assert out.read_text() == "precious"


def test_an_export_into_no_folder_is_told(home, tmp_path):
    home.add()

    result = home.run("auth", "export", tmp_path / "none" / "out.json")

    assert result.exit_code == 1
    assert "cannot be written" in result.output


# ── Google and CLIProxyAPI ───────────────────────────────────────────────────────────────────


def test_a_google_key_file_is_taken_in(home, tmp_path):
    actions, _ = imported(home, "auth", "import", written(tmp_path / "key.json", GOOGLE))

    assert actions == {f"vertex:{GOOGLE['client_email']}": "added"}


@pytest.mark.parametrize("command", [("auth", "import"), ("import", "cliproxyapi")])
def test_a_folder_of_logins_is_taken_in_and_a_bad_file_stops_no_other(home, tmp_path, command):
    folder = tmp_path / "logins"
    written(folder / "claude-me.json", LOGIN)
    written(folder / "deep" / "codex.json", {"type": "codex", "access_token": "CANARY"})
    written(folder / "broken.json", '{"type": "claude", "access_token": "CANARY')
    written(folder / "other.json", {"some": "thing"})

    actions, told = imported(home, *command, folder)

    assert actions == {
        "anthropic:me@example.com": "added",
        "openai-codex:codex": "added",
        str(folder / "broken.json"): "skipped",
        str(folder / "other.json"): "skipped",
    }
    assert any("stop CLIProxyAPI" in note for note in told["notes"])
    assert home.profiles()["anthropic:me@example.com"]["refresh"] == "CANARY-refresh"


def test_cliproxyapis_settings_bring_keys_logins_and_rows_for_ours(home, tmp_path):
    written(tmp_path / "cpa" / "logins" / "claude.json", LOGIN)
    config = written(tmp_path / "cpa" / "config.yaml", {**CONFIG, "auth-dir": "logins"})

    result = home.run("import", "cliproxyapi", config)

    assert result.exit_code == 0, result.output
    assert "8 added" in result.output
    assert '  - {"name":"my-server","dialect":"openai-chat"' in result.output
    assert "client keys are not imported" in result.output
    assert len(home.profiles()) == 8


def test_the_rows_that_are_shown_are_settings_with_which_the_accounts_are_used(home, tmp_path):
    config = written(tmp_path / "config.yaml.cpa", {**CONFIG, "auth-dir": str(tmp_path / "none")})
    _, told = imported(home, "import", "cliproxyapi", config)

    settings = parse(jsonio.dumps_text(told["settings"]), {})

    whole = app.with_profiles(settings, home.profiles())
    assert [notice for notice in whole.notices if "left out" in notice] == []
    assert len(whole.accounts) == 7
    weights = {row.weight for row in whole.accounts if row.id.startswith("gemini:")}
    assert weights == {1, 2}


@pytest.mark.parametrize("content", ["a: [", "- 1", "gemini-api-key: 7", "a: 1\na: 2"])
def test_bad_settings_of_cliproxyapi_are_refused(home, tmp_path, content):
    result = home.run("import", "cliproxyapi", written(tmp_path / "config.yaml.cpa", content))

    assert result.exit_code == 1
    assert "Nothing was imported" in result.output
    assert not home.vault.exists()


def test_an_empty_folder_is_told(home, tmp_path):
    (tmp_path / "empty").mkdir()

    result = home.run("import", "cliproxyapi", tmp_path / "empty")

    assert result.exit_code == 1
    assert "0 JSON files" in result.output
