"""``proxypal setup``, ``unsetup`` and ``agents``."""

import stat

import pytest

from proxypal_core.agents.agent import agents
from proxypal_core.wire import jsonio
from tests.cli.agent_home import AgentHome

SETTINGS = '{\n    // mine\n    "theme": "dark",\n    "env": {"ANTHROPIC_API_KEY": "sk-CANARY-of-the-user"}\n}\n'
FILE = ".claude/settings.json"
ALL = [name for name, agent in agents().items() if agent.setup]


@pytest.fixture
def home(tmp_path):
    return AgentHome(tmp_path, "claude", "codex")


def ok(home, *arguments):
    result = home.program(*arguments)
    assert result.exit_code == 0, result.output
    return result


def states(home):
    rows = jsonio.loads(ok(home, "agents", "--json").stdout)["agents"]
    return {row["name"]: row for row in rows}


def mode(file):
    return stat.S_IMODE(file.stat().st_mode)


# ── there and back ───────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("name", ALL)
def test_every_agent_is_put_back_to_nothing(home, name):
    ok(home, "setup", name)
    made = home.everything()
    ok(home, "unsetup", name)

    assert any(home.url.encode() in text for text in made.values())
    assert home.everything() == {}
    assert [path for path in home.user.rglob("*") if path.name != ".config"] == []


def test_a_file_is_put_back_byte_for_byte_with_its_mode(home):
    file = home.put(FILE, SETTINGS.replace("\n", "\r\n"), 0o644)
    before = file.read_bytes()
    ok(home, "setup", "claude-code")
    during = mode(file)
    ok(home, "unsetup", "claude-code")

    assert file.read_bytes() == before
    assert (during, mode(file)) == (0o600, 0o644)


def test_setup_merges_and_keeps_what_is_not_its_own(home):
    file = home.put(FILE, SETTINGS)
    ok(home, "setup", "claude-code", "--model", "anthropic/claude-x")
    text = file.read_text()

    assert text.startswith('{\n    // mine\n    "theme": "dark",\n')
    assert f'"ANTHROPIC_BASE_URL":"{home.url}"' in text.replace(": ", ":")
    assert "anthropic/claude-x" in text
    assert "sk-CANARY" not in text


def test_what_the_user_changed_since_outlives_unsetup_and_is_told(home):
    file = home.put(FILE, SETTINGS)
    ok(home, "setup", "claude-code")
    key = jsonio.loads(file.read_text().replace("// mine", ""))["env"]["ANTHROPIC_AUTH_TOKEN"]
    file.write_text(file.read_text().replace("dark", "light").replace(key, "of-the-user"))
    result = ok(home, "unsetup", "claude-code")

    assert "light" in file.read_text()
    assert "of-the-user" in file.read_text()
    assert home.url not in file.read_text()
    assert f"{file}: env.ANTHROPIC_AUTH_TOKEN" in result.stdout


def test_setup_twice_is_once(home):
    file = home.put(FILE, SETTINGS)
    ok(home, "setup", "claude-code")
    once = file.read_text()
    ok(home, "setup", "claude-code")
    twice = file.read_text()
    ok(home, "unsetup", "claude-code")

    assert once == twice
    assert file.read_text() == SETTINGS


def test_unsetup_without_setup_does_nothing(home):
    home.put(FILE, SETTINGS)
    before = home.everything()
    result = ok(home, "unsetup", "claude-code")

    assert "nothing to put back" in result.stdout
    assert home.everything() == before


def test_a_link_stays_a_link(home):
    real = home.put("dotfiles/claude.json", SETTINGS)
    link = home.user / FILE
    link.parent.mkdir()
    link.symlink_to(real)
    ok(home, "setup", "claude-code")

    assert link.is_symlink()
    assert home.url in real.read_text()


def test_the_receipt_is_for_its_owner_alone(home):
    home.put(FILE, SETTINGS)
    ok(home, "setup", "claude-code")
    receipt = home.data / "receipts" / "claude-code.json"

    assert mode(receipt) == 0o600
    assert mode(receipt.parent) == 0o700


def test_run_and_setup_share_the_key(home):
    ok(home, "setup", "claude-code")
    ok(home, "setup", "codex")
    ok(home, "setup", "claude-code")

    assert home.keys() == ["claude-code", "codex"]


# ── nothing is changed ───────────────────────────────────────────────────────────────────────


