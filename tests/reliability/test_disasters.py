"""A few of the disasters of R14, and that their gate can close. All of them: ``make reliability``."""

import math
import os

import pytest

from proxypal_core.store import usage_db
from proxypal_core.store.database import Database
from proxypal_core.store.usage_db import UsageDB
from tests.reliability import disasters as suite
from tests.reliability import place, stores
from tests.reliability.disasters import DISASTERS, disasters

pytestmark = pytest.mark.skipif(os.name != "posix", reason="limits and modes are POSIX's here")

HERE = (
    "state.db is locked",
    "state.db is locked at the start",
    "state.db is no database",
    "bodies.db is no database",
    "state.db is damaged while it is used",
    "state.db lacks columns",
    "the clock stands before 1970",
)
BY_A_DAEMON = "the disk is full"


@pytest.mark.parametrize("name", [*HERE, BY_A_DAEMON])
async def test_a_disaster_passes(monkeypatch, name):
    monkeypatch.setattr(stores, "SLOWER", math.inf)  # it is measured where nothing else runs

    assert len(DISASTERS) >= 12

    [figure] = await disasters([name], locked_for=1.0)

    assert figure.held, figure.measured


@pytest.mark.parametrize(
    ("name", "part", "attribute", "value"),
    [
        ("state.db is locked", usage_db, "MOST_WAITING", 3),
        ("state.db is no database", Database, "_move_aside", lambda *_: None),
    ],
)
async def test_what_is_lost_is_seen(monkeypatch, name, part, attribute, value):
    monkeypatch.setattr(place, "PATIENCE", 1.0)
    monkeypatch.setattr(part, attribute, value)

    [figure] = await disasters([name], locked_for=1.5)

    assert figure.held is False


async def test_waiting_for_the_database_is_seen(monkeypatch):
    put = UsageDB.put

    def written(self, record):
        put(self, record)
        self._database.now(lambda db: db.execute("BEGIN IMMEDIATE").execute("ROLLBACK"), None)

    monkeypatch.setattr(UsageDB, "put", written)

    [figure] = await disasters(["state.db is locked"], locked_for=2.0)

    assert figure.held is False


async def test_a_crash_is_seen(monkeypatch):
    async def crashes(place):
        raise OSError("no such luck")

    monkeypatch.setitem(suite.DISASTERS, "it rains", (crashes, "an umbrella"))

    [figure] = await disasters(["it rains"])

    assert figure.held is False
    assert "no such luck" in figure.measured
