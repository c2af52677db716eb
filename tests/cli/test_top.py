"""``proxypal top``: one picture of the daemon as text, or one after the other in a terminal."""

import asyncio
import os
import signal
import sys
from contextlib import asynccontextmanager

import aiohttp
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxypal_core.cli.top import Picture, frame
from proxypal_core.wire import jsonio
from tests.certificate import self_signed
from tests.gateway.asking import question
from tests.running import PATIENCE, PROGRAM, daemon, free_port, ran

NOW = 1_795_000_000.0
TOKENS = {"input": 100, "output": 50, "cache_read": 300, "cache_write": 0, "reasoning": 0}
ACCOUNT = {
    "id": "anthropic:home",
    "provider": "anthropic",
    "disabled": "",
    "in_flight": 2,
    "served": 1234,
    "failed": 5,
    "resting": None,
    "models": {},
    "limits": [{"name": "5h", "left": 0.62, "resets_at": NOW + 7800}],
}
REQUEST = {
    "at": NOW,
    "status": 200,
    "agent": "claude-code",
    "client": "laptop",
    "model": "best",
    "account": "anthropic:home",
    "outcome": "served",
    "duration": 1.234,
    "tokens": TOKENS,
    "cost": 0.0123,
}
TODAY = {"requests": 234, "failed": 3, "priced": 230, "tokens": TOKENS, "cost": 1.5}


def picture(*, account=None, request=None, today=None):
    state = {"version": "9", "now": NOW, "accounts": [{**ACCOUNT, **(account or {})}]}
    return Picture(state, {**TODAY, **(today or {})}, [{**REQUEST, **(request or {})}])


def text(shown, **options):
    return ["".join(piece for _, piece in line).rstrip() for line in frame(shown, **options)]


# ── the picture ──────────────────────────────────────────────────────────────────────────────


@given(st.text(), st.text())
def test_nothing_that_others_say_can_drive_the_terminal(name, model):
    shown = picture(account={"id": name}, request={"model": model, "agent": name, "account": model})

    assert all(line.isprintable() for line in text(shown))


def test_it_tells_accounts_requests_and_the_day():
    head, today, _, account, _, request = text(picture())

    assert head.startswith("ProxyPal 9  ")
    assert today == (
        "Today 234 requests (3 failed) · 400 tokens in (75% from caches), 50 out · $1.50+"
    )
    assert account.split("  ") == [
        "●", "anthropic:home", "ready", "2 now", "1,234 served, 5 failed", "5h 62% ↻ 2h 10m",
    ]  # fmt: skip
    assert request.split("  ")[1:] == [
        "200", "claude-code", "best", "anthropic:home", "1.23s", "400+50", "$0.0123",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("account", "word"),
    [
        ({"resting": {"reason": "rate_limit", "until": NOW + 2820}}, "resting 47m"),
        ({"resting": {"reason": "auth", "until": NOW + 3600}}, "needs a login"),
        ({"models": {"opus": {"reason": "x", "until": NOW + 60}}}, "some models rest 1m"),
        ({"disabled": "by the settings"}, "disabled"),
    ],
)
def test_an_account_that_is_not_asked_says_why_and_until_when(account, word):
    assert word in text(picture(account=account))[3].split("  ")


def test_an_old_picture_says_that_it_is_one():
    assert "No answer since then" in text(picture(), gone=True)[0]


def test_a_request_without_a_price_shows_none():
    assert text(picture(request={"cost": None}))[-1].endswith("400+50")


# ── without a terminal ───────────────────────────────────────────────────────────────────────


@pytest.fixture
def config(tmp_path):
    path = tmp_path / "config.yaml"
    path.write_text(f"listen: {{port: {free_port()}}}")
    return path


async def asked(server):
    path, body = question("openai-chat", "demo/think", stream=False)
    async with (
        aiohttp.ClientSession() as session,
        session.post(server.url + path, json=body) as answer,
    ):
        assert answer.status == 200


