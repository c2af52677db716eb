"""The how-to pages are whole, and right about what they say of the product's own tables."""

import re

import pytest
import yaml

from proxypal_core.accounts.interchange import from_cliproxyapi_config
from proxypal_core.agents import json5
from proxypal_core.agents.agent import agents
from proxypal_core.providers.catalog import builtin_rows
from proxypal_core.settings.parse import parse
from tests.cli.agent_home import AgentHome
from tests.docs.pages import blocks
from tests.docs_walk.page import ROOT, commands

HOW_TO = ROOT / "docs/how-to"
LINKED_AS = {"openai-codex": "openai-codex", "qwen-portal": "qwen"}


def page(name):
    return (HOW_TO / f"{name}.md").read_text("utf-8")


def sections(text):
    parts = re.split(r"^## (.+)$", text, flags=re.MULTILINE)[1:]
    return dict(zip(parts[::2], parts[1::2], strict=True))


def typed(section):
    return [
        re.sub(r"\s+# .*", "", command)
        for block in blocks(section)
        if block.language == "sh"
        for command in commands(block.text)
    ]


# ── providers ────────────────────────────────────────────────────────────────────────────────

PROVIDERS = sections(page("providers"))


def test_every_built_in_provider_has_its_section():
    assert [*PROVIDERS] == [*(row.name for row in builtin_rows()), "Any other"]


@pytest.mark.parametrize("row", builtin_rows(), ids=lambda row: row.name)
def test_a_provider_s_section_has_the_command_that_adds_it_and_its_variables(row):
    section = PROVIDERS[row.name]
    way = f"link {LINKED_AS[row.name]}" if row.login_only else f"add-key {row.name}"

    assert f"proxypal auth {way}" in typed(section)
    assert all(name in section for name in row.env)
    assert set(re.findall(r"\b[A-Z]+(?:_MODELS|_OPENAI)?_(?:API_KEY|TOKEN)\b", section)) <= set(
        row.env
    )


@pytest.mark.parametrize("row", [row for row in builtin_rows() if row.key_optional])
def test_a_provider_without_a_key_is_shown_as_a_row_that_suffices(row):
    (first, *_) = (b.text for b in blocks(PROVIDERS[row.name]) if b.language == "yaml")

    assert f"{row.name}:local" in {account.id for account in parse(first, {}).accounts}


# ── agents ───────────────────────────────────────────────────────────────────────────────────

AGENTS = sections(page("agents"))


def test_every_agent_has_its_section():
    assert set(AGENTS) == {*agents(), "cursor", "Any other program"}


@pytest.mark.parametrize("name", agents())
def test_an_agent_s_section_names_its_commands_and_the_files_that_are_written(name, tmp_path):
    agent = agents()[name]
    section = AGENTS[name]
    home = AgentHome(tmp_path)
    shown = home.program("setup", name, "--dry-run").stdout if agent.setup else ""
    files = {
        path.removeprefix(f"{home.user}/")
        for path in re.findall(r"^\+\+\+ (.*)", shown, re.MULTILINE)
    }
    ways = [] if agent.obstacle else ["run", "setup"] if agent.setup else ["run"]

    assert [c for c in typed(section) if "keys" not in c] == [f"proxypal {w} {name}" for w in ways]
    assert set(re.findall(r"`~/(\.[^`]+)`", section)) >= set(files)
    assert bool(files) == bool(agent.setup)


# ── OpenClaw ─────────────────────────────────────────────────────────────────────────────────


def test_what_is_written_by_hand_for_openclaw_is_what_setup_writes(tmp_path):
    by_hand, _ = (block.text for block in blocks(page("openclaw")) if block.language == "json5")
    home = AgentHome(tmp_path)
    home.program("setup", "openclaw")
    written = json5.read((home.user / ".openclaw/openclaw.json").read_text())

    wanted = json5.read(by_hand.replace("http://127.0.0.1:8317", home.url))["models"]
    for provider, row in wanted["providers"].items():
        set_up = written["models"]["providers"][provider]
        assert {**row, "apiKey": ""} == {**set_up, "apiKey": ""}
    assert written["models"]["mode"] == wanted["mode"]


# ── from elsewhere ───────────────────────────────────────────────────────────────────────────


def test_the_example_of_cliproxyapi_is_imported_as_the_page_says():
    before, after = (
        yaml.safe_load(block.text)
        for block in blocks(page("from-cliproxyapi"))
        if block.language == "yaml"
    )
    new = from_cliproxyapi_config(before, parse("", {}).catalog)

    assert [name.partition("key-")[0] for name in new.profiles] == ["anthropic:", "my-vllm:"]
    assert {name: [*map(dict, rows)] for name, rows in new.settings.items()} == {
        name: after[name] for name in ("providers", "models")
    }
    assert after["routing"]["strategy"] == before["routing"]["strategy"].replace("-", "_")
    assert after["network"]["proxy"] == before["proxy-url"]


@pytest.mark.parametrize("name", ["from-cliproxyapi", "from-litellm"])
def test_every_setting_on_our_side_of_a_table_is_one(name):
    rows = re.findall(r"^\| `.*?` \|(.*)\|$|^\| .*? \|(.*)\|$", page(name), re.MULTILINE)
    told = {path for row in rows for path in re.findall(r"`([a-z_]+\.[a-z_.]+)[`:]", "".join(row))}

    assert len(told) > 5
    assert told - set(_paths(parse("", {}))) - {"state.db"} == set()


def _paths(value, at=""):
    for field in getattr(value, "__struct_fields__", ()):
        path = f"{at}.{field}".lstrip(".")
        yield path
        yield from _paths(getattr(value, field), path)
