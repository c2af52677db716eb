"""The rows, and what they come to."""

import re
from pathlib import Path

import pytest

from proxypal_core.agents.agent import (
    Option,
    Run,
    agents,
    chosen_model,
    command_line,
    edits,
    environment,
    expanded,
    is_model,
    values,
)
from proxypal_core.agents.edits import laid, read
from proxypal_core.agents.standing import Sight, standing
from proxypal_core.agents.tree import find
from proxypal_core.metering.agents import agent_of

NAMES = [
    "claude-code", "codex", "opencode", "gemini", "qwen-code", "droid", "copilot", "cline",
    "continue", "pi", "amp", "openclaw", "aider",
]  # fmt: skip
URL = "http://127.0.0.1:8317"
every_agent = pytest.mark.parametrize("agent", agents().values(), ids=list(agents()))


def given_to(agent, model="openai/gpt-9", folder="/ours"):
    return values(agent, URL, "pp-KEY", model, folder)


def test_the_agents_have_their_names():
    assert sorted(agents()) == sorted(NAMES)


@every_agent
def test_every_agent_can_be_run_or_says_why_not(agent):
    run = agent.run
    leads = str((run.args, run.env, run.files))

    assert bool(agent.obstacle) != ("{url}" in leads)
    assert bool(agent.setup) != bool(agent.obstacle or agent.by_hand)
    assert agent.docs.startswith("https://")


@every_agent
def test_no_key_is_in_an_argument(agent):
    argv = command_line(agent.run, given_to(agent), ["-p", "hi"])

    assert not any("pp-KEY" in word for word in argv)
    assert argv[-2:] == ["-p", "hi"]


@every_agent
@pytest.mark.parametrize("model", ["openai/gpt-9", ""])
def test_no_word_of_a_row_is_left_unfilled(agent, model):
    given = given_to(agent, model)
    whole = [
        *command_line(agent.run, given, []),
        *environment(agent.run, given, {}).values(),
        *(str(edits(file.set, given)) for file in (*agent.setup, *agent.run.files)),
    ]

    assert not [text for text in whole if re.search(r"\{(url|key|model|bare|folder)\}", text)]


@every_agent
def test_every_file_of_a_row_can_be_made_from_nothing(agent):
    given = given_to(agent)
    for file in (*agent.setup, *agent.run.files):
        rows = edits(file.set, given)
        value = read(file.format, laid(file.format, None, rows).after)

        assert all(row.remove or find(value, row.at) == row.value for row in rows)


def test_openclaw_gets_a_base_for_each_vendor_s_words():
    (file,) = agents()["openclaw"].setup
    text = laid("json", None, edits(file.set, given_to(agents()["openclaw"]))).after
    providers = read("json", text)["models"]["providers"]

    assert {
        name: (providers[name]["baseUrl"].removeprefix(URL), providers[name]["api"])
        for name in ("anthropic", "openai", "google-antigravity")
    } == {
        "anthropic": ("/anthropic", "anthropic-messages"),
        "openai": ("/openai", "openai-completions"),
        "google-antigravity": ("/gemini", "google-generative-ai"),
    }


def test_a_model_that_the_user_chose_stays_unless_another_is_asked_for():
    agent = agents()["openclaw"]
    mine = '{agents: {defaults: {model: {primary: "anthropic/mine"}}}}'
    given = given_to(agent, "groq/llama")
    primary = ("agents", "defaults", "model", "primary")
    kept, forced = (
        read("json", laid("json", mine, edits(agent.setup[0].set, given, asked=asked)).after)
        for asked in (False, True)
    )

    assert find(kept, primary) == "anthropic/mine"
    assert find(forced, primary) == "proxypal/groq/llama"


def test_the_documents_list_every_agent_and_with_which_version_it_was_run():
    table = (Path(__file__).parents[2] / "docs/agents.md").read_text()
    rows = dict(re.findall(r"^\| `([a-z-]+)` \|.*\| ([^|]*?) \|$", table, re.MULTILINE))

    assert rows == {name: agent.tried or "not run" for name, agent in agents().items()}


