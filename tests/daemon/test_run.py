"""The daemon as a process: it starts, serves, says what is wrong, and stops when it is told to."""

import asyncio
import os
import re
import signal
import ssl
import stat
import sys
from contextlib import asynccontextmanager

import aiohttp
import pytest

from proxypal_core.daemon import lock, run
from proxypal_core.settings.parse import parse
from proxypal_core.settings.schema import Listen, Tls
from proxypal_core.store import admin_key
from tests.certificate import self_signed
from tests.daemon.manners import starts_at_once
from tests.gateway.asking import DIALECTS, TERMINAL, ask, question, read
from tests.running import daemon, free_port, ran

pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals and modes are POSIX's here")

IS_LINUX = sys.platform == "linux"
CANARIES = {
    "ANTHROPIC_API_KEY": "canary-one-of-the-environment",
    "OPENAI_API_KEY": "canary-two-of-the-environment",
    "LAPTOP_KEY": "canary-of-a-client-key",
    "PROXYPAL_ADMIN_KEY": "canary-of-the-admin-key",
}
TELLING = """
client_keys: [{name: laptop, key: "${LAPTOP_KEY}"}]
logging: {level: debug}
network: {proxy: "http://me:canary-of-a-proxy@127.0.0.1:1", no_proxy: ""}
accounts: [{id: "groq:a", api_key: canary-of-an-account, headers: {x-h: canary-of-a-header}}]
"""
# A program that says when anything is looked up or connected to, and then is proxypal.
TELLTALE = """
import sys
def hook(event, arguments):
    if event in ("socket.connect", "socket.getaddrinfo", "socket.sendto"):
        print("NETWORK", event, arguments, file=sys.stderr, flush=True)
sys.addaudithook(hook)
from proxypal_core.cli.main import main
main(prog_name="proxypal")
"""


def written(tmp_path, text):
    file = tmp_path / "config.yaml"
    file.write_text(text)
    return file


# ── it serves ────────────────────────────────────────────────────────────────────────────────


async def test_it_answers_in_every_dialect_and_stops_when_told():
    async with daemon() as started:
        for dialect in DIALECTS:
            status, _, body, whole = await ask(started, dialect, "demo")
            assert (status, whole) == (200, True)
            assert b"Hello?" in body
            assert TERMINAL[dialect] in body
        started.process.send_signal(signal.SIGINT)

        assert await started.ended() == 0
    assert "only the built-in demo answers" in started.err
    assert f"curl -N {started.url}/v1/chat/completions" in started.err
    assert started.out == ""


async def test_told_to_stop_it_finishes_what_it_is_saying():
    path, body = question("openai-chat", "demo", text="word " * 60 + "last-word")
    async with daemon() as started, aiohttp.ClientSession() as session:
        async with session.post(started.url + path, json=body) as answer:
            first = await answer.content.readany()
            started.process.send_signal(signal.SIGTERM)
            await started.says("stopping")
            with pytest.raises(aiohttp.ClientConnectorError):
                await session.get(started.url + "/health")
            assert not answer.content.at_eof()
            rest, whole = await read(answer)

        assert await started.ended() == 0
    assert b"last-word" not in first
    assert b"last-word" in rest
    assert TERMINAL["openai-chat"] in rest
    assert whole


async def test_who_looks_on_does_not_hold_the_daemon_up():
    admin = {"Authorization": "Bearer admin-key-of-this-test"}
    async with (
        daemon(PROXYPAL_ADMIN_KEY="admin-key-of-this-test") as started,
        aiohttp.ClientSession(headers=admin) as session,
        session.get(started.url + "/api/events") as events,
    ):
        await events.content.readuntil(b"\n\n")

        started.process.send_signal(signal.SIGTERM)
        await events.content.read()

        assert await started.ended() == 0


