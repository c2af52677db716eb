"""How an account is doing: for the pool, for what outlives a restart, and for those who look on."""

from typing import Literal, TypeAlias

import msgspec

from proxypal_core.accounts.account import Account
from proxypal_core.accounts.health import WELL, Health
from proxypal_core.accounts.limits import Gauge

State: TypeAlias = Literal["ready", "running_low", "busy", "resting", "barred", "unfit"]


class Standing(msgspec.Struct):
    """An account, and how it is doing. ``rank`` is its place in its provider's explicit order, None
    when that leaves it out; ``used`` orders accounts by their last use; ``elsewhere`` is what other
    replicas have in flight; ``credit`` is what the weighted strategy owes it.
    """

    account: Account
    index: int = 0
    rank: int | None = 0
    used: int = 0
    used_at: float = 0.0
    served: int = 0
    failed: int = 0
    in_flight: int = 0
    elsewhere: int = 0
    credit: int = 0
    health: Health = WELL
    models: dict[str, Health] = {}
    gauges: dict[tuple[str, str], Gauge] = {}

    @property
    def full(self) -> bool:
        return 0 < self.account.max_concurrency <= self.in_flight + self.elsewhere


class Bookkeeping(msgspec.Struct, frozen=True):
    """What outlives a restart, of an account (``model`` is empty) or of an account for one model."""

    account: str
    model: str = ""
    used: int = 0
    used_at: float = 0.0
    served: int = 0
    failed: int = 0
    health: Health = WELL


class Prospect(msgspec.Struct, frozen=True):
    """What would become of an account for a request: ``state``, the reason for it, and until when.
    ``place`` counts from 1 in the order in which accounts would be asked; 0 for not at all.
    """

    account: str
    provider: str
    model: str
    state: State
    place: int = 0
    reason: str = ""
    until: float = 0.0
