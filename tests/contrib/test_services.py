"""What is there for service managers says what they understand, and what the program itself installs."""

import plistlib
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from proxypal_core.daemon import units
from proxypal_core.settings.parse import SettingsError, parse

ROOT = Path(__file__).parents[2]
CONTRIB = ROOT / "contrib"
USER = CONTRIB / "systemd" / "user" / units.UNIT
SYSTEM = CONTRIB / "systemd" / "system" / units.UNIT
PLIST = CONTRIB / "launchd" / f"{units.LABEL}.plist"
LOG = "/opt/homebrew/var/log/proxypal.log"
HOMEBREW_PATH = "/opt/homebrew/bin:/usr/local/bin:/usr/bin:/bin"

systemd = pytest.mark.skipif(
    not shutil.which("systemd-analyze"), reason="systemd-analyze is not here"
)
each_unit = pytest.mark.parametrize(
    ("unit", "manager", "exposure"), [(USER, "--user", 90), (SYSTEM, "--system", 15)]
)


def run(*command):
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)  # noqa: S603 — our own words


@pytest.fixture
def analyze(tmp_path, monkeypatch):
    """systemd-analyze on a unit; *program* stands for what it starts."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))

    def analyze(text, *arguments, program=""):
        unit = tmp_path / units.UNIT
        start = f"ExecStart={program}"
        unit.write_text(
            re.sub(r"^ExecStart=\S+", start, text, flags=re.MULTILINE) if program else text
        )
        return run("systemd-analyze", "--no-pager", *arguments, str(unit))

    return analyze


@systemd
@each_unit
def test_systemd_finds_nothing_wrong(analyze, unit, manager, exposure):
    found = analyze(unit.read_text(), manager, "verify", program=sys.executable)

    assert (found.returncode, found.stdout + found.stderr) == (0, "")


@systemd
@each_unit
def test_systemd_calls_it_no_more_exposed_than_it_has_to_be(analyze, unit, manager, exposure):
    found = analyze(
        unit.read_text(), manager, "security", "--offline=true", f"--threshold={exposure}"
    )

    assert found.returncode == 0, found.stdout


@pytest.mark.parametrize("unit", [USER, SYSTEM], ids=["user", "system"])
def test_a_unit_waits_longer_than_the_daemon_and_does_not_try_in_vain(unit):
    text = unit.read_text()

    assert "\nType=notify\n" in text
    assert "\nWatchdogSec=" in text
    assert "\nExecReload=/bin/kill -HUP $MAINPID\n" in text
    assert "\nTimeoutStopSec=45\n" in text
    assert "\nRestartPreventExitStatus=75 78\n" in text


def test_the_user_s_unit_is_the_one_that_is_installed():
    made = units.systemd_unit(["PROGRAM", "serve"], {})

    assert USER.read_text() == made.replace("PROGRAM", "%h/.local/bin/proxypal")


def test_the_agent_is_the_one_that_is_installed():
    program = "/opt/homebrew/bin/proxypal"
    made = units.launchd_agent([program, "serve"], {"PATH": HOMEBREW_PATH}, LOG)

    assert PLIST.read_bytes() == made
    assert plistlib.loads(made)["Label"] == units.LABEL


@systemd
@pytest.mark.parametrize("word", ["a b", "a$b", "50%h", "ü", "a;b"])
def test_whatever_a_path_is_called_systemd_reads_it_as_it_is(analyze, tmp_path, word):
    folder = tmp_path / word
    folder.mkdir()
    program = folder / "proxypal"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    text = units.systemd_unit([str(program), "serve"], {"PATH": str(folder)})

    found = analyze(text, "--user", "verify")
    program.unlink()
    other = analyze(text, "--user", "verify")

    assert (found.returncode, found.stderr) == (0, "")
    assert other.returncode == 1


# ── containers ───────────────────────────────────────────────────────────────────────────────


def test_the_image_s_settings_need_a_key_and_are_fine_with_one():
    text = (CONTRIB / "docker" / "config.yaml").read_text()

    with pytest.raises(SettingsError, match="CLIENT_KEY is not set"):
        parse(text, {})
    settings = parse(text, {"CLIENT_KEY": "a-long-client-key"})
    assert settings.listen.host == "0.0.0.0"
    assert [key.name for key in settings.client_keys] == ["container"]


def test_the_image_runs_as_nobody_in_particular_and_keeps_what_it_is_told():
    lines = (ROOT / "Dockerfile").read_text().splitlines()
    copied = [line.split()[-2] for line in lines if line.startswith("COPY contrib")]

    assert "USER 10001:10001" in lines
    assert "VOLUME /data" in lines
    assert any(line.startswith("HEALTHCHECK") for line in lines)
    assert [name for name in copied if not (ROOT / name).exists()] == []


def test_compose_shows_the_daemon_to_this_machine_alone():
    service = yaml.safe_load((CONTRIB / "docker" / "compose.yaml").read_text())["services"][
        "proxypal"
    ]

    assert service["ports"] == ["127.0.0.1:8317:8317"]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert int(service["stop_grace_period"].removesuffix("s")) > 30
    assert not any(
        value and "key" in value
        for value in service["environment"].values()
        if value and not value.startswith("${")
    )


@pytest.mark.skipif(not shutil.which("sh"), reason="there is no shell")
def test_the_install_script_is_one_and_says_how_it_is_used(tmp_path):
    script = CONTRIB / "install.sh"
    wrong = run("sh", str(script), "--nonsense")

    assert wrong.returncode == 1
    assert "--uninstall" in wrong.stderr
    assert list(tmp_path.iterdir()) == []
