"""What a worker knows of its part: its name on the command line, its settings, the metrics of all."""

import os
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxypal_core.daemon.limits import memory_watch
from proxypal_core.daemon.worker import Worker, joined
from proxypal_core.settings.parse import parse
from proxypal_core.upstream.process_place import Home

numbers = st.integers(1, 64)
names = st.text("abc_", min_size=1, max_size=5)
samples = st.lists(
    st.one_of(
        st.builds("{} {}".format, names, st.integers(0, 9)),
        st.builds('{}{{a="{}"}} {}'.format, names, names, st.integers(0, 9)),
    ),
    max_size=4,
)


def text(families):
    return "".join(
        f"# HELP {name} what it is\n# TYPE {name} counter\n" + "".join(f"{one}\n" for one in lines)
        for name, lines in families.items()
    )


@given(numbers, numbers, st.text("abc:/@ ü", min_size=1))
def test_its_name_on_the_command_line_says_all(number, count, folder):
    worker = Worker(number, count, Path("/" + folder))

    assert Worker.read(str(worker)) == worker


@given(st.dictionaries(numbers, st.dictionaries(names, samples, max_size=3), max_size=3))
def test_no_sample_is_lost_and_a_family_s_lines_stand_together(by_worker):
    lines = joined((number, text(them)) for number, them in by_worker.items()).splitlines()

    told = [line for line in lines if not line.startswith("#")]
    assert len(told) == sum(len(one) for them in by_worker.values() for one in them.values())
    assert all('{worker="' in line for line in told)
    helps = [line for line in lines if line.startswith("# HELP")]
    assert sorted(helps) == sorted(set(helps))
    assert len(helps) == len({name for them in by_worker.values() for name in them})


def test_each_sample_says_whose_it_is():
    one = '# HELP n N.\n# TYPE n counter\nn 1\n# HELP m M.\n# TYPE m gauge\nm{a="b"} 2\n'
    two = "# HELP n N.\n# TYPE n counter\nn 3\n"

    assert joined([(1, one), (2, two), (3, "")]) == (
        '# HELP n N.\n# TYPE n counter\nn{worker="1"} 1\nn{worker="2"} 3\n'
        '# HELP m M.\n# TYPE m gauge\nm{worker="1",a="b"} 2\n'
    )


def test_alerts_are_the_first_worker_s_and_each_has_a_log_file():
    settings = parse(
        "alerts: {webhook: 'https://hooks.example/x'}\nlogging: {file: /var/log/p.log}\n", {}
    )
    first, second = (Worker(number, 2, Path("/tmp")).its(settings) for number in (1, 2))  # noqa: S108 — nothing is written

    assert str(first.alerts.webhook) == "https://hooks.example/x"
    assert str(second.alerts.webhook) == ""
    assert (first.logging.file, second.logging.file) == ("/var/log/p-1.log", "/var/log/p-2.log")
    assert settings.logging.file == "/var/log/p.log"


@pytest.mark.skipif(sys.platform != "linux", reason="workers are Linux's")
def test_what_another_worker_s_programs_use_is_not_swept_away(tmp_path):
    with subprocess.Popen([sys.executable, "-c", ""]) as dead:
        dead.wait()
    ours, theirs = os.getpid(), os.getppid()
    for maker in (f"{ours}-a", f"{theirs}-b", f"{dead.pid}-c", "old"):
        (tmp_path / "claude-cli" / f"run-{maker}").mkdir(parents=True)

    Home(tmp_path).sweep()
    left = [path.name for path in tmp_path.glob("*/*")]
    assert left == [f"run-{theirs}-b"]


@given(st.integers(1, 64))
def test_workers_divide_the_memory_that_they_have_together(count):
    with TemporaryDirectory() as folder:
        proc, groups = Path(folder, "proc"), Path(folder, "groups")
        proc.mkdir()
        groups.mkdir()
        (proc / "cgroup").write_text("0::/\n")
        (proc / "statm").write_text("0 100 0 0 0 0 0\n")  # pages
        page = os.sysconf("SC_PAGE_SIZE")
        (groups / "memory.max").write_text(str(count * 100 * page))
        short = memory_watch(proc, groups, processes=count)()
        (groups / "memory.max").write_text(str(count * 200 * page))

        assert short
        assert not memory_watch(proc, groups, processes=count)()
