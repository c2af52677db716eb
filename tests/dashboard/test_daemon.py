"""The dashboard of the real gateway, entered by the link that ``proxypal dashboard`` prints."""

import aiohttp
import pytest
from playwright.async_api import expect

from tests.dashboard.browser import page_of
from tests.fault_server import FaultServer, Status
from tests.gateway.owning import owned
from tests.gateway.test_api_logins import acme, landing
from tests.running import daemon, free_port

pytestmark = pytest.mark.asyncio(loop_scope="session")

ADMIN_KEY = "admin-key-of-this-test"
ADMIN = {"authorization": f"Bearer {ADMIN_KEY}"}


async def entered(page, owner):
    """Open the dashboard by a new link, which is returned."""
    _, link = await owner.call("POST", "/api/session-links")
    await page.goto(owner.url + link["url"])
    await expect(page.locator(".feed")).to_have_text("Live")
    return link["url"]


async def asks(owner, model):
    """What a client asks; the status."""
    body = {"model": model, "messages": [{"role": "user", "content": "Hello!"}]}
    status, *_ = await owner.raw("POST", "/v1/chat/completions", body, headers={})
    return status


async def test_the_link_opens_the_dashboard_once(tmp_path, browser):
    async with owned(tmp_path) as owner, page_of(browser) as page, page_of(browser) as other:
        link = await entered(page, owner)

        assert page.url.startswith(f"{owner.url}/dashboard")
        assert "code=" not in page.url
        assert await page.evaluate("document.cookie") == ""
        await other.goto(owner.url + link)
        await expect(other.locator("h1")).to_have_text("Sign in")
        assert {url for url in page.asked if not url.startswith(owner.url)} == set()


async def test_a_request_is_seen_live_and_an_account_counts_down(tmp_path, browser):
    async with owned(tmp_path) as owner, page_of(browser) as page:
        await entered(page, owner)
        assert await asks(owner, "demo/echo") == 200
        await expect(page.locator(".tail tbody tr")).to_contain_text("demo/echo")
        await expect(page.locator(".tile.good")).to_have_count(1)
        await asks(owner, "demo/fail-429")

        tile = page.locator(".tile.warn")
        await expect(tile).to_have_count(1)
        await expect(tile.locator(".countdown")).to_contain_text(":")
        await page.keyboard.press("2")
        await page.locator("[data-row]").first.click()
        await expect(page.locator(".waterfall li").first).to_contain_text("its limit is used up")
        await page.keyboard.press("Escape")
        await page.keyboard.press("3")
        await page.get_by_role("button", name="Reset").click()
        await expect(page.locator(".card.good")).to_have_count(1)


async def test_an_account_is_added_tested_disabled_and_removed(tmp_path, browser):
    async with FaultServer() as upstream, page_of(browser) as page:
        config = (
            "providers:\n"
            f"  - {{name: openai, dialect: openai-chat, base_url: {upstream.url('openai-chat')}}}\n"
        )
        upstream.script(Status(401), key="sk-wrong")
        async with owned(tmp_path, config) as owner:
            await entered(page, owner)
            await page.keyboard.press("3")
            for name, key in (("right", "sk-right"), ("wrong", "sk-wrong")):
                await page.get_by_role("button", name="Add an account").click()
                await page.get_by_label("Provider").fill("openai")
                await page.get_by_label("Name").fill(name)
                await page.get_by_label("API key").last.fill(key)
                await page.get_by_role("button", name="Add", exact=True).click()
                await expect(
                    page.get_by_role("button", name=f"Remove openai:{name}")
                ).to_be_visible()
            await page.get_by_role("button", name="Test openai:right").click()
            right = page.locator(".card", has_text="openai:right")
            await expect(right).to_contain_text("The test was answered")
            await page.get_by_role("button", name="Test openai:wrong").click()
            wrong = page.locator(".card.bad", has_text="openai:wrong")
            await expect(wrong).to_contain_text("The test failed")
            await expect(wrong).to_contain_text("Log in again, or add a new key.")

            await page.get_by_role("button", name="Disable openai:right").click()
            await expect(right.locator(".tag")).to_have_text("Disabled")
            await page.get_by_role("button", name="Enable openai:right").click()
            await expect(right.locator(".tag")).not_to_have_text("Disabled")
            await page.get_by_role("button", name="Ask openai:wrong earlier").click()
            await expect(page.locator(".order li").first).to_contain_text("openai:wrong")
            await page.get_by_role("button", name="Take turns again").click()
            await expect(page.get_by_text("in turns")).to_be_visible()
            await page.get_by_role("button", name="Remove openai:wrong").click()
            await page.get_by_role("button", name="Remove it").click()
            await expect(page.locator(".card", has_text="openai:wrong")).to_have_count(0)


