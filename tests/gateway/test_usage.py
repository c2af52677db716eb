"""What was asked, who answered and what it cost can be read from the management API, and keeping it
is never in a request's way.
"""

import sqlite3
from contextlib import aclosing, asynccontextmanager, closing

import aiohttp
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxypal_core.gateway import usage_api
from proxypal_core.metering import Record
from proxypal_core.settings.parse import parse
from proxypal_core.store import usage_db
from proxypal_core.store.database import STATE_FILE, Database
from proxypal_core.store.usage_db import UsageDB
from proxypal_core.wire import jsonio
from tests.fault_server import SCENARIOS, Stall, Status
from tests.gateway.asking import ask, begun, question, upstream
from tests.proxy import ADMIN_KEY, StoppedClock, proxy

ADMIN = {"authorization": f"Bearer {ADMIN_KEY}"}
HAIKU = "models: [{name: m-1, route: [anthropic/claude-haiku-4-5]}]"
HOUR, MONTH = 3600.0, 365.25 / 12 * 86400
NOON = 1_795_003_200.0


async def get(p, path):
    """The status and the document; the text, where it is no JSON."""
    async with (
        aiohttp.ClientSession() as session,
        session.get(p.url + path, headers=ADMIN) as answer,
    ):
        body = await answer.read()
        is_json = answer.content_type == "application/json"
        return answer.status, jsonio.loads(body) if is_json else body.decode()


async def recorded(p, path="/api/requests"):
    """The document, with all that has ended in it."""
    await p.gateway.front.recorder.usage.flush()
    status, document = await get(p, path)
    assert status == 200
    return document


def priced(server, *, extra=HAIKU):
    """Settings with *server* as Anthropic, whose prices are known."""
    return (
        f"providers: [{{name: anthropic, base_url: {server.url('anthropic')}, dialect: anthropic}}]\n"
        f"accounts: [{{id: 'claude:work', api_key: k1}}]\n{extra}\n"
    )


# ── rows ─────────────────────────────────────────────────────────────────────────────────────


async def test_a_request_is_a_row(fault_server):
    fault_server.always(Status(429, retry_after=600), key="k1")
    extra = "client_keys: [{name: laptop, key: opens}]"
    settings = upstream(fault_server, "anthropic", accounts=("k1", "k2"), extra=extra)
    headers = {"x-api-key": "opens", "user-agent": "claude-cli/2.1.197 (external, cli)"}
    clock = StoppedClock()
    async with proxy(settings, clock=clock) as p:
        await ask(p, "anthropic", headers=headers)
        found = await recorded(p)

    (row,) = found["requests"]
    text = SCENARIOS["text"]
    assert found["next"] is None
    assert row.pop("session")
    assert row == {
        "id": f"{1:032x}",
        "at": clock.at,
        "dialect": "anthropic",
        "path": "/v1/messages",
        "model": "m-1",
        "served_model": "m-1",
        "account": "up:k2",
        "client": "laptop",
        "agent": "claude-code",
        "status": 200,
        "outcome": "served",
        "first_content": 0.0,
        "duration": 0.0,
        "stream": True,
        "tokens": {
            "input": text.input_tokens - text.cached_tokens,
            "output": text.output_tokens,
            "cache_read": text.cached_tokens,
            "cache_write": 0,
            "reasoning": 0,
        },
        "cost": None,
        "attempts": [
            {"account": "up:k1", "model": "m-1", "outcome": "rate_limit", "duration": 0.0},
            {"account": "up:k2", "model": "m-1", "outcome": "served", "duration": 0.0},
        ],
    }


async def test_one_request_is_found_by_its_id(fault_server):
    async with proxy(upstream(fault_server, "gemini")) as p:
        _, headers, _, _ = await ask(p, "gemini")
        listed = await recorded(p)
        found = await recorded(p, f"/api/requests/{headers['x-request-id']}")
        missing, refusal = await get(p, "/api/requests/nobody")

    assert [found] == listed["requests"]
    assert missing == 404
    assert "no request 'nobody'" in refusal["error"]["message"]


async def test_a_request_that_reached_nobody_is_a_row_too(fault_server):
    async with proxy(upstream(fault_server, "anthropic")) as p:
        await ask(p, "anthropic", "unheard-of/model")
        (row,) = (await recorded(p))["requests"]

    assert (row["account"], row["status"], row["outcome"]) == ("", 404, "model")
    assert row["cost"] == 0.0


