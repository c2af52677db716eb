"""How long clients may keep us waiting, and how much is held of what they send and are sent."""

import socket

import msgspec

from proxypal_core.hub.failure import Failure, Kind, Refused

MIB = 1024 * 1024
_PRESSED = 16
SEND_BUFFER = 128 * 1024
"""Bytes that the kernel is asked to hold on their way to a client (Linux takes twice as many); left
alone, it holds megabytes.
"""
UNSENT = 16 * 1024
"""Bytes that it takes beyond what the client's window has room for (Linux's and macOS's
``TCP_NOTSENT_LOWAT``). Without this bound all of ``SEND_BUFFER`` is filled for a client that does not
read, and of a translated answer we keep as much again.
"""
_NOT_SENT: int | None = getattr(socket, "TCP_NOTSENT_LOWAT", None)


class Limits(msgspec.Struct, frozen=True):
    """Times in seconds, sizes in bytes.

    ``head`` is from a connection's beginning, or a later head's first byte, to the head's end. A body
    may take ``body_grace`` and a second more for every ``body_rate`` that has come (the rule of
    Apache's mod_reqtimeout). ``stalled`` is for a client that takes nothing of its answer.
    ``inflated`` is what a compressed body may have become when ``ratio`` begins to bound it.
    """

    head: float = 10.0
    body_grace: float = 10.0
    body_rate: int = 1024
    stalled: float = 300.0
    sweep: float = 1.0
    connections: int = 1024
    bodies: int = 512 * MIB
    inflated: int = 16 * MIB
    ratio: int = 50

    def inflated_from(self, size: int) -> int:
        """Bytes that a body of *size* may become."""
        return max(self.inflated, self.ratio * size)


class Room:
    """Room for the bodies of all requests together; a sixteenth of it while ``pressed`` says that
    memory runs short. A body that is alone is always taken: freed memory may stay with the process,
    and would otherwise keep everybody out for ever.
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self.held = 0
        self.pressed = False

    def check(self, size: int) -> None:
        """Refuse a body of *size* that there is no room for now.

        Raises:
            Refused: another moment may do.
        """
        most = self.most // _PRESSED if self.pressed else self.most
        if self.held and self.held + size > most:
            raise Refused(
                Failure(
                    Kind.OVERLOADED,
                    "the proxy holds as many requests as its memory allows; ask again in a moment",
                    retry_after=1.0,
                )
            )

    def take(self, size: int) -> None:
        """Count *size* as held until it is given back.

        Raises:
            Refused: as ``check``.
        """
        self.check(size)
        self.held += size

    def give_back(self, size: int) -> None:
        self.held -= size


def prepare_socket(connection: socket.socket) -> None:
    """Bound what the kernel holds for a client, and have it ask a silent one whether it is still there."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)
    if connection.family != getattr(socket, "AF_UNIX", None):  # Windows has none
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        if _NOT_SENT is not None:
            connection.setsockopt(socket.IPPROTO_TCP, _NOT_SENT, UNSENT)


WRONG_ENCODING = "this content-encoding is not read here; send gzip, deflate, zstd or none"
_ENCODINGS = frozenset({"", "identity", "gzip", "deflate", "zstd"})


def check_encoding(value: str) -> str:
    """The Content-Encoding that is to be undone; empty if there is none.

    Raises:
        Refused: it is not undone here.
    """
    if not value:
        return ""
    encoding = value.strip().lower()
    if encoding not in _ENCODINGS:
        raise Refused(Failure(Kind.MEDIA_TYPE, WRONG_ENCODING))
    return "" if encoding == "identity" else encoding
