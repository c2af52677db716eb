"""What holds in every view: reach, keyboard, themes, and texts that run nothing."""

import pytest
from playwright.async_api import expect

from tests.dashboard.browser import PHONE, violations
from tests.dashboard.fake import NOW, account, attempt, rest, row, usage, used
from tests.dashboard.payloads import PAYLOADS
from tests.dashboard.showcase import EXPLAINED, KEYS, exchanges, fill
from tests.dashboard.views import VIEWS, shown

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest.mark.parametrize(("scheme", "only"), [("light", ()), ("dark", ("color-contrast",))])
async def test_axe_finds_nothing_in_any_view(fake, opened, scheme, only):
    fill(fake)
    async with opened(scheme=scheme) as page:
        fake.tell(exchanges(1)[0])
        await expect(page.locator(".tail tbody tr")).to_have_count(1)
        found = {}
        for view in VIEWS:
            await shown(page, view)
            if view == "usage":
                await page.locator(".plot canvas").wait_for()
            if view == "setup":
                await page.locator(".panel table").wait_for()
            found[view] = await violations(page, only)
        await shown(page, "requests")
        await page.locator("[data-row]").nth(2).click()
        await page.get_by_role("heading", name="Why this route").wait_for()
        found["a request"] = await violations(page, only)

    assert found == {key: [] for key in found}


async def test_no_view_scrolls_sideways_on_a_phone(fake, opened):
    fill(fake)
    narrow = {**PHONE, "width": 320}
    async with opened(size=PHONE) as page:
        widths = []
        for view in VIEWS:
            await shown(page, view)
            await expect(page.get_by_text("Loading …")).to_have_count(0)
            for size in (narrow, PHONE):
                await page.set_viewport_size(size)
                width = await page.evaluate("document.documentElement.scrollWidth")
                widths.append((view, width - size["width"]))
        await shown(page, "requests")
        await page.locator("[data-row]").first.click()
        dialog = await page.locator("dialog").bounding_box()

    assert widths == [(view, 0) for view in VIEWS for _ in range(2)]
    assert dialog["x"] >= 0
    assert dialog["x"] + dialog["width"] <= PHONE["width"]


async def test_the_keyboard_alone_is_enough(fake, opened):
    fill(fake)
    async with opened() as page:
        for number, title in enumerate(VIEWS.values(), start=1):
            await page.keyboard.press(str(number))
            await expect(page.locator("h1")).to_have_text(title)
        await page.keyboard.press("2")
        await page.locator("[data-row]").first.wait_for()
        await page.keyboard.press("/")
        await page.keyboard.type("resting1")
        await expect(page.get_by_role("searchbox")).to_have_value("resting1")
        await expect(page.locator("h1")).to_have_text("Requests")
        await page.get_by_role("searchbox").fill("")
        await page.get_by_role("searchbox").blur()
        await page.locator("[data-row]").nth(3).wait_for()
        for key in ("j", "j", "k", "j"):
            await page.keyboard.press(key)
        await page.keyboard.press("Enter")
        await expect(page.locator("dialog")).to_be_visible()
        await page.keyboard.press("1")
        await expect(page.locator("h1")).to_have_text("Requests")
        await page.keyboard.press("Escape")
        await expect(page.locator("dialog")).to_have_count(0)
        await expect(page.locator("[data-row]").nth(1)).to_be_focused()
        await page.keyboard.press("?")
        await expect(page.get_by_role("dialog", name="Keyboard")).to_be_visible()
        assert await violations(page) == []
        await page.keyboard.press("Escape")
        await expect(page.locator("dialog")).to_have_count(0)


async def test_the_theme_is_the_systems_until_one_is_chosen(fake, opened):
    colour = "getComputedStyle(document.body).backgroundColor"
    async with opened(scheme="dark") as page:
        dark = await page.evaluate(colour)
        await page.keyboard.press("t")
        light = await page.evaluate(colour)
        await page.reload()
        await expect(page.locator(".feed")).to_have_text("Live")

        assert await page.evaluate(colour) == light != dark
        await expect(page.get_by_role("button", name="Light")).to_be_visible()


async def test_the_page_asks_nobody_but_the_daemon(fake, opened):
    fill(fake)
    async with opened() as page:
        for view in VIEWS:
            await shown(page, view)
        await page.locator(".panel table").wait_for()

        assert page.asked
        assert {url for url in page.asked if not url.startswith(f"{fake.url}/")} == set()


