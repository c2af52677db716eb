"""Client keys and their limits, as clients meet them."""

import aiohttp
import pytest

from proxypal_core.wire import jsonio
from tests.gateway.asking import DIALECTS, KEY_HEADER, ask, upstream
from tests.gateway.owning import owned
from tests.proxy import StoppedClock, proxy

every = pytest.mark.parametrize("dialect", DIALECTS)
NAMES = {"openai-chat": "x-ratelimit-{what}-{of}", "anthropic": "anthropic-ratelimit-{of}-{what}"}
PRICED = "gpt-5"


def own(dialect, key):
    name, value = KEY_HEADER[dialect]
    return {name: value.format(key)}


def limited(**limits):
    told = ", ".join(f"{name}: {value}" for name, value in limits.items())
    return f"client_keys: [{{name: laptop, key: key-of-laptop, {told}}}]\n"


async def asked(p, dialect, key="key-of-laptop", **options):
    status, headers, body, _ = await ask(p, dialect, headers=own(dialect, key), **options)
    return status, headers, body


# ── over the limit ───────────────────────────────────────────────────────────────────────────


@every
async def test_a_client_over_its_limit_is_told_in_its_own_words(fault_server, dialect):
    clock = StoppedClock()
    config = upstream(fault_server, "anthropic", extra=limited(requests_per_minute=2))
    async with proxy(config, clock=clock) as p:
        statuses = [(await asked(p, dialect))[0] for _ in range(2)]
        clock.at += 20
        status, headers, body = await asked(p, dialect)
        asked_upstream = p.gateway.front.services.pool.standings[0].served
        clock.at += int(headers["retry-after"])
        again, _, _ = await asked(p, dialect)

    error = jsonio.loads(body)["error"]
    assert statuses == [200, 200]
    assert (status, again) == (429, 200)
    assert "laptop" in error["message"]
    assert headers["retry-after"] == "40"
    assert headers["x-should-retry"] == "false"
    assert asked_upstream == 2


@pytest.mark.parametrize("dialect", ["openai-chat", "anthropic"])
async def test_the_headers_tell_how_much_is_left_of_what(fault_server, dialect):
    config = upstream(fault_server, dialect, extra=limited(requests_per_minute=1))
    async with proxy(config) as p:
        await asked(p, dialect)
        _, headers, _ = await asked(p, dialect)

    names = {
        what: NAMES[dialect].format(of="requests", what=what) for what in ("limit", "remaining")
    }
    assert headers[names["limit"]] == "1"
    assert headers[names["remaining"]] == "0"


@every
async def test_tokens_count_when_the_answer_has_ended(fault_server, dialect):
    clock = StoppedClock()
    config = upstream(fault_server, dialect, extra=limited(tokens_per_minute=1))
    async with proxy(config, clock=clock) as p:
        first, _, _ = await asked(p, dialect)
        second, _, _ = await asked(p, dialect)
        clock.at += 60
        third, _, _ = await asked(p, dialect)

    assert (first, second, third) == (200, 429, 200)


@every
async def test_a_budget_that_is_spent_is_told_as_that(dialect):
    async with proxy(limited(budget_usd=1)) as p:
        front = p.gateway.front
        front.keyring.ledger.used(front.keyring.keys[0], 0, 1.0)
        status, headers, body = await asked(p, dialect, model="demo")

    assert status == 429
    assert int(headers["retry-after"]) > 86400
    assert "1 US dollars a month" in jsonio.loads(body)["error"]["message"]
    assert headers["x-should-retry"] == "false"


async def test_each_key_has_its_own_minute(fault_server):
    keys = ", ".join(f"{{name: {n}, key: key-of-{n}, requests_per_minute: 1}}" for n in "ab")
    config = upstream(fault_server, "anthropic", extra=f"client_keys: [{keys}]\n")
    async with proxy(config) as p:
        statuses = [(await asked(p, "anthropic", f"key-of-{name}"))[0] for name in "aabb"]

    assert statuses == [200, 429, 200, 429]


async def test_what_was_used_is_remembered_when_the_settings_change(fault_server):
    config = upstream(fault_server, "anthropic", extra=limited(requests_per_minute=1))
    async with proxy(config) as p:
        await asked(p, "anthropic")
        p.reload(p.gateway.front.settings)
        status, _, _ = await asked(p, "anthropic")

    assert status == 429


async def test_a_budget_outlives_the_daemon(tmp_path, fault_server):
    config = upstream(
        fault_server, "openai-chat", name="openai", extra=limited(budget_usd=0.000001)
    )
    config = config.replace('"m-*"', f'"{PRICED}"')
    async with proxy(config, data_dir=tmp_path) as p:
        first, _, _ = await asked(p, "openai-chat", model=PRICED)
    async with proxy(config, data_dir=tmp_path) as p:
        second, _, _ = await asked(p, "openai-chat", model=PRICED)

    assert first == 200
    assert second == 429


