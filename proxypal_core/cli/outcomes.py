"""How a tiny request with one account went, for people."""

from collections.abc import Iterable
from typing import NamedTuple


class Outcome(NamedTuple):
    """``outcome`` is ok, auth, rate_limit, billing, timeout, format, no_model, unreachable or
    unknown.
    """

    account: str
    model: str
    outcome: str
    seconds: float
    message: str = ""


def shown(text: str) -> str:
    """*text* of a provider as it may drive no terminal, on one line."""
    return "".join(letter if letter.isprintable() else " " for letter in text)[:200]


def lines(outcomes: Iterable[Outcome]) -> list[tuple[str, ...]]:
    """*outcomes* as rows of a table: account, model, outcome, time, message."""
    return [
        (one.account, one.model, one.outcome, f"{one.seconds:.1f}s", shown(one.message))
        for one in outcomes
    ]
