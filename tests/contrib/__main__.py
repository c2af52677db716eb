"""``python -m tests.contrib``: the service under a real systemd, a user's own, in namespaces of its own.

For root, on a Linux with systemd's programs, which need not have been booted with systemd. Nothing
outside of the namespaces is touched but a folder in /tmp and a group of processes.
"""

import asyncio
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.daemon.manners import stream
from tests.running import free_port

SYSTEMD = "/usr/lib/systemd/systemd"
RUNTIME = Path("/run/user/0")
GROUP = Path("/sys/fs/cgroup/proxypal-tests")
UNIT = "proxypal.service"
PATIENCE = 30.0


def ran(*command: str, **options) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, text=True, check=False, **options)  # noqa: S603 — our own words


def sh(*command: str) -> str:
    done = ran(*command, capture_output=True)
    assert done.returncode == 0, f"{command}: {done.stderr}"
    return done.stdout.strip()


def proxypal(*arguments: str) -> str:
    return sh(sys.executable, "-m", "proxypal_core", *arguments)


def shown(name: str) -> str:
    return sh("systemctl", "--user", "show", UNIT, "-p", name, "--value")


def until(name: str, *wanted: str) -> str:
    """What *name* of the unit is, once it is one of *wanted*."""
    ends = time.monotonic() + PATIENCE
    while (found := shown(name)) not in wanted:
        assert time.monotonic() < ends, f"{name} is {found}, and not {wanted}"
        time.sleep(0.1)
    return found


def outside() -> int:
    with tempfile.TemporaryDirectory() as home:
        inside = [sys.executable, "-m", "tests.contrib", home]
        namespaces = ["--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]
        command = ["unshare", *namespaces, "--propagation", "private", *inside]
        # In a session of its own: systemd would stop at the terminal it shares with us.
        code = ran(*command, start_new_session=True, stdin=subprocess.DEVNULL).returncode
    for groups in Path("/sys/fs/cgroup").glob(f"**/{GROUP.name}"):
        for group in sorted(groups.glob("**/"), reverse=True):
            group.rmdir()
    return code


def inside(home: Path) -> None:
    sh("umount", "-R", "/sys/fs/cgroup")
    sh("mount", "-t", "cgroup2", "none", "/sys/fs/cgroup")
    sh("mount", "-t", "tmpfs", "tmpfs", "/run")
    Path("/run/systemd/system").mkdir(parents=True)  # what "booted with systemd" means
    RUNTIME.mkdir(parents=True, mode=0o700)
    GROUP.mkdir(exist_ok=True)
    (GROUP / "cgroup.procs").write_text(str(os.getpid()))
    for name in ("XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME", "PROXYPAL_CONFIG"):
        os.environ.pop(name, None)
    os.environ |= {"HOME": str(home), "XDG_RUNTIME_DIR": str(RUNTIME), "SYSTEMD_LOG_LEVEL": "err"}
    folder = home / ".config" / "proxypal"
    folder.mkdir(parents=True)
    (home / ".config" / "systemd" / "user").mkdir(parents=True)
    (folder / "config.yaml").write_text(
        f"listen: {{port: {free_port()}}}\nlogging: {{file: {home}/p.log}}\n"
    )
    with subprocess.Popen([SYSTEMD, "--user", "--unit=basic.target"]) as manager:  # noqa: S603
        while not (RUNTIME / "systemd" / "private").exists():
            time.sleep(0.1)
        exercise(home, folder / "config.yaml")
        manager.terminate()


def exercise(home: Path, config: Path) -> None:
    proxypal("service", "install")
    assert shown("ActiveState") == "active"
    url = shown("StatusText").removeprefix("listens on ")
    print(f"notify: started and ready, {url}")

    sh("systemctl", "--user", "reload", UNIT)
    ends = time.monotonic() + PATIENCE
    while "settings reloaded" not in (home / "p.log").read_text():
        assert time.monotonic() < ends
        time.sleep(0.1)
    assert shown("ActiveState") == "active"
    print("reload: settings read again, and active")

    quick = home / ".config" / "systemd" / "user" / f"{UNIT}.d"
    quick.mkdir()
    (quick / "quick.conf").write_text("[Service]\nWatchdogSec=2\n")
    sh("systemctl", "--user", "daemon-reload")
    sh("systemctl", "--user", "restart", UNIT)
    before = shown("MainPID")
    time.sleep(5)
    assert shown("MainPID") == before, "the watchdog was not fed"
    os.kill(int(before), signal.SIGSTOP)
    until("Result", "watchdog")
    until("NRestarts", "1")
    until("ActiveState", "active")
    print("watchdog: fed while it runs; one that stood still was started anew")

    os.kill(int(shown("MainPID")), signal.SIGKILL)
    until("NRestarts", "2")
    until("ActiveState", "active")
    print("restart: one that was killed was started anew")

    answer = asyncio.run(stopped(url))
    assert answer.complete, answer
    assert until("ActiveState", "inactive") == "inactive"
    assert (shown("Result"), shown("ExecMainStatus")) == ("success", "0")
    print("drain: an answer that had begun was finished before the end")

    config.write_text("nonsense: 1\n")
    failed = ran("systemctl", "--user", "start", UNIT, capture_output=True)
    time.sleep(3)
    assert failed.returncode
    assert (shown("ExecMainStatus"), shown("NRestarts")) == ("78", "0")
    print("bad settings: ended with 78, and was not tried again")
    config.write_text("")
    print(proxypal("service", "uninstall"))


async def stopped(url: str):
    answering = asyncio.ensure_future(stream(url, "anthropic", words=100))
    await asyncio.sleep(1.5)
    sh("systemctl", "--user", "stop", "--no-block", UNIT)
    await asyncio.sleep(0.5)
    assert (shown("SubState"), shown("StatusText")) == ("stop-sigterm", "requests to finish: 1")
    return await answering


if len(sys.argv) > 1:
    inside(Path(sys.argv[1]))
else:
    sys.exit(outside())
