"""The vault's accounts through the management API."""

from urllib.parse import quote

import pytest

from proxypal_core.gateway.feed import Feed
from tests.fault_server import Stall, Status
from tests.gateway.asking import ask, upstream
from tests.gateway.owning import ADMIN, owned
from tests.proxy import StoppedClock

CANARY = "sk-CANARY-0123456789-abcdefghijkl"
SECRETS = {
    "openai:work": {
        "type": "api_key",
        "provider": "openai",
        "key": f"{CANARY}-key",
        "headers": {"x-extra": f"{CANARY}-header"},
        "proxy": f"http://me:{CANARY}@127.0.0.1:1",
        "email": "me@example.com",
    },
    "anthropic:me": {
        "type": "oauth",
        "provider": "anthropic",
        "access": f"{CANARY}-access",
        "refresh": f"{CANARY}-refresh",
        "expires": 1_795_000_100_000,
        "unknownField": CANARY,
    },
    "gemini:key-file": {
        "type": "service_account",
        "provider": "gemini",
        "client_email": "x@y.iam.gserviceaccount.com",
        "private_key": f"{CANARY}-private",
    },
}
UP = {"type": "api_key", "provider": "up", "key": "k1", "models": ["m-*", "m-1"]}


def named(name, **options):
    return {f"up:{name}": {**UP, "key": name, **options}}


def at(account, action=""):
    return f"/api/accounts/{quote(account, safe='')}{action}"


async def listed(owner):
    _, answer = await owner.call("GET", "/api/accounts")
    return {row["id"]: row for row in answer["accounts"]}


async def running(owner):
    _, answer = await owner.call("GET", "/api/state")
    return {row["id"]: row for row in answer["accounts"]}


# ── what is told ─────────────────────────────────────────────────────────────────────────────


async def test_no_secret_comes_back_from_anywhere(tmp_path):
    config = (
        f"client_keys: [{{name: laptop, key: {CANARY}-client}}]\n"
        f'accounts: [{{id: "openai:file", api_key: {CANARY}-file}}]\n'
        f"admin_key: {CANARY}-admin\n"
    )
    paths = ["/api/accounts", "/api/state", "/api/keys", "/api/settings", "/api/requests"]
    paths += ["/api/usage", "/api/models", "/api/explain?model=demo", "/api/openapi.json"]
    paths += ["/metrics", "/api/order/openai"]
    async with owned(tmp_path, config, SECRETS) as owner:
        answers = [await owner.raw("GET", path) for path in paths]

    assert {status for status, *_ in answers} == {200}
    assert "CANARY" not in "".join(text for *_, text in answers)


async def test_a_profile_is_told_by_what_is_no_secret(tmp_path):
    async with owned(tmp_path, profiles=SECRETS) as owner:
        rows = await listed(owner)

    assert rows["openai:work"]["email"] == "me@example.com"
    assert rows["anthropic:me"]["expires"] == 1_795_000_100
    assert rows["gemini:key-file"]["type"] == "service_account"
    assert {row["unused"] for row in rows.values()} == {""}


async def test_a_profile_that_makes_no_account_says_why(tmp_path):
    async with owned(tmp_path, profiles=named("x")) as owner:
        rows = await listed(owner)

    assert "no provider called up" in rows["up:x"]["unused"]


# ── what is changed ──────────────────────────────────────────────────────────────────────────


async def test_a_key_that_is_added_serves_at_once(tmp_path, fault_server):
    async with owned(tmp_path, upstream(fault_server, "anthropic", accounts=("k1",))) as owner:
        new = {"provider": "up", "name": "new", "key": "k2"}
        status, answer = await owner.call("POST", "/api/accounts", new)
        _, headers, *_ = await ask(owner.proxy, "anthropic", "up/m-1@up:new")
        kept = owner.files.vault.read().profiles["up:new"]

    assert (status, answer["id"], answer["unused"]) == (200, "up:new", "")
    assert "k2" not in answer.values()
    assert headers["x-proxypal-account"] == "up:new"
    assert kept["key"] == "k2"