async def test_it_serves_https(tmp_path):
    files = self_signed(tmp_path)
    config = written(
        tmp_path, f"listen: {{port: 0, tls: {{cert: {files.cert}, key: {files.key}}}}}"
    )
    trust = ssl.create_default_context(cafile=files.cert)

    async with (
        daemon("--config", config) as started,
        aiohttp.ClientSession() as session,
        session.get(f"{started.url}/health", ssl=trust) as answer,
    ):
        assert started.url.startswith("https://127.0.0.1:")
        assert (await answer.json())["name"] == "proxypal"


async def test_the_admin_key_is_made_once_for_its_owner_alone(tmp_path):
    keys = []
    for _ in range(2):
        async with daemon() as started, aiohttp.ClientSession() as session:
            [file] = tmp_path.rglob(admin_key.NAME)
            keys.append(file.read_text().strip())
            head = {"authorization": f"Bearer {keys[-1]}"}
            async with session.get(f"{started.url}/api/state", headers=head) as answer:
                assert answer.status == 200
            assert keys[-1] not in started.err

    assert len(set(keys)) == 1
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


# ── it keeps to itself ───────────────────────────────────────────────────────────────────────


async def test_nothing_that_it_prints_is_secret(tmp_path):
    config = written(tmp_path, TELLING)
    ask_as = {"authorization": f"Bearer {CANARIES['LAPTOP_KEY']}"}

    async with daemon("--config", config, "--port", 0, **CANARIES) as started:
        for model in ("demo", "claude-sonnet-4-5", "groq/any", "gpt-5"):
            await ask(started, "openai-chat", model, headers=ask_as)
        await ask(started, "gemini", "demo", headers={"x-goog-api-key": "canary-not-a-key"})
        started.process.send_signal(signal.SIGTERM)
        await started.ended()

    assert "unreachable" in started.err
    assert "canary" not in started.err + started.out


async def test_starting_and_stopping_reaches_for_no_network(tmp_path):
    config = written(tmp_path, TELLING)

    async with daemon(
        "--config", config, "--port", 0, program=("-c", TELLTALE), **CANARIES
    ) as started:
        started.process.send_signal(signal.SIGTERM)
        assert await started.ended() == 0

    assert "NETWORK" not in started.err


async def test_the_telltale_would_tell(tmp_path):
    async with daemon() as started:
        port = started.url.rpartition(":")[2]
        second = await ran(
            "serve", "--port", port, program=("-c", TELLTALE), PROXYPAL_DATA_DIR=str(tmp_path / "b")
        )

    assert "NETWORK socket.connect" in second.err


# ── it cannot listen ─────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("tls", "host"), [(False, "127.0.0.1"), (True, "localhost")])
async def test_a_second_start_says_that_it_runs_already(tmp_path, tls, host):
    files = self_signed(tmp_path)
    text = f"listen: {{tls: {{cert: {files.cert}, key: {files.key}}}}}" if tls else ""
    config = written(tmp_path, text)

    elsewhere = {"PROXYPAL_DATA_DIR": str(tmp_path / "other")}
    async with daemon("--config", config, "--port", 0) as first:
        port = first.url.rpartition(":")[2]
        second = await ran("serve", "--config", config, "--host", host, "--port", port, **elsewhere)

    assert second.process.returncode == 75
    by = f", as python (process {first.process.pid})" if IS_LINUX else ""
    assert re.sub("python[0-9.]*", "python", second.err).splitlines() == [
        f"proxypal already runs on {host}:{port}{by}. Stop it first, or choose another --port."
    ]


async def test_a_second_daemon_of_the_same_data_is_told_of_the_first(tmp_path):
    data = tmp_path / "the data"
    async with daemon(PROXYPAL_DATA_DIR=str(data)) as first:
        second = await ran("serve", "--port", 0, PROXYPAL_DATA_DIR=str(data))

    assert second.process.returncode == 75
    assert second.err == (
        f"proxypal already runs: process {first.process.pid}, {first.url} has the data in {data}."
        " Stop it first, or name another folder with PROXYPAL_DATA_DIR.\n"
    )


async def test_of_many_starts_at_once_exactly_one_serves(tmp_path):
    codes = await starts_at_once(4, PROXYPAL_DATA_DIR=str(tmp_path / "data"))

    assert sorted(codes) == [0, *[75] * 3]


