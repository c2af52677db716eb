"""``proxypal watch`` shows requests as they end, wherever the settings say the daemon is."""

import asyncio
import ssl

import aiohttp
import pytest
from click.testing import CliRunner

from proxypal_core.cli import watch as watching
from proxypal_core.cli.main import main
from proxypal_core.daemon import run
from proxypal_core.settings.parse import parse
from proxypal_core.wire import jsonio
from tests.certificate import self_signed
from tests.gateway.asking import question
from tests.proxy import ADMIN_KEY, proxy
from tests.running import PATIENCE, daemon, free_port, ran, running

RECORD = {
    "status": 200,
    "dialect": "anthropic",
    "model": "best",
    "duration": 1.234,
    "usage": {"input_total": 12, "output_total": 34},
    "outcome": "served",
    "attempts": [
        {"account": "a:b", "model": "m", "outcome": "rate_limit"},
        {"account": "c:d", "model": "n", "outcome": "served"},
    ],
}


async def asked_until(done, url, model="demo", trust=True):
    """Ask again and again, since nothing tells from when on somebody watches."""
    path, body = question("openai-chat", model, stream=False)
    async with asyncio.timeout(PATIENCE), aiohttp.ClientSession() as session:
        while not done():
            async with session.post(url + path, json=body, ssl=trust) as answer:
                await answer.read()


@pytest.mark.parametrize("tls", [False, True], ids=["http", "https"])
async def test_it_finds_the_daemon_by_the_settings(tmp_path, tls):
    files = self_signed(tmp_path)
    more = f", tls: {{cert: {files.cert}, key: {files.key}}}" if tls else ""
    config = tmp_path / "config.yaml"
    config.write_text(f"listen: {{port: {free_port()}{more}}}")

    trust = ssl.create_default_context(cafile=files.cert) if tls else True

    async with (
        daemon("--config", config) as server,
        running("watch", "--count", 1, "--json", "--config", config) as watcher,
    ):
        ended = asyncio.ensure_future(watcher.ended())
        await asked_until(ended.done, server.url, trust=trust)
        assert await ended == 0

    record = jsonio.load_object(watcher.out)
    assert (record["model"], record["status"], record["outcome"]) == ("demo", 200, "served")
    assert record["served_by"] == "demo:built-in"


async def test_it_looks_where_the_flag_says():
    async with daemon() as server, running("watch", "--count", 1, "--url", server.url) as watcher:
        ended = asyncio.ensure_future(watcher.ended())
        await asked_until(ended.done, server.url, "demo/think")
        assert await ended == 0

    [line] = watcher.out.splitlines()
    assert line.startswith("200 openai-chat ")
    assert "demo/think" in line
    assert line.endswith("demo:built-in served")


# ── when it cannot ───────────────────────────────────────────────────────────────────────────


async def test_without_a_daemon_it_says_what_to_do():
    url = f"http://127.0.0.1:{free_port()}"

    watcher = await ran("watch", "--url", url, PROXYPAL_ADMIN_KEY="a-key-of-somebody")

    assert watcher.process.returncode == 1
    [line] = watcher.err.splitlines()
    assert line.startswith(f"No event feed at {url}: ")
    assert line.endswith("Start it first: proxypal serve")
    assert watcher.out == ""


def test_before_the_first_start_there_is_no_key():
    result = CliRunner().invoke(main, ["watch"])

    assert result.exit_code == 1
    assert "start the daemon once (proxypal serve)" in result.output


def test_settings_that_are_wrong_are_told(tmp_path):
    (tmp_path / "c.yaml").write_text("nonsense: 1")

    result = CliRunner().invoke(main, ["watch", "--config", str(tmp_path / "c.yaml")])

    assert result.exit_code == 78
    assert "nonsense: unknown key" in result.output


async def test_another_key_is_refused_in_one_line():
    async with daemon() as server:
        watcher = await ran("watch", "--url", server.url, PROXYPAL_ADMIN_KEY="canary-of-another")

    assert watcher.process.returncode == 1
    [line] = watcher.err.splitlines()
    assert "does not take this admin key" in line
    assert "canary" not in line


async def test_the_key_of_the_settings_is_used(tmp_path):
    config = tmp_path / "config.yaml"
    config.write_text(f"listen: {{port: {free_port()}}}\nadmin_key: a-key-of-the-settings")

    async with (
        daemon("--config", config) as server,
        running("watch", "--count", 1, "--config", config) as watcher,
    ):
        ended = asyncio.ensure_future(watcher.ended())
        await asked_until(ended.done, server.url)

        assert await ended == 0


# ── following ────────────────────────────────────────────────────────────────────────────────


def records_in(printed):
    """The requests among what was printed; the daemon, which shares our output, also logs there."""
    return [jsonio.load_object(line) for line in printed.splitlines() if line.startswith("{")]


async def follow(url, count):
    await watching._follow(url, ADMIN_KEY, ssl.create_default_context(), True, count)


async def test_it_stops_after_so_many(capsys):
    async with proxy() as p:
        following = asyncio.ensure_future(follow(p.url, 3))
        await asked_until(following.done, p.url)
        await following

    records = records_in(capsys.readouterr().out)
    ids = [int(record["id"], 16) for record in records]
    assert len(ids) == 3
    assert ids == sorted(set(ids))


async def test_it_goes_on_when_the_daemon_is_started_again(capsys, monkeypatch):
    monkeypatch.setattr(watching, "RECONNECT_SECONDS", 0)
    monkeypatch.setattr(run, "DRAIN", 0.01)
    settings = parse("", {}, port=free_port())
    url = run.reachable(settings.listen)
    following = None
    printed = []

    def shows(model):
        printed.append(capsys.readouterr().out)
        return any(record["model"] == model for record in records_in("".join(printed)))

    for model in ("demo/echo", "demo/think"):
        ready, stop = asyncio.Event(), asyncio.Event()
        serving = asyncio.ensure_future(
            run.serve(settings, admin_key=ADMIN_KEY, ready=lambda _, e=ready: e.set(), stop=stop)
        )
        await ready.wait()
        following = following or asyncio.ensure_future(follow(url, None))
        await asked_until(lambda m=model: shows(m), url, model)
        stop.set()
        await serving

    assert not following.done()
    following.cancel()


async def test_it_does_not_wait_for_a_daemon_that_never_was():
    with pytest.raises(aiohttp.ClientConnectorError):
        await follow(f"http://127.0.0.1:{free_port()}", None)


# ── the line ─────────────────────────────────────────────────────────────────────────────────


def test_a_line_tells_who_was_tried_and_what_it_took():
    line = watching.line(RECORD)

    assert line.startswith("200 anthropic        best ")
    assert "1.23s 12+34 tokens" in line
    assert line.endswith("a:b rate_limit -> c:d served")


def test_a_request_that_reached_nobody_tells_its_outcome():
    assert watching.line({**RECORD, "attempts": [], "outcome": "model"}).endswith("tokens  model")


def test_a_model_s_name_does_not_drive_the_terminal():
    line = watching.line({**RECORD, "model": "m\x1b[2J\n\u202e"})

    assert line.isprintable()
    assert "m?[2J??" in line
