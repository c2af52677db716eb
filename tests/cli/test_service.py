"""The service: what would be done is shown, what is done is undone, and the manager's word counts."""

import os
import plistlib
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from proxypal_core.cli import service as module
from proxypal_core.cli.main import main
from proxypal_core.daemon import units

pytestmark = pytest.mark.skipif(os.name != "posix", reason="Windows has a scheduled task instead")


class Machine:
    """A machine with a service manager that writes down what it is told."""

    def __init__(self, tmp_path, monkeypatch):
        self.home = tmp_path
        self.told = []
        self.codes = {}
        self.missing = set()
        monkeypatch.setattr(module.subprocess, "run", self._run)
        monkeypatch.setattr(module.shutil, "which", self._which)
        self._monkeypatch = monkeypatch

    def _run(self, command, **_):
        self.told.append(" ".join(command))
        return subprocess.CompletedProcess(command, self.codes.get(command[2], 0))

    def _which(self, name, **_):
        return None if name in self.missing else f"/usr/bin/{name}"

    def is_a(self, platform):
        self._monkeypatch.setattr(module.sys, "platform", platform)

    def run(self, *arguments, **environment):
        result = CliRunner(env=environment).invoke(main, ["service", *arguments])
        assert result.exception is None or isinstance(result.exception, SystemExit)
        return result

    @property
    def unit(self):
        return self.home / "config" / "systemd" / "user" / units.UNIT

    @property
    def agent(self):
        return self.home / "Library" / "LaunchAgents" / f"{units.LABEL}.plist"


@pytest.fixture
def machine(tmp_path, monkeypatch):
    machine = Machine(tmp_path, monkeypatch)
    machine.is_a("linux")
    return machine


def test_it_is_installed_and_taken_out_again(machine):
    installed = machine.run("install")
    unit = machine.unit.read_text()
    removed = machine.run("uninstall")

    assert (installed.exit_code, removed.exit_code) == (0, 0)
    assert f"Wrote {machine.unit}." in installed.output
    assert "loginctl enable-linger" in installed.output
    assert f"\nExecStart={Path(sys.executable).parent}/proxypal serve\n" in unit
    assert not machine.unit.exists()
    assert machine.told == [
        "systemctl --user daemon-reload",
        "systemctl --user enable proxypal.service",
        "systemctl --user restart proxypal.service",
        "systemctl --user disable --now proxypal.service",
        "systemctl --user daemon-reload",
    ]


def test_what_would_be_done_is_shown_and_not_done(machine):
    shown = machine.run("install", "--dry-run")

    assert shown.exit_code == 0
    assert str(machine.unit) in shown.output
    assert "Type=notify" in shown.output
    assert "systemctl --user restart proxypal.service" in shown.output
    assert machine.told == []
    assert not machine.unit.exists()


def test_what_would_be_taken_out_is_shown_and_not_done(machine):
    machine.run("install")
    machine.told.clear()

    shown = machine.run("uninstall", "--dry-run")

    assert f"rm {machine.unit}" in shown.output
    assert machine.told == []
    assert machine.unit.exists()


def test_the_service_finds_what_its_owner_s_shell_finds_and_is_given_no_secret(machine, tmp_path):
    config = tmp_path / "my own.yaml"
    config.write_text("strict: true")
    places = {"PATH": "/a b:/bin", "PROXYPAL_DATA_DIR": "/d%", "ANTHROPIC_API_KEY": "sk-canary"}

    machine.run("install", "--config", str(config), **places)

    unit = machine.unit.read_text()
    assert '\nEnvironment="PATH=/a b:/bin"\n' in unit
    assert "\nEnvironment=PROXYPAL_DATA_DIR=/d%%\n" in unit
    assert f'serve --config "{config}"\n' in unit
    assert "canary" not in unit


def test_bad_settings_are_not_installed(machine, tmp_path):
    config = tmp_path / "config.yaml"
    config.write_text("nonsense: 1")

    result = machine.run("install", "--config", str(config))

    assert result.exit_code == 78
    assert not machine.unit.exists()