def test_a_dry_run_shows_what_would_change_and_no_secret(home):
    home.put(FILE, SETTINGS)
    before = home.everything()
    result = ok(home, "setup", "claude-code", "--dry-run")

    assert f'+        "ANTHROPIC_BASE_URL": "{home.url}"' in result.stdout or (
        f'"ANTHROPIC_BASE_URL": "{home.url}"' in result.stdout
    )
    assert result.stdout.startswith("--- ")
    assert home.everything() == before
    assert home.keys() == []
    assert not (home.data / "receipts" / "claude-code.json").exists()


def test_a_dry_run_hides_a_key_and_not_the_name_of_its_variable(home):
    shown = ok(home, "setup", "qwen-code", "--dry-run").stdout

    assert '"PROXYPAL_API_KEY": "pp-…"' in shown
    assert '"envKey": "PROXYPAL_API_KEY"' in shown


def test_a_dry_run_of_unsetup_shows_what_would_be_put_back(home):
    home.put(FILE, SETTINGS)
    ok(home, "setup", "claude-code")
    before = home.everything()
    document = jsonio.loads(ok(home, "unsetup", "claude-code", "--dry-run", "--json").stdout)

    assert document["files"][0]["changed"]
    assert "-" in document["files"][0]["diff"]
    assert home.everything() == before


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (b'{\n  "a": 1\n  "b": 2\n}', "line 3: a comma is missing"),
        (b'{"env": [1]}', "env is not an object"),
        (b"\xff", "not UTF-8"),
    ],
)
def test_a_file_that_cannot_be_read_is_refused_with_the_place(home, text, told):
    file = home.put(FILE, "")
    file.write_bytes(text)
    result = home.program("setup", "claude-code")

    assert result.exit_code == 1
    assert told in result.stderr
    assert str(file) in result.stderr
    assert file.read_bytes() == text
    assert home.keys() == []


@pytest.mark.parametrize(
    ("name", "told"), [("amp", "cannot use this proxy"), ("copilot", "proxypal run copilot")]
)
def test_an_agent_that_cannot_be_set_up_says_why(home, name, told):
    result = home.program("setup", name)

    assert result.exit_code == 1
    assert told in result.stderr


def test_a_receipt_that_cannot_be_read_stops_everything(home):
    home.put(FILE, SETTINGS)
    ok(home, "setup", "claude-code")
    before = home.everything()
    (home.data / "receipts" / "claude-code.json").write_text("{")
    results = [home.program(command, "claude-code") for command in ("setup", "unsetup")]

    assert [result.exit_code for result in results] == [1, 1]
    assert home.everything() == before


def test_a_key_that_somebody_made_by_hand_is_not_taken(home):
    ok(home, "keys", "create", "codex")
    result = home.program("setup", "codex")

    assert result.exit_code == 1
    assert "proxypal keys revoke codex" in result.stderr
    assert home.everything() == {}


# ── detection ────────────────────────────────────────────────────────────────────────────────


def test_agents_tells_each_state(home):
    absent = states(home)["gemini"]
    installed = states(home)["claude-code"]
    ok(home, "setup", "claude-code")
    configured = states(home)["claude-code"]
    file = home.user / FILE
    file.write_text(file.read_text().replace("AUTH_TOKEN", "MINE"))
    drifted = states(home)["claude-code"]
    home.put(FILE, '{"env": {"ANTHROPIC_BASE_URL": "https://gateway.example/v1"}}')
    elsewhere = states(home)["claude-code"]

    assert (absent["state"], absent["program"]) == ("absent", None)
    assert (installed["state"], installed["version"]) == ("installed", "1.2.3")
    assert configured["state"] == "configured"
    assert (drifted["state"], drifted["changed"]) == ("drifted", ["env.ANTHROPIC_AUTH_TOKEN"])
    assert elsewhere["state"] == "elsewhere"
    assert elsewhere["address"] == "https://gateway.example/v1"
    assert "points elsewhere: https://gateway.example" in ok(home, "agents").stdout


def test_a_file_that_cannot_be_read_is_a_note_in_the_list(home):
    home.put(FILE, "{")

    assert "line 1" in states(home)["claude-code"]["note"]


def test_json_tells_what_was_written(home):
    document = jsonio.loads(ok(home, "setup", "claude-code", "--json").stdout)

    assert document["agent"] == "claude-code"
    assert [row["changed"] for row in document["files"]] == [True]
