"""Accounts of other programs, and what the page tells, or does not, of accounts."""

import pytest
from playwright.async_api import expect

from tests.dashboard.browser import PHONE, page_of, violations
from tests.dashboard.fake import account, rest, row, usage, used
from tests.dashboard.payloads import PAYLOADS
from tests.dashboard.test_daemon import entered
from tests.dashboard.views import shown
from tests.gateway.owning import owned

pytestmark = pytest.mark.asyncio(loop_scope="session")

LINKS = {
    "logins": [
        {"login": "anthropic", "program": "claude", "provider": "anthropic", "found": True,
         "notice": "Anthropic may refuse it elsewhere."},
        {"login": "qwen", "program": "qwen", "provider": "qwen-portal", "found": False, "notice": ""},
    ]
}  # fmt: skip
ADDRESS = "jane.doe@example.com"
HIDDEN = "[...(CSS.highlights.get('emails') ?? [])].map((one) => one.startContainer.data.slice(one.startOffset, one.endOffset))"


async def adding(page, way):
    await page.get_by_role("button", name="Add an account").click()
    await page.get_by_role("button", name=way).click()


# ── other programs ───────────────────────────────────────────────────────────────────────────


async def test_another_programs_login_is_linked(fake, opened):
    def linked(*_):
        fake.accounts.append(account("anthropic:claude", kind="oauth"))
        return {"id": "anthropic:claude"}

    fake.answers["GET /api/accounts/link"] = LINKS
    fake.answers["POST /api/accounts/link"] = linked
    async with opened("accounts") as page:
        await adding(page, "Another program's login")
        await expect(page.locator(".links li")).to_have_count(2)
        await expect(page.locator(".links .tag")).to_have_text(["found", "not found"])
        assert await violations(page) == []
        await page.get_by_role("button", name="Link claude").click()

        await expect(page.locator(".card .id")).to_have_text(["anthropic:work", "anthropic:claude"])
        await expect(page.locator("dialog")).to_have_count(0)
    assert ("/api/accounts/link", {"login": "anthropic"}) in fake.called("POST")


async def test_a_file_is_taken_in_and_told_line_by_line(fake, opened):
    fake.answers["POST /api/accounts/import"] = {
        "accounts": [
            {"what": "openai:work", "action": "added", "reason": ""},
            {"what": "x", "action": "skipped", "reason": "it is not an object"},
        ],
        "settings": {"providers": [{"name": "mine", "base_url": "https://m.example.com"}]},
        "notes": ["Stop the other program."],
    }
    file = {
        "name": "auth-profiles.json",
        "mimeType": "application/json",
        "buffer": b'{"a": "CANARY"}',
    }
    async with opened("accounts") as page:
        await adding(page, "From a file")
        await page.get_by_label("File").first.set_input_files(file)
        assert await violations(page) == []
        await page.get_by_role("button", name="Import", exact=True).click()

        await expect(page.locator(".links .tag")).to_have_text(["added", "skipped"])
        await expect(page.locator("dialog")).to_contain_text("Stop the other program.")
        await expect(page.locator("dialog pre")).to_contain_text('"name":"mine"')
        assert await violations(page) == []
        assert "CANARY" not in await page.content()
        await page.get_by_role("button", name="Done").click()
        await expect(page.locator("dialog")).to_have_count(0)
    [call] = [body for path, body in fake.called("POST") if path.endswith("import")]
    assert call == {"text": '{"a": "CANARY"}', "file": "auth-profiles.json"}


async def test_a_pasted_text_that_is_refused_stays_to_be_mended(fake, opened):
    fake.answers["POST /api/accounts/import"] = (400, {"error": {"message": "the file is cut"}})
    async with opened("accounts") as page:
        await adding(page, "From a file")
        await page.get_by_label("Or its text").fill("{")
        await page.get_by_role("button", name="Import", exact=True).click()

        await expect(page.locator(".notice.bad")).to_contain_text("the file is cut")
        await expect(page.get_by_label("Or its text")).to_have_value("{")


