"""``proxypal run``: an agent started on the proxy."""

import aiohttp
import pytest

from proxypal_core.wire import jsonio
from tests.cli.agent_home import AgentHome
from tests.running import daemon


@pytest.fixture
def home(tmp_path):
    return AgentHome(tmp_path, "claude", "codex", "gemini")


@pytest.fixture
async def served(home):
    async with daemon("--config", home.settings, **home.variables()) as running:
        yield running


async def started(home, *arguments, **environment):
    """How the agent was started, and the process."""
    process = await home.ran("run", *arguments, **environment)
    assert process.process.returncode == 7, process.err
    return jsonio.loads(process.out)


async def test_the_agent_ends_for_us_and_gets_what_stands_behind_the_dashes(home, served):
    found = await started(home, "codex", "--", "exec", "--json", "-c", "x=1", "say hi")

    assert found["argv"][-5:] == ["exec", "--json", "-c", "x=1", "say hi"]
    assert f'base_url="{home.url}/v1"' in " ".join(found["argv"])


async def test_no_file_of_the_user_s_is_touched(home, served):
    home.put(".claude/settings.json", '{"env": {"ANTHROPIC_BASE_URL": "http://mine"}}')
    home.put(".gemini/settings.json", '{"ui": {"theme": "mine"}} // yes')
    before = home.everything()
    claude = await started(home, "claude-code")
    gemini = await started(home, "gemini")

    (settings,) = (jsonio.loads(text) for text in claude["files"].values())
    assert settings["env"]["ANTHROPIC_BASE_URL"] == home.url
    copy = home.data / "agents" / "gemini" / ".gemini" / "settings.json"
    assert gemini["env"]["GEMINI_CLI_HOME"] == str(home.data / "agents" / "gemini")
    assert '"theme": "mine"' in copy.read_text()
    assert "gemini-api-key" in copy.read_text()
    assert home.everything() == before


async def test_each_agent_has_a_key_of_its_own_and_keeps_it(home, served):
    first = (await started(home, "codex"))["env"]["PROXYPAL_API_KEY"]
    again = (await started(home, "codex"))["env"]["PROXYPAL_API_KEY"]
    other = (await started(home, "gemini"))["env"]["GEMINI_API_KEY"]
    listed = jsonio.loads((await home.ran("keys", "list", "--json")).out)["keys"]

    assert first == again != other
    assert [row["name"] for row in listed] == ["codex", "gemini"]


async def test_the_key_is_in_force_when_the_agent_starts(home, served):
    await home.ran("keys", "create", "another")
    key = (await started(home, "codex"))["env"]["PROXYPAL_API_KEY"]
    async with (
        aiohttp.ClientSession(headers={"x-api-key": key}) as session,
        session.get(f"{served.url}/v1/models") as answer,
    ):
        status = answer.status

    assert status == 200


async def test_other_clients_go_on_without_a_key(home, served):
    await started(home, "codex")
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"{served.url}/v1/models") as answer,
    ):
        status = answer.status

    assert status == 200


async def test_a_revoked_key_is_made_anew(home, served):
    first = (await started(home, "codex"))["env"]["PROXYPAL_API_KEY"]
    await home.ran("keys", "revoke", "codex")
    second = (await started(home, "codex"))["env"]["PROXYPAL_API_KEY"]

    assert first != second


async def test_the_key_of_the_settings_is_used_where_they_name_the_agent(home, served):
    home.configure(
        f"listen: {{port: {home.port}}}\nclient_keys: [{{name: codex, key: mine-in-the-file}}]\n"
    )

    assert (await started(home, "codex"))["env"]["PROXYPAL_API_KEY"] == "mine-in-the-file"


async def test_a_model_that_is_asked_for_is_passed_on(home, served):
    asked = await started(home, "--model", "demo/think", "codex")
    default = await started(home, "codex")
    own = await started(home, "codex", "--", "-m", "mine")

    assert asked["argv"][-2:] == ["--model", "demo/think"]
    assert default["argv"][-2:] == ["--model", "demo/echo"]
    assert own["argv"][-2:] == ["-m", "mine"]


async def test_a_program_off_the_path_finds_what_it_is_run_by_beside_it(home, served):
    for name, text in (
        ("opencode", "#!/usr/bin/env our-node\n"),
        ("our-node", "#!/bin/sh\nexit 9\n"),
    ):
        home.put(f".nvm/versions/node/v1/bin/{name}", text, 0o755)
    process = await home.ran("run", "opencode")

    assert process.process.returncode == 9


async def test_a_file_that_cannot_be_read_is_named_with_the_line(home, served):
    file = home.put(".gemini/settings.json", '{\n  "a": \n}')
    process = await home.ran("run", "gemini")

    assert process.process.returncode == 1
    assert f"{file} cannot be read: line 3" in process.err


def test_without_a_daemon_it_says_how_to_start_one(home):
    result = home.program("run", "codex")

    assert result.exit_code == 1
    assert "proxypal serve" in result.stderr
    assert home.keys() == []


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (["opencode"], 127, "npm install -g opencode-ai"),
        (["amp"], 1, "cannot use this proxy"),
        (["nobody"], 2, "claude-code"),
        (["codex", "--model", "two words"], 2, "no model"),
    ],
)
async def test_what_cannot_be_run_says_why(home, served, arguments, code, told):
    process = await home.ran("run", *arguments)

    assert process.process.returncode == code
    assert told in process.err
