"""Accounts and their proxies, in the whole program: who goes through one, who does not, and what it
means for an account that its proxy does not work.
"""

import pytest
from click.testing import CliRunner

from proxypal_core import app
from proxypal_core.app.configured import proxies_of
from proxypal_core.cli.main import main
from proxypal_core.hub.failure import Kind
from proxypal_core.settings.parse import SettingsError, parse
from tests.gateway.asking import ask
from tests.proxies.servers import Http, Socks5
from tests.proxy import proxy as running
from tests.running import free_port

PASSWORD = "canary:of@a/proxy"

every_proxy = pytest.mark.parametrize("kind", [Socks5, Http], ids=["SOCKS5", "HTTP"])


def config(fault_server, *accounts, network="{}"):
    rows = "".join(
        f"  - {{id: 'mine:{name}', api_key: key-of-{name}, prefix: {name}, proxy: '{own}'}}\n"
        for name, own in accounts
    )
    return (
        "providers:\n"
        "  - {name: mine, dialect: openai-chat, models: [m-1],"
        f" base_url: '{fault_server.url('openai-chat')}'}}\n"
        f"accounts:\n{rows}network: {network}\n"
    )


async def asked(p, model):
    status, headers, body, _ = await ask(p, "openai-chat", model)
    assert b"canary" not in body
    assert "canary" not in str(headers)
    return status, body


# ── who goes where ───────────────────────────────────────────────────────────────────────────


@every_proxy
async def test_an_account_goes_through_its_own_proxy_and_one_with_direct_does_not(
    fault_server, kind
):
    async with kind() as general, kind(user="me", password=PASSWORD) as own:
        settings = config(
            fault_server,
            ("usual", ""),
            ("own", own.url),
            ("direct", "direct"),
            network=f"{{proxy: '{general.url}', no_proxy: ''}}",
        )
        async with running(settings) as p:
            through = {}
            for name in ("usual", "own", "direct"):
                before = len(general.asked), len(own.asked)
                status, _ = await asked(p, f"{name}/m-1")
                assert status == 200
                through[name] = (len(general.asked) - before[0], len(own.asked) - before[1])

    assert through == {"usual": (1, 0), "own": (0, 1), "direct": (0, 0)}
    assert len(fault_server.requests) == 3


async def test_hosts_of_no_proxy_are_reached_without_the_general_proxy(fault_server):
    async with Http() as general:
        network = f"{{proxy: '{general.url}', no_proxy: 127.0.0.0/8}}"
        async with running(config(fault_server, ("a", ""), network=network)) as p:
            status, _ = await asked(p, "m-1")

    assert status == 200
    assert general.asked == []


@pytest.mark.parametrize(("setting", "through"), [("environment", 1), ("''", 0)])
async def test_the_environment_s_proxy_is_taken_only_where_the_settings_say_so(
    fault_server, monkeypatch, setting, through
):
    async with Http(user="me", password=PASSWORD) as general:
        monkeypatch.setenv("http_proxy", general.url)
        network = f"{{proxy: {setting}, no_proxy: ''}}"
        async with running(config(fault_server, ("a", ""), network=network)) as p:
            status, _ = await asked(p, "m-1")

    assert status == 200
    assert len(general.asked) == through


async def test_another_proxy_is_taken_from_the_next_request_on(fault_server):
    async with Http() as one, Socks5() as other:
        text = [config(fault_server, ("a", each.url)) for each in (one, other)]
        async with running(text[0]) as p:
            await asked(p, "m-1")
            p.reload(parse(text[1], {}))
            status, _ = await asked(p, "m-1")

    assert status == 200
    assert (len(one.asked), len(other.asked)) == (1, 1)


# ── a proxy that does not work ───────────────────────────────────────────────────────────────


@every_proxy
async def test_the_account_of_a_dead_proxy_is_left_for_another(fault_server, kind):
    dead = f"{kind.scheme}://127.0.0.1:{free_port()}"
    text = config(fault_server, ("dead", dead), ("alive", "direct")).replace(
        "network:", "routing: {strategy: fill_first}\nnetwork:"
    )
    async with running(text) as p:
        status, headers, _, _ = await ask(p, "openai-chat", "m-1")

    assert status == 200
    assert headers["x-proxypal-attempts"] == "2"
    assert [request.key for request in fault_server.requests] == ["key-of-alive"]


@every_proxy
async def test_a_refused_proxy_login_is_not_the_account_s(fault_server, kind):
    async with kind(user="me", password="right") as own:
        text = config(fault_server, ("a", own.url_for("me", PASSWORD)))
        async with running(text) as p:
            status, body = await asked(p, "m-1")
            (standing,) = [
                each
                for each in p.gateway.front.services.pool.standings
                if each.account.id == "mine:a"
            ]

    assert status >= 500
    assert f"the proxy {kind.scheme}://127.0.0.1:{own.port}".encode() in body
    assert standing.health.reason != Kind.AUTH.value
    assert fault_server.requests == []


