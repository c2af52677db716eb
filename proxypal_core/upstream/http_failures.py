"""What went wrong with a call over HTTP, and whose trouble it is: the provider's, or the way's.

A connection that never came about is ``UNREACHABLE``, and so is all that a proxy does instead of
making one: it says nothing of the account's login, and the call may be placed elsewhere.
"""

import os
import socket
import ssl
from collections.abc import Mapping
from urllib.parse import urlsplit

import aiohttp
import msgspec
from aiohttp_socks import ProxyConnectionError, ProxyError, ProxyTimeoutError

from proxypal_core.hub.failure import Kind
from proxypal_core.upstream import proxies
from proxypal_core.upstream.connection import Lost, NotHTTP
from proxypal_core.upstream.transport import Broken, Call

# aiohttp says ValueError to a header or a URL that it cannot send; EOFError is of a SOCKS proxy that
# closes before it has said all.
FAILURES = (
    aiohttp.ClientError,
    OSError,
    ValueError,
    EOFError,
    ProxyConnectionError,
    ProxyError,
    ProxyTimeoutError,
)
PROXY_WANTS_LOGIN = 407


def no_answer(error: Lost | NotHTTP) -> Broken:
    """The call was sent, and may have been billed."""
    if isinstance(error, Lost) and not error.answered:
        return Broken(Kind.SERVER, "the provider closed the connection unanswered")
    return Broken(Kind.SERVER, "the provider did not answer in HTTP")


def broken(error: Exception, call: Call) -> Broken:
    """The call was not sent for *error*, which is left out: aiohttp's errors print headers."""
    if call.proxy:
        found = _before_the_proxy_let_through(error, call)
        if found is not None:
            return found
    match error:
        case aiohttp.ClientConnectorCertificateError(certificate_error=ssl.SSLError() as why):
            return _untrusted(f"{error.host}:{error.port}", why)
        case aiohttp.ClientConnectorSSLError():
            return Broken(Kind.UNREACHABLE, f"no TLS connection to {error.host}:{error.port}")
        case aiohttp.ClientConnectorDNSError():
            return Broken(Kind.UNREACHABLE, f"the host {error.host!r} has no address")
        case aiohttp.ClientConnectorError():
            code = error.os_error.errno
            reason = (
                os.strerror(code) if code else "no answer"
            )  # asyncio's text has the address again
            return Broken(Kind.UNREACHABLE, f"no connection to {error.host}:{error.port}: {reason}")
        case TimeoutError():
            return Broken(Kind.UNREACHABLE, "connecting to the provider took too long")
        case aiohttp.InvalidURL():
            return Broken(Kind.UNREACHABLE, "the provider's base_url is not a URL")
        case ValueError():
            return Broken(
                Kind.UNREACHABLE, "the account's headers, address or proxy cannot be used"
            )
        case _:
            return Broken(Kind.UNREACHABLE, f"no connection to {_host(call.url)}")


def _before_the_proxy_let_through(error: Exception, call: Call) -> Broken | None:
    """What *error* says of the call's proxy; None where the proxy is not to blame."""
    proxy, host = proxies.shown(call.proxy), _host(call.url)
    # aiohttp passes on what a SOCKS connector meets as a bare ClientOSError.
    match error.__cause__ if type(error) is aiohttp.ClientOSError else error:
        case aiohttp.ClientProxyConnectionError() | ProxyConnectionError():
            return _of_the_way(f"no connection to the proxy {proxy}")
        case aiohttp.ClientConnectorError():
            return None
        case ssl.SSLCertVerificationError() as why:
            return _untrusted(host, why)
        case ssl.SSLError():
            return _of_the_way(f"no TLS connection to {host} by the proxy {proxy}")
        case socket.gaierror():
            return Broken(Kind.UNREACHABLE, f"the host {host!r} has no address")
        case aiohttp.ClientHttpProxyError(status=status):
            return refused(call, status)
        case ProxyError(error_code=code):
            reason = _SOCKS_REPLIES.get(code or 0, "it refuses, or is not SOCKS5")
            return _of_the_way(f"the proxy {proxy} does not connect: {reason}")
        case TimeoutError() | ProxyTimeoutError():
            return _of_the_way(f"connecting by the proxy {proxy} took too long")
        case ValueError():
            return None
        case _:
            return _of_the_way(f"the proxy {proxy} broke off, or is not what its URL says")


# RFC 1928, section 6.
_SOCKS_REPLIES: Mapping[int, str] = {
    1: "it failed",
    2: "its rules forbid it",
    3: "it cannot reach that network",
    4: "it cannot reach that host",
    5: "the host refused the connection",
    6: "the host did not answer in time",
    7: "it cannot make connections",
    8: "it does not take this kind of address",
}


def _host(url: str) -> str:
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""


def refused(call: Call, status: int) -> Broken:
    """The HTTP proxy of *call* answers *status* instead of connecting."""
    why = "it wants another user and password" if status == PROXY_WANTS_LOGIN else "it refuses"
    return _of_the_way(f"the proxy {proxies.shown(call.proxy)} does not connect: {why} ({status})")


def _of_the_way(message: str) -> Broken:
    """The trouble of the account's way alone: others may reach the provider by theirs."""
    broken = Broken(Kind.UNREACHABLE, message)
    broken.failure = msgspec.structs.replace(broken.failure, scope="account")
    return broken


def _untrusted(server: str, why: Exception) -> Broken:
    reason = getattr(why, "verify_message", "") or "not trusted"
    return Broken(
        Kind.UNREACHABLE,
        f"the TLS certificate of {server} was not accepted: {reason}. If a company's proxy looks"
        " into TLS, name its root certificate in network.ca_file",
    )
