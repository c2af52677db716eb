"""The Vietnamese and Chinese pages say what the English ones do: the same commands, the same lists."""

import re
from typing import get_args

import pytest

from proxypal_core.agents.agent import agents
from proxypal_core.providers import backend, catalog
from proxypal_core.providers.provider import DialectName
from tests.docs.pages import links
from tests.docs_walk.page import ROOT, steps

LANGUAGES = ("vi", "zh")
READMES = ("README.vi.md", "README.zh.md")
WORKS = [
    set(get_args(DialectName)),
    {row.name for row in catalog.builtin_rows()},
    {name for name, agent in agents().items() if not agent.obstacle},
    set(backend.builtin_rows()),
]
"""The first rows of the table of what works: dialects, providers, agents, backends."""


def text_of(path):
    return (ROOT / path).read_text("utf-8")


def typed(text):
    return [re.sub(r"\s+# .*", "", step.command) for step in steps(text)]


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_translated_tutorial_has_the_same_commands_and_the_same_answers(language):
    translated = steps(text_of(f"docs/{language}/tutorial.md"))

    assert translated == steps(text_of("docs/tutorial.md"))


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_translated_tutorial_has_the_same_sections_and_leads_to_the_same_pages(language):
    english, translated = text_of("docs/tutorial.md"), text_of(f"docs/{language}/tutorial.md")

    assert len(re.findall("^## ", translated, re.MULTILINE)) == len(
        re.findall("^## ", english, re.MULTILINE)
    )
    assert [link.removeprefix("../") for link in links(translated)] == [
        link for link in links(english) if not link.startswith("#")
    ]


@pytest.mark.parametrize("readme", READMES)
def test_every_command_of_a_translated_readme_is_one_of_the_english_pages(readme):
    english = {*typed(text_of("README.md")), *typed(text_of("docs/tutorial.md"))}

    assert typed(text_of(readme))
    assert [command for command in typed(text_of(readme)) if command not in english] == []


@pytest.mark.parametrize("readme", READMES)
def test_the_table_of_what_works_is_what_the_code_has(readme):
    _, _, table = text_of(readme).partition("\n| | |\n|---|---|\n")
    named = [set(re.findall(r"`([\w-]+)`", row)) for row in table.splitlines()[: len(WORKS)]]

    assert named == WORKS


def test_the_translated_readmes_lead_to_the_same_pages():
    vietnamese, chinese = (
        {link for link in links(text_of(readme)) if link.startswith("docs/how-to")}
        for readme in READMES
    )

    assert vietnamese == chinese
