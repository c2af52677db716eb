"""Providers over HTTP/1.1: connections that aiohttp makes, on which ``connection`` speaks.

aiohttp's connector looks names up, tries a host's addresses in turn, does TLS, and tunnels through
proxies; its client session would cost two thirds of all that a request takes here (docs/performance.md).
A proxy wants none of what that adds: no cookies (accounts would share them), no redirects (they would
carry the key to another host), no limit of connections, no environment proxies.
"""

import asyncio
import socket
import ssl
from base64 import b64encode
from collections import defaultdict, deque
from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple, Self, TypeAlias

import aiohttp
from aiohttp_socks import ProxyConnector
from yarl import URL

from proxypal_core.upstream import proxies, trust
from proxypal_core.upstream.connection import Answer, Connection, Lost, NotHTTP
from proxypal_core.upstream.http_failures import (
    FAILURES,
    PROXY_WANTS_LOGIN,
    broken,
    no_answer,
    refused,
)
from proxypal_core.upstream.transport import Call
from proxypal_core.wire.head import head

IDLE = 60.0
"""Seconds that a connection is kept for the next call."""
Way: TypeAlias = tuple[str, str]
"""An origin, and the proxy by which it is reached."""
RECEIVE_BUFFER = 128 * 1024
"""Bytes that the kernel is asked to hold of a stream (Linux takes twice as many). Left alone, it grows
to 32 MiB for each reader that stalls.
"""


class Place(NamedTuple):
    """Where a URL leads: whom to connect to, and what to say there."""

    url: URL
    origin: str
    host: str
    target: str


class HttpTransport:
    """Use as an async context manager; ``connect`` is the seconds a connection may take, ``ca_file``
    a file of certificate authorities to trust besides the system's.
    """

    def __init__(self, *, connect: float = 10.0, ca_file: str = "") -> None:
        self._connect = connect
        self._ca_file = ca_file
        self._connectors: dict[str, aiohttp.TCPConnector] | None = None
        """By SOCKS proxy, which in aiohttp is a connector's; the empty one serves all other calls."""
        self._open: set[Connection] = set()
        self._idle: defaultdict[Way, deque[Connection]] = defaultdict(deque)
        """Who was used last is used next."""
        self._sweeping: asyncio.TimerHandle | None = None

    async def __aenter__(self) -> Self:
        self._loop = asyncio.get_running_loop()
        self._connectors = {"": _connector(None, trust.roots(self._ca_file))}
        return self

    async def __aexit__(self, *_: object) -> None:
        connectors, self._connectors = self._connectors or {}, None
        if self._sweeping is not None:
            self._sweeping.cancel()
        self._idle.clear()
        still_open = list(self._open)
        for connection in still_open:
            connection.abort()
        for connection in still_open:
            await connection.lost
        for connector in connectors.values():
            await connector.close()

    async def open(self, call: Call, /) -> "HttpReply":
        try:
            place = _place(call.url)
            head = _head(call, place)
        except ValueError as error:
            raise broken(error, call) from None
        way = (place.origin, call.proxy)
        kept = self._kept(way)
        if kept is not None:
            try:
                await kept.ask(head, call.body)
                return self._reply(kept, way, call)
            except Lost as lost:
                # A kept connection that the provider had already closed: nothing was answered, and
                # servers close idle connections only.
                if lost.answered:
                    raise no_answer(lost) from None
            except NotHTTP as error:
                raise no_answer(error) from None
        try:
            made = await self._connected(place.url, call.proxy)
        except FAILURES as error:
            raise broken(error, call) from None
        try:
            await made.ask(head, call.body)
        except (Lost, NotHTTP) as error:
            raise no_answer(error) from None
        return self._reply(made, way, call)

    def _reply(self, connection: Connection, way: Way, call: Call) -> "HttpReply":
        if connection.status == PROXY_WANTS_LOGIN and _is_forwarded(call):
            connection.abort()
            raise refused(call, connection.status)
        return HttpReply(connection, way, self.keep)

    # ── connections ──────────────────────────────────────────────────────────────────────────

    def _kept(self, way: Way) -> Connection | None:
        idle = self._idle.get(way)
        while idle:
            connection = idle.pop()
            if connection.idle:
                return connection
        return None

    def keep(self, connection: Connection, way: Way) -> None:
        """Have *connection* ready for the next call that goes its way, for a while."""
        if self._connectors is None:
            connection.abort()
            return
        connection.idle_since = self._loop.time()
        self._idle[way].append(connection)
        if self._sweeping is None:
            self._sweeping = self._loop.call_later(IDLE, self._sweep)

    def _sweep(self) -> None:
        """Close what was not used for long enough."""
        oldest = self._loop.time() - IDLE
        for way, idle in list(self._idle.items()):
            while idle and (idle[0].idle_since <= oldest or not idle[0].idle):
                idle.popleft().abort()
            if not idle:
                del self._idle[way]
        self._sweeping = self._loop.call_later(IDLE / 4, self._sweep) if self._idle else None

    async def _connected(self, url: URL, proxy: str) -> Connection:
        """A connection of our own, made by aiohttp, whose connector forgets it."""
        if self._connectors is None:
            raise RuntimeError("the transport is not open")
        socks = proxies.socks(proxy)
        name = proxy if socks else ""
        if name not in self._connectors:
            self._connectors[name] = _connector(socks, trust.roots(self._ca_file))
        request = aiohttp.ClientRequest(
            "GET",
            url,
            loop=self._loop,
            proxy=URL(proxy) if proxy and not socks else None,
        )
        timeout = aiohttp.ClientTimeout(total=None, connect=self._connect)
        made = await self._connectors[name].connect(request, [], timeout)
        handler = made.protocol
        transport = made.transport
        if handler is None or transport is None or transport.is_closing():
            made.close()
            raise aiohttp.ClientOSError
        connection = Connection(transport, handler)
        transport.set_protocol(connection)
        handler.transport = None  # what it does not have, it does not close
        made.close()
        self._open.add(connection)
        connection.lost.add_done_callback(lambda _: self._open.discard(connection))
        return connection


