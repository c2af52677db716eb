"""The management API: the owner sees how every account does, and can set what is held against it
aside.
"""

import asyncio
from urllib.parse import quote

import aiohttp
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxypal_core import __version__
from proxypal_core.gateway.explain import LastRequests
from proxypal_core.metering import Record
from proxypal_core.wire import jsonio
from tests.fault_server import Stall, Status
from tests.gateway.asking import ask, upstream
from tests.gateway.test_failover import NOON
from tests.proxy import ADMIN_KEY, StoppedClock, proxy

ADMIN = {"authorization": f"Bearer {ADMIN_KEY}"}


async def call(p, method, path, headers=ADMIN):
    """The status and the document."""
    async with (
        aiohttp.ClientSession() as session,
        session.request(method, f"{p.url}/api/{path}", headers=headers) as answer,
    ):
        return answer.status, jsonio.load_object(await answer.read())


async def state(p):
    """Every account's part of the snapshot, by its id."""
    _, document = await call(p, "GET", "state")
    return {row["id"]: row for row in document["accounts"]}


# ── who may ask ──────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("key", [None, "client-key", "wrong"])
@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "state"), ("POST", "accounts/reset"), ("POST", "accounts/up:k1/reset")],
)
async def test_it_is_the_owners_alone(fault_server, method, path, key):
    fault_server.always(Status(402))
    headers = {"authorization": f"Bearer {key}"} if key else {}
    extra = "client_keys: [{name: laptop, key: client-key}]"
    async with proxy(upstream(fault_server, "anthropic", extra=extra)) as p:
        await ask(p, "anthropic", headers={"x-api-key": "client-key"})
        status, document = await call(p, method, path, headers)
        accounts = await state(p)

    assert status == 401
    assert "admin key" in document["error"]["message"]
    assert accounts["up:k1"]["resting"]


@pytest.mark.parametrize("place", ["x-api-key", "x-goog-api-key", "api-key"])
async def test_the_key_may_be_where_clients_put_theirs(place):
    async with proxy() as p:
        status, _ = await call(p, "GET", "state", {place: ADMIN_KEY})

    assert status == 200


async def test_another_sites_page_may_not_reset_anything():
    headers = {**ADMIN, "origin": "http://evil.example"}
    async with proxy() as p:
        status, _ = await call(p, "POST", "accounts/reset", headers)

    assert status == 403


# ── the snapshot ─────────────────────────────────────────────────────────────────────────────


async def test_the_shape(fault_server):
    clock = StoppedClock()
    config = upstream(fault_server, "anthropic").replace("m-*", "m-1")
    async with proxy(config, clock=clock) as p:
        await ask(p, "anthropic")
        clock.at += 10
        _, document = await call(p, "GET", "state")

    assert set(document) == {
        "version",
        "now",
        "accounts",
        "models",
        "usage_dropped",
        "usage_problem",
        "capture_bodies",
    }
    assert (document["version"], document["now"]) == (__version__, clock.at)
    assert document["accounts"][0] == {
        "id": "up:k1",
        "provider": "up",
        "kind": "api_key",
        "disabled": "",
        "in_flight": 0,
        "served": 1,
        "failed": 0,
        "last_used": clock.at - 10,
        "resting": None,
        "models": {},
        "limits": [],
    }
    assert [row["id"] for row in document["accounts"]] == ["up:k1", "demo:built-in"]
    assert document["accounts"][1]["last_used"] is None
    assert "demo/echo" in document["models"]


async def test_rests_are_told_with_their_reason_and_their_end(fault_server):
    fault_server.script(Status(429, retry_after=20), key="k1")
    fault_server.always(Status(402), key="k2")
    clock = StoppedClock()
    async with proxy(upstream(fault_server, "anthropic", accounts=("k1", "k2")), clock=clock) as p:
        await ask(p, "anthropic")
        accounts = await state(p)
        clock.at += 61
        later = await state(p)

    now = clock.at - 61
    assert accounts["up:k1"]["resting"] is None
    assert accounts["up:k1"]["models"] == {
        "m-1": {"reason": "rate_limit", "until": now + 60, "barred_until": now + 20}
    }
    assert accounts["up:k2"]["resting"] == {
        "reason": "billing",
        "until": now + 5 * 3600,
        "barred_until": now + 5 * 3600,
    }
    assert later["up:k1"]["models"] == {}
    assert later["up:k2"]["resting"]


