"""Who has a port is read from Linux's own tables."""

import os
import socket
import sys

import pytest

from proxypal_core.daemon.port_owner import owner

LINE = (
    "   0: 0100007F:{port:04X} 00000000:0000 {state} 00000000:00000000 00:00000000 00000000"
    "  {uid}        0 {inode} 1 0000000000000000 100 0 0 10 0\n"
)


@pytest.fixture
def proc(tmp_path):
    """A /proc where process 12, nginx, listens on port 80, and somebody of user 33 on 81."""
    (tmp_path / "net").mkdir()
    rows = [
        LINE.format(port=80, state="01", uid=0, inode=4),
        LINE.format(port=80, state="0A", uid=0, inode=5),
        LINE.format(port=81, state="0A", uid=33, inode=6),
    ]
    (tmp_path / "net" / "tcp").write_text("head\n" + "".join(rows))
    for pid, name, inode in ((11, "curl", 4), (12, "nginx", 5)):
        fds = tmp_path / str(pid) / "fd"
        fds.mkdir(parents=True)
        (fds / "0").symlink_to("/dev/null")
        (fds / "7").symlink_to(f"socket:[{inode}]")
        (tmp_path / str(pid) / "comm").write_text(f"{name}\n")
    (tmp_path / "13").mkdir()
    return tmp_path


@pytest.mark.parametrize(
    ("port", "found"),
    [(80, "nginx (process 12)"), (81, "a program of the user 33"), (82, "")],
)
def test_it_is_called_as_well_as_it_can_be(proc, port, found):
    assert owner("127.0.0.1", port, proc) == found


def test_of_two_at_the_same_port_the_one_with_the_address_is_called(proc):
    row = LINE.format(port=80, state="0A", uid=33, inode=7)
    (proc / "net" / "tcp6").write_text(f"head\n{row}")

    assert owner("127.0.0.1", 80, proc) == "nginx (process 12)"
    assert owner("::1", 80, proc) == "a program of the user 33"


def test_where_there_are_no_tables_nobody_is_called(tmp_path):
    assert owner("127.0.0.1", 80, tmp_path) == ""


@pytest.mark.skipif(sys.platform != "linux", reason="there is no /proc")
@pytest.mark.parametrize(
    ("family", "host"), [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")]
)
def test_this_very_process_is_found(family, host):
    with socket.socket(family) as listening:
        try:
            listening.bind((host, 0))
        except OSError:
            pytest.skip(f"no {host} here")
        listening.listen()

        assert owner(*listening.getsockname()[:2]).endswith(f" (process {os.getpid()})")
