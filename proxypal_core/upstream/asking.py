"""How often a provider is asked for a token: once for all who wait for it, and not while it fails."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import NamedTuple

AT_A_TIME = 4
_BACKOFF = (60.0, 120.0, 300.0, 900.0)
"""Seconds for which a provider that could not be asked is left alone."""


class Impossible(Exception):
    """There is no token for an account; the message says why and what helps."""


class NotNow(Impossible):
    """There may be one in ``seconds``; it is not the login's fault."""

    def __init__(self, why: str, seconds: float = 0.0) -> None:
        super().__init__(f"it cannot be renewed now: {why}")
        self.seconds = seconds


class Shared:
    """Work that is done once for all who ask for it at the same time, by name."""

    def __init__(self) -> None:
        self._running: dict[str, asyncio.Task[None]] = {}
        self._slots = asyncio.Semaphore(AT_A_TIME)

    async def run(self, name: str, work: Callable[[], Awaitable[None]]) -> bool:
        """Whether *work* was done for this caller, or another's for both. It goes on when a caller
        leaves: what a provider gives is given once.
        """
        task = self._running.get(name)
        if task is not None:
            await asyncio.shield(task)
            return False
        task = self._running[name] = asyncio.ensure_future(self._alone(name, work))
        task.add_done_callback(seen)
        await asyncio.shield(task)
        return True

    async def _alone(self, name: str, work: Callable[[], Awaitable[None]]) -> None:
        try:
            async with self._slots:
                await work()
        finally:
            del self._running[name]


class Rests:
    """Providers that could not be asked, left alone for a while."""

    class _Rest(NamedTuple):
        since: float
        until: float
        failures: int
        why: str

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._rests: dict[str, Rests._Rest] = {}

    def check(self, name: str) -> None:
        """Raises:
        NotNow: *name* is left alone.
        """
        rest, now = self._rests.get(name), self._clock()
        if rest is not None and rest.since <= now < rest.until:  # or the clock was set back
            raise NotNow(rest.why, rest.until - now)

    def failed(self, name: str, why: str) -> NotNow:
        before = self._rests.get(name)
        failures = before.failures if before else 0
        pause = _BACKOFF[min(failures, len(_BACKOFF) - 1)]
        now = self._clock()
        self._rests[name] = self._Rest(now, now + pause, failures + 1, why)
        return NotNow(why, pause)

    def over(self, name: str) -> None:
        self._rests.pop(name, None)


def seen(task: "asyncio.Task[None]") -> BaseException | None:
    """How *task* failed; told by whoever still waits for it, and by nobody when all have left."""
    return asyncio.CancelledError() if task.cancelled() else task.exception()
