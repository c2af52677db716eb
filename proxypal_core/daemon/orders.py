"""What a daemon is told by signals: end (SIGINT, SIGTERM), end now (again), read again (SIGHUP)."""

import asyncio
import os
import signal
import sys
from collections.abc import Callable

import msgspec


class Orders(msgspec.Struct, frozen=True):
    """``stop`` is to end after what is being answered, ``now`` is to leave that too, and ``reload``
    is to read the files again.
    """

    stop: asyncio.Event
    now: asyncio.Event
    reload: asyncio.Event

    def end(self) -> None:
        """The first time, end; the second time, now."""
        (self.now if self.stop.is_set() else self.stop).set()


def orders(stop: asyncio.Event | None = None) -> Orders:
    """Those of the caller who brings *stop*; without, those that come as signals."""
    given = Orders(stop or asyncio.Event(), asyncio.Event(), asyncio.Event())
    if stop is None:
        _on_signals(given)
    return given


def _on_signals(given: Orders) -> None:
    on_terminal = sys.stderr.isatty()

    def hang_up() -> None:
        # The terminal that showed us is gone, and nobody else may know that we run.
        if on_terminal and not os.isatty(sys.stderr.fileno()):
            given.end()
        else:
            given.reload.set()

    loop = asyncio.get_running_loop()
    actions: dict[str, Callable[[], None]] = {
        "SIGINT": given.end,
        "SIGTERM": given.end,
        "SIGHUP": hang_up,
    }
    for name, act in actions.items():
        number = getattr(signal, name, None)
        if number is None:  # Windows has no SIGHUP
            continue
        try:
            loop.add_signal_handler(number, act)
        except NotImplementedError:  # nor do its loops take handlers
            signal.signal(number, lambda *_, act=act: loop.call_soon_threadsafe(act))
