"""The daemon of this machine is asked by a few lines of HTTP/1.0."""

import socket
import ssl
import threading
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxypal_core.daemon import reach
from proxypal_core.settings.schema import Listen, Tls
from tests.certificate import SelfSigned, self_signed
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


# ── over TLS ─────────────────────────────────────────────────────────────────────────────────


def answering_over_tls(shown, expected, host="127.0.0.2"):
    """As ``answering``, with the certificate *shown*; the settings say *expected*."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(*shown)
    server = context.wrap_socket(socket.create_server((host, 0)), server_side=True)

    def answer():
        with suppress(OSError), server:
            connection, _ = server.accept()
            with connection:
                connection.recv(1 << 16)
                connection.sendall(
                    b'HTTP/1.1 200 OK\r\nserver: proxypal\r\n\r\n{"name": "proxypal"}'
                )

    threading.Thread(target=answer, daemon=True).start()
    return Listen(host=host, port=server.getsockname()[1], tls=Tls(**expected._asdict()))


@pytest.fixture
def certificates(tmp_path):
    """Two of the same names, of which the address that is connected to is none."""
    folders = [tmp_path / name for name in ("one", "other")]
    for folder in folders:
        folder.mkdir()
    return [self_signed(folder) for folder in folders]


def test_the_daemons_own_certificate_is_enough_whatever_names_are_in_it(certificates):
    listen = answering_over_tls(certificates[0], certificates[0])

    found = reach.ask(listen, "GET", "/health", key="k", seconds=5)

    assert found is not None
    assert found.status == 200


def test_another_certificate_gets_no_key(certificates):
    listen = answering_over_tls(certificates[1], certificates[0])

    assert reach.ask(listen, "GET", "/health", key="k", seconds=5) is None


def test_who_stands_behind_it_in_the_file_gets_no_key(certificates, tmp_path):
    one, authority = certificates
    chain = tmp_path / "chain.pem"
    chain.write_text(Path(one.cert).read_text() + Path(authority.cert).read_text())
    listen = answering_over_tls(authority, SelfSigned(str(chain), one.key))

    assert reach.ask(listen, "GET", "/health", key="k", seconds=5) is None


def test_a_file_without_a_certificate_is_none(tmp_path):
    (tmp_path / "cert.pem").write_text("nothing")

    with pytest.raises(OSError, match="no certificate"):
        reach.own(str(tmp_path / "cert.pem"))
