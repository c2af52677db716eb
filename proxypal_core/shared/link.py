"""Exchanges with the shared state, once a second and when there is something to tell or to hear.

All waiting for the server happens here, in the background, so no request ever waits for it. After
two failures it counts as gone, and is only tried again every few seconds.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import aclosing, suppress

import msgspec
import structlog

from proxypal_core.shared.state import News, Report, Shared, Unreachable

INTERVAL = 1.0
"""Seconds between two exchanges, if nothing happens."""
SOONEST = 0.01
"""Seconds between two exchanges, whatever happens, for a few replicas; for many it is longer, so that
together they never ask more often than a thousand times a second by each other's doing."""
_A_REPLICA = 0.001
FAILURES = 2
REST = 5.0
"""Seconds between two looks at a server that is gone."""

log = structlog.get_logger(__name__)


class Link(msgspec.Struct, kw_only=True):
    """Keeps a replica and the others in step. ``report`` makes what is told, ``hear`` takes it and what
    was heard for it, ``lost`` is told that the server is gone. ``chance`` is a random number from 0 to 1.
    """

    shared: Shared
    report: Callable[[], Report]
    hear: Callable[[Report, News], None]
    lost: Callable[[], None]
    sleep: Callable[[float], Awaitable[None]]
    chance: Callable[[], float]
    reachable: bool = False
    why_not: str = "it was not asked yet"
    replicas: int = 1
    """How many there are, or were when the server was last heard."""
    _wake: asyncio.Event = msgspec.field(default_factory=asyncio.Event)
    _unanswered: Report | None = None
    _failures: int = 0

    def soon(self) -> None:
        """There is something to tell, or to hear."""
        self._wake.set()

    async def run(self) -> None:
        """Exchange for ever."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._listen())
            while True:
                await self.once()
                await self.sleep(self._pause())
                if self._failures < FAILURES:
                    await self._until_woken()

    async def once(self) -> None:
        """One exchange. A report that was not answered is sent again before the next."""
        self._wake.clear()
        if self._unanswered is not None:
            self._wake.set()  # what has come since is told after it
        report = self._unanswered or self.report()
        self._unanswered = report
        try:
            news = await self.shared.exchange(report)
        except Unreachable as error:
            self._failed(str(error))
            return
        self._unanswered = None
        self._failures = 0
        self.replicas = news.replicas
        try:
            self.hear(report, news)
        except Exception:  # whatever it is, the next news may be better
            log.exception("what the other replicas told could not be used")
        if not self.reachable:
            log.info("shared state is reached", replicas=news.replicas)
        self.reachable, self.why_not = True, ""

    def _failed(self, why: str) -> None:
        self._failures += 1
        self.why_not = why
        if self._failures == FAILURES:
            log.warning("shared state is gone; this replica goes on by itself", reason=why)
            self.reachable = False
            self.lost()

    def _pause(self) -> float:
        if self._failures >= FAILURES:
            return REST
        return max(SOONEST, self.replicas * _A_REPLICA * 2 * self.chance())

    async def _until_woken(self) -> None:
        # wait_for() of Python 3.11 loses a cancellation that comes with the event.
        with suppress(TimeoutError):
            async with asyncio.timeout(INTERVAL):
                await self._wake.wait()

    async def _listen(self) -> None:
        while True:
            try:
                async with aclosing(self.shared.nudges()) as nudges:
                    async for _ in nudges:
                        self.soon()
            except Unreachable:
                await self.sleep(INTERVAL)
