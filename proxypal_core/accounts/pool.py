"""Which account answers next: lease one, settle how it went.

Synchronous and without I/O; the clock is an argument. Times are Unix seconds.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from itertools import count
from typing import Literal, TypeAlias

import msgspec

from proxypal_core.accounts.account import Account
from proxypal_core.accounts.verdict import VERDICTS, Ladders, rest_seconds
from proxypal_core.hub.failure import Failure


class Target(msgspec.Struct, frozen=True):
    """A provider's model to try. ``profile`` pins one account; ``thinking`` (``high``, ``8192``,
    ``none``) replaces what the body asks; ``long_context`` is wanted by the ``[1m]`` that Claude
    Code puts behind a name.
    """

    provider: str
    model: str
    profile: str = ""
    thinking: str = ""
    long_context: bool = False


class Lease(msgspec.Struct, frozen=True):
    """An account on loan for one attempt."""

    account: Account
    model: str
    thinking: str = ""
    long_context: bool = False


class Health(msgspec.Struct):
    """What is remembered of an account, or of an account and a model."""

    rests_until: float = 0.0
    reason: str = ""
    failures: int = 0
    failed_at: float = 0.0


class Candidate(msgspec.Struct):
    """An account as a selector sees it. ``used`` orders accounts by their last use."""

    account: Account
    used: int = 0
    in_flight: int = 0
    health: Health = msgspec.field(default_factory=Health)


class Resting(msgspec.Struct, frozen=True):
    """Why an account could not be leased."""

    account: str
    reason: str
    until: float


class NoneReady(Exception):
    """No account can serve now. ``resumes_at`` is the soonest that one can, None for never."""

    def __init__(self, resting: Sequence[Resting]) -> None:
        super().__init__("no account is ready")
        self.resting = tuple(resting)
        self.resumes_at = min((rest.until for rest in resting), default=None)


Selector: TypeAlias = Callable[[Sequence[Candidate]], Candidate]
Strategy: TypeAlias = Literal["round_robin", "fill_first", "least_busy", "weighted"]

SELECTORS: Mapping[str, Selector] = {
    "round_robin": lambda ready: min(ready, key=lambda c: c.used),
    "fill_first": lambda ready: ready[0],
    "least_busy": lambda ready: min(ready, key=lambda c: (c.in_flight, c.used)),
    "weighted": lambda ready: min(
        ready, key=lambda c: ((c.in_flight + 1) / max(1, c.account.weight), c.used)
    ),
}


class Pool:
    """Every account, and how each is doing."""

    def __init__(
        self,
        accounts: Sequence[Account],
        *,
        clock: Callable[[], float],
        strategy: Strategy = "round_robin",
        ladders: Ladders | None = None,
    ) -> None:
        self._candidates = {account.id: Candidate(account) for account in accounts}
        self._by_model: dict[tuple[str, str], Health] = {}
        self._clock = clock
        self._select = SELECTORS[strategy]
        self._ladders = ladders or Ladders()
        self._turns = count(1)

    @property
    def accounts(self) -> Sequence[Account]:
        return [candidate.account for candidate in self._candidates.values()]

    def lease(self, targets: Sequence[Target], *, tried: Collection[Lease] = ()) -> Lease:
        """An account for the first of *targets* that has one ready and not in *tried*.

        Raises:
            NoneReady: with what every account that would do is waiting for.
        """
        now = self._clock()
        resting: list[Resting] = []
        for target in targets:
            ready = []
            for candidate in self._serving(target):
                lease = _lease(candidate, target)
                health = self._worst(candidate, target.model)
                if health.rests_until > now:
                    resting.append(Resting(candidate.account.id, health.reason, health.rests_until))
                elif lease not in tried and not _full(candidate):
                    ready.append(candidate)
            if ready:
                top = max(candidate.account.priority for candidate in ready)
                chosen = self._select([c for c in ready if c.account.priority == top])
                chosen.used = next(self._turns)
                chosen.in_flight += 1
                return _lease(chosen, target)
        raise NoneReady(resting)

    def settle(self, lease: Lease, failure: Failure | None) -> None:
        """Give *lease* back; *failure* is how it failed, None when it served or was abandoned."""
        candidate = self._candidates.get(lease.account.id)
        if candidate is None:
            return  # the account was removed meanwhile
        candidate.in_flight -= 1
        if failure is None:
            return
        verdict = VERDICTS[failure.kind]
        if verdict.rests == "nothing":
            return
        now = self._clock()
        health = (
            candidate.health
            if verdict.rests == "account"
            else self._by_model.setdefault((lease.account.id, lease.model), Health())
        )
        if now - health.failed_at > self._ladders.window:
            health.failures = 0
        health.failures += 1
        health.failed_at = now
        health.reason = failure.kind.value
        health.rests_until = now + rest_seconds(failure, health.failures, self._ladders)

    def served(self, lease: Lease) -> None:
        """*lease* gave a whole answer: earlier failures no longer count against it."""
        self.settle(lease, None)
        self._by_model.pop((lease.account.id, lease.model), None)
        candidate = self._candidates.get(lease.account.id)
        if candidate is not None:
            candidate.health = Health()

    def resting(self) -> list[Resting]:
        """What rests now, for people to look at."""
        now = self._clock()
        found = [(c.account.id, c.health) for c in self._candidates.values()]
        found += [(f"{account} {model}", h) for (account, model), h in self._by_model.items()]
        return [
            Resting(name, health.reason, health.rests_until)
            for name, health in found
            if health.rests_until > now
        ]

    def _serving(self, target: Target) -> list[Candidate]:
        return [
            candidate
            for candidate in self._candidates.values()
            if candidate.account.provider == target.provider
            and (not target.profile or candidate.account.id == target.profile)
            and candidate.account.serves(target.model)
        ]

    def _worst(self, candidate: Candidate, model: str) -> Health:
        by_model = self._by_model.get((candidate.account.id, model))
        if by_model is None or by_model.rests_until < candidate.health.rests_until:
            return candidate.health
        return by_model


def _full(candidate: Candidate) -> bool:
    limit = candidate.account.max_concurrency
    return 0 < limit <= candidate.in_flight


def _lease(candidate: Candidate, target: Target) -> Lease:
    return Lease(candidate.account, target.model, target.thinking, target.long_context)
