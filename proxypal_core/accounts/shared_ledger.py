"""A ledger of one replica of several, that counts what the others take, too.

It counts its own requests as they come, and what it heard of the others' last. Between two exchanges
others may take what it does not know of: that is how far a limit can be overshot; and a replica that
did not see a key for a minute lets its first request in before it asks. So it asks for an
exchange as soon as its own requests, if every replica had as many, could have used up half of what
was left: far from a limit that is never, and near it with every request.
"""

import math
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from heapq import merge
from typing import Literal

import msgspec

from proxypal_core.accounts.client_keys import (
    MINUTE,
    ClientKey,
    Ledger,
    Quota,
    Spending,
    Use,
    Window,
    reckoned,
)


class Used(msgspec.Struct, frozen=True):
    """What was taken with one client key since the last report; ``seen`` is all that is known to be
    spent in the month before that. ``usd`` and ``seen`` are US dollars.
    """

    requests: int = 0
    tokens: int = 0
    usd: float = 0.0
    seen: float = 0.0


class Total(msgspec.Struct, frozen=True):
    """What all replicas took with one client key: requests and tokens by the second (Unix time, as
    text) of the last minute, and the month's US dollars.
    """

    requests: Mapping[str, int] = {}
    tokens: Mapping[str, int] = {}
    spent: float = 0.0


class SharedWindow(Window):
    """What this replica took in the last minute, and ``elsewhere`` what the others took."""

    def __init__(self) -> None:
        super().__init__()
        self.unsent = 0
        self.left: float = math.inf
        """What was left when it was last looked at."""
        self.elsewhere: Sequence[tuple[float, int]] = ()
        self._sent: deque[tuple[int, int]] = deque()

    def take(self, amount: int, now: float) -> None:
        super().take(amount, now)
        self.unsent += amount

    def quota(self, of: Literal["requests", "tokens"], limit: int, now: float) -> Quota:
        if self.elsewhere and self.elsewhere[0][0] <= now - MINUTE:
            self.elsewhere = [row for row in self.elsewhere if row[0] > now - MINUTE]
        if self.elsewhere:
            self._let_go(now)
            total = self._total + sum(amount for _, amount in self.elsewhere)
            found = reckoned(merge(self._taken, self.elsewhere), total, of, limit, now)
        else:
            found = super().quota(of, limit, now)
        self.left = found.left
        return found

    def cut(self, now: float) -> int:
        """What was taken since the last time, and within the last minute."""
        self._let_go(now)
        unsent, self.unsent = min(self.unsent, self._total), 0
        return unsent

    def heard(self, sent: int, at: int, rows: Mapping[str, int], ahead: float) -> None:
        """*sent* was counted in the second *at*, and *rows* is what all have taken by then. Their
        clock is *ahead* by so many seconds.
        """
        if sent:
            self._sent.append((at, sent))
        while self._sent and self._sent[0][0] < at - MINUTE:
            self._sent.popleft()
        own: Counter[int] = Counter()
        for second, amount in self._sent:
            own[second] += amount
        others = ((int(second), amount - own[int(second)]) for second, amount in rows.items())
        # A second has passed when all of it has.
        self.elsewhere = sorted((second + 1 - ahead, left) for second, left in others if left > 0)


class SharedUse(Use):
    def __init__(self, month: float, spent: float) -> None:
        super().__init__(month, spent)
        self.requests: SharedWindow = SharedWindow()
        self.tokens: SharedWindow = SharedWindow()
        self.unsent = 0.0
        """US dollars that are part of ``spent``, and were not told."""
        self.touched = -math.inf
        self.alone_at = 0.0
        """What was spent when this replica was left alone."""


class SharedLedger(Ledger):
    """*near* is called when an exchange is worth while now."""

    kind = SharedUse
    _uses: dict[str, SharedUse]  # type: ignore[assignment] # what ``kind`` makes

    def __init__(
        self, clock: Callable[[], float], spending: Spending | None, near: Callable[[], None]
    ) -> None:
        super().__init__(clock, spending)
        self._near = near
        self._replicas = 1
        self._parts = 1

    def admit(self, key: ClientKey) -> Sequence[Quota]:
        reached = super().admit(key)
        self._touch(self._uses[key.name], key)
        return reached

    def used(self, key: ClientKey, tokens: int, usd: float) -> None:
        super().used(key, tokens, usd)
        use = self._uses.get(key.name)
        if use is not None:
            use.unsent += usd
            self._touch(use, key)

    def quotas(self, key: ClientKey) -> Sequence[Quota]:
        if self._parts == 1:
            return super().quotas(key)
        use = self._uses.get(key.name)
        spent = use.alone_at if use else 0.0
        part = msgspec.structs.replace(
            key,
            requests_per_minute=math.ceil(key.requests_per_minute / self._parts),
            tokens_per_minute=math.ceil(key.tokens_per_minute / self._parts),
            budget_usd=key.budget_usd
            and min(key.budget_usd, spent + max(0.0, key.budget_usd - spent) / self._parts),
        )
        whole = {
            "requests": key.requests_per_minute,
            "tokens": key.tokens_per_minute,
            "budget": key.budget_usd,
        }
        return [
            msgspec.structs.replace(quota, limit=whole[quota.of]) for quota in super().quotas(part)
        ]

    def report(self) -> Mapping[str, Used]:
        """What was taken since the last time, with each key that was used in the last minute."""
        now = self._clock()
        return {
            name: self._cut(use, now)
            for name, use in self._uses.items()
            if use.unsent or use.touched >= now - MINUTE
        }

    def heard(
        self,
        sent: Mapping[str, Used],
        totals: Mapping[str, Total],
        *,
        at: int,
        ahead: float,
        replicas: int,
    ) -> None:
        """*sent* was counted in the second *at*; *totals* are what all *replicas* have taken, by a
        clock that is *ahead*.
        """
        self._replicas, self._parts = replicas, 1
        for name, total in totals.items():
            use = self._uses.get(name)
            if use is not None:
                told = sent.get(name, Used())
                use.requests.heard(told.requests, at, total.requests, ahead)
                use.tokens.heard(told.tokens, at, total.tokens, ahead)
                use.spent = total.spent + use.unsent

    def alone(self) -> None:
        """Nothing is heard of the others: this replica has its part of every limit."""
        self._parts = max(1, self._replicas)
        for use in self._uses.values():
            use.requests.elsewhere = use.tokens.elsewhere = ()
            use.alone_at = use.spent

    def _cut(self, use: SharedUse, now: float) -> Used:
        usd, use.unsent = use.unsent, 0.0
        seen = max(0.0, use.spent - usd)
        return Used(use.requests.cut(now), use.tokens.cut(now), usd, seen)

    def _touch(self, use: SharedUse, key: ClientKey) -> None:
        """*use* has grown: ask for an exchange if what others took may matter now."""
        now = self._clock()
        idle, use.touched = use.touched < now - MINUTE, now
        possible = 2 * self._replicas
        left = key.budget_usd - use.spent if key.budget_usd else math.inf
        if (
            idle
            or (use.requests.unsent and use.requests.unsent * possible >= use.requests.left)
            or (use.tokens.unsent and use.tokens.unsent * possible >= use.tokens.left)
            or (use.unsent and use.unsent * possible >= left)
        ):
            self._near()