@pytest.mark.parametrize(
    ("body", "status", "what"),
    [
        ({"provider": "nobody", "key": "k"}, 404, "no provider"),
        ({"provider": "openai", "key": "two words"}, 400, "key"),
        ({"provider": "openai", "key": ""}, 400, "key"),
        ({"provider": "openai", "key": "k", "name": "a/b"}, 400, "characters"),
        ({"provider": "openai", "key": "k", "name": "work"}, 409, "already"),
        ({"provider": "openai"}, 400, "key"),
    ],
)
async def test_what_makes_no_account_is_refused(tmp_path, body, status, what):
    async with owned(tmp_path, profiles=SECRETS) as owner:
        before = owner.files.vault.read().generation
        got, answer = await owner.call("POST", "/api/accounts", body)
        after = owner.files.vault.read().generation

    assert got == status
    assert what in answer["error"]["message"]
    assert after == before


async def test_a_refused_key_is_not_repeated(tmp_path):
    async with owned(tmp_path) as owner:
        body = {"provider": "openai", "key": f"{CANARY} and more"}
        _, _, text = await owner.raw("POST", "/api/accounts", body)

    assert "CANARY" not in text


async def test_an_account_is_disabled_enabled_and_removed(tmp_path, fault_server):
    config = upstream(fault_server, "anthropic", accounts=("file",))
    seen = []
    async with owned(tmp_path, config, named("k1")) as owner:
        for method, action in (("POST", "/disable"), ("POST", "/enable"), ("DELETE", "")):
            status, _ = await owner.call(method, at("up:k1", action))
            state = (await running(owner)).get("up:k1", {}).get("disabled")
            kept = owner.files.vault.read().profiles.get("up:k1", {}).get("disabled")
            seen.append((status, bool(state), kept))
        gone = "up:k1" not in await running(owner)

    assert seen == [(200, True, True), (200, False, None), (200, False, None)]
    assert gone


@pytest.mark.parametrize(
    ("method", "action"), [("POST", "/disable"), ("POST", "/enable"), ("DELETE", "")]
)
async def test_an_account_that_is_not_in_the_vault_is_not_changed(
    tmp_path, fault_server, method, action
):
    config = upstream(fault_server, "anthropic", accounts=("file",))
    async with owned(tmp_path, config) as owner:
        settings, _ = await owner.call(method, at("up:file", action))
        nobody, _ = await owner.call(method, at("up:nobody", action))
        vault = owner.files.vault.path.exists()

    assert (settings, nobody, vault) == (409, 404, False)


# ── tests of accounts ────────────────────────────────────────────────────────────────────────


async def test_an_account_is_tested_with_a_request_of_its_own(tmp_path, fault_server):
    config = upstream(fault_server, "anthropic", accounts=())
    async with owned(tmp_path, config, {**named("k1"), **named("k2")}) as owner:
        status, answer = await owner.call("POST", at("up:k2", "/test"))
        await owner.proxy.gateway.front.recorder.usage.flush()
        _, requests = await owner.call("GET", "/api/requests")

    assert status == 200
    assert (answer["ok"], answer["outcome"], answer["model"]) == (True, "served", "m-1")
    assert [row["account"] for row in requests["requests"]] == ["up:k2"]


@pytest.mark.parametrize(
    ("fault", "outcome"),
    [(Status(401), "auth"), (Status(402), "billing"), (Status(429), "rate_limit")],
)
async def test_a_test_that_fails_says_why(tmp_path, fault_server, fault, outcome):
    fault_server.always(fault)
    config = upstream(fault_server, "anthropic", accounts=())
    async with owned(tmp_path, config, named("k1")) as owner:
        status, answer = await owner.call("POST", at("up:k1", "/test"))

    assert status == 200
    assert (answer["ok"], answer["outcome"]) == (False, outcome)
    assert answer["message"]


async def test_an_account_without_a_known_model_cannot_be_tested(tmp_path, fault_server):
    config = upstream(fault_server, "anthropic", accounts=("k1",))
    async with owned(tmp_path, config) as owner:
        _, answer = await owner.call("POST", at("up:k1", "/test"))
        nobody, _ = await owner.call("POST", at("up:nobody", "/test"))

    assert (answer["ok"], answer["outcome"], nobody) == (False, "no_model", 404)


# ── the order ────────────────────────────────────────────────────────────────────────────────


