"""What the composition root makes of settings, where that is more than copying."""

import asyncio

import pytest

from proxypal_core import app
from proxypal_core.accounts.account import Account
from proxypal_core.settings.parse import parse
from proxypal_core.settings.schema import Network
from proxypal_core.wire import jsonio
from tests.gateway.asking import ask
from tests.proxy import proxy
from tests.running import PATIENCE

HOUR = 3600.0


def settings(text="", **environment):
    return parse(text, environment)


# ── rests ────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("first", "most", "hours"),
    [
        (5, 24, [5, 10, 20, 24]),
        (1, 8, [1, 2, 4, 8]),
        (3, 3, [3]),
        (9, 3, [9]),
        (0, 24, [0]),
        (0.5, 1.5, [0.5, 1, 1.5]),
    ],
)
def test_an_account_without_credit_rests_twice_as_long_each_time(first, most, hours):
    text = f"cooldowns: {{billing_backoff_hours: {first}, billing_max_hours: {most}}}"

    assert app.ladders_of(settings(text)).billing == tuple(h * HOUR for h in hours)


def test_the_other_rests_are_as_set():
    text = "cooldowns: {ladder: [1s, 2m], failure_window_hours: 2}"

    ladders = app.ladders_of(settings(text))

    assert ladders.rate == (1.0, 120.0)
    assert ladders.window == 2 * HOUR


# ── proxies ──────────────────────────────────────────────────────────────────────────────────

NET = "http://net:1"
OWN = "http://own:2"


@pytest.mark.parametrize(
    ("own", "network", "no_proxy", "url", "expected"),
    [
        ("", "", "", "https://a.example/v1", ""),
        ("", NET, "", "https://a.example/v1", NET),
        (OWN, NET, "", "https://a.example/v1", OWN),
        (OWN, "", "", "https://a.example/v1", OWN),
        ("direct", NET, "", "https://a.example/v1", ""),
        ("", NET, "a.example", "https://a.example/v1", ""),
        ("", NET, "a.example", "https://b.a.example/v1", ""),
        ("", NET, ".a.example", "https://b.a.example/v1", ""),
        ("", NET, ".a.example", "https://a.example/v1", ""),
        ("", NET, "a.example", "https://ba.example/v1", NET),
        ("", NET, "a.example", "https://a.example.org/v1", NET),
        ("", NET, " x , A.Example ", "https://a.example:8443/v1", ""),
        ("", NET, "A.EXAMPLE", "https://A.example/v1", ""),
        ("", NET, ",,", "https://a.example/v1", NET),
        ("", NET, "127.0.0.1,localhost", "http://127.0.0.1:8000/v1", ""),
        ("", NET, "::1", "http://[::1]:8000/v1", ""),
        (OWN, NET, "a.example", "https://a.example/v1", OWN),
    ],
)
def test_the_account_s_proxy_goes_first_then_the_network_s(own, network, no_proxy, url, expected):
    account = Account(id="a:b", provider="a", proxy=own)

    assert app.proxy_for(account, url, Network(proxy=network, no_proxy=no_proxy)) == expected


# ── hosts ────────────────────────────────────────────────────────────────────────────────────


def test_the_address_listened_on_and_those_named_may_be_addressed():
    text = "listen: {host: 127.0.0.2, allowed_hosts: [Box.Local, proxy.example]}"

    assert app.allowed_hosts_of(settings(text)) == {"127.0.0.2", "box.local", "proxy.example"}


# ── secrets ──────────────────────────────────────────────────────────────────────────────────

SECRETS_IN_SETTINGS = """
admin_key: admin-of-the-file
client_keys: [{name: a, key: key-of-a-client}]
providers:
  - name: mine
    dialect: anthropic
    base_url: https://mine.example
    headers: {x-team: header-of-provider}
accounts:
  - id: openai:work
    api_key: key-of-an-account
    headers: {x-org: header-of-account}
    proxy: http://me:pass%2Fword@own.example:1
network: {proxy: "http://me:other-password@net.example:1"}
state: {backend: redis, url: "redis://:redis-password@h.example"}
"""


