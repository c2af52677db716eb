"""The doctor finds what is wrong, says what to do, and leaves everything as it is."""

import os
import socket
from contextlib import contextmanager
from email.utils import formatdate

import pytest

from proxypal_core.cli import doctor as module
from proxypal_core.daemon.port_owner import owner
from proxypal_core.wire import jsonio
from tests.cli.home import KEY, Home
from tests.running import free_port

posix = pytest.mark.skipif(os.name != "posix", reason="modes and links are POSIX's")


@pytest.fixture
def home(tmp_path):
    home = Home(tmp_path)
    home.add("anthropic")
    return home


def findings(home, *arguments, **environment):
    result = home.program("doctor", "--json", *arguments, **environment)
    rows = jsonio.loads(result.stdout)["findings"]
    assert all(row["problem"] and row["remedy"] for row in rows)
    return result.exit_code, rows


@contextmanager
def listening(host, port=0):
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as listener:
        listener.bind((host, port))
        listener.listen()
        yield listener.getsockname()[1]


def test_a_sound_installation_has_no_findings(home):
    assert findings(home) == (0, [])
    assert "Nothing is wrong" in home.program("doctor").output


def test_a_finding_for_people_has_what_to_do_below_it(home):
    result = home.program("doctor", HTTPS_PROXY="http://127.0.0.1:9")

    assert result.exit_code == 2
    assert "warning: proxy: HTTPS_PROXY is set" in result.output
    assert "network.proxy" in result.output.splitlines()[1]


def test_wrong_settings_are_a_finding_of_each_mistake(home):
    home.configure("listen: {prot: 1}\nrouting: {strategy: best}")

    code, rows = findings(home)

    assert code == 1
    assert [row["topic"] for row in rows] == ["settings", "settings"]
    assert "prot" in rows[0]["problem"]


@posix
@pytest.mark.parametrize("what", ["data", "vault", "key"])
def test_what_others_can_read_is_found(home, what):
    path = {
        "data": home.data,
        "vault": home.vault,
        "key": home.root / "elsewhere" / "state" / "vault.key",
    }[what]
    path.chmod(0o755 if path.is_dir() else 0o640)

    code, rows = findings(home)

    assert code == 1
    assert f"chmod {'700' if path.is_dir() else '600'} {path}" in [row["remedy"] for row in rows]


@posix
def test_a_planted_link_is_found(home):
    (home.data / "state.db").symlink_to("/etc/passwd")

    code, rows = findings(home)

    assert code == 1
    assert "is a symbolic link" in rows[0]["problem"]


def test_another_program_on_our_port_is_found(home):
    with listening("127.0.0.1") as port:
        home.configure(f"listen: {{port: {port}}}")
        code, (row,) = findings(home)
        who = owner("127.0.0.1", port) or "another program"

    assert code == 1
    assert row["problem"] == f"{who} listens on 127.0.0.1:{port}"


def test_another_program_at_the_other_loopback_address_is_found(home):
    port = free_port()
    try:
        with listening("::1", port):
            home.configure(f"listen: {{port: {port}}}")
            code, (row,) = findings(home)
    except OSError:
        pytest.skip("there is no IPv6 here")

    assert code == 1
    assert f"localhost:{port}" in row["problem"]
    assert f"http://127.0.0.1:{port}" in row["remedy"]


def test_a_clock_that_was_set_back_is_found(home):
    ahead = home.vault.stat().st_mtime + 3600
    os.utime(home.vault, (ahead, ahead))

    code, (row,) = findings(home)

    assert code == 2
    assert "60 minutes" in row["problem"]


def test_a_damaged_vault_is_found(home):
    home.vault.write_bytes(b"PPAL")

    code, rows = findings(home)

    assert code == 1
    assert "vault" in {row["topic"] for row in rows}


def test_logins_that_ended_or_will_are_found(home):
    for name, length in (("soon", "1h"), ("gone", "0s")):
        home.run("paste-token", "groq", "--name", name, "--expires-in", length, stdin=KEY)

    code, rows = findings(home)

    assert code == 1
    assert [(row["level"], row["problem"]) for row in rows] == [
        ("warning", "groq:soon ends within a day"),
        ("error", "groq:gone is expired"),
    ]
    assert all("proxypal auth paste-token groq" in row["remedy"] for row in rows)


def test_no_account_is_a_warning(tmp_path):
    code, (row,) = findings(Home(tmp_path))

    assert code == 2
    assert "proxypal auth add-key" in row["remedy"]


def test_a_program_that_is_missing_is_found(home, tmp_path):
    path = tmp_path / ".codex" / "auth.json"
    path.parent.mkdir()
    path.write_text('{"tokens": {"access_token": "a.b.c"}}')
    path.chmod(0o600)
    home.run("link", "openai-codex")
    home.configure("backends: {claude-cli: {command: /nowhere/claude}}")

    _, rows = findings(home, PATH=str(tmp_path))

    problems = " ".join(row["problem"] for row in rows)
    assert "codex is not there" in problems
    assert "/nowhere/claude is not there" in problems


def test_a_provider_that_cannot_be_reached_is_found_when_asked_for(home):
    port = free_port()
    home.configure(
        f"providers: [{{name: mine, dialect: openai-chat, base_url: 'http://127.0.0.1:{port}/v1'}},"
        f" {{name: anthropic, dialect: anthropic, base_url: 'http://127.0.0.1:{port}'}}]"
    )
    home.add("mine")
    assert findings(home) == (0, [])

    code, rows = findings(home, "--network")

    assert code == 1
    assert {row["problem"].split()[0] for row in rows} == {"mine", "anthropic"}


@pytest.mark.parametrize(("off", "found"), [(0, False), (59, False), (-61, True), (3600, True)])
def test_a_clock_that_differs_from_a_providers_is_found(monkeypatch, off, found):
    now = 1_795_000_000.0
    monkeypatch.setattr(
        module.app, "Clock", lambda: type("C", (), {"now": staticmethod(lambda: now)})
    )

    finding = module._skew("mine", formatdate(now + off, usegmt=True))

    assert (finding is not None) is found


def test_a_provider_that_says_no_time_is_no_finding():
    assert module._skew("mine", "") is None
    assert module._skew("mine", "half past nine") is None


# ── the shared state ─────────────────────────────────────────────────────────────────────────


def test_a_shared_state_that_does_not_answer_is_found_and_its_password_is_not_shown(home):
    home.configure(f"state: {{backend: redis, url: 'redis://:hush-hush@127.0.0.1:{free_port()}'}}")

    code, rows = findings(home)

    [row] = [row for row in rows if row["topic"] == "state"]
    assert code == 2
    assert row["level"] == "warning"
    assert "hush" not in home.program("doctor").output


def test_a_shared_state_without_its_package_is_found(home, monkeypatch):
    monkeypatch.setattr("proxypal_core.app.sharing.find_spec", lambda name: None)
    home.configure("state: {backend: redis, url: 'redis://127.0.0.1'}")

    code, rows = findings(home)

    assert code == 1
    assert [row["level"] for row in rows if row["topic"] == "state"] == ["error"]
