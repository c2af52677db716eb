"""What is changed through the page, against answers that a test chooses."""

import pytest
from playwright.async_api import expect

from tests.dashboard.browser import violations
from tests.dashboard.fake import account
from tests.dashboard.showcase import KEYS
from tests.dashboard.views import shown

pytestmark = pytest.mark.asyncio(loop_scope="session")


# ── accounts ─────────────────────────────────────────────────────────────────────────────────


async def test_an_account_is_added_tested_and_disabled(fake, opened):
    def added(_, body):
        fake.accounts = [account("openai:work", last_used=None)]
        return {"id": "openai:work"}

    def disabled(*_):
        fake.accounts = [account("openai:work", disabled=True)]
        return {}

    fake.accounts = []
    fake.answers["POST /api/accounts"] = added
    fake.answers["POST /api/accounts/openai:work/test"] = {"ok": False, "message": "no such key"}
    fake.answers["POST /api/accounts/openai:work/disable"] = disabled
    async with opened("accounts") as page:
        await page.get_by_role("button", name="Add an account").click()
        await page.get_by_label("Provider").fill("openai")
        await page.get_by_label("Name").fill("work")
        await page.get_by_label("API key", exact=False).last.fill("sk-CANARY")
        assert await violations(page) == []
        await page.get_by_role("button", name="Add", exact=True).click()

        await expect(page.locator(".card")).to_contain_text("openai:work")
        assert "CANARY" not in await page.content()
        await page.get_by_role("button", name="Test openai:work").click()
        await expect(page.locator(".card")).to_contain_text("The test failed: no such key")
        await page.get_by_role("button", name="Disable openai:work").click()
        await expect(page.locator(".card .tag")).to_have_text("Disabled")
    assert (
        "/api/accounts",
        {"provider": "openai", "name": "work", "key": "sk-CANARY"},
    ) in fake.called("POST")


async def test_a_refused_change_is_told_in_the_daemons_words(fake, opened):
    async with opened("accounts") as page:
        await page.get_by_role("button", name="Disable anthropic:work").click()

        await expect(page.locator(".notice.bad")).to_contain_text(
            "there is no POST /api/accounts/anthropic:work/disable here"
        )


async def test_a_login_by_a_code_goes_on_by_itself(fake, opened):
    fake.answers["POST /api/logins"] = {
        "id": "L1", "url": "https://login.example/device", "user_code": "WXYZ-1234",
    }  # fmt: skip
    fake.answers["GET /api/logins/L1"] = {"state": "waiting"}
    async with opened("accounts") as page:
        await page.get_by_role("button", name="Add an account").click()
        await page.get_by_role("button", name="Login by a code").click()
        await page.get_by_label("Provider").fill("codex")
        await page.get_by_role("button", name="Begin").click()
        await expect(page.locator(".code")).to_have_text("WXYZ-1234")
        link = page.get_by_role("link", name="Open the provider's page")
        await expect(link).to_have_attribute("href", "https://login.example/device")
        await expect(link).to_have_attribute("rel", "noopener noreferrer")
        fake.answers["GET /api/logins/L1"] = {"state": "done", "account": "codex:me"}
        await page.clock.run_for(2500)

        await expect(page.locator(".notice")).to_contain_text("codex:me is added.")
    asked = {"provider": "codex", "name": "", "flow": "device"}
    assert ("/api/logins", asked) in fake.called("POST")


async def test_a_login_in_the_browser_ends_by_a_pasted_address(fake, opened):
    def pasted(_, body):
        fake.answers["GET /api/logins/L2"] = {"state": "done", "account": "claude:me"}
        return {}

    fake.answers["POST /api/logins"] = {"id": "L2", "url": "javascript:alert(1)"}
    fake.answers["GET /api/logins/L2"] = {"state": "waiting"}
    fake.answers["POST /api/logins/L2"] = pasted
    async with opened("accounts") as page:
        await page.get_by_role("button", name="Add an account").click()
        await page.get_by_role("button", name="Login in the browser").click()
        await page.get_by_label("Provider").fill("claude")
        await page.get_by_role("button", name="Begin").click()
        await page.get_by_label("Or paste the address").fill("http://localhost:9/cb?code=c&state=s")
        assert await page.get_by_role("link", name="Open the provider's page").count() == 0
        await page.get_by_role("button", name="Finish").click()

        await expect(page.locator(".notice")).to_contain_text("claude:me is added.")
    assert ("/api/logins/L2", {"redirect": "http://localhost:9/cb?code=c&state=s"}) in fake.called(
        "POST"
    )


