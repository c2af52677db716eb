"""Words to whoever started us: systemd's notifications (``sd_notify(3)``), and its watchdog.

A notification is a datagram of ``NAME=value`` lines to the socket in ``NOTIFY_SOCKET``. Without that
variable there is nobody to tell, and everything here does nothing.
"""

import asyncio
import os
import socket
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress

import msgspec


class Supervisor(msgspec.Struct, frozen=True):
    """Where to tell how we are. ``watchdog`` is how many seconds we may be silent; 0 is for ever."""

    address: str = ""
    watchdog: float = 0.0

    @classmethod
    def of(cls, environment: Mapping[str, str], pid: int) -> "Supervisor":
        """What *environment* says to the process *pid*."""
        address = environment.get("NOTIFY_SOCKET", "")
        if not address.startswith(("/", "@")) or not hasattr(socket, "AF_UNIX"):
            return cls()
        for_us = environment.get("WATCHDOG_PID", str(pid)) == str(pid)
        span = environment.get("WATCHDOG_USEC", "")
        return cls(address, int(span) / 1e6 if for_us and span.isdecimal() else 0.0)

    def ready(self, status: str = "") -> None:
        """We answer; *status* is shown by ``systemctl status``, where an empty one changes nothing."""
        self._tell(READY="1", **({"STATUS": status} if status else {}))

    def reloading(self) -> None:
        """To be followed by ``ready``."""
        self._tell(RELOADING="1", MONOTONIC_USEC=str(time.monotonic_ns() // 1000))

    def stopping(self, status: str) -> None:
        self._tell(STOPPING="1", STATUS=status)

    async def watch(self, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        """Say twice in each span that the event loop still turns, for ever."""
        while self.watchdog:
            self._tell(WATCHDOG="1")
            await sleep(self.watchdog / 2)

    def _tell(self, **fields: str) -> None:
        if not self.address:
            return
        # An address with @ is in Linux's abstract namespace, which begins with a zero byte.
        address = "\0" + self.address[1:] if self.address.startswith("@") else self.address
        said = "\n".join(f"{name}={value}" for name, value in fields.items()).encode()
        with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notifier:
            notifier.setblocking(False)
            notifier.sendto(said, address)


NOBODY = Supervisor()


def of_this_process() -> Supervisor:
    return Supervisor.of(os.environ, os.getpid())
