"""Who may come in, at some of the routes; and that the gate closes when somebody else can."""

import pytest

from proxypal_core.gateway import access, surface
from tests.security import policy
from tests.security.policy import LOCKED, POLICY, Audience
from tests.security.target import target

STEP = 15


def broken(figures):
    return [figure for figure in figures if not figure.held]


# ── every key at every route ─────────────────────────────────────────────────────────────────


def test_every_route_is_declared():
    assert policy.undeclared() == []


async def test_every_key_is_judged_as_declared():
    assert broken(await policy.measure_routes(STEP)) == []


async def test_nobody_comes_around_the_policy():
    assert broken(await policy.measure_ways_around(STEP)) == []


@pytest.mark.parametrize("row", ["GET /api/settings", "POST /v1/messages", "HEAD /health"])
def test_a_route_that_is_not_declared_closes_the_gate(row):
    declared = [one for one in POLICY if str(one) != row]

    # What /v1/messages has, /anthropic/v1/messages has too.
    found = policy.undeclared([one for one in declared if not one.path.endswith("v1/messages")])

    assert any(one.startswith(row.partition(" ")[0]) for one in found)


def test_a_declared_route_that_is_gone_closes_the_gate():
    gone = policy.Row("GET", "/v1/gone", Audience.CLIENT)

    assert policy.undeclared([*POLICY, gone]) == ["GET /v1/gone: there is none"]


async def test_an_owner_who_is_anybody_is_seen(monkeypatch):
    monkeypatch.setattr(access, "is_admin", lambda *_: True)
    rows = [row for row in POLICY if str(row) == "GET /api/state"]
    async with target(LOCKED) as attacked:
        wrong, _ = await policy.misjudged(attacked, rows)
        passed, _ = await policy.passed_by(attacked, rows)

    assert len(wrong) == 5  # all but the owner's own three
    assert passed


async def test_a_key_that_outlives_its_end_is_seen(monkeypatch):
    monkeypatch.setattr("proxypal_core.app.configured.access.expiry", lambda _: 0.0)
    rows = [row for row in POLICY if str(row) == "GET /v1/models"]
    async with target(LOCKED) as attacked:
        wrong, _ = await policy.misjudged(attacked, rows)

    assert wrong == ["GET /v1/models with expired key: 200"]


async def test_a_route_that_lost_its_guard_is_seen(monkeypatch):
    opened = [
        surface.Route(r.operation, r.methods, r.pattern, r.dialect, surface.Access.OPEN, r.upstream)
        if r.operation is surface.Operation.PASS
        else r
        for r in surface.ROUTES
    ]
    monkeypatch.setattr(surface, "ROUTES", tuple(opened))
    surface.match.cache_clear()
    rows = [row for row in POLICY if str(row) == "GET /v1/files"]
    try:
        async with target(LOCKED) as attacked:
            wrong, _ = await policy.misjudged(attacked, rows)
            passed, _ = await policy.passed_by(attacked, rows)
    finally:
        surface.match.cache_clear()

    assert "GET /v1/files with nobody: it went upstream" in wrong
    assert any(one.startswith("GET /v1/files: 200") for one in passed)
