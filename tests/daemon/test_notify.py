"""systemd is told how the daemon is, in its own words, and nobody is told when nobody asked."""

import asyncio
import socket
import sys
import time
from contextlib import suppress

import pytest

from proxypal_core.daemon.notify import NOBODY, Supervisor

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Unix sockets of datagrams")


@pytest.fixture
def listening(tmp_path):
    """A manager's socket, and what came in at it, a dict each."""
    path = tmp_path / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(path))
        manager.setblocking(False)

        def said():
            found = []
            with suppress(BlockingIOError):
                while True:
                    lines = manager.recv(4096).decode().splitlines()
                    found.append(dict(line.split("=", 1) for line in lines))
            return found

        yield str(path), said


def test_each_state_is_told_in_one_datagram(listening):
    path, said = listening
    supervisor = Supervisor(path)

    supervisor.ready("listens on http://x")
    supervisor.stopping("2 requests to finish")

    assert said() == [
        {"READY": "1", "STATUS": "listens on http://x"},
        {"STOPPING": "1", "STATUS": "2 requests to finish"},
    ]


def test_a_reload_says_when_it_began_by_the_machine_s_own_clock(listening):
    path, said = listening
    supervisor = Supervisor(path)

    before = time.monotonic_ns() // 1000
    supervisor.reloading()
    supervisor.ready()
    after = time.monotonic_ns() // 1000

    reloading, ready = said()
    assert reloading["RELOADING"] == "1"
    assert before <= int(reloading["MONOTONIC_USEC"]) <= after
    assert ready == {"READY": "1"}


async def test_the_watchdog_hears_twice_in_each_span(listening):
    path, said = listening
    slept = []

    async def sleep(seconds):
        slept.append(seconds)
        if len(slept) == 3:
            raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        await Supervisor(path, 30.0).watch(sleep)

    assert slept == [15.0] * 3
    assert said() == [{"WATCHDOG": "1"}] * 3


async def test_without_a_watchdog_nobody_is_fed(listening):
    path, said = listening

    await Supervisor(path).watch()

    assert said() == []


@pytest.mark.parametrize(
    ("environment", "found"),
    [
        ({}, NOBODY),
        ({"NOTIFY_SOCKET": "/run/n"}, Supervisor("/run/n")),
        ({"NOTIFY_SOCKET": "@n", "WATCHDOG_USEC": "30000000"}, Supervisor("@n", 30.0)),
        (
            {"NOTIFY_SOCKET": "/n", "WATCHDOG_USEC": "2", "WATCHDOG_PID": "7"},
            Supervisor("/n", 2e-6),
        ),
        ({"NOTIFY_SOCKET": "/n", "WATCHDOG_USEC": "2", "WATCHDOG_PID": "8"}, Supervisor("/n")),
        ({"NOTIFY_SOCKET": "/n", "WATCHDOG_USEC": "soon"}, Supervisor("/n")),
        ({"NOTIFY_SOCKET": "vsock:2:1", "WATCHDOG_USEC": "2"}, NOBODY),
    ],
)
def test_what_the_environment_says(environment, found):
    assert Supervisor.of(environment, 7) == found


@pytest.mark.skipif(sys.platform != "linux", reason="Linux's abstract sockets")
def test_an_abstract_address_is_understood():
    name = f"proxypal-test-{time.monotonic_ns()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(f"\0{name}")
        Supervisor(f"@{name}").ready("here")

        assert manager.recv(100) == b"READY=1\nSTATUS=here"


def test_a_manager_that_is_gone_changes_nothing(tmp_path):
    Supervisor(str(tmp_path / "gone")).ready("here")
    NOBODY.ready("here")
