"""The Vietnamese and Chinese pages say what the English ones do: the same commands, the same lists."""

import re

import pytest

from tests.docs.pages import links
from tests.docs_walk.page import ROOT, steps

LANGUAGES = ("vi", "zh")
READMES = ("README.vi.md", "README.zh.md")


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


def test_the_translated_readmes_lead_to_the_same_pages():
    vietnamese, chinese = (
        {link for link in links(text_of(readme)) if link.startswith("docs/how-to")}
        for readme in READMES
    )

    assert vietnamese == chinese
