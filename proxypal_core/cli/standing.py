"""How an account of ``/api/state`` is doing, as a terminal shows it.

It imports next to nothing: the status line is drawn every few seconds.
"""

import time
from collections.abc import Mapping
from typing import Any, Literal, NamedTuple, TypeAlias

Tone: TypeAlias = Literal["good", "warn", "bad", "off"]
LOW = 0.1
"""The share of a limit below which an account runs low."""


class Standing(NamedTuple):
    """``until`` is when a rest ends, in Unix seconds; 0 for no rest."""

    tone: Tone
    glyph: str
    word: str
    until: float = 0.0


STANDINGS: Mapping[str, Standing] = {
    "ready": Standing("good", "●", "ready"),
    "partly": Standing("warn", "◐", "some models rest"),
    "low": Standing("warn", "◔", "running low"),
    "resting": Standing("warn", "◔", "resting"),
    "auth": Standing("bad", "✕", "needs a login"),
    "billing": Standing("bad", "$", "needs credit"),
    "forbidden": Standing("bad", "✕", "refused"),
    "disabled": Standing("off", "-", "disabled"),
}


def of(account: Mapping[str, Any], now: float) -> Standing:
    """How *account* is doing at *now*."""
    if account["disabled"]:
        return STANDINGS["disabled"]
    rest = account["resting"]
    if rest and rest["until"] > now:
        found = STANDINGS.get(rest["reason"], STANDINGS["resting"])
        return found._replace(until=rest["until"])
    ends = [one["until"] for one in account["models"].values() if one["until"] > now]
    if ends:
        return STANDINGS["partly"]._replace(until=min(ends))
    if any(limit["left"] < LOW and limit["resets_at"] > now for limit in account["limits"]):
        return STANDINGS["low"]
    return STANDINGS["ready"]


def plain(text: str) -> str:
    """*text*, which may be a client's or a provider's, so that it cannot drive a terminal."""
    return "".join(letter if letter.isprintable() else "?" for letter in text)


def midnight(now: float) -> float:
    """When the local day of *now* began."""
    day = time.localtime(now)
    return time.mktime((day.tm_year, day.tm_mon, day.tm_mday, 0, 0, 0, 0, 0, -1))