def test_a_manager_that_refuses_is_quoted(machine):
    machine.codes["enable"] = 4

    result = machine.run("install")

    assert result.exit_code == 1
    assert "systemctl --user enable proxypal.service ended with 4." in result.output
    assert "systemctl --user restart proxypal.service" not in machine.told


def test_how_it_is_is_asked_of_the_manager(machine):
    absent = machine.run("status")
    machine.run("install")
    machine.codes["--no-pager"] = 3
    stopped = machine.run("status")
    machine.codes.clear()
    fine = machine.run("status")

    assert (absent.exit_code, stopped.exit_code, fine.exit_code) == (1, 1, 0)
    assert "proxypal service install" in absent.output
    assert machine.told[-1] == "systemctl --user --no-pager status proxypal.service"


@pytest.mark.parametrize(
    ("settings", "arguments", "command"),
    [
        ("", [], "journalctl --user --no-pager -u proxypal.service -n 100"),
        ("", ["-n", "5", "-f"], "journalctl --user --no-pager -u proxypal.service -n 5 -f"),
        ("logging: {file: /var/p.log}", ["-f"], "tail -n 100 -F /var/p.log"),
    ],
)
def test_the_logs_are_where_the_settings_send_them(machine, tmp_path, settings, arguments, command):
    config = tmp_path / "config.yaml"
    config.write_text(settings)

    machine.run("logs", "--config", str(config), *arguments)

    assert machine.told == [command]


def test_what_is_not_there_need_not_be_taken_out(machine):
    result = machine.run("uninstall")

    assert result.exit_code == 0
    assert "nothing to take out" in result.output
    assert machine.told == []


# ── elsewhere ────────────────────────────────────────────────────────────────────────────────


def test_on_macos_it_is_an_agent(machine):
    machine.is_a("darwin")

    first = machine.run("install")
    agent = plistlib.loads(machine.agent.read_bytes())
    again = machine.run("install")
    machine.run("status")
    machine.run("logs")
    machine.run("uninstall")

    domain = f"gui/{os.getuid()}"
    bootstrap = f"launchctl bootstrap {domain} {machine.agent}"
    bootout = f"launchctl bootout {domain}/{units.LABEL}"
    log = machine.home / "Library" / "Logs" / "proxypal.log"
    assert (first.exit_code, again.exit_code) == (0, 0)
    assert agent["Label"] == units.LABEL
    assert agent["ProgramArguments"][1:] == ["serve"]
    assert agent["EnvironmentVariables"]["PATH"] == os.environ["PATH"]
    assert machine.told == [
        bootstrap,
        bootout,
        bootstrap,
        f"launchctl print {domain}/{units.LABEL}",
        f"tail -n 100 {log}",
        bootout,
    ]
    assert not machine.agent.exists()


def test_on_windows_it_says_what_task_to_make(machine):
    machine.is_a("win32")

    result = machine.run("install")

    assert result.exit_code == 1
    assert "schtasks /Create /TN ProxyPal /SC ONLOGON" in result.output


def test_without_systemd_it_says_what_to_run(machine):
    machine.missing.add("systemctl")

    result = machine.run("install")

    assert result.exit_code == 1
    assert "There is no systemd here" in result.output
    assert "proxypal serve" in result.output


def test_a_link_that_outlives_an_upgrade_is_preferred(tmp_path, monkeypatch):
    real = tmp_path / "Cellar" / "1.0" / "bin"
    real.mkdir(parents=True)
    (real / "proxypal").write_text("")
    link = tmp_path / "proxypal"
    link.symlink_to(real / "proxypal")
    monkeypatch.setattr(module.sys, "executable", str(real / "python"))
    monkeypatch.setattr(module.shutil, "which", lambda _: str(link))
    linked = module.program()
    monkeypatch.setattr(module.shutil, "which", lambda _: "/usr/bin/another")
    own = module.program()
    (real / "proxypal").unlink()

    assert linked == [str(link)]
    assert own == [str(real / "proxypal")]
    assert module.program() == [str(real / "python"), "-m", "proxypal_core"]