async def test_nothing_that_a_file_or_a_program_says_is_markup(fake, opened):
    fake.answers["GET /api/accounts/link"] = {
        "logins": [
            {"login": text, "program": text, "provider": text, "found": True, "notice": text}
            for text in PAYLOADS
        ]
    }
    fake.answers["POST /api/accounts/import"] = {
        "accounts": [{"what": text, "action": "added", "reason": text} for text in PAYLOADS],
        "settings": {"providers": [{"name": text} for text in PAYLOADS]},
        "notes": list(PAYLOADS),
    }
    async with opened("accounts") as page:
        await adding(page, "Another program's login")
        await expect(page.locator(".links li")).to_have_count(30)
        assert await page.evaluate("window.ran") is None
        await page.get_by_role("button", name="From a file").click()
        await page.get_by_label("Or its text").fill("{}")
        await page.get_by_role("button", name="Import", exact=True).click()
        await expect(page.locator(".links .id")).to_have_text(list(PAYLOADS))
        assert await page.evaluate("window.ran") is None


async def test_a_file_becomes_an_account_of_the_real_daemon(tmp_path, browser):
    text = '{"profiles": {"openai:work": {"type": "api_key", "provider": "openai", "key": "sk-1"}}}'
    async with owned(tmp_path) as owner, page_of(browser) as page:
        await entered(page, owner)
        await page.keyboard.press("3")
        await adding(page, "Another program's login")
        await expect(page.locator(".links li")).to_have_count(4)
        await page.get_by_role("button", name="From a file").click()
        await page.get_by_label("Or its text").fill(text)
        await page.get_by_role("button", name="Import", exact=True).click()
        await page.get_by_role("button", name="Done").click()

        await expect(page.locator(".card .id")).to_contain_text(["openai:work"])


# ── what is told ─────────────────────────────────────────────────────────────────────────────


async def test_addresses_are_hidden_in_every_view_and_stay_so(fake, opened):
    name = f"anthropic:{ADDRESS}"
    fake.accounts = [account(name, resting=rest())]
    fake.answers["GET /api/requests"] = {"requests": [row(1, account=name)], "next": None}
    fake.answers["GET /api/usage"] = usage([used(name)], by="account")
    async with opened() as page:
        assert await page.evaluate(HIDDEN) == []
        await page.keyboard.press("e")
        found = {}
        for view, last in {"": ADDRESS, "accounts": "me@example.com", "usage": ADDRESS}.items():
            await shown(page, view)
            await expect(page.locator("main")).to_contain_text(last)
            found[view] = set(await page.evaluate(HIDDEN))
        assert found == {"": {ADDRESS}, "accounts": {ADDRESS, "me@example.com"}, "usage": {ADDRESS}}
        await page.reload()
        await expect(page.locator("main")).to_contain_text(ADDRESS)
        assert set(await page.evaluate(HIDDEN)) == {ADDRESS}
        await page.get_by_role("button", name="Hide e-mail addresses").click()
        assert await page.evaluate(HIDDEN) == []


async def test_the_switch_fits_on_a_phone(fake, opened):
    async with opened(size={**PHONE, "width": 320}) as page:
        button = page.get_by_role("button", name="Hide e-mail addresses")

        await expect(button).to_have_attribute("aria-pressed", "false")
        await button.click()
        await expect(button).to_have_attribute("aria-pressed", "true")
        assert await page.evaluate("document.documentElement.scrollWidth") == 320
        assert await violations(page) == []


async def test_the_tabs_picture_has_a_red_dot_while_an_account_needs_a_person(fake, opened):
    icon = "document.querySelector('link[rel=icon]').href.split('/').at(-1)"
    async with opened() as page:
        assert await page.evaluate(icon) == "icon.svg"
        fake.accounts = [account(resting=rest("auth", 3600))]
        fake.feed.hint("accounts")
        await expect(page.locator(".tile.bad")).to_have_count(1)

        assert await page.evaluate(icon) == "icon-bad.svg"
        await page.clock.run_for(1100)
        assert await page.title() == "1 account needs your attention. · ProxyPal"


async def test_weeks_are_named_by_their_mondays(fake, opened):
    rows = [used("2026-11-02", 3), used("2026-11-16", 5)]
    fake.answers["GET /api/usage"] = usage(rows, by="week")
    async with opened("usage") as page:
        await expect(page.locator(".plot canvas")).to_be_visible()

        await expect(page.get_by_role("heading", name="By week")).to_be_visible()
        await expect(page.locator(".scroller tbody th")).to_have_text(
            ["Week of 16 Nov", "Week of 2 Nov"]
        )
