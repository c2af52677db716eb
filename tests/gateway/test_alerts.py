"""Alerts on their way: to a web hook, an ntfy topic, the desktop; and what must not happen on it."""

import asyncio
import os
from contextlib import asynccontextmanager

import pytest
import structlog
from aiohttp import web

from proxypal_core.accounts.alerts import Alert
from proxypal_core.app import alerts as looking
from proxypal_core.settings.parse import SettingsError, parse
from proxypal_core.upstream import alerts as module
from proxypal_core.upstream.alerts import Courier, Ways, desktop
from proxypal_core.upstream.http import HttpTransport
from proxypal_core.wire import jsonio
from tests.fault_server import Status
from tests.gateway.asking import ask, upstream
from tests.proxy import StoppedClock, proxy
from tests.running import PATIENCE, free_port

PATH = "/hooks/canary-of-an-address"
ALERT = Alert("dry", "a:b", "rate_limit", 1.0, (), "a:b has run dry", "Its limit is used up.")
LIMITED = Status(429, headers={"retry-after": "2820"})
REFUSED = Status(401)


class Receiver:
    """What was posted to it, in order."""

    def __init__(self, status=200):
        self.status = status
        self.got = asyncio.Queue()
        self.url = ""

    async def answer(self, request):
        await self.got.put((request.headers, await request.read()))
        return web.Response(status=self.status)

    async def next(self):
        async with asyncio.timeout(PATIENCE):
            return await self.got.get()


@asynccontextmanager
async def receiver(**options):
    one = Receiver(**options)
    runner = web.ServerRunner(web.Server(one.answer))
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        one.url = f"http://127.0.0.1:{runner.addresses[0][1]}{PATH}"
        yield one
    finally:
        await runner.cleanup()


@pytest.fixture(autouse=True)
def _looks_often(monkeypatch):
    monkeypatch.setattr(looking, "EVERY", 0.01)


@pytest.fixture
async def send():
    """Sends ALERT over the ways it is given, by one courier."""
    async with HttpTransport(connect=5) as http:
        courier = Courier(http, "proxypal/0")

        async def sent(**ways):
            await courier.send(ALERT, Ways(**ways), lambda url: "")

        yield sent


# ── from the accounts to the receiver ────────────────────────────────────────────────────────


async def test_a_daemon_tells_who_runs_dry_and_who_is_back(fault_server):
    fault_server.always(LIMITED)
    clock = StoppedClock()
    async with receiver() as hook:
        config = upstream(fault_server, "anthropic", extra=f"alerts: {{webhook: '{hook.url}'}}")
        async with proxy(config, clock=clock) as p:
            status, *_ = await ask(p, "anthropic", text="a prompt of nobody's concern")
            _, dry = await hook.next()
            clock.at += 2820
            _, back = await hook.next()

    assert status == 429
    told = jsonio.load_object(dry)
    assert (told["event"], told["account"], told["models"]) == ("dry", "up:k1", ["m-1"])
    assert told["text"] == told["content"]
    assert told["text"].startswith("up:k1 has run dry for m-1. Its limit is used up.")
    assert jsonio.load_object(back)["event"] == "back"
    assert b"prompt" not in dry


async def test_what_is_not_wanted_is_not_told(fault_server):
    fault_server.always(REFUSED, key="k1")
    fault_server.always(LIMITED, key="k2")
    async with receiver() as hook:
        extra = f"alerts: {{webhook: '{hook.url}', on: [login]}}"
        config = upstream(fault_server, "anthropic", accounts=("k2", "k1"), extra=extra)
        async with proxy(config) as p:
            await ask(p, "anthropic")
            _, body = await hook.next()

    assert jsonio.load_object(body)["account"] == "up:k1"
    assert hook.got.empty()


async def test_a_way_can_be_named_while_the_daemon_runs(fault_server):
    fault_server.always(REFUSED, key="k1")
    async with receiver() as topic, proxy(upstream(fault_server, "anthropic")) as p:
        p.reload(
            parse(upstream(fault_server, "anthropic", extra=f"alerts: {{ntfy: '{topic.url}'}}"), {})
        )
        await ask(p, "anthropic")
        head, body = await topic.next()

    assert (head["Title"], head["Priority"]) == ("up:k1 needs a login", "high")
    assert body.startswith(b"Its provider refuses its credential")


