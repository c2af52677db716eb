"""What the views show, against answers that a test chooses."""

import asyncio

import pytest
from playwright.async_api import expect

from tests.dashboard.browser import page_of, violations
from tests.dashboard.fake import NOW, account, attempt, rest, row, usage, used
from tests.dashboard.showcase import EXPLAINED

pytestmark = pytest.mark.asyncio(loop_scope="session")


# ── overview ─────────────────────────────────────────────────────────────────────────────────


async def test_a_request_appears_as_it_ends(fake, opened):
    async with opened() as page:
        await expect(page.locator(".tail")).to_have_count(0)
        fake.tell(row(model="gpt-live", account="openai:default"))

        await expect(page.locator(".tail tbody tr")).to_have_count(1)
        await expect(page.locator(".tail tbody tr")).to_contain_text("gpt-live")
        await expect(page.locator(".tail tbody tr")).to_contain_text("openai:default")


async def test_the_feed_may_speak_in_the_recorders_words(fake, opened):
    record = {
        key: value for key, value in row().items() if key not in ("tokens", "account", "cost")
    }
    said = {"input_total": 900, "input_cached": 500, "output_total": 100}
    async with opened() as page:
        fake.tell({**record, "served_by": "demo:default", "usage": said})

        await expect(page.locator(".tail tbody tr")).to_contain_text("demo:default")
        await expect(page.locator(".tail tbody td").nth(6)).to_have_text("1,000")


async def test_an_account_goes_yellow_counts_down_and_comes_back(fake, opened):
    async with opened() as page:
        tile = page.locator(".tile")
        await expect(tile.locator(".tag")).to_have_text("Ready")
        await page.clock.pause_at(NOW + 60)
        fake.now, fake.accounts = NOW + 60, [account(resting=rest("rate_limit", 60 + 90))]
        fake.feed.publish("accounts", {})

        await _goes_on_until(page, tile.locator(".countdown"))
        first = _seconds(await tile.locator(".countdown").inner_text())
        assert 60 < first <= 90
        await expect(tile).to_have_class("tile warn")
        await expect(tile).to_contain_text("Its limit is used up. It comes back by itself.")
        # A snapshot on its way would bring the daemon's time, which stands still here.
        await page.route("**/api/state", lambda route: route.abort())
        await page.clock.run_for(30_000)
        # The page's clock ticks on its own seconds.
        assert first - _seconds(await tile.locator(".countdown").inner_text()) in (29, 30)
        assert "Every account rests; the first is back in" in await page.title()
        await page.clock.run_for(62_000)
        await expect(tile).to_have_class("tile good")
        await expect(page.locator(".verdict")).to_contain_text("The account is ready.")


async def _goes_on_until(page, place):
    """Let the page's stopped time go on until *place* is there."""
    async with asyncio.timeout(15):
        while not await place.count():
            await page.clock.run_for(100)


def _seconds(text):
    minutes, seconds = text.split(":")
    return 60 * int(minutes) + int(seconds)


async def test_a_red_account_stands_first_and_says_why_and_what_to_do(fake, opened):
    told = {
        "auth": ("Needs a login", "Log in again, or add a new key."),
        "billing": ("Needs credit", "Pay or top up at the provider"),
        "forbidden": ("Refused", "Read the provider's message with Test."),
    }
    fake.accounts = [
        account("openai:ok"),
        *(account(f"openai:{reason}", resting=rest(reason, 9000)) for reason in told),
    ]
    async with opened() as page:
        for place, (reason, (word, fix)) in enumerate(told.items()):
            tile = page.locator(".tile").nth(place)
            await expect(tile).to_have_class("tile bad")
            await expect(tile.locator(".id")).to_have_text(f"openai:{reason}")
            await expect(tile.locator(".tag")).to_have_text(word)
            await expect(tile).to_contain_text(fix)
        await page.get_by_role("link", name="See what to do").click()
        await expect(page.locator(".card").first).to_contain_text("Log in again")


async def test_the_user_is_told_when_usage_is_not_recorded(fake, opened):
    fake.dropped, fake.problem = 7, "the disk is full"
    async with opened() as page:
        await expect(page.get_by_role("alert")).to_contain_text(
            "7 requests could not be written to the usage record: the disk is full."
        )


async def test_the_page_comes_back_by_itself_after_the_daemon_was_away(fake, opened):
    async with opened() as page:
        await fake.leave()
        await expect(page.locator(".feed")).to_have_text("Connection lost")
        await expect(page.get_by_role("alert")).to_contain_text("what you see may be old")
        fake.accounts = [account("openai:new")]
        await fake.come_back()

        await expect(page.locator(".feed")).to_have_text("Live")
        await expect(page.locator(".tile .id")).to_have_text("openai:new")
        fake.tell(row(model="after"))
        await expect(page.locator(".tail tbody tr")).to_contain_text("after")


