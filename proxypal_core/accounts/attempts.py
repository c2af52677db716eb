"""How one request goes on after a failure: whom not to ask again, and when to give up."""

from collections.abc import Collection, Iterable

from proxypal_core.accounts.lease import Lease, NoneReady, Target
from proxypal_core.accounts.verdict import VERDICTS
from proxypal_core.hub.failure import Failure, Kind

_REFUSALS = 8
"""Accounts that may refuse at once, for each attempt that may fail."""
_TROUBLES = {Kind.UNREACHABLE: 1, Kind.OVERLOADED: 2, Kind.SERVER: 2, Kind.TIMEOUT: 1}
"""After so many of them, a provider's other accounts come after everybody else's."""
SHORTEST_PAUSE, LONGEST_PAUSE = 0.5, 2.0
"""Seconds before a lone account is asked again, once, after a hiccup."""


class Attempts:
    """The attempts of one request.

    At most *most* may fail. Accounts that refuse at once (limited, without credit, logged out) cost
    nobody any time and rest from then on, so they do not count, within reason. *patience* is how
    many seconds a request may wait inside, in all, for an account that is ready soon.
    """

    def __init__(self, most: int, patience: float) -> None:
        self._most = most
        self._patience = patience
        self._failed = 0
        self._refused = 0
        self._troubles: dict[tuple[str, Kind], int] = {}
        self._tried: dict[tuple[str, Target], Failure] = {}
        self.tried: Collection[tuple[str, Target]] = self._tried.keys()
        """What was asked of whom."""
        self.avoid: set[str] = set()
        """Providers to turn to last."""
        self.last: Failure | None = None
        self.over = False
        """Whether the last failure is the request's own, or there were enough."""

    def failed(self, lease: Lease, failure: Failure) -> None:
        self.last = failure
        self._tried[lease.asked] = failure
        verdict = VERDICTS[failure.kind]
        if verdict.refusal:
            self._refused += 1
        else:
            self._failed += 1
        self.over = (
            not verdict.elsewhere
            or self._failed >= self._most
            or self._refused >= self._most * _REFUSALS
        )
        if failure.scope == "account":  # such as its own proxy's trouble: others may be better off
            return
        key = (lease.target.provider, failure.kind)
        self._troubles[key] = self._troubles.get(key, 0) + 1
        if self._troubles[key] >= _TROUBLES.get(failure.kind, self._most):
            self.avoid.add(lease.target.provider)

    def pause(self, none: NoneReady, *, now: float, jitter: float) -> float | None:
        """Seconds to wait now that there is nobody (else) to ask, after which it may be tried again;
        None to give up. *jitter* is random, from 0 to 1.
        """
        if self.last is not None and self._failed == 1 and self._is_hiccup(self.last):
            self._ask_again(
                [asked for asked, failure in self._tried.items() if self._is_hiccup(failure)]
            )
            return SHORTEST_PAUSE + (LONGEST_PAUSE - SHORTEST_PAUSE) * jitter
        if none.resumes_at is None or none.resumes_at - now > self._patience:
            return None
        wait = max(0.0, none.resumes_at - now)
        self._patience -= wait
        ready = {one.account for one in none.waiting if one.until <= none.resumes_at}
        self._ask_again([asked for asked in self._tried if asked[0] in ready])
        return wait

    def _ask_again(self, tried: Iterable[tuple[str, Target]]) -> None:
        for asked in tried:
            del self._tried[asked]

    @staticmethod
    def _is_hiccup(failure: Failure) -> bool:
        """Whether it may be over in a moment. One that states when is waited for like any rest."""
        return VERDICTS[failure.kind].passing and not failure.retry_after
