"""The cases of mapping between dialects are numbered; each is shown by a test that names it."""

import re
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
CASES = range(1, 201)

# "case 7", "Cases 7, 8 and 10", "cases 7-9"
_NAMED = re.compile(r"\bcases?:? (\d+(?:(?:, | and |-)\d+)*)", re.IGNORECASE)

_STATEMENT = re.compile(r"^ *case .*", re.MULTILINE)


def named(text):
    """The numbers of the cases that *text* names."""
    found = set()
    for match in _NAMED.finditer(_STATEMENT.sub("", text)):
        for piece in re.split(r", | and ", match[1]):
            first, _, last = piece.partition("-")
            found.update(range(int(first), int(last or first) + 1))
    return found


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("def test_x():  # case 7", {7}),
        ('"""Cases 7, 8 and 10: so it is."""', {7, 8, 10}),
        ("# cases 7-9, 12", {7, 8, 9, 12}),
        ("in case of 7", set()),
        ("        case 7:", set()),
        ("lowercase 7", set()),
    ],
)
def test_how_a_case_is_named(text, numbers):
    assert named(text) == numbers


def test_every_case_is_shown_by_a_test():
    files = [path for path in TESTS.rglob("test_*.py") if path != Path(__file__)]

    shown = {number for path in files for number in named(path.read_text("utf-8"))}

    assert sorted(set(CASES) - shown) == []