async def test_a_request_that_its_client_gave_up_is_a_row_too(fault_server):
    fault_server.always(Stall(frames=begun("anthropic")))
    async with proxy(upstream(fault_server, "anthropic")) as p:
        path, body = question("anthropic")
        async with (
            aiohttp.ClientSession() as session,
            session.post(p.url + path, json=body) as answer,
        ):
            await answer.content.readany()
        while not (found := await recorded(p))["requests"]:
            pass

    assert found["requests"][0]["outcome"] == "client_gone"


async def test_pages_follow_each_other(fault_server):
    async with proxy(upstream(fault_server, "anthropic")) as p:
        for _ in range(5):
            await ask(p, "anthropic")
        seen, query = [], "?limit=2"
        while query:
            page = await recorded(p, f"/api/requests{query}")
            seen.append([row["id"] for row in page["requests"]])
            query = f"?limit=2&before={page['next']}" if page["next"] else ""

    assert [len(ids) for ids in seen] == [2, 2, 1]
    assert [name for ids in seen for name in ids] == [f"{n:032x}" for n in (5, 4, 3, 2, 1)]


@pytest.mark.parametrize(
    "path",
    [
        "requests?limit=501",
        "requests?limit=-1",
        "requests?limit=x",
        "requests?before=1.5",
        "usage?by=moon",
        "usage?since=yesterday",
        "usage?until=nan",
        "usage?since=inf",
    ],
)
async def test_what_means_nothing_is_refused(path):
    async with proxy() as p:
        status, document = await get(p, f"/api/{path}")

    assert status == 400
    assert document["error"]["param"] == path.partition("?")[2].partition("=")[0]


# ── what it cost ─────────────────────────────────────────────────────────────────────────────


async def test_a_request_has_its_price_whatever_name_its_account_has(fault_server):
    text = SCENARIOS["text"]
    async with proxy(priced(fault_server)) as p:
        await ask(p, "anthropic")
        (row,) = (await recorded(p))["requests"]
        found = await recorded(p, "/api/usage?by=model")

    new = text.input_tokens - text.cached_tokens
    dollars = (new * 1.0 + text.cached_tokens * 0.1 + text.output_tokens * 5.0) / 1_000_000
    assert row["account"] == "claude:work"
    assert row["cost"] == pytest.approx(dollars)
    assert [one["name"] for one in found["rows"]] == ["anthropic/claude-haiku-4-5"]
    assert found["total"]["cost"] == pytest.approx(dollars)


async def test_how_many_requests_have_a_price_is_told(fault_server):
    async with proxy(priced(fault_server)) as p:
        await ask(p, "anthropic")
        await ask(p, "anthropic", "anthropic/claude-of-tomorrow")
        found = await recorded(p, "/api/usage?by=account")

    assert found["coverage"] == {"priced": 1, "requests": 2}
    assert found["rows"][0]["priced"] == 1
    assert found["rows"][0]["requests"] == 2


async def test_what_was_used_is_known_after_a_restart(fault_server, tmp_path):
    settings = upstream(fault_server, "openai-chat")
    async with proxy(settings, data_dir=tmp_path) as p:
        await ask(p, "openai-chat")
        before = await recorded(p, "/api/usage")
    async with proxy(settings, data_dir=tmp_path) as p:
        after = await recorded(p, "/api/usage")

    assert after == before
    assert after["total"]["requests"] == 1


# ── savings ──────────────────────────────────────────────────────────────────────────────────


@asynccontextmanager
async def keeping(*records):
    async with aclosing(Database(None)) as database, aclosing(UsageDB(database)) as db:
        for one in records:
            db.put(one)
        await db.flush()
        yield db


def record(provider="anthropic", name="a", **fields):
    return Record(
        id="1", dialect="gemini", path="/", served_by=f"{provider}:{name}", provider=provider,
        served_model="m", outcome="served", **{"at": NOON, "cost": 1.0, **fields},
    )  # fmt: skip


def plans(*rows):
    return parse(jsonio.dumps({"usage": {"plans": rows}}).decode(), {})


MAX = {"name": "Max", "provider": "anthropic", "usd_per_month": 100}
PRO = {"name": "Pro", "account": "anthropic:b", "usd_per_month": 20}


