"""What is held against an account: a value, and how failures change it. Times are Unix seconds."""

from collections.abc import Mapping

import msgspec

from proxypal_core.accounts.verdict import LONGEST, VERDICTS, Ladder, Ladders, Rest, rest_after
from proxypal_core.hub.failure import Failure


class Count(msgspec.Struct, frozen=True):
    """Failures in a row that climb one ladder, and when the last one was.

    ``turn`` is the last lease that had been given out then: whoever fails with an earlier one has
    met the same trouble, and does not count again.
    """

    failures: int = 0
    at: float = 0.0
    turn: int = 0


class Health(msgspec.Struct, frozen=True):
    """Of an account, or of an account for one model.

    Until ``rests_until`` others are asked first; until ``barred_until`` it is not asked at all.
    """

    reason: str = ""
    failed_at: float = 0.0
    rests_until: float = 0.0
    barred_until: float = 0.0
    counts: Mapping[Ladder, Count] = {}

    @property
    def turn(self) -> int:
        return max((count.turn for count in self.counts.values()), default=0)

    def rests(self, now: float) -> bool:
        return now < self.rests_until

    def barred(self, now: float) -> bool:
        return now < self.barred_until


WELL = Health()


def failed(
    health: Health,
    failure: Failure,
    *,
    ladders: Ladders,
    now: float,
    lease: int,
    turn: int,
    rest: float | None = None,
) -> Health:
    """*health* after *failure* of lease number *lease*, when *turn* had been given out.

    *rest* is how many seconds its owner wants it to rest instead; 0 for not at all.
    """
    ladder = VERDICTS[failure.kind].ladder
    count = health.counts.get(ladder, Count())
    if not 0 <= now - count.at <= ladders.window_of(ladder):
        count = Count()
    if not count.failures or lease > count.turn:
        count = Count(count.failures + 1, now, turn)
    taken = rest_after(failure, count.failures, ladders) if rest is None else Rest(rest, rest)
    before = at(health, now)
    return Health(
        reason=failure.kind.value if now + taken.preferred > before.rests_until else health.reason,
        failed_at=now,
        rests_until=max(before.rests_until, now + taken.preferred),
        barred_until=max(before.barred_until, now + taken.barred),
        counts={**health.counts, ladder: count},
    )


def at(health: Health, now: float) -> Health:
    """*health* as it is meant at *now*, should the clock have been moved since it failed."""
    back = health.failed_at - now
    if back > 0:
        return msgspec.structs.replace(
            health,
            failed_at=now,
            rests_until=health.rests_until - back,
            barred_until=health.barred_until - back,
        )
    return health


def merged(one: Health, other: Health) -> Health:
    """What is held when both are: the longest rest, and on each ladder the latest failures. The order
    in which many are merged, and how often, makes no difference.
    """
    longest = max(one, other, key=lambda health: (health.rests_until, health.reason))
    ladders = {**one.counts, **other.counts}
    return Health(
        reason=longest.reason,
        failed_at=max(one.failed_at, other.failed_at),
        rests_until=longest.rests_until,
        barred_until=max(one.barred_until, other.barred_until),
        counts={
            ladder: max(
                (each.counts[ladder] for each in (one, other) if ladder in each.counts),
                key=lambda count: (count.at, count.failures),
            )
            for ladder in ladders
        },
    )


def moved(health: Health, by: float, turn: int = 0) -> Health:
    """*health* by a clock that is *by* seconds ahead, and of the lease *turn*: both are another
    replica's own.
    """
    return Health(
        reason=health.reason,
        failed_at=health.failed_at + by,
        rests_until=health.rests_until + by,
        barred_until=health.barred_until + by,
        counts={
            ladder: Count(count.failures, count.at + by, turn)
            for ladder, count in health.counts.items()
        },
    )


def bounded(health: Health) -> Health:
    """*health* with no rest longer than any provider's window, whatever was written down."""
    longest = health.failed_at + LONGEST
    return msgspec.structs.replace(
        health,
        rests_until=min(health.rests_until, longest),
        barred_until=min(health.barred_until, longest),
    )
