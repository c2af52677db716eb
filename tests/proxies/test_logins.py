"""Token endpoints are asked by the way that the login's account takes."""

import pytest

from proxypal_core import app
from proxypal_core.hub.failure import Kind
from proxypal_core.settings.schema import Network
from proxypal_core.upstream.http import HttpTransport
from proxypal_core.upstream.transport import Broken
from tests.fault_server import Raw
from tests.proxies.servers import Http, Socks5
from tests.running import free_port

every_proxy = pytest.mark.parametrize("kind", [Socks5, Http], ids=["SOCKS5", "HTTP"])


@every_proxy
async def test_a_token_endpoint_is_asked_by_the_account_s_proxy_else_the_general_one(
    fault_server, kind
):
    fault_server.always(Raw(200, {}, [b"{}"]))
    async with kind() as general, kind(user="me", password="pw") as own, HttpTransport() as http:
        post = app.token_post(Network(proxy=general.url, no_proxy=""), http)
        through = []
        for proxy in ("", own.url, "direct"):
            await post(f"{fault_server.origin}/token", {"grant_type": "refresh_token"}, proxy)
            through.append((len(general.asked), len(own.asked)))

    assert through == [(1, 0), (1, 1), (1, 1)]
    assert len(fault_server.requests) == 3


@every_proxy
async def test_a_dead_proxy_means_that_the_endpoint_was_not_asked(kind):
    dead = f"{kind.scheme}://me:canary@127.0.0.1:{free_port()}"
    async with HttpTransport() as http:
        post = app.token_post(Network(proxy=dead), http)
        with pytest.raises(Broken) as caught:
            await post("https://provider.invalid/token", {})

    assert caught.value.failure.kind is Kind.UNREACHABLE
    assert "canary" not in caught.value.failure.message
