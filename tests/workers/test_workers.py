"""``serve --workers`` as a person runs it. Nothing here needs the Redis that the settings name: what is
shared is tested in tests/replicas, and without it a daemon serves all the same.
"""

import asyncio
import os
import re
import signal
import socket
import sys
from collections import Counter
from contextlib import asynccontextmanager, closing
from pathlib import Path

import aiohttp
import pytest

from proxypal_core.daemon import lock
from tests.daemon.manners import stream
from tests.gateway.asking import DIALECTS
from tests.running import PATIENCE, daemon, ran

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="workers are Linux's")

ADMIN = {"Authorization": "Bearer admin-key-of-this-test"}
SHARED = "state: {backend: redis, url: 'redis://127.0.0.1:1'}\n"


def data_dir():
    return Path(os.environ["XDG_DATA_HOME"]) / "proxypal"


def config(tmp_path):
    file = tmp_path / "config.yaml"
    file.write_text(f"listen: {{port: 0}}\n{SHARED}")
    return file


@asynccontextmanager
async def workers(tmp_path, **environment):
    arguments = ("--config", config(tmp_path), "--workers", 2)
    admin = ADMIN["Authorization"].removeprefix("Bearer ")
    async with daemon(*arguments, PROXYPAL_ADMIN_KEY=admin, **environment) as started:
        yield started


def processes(started):
    """The workers' process ids, by their number."""
    children = Path(f"/proc/{started.process.pid}/task/{started.process.pid}/children")
    commands = {
        int(pid): Path(f"/proc/{pid}/cmdline").read_text() for pid in children.read_text().split()
    }
    found = {pid: re.search(r"--worker\0(\d+)/", command) for pid, command in commands.items()}
    return {int(part[1]): pid for pid, part in found.items() if part}


async def until(true):
    async with asyncio.timeout(PATIENCE):
        while not true():  # noqa: ASYNC110 — processes tell nobody
            await asyncio.sleep(0.05)


async def fetched(url, **options):
    """The status and text, by a connection of its own: another worker may have it each time."""
    async with aiohttp.ClientSession() as session, session.get(url, **options) as answer:
        return answer.status, await answer.text()


async def test_all_workers_answer_and_any_shows_the_metrics_and_the_management_of_all(tmp_path):
    ear = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    ear.bind(str(tmp_path / "notify"))
    async with workers(tmp_path, NOTIFY_SOCKET=str(tmp_path / "notify")) as started:
        answers = await asyncio.gather(
            *(stream(started.url, dialect, words=3) for dialect in DIALECTS * 5)
        )
        metrics = [await fetched(started.url + "/metrics", headers=ADMIN) for _ in range(8)]
        states = [await fetched(started.url + "/api/state", headers=ADMIN) for _ in range(8)]
        async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as session:
            async with session.post(started.url + "/api/session-links", headers=ADMIN) as answer:
                link = (await answer.json())["url"]
            async with session.get(started.url + link) as page:
                assert (page.status, page.url.path) == (200, "/dashboard")
            cookies = {cookie.key: cookie.value for cookie in session.cookie_jar}
        states += [await fetched(started.url + "/api/state", cookies=cookies) for _ in range(8)]
        strangers = [await fetched(started.url + "/api/state") for _ in range(8)]
        started.process.send_signal(signal.SIGTERM)

        assert await started.ended() == 0
    with ear:
        told = [ear.recv(1000).decode() for _ in range(2)]
    assert told == [
        f"READY=1\nSTATUS=2 workers listen on {started.url}",
        "STOPPING=1\nSTATUS=workers to end",
    ]
    assert [one for one in answers if not one.complete] == []
    assert {status for status, _ in (*metrics, *states)} == {200}
    assert {status for status, _ in strangers} == {401}
    served = Counter()
    for labels, many in re.findall(r"proxypal_requests_total\{(.+)\} (\d+)", metrics[-1][1]):
        served[re.search(r'worker="(\d)"', labels)[1]] += int(many)
    assert sum(served.values()) == 20
    assert set(served) == {"1", "2"}  # one in half a million times all go to one
    assert lock.holder(data_dir()) == lock.Holder()


async def test_a_worker_s_death_costs_its_own_streams_and_that_of_the_one_above_none(tmp_path):
    async with workers(tmp_path) as started:
        before = processes(started)
        streaming = [
            asyncio.ensure_future(stream(started.url, DIALECTS[n % 4], words=50)) for n in range(12)
        ]
        await asyncio.sleep(0.7)
        os.kill(before[2], signal.SIGKILL)
        answers = await asyncio.gather(*streaming)
        await started.says("a worker ended")
        await until(lambda: len(processes(started)) == 2)
        after = processes(started)

        streaming = [
            asyncio.ensure_future(stream(started.url, dialect, words=40)) for dialect in DIALECTS
        ]
        await asyncio.sleep(0.5)
        started.process.kill()
        await until(lambda: started.process.returncode is not None)
        with pytest.raises(lock.Taken):  # their data is theirs until the last has ended
            lock.take(data_dir(), "")
        again = await asyncio.gather(*streaming)
        await until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in after.values()))

    assert 0 < sum(one.complete for one in answers) < 12  # all of one worker's, none of the other's
    assert [one for one in answers if not one.complete and not one.explained] == []
    assert (after[1], after[2] != before[2]) == (before[1], True)
    assert [one for one in again if not one.complete] == []
    lock.take(data_dir(), "").close()


async def test_what_is_taken_is_said_once_and_nobody_is_started(tmp_path):
    file = config(tmp_path)
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        address = await ran("serve", "--config", file, "--workers", 2, "--port", port)
    with closing(lock.take(data_dir(), "http://first")):
        data = await ran("serve", "--config", file, "--workers", 2)

    assert (address.process.returncode, data.process.returncode) == (1, 75)
    assert address.err.count(f"port {port} on 127.0.0.1 is taken") == 1
    assert data.err.count("proxypal already runs") == 1
