"""The daemon of this machine is asked by a few lines of HTTP/1.0."""

import socket
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxypal_core.daemon import reach
from proxypal_core.settings.schema import Listen
from tests.running import daemon, free_port


def answering(data):
    """The port at which whoever comes is told *data*, once, and what was asked."""
    server = socket.create_server(("127.0.0.1", 0))
    heard = []

    def answer():
        connection, _ = server.accept()
        with server, connection:
            heard.append(connection.recv(1 << 16))
            connection.sendall(data)

    thread = threading.Thread(target=answer, daemon=True)
    thread.start()
    return Listen(port=server.getsockname()[1]), heard


@given(st.binary())
def test_no_answer_of_another_program_is_more_than_none_or_an_answer(data):
    found = reach._read(data)

    assert found is None or isinstance(found.status, int)


@pytest.mark.parametrize(
    ("data", "found"),
    [
        (b"HTTP/1.1 200 OK\r\nServer: proxypal\r\n\r\n{}", reach.Answer(200, b"{}")),
        (b"HTTP/1.1 401 No\r\nserver:proxypal\r\nA: b\r\n\r\n", reach.Answer(401, b"")),
        (b"HTTP/1.1 200 OK\r\nServer: proxypal2\r\n\r\n{}", None),
        (b"HTTP/1.1 200 OK\r\n\r\nserver: proxypal", None),
        (b"HTTP/1.1\r\nServer: proxypal\r\n\r\n{}", None),
        (b"", None),
    ],
)
def test_only_a_daemon_of_ours_has_answered(data, found):
    listen, _ = answering(data)

    assert reach.ask(listen, "GET", "/api/state", key="k", seconds=5) == found


def test_what_is_asked_carries_the_key_and_the_body():
    listen, heard = answering(b"")
    reach.ask(listen, "POST", "/api/x?a=b", key="k", seconds=5, body=b'{"a":1}')
    head, _, body = heard[0].partition(b"\r\n\r\n")

    assert body == b'{"a":1}'
    assert head.split(b"\r\n") == [
        b"POST /api/x?a=b HTTP/1.0",
        b"Host: 127.0.0.1:%d" % listen.port,
        b"Authorization: Bearer k",
        b"Content-Type: application/json",
        b"Content-Length: 7",
    ]


@pytest.mark.parametrize("host", ["127.0.0.1", "not a host", "h" * 300])
def test_where_nobody_answers_there_is_none(host):
    assert reach.ask(Listen(host=host, port=free_port()), "GET", "/", key="", seconds=1) is None


async def test_a_daemon_is_told_from_another_program():
    other, _ = answering(b"HTTP/1.1 200 OK\r\n\r\n{}")

    async with daemon() as started:
        assert reach.is_proxypal(Listen(port=int(started.url.rpartition(":")[2])))
    assert not reach.is_proxypal(other)