# ── models ───────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("name", "routes", "served", "model"),
    [
        ("claude-code", [], ["openai/gpt-5", "anthropic/claude-opus-4-5"], ""),
        ("claude-code", [], ["openai/gpt-5"], "openai/gpt-5"),
        ("claude-code", ["best"], ["openai/gpt-5"], "best"),
        ("codex", [], ["demo/echo"], "demo/echo"),
        ("opencode", [], ["groq/llama", "anthropic/claude-opus-4-5"], "anthropic/claude-opus-4-5"),
        ("opencode", ["best"], ["anthropic/claude-opus-4-5"], "best"),
        ("opencode", [], ["groq/llama"], "groq/llama"),
        ("opencode", [], [], ""),
    ],
)
def test_an_agent_asks_for_its_own_models_where_they_are_served(name, routes, served, model):
    assert chosen_model(agents()[name], routes, served) == model


@pytest.mark.parametrize("name", ["a b", '"', "-m", "a\n", "{key}", ""])
def test_a_name_that_could_be_anything_else_is_no_model(name):
    assert not is_model(name)


# ── command lines and variables ──────────────────────────────────────────────────────────────


def test_an_option_of_the_user_s_replaces_ours():
    run = Run(options=(Option(names=("--model", "-m"), value="{model}"),))
    given = given_to(agents()["codex"], "x")

    assert command_line(run, given, ["go"]) == ["--model", "x", "go"]
    assert command_line(run, given, ["-m", "y"]) == ["-m", "y"]
    assert command_line(run, given, ["--model=y"]) == ["--model=y"]


def test_what_would_lead_elsewhere_is_taken_out_of_the_environment():
    agent = agents()["claude-code"]
    own = {"ANTHROPIC_API_KEY": "sk-mine", "CLAUDE_CODE_USE_BEDROCK": "1", "PATH": "/bin"}

    assert environment(agent.run, given_to(agent), own) == {"PATH": "/bin"}


def test_a_proxy_of_the_user_s_is_not_asked_for_this_machine():
    own = {"HTTP_PROXY": "http://proxy:1", "NO_PROXY": "intern"}
    variables = environment(Run(), given_to(agents()["codex"]), own)

    assert variables["NO_PROXY"] == variables["no_proxy"] == "intern,127.0.0.1,localhost,::1"


def test_a_path_follows_its_variables_and_the_home():
    path = "${A:-${B:-~/.config}/x}/y"

    assert expanded(path, {}, "/home/me") == "/home/me/.config/x/y"
    assert expanded(path, {"B": "/b"}, "/home/me") == "/b/x/y"
    assert expanded(path, {"A": "/a", "B": "/b"}, "/home/me") == "/a/y"


def test_usage_and_run_call_an_agent_the_same():
    assert agent_of({"user-agent": "claude-cli/2.1"}) in agents()


# ── how an agent stands ──────────────────────────────────────────────────────────────────────

PATH = ("env", "URL")


def stands(address, *, found=True, edit=None, done=()):
    value = {} if address is None else {"env": {"URL": address}}
    sight = Sight(value, [PATH], done)
    return standing([sight], URL, found=found, set_up=bool(done))


@pytest.mark.parametrize(
    ("address", "state"),
    [
        (None, "installed"),
        (URL, "configured"),
        ("http://localhost:8317/v1", "configured"),
        ("http://127.0.0.1:83170", "elsewhere"),
        ("https://gateway.example", "elsewhere"),
    ],
)
def test_the_state_is_told_by_where_the_files_point(address, state):
    assert stands(address).state == state
    assert stands(address, found=False).state == "absent"


def test_what_was_changed_since_the_set_up_is_drift():
    done = laid(
        "json", "{}", edits(agents()["claude-code"].setup[0].set, given_to(agents()["codex"]))
    )
    as_set, changed = read("json", done.after), {"env": {"ANTHROPIC_BASE_URL": URL}}
    states = [
        standing(
            [Sight(value, [("env", "ANTHROPIC_BASE_URL")], done.done)], URL, found=True, set_up=True
        )
        for value in (as_set, changed)
    ]

    assert [one.state for one in states] == ["configured", "drifted"]
    assert "env.ANTHROPIC_AUTH_TOKEN" in states[1].changed