async def test_a_receiver_that_never_answers_holds_up_no_request(fault_server):
    fault_server.always(REFUSED, key="k1")

    stalled = asyncio.Event()

    async def stall(reader, writer):
        stalled.set()
        await reader.read()  # until who asks goes away
        writer.close()

    server = await asyncio.start_server(stall, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    config = upstream(
        fault_server, "anthropic", accounts=("k1", "k2"), extra=f"alerts: {{webhook: '{url}'}}"
    )
    async with server, proxy(config) as p:
        await ask(p, "anthropic")
        async with asyncio.timeout(PATIENCE):
            await stalled.wait()
        status, *_ = await ask(p, "anthropic")

    assert status == 200


# ── each way ─────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("way", ["webhook", "ntfy"])
async def test_a_way_that_fails_is_logged_once_until_it_works_again(send, way):
    async with receiver(status=500) as hook:
        with structlog.testing.capture_logs() as logged:
            await send(**{way: hook.url})
            await send(**{way: hook.url})
            hook.status = 200
            await send(**{way: hook.url})
            hook.status = 404
            await send(**{way: hook.url})

    assert [(line["way"], line["reason"]) for line in logged] == [
        (way, "it answers 500"),
        (way, "it answers 404"),
    ]
    assert "canary" not in repr(logged)


async def test_an_address_where_nobody_is_keeps_no_other_way_from_working(send):
    async with receiver() as hook:
        with structlog.testing.capture_logs() as logged:
            await send(webhook=f"http://127.0.0.1:{free_port()}{PATH}", ntfy=hook.url)

    _, body = await hook.next()
    assert body == b"Its limit is used up."
    assert [line["way"] for line in logged] == ["webhook"]
    assert "canary" not in repr(logged)


async def test_a_redirect_is_not_followed(send):
    async with receiver() as elsewhere, receiver(status=302) as hook:
        with structlog.testing.capture_logs() as logged:
            await send(webhook=hook.url)

    assert elsewhere.got.empty()
    assert logged[0]["reason"] == "it answers 302"


async def test_the_desktop_is_told_by_a_program_without_a_shell(send, tmp_path, monkeypatch):
    program = tmp_path / "notify-send"
    program.write_text('#!/bin/sh\nfor each in "$@"; do echo "$each"; done > "$OUT"\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setenv("OUT", str(tmp_path / "out"))
    monkeypatch.setattr(module.sys, "platform", "linux")

    await send(desktop=True)

    said = (tmp_path / "out").read_text().splitlines()
    assert said == ["--app-name=ProxyPal", "--", "a:b has run dry", "Its limit is used up."]


async def test_a_program_that_does_not_end_is_ended(send, tmp_path, monkeypatch):
    program = tmp_path / "notify-send"
    program.write_text('#!/bin/sh\necho $$ > "$OUT"\nexec sleep 1000\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setenv("OUT", str(tmp_path / "out"))
    monkeypatch.setattr(module.sys, "platform", "linux")
    monkeypatch.setattr(module, "TIMEOUT", 0.5)

    with structlog.testing.capture_logs() as logged:
        await send(desktop=True)

    assert logged[0]["reason"] == "it took more than 0.5 seconds"
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "out").read_text()), 0)


@pytest.mark.parametrize("platform", ["linux", "darwin"])
def test_what_is_said_is_an_argument_and_never_code(platform):
    evil = Alert("dry", "a:b", title='-x "; rm -rf ~', text='<b>&amp;" & do shell script "id"')

    command = desktop(evil, platform)

    assert evil.title in command
    script = [word for word in command if word not in (evil.title, command[-1])]
    assert all("rm -rf" not in word and "shell script" not in word for word in script)
    if platform == "linux":
        assert command.index("--") < command.index(evil.title)
        assert command[-1].startswith("&lt;b&gt;&amp;amp;")


async def test_a_system_without_a_known_way_says_so(send, monkeypatch):
    monkeypatch.setattr(module.sys, "platform", "win32")

    with structlog.testing.capture_logs() as logged:
        await send(desktop=True)

    assert logged[0]["reason"] == "this system has no way that is known"


# ── settings ─────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("way", ["webhook", "ntfy"])
def test_an_address_that_is_none_is_refused_and_not_repeated(way):
    with pytest.raises(SettingsError) as caught:
        parse(f"alerts: {{{way}: 'ftp://canary'}}", {})

    [problem] = caught.value.problems
    assert (problem.path, problem.problem) == (f"alerts.{way}", "is not an address")
    assert "canary" not in str(problem)


def test_an_event_that_is_none_is_refused():
    with pytest.raises(SettingsError, match=r"alerts\.on"):
        parse("alerts: {on: [wet]}", {})
