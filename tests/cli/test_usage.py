"""``proxypal usage`` shows what was used and what it cost, with a daemon and without one."""

import asyncio
import csv
import io
from contextlib import aclosing

import pytest

from proxypal_core.app import Clock
from proxypal_core.hub.messages import Usage
from proxypal_core.metering import Record
from proxypal_core.store.database import Database
from proxypal_core.store.usage_db import UsageDB
from proxypal_core.wire import jsonio
from tests.cli.home import Home
from tests.gateway.asking import ask, upstream
from tests.running import daemon, free_port, ran

DAY = 86400.0


@pytest.fixture
def home(tmp_path):
    return Home(tmp_path)


def left_by_a_daemon(home, *records):
    async def write():
        async with aclosing(Database(home.data)) as database, aclosing(UsageDB(database)) as db:
            for one in records:
                db.put(one)

    asyncio.run(write())


def record(*, days=0.0, **fields):
    """A request that ended that many *days* ago."""
    at = Clock().now() - days * DAY
    who = {"served_by": "anthropic:work", "provider": "anthropic", "served_model": "m"}
    given_fields = {**who, "outcome": "served", "usage": Usage(1200, 1000, 0, 34), **fields}
    return Record(id="1", at=at, dialect="anthropic", path="/v1/messages", **given_fields)


def table(result):
    """The lines in columns, and what stands below them."""
    lines = result.output.splitlines()
    return [line.split() for line in lines if "  " in line], [
        line for line in lines if "  " not in line
    ]


# ── without a daemon ─────────────────────────────────────────────────────────────────────────


def test_a_table_tells_what_was_used_and_how_much_of_it_has_a_price(home):
    left_by_a_daemon(
        home, record(cost=1.5), record(cost=None), record(cost=0.25, outcome="server", client="x")
    )
    result = home.program("usage", "--by", "account")
    rows, below = table(result)

    assert result.exit_code == 0
    assert rows[1:] == [
        ["anthropic:work", "3", "1", "600", "3,000", "0", "102", "0", "$1.75+"],
        ["total", "3", "1", "600", "3,000", "0", "102", "0", "$1.75+"],
    ]
    assert below[0].startswith("Priced 2 of 3 requests")


@pytest.mark.parametrize(
    ("since", "requests"), [("7d", 2), ("36h", 1), ("2020-01-01", 3), ("1.5d", 1), ("90d", 3)]
)
def test_it_begins_when_one_likes(home, since, requests):
    left_by_a_daemon(home, record(days=0.1), record(days=3), record(days=40))
    result = home.program("usage", "--since", since, "--json")

    assert jsonio.loads(result.stdout)["total"]["requests"] == requests


def test_csv_holds_the_rows_of_the_table_as_numbers(home):
    left_by_a_daemon(home, record(cost=0.125, client="laptop"), record(cost=2.0, client="=1+1"))
    result = home.program("usage", "--by", "key", "--csv")
    rows = list(csv.DictReader(io.StringIO(result.stdout)))

    assert [(row["key"], row["cost"], row["cache_read"]) for row in rows] == [
        ("'=1+1", "2.0", "1000"),  # what a spreadsheet would reckon is text
        ("laptop", "0.125", "1000"),
    ]


@pytest.mark.parametrize(
    ("dollars", "told"),
    [
        (150.0, "Your plans served $150.00 worth for $100.00: saved $50.00."),
        (40.0, "Your plans served $40.00 worth for $100.00: $60.00 short of their price."),
    ],
)
def test_plans_are_weighed_against_what_they_served(home, dollars, told):
    a_dollar_a_day = 365.25 / 12
    plan = f"{{name: Max, provider: anthropic, usd_per_month: {a_dollar_a_day}}}"
    home.configure(f"usage: {{plans: [{plan}]}}")
    left_by_a_daemon(home, record(days=120, cost=999.0), record(cost=dollars))
    result = home.program("usage", "--since", "100d")

    assert told in result.output


def test_nothing_is_said_and_made_where_nothing_ran(home):
    result = home.program("usage")

    assert (result.exit_code, result.output) == (0, "Nothing was used in that time.\n")
    assert not home.data.exists()


@pytest.mark.parametrize(
    "arguments", [("--json", "--csv"), ("--by", "moon"), ("--since", "when"), ("--since", "99999")]
)
def test_what_means_nothing_is_refused(home, arguments):
    result = home.program("usage", *arguments)

    assert result.exit_code == 2
    assert result.output


def test_a_name_cannot_reach_the_terminal_s_controls(home):
    left_by_a_daemon(home, record(client="\x1b[2Jgone"))
    result = home.program("usage", "--by", "key")

    assert "\x1b" not in result.output
    assert "?[2Jgone" in result.output


# ── with a daemon ────────────────────────────────────────────────────────────────────────────


async def test_the_running_daemon_is_asked(fault_server, home):
    home.configure(f"listen: {{port: {free_port()}}}\n{upstream(fault_server, 'anthropic')}")
    environment = {name: value for name, value in home.environment.items() if value}
    async with daemon("--config", str(home.settings), **environment) as server:
        await ask(server, "anthropic")
        asked = await document(environment)
        while not asked["rows"]:  # written within a quarter of a second
            asked = await document(environment)
    left = await document(environment)

    (row,) = asked["rows"]
    assert (row["name"], row["requests"]) == ("up/m-1", 1)
    assert left["rows"] == asked["rows"]


async def document(environment):
    process = await ran("usage", "--by", "model", "--json", **environment)
    assert process.process.returncode == 0, process.err
    return jsonio.loads(process.out)
