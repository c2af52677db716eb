"""``/api/explain`` says before a request what becomes of it, and of the last one what did."""

import asyncio

import aiohttp
import pytest

from proxypal_core.wire import jsonio
from tests.fault_server import Stall, Status
from tests.gateway.asking import ask, upstream
from tests.proxy import ADMIN_KEY, StoppedClock, proxy

ADMIN = {"authorization": f"Bearer {ADMIN_KEY}"}


def accounts(server, *rows, extra=""):
    told = "\n".join(f"  - {{{row}}}" for row in rows)
    return (
        f"providers: [{{name: up, dialect: anthropic, base_url: {server.url('anthropic')}}}]\n"
        f"accounts:\n{told}\n{extra}"
    )


async def explained(p, model, headers=ADMIN, **query):
    """The status and the document."""
    query = {"model": model, **query} if model is not None else query
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"{p.url}/api/explain", params=query, headers=headers) as answer,
    ):
        return answer.status, jsonio.load_object(await answer.read())


def states(document):
    return [(one["account"], one["state"], one["place"]) for one in document["candidates"]]


# ── who may ask, and what ────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("key", [None, "client-key", "wrong"])
async def test_it_is_the_owners_alone(key):
    headers = {"authorization": f"Bearer {key}"} if key else {}
    async with proxy("client_keys: [{name: laptop, key: client-key}]") as p:
        status, document = await explained(p, "demo", headers)

    assert status == 401
    assert "admin key" in document["error"]["message"]


@pytest.mark.parametrize("model", ["nobody/knows", "no-such-model"])
async def test_a_model_that_nobody_serves_is_not_found(model):
    async with proxy() as p:
        status, document = await explained(p, model)

    assert (status, document["error"]["code"]) == (404, "model_not_found")


@pytest.mark.parametrize("model", [None, ""])
async def test_a_model_is_to_be_named(model):
    async with proxy() as p:
        status, document = await explained(p, model)

    assert status == 400
    assert "/api/explain?model=" in document["error"]["message"]


# ── what it says ─────────────────────────────────────────────────────────────────────────────


async def test_the_shape():
    async with proxy() as p:
        status, document = await explained(p, "demo")

    assert status == 200
    assert document == {
        "model": "demo",
        "targets": ["demo/echo"],
        "answers": {"account": "demo:built-in", "model": "demo/echo"},
        "candidates": [
            {
                "account": "demo:built-in",
                "provider": "demo",
                "model": "echo",
                "state": "ready",
                "place": 1,
                "reason": "",
                "until": 0.0,
            }
        ],
        "last_request": None,
    }


async def test_each_account_is_told_with_what_stands_against_it(fault_server):
    config = accounts(
        fault_server,
        'id: "up:spare", api_key: spare, priority: -1',
        'id: "up:limited", api_key: limited',
        'id: "up:off", api_key: off, disabled: true',
        'id: "up:other", api_key: other, models: [x-*]',
    )
    fault_server.always(Status(429, retry_after=600), key="limited")
    clock = StoppedClock()
    async with proxy(config, clock=clock) as p:
        await ask(p, "anthropic", "up/m-1")
        _, document = await explained(p, "up/m-1")

    assert states(document) == [
        ("up:spare", "ready", 1),
        ("up:limited", "barred", 0),
        ("up:off", "unfit", 0),
        ("up:other", "unfit", 0),
    ]
    by_account = {one["account"]: one for one in document["candidates"]}
    assert by_account["up:limited"]["reason"] == "rate_limit"
    assert by_account["up:limited"]["until"] == clock.at + 600
    assert by_account["up:off"]["reason"] == "disabled by the settings"
    assert by_account["up:other"]["reason"] == "its settings exclude the model"


async def test_a_busy_account_is_told_to_be(fault_server):
    config = accounts(fault_server, 'id: "up:k1", api_key: k1, max_concurrency: 1')
    fault_server.script(Stall())
    async with proxy(config) as p, asyncio.TaskGroup() as tasks:
        tasks.create_task(ask(p, "anthropic", "up/m-1"))
        await fault_server.until(lambda: any(one.stalled for one in fault_server.requests))
        _, document = await explained(p, "up/m-1")
        fault_server.release()

    assert states(document) == [("up:k1", "busy", 0)]
    assert document["answers"] is None


async def test_who_is_said_to_answer_answers(fault_server):
    keys = ("k1", "k2", "k3")
    async with proxy(upstream(fault_server, "anthropic", accounts=keys)) as p:
        pairs = []
        for number in range(9):
            _, document = await explained(p, "m-1")
            if number % 4 == 3:
                fault_server.script(Status(429))
            _, headers, _, _ = await ask(p, "anthropic")
            first = fault_server.requests[-1 if headers["x-proxypal-attempts"] == "1" else -2]
            pairs.append((document["answers"]["account"], f"up:{first.key}"))
            if number % 4 == 3:
                p.gateway.front.services.pool.reset()

    assert [said for said, _ in pairs] == [asked for _, asked in pairs]
    assert {said for said, _ in pairs} == {f"up:{key}" for key in keys}


async def test_a_prefix_is_preferred_as_it_is_in_a_request(fault_server):
    url = fault_server.url("anthropic")
    config = (
        f"providers:\n  - {{name: one, dialect: anthropic, base_url: {url}, models: [m-1]}}\n"
        f"  - {{name: two, dialect: anthropic, base_url: {url}, models: [m-1]}}\n"
        'accounts: [{id: "one:a", api_key: a}, {id: "two:b", api_key: b}]\n'
    )
    async with proxy(config) as p:
        found = [(await explained(p, "m-1", prefer=who))[1]["targets"][0] for who in ("one", "two")]

    assert found == ["one/m-1", "two/m-1"]


async def test_the_last_request_is_told(fault_server):
    fault_server.always(Status(429), key="k1")
    clock = StoppedClock()
    async with proxy(upstream(fault_server, "anthropic", accounts=("k1", "k2")), clock=clock) as p:
        await ask(p, "anthropic")
        await ask(p, "anthropic", "m-2")
        _, document = await explained(p, "m-1")

    last = document["last_request"]
    assert (last["model"], last["outcome"], last["at"]) == ("m-1", "served", clock.at)
    assert last["attempts"] == [
        {"account": "up:k1", "model": "m-1", "outcome": "rate_limit", "duration": 0.0},
        {"account": "up:k2", "model": "m-1", "outcome": "served", "duration": 0.0},
    ]


async def test_explaining_changes_nothing(fault_server):
    async with proxy(upstream(fault_server, "anthropic", accounts=("k1", "k2"))) as p:
        found = [(await explained(p, "m-1"))[1] for _ in range(3)]

    assert found[0] == found[1] == found[2]
    assert fault_server.requests == []
