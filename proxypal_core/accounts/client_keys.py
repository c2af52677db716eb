"""Keys that clients show us: what each may do, and how much of it is used up.

A key's minute is the last 60 seconds, its month the calendar's, in UTC. Tokens and dollars are known
only when an answer has ended, so the request that crosses such a limit is still answered whole, and
the next one is refused.
"""

from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Literal, Protocol

import msgspec

from proxypal_core.accounts.account import matches

MINUTE = 60.0
_DAY = 86400


class ClientKey(msgspec.Struct, frozen=True):
    """A key of which only the SHA-256 is kept. A limit of 0 is none; ``expires`` and ``created`` are
    in Unix seconds, 0 for never and for unknown. One that does not guard tells its holder's usage
    apart, and leaves open what was open without it.
    """

    name: str
    digest: bytes
    models: Sequence[str] = ()
    requests_per_minute: int = 0
    tokens_per_minute: int = 0
    budget_usd: float = 0.0
    expires: float = 0.0
    created: float = 0.0
    guards: bool = True

    def allows(self, model: str) -> bool:
        return not self.models or matches(model, self.models)


class Quota(msgspec.Struct, frozen=True):
    """One limit of a key: what is left of it, and in how many seconds there is more."""

    of: Literal["requests", "tokens", "budget"]
    limit: float
    left: float
    resets_in: float


class Window:
    """Amounts that were taken in the last minute, the oldest first."""

    def __init__(self) -> None:
        self._taken: deque[tuple[float, int]] = deque()
        self._total = 0

    def take(self, amount: int, now: float) -> None:
        self._taken.append((now, amount))
        self._total += amount

    def quota(self, of: Literal["requests", "tokens"], limit: int, now: float) -> Quota:
        """What is left of *limit*, and when that grows; for a limit that is reached, when it no
        longer is.
        """
        self._let_go(now)
        return reckoned(self._taken, self._total, of, limit, now)

    def _let_go(self, now: float) -> None:
        """Forget what is older than a minute."""
        if self._taken and self._taken[-1][0] > now:  # the clock was set back
            self._taken = deque((min(at, now), amount) for at, amount in self._taken)
        while self._taken and self._taken[0][0] <= now - MINUTE:
            self._total -= self._taken.popleft()[1]


def reckoned(
    taken: Iterable[tuple[float, int]],
    total: int,
    of: Literal["requests", "tokens"],
    limit: int,
    now: float,
) -> Quota:
    """What is left of *limit* when *total* was *taken*, in this order, within the last minute."""
    rest = total
    for at, amount in taken:
        rest -= amount
        if rest < limit:
            return Quota(of, limit, max(0, limit - total), at + MINUTE - now)
    return Quota(of, limit, limit, 0.0)


class Use:
    """What was taken with one key."""

    def __init__(self, month: float, spent: float) -> None:
        self.requests = Window()
        self.tokens = Window()
        self.month = month
        self.spent = spent


class Spending(Protocol):
    def spent(self, client: str, since: float) -> float:
        """The US dollars that were spent with the key *client* since then, in Unix seconds."""
        ...


class Ledger:
    """How much each key was used, by its name. *spending* knows what was spent before; it is asked
    once for each name, when ``watch`` is told of it.
    """

    kind = Use

    def __init__(self, clock: Callable[[], float], spending: Spending | None = None) -> None:
        self._clock = clock
        self._spending = spending
        self._uses: dict[str, Use] = {}

    def watch(self, keys: Sequence[ClientKey]) -> None:
        """Count for *keys* from now on. Who was watched before is counted on."""
        month = month_of(self._clock())
        before = self._uses
        self._uses = {
            key.name: before.get(key.name) or self.kind(month, self._before(key.name, month))
            for key in keys
        }

    def admit(self, key: ClientKey) -> Sequence[Quota]:
        """Count a request of *key*, if no limit of it is reached; those that are."""
        quotas = self.quotas(key)
        if not quotas:
            return quotas
        reached = [quota for quota in quotas if quota.left <= 0]
        if not reached and key.requests_per_minute:
            self._uses[key.name].requests.take(1, self._clock())
        return reached

    def used(self, key: ClientKey, tokens: int, usd: float) -> None:
        """A request of *key* has ended, and took that much. A key that is gone by then is passed
        over.
        """
        if not usd and not key.tokens_per_minute:
            return
        use = self._this_month(key.name)
        if use is None:
            return
        use.spent += usd
        if key.tokens_per_minute:
            use.tokens.take(tokens, self._clock())

    def quotas(self, key: ClientKey) -> Sequence[Quota]:
        """Every limit of *key*, as it is now."""
        if not (key.requests_per_minute or key.tokens_per_minute or key.budget_usd):
            return []
        use = self._this_month(key.name)
        if use is None:
            return []
        now = self._clock()
        found: list[Quota] = []
        if limit := key.requests_per_minute:
            found.append(use.requests.quota("requests", limit, now))
        if limit := key.tokens_per_minute:
            found.append(use.tokens.quota("tokens", limit, now))
        if budget := key.budget_usd:
            left = max(0.0, budget - use.spent)
            found.append(Quota("budget", budget, left, next_month(now) - now))
        return found

    def spent(self, key: ClientKey) -> float:
        """US dollars that were spent with *key* this month."""
        use = self._this_month(key.name)
        return use.spent if use else 0.0

    def _before(self, name: str, since: float) -> float:
        return self._spending.spent(name, since) if self._spending else 0.0

    def _this_month(self, name: str) -> Use | None:
        use = self._uses.get(name)
        month = month_of(self._clock())
        if use is not None and month != use.month:  # earlier, when the clock was set back
            use.month, use.spent = month, 0.0
        return use


def month_of(at: float) -> float:
    """When the calendar month of *at* began, in UTC."""
    return _month_of_day(int(at // _DAY))


@lru_cache(maxsize=8)
def _month_of_day(day: int) -> float:
    moment = datetime.fromtimestamp(day * _DAY, UTC)
    return datetime(moment.year, moment.month, 1, tzinfo=UTC).timestamp()


def next_month(at: float) -> float:
    """When the calendar month after that of *at* begins, in UTC."""
    moment = datetime.fromtimestamp(at, UTC)
    years, month = divmod(moment.month, 12)
    return datetime(moment.year + years, month + 1, 1, tzinfo=UTC).timestamp()


# ── as they are kept ─────────────────────────────────────────────────────────────────────────


def stored(key: ClientKey) -> Mapping[str, object]:
    """*key* without its name, as plain data."""
    kept = msgspec.structs.asdict(key)
    del kept["name"]
    return {**kept, "digest": key.digest.hex(), "models": list(key.models)}


def restored(name: str, kept: object) -> ClientKey:
    """The key *name* that ``stored`` made *kept* of. What cannot be read makes a key that nobody
    has: it must not be as if there were none.
    """
    try:
        row = msgspec.convert(kept, dict[str, object])
        digest = bytes.fromhex(str(row["digest"]))
        return msgspec.convert({**row, "name": name, "digest": digest}, ClientKey)
    except (msgspec.ValidationError, ValueError, KeyError):
        return ClientKey(name, b"")