class HttpReply(Answer):
    """The answer on *connection*, which *keep* is given when all of it was read."""

    __slots__ = ("_closed", "_keep", "_way")

    def __init__(
        self, connection: Connection, way: Way, keep: Callable[[Connection, Way], None]
    ) -> None:
        super().__init__(connection)
        self._way = way
        self._keep = keep
        self._closed = False

    def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        if self._connection.usable:
            self._keep(self._connection, self._way)
        else:
            self._connection.abort()


def _connector(socks: proxies.Socks | None, roots: ssl.SSLContext) -> aiohttp.TCPConnector:
    if socks is None:
        return aiohttp.TCPConnector(
            limit=0, limit_per_host=0, ssl=roots, socket_factory=_bounded_socket
        )
    return ProxyConnector(
        host=socks.host,
        port=socks.port,
        username=socks.user,
        password=socks.password,
        rdns=socks.resolves,
        limit=0,
        limit_per_host=0,
        ssl=roots,
    )


def _bounded_socket(address: aiohttp.AddrInfoType) -> socket.socket:
    """A socket for *address*, before it is connected: later its window would be agreed already."""
    family, kind, protocol, _, _ = address
    made = socket.socket(family, kind, protocol)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
    return made


@lru_cache(maxsize=1024)
def _place(url: str) -> Place:
    """Where *url* leads.

    Raises:
        ValueError: nowhere.
    """
    parsed = URL(url)
    if not parsed.host or parsed.scheme not in ("http", "https"):
        raise aiohttp.InvalidURL(url)
    host = parsed.host_port_subcomponent or ""
    return Place(parsed, f"{parsed.scheme}://{host}", host, parsed.raw_path_qs)


def _head(call: Call, place: Place) -> bytes:
    """A request's head.

    Raises:
        ValueError: a header cannot be sent.
    """
    headers = {"host": place.host, "accept-encoding": "identity", **call.headers}
    target = place.target
    if _is_forwarded(call):
        proxy = URL(call.proxy)
        target = str(place.url)
        if proxy.user is not None:
            login = b64encode(f"{proxy.user}:{proxy.password or ''}".encode()).decode()
            headers["proxy-authorization"] = f"Basic {login}"
    if call.body or call.method not in _BODILESS:
        headers["content-length"] = str(len(call.body))
    return head(f"{call.method} {target} HTTP/1.1", tuple(headers), headers.values())


_BODILESS = ("GET", "HEAD", "DELETE", "OPTIONS")


def _is_forwarded(call: Call) -> bool:
    """Whether an HTTP proxy is asked for the answer itself, not for a tunnel to the provider."""
    return call.proxy.startswith("http") and call.url.startswith("http:")