async def test_every_way_in_counts_but_not_the_open_ones(fault_server):
    config = upstream(fault_server, "anthropic", extra=limited(requests_per_minute=1))
    async with proxy(config) as p, aiohttp.ClientSession() as session:
        headers = own("openai-chat", "key-of-laptop")
        for _ in range(3):
            async with session.get(f"{p.url}/health") as answer:
                assert answer.status == 200
        statuses = []
        for _ in range(2):
            async with session.get(f"{p.url}/v1/models", headers=headers) as answer:
                statuses.append(answer.status)

    assert statuses == [200, 429]


# ── keys that are made here ──────────────────────────────────────────────────────────────────


@every
async def test_a_key_opens_what_it_was_made_for_until_it_is_revoked(tmp_path, dialect):
    async with owned(tmp_path) as owner:
        _, made = await owner.call("POST", "/api/keys", {"name": "laptop", "models": ["demo"]})
        await owner.call("POST", "/api/keys", {"name": "other"})
        key = made["key"]
        served, _, _ = await asked(owner.proxy, dialect, key, model="demo")
        other_model, _, _ = await asked(owner.proxy, dialect, key, model="demo/think")
        stranger, _, _ = await asked(owner.proxy, dialect, "pp-wrong", model="demo")
        gone, answer = await owner.call("DELETE", "/api/keys/laptop")
        revoked, _, _ = await asked(owner.proxy, dialect, key, model="demo")

    assert (served, other_model, stranger) == (200, 404, 401)
    assert (gone, answer["open"], revoked) == (200, False, 401)


async def test_only_the_answer_that_made_it_holds_the_key(tmp_path):
    async with owned(tmp_path) as owner:
        _, made = await owner.call("POST", "/api/keys", {"name": "laptop", "budget_usd": 5})
        _, _, listed = await owner.raw("GET", "/api/keys")
        kept = repr(owner.files.vault.read().bookkeeping)

    row = jsonio.loads(listed)["keys"][0]
    assert made["key"].startswith("pp-")
    assert made["key"] not in listed + kept
    assert "digest" not in listed
    assert (row["name"], row["budget_usd"], row["spent_usd"], row["source"]) == (
        "laptop",
        5,
        0,
        "vault",
    )


async def test_the_first_key_closes_the_door_and_the_last_opens_it(tmp_path):
    async with owned(tmp_path) as owner:
        statuses = [(await owner.call("GET", "/v1/models", headers={}))[0]]
        await owner.call("POST", "/api/keys", {"name": "laptop"})
        statuses.append((await owner.call("GET", "/v1/models", headers={}))[0])
        _, answer = await owner.call("DELETE", "/api/keys/laptop")
        statuses.append((await owner.call("GET", "/v1/models", headers={}))[0])

    assert statuses == [200, 401, 200]
    assert answer["open"]


async def test_a_key_ends_with_its_day(tmp_path):
    clock = StoppedClock()
    async with owned(tmp_path, clock=clock) as owner:
        _, made = await owner.call("POST", "/api/keys", {"name": "laptop", "expires": "2026-12-01"})
        before, _, _ = await asked(owner.proxy, "anthropic", made["key"], model="demo")
        clock.at += 14 * 86400
        after, _, body = await asked(owner.proxy, "anthropic", made["key"], model="demo")
        _, listed = await owner.call("GET", "/api/keys")

    assert (before, after) == (200, 401)
    assert b"expired" in body
    assert listed["keys"][0]["expired"]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({}, 400),
        ({"name": ""}, 400),
        ({"name": "two words"}, 400),
        ({"name": "x/y"}, 400),
        ({"name": "x", "budget_usd": -1}, 400),
        ({"name": "x", "requests_per_minute": 1.5}, 400),
        ({"name": "x", "expires": "soon"}, 400),
        ({"name": "x", "expires": "2001-01-01"}, 400),
        ({"name": "file"}, 409),
        ({"name": "kept"}, 409),
    ],
)
async def test_what_makes_no_key_is_refused(tmp_path, body, status):
    async with owned(tmp_path, "client_keys: [{name: file, key: key-in-the-file}]\n") as owner:
        await owner.call("POST", "/api/keys", {"name": "kept"})
        got, _ = await owner.call("POST", "/api/keys", body)
        _, listed = await owner.call("GET", "/api/keys")

    assert got == status
    assert [row["name"] for row in listed["keys"]] == ["file", "kept"]


@pytest.mark.parametrize(("name", "status"), [("nobody", 404), ("file", 409)])
async def test_a_key_that_is_not_the_vaults_is_not_revoked(tmp_path, name, status):
    async with owned(tmp_path, "client_keys: [{name: file, key: key-in-the-file}]\n") as owner:
        got, _ = await owner.call("DELETE", f"/api/keys/{name}")

    assert got == status


async def test_budgets_and_limits_are_listed_with_what_is_left(fault_server, tmp_path):
    config = upstream(fault_server, "anthropic", extra=limited(requests_per_minute=3, budget_usd=2))
    async with owned(tmp_path, config) as owner:
        await asked(owner.proxy, "anthropic")
        _, listed = await owner.call("GET", "/api/keys")

    quotas = {quota["of"]: quota for quota in listed["keys"][0]["quotas"]}
    assert quotas["requests"]["left"] == 2
    assert quotas["budget"]["left"] == 2
