import os

import pytest
import pytest_asyncio
from playwright.async_api import expect

from tests.dashboard.browser import MISSING, a_browser, chromium, page_of
from tests.dashboard.fake import NOW, daemon

expect.set_options(timeout=15_000)  # never waited for, unless a test fails


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser():
    """One Chromium for all; without one its tests are skipped, but not where CI promised one."""
    if chromium() is None:
        (pytest.fail if os.environ.get("CI") else pytest.skip)(MISSING)
    async with a_browser() as started:
        yield started


@pytest_asyncio.fixture(loop_scope="session")
async def fake():
    async with daemon() as started:
        yield started


@pytest.fixture
def opened(browser, fake):
    """Opens the fake daemon's dashboard at a view, once it is live."""
    return lambda view="", **options: _Opened(browser, fake, view, options)


class _Opened:
    def __init__(self, browser, fake, view, options):
        self.fake, self.view = fake, view
        self.page = page_of(browser, **{"at": NOW, **options})

    async def __aenter__(self):
        page = await self.page.__aenter__()
        await page.goto(f"{self.fake.url}/dashboard#/{self.view}")
        await expect(page.locator(".feed")).to_have_text("Live")
        return page

    async def __aexit__(self, *failure):
        await self.page.__aexit__(*failure)
