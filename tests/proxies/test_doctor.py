"""The doctor's word on proxies, certificate authorities and the way to the providers."""

import asyncio
import threading
from contextlib import contextmanager

import pytest

from proxypal_core.cli import doctor
from proxypal_core.wire import jsonio
from tests.cli.home import Home
from tests.proxies.servers import Http, Socks5
from tests.running import free_port


@pytest.fixture
def home(tmp_path):
    home = Home(tmp_path)
    home.add("anthropic")
    return home


def findings(home, *arguments, **environment):
    result = home.program("doctor", "--json", *arguments, **environment)
    found = {}
    for row in jsonio.loads(result.stdout)["findings"]:
        found[row["topic"]] = f"{found.get(row['topic'], '')}{row['problem']} {row['remedy']} "
    return found


@contextmanager
def in_a_thread(*servers):
    """The *servers*, for a program that has an event loop of its own."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()

    def done(work):
        asyncio.run_coroutine_threadsafe(work, loop).result(10)

    try:
        for server in servers:
            done(server.__aenter__())
        yield
    finally:
        for server in servers:
            done(server.__aexit__())
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


def test_a_proxy_of_the_environment_is_told_where_the_settings_do_not_go_by_it(home):
    found = findings(home, HTTPS_PROXY="http://me:CANARY@127.0.0.1:9")

    assert "HTTPS_PROXY is set" in found["proxy"]
    assert "network.proxy: environment" in found["proxy"]


@pytest.mark.parametrize(
    ("environment", "found"), [({}, True), ({"ALL_PROXY": "http://127.0.0.1:9"}, False)]
)
def test_going_by_an_environment_without_a_proxy_is_told(home, environment, found):
    home.configure("network: {proxy: environment}")

    assert ("proxy" in findings(home, **environment)) is found


def test_a_file_of_authorities_that_cannot_be_read_is_told(home, tmp_path):
    home.configure(f"network: {{ca_file: '{tmp_path / 'none.pem'}'}}")

    assert "none.pem cannot be used: No such file" in findings(home)["settings"]


def test_a_file_of_authorities_without_any_is_told(home, tmp_path):
    (tmp_path / "empty.pem").write_text("nothing")
    home.configure(f"network: {{ca_file: '{tmp_path / 'empty.pem'}'}}")

    assert "empty.pem cannot be used" in findings(home)["settings"]


def test_a_system_that_trusts_nobody_is_told(home, monkeypatch):
    monkeypatch.setattr(doctor.trust, "is_empty", lambda _: True)

    assert "ca-certificates" in findings(home)["certificates"]


@pytest.mark.parametrize("kind", [Socks5, Http], ids=["SOCKS5", "HTTP"])
def test_a_provider_is_looked_for_by_its_accounts_own_ways(home, kind):
    proxy = kind(user="me", password="CANARY", refuses=0)
    dead = f"{kind.scheme}://me:CANARY@127.0.0.1:{free_port()}"
    provider = "{name: anthropic, dialect: anthropic, base_url: 'http://mine.invalid'}"
    with in_a_thread(proxy):
        home.configure(
            f"providers: [{provider}]\n"
            f"network: {{proxy: '{proxy.url}'}}\n"
            f"accounts: [{{id: 'anthropic:b', api_key: k, proxy: '{dead}'}}]"
        )
        found = findings(home, "--network")

    assert f"no connection to the proxy {kind.scheme}://127.0.0.1:" in found["network"]
    assert {asked.host for asked in proxy.asked} == {"mine.invalid"}
