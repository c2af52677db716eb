"""``proxypal statusline``: one line on how it goes, and silence where there is nothing to say."""

import asyncio
import os
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxypal_core.cli import standing
from proxypal_core.cli.statusline import OFF, line
from tests.certificate import self_signed
from tests.running import PATIENCE, PROGRAM, daemon, free_port, ran

NOW = 1_795_000_000.0
CLAUDE = (
    b'{"hook_event_name":"Status","model":{"display_name":"Opus"},"cost":{"total_cost_usd":9.9}}'
)


def account(name="anthropic:home", *, reason="", rest=0.0, models=(), limits=(), disabled=""):
    return {
        "id": name,
        "provider": name.partition(":")[0],
        "disabled": disabled,
        "resting": {"reason": reason, "until": NOW + rest} if reason else None,
        "models": {model: {"reason": "rate_limit", "until": NOW + 60} for model in models},
        "limits": [{"name": "5h", "left": left, "resets_at": NOW + 60} for left in limits],
    }


def shown(*accounts, cost=1.234, requests=5, priced=5):
    total = {"cost": cost, "requests": requests, "priced": priced}
    return line({"now": NOW, "accounts": accounts}, {"total": total})


async def printed(heard=b"", **environment):
    """What the program prints that is given *heard*, having ended well and said nothing else."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *PROGRAM,
        "statusline",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, **environment},
    )
    async with asyncio.timeout(PATIENCE):
        out, err = await process.communicate(heard)
    assert (process.returncode, err) == (0, b"")
    return out.decode().removesuffix("\n")


# ── the line ─────────────────────────────────────────────────────────────────────────────────


@given(st.text())
def test_no_name_can_drive_a_terminal(name):
    assert shown(account(f"a:{name}", reason="auth", rest=9)).isprintable()


@pytest.mark.parametrize(
    ("accounts", "text"),
    [
        ([account(), account("openai:a")], "● 2 ready"),
        ([account("openai:a"), account(reason="rate_limit", rest=2820)], "● 1 ready · ◔ anthropic:home 47m"),
        ([account(reason="auth", rest=3600)], "✕ anthropic:home needs a login"),
        ([account(reason="billing", rest=3600)], "$ anthropic:home needs credit"),
        ([account(models=["opus"])], "◐ anthropic:home 1m"),
        ([account(limits=[0.05])], "◔ anthropic:home running low"),
        ([account(limits=[0.5])], "● 1 ready"),
        ([account(reason="rate_limit", rest=-1)], "● 1 ready"),
        ([account(disabled="by the settings"), account("openai:a")], "● 1 ready"),
        (
            [account("a:late", reason="rate_limit", rest=600), account("a:soon", reason="server", rest=300)],
            "◔ a:soon 5m +1",
        ),
        ([account("demo:built-in")], "○ no account"),
        ([account("demo:built-in"), account()], "● 1 ready"),
        (
            [account("anthropic:jane.doe@example.com", reason="auth", rest=9)],
            "✕ anthropic:j***@example.com needs a login",
        ),
    ],
)  # fmt: skip
def test_it_says_who_is_ready_who_needs_a_person_and_who_is_back_first(accounts, text):
    assert shown(*accounts) == f"{text} · $1.23 today"


def test_a_sum_that_lacks_prices_has_a_plus():
    assert shown(account(), priced=4).endswith("$1.23+ today")


def test_the_day_begins_at_midnight_here():
    assert standing.midnight(NOW) <= NOW < standing.midnight(NOW) + 25 * 3600
    assert standing.midnight(standing.midnight(NOW)) == standing.midnight(NOW)


# ── the program ──────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("tls", [False, True], ids=["http", "https"])
async def test_it_asks_the_daemon_of_the_settings(tmp_path, tls):
    files = self_signed(tmp_path)
    more = f", tls: {{cert: {files.cert}, key: {files.key}}}" if tls else ""
    config = tmp_path / "config.yaml"
    config.write_text(
        f"listen: {{port: {free_port()}{more}}}\naccounts: [{{id: 'openai:work', api_key: sk-x}}]"
    )
    async with daemon("--config", config):
        text = await printed(PROXYPAL_CONFIG=str(config))
        flagged = await ran("statusline", "--config", config)

    assert text == "● 1 ready · $0.00 today"
    assert flagged.out == f"{text}\n"


async def test_without_a_daemon_it_says_one_word_and_ends_well(tmp_path):
    config = tmp_path / "config.yaml"
    config.write_text(f"listen: {{port: {free_port()}}}\nadmin_key: a-key-of-the-settings")

    assert await printed(PROXYPAL_CONFIG=str(config)) == OFF


async def test_claude_code_is_told_so_dimly_whatever_it_sends(tmp_path):
    big = CLAUDE[:-1] + b',"x":"' + b"x" * 300_000 + b'"}'

    assert await printed(CLAUDE, NO_COLOR="") == f"\x1b[2m{OFF}\x1b[0m"
    assert await printed(CLAUDE, NO_COLOR="1") == OFF
    assert OFF in await printed(big)


async def test_a_closed_standard_input_is_no_matter():
    program = f"exec {sys.executable} -m proxypal_core statusline <&-"
    process = await asyncio.create_subprocess_exec(
        "/bin/sh", "-c", program, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    out, err = await process.communicate()

    assert (process.returncode, out.decode().strip(), err) == (0, OFF, b"")


async def test_broken_settings_are_no_reason_to_shout(tmp_path):
    config = tmp_path / "config.yaml"
    config.write_text("nonsense: 1")

    assert await printed(PROXYPAL_CONFIG=str(config)) == OFF


async def test_a_wrong_key_and_another_program_at_the_port_are_nobody(tmp_path):
    async def other(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.0 200 OK\r\n\r\n{}")
        writer.close()

    config = tmp_path / "config.yaml"
    server = await asyncio.start_server(other, "127.0.0.1", 0)
    config.write_text(
        f"listen: {{port: {server.sockets[0].getsockname()[1]}}}\nadmin_key: some-key-x"
    )
    async with server:
        assert await printed(PROXYPAL_CONFIG=str(config)) == OFF
    config.write_text(f"listen: {{port: {free_port()}}}")
    async with daemon("--config", config):
        found = await printed(PROXYPAL_CONFIG=str(config), PROXYPAL_ADMIN_KEY="another-key")

    assert found == OFF
