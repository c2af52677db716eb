"""Has the owner told when an account runs dry, needs a login, or is back."""

import asyncio
from collections.abc import Callable
from functools import partial

from proxypal_core.accounts.alerts import Watch
from proxypal_core.accounts.pool import Pool
from proxypal_core.app.configured import proxy_of
from proxypal_core.settings.schema import Settings
from proxypal_core.upstream.alerts import Courier, Ways
from proxypal_core.upstream.transport import Transport

EVERY = 1.0
"""Seconds between two looks at the accounts."""


class Alerts:
    """Looks at *pool* only while the settings name a way for alerts to go."""

    def __init__(
        self,
        settings: Settings,
        pool: Pool,
        http: Transport,
        clock: Callable[[], float],
        agent: str,
    ) -> None:
        self._pool = pool
        self._clock = clock
        self._courier = Courier(http, agent)
        self._watch = Watch()
        self._wanted = asyncio.Event()
        self.use(settings)

    def use(self, settings: Settings) -> None:
        """Go by *settings* from now on."""
        wish = settings.alerts
        self._ways = Ways(str(wish.webhook), str(wish.ntfy), wish.desktop)
        self._on = wish.on
        self._proxy_for = partial(proxy_of, settings.network)
        if self._ways:
            self._wanted.set()
        elif self._wanted.is_set():
            self._wanted.clear()
            self._watch = Watch()  # what happens meanwhile is not told later

    async def run(self) -> None:
        """Look and tell, for ever."""
        while True:
            await self._wanted.wait()
            for alert in self._watch.look(self._pool.standings, self._clock()):
                if alert.event in self._on:
                    await self._courier.send(alert, self._ways, self._proxy_for)
            await asyncio.sleep(EVERY)
