"""Requests that wait for an account which is as busy as it may be."""

import asyncio
from collections import deque

MOST = 256
"""Requests that wait at a time; more are refused at once."""


class Queue:
    """*patience* is how many seconds a request waits in it."""

    def __init__(self, patience: float, *, most: int = MOST) -> None:
        self._patience = patience
        self._most = most
        self._waiting: deque[asyncio.Future[None]] = deque()

    @property
    def length(self) -> int:
        """How many requests wait."""
        return len(self._waiting)

    def ends(self) -> float:
        """Until when a request that comes now may wait, by the loop's clock."""
        return asyncio.get_running_loop().time() + self._patience

    async def wait(self, ends: float) -> bool:
        """Whether an account was given back, by whoever had it, before *ends*."""
        if len(self._waiting) >= self._most:
            return False
        turn = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            async with asyncio.timeout_at(ends):
                await turn
        except TimeoutError:
            return False
        finally:
            if turn in self._waiting:
                self._waiting.remove(turn)
        return True

    def given_back(self) -> None:
        """An account was given back: all who wait look again, those first who waited longest, since
        it may not do for every one of them.
        """
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)
