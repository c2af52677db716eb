"""The daemon of this machine, found and asked with the standard library alone: to import an HTTP
client takes longer than most commands run.
"""

import errno
import re
import socket
from contextlib import closing
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from proxypal_core.settings.schema import Listen

if TYPE_CHECKING:
    import ssl  # slow to load, and most daemons listen without TLS

_ALL_INTERFACES = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}
_HEALTH_SECONDS = 2.0


class Answer(NamedTuple):
    """What a daemon of ours answered."""

    status: int
    body: bytes


def base_url(host: str, port: int, *, tls: bool) -> str:
    shown = f"[{host}]" if ":" in host else host
    return f"{'https' if tls else 'http'}://{shown}:{port}"


def reachable(listen: Listen) -> str:
    """The base URL at which this machine's own programs find a daemon that listens on *listen*."""
    return base_url(_host(listen), listen.port, tls=bool(listen.tls.cert))


def ask(
    listen: Listen, method: str, path: str, *, key: str, seconds: float, body: bytes = b""
) -> Answer | None:
    """What the daemon that listens on *listen* answers to *key*; *path* is written as URLs are, and
    *body* is JSON. None when nobody answers, or another program that has the port. Blocks for
    *seconds* at most between two pieces of the answer.
    """
    context = own(listen.tls.cert) if listen.tls.cert else None
    head = f"Authorization: Bearer {key}\r\n"
    if body:
        head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
    return _asked(listen, f"{method} {path}", head, body, seconds, context)


def is_proxypal(listen: Listen) -> bool:
    """Whether a daemon of ours answers at *listen*. Blocks for a few seconds at most."""
    # Only its name is asked for, so it does not matter whose certificate it shows.
    context = _anybody() if listen.tls.cert else None
    answer = _asked(listen, "GET /health", "", b"", _HEALTH_SECONDS, context)
    return answer is not None and b'"proxypal"' in answer.body


@cache
def own(cert: str) -> "ssl.SSLContext":
    """The certificate in the file *cert* alone, whatever names are in it: a daemon is called by its
    address here, and nobody else has the key. Usual authorities where *cert* is empty.

    Raises:
        OSError: *cert* cannot be used.
    """
    import ssl  # noqa: PLC0415 — as above

    if not cert:
        return ssl.create_default_context()
    text = Path(cert).expanduser().read_text(encoding="ascii", errors="replace")
    first = _CERTIFICATE.search(text)  # those behind it have signed others', too
    if first is None:
        raise OSError(errno.EINVAL, "no certificate in PEM", cert)
    context = ssl.create_default_context(cadata=first[0])
    context.check_hostname = False
    context.verify_flags = ssl.VERIFY_X509_PARTIAL_CHAIN  # it need not have signed itself
    return context


_CERTIFICATE = re.compile(r"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", re.DOTALL)


@cache
def trust(cert: str) -> "ssl.SSLContext":
    """The usual authorities, and the daemon's own certificate, which may be self-signed.

    Raises:
        OSError: *cert* cannot be used.
    """
    import ssl  # noqa: PLC0415 — as above

    context = ssl.create_default_context()
    if cert:
        context.load_verify_locations(Path(cert).expanduser())
    return context


def _anybody() -> "ssl.SSLContext":
    import ssl  # noqa: PLC0415 — as above

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _asked(
    listen: Listen,
    request: str,
    head: str,
    body: bytes,
    seconds: float,
    context: "ssl.SSLContext | None",
) -> Answer | None:
    """By HTTP/1.0, whose answers are whole when the connection ends (RFC 9112, 6.3)."""
    authority = reachable(listen).partition("//")[2]
    try:
        with closing(_connection(_host(listen), listen.port, seconds, context)) as connection:
            connection.sendall(
                f"{request} HTTP/1.0\r\nHost: {authority}\r\n{head}\r\n".encode() + body
            )
            answer = b"".join(iter(lambda: connection.recv(1 << 16), b""))
    except (OSError, UnicodeError):  # such as that of a name that is none
        return None
    return _read(answer)


def _connection(
    host: str, port: int, seconds: float, context: "ssl.SSLContext | None"
) -> socket.socket:
    plain = socket.create_connection((host, port), seconds)
    return context.wrap_socket(plain, server_hostname=host) if context else plain


def _read(answer: bytes) -> Answer | None:
    head, _, body = answer.partition(b"\r\n\r\n")
    status, *fields = head.split(b"\r\n")
    code = status.split()[1:2]
    ours = any(field.lower().replace(b" ", b"") == b"server:proxypal" for field in fields)
    return Answer(int(code[0]), body) if ours and code and code[0].isdigit() else None


def _host(listen: Listen) -> str:
    return _ALL_INTERFACES.get(listen.host, listen.host)
