"""YAML is read strictly: nothing surprising comes out, and nothing large is built."""

import contextlib

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from proxypal_core.providers import yamlio
from tests.strategies import json_objects


@given(json_objects)
def test_what_is_written_is_read(value):
    assert yamlio.load(yaml.safe_dump(value)).value == value


@given(st.text(max_size=80))
def test_any_text_is_a_document_or_bad_yaml(text):
    with contextlib.suppress(yamlio.BadYaml):
        assert isinstance(yamlio.load(text).lines, dict)


@pytest.mark.parametrize(
    "word", ["on", "no", "Yes", "2026-01-02", "1:30", "010", "0x1f", ".inf", "<<", "Null", "1_000"]
)
def test_words_that_older_yaml_takes_for_something_else_are_words(word):
    assert yamlio.load(f"key: {word}").value == {"key": word}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("true", True),
        ("false", False),
        ("null", None),
        ("~", None),
        ("", None),
        ("-3", -3),
        ("1.5", 1.5),
        ("1e3", 1000.0),
        ("'1'", "1"),
    ],
)
def test_scalars_are_those_of_json(text, value):
    assert yamlio.load(f"key: {text}").value == {"key": value}


def test_each_path_knows_its_line():
    document = yamlio.load("a: 1\nrows:\n  - id: x\n    n: 2\n  - id: y\n")

    assert document.lines["rows"] == 2
    assert document.lines["rows[0].n"] == 4
    assert document.lines["rows[1].id"] == 5


@pytest.mark.parametrize(
    ("text", "problem", "line"),
    [
        ("a: 1\nb: 2\na: 3", "'a' stands here twice \\(first on line 1\\)", 3),
        ("a: 1\n b: 2\n", "mapping values", 2),
        ("a: !!python/object:os.system x", "tag .* not allowed", 1),
        ("a: !!python/object {b: 1}", "tag .* not allowed", 1),
        ("a: &x [*x]", "holds itself", 1),
        ("a: *nope", "alias", 1),
        ("? [1]\n: 2", "plain text", 1),
        ("a: 1\n---\nb: 2", "document", 2),
        ("[" * 60, "nested", 0),
        ("a: " + "9" * 5000, "integer", 1),
        ("x" * (yamlio.LARGEST + 1), "longer", 0),
    ],
)
def test_what_is_wrong_is_named_with_its_line(text, problem, line):
    with pytest.raises(yamlio.BadYaml, match=problem) as caught:
        yamlio.load(text)

    assert caught.value.line == line


def test_aliases_may_be_used_but_not_to_multiply():
    assert yamlio.load("a: &x [1]\nb: *x").value == {"a": [1], "b": [1]}

    rows = "".join(f"r{n}: &r{n} [{', '.join([f'*r{n - 1}'] * 9)}]\n" for n in range(1, 9))
    with pytest.raises(yamlio.BadYaml, match="unfold"):
        yamlio.load("r0: &r0 [x]\n" + rows)