async def test_a_login_ends_by_the_address_that_is_pasted(tmp_path, browser):
    async with acme(tmp_path) as (owner, _), page_of(browser) as page:
        await entered(page, owner)
        await page.keyboard.press("3")
        await page.get_by_role("button", name="Add an account").click()
        await page.get_by_role("button", name="Login in the browser").click()
        await page.get_by_label("Provider").fill("acme")
        await page.get_by_label("Name").fill("work")
        await page.get_by_role("button", name="Begin").click()
        link = page.get_by_role("link", name="Open the provider's page")
        address = await landing(await link.get_attribute("href"))
        await page.get_by_label("Or paste the address").fill(address)
        await page.get_by_role("button", name="Finish").click()

        await expect(page.locator(".card .id", has_text="acme:work")).to_be_visible()


async def test_a_key_is_made_used_seen_in_the_usage_and_revoked(tmp_path, browser):
    async with owned(tmp_path, data_dir=tmp_path / "state") as owner, page_of(browser) as page:
        await entered(page, owner)
        await page.keyboard.press("5")
        await page.get_by_role("button", name="Create a key").click()
        await page.get_by_label("Name").fill("codex")
        await page.get_by_role("button", name="Create", exact=True).click()
        key = await page.locator(".fresh pre").inner_text()
        body = {"model": "demo/echo", "messages": [{"role": "user", "content": "Hello!"}]}
        headers = {"authorization": f"Bearer {key}"}
        status, *_ = await owner.raw("POST", "/v1/chat/completions", body, headers=headers)
        assert status == 200
        assert await asks(owner, "demo/echo") == 401
        await expect(page.get_by_text("✓ The last request came")).to_be_visible()

        await page.keyboard.press("4")
        await page.get_by_role("combobox", name="By", exact=True).select_option("key")
        line = page.locator(".scroller tbody tr", has_text="codex")
        await _told(page, line, "1")
        await page.keyboard.press("5")
        await page.get_by_role("button", name="Revoke codex").click()
        await page.get_by_role("button", name="Revoke it").click()
        await expect(page.get_by_text("No client key yet.")).to_be_visible()


async def _told(page, line, requests):
    """Usage is written a moment after a request; ask again until it is there."""
    for _ in range(50):
        async with page.expect_response("**/api/usage?*"):
            await page.get_by_role("combobox", name="Since").select_option("7")
        async with page.expect_response("**/api/usage?*"):
            await page.get_by_role("combobox", name="Since").select_option("30")
        if await line.count():
            break
    await expect(line.locator("td").first).to_have_text(requests)


async def test_settings_are_checked_and_written(tmp_path, browser):
    async with owned(tmp_path, "# mine\n") as owner, page_of(browser) as page:
        await entered(page, owner)
        await page.keyboard.press("5")
        await page.get_by_role("button", name="Edit").click()
        editor = page.get_by_label("The settings, YAML")
        await expect(editor).to_have_value("# mine\n")
        await editor.fill("# mine\nnope: 1\n")
        await page.get_by_role("button", name="Check").click()
        await expect(page.get_by_role("alert")).to_contain_text("nope")
        await editor.fill("# mine\nrouting: {strategy: fill_first}\n")
        await page.get_by_role("button", name="Check").click()
        await expect(page.locator(".diff")).to_contain_text("+routing: {strategy: fill_first}")
        await page.get_by_role("button", name="Write").click()
        await expect(page.locator(".notice")).to_contain_text("The settings are written")

    assert (tmp_path / "config.yaml").read_text() == "# mine\nrouting: {strategy: fill_first}\n"


async def test_a_restart_is_noticed_and_asks_for_a_new_link(tmp_path, browser):
    given = {
        "PROXYPAL_ADMIN_KEY": ADMIN_KEY,
        "PROXYPAL_DATA_DIR": str(tmp_path),
        "PROXYPAL_STATE_DIR": str(tmp_path),
    }
    port = free_port()
    async with page_of(browser) as page, aiohttp.ClientSession(headers=ADMIN) as session:
        async with daemon("--port", port, **given) as started:
            await page.goto(started.url + await _link(session, started.url))
            await expect(page.locator(".feed")).to_have_text("Live")
        await expect(page.locator(".feed")).to_have_text("Connection lost")
        async with daemon("--port", port, **given) as started:
            await expect(page.locator("h1")).to_have_text("Sign in")
            await page.goto(started.url + await _link(session, started.url))
            await expect(page.locator(".feed")).to_have_text("Live")


async def _link(session, url):
    async with session.post(f"{url}/api/session-links") as answer:
        return (await answer.json())["url"]
