"""The views by their addresses."""

from playwright.async_api import expect

VIEWS = {
    "": "Overview",
    "requests": "Requests",
    "accounts": "Accounts",
    "usage": "Usage",
    "setup": "Setup",
}


async def shown(page, view):
    await page.evaluate(f"location.hash = '#/{view}'")
    await expect(page.locator("h1")).to_have_text(VIEWS[view])
