"""Calls through real proxies: who connects where, who looks names up, and whose fault a failure is."""

import asyncio
import socket
import ssl
import traceback
from contextlib import asynccontextmanager

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxypal_core.hub.failure import Kind
from proxypal_core.upstream.http import HttpTransport
from proxypal_core.upstream.transport import Broken, Call
from tests.certificate import self_signed
from tests.fault_server import SCENARIOS
from tests.fault_server.transcripts import DIALECTS
from tests.proxies.servers import Http, Server, Socks5
from tests.running import free_port

KEY = "canary-of-an-account-4711"
PASSWORD = "canary:of@a/proxy"
TEXT = b"".join(DIALECTS["openai-chat"].frames(SCENARIOS["text"], "m"))
STREAM = b'{"model":"m","stream":true,"stream_options":{"include_usage":true},"messages":[]}'
OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"

every_proxy = pytest.mark.parametrize("kind", [Socks5, Http], ids=["SOCKS5", "HTTP"])


@pytest.fixture
async def http():
    async with HttpTransport(connect=5) as transport:
        yield transport


def call(origin, proxy):
    headers = {"authorization": f"Bearer {KEY}", "content-type": "application/json"}
    return Call("POST", f"{origin}/v1/chat/completions", headers, STREAM, proxy)


async def answer(http, asked):
    reply = await http.open(asked)
    pieces = []
    try:
        while piece := await reply.read():
            pieces.append(piece)
    finally:
        reply.close()
    return b"".join(pieces)


async def failure_of(http, asked):
    """How *asked* fails, having checked that no way to print the failure shows a secret."""
    with pytest.raises(Broken) as caught:
        await http.open(asked)
    told = "".join(traceback.format_exception(caught.value)) + repr(caught.value.failure)
    assert KEY not in told
    assert "canary" not in told
    assert caught.value.__suppress_context__ or caught.value.__context__ is None
    return caught.value.failure


async def _ok(reader, writer):
    head = await reader.readuntil(b"\r\n\r\n")
    length = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
    await reader.readexactly(length)
    writer.write(OK)
    await writer.drain()


@asynccontextmanager
async def plain_server(address="127.0.0.1", tls=None):
    async with Server(_ok, address=address, tls=tls) as server:
        yield server.port


@asynccontextmanager
async def secure_server(folder, address="127.0.0.1"):
    """The port of a server over TLS, and the file with its own authority."""
    files = self_signed(folder)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(*files)
    async with plain_server(address, context) as port:
        yield port, files.cert


# ── laws ─────────────────────────────────────────────────────────────────────────────────────

_hellos = st.sampled_from(
    [b"", b"\x05\x00", b"\x05\x02", b"\x05\xff", b"\x05\x00\x05\x00\x00", b"HTTP/1.1 ", b"\x04"]
)
_tails = st.one_of(st.binary(max_size=40), st.sampled_from([b"\x01", b"\x03\x04", b"\x04"]))


@given(
    st.sampled_from(["http", "socks5", "socks5h"]),
    st.sampled_from(["http", "https"]),
    _hellos,
    _tails,
)
def test_whatever_bytes_a_proxy_sends_the_failure_is_a_broken_call(scheme, target, hello, tail):
    async def serve(reader, writer):
        await reader.read(4096)
        writer.write(hello + tail)

    async def ask():
        async with Server(serve) as server, HttpTransport(connect=5) as http:
            proxy = f"{scheme}://me:pw@127.0.0.1:{server.port}"
            with pytest.raises(Broken) as caught:
                await answer(http, call(f"{target}://127.0.0.1:9", proxy))
            return caught.value.failure

    failure = asyncio.run(ask())

    # A plain call by HTTP is the proxy's to forward: what it says then may be the provider's.
    if target == "https" or scheme != "http":
        assert failure.kind is Kind.UNREACHABLE
        assert "pw" not in failure.message


# ── the way there ────────────────────────────────────────────────────────────────────────────


@every_proxy
async def test_a_call_goes_through_the_proxy_that_it_names(http, fault_server, kind):
    async with kind() as proxy:
        body = await answer(http, call(fault_server.origin, proxy.url))

    assert body == TEXT
    assert [(asked.host, asked.port) for asked in proxy.asked] == [
        ("127.0.0.1", int(fault_server.origin.rpartition(":")[2]))
    ]


@every_proxy
async def test_a_call_without_a_proxy_goes_straight_though_others_have_one(
    http, fault_server, kind
):
    async with kind() as proxy:
        await answer(http, call(fault_server.origin, proxy.url))
        body = await answer(http, call(fault_server.origin, ""))

    assert body == TEXT
    assert len(proxy.asked) == 1
    assert len(fault_server.requests) == 2


