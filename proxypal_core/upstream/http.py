"""Providers over HTTP, through one aiohttp session for the life of the process.

aiohttp's defaults suit a browser-like client; a proxy needs others: no cookies (accounts would
share them), no redirects (they would carry the key to another host), no limit of connections (the
101st stream would wait), no total timeout, no environment proxies.
"""

import io
import ssl
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Self

import aiohttp
from aiohttp_socks import ProxyConnector
from multidict import CIMultiDict

from proxypal_core.hub.failure import Kind
from proxypal_core.upstream import proxies, trust
from proxypal_core.upstream.http_failures import (
    FAILURES,
    PROXY_WANTS_LOGIN,
    Way,
    broken,
    is_unanswered,
    refused,
)
from proxypal_core.upstream.transport import Broken, Call

_LARGE = 1024 * 1024
READ_BUFFER = 64 * 1024
"""Bytes held for a reader that is slower than the provider, per stream (aiohttp holds twice)."""


class HttpTransport:
    """Use as an async context manager; ``connect`` is the seconds a connection may take, ``ca_file``
    a file of certificate authorities to trust besides the system's.
    """

    def __init__(self, *, connect: float = 10.0, ca_file: str = "") -> None:
        self._connect = connect
        self._ca_file = ca_file
        self._sessions: dict[str, aiohttp.ClientSession] | None = None
        """By SOCKS proxy, which in aiohttp is a connector's; the empty one serves all other calls."""

    async def __aenter__(self) -> Self:
        self._sessions = {"": self._session(None)}
        return self

    async def __aexit__(self, *_: object) -> None:
        sessions, self._sessions = self._sessions or {}, None
        for session in sessions.values():
            await session.close()

    def _session(self, socks: proxies.Socks | None) -> aiohttp.ClientSession:
        tracing = aiohttp.TraceConfig()
        tracing.on_connection_create_end.append(_mark_connected)
        tracing.on_connection_reuseconn.append(_mark_reused)
        return aiohttp.ClientSession(
            connector=_connector(socks, trust.roots(self._ca_file)),
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=None, connect=self._connect),
            read_bufsize=READ_BUFFER,
            skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding", "Content-Type"),
            trust_env=False,
            trace_configs=[tracing],
        )

    async def open(self, call: Call, /) -> "HttpReply":
        way = Way()
        try:
            return await self._send(call, way)
        except FAILURES as error:
            # A kept-alive connection that the provider had already closed: nothing was answered,
            # and servers close idle connections only. aiohttp repeats no POST by itself.
            if not (way.reused and is_unanswered(error)):
                raise broken(error, call, way) from None
        way = Way()
        try:
            return await self._send(call, way)
        except FAILURES as error:
            raise broken(error, call, way) from None

    async def _send(self, call: Call, way: Way) -> "HttpReply":
        if self._sessions is None:
            raise RuntimeError("the transport is not open")
        socks = proxies.socks(call.proxy)
        name = call.proxy if socks else ""
        if name not in self._sessions:
            self._sessions[name] = self._session(socks)
        response = await self._sessions[name].request(
            call.method,
            call.url,
            data=_payload(call.body),
            headers={"Accept-Encoding": "identity", **call.headers},
            proxy=None if socks else call.proxy or None,
            allow_redirects=False,
            trace_request_ctx=way,
        )
        forwarded = call.proxy and not socks and not call.url.startswith("https:")
        if forwarded and response.status == PROXY_WANTS_LOGIN:
            response.close()
            raise refused(call, response.status)
        return HttpReply(response)


def _connector(socks: proxies.Socks | None, roots: ssl.SSLContext) -> aiohttp.TCPConnector:
    if socks is None:
        return aiohttp.TCPConnector(limit=0, limit_per_host=0, ssl=roots)
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


class HttpReply:
    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self._response = response
        self.status = response.status
        self.headers: Mapping[str, str] = CIMultiDict(
            (name.lower(), value) for name, value in response.headers.items()
        )

    async def read(self) -> bytes:
        try:
            return await self._response.content.readany()
        except (aiohttp.ClientError, OSError, ValueError) as error:
            # ValueError: aiohttp raises it for a body that is not in its declared encoding.
            raise Broken(
                Kind.TRUNCATED, f"the provider's answer broke off ({type(error).__name__})"
            ) from None

    def close(self) -> None:
        if self._response.content.at_eof():
            self._response.release()
        else:
            self._response.close()


def _payload(body: bytes) -> bytes | io.BytesIO | None:
    """*body* as aiohttp should send it: a large one in pieces, so that others get their turn."""
    if len(body) > _LARGE:
        return io.BytesIO(body)
    return body or None


async def _mark_reused(
    _session: aiohttp.ClientSession, context: SimpleNamespace, _params: object
) -> None:
    context.trace_request_ctx.reused = True


async def _mark_connected(
    _session: aiohttp.ClientSession, context: SimpleNamespace, _params: object
) -> None:
    context.trace_request_ctx.connected = True
