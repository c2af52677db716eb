"""Which account answers next: lease one, say how it went.

Synchronous and without I/O; the clock is an argument. Times are Unix seconds. The order in which
accounts are asked is one sort key, ``Pool._place``: what its owner said, then what spares limits,
then whose turn it is.
"""

import math
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, Literal, TypeAlias

import msgspec

from proxypal_core.accounts import health as health_rules
from proxypal_core.accounts.account import Account
from proxypal_core.accounts.affinity import Affinity, Session
from proxypal_core.accounts.health import WELL, Health
from proxypal_core.accounts.lease import Lease, NoneReady, Target, Waiting
from proxypal_core.accounts.limits import Gauge
from proxypal_core.accounts.standing import Bookkeeping, Prospect, Standing
from proxypal_core.accounts.turns import KINDS, Turns
from proxypal_core.accounts.verdict import VERDICTS, Ladders
from proxypal_core.hub.failure import Failure, Kind

Strategy: TypeAlias = Literal["round_robin", "fill_first", "least_busy", "weighted"]

TURNS: Mapping[Strategy, Callable[[Standing], tuple[int, ...]]] = {
    "round_robin": lambda one: (one.used,),
    "fill_first": lambda one: (one.index,),
    "least_busy": lambda one: (one.in_flight + one.elsewhere, one.used),
    # nginx's smooth weighted round robin: credit grows by the weight, and who is chosen pays all.
    "weighted": lambda one: (-one.credit - one.account.weight, one.used),
}
_IN_TURN: Mapping[Strategy, bool] = {"round_robin": True, "fill_first": False}
"""Strategies for which nobody needs to be compared with anybody, and whether they go by use."""
_SAID = 4
"""The first so many parts of a place are what was said; those who share them take turns."""
RUNNING_LOW = 0.05
"""The share of a window below which an account is spared for as long as another one is ready."""
_CROWD = 4
"""By how many requests an account may be busier than another and still keep its conversations."""
_MODELS = 256
"""Models for which something is held against an account, at most."""
_TROUBLES = 5
_TROUBLES_WITHIN = 10.0
_TROUBLE_REST = 15.0
"""A provider with that many troubles within so many seconds is asked last for this long."""