async def test_a_killed_daemon_leaves_no_lock():
    async with daemon() as first:
        first.process.kill()
        await first.ended()

        async with daemon() as second:
            second.process.send_signal(signal.SIGTERM)

            assert await second.ended() == 0


async def test_data_that_cannot_be_kept_is_said(tmp_path):
    data = tmp_path / "elsewhere"
    (data / lock.NAME).mkdir(parents=True)

    failed = await ran("serve", "--port", 0, PROXYPAL_DATA_DIR=str(data))

    assert failed.process.returncode == 1
    assert "PROXYPAL_DATA_DIR" in failed.err
    assert "Traceback" not in failed.err


@asynccontextmanager
async def other_program(says):
    async def accept(reader, writer):
        await reader.read(10)
        writer.write(says)
        writer.close()

    async with await asyncio.start_server(accept, "127.0.0.1", 0) as server:
        yield server.sockets[0].getsockname()[1]


async def refusal_of(text, **listen):
    """Why a daemon with the settings *text* cannot listen."""
    settings = parse(text, {}, **listen)
    with pytest.raises(run.CannotStart) as caught:
        await run.serve(settings, admin_key="k", ready=pytest.fail, stop=asyncio.Event())
    return caught.value


async def test_another_program_s_port_ends_with_1():
    async with other_program(b"") as port:
        second = await ran("serve", "--port", port)

    assert second.process.returncode == 1
    assert f"port {port} on 127.0.0.1 is taken by " in second.err
    if IS_LINUX:
        assert f"(process {os.getpid()}). Stop it, or choose another --port." in second.err


@pytest.mark.parametrize("says", [b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi", b"\xff"])
async def test_whatever_another_program_says_it_is_another_program(says):
    async with other_program(says) as port:
        refusal = await refusal_of("", port=port)

    assert refusal.exit_code == 1
    assert f"port {port} on 127.0.0.1 is taken by " in str(refusal)


async def test_an_address_of_another_machine_is_no_place_to_listen():
    refusal = await refusal_of(
        "client_keys: [{name: a, key: a-long-key}]", host="192.0.2.1", port=free_port()
    )

    assert refusal.exit_code == 1
    assert "cannot listen on 192.0.2.1:" in str(refusal)


async def test_a_certificate_s_key_with_a_password_is_refused(tmp_path):
    files = self_signed(tmp_path, password=b"secret")
    config = written(tmp_path, f"listen: {{tls: {{cert: {files.cert}, key: {files.key}}}}}")

    failed = await ran("serve", "--config", config, "--port", 0)

    assert failed.process.returncode == 78
    assert f"listen.tls: {files.cert} with the key {files.key} cannot be used" in failed.err
    assert "Traceback" not in failed.err


@pytest.mark.parametrize("broken", ["cert", "key"])
async def test_a_certificate_that_cannot_be_used_is_named(tmp_path, broken):
    files = self_signed(tmp_path)
    path = tmp_path / f"{broken}.pem"
    if broken == "cert":
        path.unlink()
    else:
        path.write_text("no PEM")

    refusal = await refusal_of(f"listen: {{tls: {{cert: {files.cert}, key: {files.key}}}}}")

    assert refusal.exit_code == 78
    assert f"listen.tls: {files.cert}" in str(refusal)


# ── addresses ────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("listen", "url"),
    [
        (Listen(), "http://127.0.0.1:8317"),
        (Listen(host="localhost", port=1), "http://localhost:1"),
        (Listen(host="0.0.0.0", port=1), "http://127.0.0.1:1"),
        (Listen(host="::", port=1), "http://[::1]:1"),
        (Listen(host="::1", port=1), "http://[::1]:1"),
        (Listen(host="192.0.2.1", port=1, tls=Tls("c", "k")), "https://192.0.2.1:1"),
    ],
)
def test_where_this_machine_finds_the_daemon(listen, url):
    assert run.reachable(listen) == url
