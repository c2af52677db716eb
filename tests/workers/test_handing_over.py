"""What one worker hands to the first, over real sockets: it comes as it was sent, and goes back so."""

import asyncio
import gzip
import sys
import tempfile
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web

from proxypal_core.daemon.worker import Worker
from proxypal_core.gateway.server import server
from tests.running import PATIENCE

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="there are no such sockets")

METRICS = "# HELP n N.\n# TYPE n counter\nn 1\n"


class Handler:
    """Says what it was asked; *name* is whose it is."""

    def __init__(self, name):
        self.name = name
        self.go_on = asyncio.Event()
        self.left = asyncio.Event()

    async def __call__(self, request):
        match request.path:
            case "/metrics" if request.named.get("authorization") != "Bearer admin":
                return web.json_response({}, status=401)
            case "/metrics":
                return web.Response(text=METRICS)
            case "/api/events" | "/api/cut" | "/api/watched":
                return await self._stream(request)
            case _:
                return web.json_response(
                    {
                        "by": self.name,
                        "method": request.method,
                        "path": request.target,
                        "host": request.named["host"],
                        "cookies": request.named.get("cookie", ""),
                        "body": (await request.read()).decode(),
                    },
                    status=201,
                    headers={"x-own": "yes", "set-cookie": "a=b"},
                )

    async def _stream(self, request):
        response = request.stream([("content-type", "text/event-stream")])
        await response.write(b"one")
        try:
            await self.go_on.wait()
        except asyncio.CancelledError:
            self.left.set()
            raise
        if request.path == "/api/cut":
            request.connection.cut()
        await response.write(b"two")
        return await response.end()


@asynccontextmanager
async def listening(handler):
    runner = web.ServerRunner(server(handler), shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


@pytest.fixture
async def pair():
    """The handlers of two workers, the URLs of both, and a client."""
    with tempfile.TemporaryDirectory() as folder:
        handlers, urls = [Handler("first"), Handler("second")], []
        async with AsyncExitStack() as stack:
            for number, handler in enumerate(handlers, 1):
                worker = Worker(number, 2, Path(folder))
                common = await stack.enter_async_context(worker.among_others(handler))
                urls.append(await stack.enter_async_context(listening(common)))
            client = await stack.enter_async_context(aiohttp.ClientSession())
            yield handlers, urls, client


@pytest.mark.parametrize("path", ["/api/accounts/a%2Fb?x=%20y", "/dashboard", "/dashboard/app.js"])
async def test_management_is_the_first_s_as_it_was_asked(pair, path):
    _, urls, client = pair
    cookies = {"Cookie": "proxypal_dashboard=c"}
    body = gzip.compress(b'{"a": 1}')
    packed = {**cookies, "Content-Encoding": "gzip", "Content-Type": "application/json"}
    async with client.post(urls[1] + path, data=body, headers=packed) as answer:
        told = await answer.json()

    assert told == {
        "by": "first",
        "method": "POST",
        "path": path,
        "host": urls[1].removeprefix("http://"),
        "cookies": "proxypal_dashboard=c",
        "body": '{"a": 1}',
    }
    assert (answer.status, answer.headers["x-own"]) == (201, "yes")
    assert answer.headers.getall("set-cookie") == ["a=b"]


@pytest.mark.parametrize("path", ["/v1/messages", "/apis", "/health", "/openai/api/x", "//api/x"])
async def test_all_else_is_its_own(pair, path):
    _, urls, client = pair
    async with client.get(urls[1] + path) as answer:
        told = await answer.json()

    assert told["by"] == "second"


async def test_the_answer_to_head_has_a_length_and_nothing_more(pair):
    _, urls, client = pair
    async with client.head(urls[1] + "/api/state") as answer:
        read = await answer.read()

    assert (answer.status, read) == (201, b"")
    assert int(answer.headers["content-length"]) > 0


async def test_events_come_as_they_happen(pair):
    handlers, urls, client = pair
    async with asyncio.timeout(PATIENCE), client.get(urls[1] + "/api/events") as answer:
        first = await answer.content.readany()
        handlers[0].go_on.set()
        rest = await answer.content.read()

    assert (first, rest) == (b"one", b"two")


async def test_an_answer_that_breaks_off_is_not_taken_for_whole(pair):
    handlers, urls, client = pair
    async with asyncio.timeout(PATIENCE), client.get(urls[1] + "/api/cut") as answer:
        await answer.content.readany()
        handlers[0].go_on.set()

        with pytest.raises(aiohttp.ClientError):
            await answer.content.read()


async def test_when_the_client_leaves_the_first_is_told(pair):
    handlers, urls, client = pair
    async with client.get(urls[1] + "/api/watched") as answer:
        await answer.content.readany()
        answer.close()

        async with asyncio.timeout(PATIENCE):
            await handlers[0].left.wait()


async def test_metrics_are_all_workers_and_only_for_who_may_see_them(pair):
    _, urls, client = pair
    for url in urls:
        async with client.get(
            url + "/metrics", headers={"authorization": "Bearer admin"}
        ) as answer:
            assert await answer.text() == (
                '# HELP n N.\n# TYPE n counter\nn{worker="1"} 1\nn{worker="2"} 1\n'
            )
        async with client.get(url + "/metrics") as answer:
            assert answer.status == 401


async def test_without_a_first_it_says_when_to_ask_again():
    with tempfile.TemporaryDirectory() as folder:
        async with (
            Worker(2, 2, Path(folder)).among_others(Handler("second")) as common,
            listening(common) as url,
            aiohttp.ClientSession() as client,
            client.get(url + "/api/state") as answer,
        ):
            told = await answer.json()

    assert (answer.status, answer.headers["retry-after"]) == (503, "1")
    assert "ask again" in told["error"]["message"]


async def test_metrics_of_who_starts_are_left_out():
    with tempfile.TemporaryDirectory() as folder:
        async with (
            Worker(1, 3, Path(folder)).among_others(Handler("first")) as common,
            listening(common) as url,
            aiohttp.ClientSession() as client,
            client.get(url + "/metrics", headers={"authorization": "Bearer admin"}) as answer,
        ):
            told = await answer.text()

    assert told == '# HELP n N.\n# TYPE n counter\nn{worker="1"} 1\n'
