"""No secret gets out; and the search for them finds what it is meant to find."""

import base64
import subprocess
import sys
from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.running import PROGRAM
from tests.security import canaries
from tests.security.plugin import Watch
from tests.security.spellings import MARKS, found_in, spellings

ROOT = Path(__file__).parents[2]
SECRET = "k-0123+/4567:ä-abcdef"
# A daemon that shows each secret at the moment at which it is used, and then is proxypal.
TALKATIVE = """
import sys
from proxypal_core.accounts.account import Secret
reveal = Secret.reveal
def shown(self):
    print(reveal(self), file=sys.stderr, flush=True)
    return reveal(self)
Secret.reveal = shown
from proxypal_core.cli.main import main
main(prog_name="proxypal")
"""
# One that writes down what users said where it keeps its own files.
CURIOUS = """
import os, pathlib
from proxypal_core.wire import jsonio
loads = jsonio.loads
def kept(data):
    file = pathlib.Path(os.environ["TMPDIR"], "kept")
    with file.open("ab") as out:
        out.write(bytes(data) if not isinstance(data, str) else data.encode())
    return loads(data)
jsonio.loads = kept
from proxypal_core.cli.main import main
main(prog_name="proxypal")
"""


# ── the search ───────────────────────────────────────────────────────────────────────────────


@given(st.binary(max_size=8), st.binary(max_size=8), st.text(min_size=6, max_size=20))
def test_a_secret_is_found_in_base64_wherever_it_begins(before, after, secret):
    data = before + secret.encode() + after

    for encoded in (base64.b64encode(data), base64.urlsafe_b64encode(data)):
        assert found_in(encoded, spellings(secret))


@pytest.mark.parametrize(
    "shown",
    [SECRET.encode(), quote(SECRET, safe="").encode(), SECRET.encode().hex().encode()],
    ids=["raw", "in a URL", "in hexadecimal"],
)
def test_a_secret_is_found_as_it_may_be_written(shown):
    assert found_in(b"before " + shown + b" after", spellings(SECRET))
    assert not found_in(b"before " + shown[:-1], spellings(SECRET))


def test_the_mark_is_looked_for_without_being_told():
    assert found_in(b"sk-CANARY-1", MARKS)
    assert found_in(base64.b64encode(b"user:sk-CANARY-1"), MARKS)
    assert not found_in(b"nothing here", MARKS)


# ── the watch over the suite ─────────────────────────────────────────────────────────────────


@pytest.fixture
def watch():
    return Watch()


def test_a_secret_that_comes_in_two_pieces_is_heard(watch):
    watch.keep(SECRET)
    stream = object()

    watch.hear_part("answers", SECRET.encode()[:9], stream)
    watch.hear_part("answers", SECRET.encode()[9:], stream)

    assert len(watch.leaks) == 1


def test_a_plain_word_is_no_secret(watch):
    for word in ("secret", "000000000000", "abcabcabcabc"):
        watch.keep(word)

        watch.hear("logs", word.encode())

    assert watch.leaks == []


@pytest.mark.shows_secrets("files", "they are planted")
@pytest.mark.parametrize("name", ["state.db", "state.db-wal", "auth-profiles.vault.1", "x.log"])
def test_what_the_product_wrote_is_looked_through_and_what_a_test_wrote_is_not(
    watch, tmp_path, name
):
    (tmp_path / "config.yaml").write_text("api_key: sk-CANARY")
    assert watch.end(tmp_path) == []

    (tmp_path / name).write_text("sk-CANARY")

    assert len(watch.end(tmp_path)) == 1


def test_a_key_that_a_daemon_made_for_itself_is_a_secret_too(watch, tmp_path):
    (tmp_path / "admin.key").write_text("Zk3vQm7kTz0pWv9xRb3nLs\n")

    leaks = watch.end(tmp_path, [("Captured stderr call", "it is Zk3vQm7kTz0pWv9xRb3nLs")])

    assert len(leaks) == 1


def test_what_is_declared_is_not_held_against_a_test():
    watch = Watch(["answers"])

    watch.hear("answers", b"sk-CANARY")
    watch.hear("logs", b"sk-CANARY")

    assert len(watch.leaks) == 1


LEAKY = """
import logging
import click, pytest
from click.testing import CliRunner
from proxypal_core.accounts.account import Secret

def test_prints():
    print(Secret("Qm7kTz0pWv9xRb3nLs").reveal())

def test_logs():
    logging.getLogger("proxypal_core.x").debug("%s", "sk-CANARY")

def test_writes(tmp_path):
    (tmp_path / "state.db").write_text("pp-" + "3CYrHmomRzzEGE10tbcqDHus54qrU7zypcl2Otu2Bg")

def test_says():
    @click.command()
    def command():
        click.echo("sk-CANARY")
    CliRunner().invoke(command)

@pytest.mark.shows_secrets("printed", "this is what it is about")
def test_declares():
    print("sk-CANARY")

def test_keeps():
    print(Secret("Qm7kTz0pWv9xRb3nLs"))
"""


def test_a_test_that_lets_a_secret_out_fails(tmp_path):
    file = tmp_path / "test_leaky.py"
    file.write_text(LEAKY)

    done = subprocess.run(  # noqa: S603 — our own
        [sys.executable, "-m", "pytest", "-q", "-rE", "-p", "tests.security.plugin", str(file)],
        cwd=tmp_path,
        env={"PYTHONPATH": str(ROOT), "PATH": "", "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
        timeout=50,
    )

    assert "6 passed, 4 errors" in done.stdout, done.stdout
    for name in ("prints", "logs", "writes", "says"):
        assert f"ERROR test_leaky.py::test_{name}" in done.stdout


# ── the directed run ─────────────────────────────────────────────────────────────────────────


async def measured(program=PROGRAM, log=""):
    (figure,) = await canaries.measure(logs=(log,), program=program)
    return figure


async def test_a_daemon_with_everything_on_keeps_its_secrets_and_its_users_words():
    figure = await measured()

    assert figure.held, figure.measured


@pytest.mark.shows_secrets("printed", "the daemon is made to tell")
async def test_one_that_shows_a_secret_is_caught(monkeypatch):
    monkeypatch.setattr(canaries, "_everything", one_request)

    figure = await measured(("-c", TALKATIVE))

    assert figure.held is False


async def test_one_that_writes_down_what_users_said_is_caught(monkeypatch):
    monkeypatch.setattr(canaries, "_everything", one_request)

    figure = await measured(("-c", CURIOUS))

    assert figure.held is False


async def one_request(caller, server, issuer, pid):
    await caller.ask("anthropic", "up-anthropic/m-1")
