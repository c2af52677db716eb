"""What can be asked for, whether the accounts are fit, and one real question to each."""

import asyncio
import logging
import threading

import pytest
import structlog
from aiohttp import web

from proxypal_core import app
from proxypal_core.cli import models as module
from proxypal_core.cli.login_states import Standing
from proxypal_core.wire import jsonio
from tests.cli.home import KEY, Home
from tests.running import daemon, ran

HOUR = 3600


@pytest.fixture
def home(tmp_path):
    return Home(tmp_path)


def status(home, *arguments, **environment):
    return home.program("models", "status", *arguments, **environment)


def told(home, *arguments, **environment):
    return jsonio.loads(status(home, "--json", *arguments, **environment).stdout)


# ── list ─────────────────────────────────────────────────────────────────────────────────────


def test_the_list_has_what_the_accounts_serve(home):
    before = home.program("models", "list").output.split()
    home.add("anthropic")

    after = home.program("models", "list").output.split()
    listed = jsonio.loads(home.program("models", "list", "--json").stdout)["models"]

    assert not any(name.startswith("anthropic/") for name in before)
    assert "anthropic/claude-haiku-4-5" in after
    assert [row["id"] for row in listed] == after


# ── status ───────────────────────────────────────────────────────────────────────────────────


def test_a_new_user_is_led_from_the_key_to_a_question(home):
    added = home.add("anthropic")
    assert "Next: proxypal models status" in added.output

    shown = status(home)

    assert shown.exit_code == 0
    assert "anthropic:default  api_key  vault" in shown.output
    assert "proxypal serve" in shown.output
    assert "curl http://127.0.0.1:1/v1/chat/completions" in shown.output
    assert '"model":"anthropic/claude-' in shown.output


def test_without_an_account_the_next_step_is_to_add_one(home):
    result = status(home)

    assert result.exit_code == 0
    assert "Next: proxypal auth add-key" in result.output


def paste(home, name, length):
    result = home.run("paste-token", "groq", "--name", name, "--expires-in", length, stdin=KEY)
    assert result.exit_code == 0


def test_the_check_counts_what_ends_soon_and_what_has_ended(home):
    assert status(home, "--check").exit_code == 1  # there is nothing

    home.add("anthropic")
    paste(home, "long", "25h")
    assert status(home, "--check").exit_code == 0

    paste(home, "short", "23h")
    assert status(home, "--check").exit_code == 2

    paste(home, "gone", "0s")
    assert status(home, "--check").exit_code == 1


@pytest.mark.parametrize(
    ("states", "missing", "code"),
    [
        (["ok", "static"], [], 0),
        (["ok", "expiring"], [], 2),
        (["expired", "expiring"], [], 1),
        (["ok"], ["anthropic"], 1),
        (["unused"], [], 1),
        ([], [], 1),
    ],
)
def test_the_worst_decides_the_exit_code(states, missing, code):
    rows = [Standing("a:b", "a", "token", "vault", state) for state in states]

    assert module.exit_code(rows, missing) == code


def test_a_provider_of_a_route_without_an_account_is_missing(home):
    home.configure(
        "models: [{name: best, route: [anthropic/claude-opus-4-5, openai/gpt-5, demo/echo]}]"
    )
    home.add("anthropic")

    assert told(home)["missing"] == ["openai"]
    assert "proxypal auth add-key openai" in status(home).output
    assert status(home, "--check").exit_code == 1
    assert told(home, OPENAI_API_KEY=KEY)["missing"] == []


def test_the_status_as_json_has_times_and_no_secret(home):
    paste(home, "ci", "2h")

    (row,) = told(home)["accounts"]

    assert (row["id"], row["type"], row["state"]) == ("groq:ci", "token", "expiring")
    assert 0 < row["expires"] - app.Clock().now() <= 2 * HOUR


# ── asking them ──────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def chatting():
    """A provider that answers or refuses, by the key it is shown; what it was asked."""
    asked = []

    async def chat(request):
        key = request.headers.get("Authorization", "")
        asked.append((key, await request.json()))
        if "good" in key:
            answer = {"role": "assistant", "content": "ok"}
            return web.json_response(
                {
                    "id": "x",
                    "object": "chat.completion",
                    "created": 1,
                    "model": "m1",
                    "choices": [{"index": 0, "message": answer, "finish_reason": "stop"}],
                    "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
                }
            )
        status, code = (401, "invalid_api_key") if "bad" in key else (429, "insufficient_quota")
        error = {"message": "no\x1b[2J", "type": code, "code": code}
        return web.json_response({"error": error}, status=status)

    async def start():
        server = web.Application()
        server.router.add_post("/v1/chat/completions", chat)
        runner = web.AppRunner(server)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        return runner

    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    runner = asyncio.run_coroutine_threadsafe(start(), loop).result(10)
    yield f"http://127.0.0.1:{runner.addresses[0][1]}/v1", asked
    asyncio.run_coroutine_threadsafe(runner.cleanup(), loop).result(10)
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


@pytest.fixture
def _log_as_before():
    """A command sets the log up once for the process, which here is everybody's."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


def configured(home, url):
    home.configure(
        f"providers: [{{name: mine, dialect: openai-chat, base_url: '{url}', models: [m1]}}]"
    )
    for name in ("good", "bad", "poor"):
        home.add("mine", "--name", name, key=f"{name}-CANARY-0123456789abcdef")


@pytest.mark.usefixtures("_log_as_before")
def test_each_account_is_asked_itself_without_a_daemon(home, chatting):
    url, asked = chatting
    configured(home, url)

    result = status(home, "--probe", "--json")

    probes = {row["account"]: row["outcome"] for row in jsonio.loads(result.stdout)["probes"]}
    assert probes == {"mine:good": "ok", "mine:bad": "auth", "mine:poor": "billing"}
    assert result.exit_code == 1
    assert {key.split("-")[0].removeprefix("Bearer ") for key, _ in asked} == {
        "good",
        "bad",
        "poor",
    }
    assert all(body["max_tokens"] == 8 for _, body in asked)


@pytest.mark.usefixtures("_log_as_before")
def test_one_account_can_be_tested(home, chatting):
    url, asked = chatting
    configured(home, url)

    good, bad = home.run("test", "mine:good"), home.run("test", "mine:bad")

    assert good.exit_code == 0
    assert "mine:good answers, with m1" in good.output
    assert bad.exit_code == 1
    assert "mine:bad does not answer (auth)" in bad.output
    assert "\x1b" not in bad.output
    assert len(asked) == 2


def test_an_account_that_is_not_there_cannot_be_tested(home):
    home.add("anthropic", "--name", "work")

    result = home.run("test", "anthropic:wrok")

    assert result.exit_code == 1
    assert "did you mean anthropic:work?" in result.stderr


async def test_a_running_daemon_is_asked_and_named(tmp_path):
    environment = {
        "PROXYPAL_DATA_DIR": str(tmp_path / "d"),
        "PROXYPAL_STATE_DIR": str(tmp_path / "s"),
        "OPENAI_API_KEY": "sk-0123456789abcdefghijklmnop",
    }
    async with daemon(**environment) as running:
        port = running.url.rpartition(":")[2]
        file = tmp_path / "c.yaml"
        file.write_text(f"listen: {{port: {port}}}")

        shown = await ran("models", "status", "--config", file, **environment)

    assert "No daemon runs" not in shown.out
    assert f"curl http://127.0.0.1:{port}/" in shown.out
