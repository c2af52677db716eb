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


def tokens(usage: Usage) -> dict[str, int]:
    """The five kinds of tokens. ``input`` was neither read from a cache nor written to one;
    ``reasoning`` is a part of ``output``.
    """
    cached, written = usage.input_cached, usage.input_cache_write
    return {
        "input": max(0, usage.input_total - cached - written),
        "output": usage.output_total,
        "cache_read": cached,
        "cache_write": written,
        "reasoning": usage.output_reasoning,
    }


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


def summary(record: Record) -> Mapping[str, str | int | float]:
    """*record* as one log line's worth, but for its id."""
    return {
        "path": record.path,
        "model": record.model,
        "status": record.status,
        "outcome": record.outcome,
        "asked": " > ".join([f"{a.account}/{a.model}={a.outcome}" for a in record.attempts]),
        "seconds": round(record.duration * 1000) / 1000,
        "tokens_in": record.usage.input_total,
        "tokens_out": record.usage.output_total,
    }
