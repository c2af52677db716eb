"""The composition root: settings in, running parts out. The only room that knows every other.

A name is imported when it is first used (PEP 562): most commands want to know what the settings come
to, and need not wait for the servers and clients of the daemon.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from proxypal_core.app.clock import Clock
    from proxypal_core.app.configured import (
        accounts_of,
        allowed_hosts_of,
        book_of,
        client_keys_of,
        hindrance,
        ladders_of,
        providers_of,
        proxy_for,
        routes_of,
        secrets_of,
        with_profiles,
    )
    from proxypal_core.app.serving import (
        USER_AGENT,
        Served,
        explanation,
        gateway,
        meanwhile,
        token_post,
    )
    from proxypal_core.app.sharing import cannot_share, unreachable

__all__ = [
    "USER_AGENT",
    "Clock",
    "Served",
    "accounts_of",
    "allowed_hosts_of",
    "book_of",
    "cannot_share",
    "client_keys_of",
    "explanation",
    "gateway",
    "hindrance",
    "ladders_of",
    "meanwhile",
    "providers_of",
    "proxy_for",
    "routes_of",
    "secrets_of",
    "token_post",
    "unreachable",
    "with_profiles",
]

_ROOMS = {
    "clock": {"Clock"},
    "serving": {"USER_AGENT", "Served", "explanation", "gateway", "meanwhile", "token_post"},
    "sharing": {"cannot_share", "unreachable"},
}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    place = next((room for room, names in _ROOMS.items() if name in names), "configured")
    return getattr(import_module(f"{__name__}.{place}"), name)
