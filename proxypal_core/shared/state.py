"""What replicas share: one exchange that tells and hears everything, locks, and sealed records.

Nothing here is on the way of a request. A replica serves from tables of its own; once a second, and
at once after something worth telling, it exchanges a ``Report`` for ``News``. So a server that hangs
or is gone costs a request nothing: the tables are only older. ``WHEN_GONE`` says what that means for
each kind of state.

On the wire all times are the server's, in Unix seconds: the clocks of replicas need not agree.
"""

from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Literal, Protocol, TypeAlias

import msgspec

from proxypal_core.accounts.health import Health
from proxypal_core.accounts.shared_affinity import Binding
from proxypal_core.accounts.shared_ledger import Total, Used

TIMEOUT = 0.25
"""Seconds that one answer of the server may take."""
ALIVE = 5.0
"""Seconds after its last exchange for which a replica counts."""
BINDINGS = 16_384
"""Conversations that moved are remembered, at most."""
PAGE = 500
"""Moved conversations that one exchange brings."""
KEPT = 25 * 3600.0
"""Seconds for which a rest that is over is kept: failures within a day add up to longer rests."""

Kind: TypeAlias = Literal[
    "rests", "logins", "limits", "budgets", "bindings", "in_flight", "usage", "settings"
]


class Gone(msgspec.Struct, frozen=True):
    """``fails``: ``open`` where requests go on as if nothing was the matter, ``closed`` where what
    cannot be known to be right is not done. ``how``: what a replica does by itself. ``back``: how
    what was done apart becomes one again.
    """

    fails: Literal["open", "closed"]
    how: str
    back: str


WHEN_GONE: Mapping[Kind, Gone] = {
    "rests": Gone("open", "each replica keeps the rests that it knows", "the longest rest counts"),
    "logins": Gone(
        "closed",
        "only the replica that renewed a login last renews it; the others use what is left of it",
        "the highest generation counts",
    ),
    "limits": Gone(
        "open", "a key has its limit divided by the number of replicas on each", "the sum counts"
    ),
    "budgets": Gone(
        "open", "what was left of a budget is divided by the number of replicas", "the sum counts"
    ),
    "bindings": Gone(
        "open",
        "a conversation is where its hash says, or where this replica has put it",
        "the newest binding counts",
    ),
    "in_flight": Gone(
        "open",
        "an account's most requests at a time are divided by the number of replicas",
        "the sum counts",
    ),
    "usage": Gone("open", "counted in memory until it can be told", "the sum counts"),
    "settings": Gone(
        "open",
        "the files of each machine are looked at as ever",
        "the highest generation counts",
    ),
}


class Unreachable(Exception):
    """The server did not answer in time, or not as it should; the message holds no address."""


class Known(msgspec.Struct, frozen=True):
    """How far a replica has heard: what is no newer is not told again."""

    rests: int = -1
    bindings: str = ""


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """What one replica tells. ``number`` grows; a report of a number that came before is one that is
    sent again, and its amounts are not added twice. What is ``urgent`` is worth an exchange to all. Rests are by ``held`` key; ``cleared`` says
    until when failures of a key are forgotten. ``month`` is when the month of ``used`` began.
    ``in_flight`` is all that it has, by account. ``usage`` is added to the counters of ``day``
    (``YYYYMMDD``).
    """

    replica: str
    number: int
    urgent: bool = False
    known: Known = Known()
    rests: Mapping[str, Health] = {}
    cleared: Mapping[str, float] = {}
    bound: Sequence[Binding] = ()
    used: Mapping[str, Used] = {}
    month: int = 0
    in_flight: Mapping[str, int] = {}
    day: str = ""
    usage: Mapping[str, float] = {}


class News(msgspec.Struct, frozen=True, kw_only=True):
    """What one replica hears. ``epoch`` is another one when the server has forgotten everything.
    ``counted_at`` is the second in which the report's amounts were counted. ``rests`` is None when
    they are as ``known``, ``records`` a number that changes with every record. ``used`` has the keys
    that were reported, ``in_flight`` what all replicas have.
    """

    now: float
    epoch: str
    replicas: int
    counted_at: int
    known: Known
    records: int = 0
    rests: Mapping[str, Health] | None = None
    bound: Sequence[Binding] = ()
    used: Mapping[str, Total] = {}
    in_flight: Mapping[str, int] = {}


class Record(msgspec.Struct, frozen=True):
    """An entry of the vaults, sealed; empty when it was removed. ``by`` names the vault that wrote it,
    ``key`` the key that opens it.
    """

    generation: int
    by: str
    key: str
    sealed: str = ""


class Shared(Protocol):
    """The common place. Every method may raise Unreachable."""

    async def exchange(self, report: Report) -> News:
        """Tell *report*, and hear what is new."""
        ...

    def nudges(self) -> AsyncGenerator[None]:
        """Something each time that an exchange is worth while, by another replica's doing."""
        ...

    async def acquire(self, name: str, holder: str, seconds: float) -> bool:
        """Whether *holder* has the lock *name* now, for so long at most."""
        ...

    async def release(self, name: str, holder: str) -> None:
        """Give the lock *name* back, if *holder* still has it."""
        ...

    async def records(self) -> Mapping[str, Record]:
        """Every record, by name."""
        ...

    async def put(self, name: str, record: Record, *, expected: int) -> bool:
        """Whether *record* is in the place of one of the generation *expected* now; 0 is for none."""
        ...

    async def usage(self, day: str) -> Mapping[str, float]:
        """The counters of *day* (``YYYYMMDD``), of all replicas."""
        ...

    async def close(self) -> None: ...


def held(account: str, model: str) -> str:
    """What a rest of *account*, or of it for *model*, is kept under."""
    return f"{account}\n{model}"


def held_of(key: str) -> tuple[str, str]:
    """The account and the model of a ``held`` key."""
    account, _, model = key.partition("\n")
    return account, model
