"""What the answers of all dialects have in common."""

from collections.abc import Sequence
from typing import Any

from proxypal_core.dialects.base import Reply
from proxypal_core.hub.messages import FinishReason


def answer_id(prefix: str, given: str, reply: Reply) -> str:
    """The answer's id, *given* by the upstream or our own, in the form of the client's dialect."""
    value = given or reply.id
    return value if value.startswith(prefix) else prefix + value


def settled(reason: FinishReason, *, calls: bool) -> FinishReason:
    """*reason* as the parts show it: agents run the calls of an answer only when it says so, and
    wait or ask for ever when it says so without any.
    """
    if calls and reason is FinishReason.STOP:
        return FinishReason.TOOL_CALLS
    if not calls and reason is FinishReason.TOOL_CALLS:
        return FinishReason.STOP
    return reason


_COUNT_LIMIT = 2**53


def count(value: Any) -> int:
    """A number of tokens; 0 where *value* is none: no answer is worth less for a wrong count."""
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        return 0
    return int(value) if 0 <= value < _COUNT_LIMIT else 0


def counts(holder: Any, fields: Sequence[str]) -> Sequence[int]:
    """The ``count`` of each of *fields* of *holder*; none is there where that is no object."""
    if not isinstance(holder, dict):
        return [0] * len(fields)
    found = []
    for field in fields:
        value = holder.get(field, 0)
        is_count = type(value) is int and 0 <= value < _COUNT_LIMIT  # as nearly all are
        found.append(value if is_count else count(value))
    return found