async def recorded(server, config):
    """What ``top --json`` tells, once a request is written."""
    await asked(server)
    async with asyncio.timeout(PATIENCE):
        while True:
            found = jsonio.load_object((await ran("top", "--json", "--config", config)).out)
            if found["requests"]:
                return found


async def test_without_a_terminal_it_prints_one_picture(config):
    async with daemon("--config", config) as server:
        found = await recorded(server, config)
        plain = await ran("top", "--config", config)

    assert found["requests"][0]["model"] == "demo/think"
    assert found["today"]["requests"] == 1
    assert found["state"]["accounts"][0]["id"] == "demo:built-in"
    assert "Today 1 request ·" in plain.out
    assert "demo:built-in" in plain.out
    assert "\x1b" not in plain.out


async def test_it_trusts_the_daemons_own_certificate(tmp_path):
    files = self_signed(tmp_path)
    config = tmp_path / "config.yaml"
    config.write_text(
        f"listen: {{port: {free_port()}, tls: {{cert: {files.cert}, key: {files.key}}}}}"
    )
    async with daemon("--config", config):
        found = await ran("top", "--config", config)

    assert "demo:built-in" in found.out


async def test_without_a_daemon_it_says_what_to_do(config):
    found = await ran("top", "--once", "--config", config)

    assert found.process.returncode == 1
    assert "Start it first: proxypal serve" in found.err


async def test_another_key_is_refused_in_one_line(config):
    async with daemon("--config", config):
        found = await ran("top", "--config", config, PROXYPAL_ADMIN_KEY="canary-of-another")

    assert found.process.returncode == 1
    [line] = found.err.splitlines()
    assert "refuses" in line
    assert "canary" not in line


# ── in a terminal ────────────────────────────────────────────────────────────────────────────


class Terminal:
    """``proxypal top`` in a terminal of its own, and the bytes that it drew."""

    def __init__(self, process, master):
        self.process = process
        self.drawn = b""
        self._master = master
        self._more = asyncio.Event()
        asyncio.get_running_loop().add_reader(master, self._read)

    def _read(self):
        try:
            self.drawn += os.read(self._master, 1 << 16)
        except OSError:  # the other end is closed
            asyncio.get_running_loop().remove_reader(self._master)
        self._more.set()

    async def shows(self, text):
        """Returns once *text* was drawn, and forgets what was drawn before."""
        async with asyncio.timeout(PATIENCE):
            while text.encode() not in self.drawn:
                self._more.clear()
                await self._more.wait()
        self.drawn = self.drawn.partition(text.encode())[2]

    def press(self, key):
        os.write(self._master, key)

    async def ended(self):
        async with asyncio.timeout(PATIENCE):
            return await self.process.wait()


@asynccontextmanager
async def terminal(config):
    master, slave = os.openpty()
    # A shell without job control has what it runs in the background ignore SIGINT, and so would a
    # program that is started from there; one in a terminal does not.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, *PROGRAM, "top", "--config", config),
        stdin=slave,
        stdout=slave,
        stderr=slave,
    )
    signal.signal(signal.SIGINT, before)
    os.close(slave)
    shown = Terminal(process, master)
    try:
        yield shown
    finally:
        asyncio.get_running_loop().remove_reader(master)
        if process.returncode is None:
            process.kill()
            await process.wait()
        os.close(master)


async def test_a_request_appears_and_q_ends_it(config):
    async with daemon("--config", config) as server, terminal(config) as screen:
        await screen.shows("\x1b[?1049h")
        await screen.shows("No request yet")
        await asked(server)
        await screen.shows("demo/think")
        screen.press(b"q")
        await screen.shows("\x1b[?1049l")
        assert await screen.ended() == 0


async def test_it_outlives_the_daemon_and_ctrl_c_ends_it(config):
    async with daemon("--config", config) as server, terminal(config) as screen:
        await screen.shows("ProxyPal")
        server.process.terminate()
        await screen.shows("No answer since then")
        async with daemon("--config", config) as again:
            await asked(again)
            await screen.shows("demo/think")
        screen.process.send_signal(signal.SIGINT)
        await screen.shows("\x1b[?1049l")
        assert await screen.ended() == 0
