"""The server: it takes requests, writes them down, and plays the step that is due."""

import asyncio
from collections import defaultdict, deque
from collections.abc import Callable
from types import TracebackType
from typing import Self

from aiohttp import web

from tests.fault_server.endpoints import dialect_of
from tests.fault_server.exchange import Exchange, Received
from tests.fault_server.steps import Answer, Step

__all__ = ["MARK", "FaultServer", "Received"]

_KEY_HEADERS = ("x-api-key", "x-goog-api-key", "api-key")
MARK = "-CANARY-of-the-suite"
"""What a key may end with, so that a search finds it wherever it got to; here it is left out."""


class FaultServer:
    """An upstream on a port of its own of the loopback interface."""

    def __init__(self) -> None:
        self.requests: list[Received] = []
        """Everything that was asked, oldest first."""
        self._scripts: defaultdict[str | None, deque[Step]] = defaultdict(deque)
        self._always: dict[str | None, Step] = {None: Answer()}
        self._open: dict[Received, web.BaseRequest] = {}
        self._stalls: list[asyncio.Future[None]] = []
        self._waiting: list[tuple[Callable[[], bool], asyncio.Future[None]]] = []
        self._runner = web.ServerRunner(
            web.Server(
                self._handle,
                handler_cancellation=True,
                auto_decompress=False,
                access_log=None,
                max_field_size=64 * 1024,
            ),
            handle_signals=False,
        )
        self._port = 0

    async def __aenter__(self) -> Self:
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self._port = self._runner.addresses[0][1]
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for http in list(self._open.values()):
            if http.transport is not None:
                http.transport.abort()
        await self.until(lambda: not self._open)
        await self._runner.cleanup()

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    def url(self, dialect: str) -> str:
        """The base URL, as a user writes it for a provider of *dialect*."""
        return f"{self.origin}/v1" if dialect.startswith("openai") else self.origin

    def script(self, *steps: Step, key: str | None = None) -> None:
        """What the next requests get, each one step: those with the API key *key*, or any."""
        self._scripts[key].extend(steps)

    def always(self, step: Step, *, key: str | None = None) -> None:
        """What a request gets when no script has a step for it."""
        self._always[key] = step

    def release(self) -> None:
        """End every stall that has begun."""
        for stall in self._stalls:
            if not stall.done():
                stall.set_result(None)
        self._stalls.clear()

    @property
    def open_streams(self) -> int:
        """How many requests are being answered at this moment."""
        return len(self._open)

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait until *condition* holds; it is tried whenever something has happened here."""
        if condition():
            return
        waiter = asyncio.get_running_loop().create_future()
        self._waiting.append((condition, waiter))
        await waiter

    async def _handle(self, http: web.BaseRequest) -> web.StreamResponse:
        request = _received(http, await http.content.read())
        self.requests.append(request)
        self._open[request] = http
        self._tell()
        exchange = Exchange(request, http, self._stall)
        try:
            await self._next_step(request).play(exchange)
        except ConnectionError:
            _went_away(request)
        except asyncio.CancelledError:
            _went_away(request)
            raise
        finally:
            del self._open[request]
            self._tell()
        # What was broken off has no answer, but the caller must be given one to drop.
        return exchange.response or web.Response()

    def _next_step(self, request: Received) -> Step:
        if request.method in ("GET", "HEAD"):
            return Answer()
        for key in (request.key, None):
            if self._scripts[key]:
                return self._scripts[key].popleft()
        return self._always.get(request.key, self._always[None])

    async def _stall(self, request: Received) -> None:
        stall = asyncio.get_running_loop().create_future()
        self._stalls.append(stall)
        request.stalled = True
        self._tell()
        await stall
        request.stalled = False

    def _tell(self) -> None:
        waiting, self._waiting = self._waiting, []
        for condition, waiter in waiting:
            if waiter.done():
                continue
            if condition():
                waiter.set_result(None)
            else:
                self._waiting.append((condition, waiter))


def _went_away(request: Received) -> None:
    if not request.finished:
        request.closed.set()


def _received(http: web.BaseRequest, body: bytes) -> Received:
    path, _, query = http.raw_path.partition("?")
    assert http.transport is not None
    return Received(
        method=http.method,
        path=path,
        query=query,
        headers=http.headers,
        raw_headers=tuple((name.decode(), value.decode()) for name, value in http.raw_headers),
        body=body,
        key=_key(http).removesuffix(MARK),
        dialect=dialect_of(path, http.headers),
        connection=http.transport.get_extra_info("peername")[1],
    )


def _key(http: web.BaseRequest) -> str:
    for name in _KEY_HEADERS:
        if name in http.headers:
            return http.headers[name]
    scheme, _, token = http.headers.get("Authorization", "").partition(" ")
    return token if scheme.lower() == "bearer" else http.query.get("key", "")
