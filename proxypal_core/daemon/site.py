"""The listening address: accepting that survives a lack of descriptors."""

import asyncio
from typing import Any

from aiohttp import web

from proxypal_core.gateway.guard import Limits

BACKLOG = 128
"""Connections that the system keeps for us until we take them."""
HANDSHAKE = Limits().head
"""Seconds for a handshake of TLS, before which the guards of the server see nothing."""


class Site(web.TCPSite):
    """A site that takes one connection a turn of the event loop, as nginx does.

    asyncio takes ``backlog`` of them a turn. Where descriptors are used up it goes on trying, logs
    each failure, and sets a timer for each that makes it try ``backlog`` times again: a hundred
    thousand lines in seconds (https://github.com/python/cpython/issues/151615). With a ``backlog`` of
    one it logs once, and rests for a second. uvloop needs none of this.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, backlog=1 if _is_asyncios() else BACKLOG, **kwargs)

    async def start(self) -> None:
        await web.BaseSite.start(self)
        tls, protocols = self._ssl_context, self._runner.server
        if protocols is None:
            raise RuntimeError("the runner is not set up")
        self._server = await asyncio.get_running_loop().create_server(
            protocols,
            self._host,
            self._port,
            ssl=tls,
            backlog=self._backlog,
            reuse_port=self._reuse_port,
            ssl_handshake_timeout=HANDSHAKE if tls else None,
        )
        if _is_asyncios():
            for listener in self._server.sockets:
                with listener.dup() as same:
                    same.listen(BACKLOG)


def _is_asyncios() -> bool:
    return isinstance(asyncio.get_running_loop(), asyncio.SelectorEventLoop)
