"""The README, the tutorial and the how-to pages do what they say: their commands are typed."""

import pytest
from playwright.async_api import expect

from tests.dashboard.browser import MISSING, a_browser, chromium, page_of
from tests.docs_walk.page import ROOT, Step, missing, steps
from tests.docs_walk.reader import KEY, reader
from tests.fault_server import Status

pytestmark = pytest.mark.timeout(300)  # dozens of programs are started, one after the other

README = (ROOT / "README.md").read_text("utf-8")
TUTORIAL = (ROOT / "docs/tutorial.md").read_text("utf-8")


async def attempts_of(person, model):
    """Of the newest request for *model*: who was asked, and how each attempt ended."""
    page = await person.api(f"/api/requests?model={model}")
    return [(one["account"], one["outcome"]) for one in page["requests"][0]["attempts"]]


# ── the tutorial ─────────────────────────────────────────────────────────────────────────────


async def test_the_tutorial_leads_from_nothing_to_a_failover(tmp_path, fault_server):
    before, heading, after = TUTORIAL.partition("## 7.")
    async with reader(tmp_path, fault_server) as person:
        await person.follows(steps(before))
        attempts = await attempts_of(person, "best")
        # What the reader cannot arrange: an account of theirs is limited, and the other answers.
        fault_server.script(Status(429), key=KEY.format(1))
        answers = [await person.asks("claude-sonnet-4-5", text) for text in ("One.", "Two.")]
        await person.follows(steps(heading + after))
        unknown = await person.asks("demo", "Hello!")

    assert attempts[0] == ("demo:built-in", "rate_limit")
    assert [outcome for _, outcome in attempts] == ["rate_limit", "served"]
    assert [answer.status for answer in (*answers, unknown)] == [200, 200, 401]
    assert "2" in {answer.headers["x-proxypal-attempts"] for answer in answers}
    assert {answer.headers["x-proxypal-account"] for answer in answers} == {"anthropic:second"}


async def test_the_dashboard_shows_the_failover_of_the_tutorial(tmp_path, fault_server):
    if chromium() is None:
        pytest.skip(MISSING)
    serves, asks, *_ = steps(TUTORIAL.partition("## 5.")[2])[3:]
    opens, *_ = steps(TUTORIAL.partition("## 6.")[2])
    async with reader(tmp_path, fault_server) as person, a_browser() as browser:
        await person.types('export PATH="$PWD/.venv/bin:$PATH"')
        person.writes(
            "models:\n  - {name: best, route: [demo/fail-429, anthropic/claude-sonnet-4-5]}\n"
        )
        await person.follows([serves])
        await person.types("proxypal auth add-key anthropic")
        printed = await person.follows([asks, opens])
        async with page_of(browser) as page:
            await page.goto(person.there(printed.strip().splitlines()[-1]))
            await expect(page.locator(".feed")).to_have_text("Live")
            await page.keyboard.press("2")
            await page.get_by_role("button", name="for best: details").click()
            attempts = page.locator(".waterfall li")
            await attempts.nth(1).wait_for()
            shown = await attempts.all_inner_texts()

    assert "its limit is used up" in shown[0]
    assert "anthropic:default" in shown[1]
    assert "served" in shown[1]


# ── the README and the how-to pages ──────────────────────────────────────────────────────────


async def test_every_command_of_the_readme_works(tmp_path, fault_server):
    async with reader(tmp_path, fault_server) as person:
        await person.types('export PATH="$PWD/.venv/bin:$PATH"')
        await person.follows(steps(README))

    assert fault_server.requests


PAGES = {
    "accounts": "models:\n  - {name: best, route: [anthropic/claude-opus-4-5, demo/echo]}\n",
    "limits": "",
    "troubleshooting": "",
    "from-litellm": "models:\n  - {name: smart, route: [demo/echo]}\n",
}
"""The settings that a page's commands are typed with."""
ELSEWHERE = ("proxypal service", "proxypal doctor --network")
"""What needs a machine with systemd, or the internet."""


@pytest.mark.parametrize("name", PAGES)
async def test_every_command_of_a_page_works(name, tmp_path, fault_server):
    text = (ROOT / f"docs/how-to/{name}.md").read_text("utf-8")
    typed = [step for step in steps(text) if not step.command.startswith(ELSEWHERE)]
    async with reader(tmp_path, fault_server) as person:
        await person.types('export PATH="$PWD/.venv/bin:$PATH"')
        person.writes(PAGES[name])
        await person.types("proxypal serve")
        await person.types("proxypal auth add-key anthropic")
        await person.follows(typed)

    assert typed


# ── pages are read as people read them ───────────────────────────────────────────────────────


def test_what_a_block_shows_belongs_to_the_command_before_it():
    text = "```sh\n# first\none \\\n  two\nthree <<'X'\nfour\nX\n```\n\n```\nout\n```\n\n```sh\nfive\n```\n\nsix\n\n```\nno\n```\n"

    assert steps(text) == [
        Step("one \\\n  two"),
        Step("three <<'X'\nfour\nX", "out\n"),
        Step("five"),
    ]


def test_what_is_shown_must_be_printed_in_its_order():
    printed = "a 1\nb 2\nc 3\n"

    assert missing("a …\n…\nc 3\n", printed) is None
    assert missing("b …\na …\n", printed) == "a …"
    assert missing("a\n", printed) == "a"
