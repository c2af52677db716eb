"""The limits that the system sets us, and what is made of them."""

import sys

import pytest

from proxypal_core.daemon import limits
from proxypal_core.daemon.run import NOWHERE, CannotStart, run
from proxypal_core.settings.schema import Listen, Settings, Tls

if sys.platform == "win32":
    pytest.skip("there are none", allow_module_level=True)

import resource


@pytest.mark.parametrize(
    ("files", "connections"),
    [
        (64, 16),
        (1024, 256),
        (20_000, limits.MOST_CONNECTIONS),
        (resource.RLIM_INFINITY, limits.MOST_CONNECTIONS),
        (2, 1),
    ],
)
def test_a_quarter_of_the_files_are_for_clients(monkeypatch, files, connections):
    monkeypatch.setattr(resource, "getrlimit", lambda which: (files, files))

    assert limits.most_connections() == connections


def test_where_infinite_is_refused_macos_own_limit_is_taken(monkeypatch):
    taken = []

    def setrlimit(which, wanted):
        if wanted[0] == resource.RLIM_INFINITY:
            raise ValueError("invalid argument")
        taken.append(wanted)

    infinite = resource.RLIM_INFINITY
    monkeypatch.setattr(resource, "getrlimit", lambda which: (256, infinite))
    monkeypatch.setattr(resource, "setrlimit", setrlimit)
    limits.raise_file_limit()

    assert taken == [(10_240, infinite)]


@pytest.fixture
def system(tmp_path):
    """Files as Linux has them, for a process that has 1,000 pages of memory."""
    proc, groups = tmp_path / "proc", tmp_path / "cgroup"
    (groups / "system" / "ours").mkdir(parents=True)
    proc.mkdir()
    (proc / "cgroup").write_text("0::/system/ours\n")
    (proc / "statm").write_text("9999 1000 99 9 0 9 0\n")
    return proc, groups


@pytest.mark.parametrize(
    ("inner", "outer", "limit"),
    [("max", "max", 0), ("500", "max", 500), ("500", "400", 400), ("max", "400", 400)],
)
def test_the_smallest_limit_around_us_holds(system, inner, outer, limit):
    proc, groups = system
    (groups / "system" / "ours" / "memory.max").write_text(f"{inner}\n")
    (groups / "system" / "memory.max").write_text(f"{outer}\n")

    assert limits.memory_limit(proc, groups) == limit


@pytest.mark.parametrize(("used", "short"), [(0.79, False), (0.81, True)])
def test_memory_runs_short_from_four_fifths_on(system, used, short):
    proc, groups = system
    most = int(limits.resident(proc) / used)
    (groups / "system" / "memory.max").write_text(f"{most}\n")

    assert limits.memory_watch(proc, groups)() is short


@pytest.mark.parametrize("lines", ["", "4:memory:/old\n", "0::/gone\n"])
def test_where_no_limit_is_said_there_is_none(system, lines):
    proc, groups = system
    (proc / "cgroup").write_text(lines)

    assert not limits.memory_watch(proc, groups)()


def test_where_there_are_no_control_groups_there_is_no_limit(tmp_path):
    assert not limits.memory_watch(tmp_path, tmp_path)()


def test_a_daemon_that_crashes_leaves_no_memory_in_a_core_file(monkeypatch):
    asked = {}
    monkeypatch.setattr(resource, "setrlimit", asked.__setitem__)
    settings = Settings(listen=Listen(tls=Tls(cert="/nowhere.pem", key="/nowhere.pem")))

    with pytest.raises(CannotStart):
        run(settings, admin_key="admin", place=NOWHERE, ready=print)

    assert asked[resource.RLIMIT_CORE] == (0, 0)