async def test_what_is_left_of_the_limits_is_told(fault_server):
    left = {
        "anthropic-ratelimit-requests-limit": "50",
        "anthropic-ratelimit-requests-remaining": "10",
        "anthropic-ratelimit-requests-reset": "2026-11-18T12:01:00Z",
    }
    fault_server.always(Status(429, headers=left), key="k1")
    async with proxy(upstream(fault_server, "anthropic"), clock=StoppedClock(NOON)) as p:
        await ask(p, "anthropic")
        accounts = await state(p)

    assert accounts["up:k1"]["limits"] == [
        {"name": "requests", "scope": "model", "left": 0.2, "resets_at": NOON + 60}
    ]


async def test_requests_that_run_are_told(fault_server):
    fault_server.script(Stall())
    async with proxy(upstream(fault_server, "anthropic")) as p, asyncio.TaskGroup() as tasks:
        tasks.create_task(ask(p, "anthropic"))
        await fault_server.until(lambda: any(one.stalled for one in fault_server.requests))
        during = await state(p)
        fault_server.release()

    assert during["up:k1"]["in_flight"] == 1


async def test_no_secret_is_told(fault_server):
    config = upstream(fault_server, "anthropic", accounts=("CANARY",)).replace(
        "up:CANARY", "up:work"
    )
    async with proxy(config) as p:
        await ask(p, "anthropic")
        found = [await call(p, "GET", path) for path in ("state", "explain?model=m-1")]

    assert b"CANARY" not in jsonio.dumps(found)
    assert b"up:work" in jsonio.dumps(found)


# ── resets ───────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("path", ["accounts/up:k1/reset", "accounts/reset"])
async def test_a_reset_takes_effect_at_once(fault_server, path):
    fault_server.script(Status(402))
    async with proxy(upstream(fault_server, "anthropic")) as p:
        before, _, _, _ = await ask(p, "anthropic")
        again, _, _, _ = await ask(p, "anthropic")
        asked = len(fault_server.requests)
        done = await call(p, "POST", path)
        after, _, _, _ = await ask(p, "anthropic")

    assert (before, again, asked) == (429, 429, 1)
    assert done == (200, {"reset": ["up:k1"]})
    assert after == 200


async def test_only_who_is_named_is_reset(fault_server):
    fault_server.always(Status(402))
    async with proxy(upstream(fault_server, "anthropic", accounts=("k1", "k2"))) as p:
        await ask(p, "anthropic")
        await call(p, "POST", "accounts/up:k1/reset")
        accounts = await state(p)

    assert accounts["up:k1"]["resting"] is None
    assert accounts["up:k2"]["resting"]
    assert accounts["up:k1"]["failed"] == 1


async def test_an_account_that_is_not_there_is_not_found():
    async with proxy() as p:
        status, document = await call(p, "POST", "accounts/up:nobody/reset")

    assert status == 404
    assert "'up:nobody'" in document["error"]["message"]


async def test_there_may_be_nothing_to_reset():
    async with proxy() as p:
        done = await call(p, "POST", "accounts/reset")

    assert done == (200, {"reset": []})


@pytest.mark.parametrize("name", ["up:ann@example.com", "up:a b", "up:ü", "up:team/ann", "up:100%"])
async def test_any_name_can_be_reset(fault_server, name):
    config = upstream(fault_server, "anthropic").replace("up:k1", name)
    fault_server.script(Status(402))
    async with proxy(config) as p:
        await ask(p, "anthropic")
        done = await call(p, "POST", f"accounts/{quote(name, safe='')}/reset")

    assert done == (200, {"reset": [name]})


@pytest.mark.parametrize("path", ["accounts/reset", "accounts/up:k1/reset"])
async def test_looking_resets_nothing(path):
    async with proxy() as p:
        status, _ = await call(p, "GET", path)

    assert status == 405


# ── the last requests ────────────────────────────────────────────────────────────────────────


def record(model, number):
    return Record(id=str(number), at=float(number), dialect="anthropic", path="/", model=model)


@given(st.lists(st.integers(0, 600).map(str), max_size=50))
def test_the_last_request_of_each_model_is_known(models):
    last = LastRequests()
    for number, model in enumerate(models):
        last.note(record(model, number))

    expected = {model: str(number) for number, model in enumerate(models)}
    assert {model: last.of(model).id for model in expected} == expected
    assert last.of("another") is None


def test_not_of_any_number_of_models():
    last = LastRequests()
    for number in range(2000):
        last.note(record("often", number))
        last.note(record(f"m-{number}", number))
    known = [number for number in range(2000) if last.of(f"m-{number}")]

    assert known == list(range(2000 - len(known), 2000))
    assert len(known) < 1000
    assert last.of("often").id == "1999"
