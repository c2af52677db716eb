"""The composition root: settings in, running parts out. The only room that knows every other."""

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
    Clock,
    Served,
    explanation,
    gateway,
    meanwhile,
    token_post,
)

__all__ = [
    "USER_AGENT",
    "Clock",
    "Served",
    "accounts_of",
    "allowed_hosts_of",
    "book_of",
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
    "with_profiles",
]
