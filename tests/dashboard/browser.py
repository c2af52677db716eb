"""Chromium, driven by Playwright: the distribution's own, since nothing is downloaded for tests."""

import os
import shutil
from contextlib import asynccontextmanager

from axe_playwright_python import async_playwright as axe
from playwright.async_api import async_playwright

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
MISSING = "no Chromium here: apt install chromium, or say where one is in CHROMIUM"
DESKTOP = {"width": 1280, "height": 860}
PHONE = {"width": 390, "height": 844}
RULES = {"target-size": {"enabled": True}}  # of WCAG 2.2, which axe leaves out unless asked


def chromium():
    """Where Chromium is, or None."""
    return os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)


@asynccontextmanager
async def a_browser():
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium())
        try:
            yield browser
        finally:
            await browser.close()


@asynccontextmanager
async def page_of(browser, *, scheme="light", size=DESKTOP, at=None, **options):
    """A page with a profile of its own; at its end, whatever went wrong in it fails the test. With
    *at* (Unix seconds) its clock starts there.

    ``page.asked`` are the addresses that it asked for.
    """
    troubles = []
    context = await browser.new_context(
        color_scheme=scheme, viewport=size, locale="en-GB", timezone_id="UTC", **options
    )
    page = await context.new_page()
    page.set_default_timeout(15_000)
    page.on("pageerror", lambda error: troubles.append(f"error: {error}"))
    page.on("dialog", lambda dialog: troubles.append(f"dialog: {dialog.message}"))
    page.on("console", lambda message: _note(troubles, message))
    page.asked = []
    page.on("request", lambda request: page.asked.append(request.url))
    page.troubles = troubles
    if at is not None:
        await page.clock.install(time=at)
    try:
        yield page
    finally:
        await context.close()
    assert troubles == []


def _note(troubles, message):
    # A refused call is told on the page; the browser writes it to the console besides.
    if message.type == "error" and "Failed to load resource" not in message.text:
        troubles.append(f"{message.type}: {message.text}")


async def violations(page, only=()):
    """What axe finds against WCAG 2.2 AA and its own good practices, in words; by the rules *only*
    if some are named.
    """
    options = {"runOnly": {"type": "rule", "values": list(only)}} if only else {"rules": RULES}
    found = await axe.Axe().run(page, options={"resultTypes": ["violations"], **options})
    return [
        f"{one['id']}: {one['help']} ({node['target']} {node.get('failureSummary', '')})"
        for one in found.response["violations"]
        for node in one["nodes"]
    ]