async def saved(db, *rows, since=NOON, until=NOON + MONTH):
    query = {"since": f"{since}", "until": f"{until}"}
    found = await usage_api.usage(db, query, settings=plans(*rows), now=until)
    return found["savings"]


async def test_a_plan_saved_what_it_served_beyond_its_price():
    async with keeping(record(cost=130.0), record("openai", cost=999.0)) as db:
        found = await saved(db, MAX)

    assert found == {
        "value": 130.0,
        "plans": pytest.approx(100.0),
        "saved": pytest.approx(30.0),
        "by_plan": [
            {
                "name": "Max",
                "value": 130.0,
                "plans": pytest.approx(100.0),
                "saved": pytest.approx(30.0),
            }
        ],
    }


async def test_what_two_plans_cover_is_worth_its_price_once():
    async with keeping(record(cost=50.0), record(name="b", cost=5.0)) as db:
        found = await saved(db, MAX, PRO)

    assert [one["value"] for one in found["by_plan"]] == [55.0, 5.0]
    assert found["value"] == 55.0
    assert found["saved"] == pytest.approx(55.0 - 120.0)


async def test_the_time_before_anything_was_recorded_is_not_held_against_a_plan():
    async with keeping(record(at=NOON + MONTH / 2)) as db:
        found = await saved(db, MAX)

    assert found["plans"] == pytest.approx(50.0, rel=0.01)


async def test_without_plans_nothing_is_said_of_savings():
    async with keeping(record()) as db:
        assert await saved(db) is None


@given(
    st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 99), st.booleans()), max_size=9),
    st.sampled_from(["day", "week", "hour", "model", "account", "key", "agent", "provider"]),
)
async def test_the_total_is_the_sum_of_its_rows(used, by):
    records = [
        record(name=name, at=NOON + hour * HOUR, client=name, cost=1.0 if has_price else None)
        for name, hour, has_price in used
    ]
    async with keeping(*records) as db:
        query = {"by": by, "since": f"{NOON}", "until": f"{NOON + 100 * HOUR}"}
        found = await usage_api.usage(db, query, settings=plans(), now=NOON)

    for name in ("requests", "failed", "cost", "priced"):
        assert found["total"][name] == sum(row[name] for row in found["rows"])
    assert found["coverage"] == {
        "requests": len(used),
        "priced": sum(has_price for _, _, has_price in used),
    }


# ── in nobody's way ──────────────────────────────────────────────────────────────────────────


async def test_while_the_database_is_locked_requests_are_answered_and_losses_counted(
    fault_server, tmp_path, monkeypatch
):
    monkeypatch.setattr(usage_db, "WRITE_EVERY", 0.001)
    monkeypatch.setattr(usage_db, "MOST_WAITING", 2)
    async with proxy(upstream(fault_server, "anthropic"), data_dir=tmp_path) as p:
        database = p.gateway.front.recorder.usage._database
        await database.do(lambda db: db.execute("PRAGMA busy_timeout = 0"), None)
        with closing(sqlite3.connect(tmp_path / STATE_FILE, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            statuses = [(await ask(p, "anthropic"))[0] for _ in range(5)]
            while (state := (await get(p, "/api/state"))[1])["usage_dropped"] < 3:
                pass
            metrics = (await get(p, "/metrics"))[1]
            other.execute("ROLLBACK")
        found = await recorded(p)
        mended = (await get(p, "/api/state"))[1]

    assert statuses == [200] * 5
    assert state["usage_dropped"] == 3
    assert state["usage_problem"] == "database is locked"
    assert "proxypal_usage_dropped_total 3" in metrics.splitlines()
    assert len(found["requests"]) == 2
    assert mended["usage_problem"] == ""


async def test_metrics_are_the_owners_and_count_requests(fault_server):
    async with proxy(upstream(fault_server, "anthropic")) as p:
        await ask(p, "anthropic")
        status, text = await get(p, "/metrics")
        async with aiohttp.ClientSession() as session, session.get(p.url + "/metrics") as answer:
            refused = answer.status

    labels = 'dialect="anthropic",provider="up",model="m-1",outcome="served"'
    assert (status, refused) == (200, 401)
    assert f"proxypal_requests_total{{{labels}}} 1" in text.splitlines()
