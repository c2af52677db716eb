"""How much to think: efforts and token budgets, one into the other.

The budgets are those the vendors' own clients use for each word; the thresholds are CLIProxyAPI's,
so that a budget means the same here as in the proxy people come from.
"""

import re

from proxypal_core.hub.messages import Reasoning

EFFORTS = ("minimal", "low", "medium", "high", "xhigh", "max")

_BUDGETS = {
    "minimal": 1024,
    "low": 2048,
    "medium": 8192,
    "high": 16384,
    "xhigh": 32000,
    "max": 64000,
}
_THRESHOLDS = ((512, "minimal"), (1024, "low"), (8192, "medium"), (24576, "high"))


_NUMBER = re.compile(r"-?[0-9]{1,9}")


def effort_of(reasoning: Reasoning) -> str:
    """The effort *reasoning* asks for: one of EFFORTS, ``none`` for off, empty for the model's own."""
    match reasoning.mode:
        case "off":
            return "none"
        case "effort":
            return reasoning.effort
        case "budget":
            if reasoning.budget <= 0:
                return "none"
            return next((word for top, word in _THRESHOLDS if reasoning.budget <= top), "xhigh")
        case "unset" | "auto":
            return ""


def budget_of(reasoning: Reasoning) -> int:
    """The tokens *reasoning* asks for; 0 for off and where the model decides by itself."""
    match reasoning.mode:
        case "budget":
            return max(0, reasoning.budget)
        case "effort":
            return _BUDGETS.get(reasoning.effort, 0)
        case "unset" | "auto" | "off":
            return 0


def from_effort(word: str | None) -> Reasoning:
    """What an OpenAI-style effort word means; an unknown word is passed on as it is."""
    if not word:
        return Reasoning()
    if word == "none":
        return Reasoning(mode="off")
    return Reasoning(mode="effort", effort=word)


def from_suffix(text: str) -> Reasoning:
    """What the suffix of a model's name means: an effort, a budget, ``none`` or ``auto``."""
    if text == "auto":
        return Reasoning(mode="auto")
    if _NUMBER.fullmatch(text):
        return from_budget(int(text))
    return from_effort("none" if text == "off" else text)


def from_budget(budget: int) -> Reasoning:
    """What a Gemini- or Anthropic-style budget means: 0 is off, -1 lets the model decide."""
    if budget == 0:
        return Reasoning(mode="off")
    if budget < 0:
        return Reasoning(mode="auto")
    return Reasoning(mode="budget", budget=budget)
