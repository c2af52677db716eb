"""``proxypal keys`` and ``proxypal dashboard``, with and without a daemon."""

import webbrowser

import aiohttp
import pytest

from proxypal_core.cli import dashboard as dashboard_module
from proxypal_core.wire import jsonio
from tests.cli.home import Home
from tests.running import daemon, free_port, ran


@pytest.fixture
def home(tmp_path):
    return Home(tmp_path)


def created(home, *arguments):
    result = home.program("keys", "create", *arguments)
    assert result.exit_code == 0, result.output
    return result.stdout.strip()


def listed(home):
    return jsonio.loads(home.program("keys", "list", "--json").stdout)["keys"]


# ── without a daemon ─────────────────────────────────────────────────────────────────────────


def test_a_key_is_printed_once_and_kept_as_its_hash(home):
    key = created(home, "laptop", "--model", "claude-*", "--budget", "5", "--expires", "2099-01-01")
    (row,) = listed(home)

    assert key.startswith("pp-")
    assert " " not in key
    assert (row["name"], row["models"], row["budget_usd"]) == ("laptop", ["claude-*"], 5.0)
    assert key not in home.program("keys", "list").output
    assert key.encode() not in home.vault.read_bytes()


def test_keys_differ(home):
    assert created(home, "a") != created(home, "b")


def test_a_key_is_revoked(home):
    created(home, "laptop")
    result = home.program("keys", "revoke", "laptop")

    assert result.exit_code == 0
    assert listed(home) == []
    assert "every program on this machine may ask" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (["create", "two words"], 2, "64 characters"),
        (["create", "x", "--expires", "soon"], 2, "--expires"),
        (["create", "x", "--expires", "2001-01-01"], 2, "over"),
        (["create", "x", "--budget", "-1"], 2, "budget"),
        (["create", "laptop"], 1, "already"),
        (["create", "file"], 1, "settings"),
        (["revoke", "nobody"], 1, "no client key"),
        (["revoke", "file"], 1, "settings"),
    ],
)
def test_what_cannot_be_says_why(home, arguments, code, told):
    home.configure("client_keys: [{name: file, key: key-in-the-file}]\n")
    created(home, "laptop")
    result = home.program("keys", *arguments)

    assert result.exit_code == code
    assert told in result.stderr
    assert [row["name"] for row in listed(home)] == ["file", "laptop"]


def test_revoking_nothing_makes_no_vault(home):
    home.program("keys", "revoke", "nobody")

    assert not home.vault.exists()


def test_without_keys_the_list_says_what_that_means(home):
    assert "every program on this machine may ask" in home.program("keys", "list").stdout


def test_a_dashboard_needs_a_daemon(home):
    result = home.program("dashboard")

    assert result.exit_code == 1
    assert "proxypal serve" in result.stderr


# ── with a daemon ────────────────────────────────────────────────────────────────────────────


async def status_of(url, key=""):
    headers = {"authorization": f"Bearer {key}"} if key else {}
    async with aiohttp.ClientSession() as session, session.get(url, headers=headers) as answer:
        return answer.status


async def test_a_running_daemon_goes_by_a_new_key_at_once(tmp_path):
    home = Home(tmp_path)
    home.configure(f"listen: {{port: {free_port()}}}\n")
    environment = {name: value for name, value in home.environment.items() if value}
    async with daemon("--config", str(home.settings), **environment) as running:
        models = f"{running.url}/v1/models"
        made = await ran("keys", "create", "laptop", **environment)
        key = made.out.strip()
        statuses = [await status_of(models, key), await status_of(models)]
        shown = await ran("keys", "list", **environment)
        gone = await ran("keys", "revoke", "laptop", **environment)
        statuses.append(await status_of(models))

    assert statuses == [200, 401, 200]
    assert "laptop" in shown.out
    assert key not in shown.out + running.err + running.out
    assert "revoked" in gone.out


async def test_the_dashboards_link_works_once(tmp_path):
    home = Home(tmp_path)
    home.configure(f"listen: {{port: {free_port()}}}\n")
    environment = {name: value for name, value in home.environment.items() if value}
    async with daemon("--config", str(home.settings), **environment) as running:
        link = (await ran("dashboard", "--no-browser", **environment)).out.strip()
        jar = aiohttp.CookieJar(unsafe=True)
        async with aiohttp.ClientSession(cookie_jar=jar) as session:
            async with session.get(link) as page:
                text = await page.text()
            async with session.get(f"{running.url}/api/state") as state:
                signed_in = state.status
        async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as session:
            async with session.get(link):
                pass
            async with session.get(f"{running.url}/api/state") as state:
                again = state.status

    assert link.startswith(f"{running.url}/dashboard?code=")
    assert "<title>" in text
    assert (signed_in, again) == (200, 401)


def test_on_a_desktop_the_link_is_opened(home, monkeypatch):
    opened = []
    monkeypatch.setattr(webbrowser, "open", opened.append)
    monkeypatch.setattr(dashboard_module, "has_browser", lambda: True)
    monkeypatch.setattr(
        dashboard_module.daemon_api,
        "call_or_exit",
        lambda *_: {"url": "/dashboard?code=c", "expires": 1.0},
    )
    result = home.program("dashboard")

    assert opened == [result.stdout.strip()] == ["http://127.0.0.1:1/dashboard?code=c"]
