"""The whole proxy on a real socket, as tests use it."""

from collections.abc import Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import count

from aiohttp import web

from proxypal_core import app
from proxypal_core.gateway.endpoints import Gateway
from proxypal_core.gateway.server import server
from proxypal_core.settings.parse import parse
from proxypal_core.settings.schema import Settings

ADMIN_KEY = "admin-CANARY-key-of-the-tests"
HOST = "127.0.0.1"


@dataclass
class Proxy:
    url: str
    port: int
    gateway: Gateway
    reload: Callable[[Settings], None]


class StoppedClock:
    """Time stands still until a test moves it."""

    def __init__(self, at=1_795_000_000.0):
        self.at = at

    def __call__(self):
        return self.at

    async def sleep(self, seconds):
        """What the proxy does instead of waiting."""
        self.at += seconds


@asynccontextmanager
async def proxy(config="", environment=None, *, clock=None, data_dir=None, merge=None, **options):
    """A proxy with the settings of *config* (YAML); without *data_dir* it forgets all at its end.

    *merge* adds to the settings what a vault holds.
    """
    settings = parse(config, environment or {}, host=HOST, port=0)
    settings = merge(settings) if merge else settings
    ids = count(1)
    clock = clock or StoppedClock()
    parts = app.Clock(
        now=clock,
        sleep=clock.sleep,
        jitter=lambda: 0.5,
        new_id=lambda: f"{next(ids):032x}",
        demo_pace=0.0,
    )
    async with app.gateway(
        settings, admin_key=ADMIN_KEY, clock=parts, data_dir=data_dir, **options
    ) as served:
        runner = web.ServerRunner(server(served.handler), shutdown_timeout=1)
        await runner.setup()
        site = web.TCPSite(runner, HOST, 0)
        await site.start()
        port = runner.addresses[0][1]
        try:
            yield Proxy(f"http://{HOST}:{port}", port, served.handler, served.reload)
        finally:
            await runner.cleanup()
