"""A lack of descriptors costs a pause and a line, and whoever waits meanwhile is served after it."""

import asyncio
import errno
import socket
import ssl
from contextlib import asynccontextmanager

from aiohttp import web

from proxypal_core.daemon import site
from proxypal_core.daemon.site import Site
from proxypal_core.gateway.server import server
from tests.certificate import self_signed


class Scarcity:
    """No connection can be accepted until it is over; what the event loop told meanwhile."""

    def __init__(self, monkeypatch):
        self.over = False
        self.told = []
        self.first = asyncio.Event()
        accept = socket.socket.accept

        def accepts(listener):
            if self.over:
                return accept(listener)
            raise OSError(errno.EMFILE, "Too many open files")

        monkeypatch.setattr(socket.socket, "accept", accepts)
        monkeypatch.setattr(asyncio.constants, "ACCEPT_RETRY_DELAY", 0.5)
        asyncio.get_running_loop().set_exception_handler(self)

    def __call__(self, loop, context):
        self.told.append(context["message"])
        self.first.set()


@asynccontextmanager
async def listening(kind, **options):
    async def greets(request):
        return web.Response(body=b"hello")

    runner = web.ServerRunner(server(greets))
    await runner.setup()
    await kind(runner, "127.0.0.1", 0, **options).start()
    try:
        async with asyncio.timeout(20):
            yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


async def greeted(port):
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
    await reader.readuntil(b"hello")
    writer.close()


async def scarce(kind, scarcity, waiting):
    """How often the event loop complained in its next few turns, with so many *waiting*."""
    async with listening(kind) as port:
        asking = [asyncio.ensure_future(greeted(port)) for _ in range(waiting)]
        await scarcity.first.wait()
        for _ in range(20):
            await asyncio.sleep(0)
        told = len(scarcity.told)
        scarcity.over = True
        await asyncio.gather(*asking)
    return told


async def test_it_is_told_once_and_who_waits_is_served_after_it(monkeypatch):
    scarcity = Scarcity(monkeypatch)

    assert await scarce(Site, scarcity, waiting=100) == 1
    assert "out of system resource" in scarcity.told[0]


async def test_a_site_of_aiohttp_complains_a_hundred_times(monkeypatch):
    assert await scarce(web.TCPSite, Scarcity(monkeypatch), waiting=1) > 100


async def test_the_system_keeps_those_who_wait(monkeypatch):
    Scarcity(monkeypatch)
    async with listening(Site) as port, asyncio.timeout(5):
        waiting = [await asyncio.open_connection("127.0.0.1", port) for _ in range(100)]

        for _, writer in waiting:
            writer.close()


async def test_who_does_not_begin_tls_is_cut(monkeypatch, tmp_path):
    monkeypatch.setattr(site, "HANDSHAKE", 0.05)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(*self_signed(tmp_path))
    async with listening(Site, ssl_context=context) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)

        assert await reader.read() == b""
        writer.close()
