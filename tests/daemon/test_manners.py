"""A daemon's manners, as whoever supervises it sees them: a few rounds of ``make manners``, and words."""

import asyncio
import os
import random
import signal
import socket

import aiohttp
import pytest

from tests.daemon.manners import reloads_during_streams, stopped_while_streaming
from tests.gateway.asking import question, read
from tests.running import daemon

pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals are POSIX's here")


async def test_reloads_break_no_stream(tmp_path):
    answers = await reloads_during_streams(20, 12, tmp_path)

    assert len(answers) >= 12
    assert [one for one in answers if not one.complete] == []


async def test_who_is_answered_when_it_is_stopped_gets_all_of_it_or_is_told(tmp_path):
    answers = await stopped_while_streaming(random.Random(8), tmp_path)

    assert len(answers) == 8
    assert [one for one in answers if not one.complete and not one.explained] == []


async def test_told_a_second_time_it_ends_now():
    path, body = question("openai-chat", "demo", text="word " * 400)
    async with daemon() as started, aiohttp.ClientSession() as session:
        async with session.post(started.url + path, json=body) as answer:
            await answer.content.readany()
            started.process.send_signal(signal.SIGTERM)
            await started.says("stopping")
            started.process.send_signal(signal.SIGTERM)
            _, whole = await read(answer)

        assert await started.ended() == 0
    assert not whole


async def test_on_sighup_it_reads_its_settings_and_logs_by_them(tmp_path):
    config, file = tmp_path / "config.yaml", tmp_path / "p.log"
    config.write_text("listen: {port: 0}\n")
    async with daemon("--config", config) as started:
        config.write_text(f"listen: {{port: 0}}\nlogging: {{level: debug, file: {file}}}\n")
        started.process.send_signal(signal.SIGHUP)
        while not file.exists() or "settings reloaded" not in file.read_text():  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        config.write_text("logging: {file: /nowhere/p.log}\n")
        started.process.send_signal(signal.SIGHUP)
        while "cannot write /nowhere/p.log" not in file.read_text():  # noqa: ASYNC110 — a file
            await asyncio.sleep(0.01)
        started.process.send_signal(signal.SIGTERM)

        assert await started.ended() == 0
    assert "stopping" in file.read_text()


async def test_systemd_is_told_of_every_step(tmp_path):
    loop = asyncio.get_running_loop()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "n"))
        manager.setblocking(False)

        async def told(word):
            """The first notification with *word*; others are left out."""
            async with asyncio.timeout(30):
                while True:
                    lines = (await loop.sock_recv(manager, 4096)).decode().splitlines()
                    if word in lines:
                        return lines

        given = {"NOTIFY_SOCKET": str(tmp_path / "n"), "WATCHDOG_USEC": "200000"}
        async with daemon(**given) as started:
            ready = await told("READY=1")
            await told("WATCHDOG=1")
            await told("WATCHDOG=1")
            started.process.send_signal(signal.SIGHUP)
            reloading = await told("RELOADING=1")
            again = await told("READY=1")
            started.process.send_signal(signal.SIGTERM)
            stopping = await told("STOPPING=1")

            assert await started.ended() == 0
    assert ready == ["READY=1", f"STATUS=listens on {started.url}"]
    assert reloading[1].startswith("MONOTONIC_USEC=")
    assert again == ["READY=1"]
    assert stopping == ["STOPPING=1", "STATUS=requests to finish: 0"]
