"""One request and the making of its answer, down to the socket."""

import asyncio
import json
import socket
import struct
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from aiohttp import web
from multidict import CIMultiDictProxy

from tests.fault_server import endpoints
from tests.fault_server.transcripts import Scenario

_RST_ON_CLOSE = struct.pack("ii", 1, 0)  # struct linger: on, for no time


@dataclass(eq=False)
class Received:
    """A request as it arrived, and what became of it."""

    method: str
    path: str
    query: str
    headers: CIMultiDictProxy[str]
    """With every value of a repeated header; ``raw_headers`` has their order and case too."""
    raw_headers: tuple[tuple[str, str], ...]
    body: bytes
    key: str
    """The API key, wherever it was put."""
    dialect: str
    connection: int
    """The same for all requests that came over one connection."""
    stalled: bool = False
    finished: bool = False
    """The answer was given to its end, or broken off on purpose."""
    closed: asyncio.Event = field(default_factory=asyncio.Event)
    """The client went away before the answer was finished."""

    @cached_property
    def json(self) -> Any:
        return json.loads(self.body)


class Exchange:
    """What a step answers with."""

    def __init__(
        self,
        request: Received,
        http: web.BaseRequest,
        stall: Callable[[Received], Awaitable[None]],
    ) -> None:
        self.request = request
        self.response: web.StreamResponse | None = None
        self._http = http
        self._stall = stall
        self._endpoint = endpoints.find(request)

    @property
    def streaming(self) -> bool:
        return self._endpoint.streaming

    @property
    def content_type(self) -> str:
        return self._endpoint.content_type

    def frames(self, scenario: str | Scenario) -> list[bytes]:
        """The answer in the pieces it is sent in: a single one if it is no stream."""
        return self._endpoint.frames(scenario)

    def whole(self, scenario: str | Scenario) -> bytes:
        return self._endpoint.whole(scenario)

    async def begin(self, status: int, headers: Mapping[str, str]) -> None:
        response = web.StreamResponse(status=status, headers=headers)
        if "Content-Length" not in response.headers:
            response.enable_chunked_encoding()
        self.response = response
        await response.prepare(self._http)

    async def write(self, data: bytes) -> None:
        """One chunk, which a reader on this loop gets by itself."""
        assert self.response is not None, "the answer was not begun"
        await _let_others_read()
        await self.response.write(data)

    async def send(self, data: bytes) -> None:
        """These bytes on the connection as they are, in place of an answer that was begun."""
        await _let_others_read()
        transport = self._http.transport
        if transport is None:
            raise ConnectionResetError
        assert isinstance(transport, asyncio.WriteTransport)
        transport.write(data)
        await self._http.writer.drain()

    async def finish(self) -> None:
        assert self.response is not None, "the answer was not begun"
        self.request.finished = True
        await self.response.write_eof()

    async def stall(self) -> None:
        await _let_others_read()
        await self._stall(self.request)

    def hang_up(self) -> None:
        """Close the connection: between bytes that were promised, if any were."""
        transport = self._transport()
        if self.response is not None and self.response.chunked:
            transport.write(b"40\r\n")
        transport.close()

    async def reset(self) -> None:
        await _let_others_read()
        transport = self._transport()
        connection = transport.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RST_ON_CLOSE)
        transport.abort()

    def _transport(self) -> asyncio.WriteTransport:
        transport = self._http.transport
        if transport is None:
            raise ConnectionResetError
        self.request.finished = True
        assert isinstance(transport, asyncio.WriteTransport)
        return transport


async def _let_others_read() -> None:
    """The turns of the loop that a reader on it needs to take what was written."""
    for _ in range(3):
        await asyncio.sleep(0)