async def test_without_a_session_the_page_says_how_to_get_one(fake, browser):
    fake.signed_in = False
    async with page_of(browser) as page:
        await page.goto(f"{fake.url}/dashboard")

        await expect(page.locator("h1")).to_have_text("Sign in")
        await expect(page.locator("pre")).to_have_text("proxypal dashboard")
        assert await violations(page) == []
        fake.signed_in = True
        await page.get_by_role("button", name="Try again").click()
        await expect(page.locator("h1")).to_have_text("Overview")
        await expect(page.locator(".feed")).to_have_text("Live")


# ── requests ─────────────────────────────────────────────────────────────────────────────────


async def test_a_request_tells_its_attempts_and_why(fake, opened):
    asked = row(
        attempts=[
            attempt("anthropic:home", "rate_limit", 1.0),
            attempt("anthropic:work", "served", 3.0),
        ],
        duration=4.0,
    )
    fake.answers["GET /api/requests"] = {"requests": [asked], "next": None}
    fake.answers[f"GET /api/requests/{asked['id']}"] = {**asked, "cost": 1.25}
    fake.answers["GET /api/explain"] = EXPLAINED
    async with opened("requests") as page:
        await page.locator("[data-row]").click()
        steps = page.locator(".waterfall li")

        await expect(steps.nth(0)).to_contain_text("rate limit after 1.0 s: its limit is used up")
        await expect(steps.nth(1)).to_contain_text("served in 3.0 s")
        assert await steps.nth(1).locator("i").evaluate("(bar) => bar.style.left") == "25%"
        await expect(page.locator("dialog")).to_contain_text("$1.25")
        await expect(page.locator("dialog tbody tr").nth(1)).to_contain_text(
            "rests: its limit is used up"
        )


async def test_requests_are_filtered_searched_and_paged(fake, opened):
    asked = []

    def requests(request, _):
        asked.append(dict(request.query))
        first = 51 if "before" in request.query else 1
        rows = [row(number, model=f"model-{number}") for number in range(first, first + 50)]
        return {"requests": rows, "next": None if "before" in request.query else "cursor"}

    fake.answers["GET /api/requests"] = requests
    async with opened("requests") as page:
        await expect(page.locator("[data-row]")).to_have_count(50)
        await page.get_by_role("button", name="Load older").click()
        await expect(page.locator("[data-row]")).to_have_count(100)
        await expect(page.get_by_role("button", name="Load older")).to_have_count(0)
        await page.get_by_role("searchbox").fill("MODEL-77")
        await expect(page.locator("[data-row]")).to_have_count(1)
        await page.get_by_role("searchbox").fill("")
        await page.get_by_label("Outcome").select_option("rate_limit")
        await page.get_by_label("Client key").fill("laptop")
        await page.get_by_label("Client key").press("Enter")

        await expect(page.locator("[data-row]")).to_have_count(50)
    assert asked == [
        {"limit": "50"},
        {"limit": "50", "before": "cursor"},
        {"limit": "50", "outcome": "rate_limit"},
        {"limit": "50", "outcome": "rate_limit", "key": "laptop"},
    ]


async def test_a_paused_list_stands_still_and_counts(fake, opened):
    async with opened("requests") as page:
        fake.tell(row(1))
        await expect(page.locator("[data-row]")).to_have_count(1)
        await page.get_by_role("button", name="Pause").click()
        for number in range(2, 9):
            fake.tell(row(number))

        await page.get_by_role("button", name="Resume (7 new)").wait_for()
        await expect(page.locator("[data-row]")).to_have_count(1)
        await page.get_by_role("button", name="Resume").click()
        await expect(page.locator("[data-row]")).to_have_count(8)


# ── usage ────────────────────────────────────────────────────────────────────────────────────


async def test_the_table_beside_the_plot_holds_its_numbers(fake, opened):
    rows = [used("2026-11-18", 3), used("2026-11-20", 5, cost=1.5, failed=1)]
    fake.answers["GET /api/usage"] = usage(
        rows, savings={"value": 30.0, "plans": 20.0, "saved": 10.0}
    )
    async with opened("usage") as page:
        await expect(page.locator(".plot canvas")).to_be_visible()
        lines = page.locator(".scroller tbody tr")

        await expect(lines).to_have_count(2)
        assert await lines.nth(0).locator("th, td.number").all_inner_texts() == [
            "20 Nov", "5", "1", "5,000", "0", "500", "$1.50",
        ]  # fmt: skip
        await expect(page.locator("#savings >> xpath=../..")).to_contain_text(
            "$10.00 more than the plans cost"
        )
        await page.get_by_role("combobox", name="By", exact=True).select_option("model")
        await expect(page.get_by_role("heading", name="By day")).to_be_visible()


async def test_usage_downloads_as_a_table_that_runs_no_formula(fake, opened):
    fake.answers["GET /api/usage"] = usage([used("=1+1", 3)], by="model")
    async with opened("usage") as page:
        async with page.expect_download() as download:
            await page.get_by_role("button", name="Download CSV").click()
        path = await (await download.value).path()

        assert path.read_text().splitlines()[1].startswith('"\'=1+1","3"')
