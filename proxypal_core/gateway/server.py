"""The server of clients: their connections, and what those use together."""

import asyncio
from collections.abc import Callable
from email.utils import formatdate

import structlog
from aiohttp import web

from proxypal_core.gateway.connection import Connection, Handler
from proxypal_core.gateway.guard import Limits, Room

DEFAULT_LIMITS = Limits()

log = structlog.get_logger(__name__)


def server(
    handler: Handler, limits: Limits = DEFAULT_LIMITS, pressed: Callable[[], bool] | None = None
) -> "Server":
    """The server of one listener, calling *handler* for each request. While *pressed* says that
    memory runs short, bodies are refused.
    """
    return Server(handler, limits, pressed)


class Server(web.Server):
    """What aiohttp's runners and sites run; the connections are ours."""

    def __init__(
        self, handler: Handler, limits: Limits, pressed: Callable[[], bool] | None
    ) -> None:
        super().__init__(handler)  # type: ignore[arg-type] # never called by aiohttp: connections do
        self.handler = handler
        self.limits = limits
        self.room = Room(limits.bodies)
        self.date = ""
        """Now, within the time of a sweep, as HTTP writes it."""
        self._ours: set[Connection] = set()
        self._pressed = pressed
        self._refused = 0
        self._sweeping = False

    def __call__(self) -> Connection:  # type: ignore[override] # a protocol is all that is asked for
        return Connection(self)

    @property
    def connections(self) -> list[Connection]:  # type: ignore[override] # as above
        return list(self._ours)

    @property
    def answering(self) -> list[Connection]:
        """Those that have a request whose answer has not ended."""
        return [connection for connection in self._ours if connection.is_answering]

    def admits(self) -> bool:
        """Whether there is room for one more connection."""
        if len(self._ours) < self.limits.connections:
            return True
        self._refused += 1
        return False

    def joined(self, connection: Connection) -> None:
        self._ours.add(connection)
        if not self._sweeping:
            self._sweeping = True
            self.date = formatdate(usegmt=True)
            self._loop.call_later(self.limits.sweep, self._sweep)

    def left(self, connection: Connection) -> None:
        self._ours.discard(connection)

    def pre_shutdown(self) -> None:
        for connection in self.connections:
            connection.close()

    async def shutdown(self, timeout: float | None = None) -> None:  # noqa: ASYNC109 — aiohttp's
        await asyncio.gather(*(one.shutdown(timeout) for one in self._ours))

    def _sweep(self) -> None:
        """Cut who is too slow. One timer for all: two for each request would cost more."""
        self.date = formatdate(usegmt=True)
        now = self._loop.time()
        late = [connection for connection in self._ours if connection.is_late(now)]
        for connection in late:
            connection.cut()
        for connection in [one for one in self._ours if one.is_idle(now)]:
            connection.close()
        if late or self._refused:
            log.warning("connections cut", slow=len(late), too_many=self._refused)
            self._refused = 0
        self.room.pressed = self._pressed is not None and self._pressed()
        self._sweeping = bool(self._ours)
        if self._sweeping:
            self._loop.call_later(self.limits.sweep, self._sweep)
