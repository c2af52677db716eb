"""A request's bodies stand with its details where they are kept, as text whatever they hold."""

import pytest
from playwright.async_api import expect

from tests.dashboard.browser import violations
from tests.dashboard.fake import row
from tests.dashboard.payloads import PAYLOADS

pytestmark = pytest.mark.asyncio(loop_scope="session")


def keeps(fake, which):
    state = fake.state()
    fake.state = lambda: {**state, "capture_bodies": which}


def body(text, **options):
    return {"text": text, "size": len(text or "ab"), "cut": False, **options}


async def test_bodies_are_shown_as_text(fake, opened):
    keeps(fake, "all")
    asked = row()
    scripts = "\n".join(PAYLOADS)
    fake.answers["GET /api/requests"] = {"requests": [asked], "next": None}
    fake.answers[f"GET /api/requests/{asked['id']}"] = asked
    fake.answers[f"GET /api/requests/{asked['id']}/bodies"] = {
        "request": body(f"{scripts}</textarea><script>window.ran=1</script>"),
        "answer": body("the beginning", size=2_000_000, cut=True),
    }
    async with opened("requests") as page:
        await page.locator("[data-row]").click()
        dialog = page.locator("dialog")

        shown = dialog.get_by_label("The request")
        await expect(shown).to_have_value(f"{scripts}</textarea><script>window.ran=1</script>")
        await expect(dialog.get_by_label("The answer")).to_have_value("the beginning")
        await expect(dialog).to_contain_text("The beginning of 2M bytes")
        assert await page.evaluate("window.ran") is None
        assert await violations(page) == []


async def test_a_body_that_is_no_text_is_told_by_its_size(fake, opened):
    keeps(fake, "errors")
    asked = row()
    fake.answers["GET /api/requests"] = {"requests": [asked], "next": None}
    fake.answers[f"GET /api/requests/{asked['id']}"] = asked
    fake.answers[f"GET /api/requests/{asked['id']}/bodies"] = {
        "request": body(None, size=12),
        "answer": body(""),
    }
    async with opened("requests") as page:
        await page.locator("[data-row]").click()

        await expect(page.locator("dialog")).to_contain_text("12 bytes that are no text")
        await expect(page.locator("dialog textarea")).to_have_count(0)


async def test_where_none_are_kept_none_are_asked_for(fake, opened):
    keeps(fake, "none")
    asked = row()
    fake.answers["GET /api/requests"] = {"requests": [asked], "next": None}
    async with opened("requests") as page:
        await page.locator("[data-row]").click()
        await expect(page.locator("dialog")).to_contain_text("What happened")

        assert not any(url.endswith("/bodies") for url in page.asked)
