"""What is remembered of each exchange: who asked, who answered, how it went, what it took."""

from collections.abc import Mapping

import msgspec

from proxypal_core.hub.messages import Usage


class Attempt(msgspec.Struct, frozen=True):
    """One account asked. ``outcome`` is ``served``, ``abandoned`` or the failure's kind; it never
    holds a provider's text.
    """

    account: str
    model: str
    outcome: str


class Record(msgspec.Struct, kw_only=True):
    """An exchange as the log, the feed and the dashboard show it. ``at`` is Unix seconds, the
    other times are seconds since then; 0 means that it did not happen.
    """

    id: str
    at: float
    dialect: str
    path: str
    model: str = ""
    stream: bool = False
    client: str = ""
    attempts: list[Attempt] = []
    served_by: str = ""
    served_model: str = ""
    status: int = 0
    outcome: str = ""
    first_content: float = 0.0
    duration: float = 0.0
    usage: Usage = Usage()


def summary(record: Record) -> Mapping[str, str | int | float]:
    """*record* as one log line's worth."""
    return {
        "id": record.id,
        "path": record.path,
        "model": record.model,
        "status": record.status,
        "outcome": record.outcome,
        "asked": " > ".join(f"{a.account}/{a.model}={a.outcome}" for a in record.attempts),
        "seconds": round(record.duration, 3),
        "tokens_in": record.usage.input_total,
        "tokens_out": record.usage.output_total,
    }