@every_proxy
async def test_a_dead_proxy_of_one_account_is_not_the_provider_s_trouble(fault_server, kind):
    dead = f"{kind.scheme}://127.0.0.1:{free_port()}"
    text = config(fault_server, ("dead", dead), ("alive", "direct")).replace(
        "network:",
        "routing: {strategy: fill_first}\nmodels: [{name: both, route: [mine/m-1, demo/echo]}]\nnetwork:",
    )
    async with running(text) as p:
        for _ in range(8):
            status, headers, _, _ = await ask(p, "openai-chat", "both")
            assert status == 200
            assert headers["x-proxypal-model"] == "mine/m-1"

    assert {request.key for request in fault_server.requests} == {"key-of-alive"}


# ── settings ─────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("proxy", "good"),
    [
        ("http://proxy.example:3128", True),
        ("https://me:pw@proxy.example", True),
        ("socks5://127.0.0.1:1080", True),
        ("socks5h://me:pw@[::1]:1080", True),
        ("socks4://127.0.0.1", False),
        ("proxy.example:3128", False),
        ("http://", False),
        ("http://proxy.example:99999", False),
        ("http://[::1", False),
    ],
)
def test_a_proxy_that_cannot_be_one_is_told_before_anything_starts(proxy, good):
    text = (
        f"network: {{proxy: '{proxy}'}}\n"
        f"accounts: [{{id: 'openai:a', api_key: k, proxy: '{proxy}'}}]"
    )
    problems = {}
    try:
        parse(text, {})
    except SettingsError as error:
        problems = {problem.path: str(problem) for problem in error.problems}

    assert set(problems) == (set() if good else {"network.proxy", "accounts[0].proxy"})
    assert all("SOCKS5" in problem for problem in problems.values())


def test_only_the_general_proxy_may_be_the_environment_s():
    parse("network: {proxy: environment}", {})

    with pytest.raises(SettingsError, match=r"accounts\[0\]\.proxy"):
        parse("accounts: [{id: 'openai:a', api_key: k, proxy: environment}]", {})


def test_a_profile_with_a_proxy_that_is_none_is_left_out_with_the_reason():
    settings = parse("", {})
    profile = {"type": "api_key", "provider": "openai", "key": "k"}

    assert app.hindrance(settings, "openai:a", {**profile, "proxy": "socks5://p:1"}) == ""
    assert app.hindrance(settings, "openai:a", {**profile, "proxy": "direct"}) == ""
    assert "proxy" in app.hindrance(settings, "openai:a", {**profile, "proxy": "ftp://me:pw@p"})


def test_the_passwords_of_every_proxy_are_secrets(monkeypatch):
    monkeypatch.setenv("HTTPS_PROXY", "http://me:of%2Fenvironment@a:1")
    monkeypatch.setenv("ALL_PROXY", "not a proxy: at all")
    settings = parse(
        "network: {proxy: environment}\n"
        "accounts: [{id: 'openai:a', api_key: k, proxy: 'socks5h://me:of-account@b:1'}]",
        {},
    )

    assert {"of/environment", "of%2Fenvironment", "of-account"} <= app.secrets_of(settings, "admin")
    assert [url.rpartition("@")[2] for url in proxies_of(settings)] == ["b:1", "a:1"]


def test_an_ipv6_address_that_is_listened_on_may_be_addressed():
    settings = parse(
        "listen: {host: 'FD7A::1', allowed_hosts: ['[fd7a::2]', 'fd7a::3']}\n"
        "client_keys: [{name: a, key: kkkkkkkkkkkkkkkkkkkkkkkk}]",
        {},
    )

    assert app.allowed_hosts_of(settings) == {"[fd7a::1]", "[fd7a::2]", "[fd7a::3]"}


# ── what is printed ──────────────────────────────────────────────────────────────────────────


def test_settings_are_shown_without_the_passwords_of_proxies(tmp_path):
    file = tmp_path / "config.yaml"
    file.write_text(
        "network: {proxy: 'socks5h://me:canary@127.0.0.1:1'}\n"
        "accounts: [{id: 'openai:a', api_key: k, proxy: 'http://me:canary@127.0.0.1:1'}]"
    )

    result = CliRunner().invoke(main, ["config", "show", "--config", str(file)])

    assert result.exit_code == 0, result.output
    assert "canary" not in result.output
    assert "socks5h://me:***@127.0.0.1:1" in result.output