class Pool:
    """Every account, and how each is doing.

    *order* names, for a provider, the only accounts to use and in which order. *affinity* is how
    many seconds a conversation stays with its account, 0 for not at all, or what knows where it is.
    *changed* is told what outlives a restart, whenever a lease comes back or it changes otherwise.
    """

    def __init__(
        self,
        accounts: Sequence[Account],
        *,
        clock: Callable[[], float],
        strategy: Strategy = "round_robin",
        ladders: Ladders | None = None,
        affinity: float | Affinity = 0.0,
        order: Mapping[str, Sequence[str]] | None = None,
        changed: Callable[[Bookkeeping], None] = lambda _: None,
    ) -> None:
        self._clock = clock
        self._affinity: Affinity | None
        if isinstance(affinity, Affinity):
            self._affinity = affinity
        else:
            self._affinity = Affinity(affinity) if affinity else None
        self._changed = changed
        self._looked = -math.inf
        """When somebody was last looked for."""
        self._number = 0
        self._leases: set[int] = set()
        self._troubles: dict[str, deque[float]] = {}
        self._standings: dict[str, Standing] = {}
        self._by_provider: dict[str, list[Standing]] = {}
        self.replace(accounts, strategy=strategy, ladders=ladders, order=order)

    @property
    def accounts(self) -> Sequence[Account]:
        return [standing.account for standing in self._standings.values()]

    @property
    def standings(self) -> Sequence[Standing]:
        """Every account with how it is doing; to look at."""
        return list(self._standings.values())

    @property
    def leased(self) -> int:
        """How many leases are out."""
        return len(self._leases)

    def replace(
        self,
        accounts: Sequence[Account],
        *,
        strategy: Strategy = "round_robin",
        ladders: Ladders | None = None,
        order: Mapping[str, Sequence[str]] | None = None,
    ) -> None:
        """Have *accounts* and no others from now on. Who stays keeps how it was doing, except that a
        new credential starts with a clean slate; leases go on.
        """
        self._turn = TURNS[strategy]
        self._strategy = strategy
        self._ladders = ladders or Ladders()
        before = self._standings
        self._standings = {}
        self._by_provider = {}
        for index, account in enumerate(accounts):
            standing = before.get(account.id) or Standing(account, models={}, gauges={})
            if standing.account.secret != account.secret:
                standing.health = WELL
                standing.models.clear()
            standing.account, standing.index = account, index
            standing.rank = _rank(account, order or {})
            self._standings[account.id] = standing
            self._by_provider.setdefault(account.provider, []).append(standing)
        self._line_up()

    def _line_up(self) -> None:
        by_use = _IN_TURN.get(self._strategy)
        self._turns = {
            provider: Turns(standings, by_use=by_use)
            for provider, standings in self._by_provider.items()
            if by_use is not None
        }

    # ── leases ───────────────────────────────────────────────────────────────────────────────

    def lease(
        self,
        targets: Sequence[Target],
        *,
        tried: Collection[tuple[str, Target]] = (),
        avoid: Collection[str] = (),
        session: Session | None = None,
    ) -> Lease:
        """An account for the first of *targets* that has one ready and not in *tried*; providers in
        *avoid* come after all others.

        Raises:
            NoneReady: with what every account that would do is waiting for.
        """
        now = self._clock()
        if now < self._looked:
            self._set_back(now)
        self._looked = now
        follows = session if session is not None and session.follow else None
        found = self._best(targets, now, tried, follows, avoid=avoid)
        if found is None and avoid:
            found = self._best(targets, now, tried, follows)
        if found is None:
            found = self._soonest(targets, now, tried)
        if found is None:
            raise self._none_ready(targets, now, tried)
        standing, target = found
        self._number += 1
        lease = Lease(self._number, standing.account, target, session)
        self._leases.add(lease.number)
        standing.in_flight += 1
        standing.used, standing.used_at = lease.number, now
        if turns := self._turns.get(standing.account.provider):
            turns.used(standing)
        if self._affinity is not None and session is not None:
            self._bind(self._affinity, session, lease, now)
        return lease

    def served(self, lease: Lease) -> None:
        """*lease* gave a whole answer: earlier failures no longer count against its account."""
        standing = self._returned(lease)
        if standing is None:
            return
        standing.served += 1
        if standing.health is not WELL and lease.number > standing.health.turn:
            standing.health = WELL
        if standing.models:
            model = standing.models.get(lease.model)
            if model is not None and lease.number > model.turn:
                self._forget(standing, lease.model)
        self._tell(standing)

    def failed(self, lease: Lease, failure: Failure, *, rest: float | None = None) -> None:
        """*lease* failed; *rest* is how many seconds its owner wants it to rest for that."""
        standing = self._returned(lease)
        if standing is None:
            return
        verdict = VERDICTS[failure.kind]
        if not verdict.elsewhere:
            self._tell(standing)
            return
        now = self._clock()
        standing.failed += 1
        if self._affinity is not None:
            self._affinity.release(lease.target.provider, lease.session, lease.account.id)
        if verdict.ladder == "provider" and failure.scope != "account":
            self._troubles.setdefault(lease.target.provider, deque(maxlen=_TROUBLES)).append(now)
        whole = failure.scope == "account" or (not failure.scope and verdict.account)
        before = standing.health if whole else standing.models.get(lease.model, WELL)
        after = health_rules.failed(
            before,
            failure,
            ladders=self._ladders,
            now=now,
            lease=lease.number,
            turn=self._number,
            rest=rest,
        )
        if whole:
            standing.health = after
        else:
            self._hold(standing, lease.model, after)
        self._tell(standing)

    def released(self, lease: Lease) -> None:
        """*lease* came to nothing, and its account is not to blame."""
        standing = self._returned(lease)
        if standing is not None:
            self._tell(standing)

    def note(self, lease: Lease, gauges: Iterable[Gauge]) -> None:
        """What an answer's headers say is left of the limits of *lease*'s account."""
        standing = self._standings.get(lease.account.id)
        if standing is not None:
            for gauge in gauges:
                model = "" if gauge.scope == "account" else lease.model
                standing.gauges[model, gauge.name] = gauge
            while len(standing.gauges) > _MODELS:
                del standing.gauges[next(iter(standing.gauges))]

    def _returned(self, lease: Lease) -> Standing | None:
        """The account of *lease*, once; None when it was given back before, or was removed."""
        if lease.number not in self._leases:
            return None
        self._leases.remove(lease.number)
        standing = self._standings.get(lease.account.id)
        if standing is not None and standing.in_flight:
            standing.in_flight -= 1
        return standing

    def _bind(self, affinity: Affinity, session: Session, lease: Lease, now: float) -> None:
        """Keep *session* where it is now, unless it is here only because its own account had too much
        to do.
        """
        provider, chosen = lease.target.provider, lease.account.id
        if session.follow:
            bound = affinity.account(provider, session, now)
            own = self._standings.get(bound)
            if own is not None and bound != chosen and not self._rests(own, lease.target, now):
                chosen = bound
        affinity.bind(provider, session, chosen, now)

    # ── who is next ──────────────────────────────────────────────────────────────────────────

    def _best(
        self,
        targets: Sequence[Target],
        now: float,
        tried: Collection[tuple[str, Target]],
        session: Session | None,
        *,
        avoid: Collection[str] = (),
    ) -> tuple[Standing, Target] | None:
        """Whose turn it is among those that do not rest, in the first group that has any."""
        for group in _groups(targets):
            target = group[0]
            turns = self._turns.get(target.provider)
            if turns is not None and len(group) == 1 and not target.profile:
                if target.provider in avoid:
                    continue
                one = self._next(turns, target, now, tried, session)
                if one is not None:
                    return one, target
                continue
            ready = [
                (one, target)
                for one, target in self._able(group, tried)
                if target.provider not in avoid and not self._rests(one, target, now)
            ]
            if ready:
                return self._chosen(ready, now, session)
        return None

    def _next(
        self,
        turns: Turns,
        target: Target,
        now: float,
        tried: Collection[tuple[str, Target]],
        session: Session | None,
    ) -> Standing | None:
        """Whose turn it is for *target*: who ``_chosen`` would choose."""
        bound = ""
        if self._affinity is not None and session is not None:
            bound = self._affinity.account(target.provider, session, now)
        for level in turns.levels:
            for low in (False, True):
                for group in level:
                    first = self._first(group.values(), target, now, tried, low=low)
                    if first is None:
                        continue
                    own = group.get(bound) if bound else None
                    if own is None or own is first:
                        return first
                    stays = self._first((own,), target, now, tried, low=low) is not None
                    return own if stays and not self._crowded(own, turns, target, now) else first
        return None

    def _first(
        self,
        group: Iterable[Standing],
        target: Target,
        now: float,
        tried: Collection[tuple[str, Target]],
        *,
        low: bool,
    ) -> Standing | None:
        """The first of *group* that is ready, and runs *low* or does not."""
        for one in group:
            if (
                not (one.full or self._unfit(one, target))
                and not (tried and (one.account.id, target) in tried)
                and not self._rests(one, target, now)
                and (bool(one.gauges) and self._low(one, target.model, now) is not None) is low
            ):
                return one
        return None

    def _crowded(self, one: Standing, turns: Turns, target: Target, now: float) -> bool:
        """Whether *one* has so much to do that its conversations go elsewhere."""
        few = one.in_flight - _CROWD
        return few > 0 and any(
            other.in_flight < few
            and not (other.full or self._unfit(other, target))
            and not self._rests(other, target, now)
            for level in turns.levels
            for group in level
            for other in group.values()
        )

    def _soonest(
        self, targets: Sequence[Target], now: float, tried: Collection[tuple[str, Target]]
    ) -> tuple[Standing, Target] | None:
        """Everybody rests: of those that may be asked all the same, who is ready soonest."""
        found = [
            (self._resting(one, target, now), one, target)
            for one, target in self._able(targets, tried)
        ]
        askable = [row for row in found if not row[0].barred(now)]
        if not askable:
            return None
        _, one, target = min(askable, key=lambda row: (row[0].rests_until, row[1].used))
        return one, target

    def _able(
        self, targets: Sequence[Target], tried: Collection[tuple[str, Target]]
    ) -> Iterator[tuple[Standing, Target]]:
        """Who could serve one of *targets*, and was not *tried*."""
        for target in targets:
            for one in self._of(target):
                if not (self._unfit(one, target) or one.full or (one.account.id, target) in tried):
                    yield one, target

    def _of(self, target: Target) -> Sequence[Standing]:
        """The accounts of the provider of *target*; of a pinned one, that."""
        if not target.profile:
            return self._by_provider.get(target.provider, ())
        pinned = self._standings.get(target.profile)
        return (
            (pinned,) if pinned is not None and pinned.account.provider == target.provider else ()
        )

    def _chosen(
        self, ready: Sequence[tuple[Standing, Target]], now: float, session: Session | None
    ) -> tuple[Standing, Target]:
        least = min(one.in_flight for one, _ in ready)
        places = [(self._place(*pair, now, session, least), *pair) for pair in ready]
        place, chosen, target = min(places, key=lambda row: row[0])
        if self._strategy == "weighted":
            peers = [one for other, one, _ in places if other[:_SAID] == place[:_SAID]]
            for one in peers:
                one.credit += one.account.weight
            chosen.credit -= sum(one.account.weight for one in peers)
        return chosen, target

    def _place(
        self, one: Standing, target: Target, now: float, session: Session | None, least: int
    ) -> tuple[Any, ...]:
        account = one.account
        bound = (
            self._affinity is not None
            and self._affinity.account(target.provider, session, now) == account.id
            and one.in_flight <= least + _CROWD
        )
        return (
            one.rank or 0,
            -account.priority,
            self._low(one, target.model, now) is not None,
            KINDS[account.kind],
            not bound,
            *self._turn(one),
        )

    def _unfit(self, one: Standing, target: Target) -> str:
        """Why *one* does not serve *target* at all; empty when it does."""
        account = one.account
        if target.profile:
            if account.id != target.profile:
                return "another account is pinned"
        elif one.rank is None:
            return f"the order of {account.provider} leaves it out"
        if account.disabled:
            return f"disabled {account.disabled}"
        if target.prefix and account.prefix != target.prefix:
            return f"it does not have the prefix {target.prefix}"
        if (account.models or account.excluded_models) and not account.serves(target.model):
            return "its settings exclude the model"
        return ""

    def _rests(self, one: Standing, target: Target, now: float) -> bool:
        """Whether others are asked first."""
        if one.health is WELL and not one.models and not self._troubles:
            return False
        return self._resting(one, target, now).rests(now)

    def _resting(self, one: Standing, target: Target, now: float) -> Health:
        """What rests longest of the account, the account for the model, and the provider."""
        worst = health_rules.at(one.health, now)
        model = one.models.get(target.model)
        if model is not None:
            worst = _worse(worst, health_rules.at(model, now))
        until = self._troubled_until(target.provider, now)
        if until > worst.rests_until:
            return msgspec.structs.replace(worst, reason=Kind.OVERLOADED.value, rests_until=until)
        return worst

    def _set_back(self, now: float) -> None:
        """The clock was set back to *now*: every rest goes on from here, and begins but once anew."""
        for one in self._standings.values():
            one.health = health_rules.at(one.health, now)
            for model, health in one.models.items():
                one.models[model] = health_rules.at(health, now)

    def _troubled_until(self, provider: str, now: float) -> float:
        """Until when everybody at *provider* is asked last: it has had much trouble lately."""
        troubles = self._troubles.get(provider)
        if troubles is None or len(troubles) < _TROUBLES:
            return 0.0
        if troubles[-1] - troubles[0] > _TROUBLES_WITHIN or troubles[-1] > now:
            return 0.0
        return troubles[-1] + _TROUBLE_REST

    def _low(self, one: Standing, model: str, now: float) -> Gauge | None:
        """The gauge by which *one* is about to run dry for *model*."""
        for (scope, _), gauge in one.gauges.items():
            if scope in ("", model) and gauge.left < RUNNING_LOW and gauge.resets_at > now:
                return gauge
        return None

    def _none_ready(
        self, targets: Sequence[Target], now: float, tried: Collection[tuple[str, Target]]
    ) -> NoneReady:
        waiting: dict[str, Waiting] = {}
        busy = False
        for target in targets:
            for one in self._by_provider.get(target.provider, ()):
                if self._unfit(one, target):
                    continue
                health = self._resting(one, target, now)
                account = one.account.id
                if health.barred(now):
                    rest = Waiting(account, health.reason, health.barred_until)
                    if account not in waiting or rest.until < waiting[account].until:
                        waiting[account] = rest
                elif (account, target) not in tried:
                    busy = busy or one.full
        return NoneReady(list(waiting.values()), busy=busy)

    # ── looking on ───────────────────────────────────────────────────────────────────────────

    def explain(
        self, targets: Sequence[Target], *, session: Session | None = None
    ) -> Sequence[Prospect]:
        """Every account of the providers of *targets*, in the order in which they would be asked,
        with what stands against each.
        """
        now = self._clock()
        asked: list[Prospect] = []
        resting: list[tuple[float, int, Prospect]] = []
        others: list[Prospect] = []
        for group in _groups(targets):
            pairs = [
                (one, target)
                for target in group
                for one in self._by_provider.get(target.provider, ())
            ]
            least = min((one.in_flight for one, _ in pairs), default=0)
            pairs.sort(key=partial(self._sorted, now=now, session=session, least=least))
            for one, target in pairs:
                prospect = self._prospect(one, target, now)
                match prospect.state:
                    case "ready" | "running_low":
                        asked.append(prospect)
                    case "resting":
                        resting.append((prospect.until, one.used, prospect))
                    case _:
                        others.append(prospect)
        resting.sort(key=lambda row: row[:2])
        others.sort(key=lambda prospect: (prospect.state == "unfit", prospect.until))
        placed = [
            msgspec.structs.replace(prospect, place=place)
            for place, prospect in enumerate((*asked, *(row[2] for row in resting)), 1)
        ]
        return [*placed, *others]

    def _sorted(
        self, pair: tuple[Standing, Target], now: float, session: Session | None, least: int
    ) -> tuple[Any, ...]:
        if self._unfit(*pair):
            return (1, pair[0].index)
        return (0, *self._place(*pair, now, session, least))

    def _prospect(self, one: Standing, target: Target, now: float) -> Prospect:
        prospect = Prospect(one.account.id, target.provider, target.model, "ready")
        update = msgspec.structs.replace
        if reason := self._unfit(one, target):
            return update(prospect, state="unfit", reason=reason)
        health = self._resting(one, target, now)
        if health.barred(now):
            return update(prospect, state="barred", reason=health.reason, until=health.barred_until)
        if health.rests(now):
            return update(prospect, state="resting", reason=health.reason, until=health.rests_until)
        if one.full:
            reason = f"{one.in_flight} requests at a time are its most"
            return update(prospect, state="busy", reason=reason)
        if low := self._low(one, target.model, now):
            reason = f"{low.left:.0%} of its {low.name} are left"
            return update(prospect, state="running_low", reason=reason, until=low.resets_at)
        return prospect

    # ── what other replicas know ─────────────────────────────────────────────────────────────

    def merge(self, account: str, model: str, health: Health) -> None:
        """Hold *health*, which another replica met, against *account*, or against it for *model*. Who
        has a lease out by now that fails has met the same trouble.
        """
        standing = self._standings.get(account)
        if standing is None:
            return
        before = standing.models.get(model, WELL) if model else standing.health
        after = health_rules.merged(before, health_rules.moved(health, 0.0, self._number))
        if after == before:
            return
        if model:
            self._hold(standing, model, after)
        else:
            standing.health = after
            self._tell(standing)

    def forget(self, account: str, model: str, until: float) -> None:
        """Forget what is held against *account*, or against it for *model*, if it failed at *until* or
        before: another replica was served since.
        """
        standing = self._standings.get(account)
        if standing is None:
            return
        held = standing.models.get(model, WELL) if model else standing.health
        if held == WELL or held.failed_at > until:
            return
        if model:
            self._forget(standing, model)
        else:
            standing.health = WELL
            self._tell(standing)

    @property
    def in_flight(self) -> Mapping[str, int]:
        """How many leases each account has out, of those that have any."""
        return {one.account.id: one.in_flight for one in self._standings.values() if one.in_flight}

    def share(self, elsewhere: Mapping[str, int]) -> None:
        """*elsewhere* are the leases that other replicas have out, by account."""
        for one in self._standings.values():
            one.elsewhere = elsewhere.get(one.account.id, 0)

    def divide(self, by: int) -> None:
        """Nobody knows what *by* replicas have out: to each its part of what an account may have."""
        for one in self._standings.values():
            most = one.account.max_concurrency
            one.elsewhere = most - math.ceil(most / by)

    # ── what outlives a restart ──────────────────────────────────────────────────────────────

    def restore(self, rows: Iterable[Bookkeeping]) -> None:
        """Take up what an earlier process noted. Accounts that are gone are passed over."""
        for row in rows:
            # A health counts leases of accounts that may be gone by now.
            self._number = max(self._number, row.used, row.health.turn)
            standing = self._standings.get(row.account)
            if standing is None:
                continue
            health = health_rules.at(health_rules.bounded(row.health), self._clock())
            if row.model:
                standing.models[row.model] = health
                continue
            standing.health = health
            standing.used, standing.used_at = row.used, row.used_at
            standing.served, standing.failed = row.served, row.failed
        self._line_up()

    def reset(self, account: str = "") -> Sequence[str]:
        """Forget what is held against *account*, or against all; the ids of those that rested."""
        cleared = []
        for standing in self._standings.values():
            if account not in ("", standing.account.id):
                continue
            if standing.health != WELL or standing.models:
                cleared.append(standing.account.id)
            standing.health = WELL
            standing.gauges.clear()
            for model in list(standing.models):
                self._forget(standing, model)
            self._tell(standing)
        if not account:
            self._troubles.clear()
        return cleared

    def _hold(self, standing: Standing, model: str, health: Health) -> None:
        """Hold *health* against *standing* for *model*; clients can ask for any number of models."""
        standing.models[model] = health
        self._tell(standing, model)
        if len(standing.models) > _MODELS:
            oldest = min(standing.models, key=lambda name: standing.models[name].rests_until)
            self._forget(standing, oldest)

    def _forget(self, standing: Standing, model: str) -> None:
        standing.models[model] = WELL
        self._tell(standing, model)
        del standing.models[model]

    def _tell(self, standing: Standing, model: str = "") -> None:
        if model:
            row = Bookkeeping(standing.account.id, model, health=standing.models[model])
        else:
            row = Bookkeeping(
                standing.account.id,
                used=standing.used,
                used_at=standing.used_at,
                served=standing.served,
                failed=standing.failed,
                health=standing.health,
            )
        self._changed(row)


def _rank(account: Account, order: Mapping[str, Sequence[str]]) -> int | None:
    named = order.get(account.provider)
    if named is None:
        return 0
    return named.index(account.id) if account.id in named else None


def _groups(targets: Sequence[Target]) -> Sequence[Sequence[Target]]:
    """*targets* in the order to try them; those that take turns are in one group."""
    if len(targets) <= 1:
        return (targets,) if targets else ()
    groups: list[list[Target]] = []
    for target in targets:
        if groups and target.together:
            groups[-1].append(target)
        else:
            groups.append([target])
    return groups


def _worse(one: Health, other: Health) -> Health:
    """The health that keeps an account from work for longest."""
    worse = max(one, other, key=lambda health: (health.barred_until, health.rests_until))
    rests_until = max(one.rests_until, other.rests_until)
    if worse.rests_until == rests_until:
        return worse
    return msgspec.structs.replace(worse, rests_until=rests_until)