async def test_an_order_is_set_read_and_cleared(tmp_path, fault_server):
    config = upstream(fault_server, "anthropic", accounts=())
    async with owned(tmp_path, config, {**named("k1"), **named("k2")}) as owner:
        ids = ["up:k2", "up:k1"]
        _, none = await owner.call("GET", "/api/order/up")
        put, _ = await owner.call("PUT", "/api/order/up", {"order": ids})
        _, own = await owner.call("GET", "/api/order/up")
        served = [(await ask(owner.proxy, "anthropic"))[1] for _ in range(2)]
        await owner.call("DELETE", "/api/order/up")
        _, cleared = await owner.call("GET", "/api/order/up")

    assert (none["order"], put, own["order"], cleared["order"]) == (None, 200, ids, None)
    assert {headers["x-proxypal-account"] for headers in served} == {"up:k2"}


@pytest.mark.parametrize("ids", [[], ["up:nobody"], ["demo:built-in"], ["up:k1", "up:k1"]])
async def test_an_order_of_others_is_refused(tmp_path, fault_server, ids):
    config = upstream(fault_server, "anthropic", accounts=("k1",))
    async with owned(tmp_path, config) as owner:
        status, _ = await owner.call("PUT", "/api/order/up", {"order": ids})

    assert status == 400


async def test_the_settings_order_is_changed_in_the_settings(tmp_path, fault_server):
    config = upstream(fault_server, "anthropic", extra="routing: {order: {up: [up:k1]}}\n")
    async with owned(tmp_path, config) as owner:
        put, _ = await owner.call("PUT", "/api/order/up", {"order": ["up:k1"]})
        cleared, _ = await owner.call("DELETE", "/api/order/up")

    assert (put, cleared) == (409, 409)


# ── the feed ─────────────────────────────────────────────────────────────────────────────────


async def test_a_change_of_an_accounts_standing_is_told(tmp_path, fault_server):
    fault_server.script(Status(429))
    config = upstream(fault_server, "anthropic", accounts=("k1",))
    async with (
        owned(tmp_path, config, clock=StoppedClock()) as owner,
        owner.session.get(f"{owner.url}/api/events", headers=ADMIN) as feed,
    ):
        await feed.content.readuntil(b"\n\n")
        await ask(owner.proxy, "anthropic")
        events = [await feed.content.readuntil(b"\n\n") for _ in range(2)]

    assert sorted(event.split(b"event: ")[1].split(b"\n")[0] for event in events) == [
        b"accounts",
        b"exchange",
    ]


async def test_requests_that_only_go_well_tell_no_change(tmp_path, fault_server):
    fault_server.script(Stall(), key="never")
    config = upstream(fault_server, "anthropic", accounts=("k1",))
    async with (
        owned(tmp_path, config) as owner,
        owner.session.get(f"{owner.url}/api/events", headers=ADMIN) as feed,
    ):
        await feed.content.readuntil(b"\n\n")
        for _ in range(3):
            await ask(owner.proxy, "anthropic")
        owner.proxy.gateway.close()
        events = (await feed.content.read()).split(b"\n\n")

    assert not [event for event in events if b"event: accounts" in event]


async def test_a_rest_from_before_a_restart_is_told_to_be_over(tmp_path, fault_server):
    fault_server.script(Status(429))
    config = upstream(fault_server, "anthropic", accounts=("k1",))
    async with owned(tmp_path, config, data_dir=tmp_path) as owner:
        await ask(owner.proxy, "anthropic")
    async with (
        owned(tmp_path, config, data_dir=tmp_path) as owner,
        owner.session.get(f"{owner.url}/api/events", headers=ADMIN) as feed,
    ):
        await feed.content.readuntil(b"\n\n")
        await owner.call("POST", at("up:k1", "/reset"))
        event = await feed.content.readuntil(b"\n\n")

    assert b"event: accounts" in event


async def test_many_changes_at_once_are_told_once():
    feed = Feed()
    told = feed.follow(None, 5.0)
    await anext(told)
    for _ in range(100):
        feed.hint("accounts")
    first = await anext(told)
    feed.close()
    rest = [event async for event in told]

    assert (first + b"".join(rest)).count(b"event: accounts") == 1


async def test_a_listener_is_told_to_come_back_after_a_second():
    assert (await anext(Feed().follow(None, 5.0))).startswith(b"retry: 1000\n")
