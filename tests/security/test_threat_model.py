"""Every threat names a test that is there."""

import ast
import re
from pathlib import Path

import pytest

from tests.figures import Figure
from tests.security.__main__ import SUITE, together

ROOT = Path(__file__).parents[2]
MODEL = (ROOT / "docs" / "threat-model.md").read_text(encoding="utf-8")
NAMED = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")
DOCUMENTS = {"threat-model.md": MODEL, "SECURITY.md": (ROOT / "SECURITY.md").read_text("utf-8")}


def missing(text):
    """The tests that *text* names and that are nowhere."""
    return [
        f"{path}::{name}"
        for path, name in NAMED.findall(text)
        if name not in defined_in(ROOT / path)
    ]


def defined_in(path):
    if not path.exists():
        return set()
    nodes = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
    return {n.name for n in nodes if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)}


@pytest.mark.parametrize("name", DOCUMENTS)
def test_every_test_that_is_named_is_there(name):
    assert NAMED.search(DOCUMENTS[name])
    assert missing(DOCUMENTS[name]) == []


def test_a_test_that_is_not_there_is_seen():
    assert missing("`tests/proxy.py::test_nothing`, `tests/gone.py::test_x`") == [
        "tests/proxy.py::test_nothing",
        "tests/gone.py::test_x",
    ]


def test_every_threat_has_a_defence_and_a_test():
    rows = re.findall(r"^\| (T\d+) \|(.+?)\|(.+?)\|(.+?)\|$", MODEL, re.MULTILINE)

    assert [number for number, *_ in rows] == [f"T{number}" for number in range(1, 41)]
    assert [number for number, *_, shown in rows if not NAMED.search(shown)] == []
    assert all(threat.strip() and defence.strip() for _, threat, defence, _ in rows)


def test_every_promise_has_a_measure():
    assert list(SUITE) == [f"S{number}" for number in range(1, 12)]


async def test_measures_that_belong_together_are_told_in_their_order():
    def measure(name):
        async def measured():
            return [Figure(name, "it", "0", "0", held=True)]

        return measured

    figures = await together(measure("a"), measure("b"))()

    assert [figure.promise for figure in figures] == ["a", "b"]
