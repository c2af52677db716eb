"""Files that a request points to, for providers that take only bytes.

The address is a stranger's choice, and must not lead into this machine, its network or its cloud.
What is judged is the address that a socket is about to connect to, after every look-up and at every
redirect: a name cannot lead one way while it is judged and another way when it is used.
"""

import asyncio
import base64
import socket
from collections.abc import Callable, Iterable, Mapping
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Self, TypeAlias

import aiohttp
from aiohttp.abc import AbstractResolver
from yarl import URL

from proxypal_core.hub.failure import invalid
from proxypal_core.hub.inline import shown
from proxypal_core.hub.messages import Base64
from proxypal_core.upstream import trust

Address: TypeAlias = IPv4Address | IPv6Address

AT_A_TIME = 4
MAX_BYTES = 20 * 1024 * 1024
TIMEOUT = 10.0
_REDIRECTS = 3
_MOVED = (301, 302, 303, 307, 308)
_TYPES = ("image/", "audio/", "video/", "text/", "application/pdf")

# What `ipaddress` calls global, in one Python or another, and nobody's public server is.
_NOT_PUBLIC = tuple(
    ip_network(text)
    for text in (
        "100.64.0.0/10",  # shared by the customers of a carrier; some clouds' metadata
        "168.63.129.16/32",  # Azure's host, from inside a virtual machine
        "192.0.0.0/24",  # protocol assignments; Oracle Cloud's metadata
        "192.88.99.0/24",  # 6to4 relays
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",  # reserved, broadcast
        "2001::/23",  # Teredo and other protocol assignments
        "2002::/16",  # 6to4, which wraps an IPv4 address
        "3fff::/20",  # documentation
    )
)
_UNICAST = ip_network("2000::/3")
"""All public IPv6; outside are the IPv4-mapped and -compatible addresses, and NAT64."""


def is_public(address: Address) -> bool:
    """Whether *address* can only be that of a server on the public internet."""
    if address.version == 6 and address not in _UNICAST:
        return False
    return address.is_global and not any(address in network for network in _NOT_PUBLIC)


class Fetcher:
    """Use as an async context manager.

    *max_bytes* and *timeout* (seconds) are for all files of one request together; *allow* says
    which addresses may be connected to; *ca_file* is the authorities to trust besides the system's.
    """

    def __init__(
        self,
        *,
        agent: str,
        max_bytes: int = MAX_BYTES,
        timeout: float = TIMEOUT,
        allow: Callable[[Address], bool] = is_public,
        resolver: AbstractResolver | None = None,
        ca_file: str = "",
    ) -> None:
        self._agent = agent
        self._max_bytes = max_bytes
        self._timeout = timeout
        self._allow = allow
        self._resolver = resolver
        self._ca_file = ca_file
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                ssl=trust.roots(self._ca_file),
                resolver=self._resolver,
                socket_factory=self._guarded_socket,
                use_dns_cache=False,
                force_close=True,
            ),
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=None),
            headers={"User-Agent": self._agent, "Accept-Encoding": "identity"},
            trust_env=False,
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._session is not None:
            await self._session.close()

    async def fetch(self, urls: Iterable[str]) -> Mapping[str, Base64]:
        """The files at *urls*.

        Raises:
            Refused: ``INVALID``, naming one that cannot be had and why.
        """
        bounds = _Bounds(self._max_bytes, self._timeout)
        try:
            async with asyncio.TaskGroup() as group:
                files = {
                    url: group.create_task(self._file(url, bounds)) for url in dict.fromkeys(urls)
                }
        except BaseExceptionGroup as failed:
            raise failed.exceptions[0] from None
        return {url: file.result() for url, file in files.items()}

    async def _file(self, url: str, bounds: "_Bounds") -> Base64:
        try:
            async with asyncio.timeout_at(bounds.deadline), bounds.slots:
                return await self._follow(url, bounds)
        except _Unfit as unfit:
            reason = str(unfit)
        except TimeoutError:
            reason = f"it did not come within {self._timeout:g} seconds"
        except (aiohttp.ClientError, OSError, ValueError) as error:
            reason = _reason(error)
        raise invalid(f"{shown(url)} cannot be fetched: {reason}; send the file itself")

    async def _follow(self, url: str, bounds: "_Bounds") -> Base64:
        if self._session is None:
            raise RuntimeError("the fetcher is not open")
        at = URL(url)
        for _ in range(1 + _REDIRECTS):
            async with self._session.get(_checked(at), allow_redirects=False) as answer:
                if answer.status not in _MOVED:
                    return await _read(answer, bounds)
                at = at.join(URL(answer.headers.get("Location", "")))
        raise _Unfit(f"it redirects more than {_REDIRECTS} times")

    def _guarded_socket(self, to: aiohttp.AddrInfoType) -> socket.socket:
        """The socket for a connection *to* an address, made only when that is allowed."""
        family, kind, protocol, _, address = to
        if not self._allow(ip_address(address[0])):
            raise PermissionError("not a public address")
        return socket.socket(family, kind, protocol)


class _Unfit(Exception):
    """Why a file is not taken."""


class _Bounds:
    """What the files of one request may take together."""

    def __init__(self, size: int, timeout: float) -> None:
        self.slots = asyncio.Semaphore(AT_A_TIME)
        self.deadline = asyncio.get_running_loop().time() + timeout
        self._size = size
        self._left = size

    def check(self, size: int) -> None:
        if size > self._left:
            raise _Unfit(f"the files of a request may have {self._size} bytes together")

    def take(self, size: int) -> None:
        self.check(size)
        self._left -= size


def _checked(url: URL) -> URL:
    if url.scheme not in ("http", "https") or not url.host:
        raise _Unfit("only http and https addresses are fetched")
    if url.user is not None or url.password is not None:
        raise _Unfit("an address with a user name or password in it is not fetched")
    return url


async def _read(answer: aiohttp.ClientResponse, bounds: _Bounds) -> Base64:
    if answer.status != 200:
        raise _Unfit(f"the server answers {answer.status}")
    mime = answer.content_type.lower()
    if not mime.startswith(_TYPES):
        raise _Unfit(f"files of type {mime} are not passed on")
    bounds.check(answer.content_length or 0)
    pieces: list[bytes] = []
    async for piece in answer.content.iter_any():
        bounds.take(len(piece))
        pieces.append(piece)
    return Base64(mime, base64.b64encode(b"".join(pieces)).decode())


def _reason(error: Exception) -> str:
    """What is told of *error*: the same for every address that is not reached, so that nobody
    learns which names and ports exist behind us.
    """
    match error:
        case aiohttp.ClientConnectorCertificateError() | aiohttp.ClientConnectorSSLError():
            return "its server offers no trusted TLS"
        case aiohttp.ClientConnectorError():
            return "it has no public address that answers"
        case aiohttp.InvalidURL() | ValueError():
            return "it is not a valid address"
        case _:
            return "the connection broke off"
