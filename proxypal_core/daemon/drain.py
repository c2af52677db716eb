"""The end of a server: nobody new, those who are being answered until the end, within bounds.

aiohttp closes all connections for reading at once when it shuts down, which loses the rest of a
request that is still coming in. Here only idle ones are closed, and each other when it is answered.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress

from proxypal_core.gateway.server import Server

_LOOK = 0.05
"""Seconds between two looks at the connections."""
LAST_BYTES = 5.0
"""Seconds that a client may take to fetch the last bytes of an answer that is complete."""
NEW = 0.2
"""Seconds for the first request on a connection that was just made: who made it has been told by the
system that we are here, and a load balancer does not ask another any more.
"""
_LAST_WORDS = 1.0
"""Seconds for an answer that is broken off to say so."""
REASON = "the proxy is shutting down"


async def finish(server: Server, seconds: float, now: asyncio.Event) -> None:
    """Wait until nobody of *server* is being answered, for *seconds* or until *now* is set. Who has no
    whole answer then is told why: their handlers are cancelled with ``REASON``.
    """
    await asyncio.sleep(0)  # who has asked before is being answered then
    for connection in server.connections:
        if not connection.is_new:
            connection.close()
    if _has_new(server):
        await _until(lambda: now.is_set() or not _has_new(server), NEW)
        server.pre_shutdown()
    if await _until(lambda: not server.answering or now.is_set(), seconds) and not now.is_set():
        await _until(lambda: not server.connections or now.is_set(), LAST_BYTES)
        return
    for connection in server.answering:
        connection.break_off(REASON)
    await _until(lambda: not server.answering, _LAST_WORDS)


def _has_new(server: Server) -> bool:
    return any(connection.is_new for connection in server.connections)


async def _until(done: Callable[[], bool], seconds: float) -> bool:
    """Wait until it is *done*, for at most *seconds*; whether it is."""
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            while not done():  # noqa: ASYNC110 — nobody tells when a connection ends
                await asyncio.sleep(_LOOK)
    return done()
