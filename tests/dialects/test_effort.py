"""How much to think, as a word, as a number of tokens, and at the end of a model's name."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxypal_core.dialects import effort
from proxypal_core.hub.messages import Reasoning

WORDS = ("minimal", "low", "medium", "high", "xhigh", "max")


@pytest.mark.parametrize("word", [*WORDS, "none"])
def test_a_word_comes_back_as_itself(word):
    assert effort.effort_of(effort.from_effort(word)) == word


@given(st.integers(min_value=1, max_value=10**6), st.integers(min_value=1, max_value=10**6))
def test_more_tokens_are_never_less_effort(one, other):
    few, many = sorted((one, other))
    words = [effort.effort_of(Reasoning(mode="budget", budget=budget)) for budget in (few, many)]

    assert WORDS.index(words[0]) <= WORDS.index(words[1])


def test_a_greater_effort_is_more_tokens():
    budgets = [effort.budget_of(effort.from_effort(word)) for word in WORDS]

    assert budgets == sorted(set(budgets))


@pytest.mark.parametrize(
    ("reasoning", "word", "budget"),
    [
        (Reasoning(), "", 0),
        (Reasoning(mode="auto"), "", 0),
        (Reasoning(mode="off"), "none", 0),
        (Reasoning(mode="budget", budget=0), "none", 0),
        (Reasoning(mode="budget", budget=-1), "none", 0),
        (Reasoning(mode="effort", effort="another"), "another", 0),
    ],
)
def test_what_names_no_amount_is_none(reasoning, word, budget):
    assert effort.effort_of(reasoning) == word
    assert effort.budget_of(reasoning) == budget


@pytest.mark.parametrize(
    ("suffix", "reasoning"),
    [
        ("auto", Reasoning(mode="auto")),
        ("off", Reasoning(mode="off")),
        ("none", Reasoning(mode="off")),
        ("high", Reasoning(mode="effort", effort="high")),
        ("8192", Reasoning(mode="budget", budget=8192)),
        ("", Reasoning()),
    ],
)
def test_the_suffix_of_a_name_says_how_much(suffix, reasoning):
    assert effort.from_suffix(suffix) == reasoning