def test_every_secret_of_the_settings_is_known_to_the_log():
    found = app.secrets_of(
        settings(SECRETS_IN_SETTINGS, ANTHROPIC_API_KEY="key-of-environment"), "admin-in-force"
    )

    assert found == {
        "admin-in-force",
        "admin-of-the-file",
        "key-of-a-client",
        "key-of-an-account",
        "key-of-environment",
        "header-of-provider",
        "header-of-account",
        "pass%2Fword",
        "pass/word",
        "other-password",
        "redis-password",
        "redis://:redis-password@h.example",
    }


def test_without_secrets_there_is_only_the_admin_key():
    assert app.secrets_of(settings(), "admin-in-force") == {"admin-in-force"}


# ── the demo ─────────────────────────────────────────────────────────────────────────────────


def test_demo_alone_is_the_demo_that_repeats():
    assert app.routes_of(settings()) == {"demo": ["demo/echo"]}


def test_the_user_s_own_demo_wins():
    routes = app.routes_of(settings("models: [{name: demo, route: [demo/think]}]"))

    assert list(routes["demo"]) == ["demo/think"]


async def test_the_user_s_own_demo_is_what_answers():
    async with proxy("models: [{name: demo, route: [demo/fail-429, demo/tool]}]") as p:
        status, headers, body, _ = await ask(p, "openai-chat", "demo", stream=False)

    assert status == 200
    assert headers["x-proxypal-attempts"] == "2"
    assert "declares none" in jsonio.loads(body)["choices"][0]["message"]["content"]


def test_there_is_always_an_account_for_the_demo():
    accounts = app.accounts_of(settings("", ANTHROPIC_API_KEY="k-1"))

    assert [account.provider for account in accounts] == ["anthropic", "demo"]


# ── the vault ────────────────────────────────────────────────────────────────────────────────

API_KEY = {"type": "api_key", "provider": "openai", "key": "k"}


@pytest.mark.parametrize(
    ("name", "profile", "says"),
    [
        ("openai:b", API_KEY, ""),
        ("openai:a", API_KEY, "same id"),
        ("openai:b", {**API_KEY, "type": "oauth"}, "it has no refresh"),
        ("openai:b", {**API_KEY, "type": "of-tomorrow"}, "type 'of-tomorrow'"),
        ("openai:b", {**API_KEY, "key": ""}, "no key"),
        ("openai:b", {**API_KEY, "key": 7}, "no key"),
        ("nobody:b", API_KEY, "no provider called nobody"),
        ("azure-openai:b", API_KEY, "address of azure-openai is not known"),
    ],
)
def test_a_profile_that_makes_no_account_says_why(name, profile, says):
    before = settings("accounts: [{id: openai:a, api_key: k-a}]")

    after = app.with_profiles(before, {name: profile})

    told = [notice for notice in after.notices if notice not in before.notices]
    assert len(after.accounts) == len(before.accounts) + (not says)
    assert len(told) == bool(says)
    assert says in "".join(told)


# ── work in the background ───────────────────────────────────────────────────────────────────


async def test_who_is_cancelled_while_the_work_ends_is_cancelled():
    ending, may_end = asyncio.Event(), asyncio.Event()

    async def work():
        try:
            await asyncio.Event().wait()
        finally:
            ending.set()
            await may_end.wait()

    async def owner():
        async with app.meanwhile(work()):
            await asyncio.sleep(0)
        await asyncio.Event().wait()

    task = asyncio.ensure_future(owner())
    await ending.wait()
    task.cancel()

    with pytest.raises(asyncio.CancelledError):
        async with asyncio.timeout(PATIENCE):
            await task


async def test_how_the_work_failed_is_told_when_it_would_be_ended():
    async def work():
        raise LookupError("of the work")

    with pytest.raises(LookupError, match="of the work"):
        async with app.meanwhile(work()):
            await asyncio.sleep(0)
