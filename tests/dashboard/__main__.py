"""Make the screenshots in docs/screenshots again: ``python -m tests.dashboard``."""

import asyncio
from pathlib import Path

from playwright.async_api import expect

from tests.dashboard import showcase
from tests.dashboard.browser import MISSING, PHONE, a_browser, chromium, page_of
from tests.dashboard.fake import NOW, daemon

FOLDER = Path(__file__).parents[2] / "docs" / "screenshots"


async def request(page):
    await page.get_by_text("3 tries").first.wait_for()
    await page.locator("tr", has_text="3 tries").first.get_by_role("button").click()
    await expect(page.get_by_role("heading", name="Why this route")).to_be_visible()


async def still(page):
    await expect(page.locator("h1")).to_be_visible()


async def drawn(page):
    await expect(page.locator(".plot canvas")).to_be_visible()


# name, address, scheme, size, what to wait for
SHOTS = (
    ("overview-light", "#/", "light", None, still),
    ("overview-dark", "#/", "dark", None, still),
    ("request-dark", "#/requests", "dark", None, request),
    ("accounts-light", "#/accounts", "light", None, still),
    ("usage-dark", "#/usage", "dark", None, drawn),
    ("phone-dark", "#/", "dark", PHONE, still),
)


async def main():
    FOLDER.mkdir(parents=True, exist_ok=True)
    async with a_browser() as browser, daemon() as fake:
        showcase.fill(fake, requests=40)
        for name, address, scheme, size, wait in SHOTS:
            options = {"size": size} if size else {}
            async with page_of(browser, scheme=scheme, at=NOW, **options) as page:
                await page.goto(f"{fake.url}/dashboard{address}")
                await expect(page.get_by_text("Live", exact=True).first).to_be_visible()
                showcase.live(fake)
                await wait(page)
                if address == "#/":
                    await expect(page.locator(".tail tbody tr")).to_have_count(9)
                path = FOLDER / f"{name}.png"
                await page.screenshot(path=path)
                print(f"{path.name}: {path.stat().st_size // 1024} KiB")


if chromium() is None:
    raise SystemExit(MISSING)
asyncio.run(main())
