"""Why which account would answer: what ``/api/explain`` and ``proxypal explain`` tell."""

from collections.abc import Mapping
from typing import Any

import msgspec

from proxypal_core import routing
from proxypal_core.accounts.pool import Pool
from proxypal_core.accounts.standing import Prospect
from proxypal_core.metering import Record

_REMEMBERED = 512


class LastRequests:
    """The last request for each model, by the name that was asked; bounded."""

    def __init__(self) -> None:
        self._by_model: dict[str, Record] = {}
        """The model that was asked for last comes last."""

    def note(self, record: Record) -> None:
        self._by_model.pop(record.model, None)
        self._by_model[record.model] = record
        if len(self._by_model) > _REMEMBERED:
            del self._by_model[next(iter(self._by_model))]

    def of(self, model: str) -> Record | None:
        return self._by_model.get(model)


def explanation(
    model: str, *, book: routing.RouteBook, pool: Pool, prefer: str = "", last: Record | None = None
) -> Mapping[str, Any]:
    """Who would be asked for *model*, in which order, and what stands against everybody else.

    Times are Unix seconds. *prefer* is as in ``routing.resolve``; *last* is the last request for
    *model*.

    Raises:
        routing.UnknownModel: nobody serves it.
    """
    targets = routing.resolve(model, book=book, prefer=prefer)
    prospects = pool.explain(targets)
    first = next((one for one in prospects if one.place == 1), None)
    return {
        "model": model,
        "targets": list(dict.fromkeys(f"{target.provider}/{target.model}" for target in targets)),
        "answers": _answers(first),
        "candidates": [msgspec.to_builtins(one) for one in prospects],
        "last_request": msgspec.to_builtins(last) if last else None,
    }


def _answers(first: Prospect | None) -> Mapping[str, str] | None:
    if first is None:
        return None
    return {"account": first.account, "model": f"{first.provider}/{first.model}"}