@every_proxy
async def test_two_proxies_are_not_mixed_up(http, fault_server, kind):
    async with kind() as one, kind(user="me", password=PASSWORD) as other:
        for _ in range(2):
            await answer(http, call(fault_server.origin, one.url))
            await answer(http, call(fault_server.origin, other.url))

    assert {asked.user for asked in one.asked} == {""}
    assert {asked.user for asked in other.asked} == {"me"}


@every_proxy
async def test_two_logins_at_one_proxy_do_not_share_a_connection(http, fault_server, kind):
    async with kind() as proxy:
        for user in ("a", "b"):
            await answer(http, call(fault_server.origin, proxy.url_for(user, "x")))

    assert len(proxy.asked) == 2


@pytest.mark.parametrize("kind", [Socks5, Http], ids=["SOCKS5", "HTTP"])
async def test_the_proxy_is_shown_user_and_password(http, fault_server, kind):
    async with kind(user="me", password=PASSWORD) as proxy:
        body = await answer(http, call(fault_server.origin, proxy.url))

    assert body == TEXT
    assert proxy.asked[0].password == PASSWORD


@pytest.mark.parametrize("scheme", ["socks5h", "http"])
async def test_the_proxy_looks_the_name_up(http, fault_server, scheme):
    port = int(fault_server.origin.rpartition(":")[2])
    kind = Socks5 if scheme == "socks5h" else Http
    async with kind(hosts={"provider.invalid": ("127.0.0.1", port)}) as proxy:
        body = await answer(http, call("http://provider.invalid", proxy.url))

    assert body == TEXT
    assert proxy.asked[0].host == "provider.invalid"


async def test_with_socks5_the_name_is_looked_up_here(http, fault_server):
    port = fault_server.origin.rpartition(":")[2]
    async with Socks5(address="127.0.0.1", hosts={"::1": ("127.0.0.1", int(port))}) as proxy:
        url = proxy.url.replace("socks5h:", "socks5:")
        body = await answer(http, call(f"http://localhost:{port}", url))

    assert body == TEXT
    assert proxy.asked[0].host in ("127.0.0.1", "::1")


async def test_a_name_that_is_unknown_here_is_said_so(http, monkeypatch):
    async with Socks5() as proxy:
        url = proxy.url.replace("socks5h:", "socks5:")
        failure = await failure_of(http, call("http://provider.invalid", url))

    assert failure.kind is Kind.UNREACHABLE
    assert "'provider.invalid' has no address" in failure.message
    assert proxy.asked == []


async def test_a_stream_of_many_pieces_comes_whole_through_socks(http, fault_server):
    async with Socks5() as proxy:
        bodies = await asyncio.gather(
            *(answer(http, call(fault_server.origin, proxy.url)) for _ in range(20))
        )

    assert set(bodies) == {TEXT}


# ── TLS ──────────────────────────────────────────────────────────────────────────────────────


@every_proxy
async def test_tls_goes_through_the_proxy_to_the_provider(tmp_path, kind):
    async with (
        secure_server(tmp_path) as (port, cert),
        kind(hosts={"localhost": ("127.0.0.1", port)}) as proxy,
        HttpTransport(connect=5, ca_file=cert) as http,
    ):
        body = await answer(http, call(f"https://localhost:{port}", proxy.url))

    assert body == b"ok"
    assert [(asked.command, asked.host) for asked in proxy.asked] == [("CONNECT", "localhost")]


@every_proxy
async def test_a_certificate_that_is_not_trusted_is_told_with_what_to_do(http, tmp_path, kind):
    async with secure_server(tmp_path) as (port, _), kind() as proxy:
        failure = await failure_of(http, call(f"https://127.0.0.1:{port}", proxy.url))

    assert failure.kind is Kind.UNREACHABLE
    assert "127.0.0.1" in failure.message
    assert "was not accepted: self-signed certificate" in failure.message
    assert "network.ca_file" in failure.message


@every_proxy
async def test_a_certificate_of_another_name_is_not_accepted(tmp_path, kind):
    async with (
        secure_server(tmp_path) as (port, cert),
        kind(hosts={"other.invalid": ("127.0.0.1", port)}) as proxy,
        HttpTransport(connect=5, ca_file=cert) as http,
    ):
        failure = await failure_of(http, call("https://other.invalid", proxy.url))

    assert "was not accepted: Hostname mismatch" in failure.message


