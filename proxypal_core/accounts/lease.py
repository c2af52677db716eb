"""What a request asks the pool for, and what it gets: an account on loan, or why there is none."""

from collections.abc import Sequence

import msgspec

from proxypal_core.accounts.account import Account
from proxypal_core.accounts.affinity import Session


class Target(msgspec.Struct, frozen=True):
    """A provider's model to try. ``profile`` pins one account, ``prefix`` those that have it;
    ``thinking`` (``high``, ``8192``, ``none``) replaces what the body asks; ``long_context`` is
    wanted by the ``[1m]`` that Claude Code puts behind a name. ``together``: its accounts take turns
    with those of the target before, instead of coming after them.
    """

    provider: str
    model: str
    profile: str = ""
    thinking: str = ""
    long_context: bool = False
    prefix: str = ""
    together: bool = False


class Lease(msgspec.Struct, frozen=True):
    """An account on loan for one attempt. ``number`` grows with each."""

    number: int
    account: Account
    target: Target
    session: Session | None = None

    @property
    def model(self) -> str:
        return self.target.model

    @property
    def asked(self) -> tuple[str, Target]:
        """What was asked of whom: the same is not asked twice for one request."""
        return self.account.id, self.target


class Waiting(msgspec.Struct, frozen=True):
    """Why an account could not be leased, and until when."""

    account: str
    reason: str
    until: float


class NoneReady(Exception):
    """No account can serve now. ``resumes_at`` is the soonest that one can, None for never;
    ``busy``: one could, if it were not as busy as it may be.
    """

    def __init__(self, waiting: Sequence[Waiting], *, busy: bool = False) -> None:
        super().__init__("no account is ready")
        self.waiting = tuple(waiting)
        self.busy = busy
        self.resumes_at = min((one.until for one in waiting), default=None)