async def test_an_account_is_moved_up_in_the_order(fake, opened):
    order = []

    def put(_, body):
        order[:] = body["order"]
        return {}

    fake.accounts = [account("openai:one"), account("openai:two")]
    fake.answers["GET /api/order/openai"] = lambda *_: {"order": order or None}
    fake.answers["PUT /api/order/openai"] = put
    async with opened("accounts") as page:
        await page.get_by_role("button", name="Ask openai:two earlier").click()

        await expect(page.locator(".order li").first).to_contain_text("openai:two")
        order.pop()
        await page.reload()
        await expect(page.locator(".order li").last).to_contain_text("not asked")
        await page.get_by_role("button", name="Ask openai:one too").click()
        await expect(page.get_by_role("button", name="Ask openai:one earlier")).to_be_visible()
    assert order == ["openai:two", "openai:one"]


# ── setup ────────────────────────────────────────────────────────────────────────────────────


async def test_a_client_key_is_shown_once_and_revoked(fake, opened):
    keys = []

    def created(_, body):
        keys.append({**KEYS[0], "name": body["name"]})
        return {"name": body["name"], "key": "pp-SHOWN-ONCE"}

    def revoked(*_):
        keys.clear()
        return {}

    fake.answers["GET /api/keys"] = lambda *_: {"keys": keys}
    fake.answers["POST /api/keys"] = created
    fake.answers["DELETE /api/keys/codex"] = revoked
    async with opened("setup") as page:
        await page.get_by_role("button", name="Create a key").click()
        await page.get_by_label("Name").fill("codex")
        await page.get_by_label("Models").last.fill("gpt-*, o3")
        await page.get_by_label("Budget a month").fill("12.5")
        await page.get_by_role("button", name="Create", exact=True).click()
        await expect(page.locator(".fresh pre")).to_have_text("pp-SHOWN-ONCE")
        await expect(page.get_by_label("Setup of Claude Code", exact=True)).to_contain_text(
            "pp-SHOWN-ONCE"
        )
        await shown(page, "usage")
        await shown(page, "setup")
        assert "SHOWN-ONCE" not in await page.content()
        await page.get_by_role("button", name="Revoke codex").click()
        await page.get_by_role("button", name="Revoke it").click()

        await expect(page.get_by_text("No client key yet.")).to_be_visible()
    assert fake.called("POST")[-1][1] == {
        "name": "codex",
        "models": ["gpt-*", "o3"],
        "requests_per_minute": 0,
        "tokens_per_minute": 0,
        "budget_usd": 12.5,
        "expires": "",
    }


async def test_settings_are_written_only_after_their_change_was_seen(fake, opened):
    fake.answers["GET /api/settings"] = {"path": "/etc/c.yaml", "yaml": "listen: {port: 1}\n"}
    fake.answers["POST /api/settings/check"] = lambda _, body: (
        {"ok": True, "diff": "+routing: {}"}
        if body["yaml"] == "routing: {}"
        else {"ok": False, "problems": ["nope: is unknown"]}
    )
    fake.answers["PUT /api/settings"] = {"diff": "+routing: {}"}
    async with opened("setup") as page:
        await page.get_by_role("button", name="Edit").click()
        editor, write = (
            page.get_by_label("The settings, YAML"),
            page.get_by_role("button", name="Write"),
        )
        await editor.fill("nope: 1")
        await page.get_by_role("button", name="Check").click()
        await expect(page.get_by_role("alert")).to_contain_text("nope: is unknown")
        await expect(write).to_be_disabled()
        await editor.fill("routing: {}")
        await page.get_by_role("button", name="Check").click()
        await expect(page.locator(".diff")).to_have_text("+routing: {}")
        await write.click()

        await expect(page.locator(".notice")).to_contain_text("The settings are written")
    assert fake.called("PUT") == [("/api/settings", {"yaml": "routing: {}"})]
