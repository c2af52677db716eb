"""The live feed: every exchange as it ends, for the dashboard and ``proxypal watch``.

Bounded everywhere: a listener that does not read loses the oldest events, and is told by a gap in
the ids; the last ones are kept for those that come back with Last-Event-ID.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator

from msgspec import Struct, to_builtins

from proxypal_core.wire import jsonio, sse

KEPT = 200
"""Events remembered for listeners that reconnect, and held for one that reads slowly."""
HINT_EVERY = 0.25
"""Seconds between two hints of the same name, at the least."""
RETRY = 1000
"""Milliseconds after which a listener comes back when its connection ends."""


class Feed:
    def __init__(self) -> None:
        self._next_id = 1
        self._kept: deque[tuple[int, str, Struct]] = deque(maxlen=KEPT)
        self._listeners: set[_Listener] = set()
        self._hinting: set[str] = set()
        self._open = True

    def publish(self, name: str, value: Struct) -> None:
        """Tell every listener; never waits. *value* does not change any more."""
        number = self._next_id
        self._next_id += 1
        self._kept.append((number, name, value))
        if self._listeners:
            event = _event(number, name, value)
            for listener in self._listeners:
                listener.put(event)

    def hint(self, name: str) -> None:
        """Tell every listener soon that there is news to ask for. A hint has no id and is not kept:
        who reconnects asks anyway.
        """
        if name not in self._hinting:
            self._hinting.add(name)
            asyncio.get_running_loop().call_later(HINT_EVERY, self._hinted, name)

    def _hinted(self, name: str) -> None:
        self._hinting.discard(name)
        for listener in self._listeners:
            listener.put(sse.frame(b"{}", name))

    def close(self) -> None:
        """Let every ``follow`` end."""
        self._open = False
        for listener in self._listeners:
            listener.put(b"")

    async def follow(self, after: int | None, heartbeat: float) -> AsyncIterator[bytes]:
        """The events after number *after* (None: from now on); a comment each *heartbeat* seconds
        of silence.
        """
        listener = _Listener()
        if after is not None:
            for number, name, value in self._kept:
                if number > after:
                    listener.put(_event(number, name, value))
        self._listeners.add(listener)
        try:
            yield b"retry: %d\n: listening\n\n" % RETRY
            while self._open:
                try:
                    async with asyncio.timeout(heartbeat):
                        yield await listener.take()
                except TimeoutError:
                    yield b": still here\n\n"
        finally:
            self._listeners.discard(listener)


def _event(number: int, name: str, value: Struct) -> bytes:
    return b"id: %d\n" % number + sse.frame(jsonio.dumps(to_builtins(value)), name)


class _Listener:
    def __init__(self) -> None:
        self._events: deque[bytes] = deque(maxlen=KEPT)
        self._ready = asyncio.Event()

    def put(self, event: bytes) -> None:
        self._events.append(event)
        self._ready.set()

    async def take(self) -> bytes:
        await self._ready.wait()
        joined = b"".join(self._events)
        self._events.clear()
        self._ready.clear()
        return joined
