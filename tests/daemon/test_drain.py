"""A server ends after what is being said, within bounds; and who gets no whole answer is told why."""

import asyncio
from contextlib import asynccontextmanager

from aiohttp import web

from proxypal_core.daemon import drain
from proxypal_core.daemon.drain import LAST_BYTES, REASON
from proxypal_core.gateway.server import server

POST = b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 4\r\n\r\n"
LONG = 60.0


class Place:
    """A server with a handler of a test's, and clients that speak bytes."""

    def __init__(self, handler):
        self.handler = handler
        self.now = asyncio.Event()
        self.begun = asyncio.Semaphore(0)

    @asynccontextmanager
    async def open(self):
        runner = web.ServerRunner(server(self.handler), shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        self.server, self.port = runner.server, runner.addresses[0][1]
        try:
            yield self
        finally:
            await runner.cleanup()

    async def client(self, data):
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write(data)
        return reader, writer

    async def connected(self):
        while not self.server.connections:  # noqa: ASYNC110 — aiohttp tells nobody
            await asyncio.sleep(0)

    def finish(self, seconds=LONG):
        return asyncio.ensure_future(drain.finish(self.server, seconds, self.now))


def echo(place_of):
    async def handler(request):
        place_of().begun.release()
        return web.Response(body=await request.read())

    return handler


@asynccontextmanager
async def echoing():
    place = Place(echo(lambda: place))
    async with place.open():
        yield place


@asynccontextmanager
async def endless(ends):
    """A handler that never ends by itself; *ends* is told how it was ended."""

    async def handler(request):
        place.begun.release()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError as cancelled:
            ends.append(cancelled.args)
            return web.Response(status=503, body=b"told")

    place = Place(handler)
    async with place.open():
        yield place


async def test_a_request_that_is_still_coming_in_is_answered():
    async with echoing() as place:
        reader, writer = await place.client(POST + b"ab")
        await place.begun.acquire()
        finishing = place.finish()
        await asyncio.sleep(0)
        writer.write(b"cd")

        assert b"\r\n\r\nabcd" in await reader.read()
        await finishing
        writer.close()


async def test_who_has_just_connected_may_still_ask():
    async with echoing() as place:
        reader, writer = await place.client(b"")
        await place.connected()
        finishing = place.finish()
        await asyncio.sleep(0)
        writer.write(POST + b"abcd")

        assert b"\r\n\r\nabcd" in await reader.read()
        await finishing
        writer.close()


async def test_who_connects_and_asks_nothing_does_not_hold_it_up():
    async with echoing() as place:
        _, writer = await place.client(b"")
        await place.connected()

        async with asyncio.timeout(LAST_BYTES):
            await place.finish()
        writer.close()


async def test_idle_connections_do_not_hold_it_up():
    async with echoing() as place:
        reader, writer = await place.client(POST + b"abcd")
        assert await reader.readuntil(b"abcd")
        async with asyncio.timeout(LAST_BYTES / 2):
            await place.finish()

        assert await reader.read() == b""
    writer.close()


async def test_at_the_bound_who_is_left_is_told_why():
    ends = []
    async with endless(ends) as place:
        reader, writer = await place.client(POST + b"abcd")
        await place.begun.acquire()
        await place.finish(seconds=0.01)

        assert ends == [(REASON,)]
        assert b"503" in await reader.read()
        writer.close()


async def test_told_again_it_ends_at_once():
    ends = []
    async with endless(ends) as place:
        _, writer = await place.client(POST + b"abcd")
        await place.begun.acquire()
        finishing = place.finish()
        place.now.set()
        async with asyncio.timeout(10):
            await finishing

        assert ends == [(REASON,)]
        assert place.server.answering == []
        writer.close()


async def test_who_is_being_answered_is_counted():
    async with endless([]) as place:
        assert place.server.answering == []
        _, writer = await place.client(POST + b"abcd")
        await place.begun.acquire()

        assert len(place.server.answering) == 1
        writer.close()