async def test_a_proxy_itself_may_be_reached_over_tls(tmp_path):
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    async with secure_server(tmp_path) as (port, cert):
        context.load_cert_chain(cert, cert.replace("cert.pem", "key.pem"))
        async with (
            Http(tls=context, user="me", password=PASSWORD) as proxy,
            HttpTransport(connect=5, ca_file=cert) as http,
        ):
            body = await answer(http, call(f"https://127.0.0.1:{port}", proxy.url))

    assert proxy.url.startswith("https://")
    assert body == b"ok"
    assert proxy.asked[0].command == "CONNECT"


# ── a proxy's failures are nobody's login ────────────────────────────────────────────────────


@pytest.mark.parametrize("target", ["http", "https"])
@every_proxy
async def test_a_proxy_that_is_not_there_is_named_without_its_password(http, kind, target):
    where = f"127.0.0.1:{free_port()}"
    proxy = f"{kind.scheme}://canary-user:canary@{where}"

    failure = await failure_of(http, call(f"{target}://provider.invalid", proxy))

    assert failure.kind is Kind.UNREACHABLE
    assert f"no connection to the proxy {kind.scheme}://{where}" in failure.message
    assert failure.scope == "account"  # others may reach the provider by their own ways


@pytest.mark.parametrize("target", ["http", "https"])
@every_proxy
async def test_a_proxy_that_wants_another_password_is_no_refused_login(http, kind, target):
    async with kind(user="me", password="right") as proxy:
        wrong = proxy.url_for("me", PASSWORD)
        failure = await failure_of(http, call(f"{target}://127.0.0.1:9", wrong))

    assert failure.kind is Kind.UNREACHABLE
    assert f"the proxy {kind.scheme}://127.0.0.1:{proxy.port} does not connect" in failure.message


@pytest.mark.parametrize(
    ("kind", "refuses", "words"),
    [
        (Socks5, 2, "rules forbid"),
        (Socks5, 4, "cannot reach"),
        (Socks5, 99, "refuses"),
        (Http, 403, "403"),
        (Http, 502, "502"),
    ],
)
async def test_a_proxy_that_does_not_connect_says_why(http, kind, refuses, words):
    async with kind(refuses=refuses) as proxy:
        failure = await failure_of(http, call("https://provider.invalid", proxy.url))

    assert failure.kind is Kind.UNREACHABLE
    assert words in failure.message


@every_proxy
async def test_a_proxy_that_says_nothing_is_given_up_on(kind):
    async def silent(reader, writer):
        await reader.read()

    async with Server(silent) as server, HttpTransport(connect=0.05) as http:
        proxy = f"{kind.scheme}://127.0.0.1:{server.port}"
        failure = await failure_of(http, call("https://provider.invalid", proxy))

    assert failure.kind is Kind.UNREACHABLE
    assert f"connecting by the proxy {proxy} took too long" in failure.message


# ── IPv6 ─────────────────────────────────────────────────────────────────────────────────────


async def test_a_provider_at_an_ipv6_address_is_reached(http, ipv6):
    async with plain_server("::1") as port:
        body = await answer(http, call(f"http://[::1]:{port}", ""))

    assert body == b"ok"


@every_proxy
async def test_a_proxy_at_an_ipv6_address_leads_to_an_ipv6_address(http, ipv6, kind):
    async with plain_server("::1") as port, kind(address="::1") as proxy:
        body = await answer(http, call(f"http://[::1]:{port}", proxy.url))

    assert body == b"ok"
    assert (proxy.asked[0].host, proxy.asked[0].port) == ("::1", port)


@every_proxy
async def test_an_ipv6_address_is_connected_to_over_tls(http, tmp_path, ipv6, kind):
    async with secure_server(tmp_path, "::1") as (port, _), kind() as proxy:
        failure = await failure_of(http, call(f"https://[::1]:{port}", proxy.url))

    assert proxy.asked[0][:2] == ("::1", port)
    assert "was not accepted" in failure.message


async def test_a_name_with_a_dead_ipv6_address_is_reached_by_its_other_one(http, monkeypatch, ipv6):
    loop = asyncio.get_running_loop()
    async with plain_server("127.0.0.1") as port:
        dead = (socket.AF_INET6, socket.SOCK_STREAM, 6, "", ("::1", port, 0, 0))
        good = (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))

        async def both(*_arguments, **_options):
            return [dead, good]

        monkeypatch.setattr(loop, "getaddrinfo", both)
        body = await answer(http, call(f"http://provider.invalid:{port}", ""))

    assert body == b"ok"
