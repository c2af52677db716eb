"""``proxypal explain`` says which account would answer, with a daemon and without one."""

import asyncio
from pathlib import Path

import pytest

from proxypal_core.wire import jsonio
from tests.fault_server import Status
from tests.gateway.asking import ask, upstream
from tests.running import daemon, free_port, ran

NOTHING_RUNS = "No daemon runs; this is what one would do."


@pytest.fixture
def home(tmp_path):
    """The variables of an installation of its own."""
    return {
        "PROXYPAL_CONFIG": str(tmp_path / "config.yaml"),
        "PROXYPAL_DATA_DIR": str(tmp_path / "data"),
        "PROXYPAL_STATE_DIR": str(tmp_path / "state"),
    }


def configured(home, text, *, port=0):
    """Have *text* be the settings, and *port* the daemon's, or any that is free."""
    Path(home["PROXYPAL_CONFIG"]).write_text(f"listen: {{port: {port or free_port()}}}\n{text}")


async def explain(home, *arguments):
    """The exit code, and what was printed."""
    process = await ran("explain", *arguments, **home)
    return process.process.returncode, process.out, process.err


async def document(home, *arguments):
    code, out, _ = await explain(home, *arguments, "--json")
    return code, jsonio.load_object(out)


# ── the daemon runs ──────────────────────────────────────────────────────────────────────────


async def test_the_running_daemon_is_asked(fault_server, home):
    configured(home, upstream(fault_server, "anthropic", accounts=("k1", "k2")))
    fault_server.always(Status(429, retry_after=600), key="k1")
    async with daemon("--config", home["PROXYPAL_CONFIG"], **home) as server:
        await ask(server, "anthropic")
        code, found = await document(home, "m-1")
        text_code, out, err = await explain(home, "m-1")

    assert (code, text_code, err) == (0, 0, "")
    assert found["answers"] == {"account": "up:k2", "model": "up/m-1"}
    assert [(one["account"], one["state"]) for one in found["candidates"]] == [
        ("up:k2", "ready"),
        ("up:k1", "barred"),
    ]
    assert [one["outcome"] for one in found["last_request"]["attempts"]] == ["rate_limit", "served"]
    first, _, second, third, _, last = out.splitlines()
    assert first == "m-1: up:k2 would answer, with up/m-1"
    assert second.split() == ["1", "up:k2", "up/m-1", "ready"]
    assert third.startswith("  -  up:k1 ")
    assert "resting: rate_limit, for another 9m" in third or "for another 10m" in third
    assert last.endswith("ago: up:k1 rate_limit, then up:k2 served")


async def test_it_ends_with_1_where_nobody_could_answer(fault_server, home):
    configured(home, upstream(fault_server, "anthropic"))
    fault_server.always(Status(402))
    async with daemon("--config", home["PROXYPAL_CONFIG"], **home) as server:
        await ask(server, "anthropic")
        code, out, _ = await explain(home, "m-1")
        json_code, found = await document(home, "m-1")

    assert (code, json_code, found["answers"]) == (1, 1, None)
    assert out.splitlines()[0] == "m-1: nobody could answer now"
    assert "resting: billing" in out


async def test_a_model_that_nobody_serves_is_told(home):
    configured(home, "")
    async with daemon("--config", home["PROXYPAL_CONFIG"], **home):
        code, out, err = await explain(home, "nobody/knows")

    assert (code, out) == (1, "")
    assert err.startswith("The daemon at http://127.0.0.1:")
    assert "nobody" in err


async def test_a_prefix_is_preferred(fault_server, home):
    url = fault_server.url("anthropic")
    rows = "".join(
        f"  - {{name: {name}, dialect: anthropic, base_url: {url}, models: [m-1]}}\n"
        for name in ("one", "two")
    )
    accounts = 'accounts: [{id: "one:a", api_key: a}, {id: "two:b", api_key: b}]\n'
    configured(home, f"providers:\n{rows}{accounts}")

    found = [(await document(home, "m-1", "--prefer", name))[1] for name in ("one", "two")]

    assert [one["answers"]["account"] for one in found] == ["one:a", "two:b"]


# ── none does ────────────────────────────────────────────────────────────────────────────────


async def test_what_the_last_daemon_left_is_told(fault_server, home):
    configured(home, upstream(fault_server, "anthropic", accounts=("k1", "k2")))
    fault_server.always(Status(402), key="k1")
    async with daemon("--config", home["PROXYPAL_CONFIG"], **home) as server:
        await ask(server, "anthropic")
        _, running = await document(home, "m-1")
        server.process.terminate()
        await server.ended()

    code, out, err = await explain(home, "m-1")
    json_code, found = await document(home, "m-1")

    assert (code, json_code) == (0, 0)
    assert err.strip() == NOTHING_RUNS
    assert found["candidates"] == running["candidates"]
    assert found["last_request"] is None
    assert "up:k1" in out
    assert "resting: billing, for another 4h" in out or "for another 5h" in out


async def test_before_the_first_start_everybody_is_ready_and_nothing_is_written(
    fault_server, home, tmp_path
):
    configured(home, upstream(fault_server, "anthropic", accounts=("k1", "k2")))

    code, found = await document(home, "m-1")

    assert code == 0
    assert [(one["account"], one["place"]) for one in found["candidates"]] == [
        ("up:k1", 1),
        ("up:k2", 2),
    ]
    assert not (tmp_path / "data").exists()


async def test_without_a_daemon_an_unknown_model_is_told_too(home):
    configured(home, "")

    code, out, err = await explain(home, "nobody/knows")

    assert (code, out) == (1, "")
    assert "nobody" in err


async def test_another_program_at_the_port_is_not_taken_for_the_daemon(home):
    async def answer(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}")
        await writer.drain()
        writer.close()
        await writer.wait_closed()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as other:
        port = other.sockets[0].getsockname()[1]
        configured(home, "", port=port)
        code, out, err = await explain(home, "demo")

    assert (code, err.strip()) == (0, NOTHING_RUNS)
    assert "demo:built-in would answer, with demo/echo" in out


# ── the terminal ─────────────────────────────────────────────────────────────────────────────


async def test_nothing_that_is_printed_drives_the_terminal(fault_server, home):
    name = "up/m-\x1b]0;pwned\x07\x1b[2J\u202e\n1"
    configured(home, upstream(fault_server, "anthropic").replace('"m-*"', '"*"'))

    code, out, err = await explain(home, name)
    configured(home, "")
    bad_code, _, bad = await explain(home, "\x1b[2Jnobody/\x07knows")

    assert (code, bad_code) == (0, 1)
    for letter in "\x1b\x07\u202e":
        assert letter not in out + err + bad
    assert out.count("\n") == 3