async def test_a_text_cannot_be_made_markup_even_by_mistake(opened):
    mistake = """() => {
        try {
            document.body.innerHTML = "<p>";
            return "done";
        } catch (error) {
            return error.name;
        }
    }"""
    async with opened() as page:
        assert await page.evaluate(mistake) == "TypeError"
        [said] = page.troubles
        assert "TrustedHTML" in said
        page.troubles.clear()


async def test_thirty_script_payloads_in_every_text_run_nowhere(fake, opened):
    _poison(fake)
    async with opened() as page:
        for one in fake.answers["GET /api/requests"]["requests"]:
            fake.tell(one)
        await expect(page.locator(".tile .id")).to_have_text(list(PAYLOADS))
        await expect(page.locator(".tail tbody tr")).to_have_count(12)
        await _harmless(page)
        await shown(page, "requests")
        await expect(page.locator("[data-row]")).to_have_count(30)
        for at in (0, 9, 19, 29):
            await page.locator("[data-row]").nth(at).click()
            await page.get_by_role("heading", name="Why this route").wait_for()
            await _harmless(page)
            await page.keyboard.press("Escape")
        await shown(page, "accounts")
        await expect(page.locator(".card")).to_have_count(30)
        for at in range(3):
            await page.locator(".card").nth(at).get_by_role("button", name="Test").click()
        await expect(page.locator(".notice")).to_have_count(3)
        await _harmless(page)
        await shown(page, "usage")
        await expect(page.locator("table tbody th")).to_have_text(list(PAYLOADS))
        await _harmless(page)
        await shown(page, "setup")
        await expect(page.locator("table tbody th")).to_have_text(list(PAYLOADS))
        await page.set_viewport_size({"width": 1280, "height": 5000})  # what is said covers nothing
        await page.get_by_role("button", name="Edit").click()
        await page.get_by_role("button", name="Check").click()
        await expect(page.locator(".why li")).to_have_text(list(PAYLOADS))
        await _harmless(page)


def _poison(fake):
    """Give every text of every answer a payload."""
    fake.accounts = [
        account(
            text, provider=text, kind=text, models={text: {"reason": text, "until": NOW + 900}},
            limits=[{"name": text, "scope": text, "left": 0.5, "resets_at": NOW + 900}],
            resting=None if at % 2 else rest(text),
        )
        for at, text in enumerate(PAYLOADS)
    ]  # fmt: skip
    names = (
        "dialect",
        "path",
        "model",
        "served_model",
        "account",
        "client",
        "agent",
        "session",
        "outcome",
    )
    rows = [
        row(at, **dict.fromkeys(names, text), attempts=[attempt(text, text), attempt(text, text)])
        for at, text in enumerate(PAYLOADS, start=1)
    ]
    refused = {"error": {"message": "".join(PAYLOADS)}}
    fake.answers = {
        **{f"GET /api/requests/{one['id']}": one for one in rows},
        **{f"POST /api/accounts/{text}/test": (400, refused) for text in PAYLOADS},
        "GET /api/requests": {"requests": rows, "next": None},
        "GET /api/usage": usage([used(text) for text in PAYLOADS], by="model"),
        "GET /api/accounts": {"accounts": [{"id": text, "email": text} for text in PAYLOADS]},
        "GET /api/keys": {
            "keys": [{**KEYS[0], "name": text, "models": [text], "source": text} for text in PAYLOADS]
        },
        "GET /api/explain": {
            **EXPLAINED,
            "answers": {"account": PAYLOADS[0], "model": PAYLOADS[1]},
            "candidates": [
                {**EXPLAINED["candidates"][0], "account": text, "provider": text, "model": text,
                 "state": text, "reason": text}
                for text in PAYLOADS
            ],
        },
        "GET /api/settings": {"path": PAYLOADS[0], "yaml": "".join(PAYLOADS)},
        "POST /api/settings/check": {"ok": False, "problems": list(PAYLOADS)},
    }  # fmt: skip


async def _harmless(page):
    assert await page.evaluate("window.ran") is None
    strange = "script, img:not([alt='']), svg, iframe, object, embed, video, audio, style, link, base, template, math, details"
    assert await page.locator(f"body :is({strange})").count() == 0
    assert (
        await page.evaluate(
            "[...document.querySelectorAll('a')].filter((one) => one.protocol !== location.protocol).length"
        )
        == 0
    )
