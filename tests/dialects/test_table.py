"""docs/dialects.md says what the code does, and nothing is lost without a word."""

import os
from pathlib import Path

import pytest

from proxypal_core.dialects import DIALECTS
from tests.dialects import table

PAGE = Path(__file__).parents[2] / "docs" / "dialects.md"


def test_the_page_is_what_the_code_does():
    rendered = table.render()
    if os.environ.get("UPDATE_DOCS"):
        PAGE.write_text(rendered, encoding="utf-8")

    assert PAGE.read_text(encoding="utf-8") == rendered, "run: UPDATE_DOCS=1 make test"


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("name", table.PROBES)
def test_nothing_is_lost_without_a_word(name, dialect):
    assert table.outcome(name, dialect) != "lost"
