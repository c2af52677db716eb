"""How long a task may wait for what others do; one timer for all its waits."""

import asyncio
import math
from collections.abc import Awaitable
from typing import TypeVar

from proxypal_core.hub.failure import Kind
from proxypal_core.upstream.transport import Broken

T = TypeVar("T")


class Deadline:
    """Belongs to *task*, which waits as often as it likes. The timer is not set anew for every wait, as
    ``asyncio.timeout`` would: it looks when it goes off whether there is still time.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, task: asyncio.Task[None]) -> None:
        self._loop = loop
        self._task = task
        self._until = math.inf
        self._timer: asyncio.TimerHandle | None = None
        self._goes_off = math.inf
        self._passed = False

    async def within(self, seconds: float, waiting: Awaitable[T]) -> T:
        """What *waiting* gives, if it does in time.

        Raises:
            Broken: it did not, or the task was cancelled with a reason, which the client is told.
        """
        self._until = until = self._loop.time() + seconds
        if until < self._goes_off:
            self._set(until)
        try:
            return await waiting
        except asyncio.CancelledError as cancelled:
            if self._passed:
                self._passed = False
                if self._task.uncancel() == 0:
                    raise Broken(
                        Kind.TIMEOUT, f"the provider sent nothing for {seconds:g} seconds"
                    ) from None
            if cancelled.args:
                raise Broken(Kind.INTERNAL, str(cancelled.args[0])) from None
            raise
        finally:
            self._until = math.inf

    def again(self, seconds: float) -> None:
        """What is waited for has come in part: there are so many seconds from now on."""
        self._until = self._loop.time() + seconds

    def close(self) -> None:
        """Nothing will be waited for any more."""
        if self._timer is not None:
            self._timer.cancel()

    def _set(self, at: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_at(at, self._due)
        self._goes_off = at

    def _due(self) -> None:
        self._timer = None
        self._goes_off = math.inf
        if self._until == math.inf:
            return
        if self._loop.time() < self._until:
            self._set(self._until)
            return
        self._passed = True
        self._task.cancel()
