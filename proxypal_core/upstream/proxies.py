"""Which proxy a connection takes, and how a proxy is named to people.

The rules of ``no_proxy`` are those of curl (`lib/noproxy.c`), and three spellings more that Go's and
Python's clients take: a port, ``*.example.com``, and ``*`` beside other entries.
"""

import re
from collections.abc import Mapping
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

ENVIRONMENT = "environment"
"""What ``network.proxy`` says to go by the variables that other programs go by."""

_SOCKS_PORT = 1080
_PORTS: Mapping[str, int] = {
    "http": 80,
    "https": 443,
    "socks5": _SOCKS_PORT,
    "socks5h": _SOCKS_PORT,
}
# Not HTTP_PROXY: in a CGI program a client can set it, so curl reads it in small letters only.
_VARIABLES: Mapping[str, tuple[str, ...]] = {
    "http": ("http_proxy",),
    "https": ("https_proxy", "HTTPS_PROXY"),
}
_ANY_SCHEME = ("all_proxy", "ALL_PROXY")
_SEPARATORS = re.compile(r"[,\s]+")
_ENTRY = re.compile(r"(?:\[(?P<literal>[^\]]*)\]|(?P<name>[^:\[\]]*))(?::(?P<port>\d+))?")


class Socks(NamedTuple):
    """A SOCKS5 proxy; with ``resolves`` it looks names up itself."""

    host: str
    port: int
    user: str
    password: str
    resolves: bool


def socks(proxy: str) -> Socks | None:
    """*proxy*, a URL, when it is one of SOCKS5: as curl has it, ``socks5h`` leaves the looking up of
    names to the proxy, and ``socks5`` does not.
    """
    if not proxy.startswith(("socks5://", "socks5h://")):
        return None
    parts = urlsplit(proxy)
    return Socks(
        parts.hostname or "",
        parts.port or _SOCKS_PORT,
        unquote(parts.username or ""),
        unquote(parts.password or ""),
        resolves=parts.scheme == "socks5h",
    )


def shown(proxy: str) -> str:
    """*proxy*, a URL, without its user and password."""
    try:
        parts = urlsplit(proxy)
        port = parts.port or _PORTS.get(parts.scheme, 0)
    except ValueError:
        return "(not a URL)"
    host = parts.hostname or ""
    return f"{parts.scheme}://{f'[{host}]' if ':' in host else host}:{port}"


def chosen(url: str, proxy: str, no_proxy: str, environment: Mapping[str, str]) -> str:
    """The proxy for a connection to *url*, empty for none. *proxy* and *no_proxy* are the settings'."""
    if bypassed(url, no_proxy):
        return ""
    if proxy != ENVIRONMENT:
        return proxy
    if bypassed(url, _first(environment, ("no_proxy", "NO_PROXY"))):
        return ""
    names = (*_VARIABLES.get(urlsplit(url).scheme, ()), *_ANY_SCHEME)
    return _with_scheme(_first(environment, names))


def of_environment(environment: Mapping[str, str]) -> Mapping[str, str]:
    """Every proxy that the variables of *environment* name, by the variable."""
    names = (*(name for group in _VARIABLES.values() for name in group), *_ANY_SCHEME)
    return {name: _with_scheme(environment[name]) for name in names if environment.get(name)}


def bypassed(url: str, no_proxy: str) -> bool:
    """Whether *no_proxy*, a list of names, addresses and networks, has the host of *url*."""
    parts = urlsplit(url)
    host = (parts.hostname or "").removesuffix(".")
    port = parts.port or _PORTS.get(parts.scheme, 0)
    entries = filter(None, _SEPARATORS.split(no_proxy.lower()))
    return any(_fits(entry, host, port) for entry in entries)


def _fits(entry: str, host: str, port: int) -> bool:
    if entry == "*":
        return True
    named = _ENTRY.fullmatch(entry)
    if named and named["port"] and int(named["port"]) != port:
        return False
    # Where it does not match, it has more colons: an IPv6 address or network, which has no port.
    name = (named["literal"] or named["name"] or "") if named else entry
    address = _address(host)
    if address is None:
        domain = name.removeprefix("*").removeprefix(".").removesuffix(".")
        return bool(domain) and (host == domain or host.endswith(f".{domain}"))
    try:
        return address in ip_network(name, strict=False)
    except ValueError:
        return False


def _address(host: str) -> IPv4Address | IPv6Address | None:
    try:
        return ip_address(host)
    except ValueError:
        return None


def _first(environment: Mapping[str, str], names: tuple[str, ...]) -> str:
    return next((environment[name] for name in names if environment.get(name)), "")


def _with_scheme(proxy: str) -> str:
    return proxy if "://" in proxy or not proxy else f"http://{proxy}"
