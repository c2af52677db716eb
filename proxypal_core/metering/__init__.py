"""What is remembered of each exchange: who asked, who answered, how it went, what it took."""

from collections.abc import Mapping
from typing import Any

import msgspec

from proxypal_core.hub.messages import Usage


class Attempt(msgspec.Struct, frozen=True):
    """One account asked. ``outcome`` is ``served``, ``abandoned`` or the failure's kind; it never
    holds a provider's text. ``duration`` is in seconds.
    """

    account: str
    model: str
    outcome: str
    duration: float = 0.0


class Record(msgspec.Struct, kw_only=True):
    """An exchange as the log, the feed and the dashboard show it. ``at`` is Unix seconds, the
    other times are seconds since then; 0 means that it did not happen.

    ``client`` is the name of the client key, ``agent`` what program the client is, ``session`` a
    hash that tells conversations apart. ``served_by`` is the account that was asked last,
    ``provider`` the one that it belongs to, whose other names its id may begin with. ``cost`` is in
    US dollars, None when no price is known.
    """

    id: str
    at: float
    dialect: str
    path: str
    model: str = ""
    stream: bool = False
    client: str = ""
    agent: str = ""
    session: str = ""
    attempts: list[Attempt] = []
    served_by: str = ""
    provider: str = ""
    served_model: str = ""
    status: int = 0
    outcome: str = ""
    first_content: float = 0.0
    duration: float = 0.0
    usage: Usage = Usage()
    cost: float | None = None


KINDS = ("input", "output", "cache_read", "cache_write", "reasoning")
"""Of tokens. Input was neither read from a cache nor written to one; reasoning is a part of output."""


def used(usage: Usage) -> tuple[int, int, int, int, int]:
    """The tokens of each of the ``KINDS``."""
    cached, written = usage.input_cached, usage.input_cache_write
    fresh = usage.input_total - cached - written
    return (
        fresh if fresh > 0 else 0,  # noqa: FURB136 — max() takes as long as all the rest
        usage.output_total,
        cached,
        written,
        usage.output_reasoning,
    )


def tokens(usage: Usage) -> dict[str, int]:
    """The same, by kind."""
    return dict(zip(KINDS, used(usage), strict=True))


def is_failure(outcome: str) -> bool:
    """Whether a request ended in *outcome* for another reason than its client's wish."""
    return outcome not in ("served", "abandoned", "client_gone")


def row(record: Record) -> Mapping[str, Any]:
    """*record* as the management API tells it."""
    return {
        "id": record.id,
        "at": record.at,
        "dialect": record.dialect,
        "path": record.path,
        "model": record.model,
        "served_model": record.served_model,
        "account": record.served_by,
        "client": record.client,
        "agent": record.agent,
        "session": record.session,
        "status": record.status,
        "outcome": record.outcome,
        "first_content": record.first_content,
        "duration": record.duration,
        "stream": record.stream,
        "tokens": tokens(record.usage),
        "cost": record.cost,
        "attempts": msgspec.to_builtins(record.attempts),
    }


class Shared(msgspec.Struct, frozen=True):
    """What the log lines of many exchanges have in common. ``asked`` names every account in turn."""

    path: str
    model: str
    status: int
    outcome: str
    asked: str


class Summary(msgspec.Struct, frozen=True):
    """An exchange as one log line's worth, but for its id."""

    shared: Shared
    seconds: float
    tokens_in: int
    tokens_out: int

    def fields(self) -> Mapping[str, str | int | float]:
        """Everything, by the names that the line gives it."""
        own = msgspec.structs.asdict(self)
        return {**msgspec.structs.asdict(own.pop("shared")), **own}


def summary(record: Record) -> Summary:
    """*record* for the log."""
    asked = [f"{one.account}/{one.model}={one.outcome}" for one in record.attempts]
    shared = Shared(record.path, record.model, record.status, record.outcome, " > ".join(asked))
    usage = record.usage
    seconds = round(record.duration * 1000) / 1000
    return Summary(shared, seconds, usage.input_total, usage.output_total)
