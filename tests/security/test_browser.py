"""A hostile page in Chromium: all ways at a few routes, and that one that gets through is seen."""

import os

import pytest
import pytest_asyncio

from proxypal_core.gateway import access, dashboard_files
from tests.dashboard.browser import MISSING, chromium
from tests.security import browser
from tests.security.policy import POLICY

ROWS = [
    row
    for row in POLICY
    if str(row) in ("GET /v1/files", "POST /v1/chat/completions", "POST /api/keys")
]
NAMES = ("127.0.0.1", browser.REBOUND)

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def misled():
    """One Chromium for all."""
    if chromium() is None:
        (pytest.fail if os.environ.get("CI") else pytest.skip)(MISSING)
    async with browser.misled_browser() as started:
        yield started


async def test_a_hostile_page_gets_nothing_and_changes_nothing(misled):
    figures = await browser.attack(misled, ROWS, NAMES)

    assert [figure for figure in figures if not figure.held] == []


async def test_a_proxy_that_trusts_every_page_is_seen(monkeypatch, misled):
    monkeypatch.setattr(access, "check_origin", lambda *_: None)
    monkeypatch.setattr(access, "check_host", lambda *_: None)
    monkeypatch.setitem(dashboard_files.HEADERS, "content-security-policy", "default-src 'self'")

    let_in, _, effects, readable, framed, _ = await browser.attack(misled, ROWS, NAMES[1:])

    assert [figure.held for figure in (let_in, effects, readable, framed)] == [False] * 4
