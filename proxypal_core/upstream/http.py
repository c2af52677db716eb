"""Providers over HTTP, through one aiohttp session for the life of the process.

aiohttp's defaults suit a browser-like client; a proxy needs others: no cookies (accounts would
share them), no redirects (they would carry the key to another host), no limit of connections (the
101st stream would wait), no total timeout, no environment proxies.
"""

import io
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Self

import aiohttp
from multidict import CIMultiDict

from proxypal_core.hub.failure import Kind
from proxypal_core.upstream.transport import Broken, Call

_LARGE = 1024 * 1024
READ_BUFFER = 64 * 1024
"""Bytes held for a reader that is slower than the provider, per stream (aiohttp holds twice)."""


class HttpTransport:
    """Use as an async context manager; ``connect`` is the seconds a connection may take."""

    def __init__(self, *, connect: float = 10.0) -> None:
        self._connect = connect
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        tracing = aiohttp.TraceConfig()
        tracing.on_connection_reuseconn.append(_mark_reused)
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, limit_per_host=0),
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=None, connect=self._connect),
            read_bufsize=READ_BUFFER,
            skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding", "Content-Type"),
            trust_env=False,
            trace_configs=[tracing],
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._session is not None:
            await self._session.close()

    async def open(self, call: Call, /) -> "HttpReply":
        reused = SimpleNamespace(connection=False)
        try:
            return await self._send(call, reused)
        except _FAILURES as error:
            # A kept-alive connection that the provider had already closed: nothing was answered,
            # and servers close idle connections only. aiohttp repeats no POST by itself.
            if not (reused.connection and _is_unanswered(error)):
                raise _broken(error) from None
        try:
            return await self._send(call, reused)
        except _FAILURES as error:
            raise _broken(error) from None

    async def _send(self, call: Call, reused: SimpleNamespace) -> "HttpReply":
        if self._session is None:
            raise RuntimeError("the transport is not open")
        response = await self._session.request(
            call.method,
            call.url,
            data=_payload(call.body),
            headers={"Accept-Encoding": "identity", **call.headers},
            proxy=call.proxy or None,
            allow_redirects=False,
            trace_request_ctx=reused,
        )
        return HttpReply(response)


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


# aiohttp says ValueError to a header or a URL that it cannot send.
_FAILURES = (aiohttp.ClientError, OSError, ValueError)


def _is_unanswered(error: Exception) -> bool:
    """Whether the connection ended before anything of an answer had come."""
    if isinstance(error, aiohttp.ServerDisconnectedError):
        return isinstance(error.message, str)  # else it is what had come of the answer's head
    return isinstance(error, (aiohttp.ClientOSError, aiohttp.ClientConnectionResetError))


def _payload(body: bytes) -> bytes | io.BytesIO | None:
    """*body* as aiohttp should send it: a large one in pieces, so that others get their turn."""
    if len(body) > _LARGE:
        return io.BytesIO(body)
    return body or None


def _broken(error: Exception) -> Broken:
    """*error* without its text: aiohttp's errors print the request's headers."""
    match error:
        case aiohttp.ClientConnectorCertificateError():
            return Broken(Kind.UNREACHABLE, "the provider's TLS certificate was not accepted")
        case aiohttp.ClientConnectorSSLError():
            return Broken(Kind.UNREACHABLE, f"no TLS connection to {error.host}:{error.port}")
        case aiohttp.ClientConnectorDNSError():
            return Broken(Kind.UNREACHABLE, f"the host {error.host!r} has no address")
        case aiohttp.ClientProxyConnectionError():
            return Broken(Kind.UNREACHABLE, "no connection to the account's proxy")
        case aiohttp.ClientHttpProxyError():
            return Broken(Kind.UNREACHABLE, f"the account's proxy refuses ({error.status})")
        case aiohttp.ClientConnectorError():
            reason = error.os_error.strerror or "no connection"
            return Broken(Kind.UNREACHABLE, f"no connection to {error.host}:{error.port}: {reason}")
        case aiohttp.ConnectionTimeoutError():
            return Broken(Kind.UNREACHABLE, "connecting to the provider took too long")
        case aiohttp.InvalidURL():
            return Broken(Kind.UNREACHABLE, "the provider's base_url is not a URL")
        case ValueError():
            return Broken(Kind.UNREACHABLE, "the account's headers or address cannot be sent")
        case _ if _is_unanswered(error):
            return Broken(Kind.SERVER, "the provider closed the connection unanswered")
        case _:
            return Broken(
                Kind.SERVER, f"the provider did not answer in HTTP ({type(error).__name__})"
            )


async def _mark_reused(
    _session: aiohttp.ClientSession, context: SimpleNamespace, _params: object
) -> None:
    context.trace_request_ctx.connection = True
