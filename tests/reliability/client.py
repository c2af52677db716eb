"""A client that costs little: one connection, one question after another, and no library between.

``python -m tests.reliability.client URL`` asks ``GET /health`` every 20 ms and prints how many
milliseconds each answer took, which is how long the daemon's loop lets others wait.
"""

import asyncio
import contextlib
import http.client
import json
import re
import socket
import sys
import time
from contextlib import asynccontextmanager
from typing import NamedTuple
from urllib.parse import urlsplit

from tests.gateway.asking import TERMINAL, question
from tests.running import running

PROBE_EVERY = 0.02

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_LAST_CHUNK = b"\r\n0\r\n\r\n"
_TAIL = 64


class Answer(NamedTuple):
    """``whole``: HTTP says that it is all; ``terminal``: so does the dialect."""

    status: int
    whole: bool
    terminal: bool

    @property
    def good(self):
        return self.status == 200 and self.whole and self.terminal

    @property
    def told(self):
        """Whether a client can tell that this is not an answer."""
        return self.status >= 400 or not self.whole


def request(dialect, model, *, stream=True, text="Hello?"):
    """The bytes of a small question."""
    path, body = question(dialect, model, stream=stream, text=text)
    data = json.dumps(body, separators=(",", ":")).encode()
    first = (
        f"POST {path} HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\n"
        f"content-length: {len(data)}\r\n\r\n"
    )
    return first.encode() + data


class Client(asyncio.Protocol):
    """One connection. ``begun`` is done at the first byte of an answer, ``ended`` is the answer."""

    def __init__(self):
        self.begun = self.ended = None
        self._transport = None

    def connection_made(self, transport):
        self._transport = transport

    def ask(self, dialect, model, *, stream=True, text="Hello?"):
        loop = asyncio.get_running_loop()
        self.begun, self.ended = loop.create_future(), loop.create_future()
        self._terminal_mark = TERMINAL[dialect] if stream else b"{"
        self._status, self._left, self._tail, self._terminal = 0, None, b"", False
        self._transport.write(request(dialect, model, stream=stream, text=text))
        return self.ended

    def data_received(self, data):
        if self.ended is None or self.ended.done():
            return
        if not self.begun.done():
            self.begun.set_result(None)
        seen = self._tail + data
        if not self._status:
            first, gap, rest = seen.partition(b"\r\n\r\n")
            if not gap:
                self._tail = seen
                return
            self._status = int(first[9:12])
            length = _LENGTH.search(first)
            self._left = int(length[1]) if length else None
            # The head's own line end is kept: a last chunk may follow it at once.
            seen, data = b"\r\n" + rest, rest
        self._terminal = self._terminal or self._terminal_mark in seen
        self._tail = seen[-_TAIL:]
        if self._left is not None:
            self._left -= len(data)
        if self._left == 0 or (self._left is None and seen.endswith(_LAST_CHUNK)):
            self._end(whole=True)

    def connection_lost(self, error):
        if self.ended is not None and not self.ended.done():
            self._end(whole=False)

    @property
    def open(self):
        return not self._transport.is_closing()

    def abort(self):
        """Hang up."""
        self._transport.abort()

    def _end(self, *, whole):
        if not self.begun.done():
            self.begun.set_result(None)
        self.ended.set_result(Answer(self._status, whole, self._terminal))


async def connected(url, *, reads=True, receive_buffer=0):
    """A Client of the daemon at *url*, whose socket holds *receive_buffer* bytes (0: the usual)."""
    address = urlsplit(url)
    connection = socket.socket()
    connection.setblocking(False)
    if receive_buffer:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    loop = asyncio.get_running_loop()
    await loop.sock_connect(connection, (address.hostname, address.port))
    transport, client = await loop.create_connection(Client, sock=connection)
    if not reads:
        transport.pause_reading()
    return client


# ── how long the daemon lets others wait ─────────────────────────────────────────────────────


class Lag:
    """``worst(share)`` is the milliseconds that *share* of the probes did not exceed."""

    def __init__(self, process):
        self._process = process
        self._from = 0

    def reset(self):
        """Forget what was seen so far."""
        self._from = len(self._process.out)

    def worst(self, share):
        seen = sorted(map(float, self._process.out[self._from :].split()))
        return quantile(seen, share) if seen else None


def quantile(ordered, share):
    """What *share* of the *ordered* values do not exceed."""
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


@asynccontextmanager
async def probing(url):
    """A Lag of the daemon at *url*, measured by a process of its own."""
    async with running(url, program=("-m", "tests.reliability.client")) as process:
        await process.says("probing")
        yield Lag(process)


def _probe(url):
    address = urlsplit(url)
    connection = http.client.HTTPConnection(address.hostname, address.port, timeout=30)
    print("probing", file=sys.stderr, flush=True)
    while True:
        began = time.perf_counter()
        connection.request("GET", "/health")
        connection.getresponse().read()
        took = time.perf_counter() - began
        print(f"{took * 1000:.2f}", flush=True)
        time.sleep(max(0.0, PROBE_EVERY - took))


if __name__ == "__main__":
    with contextlib.suppress(OSError, http.client.HTTPException):
        _probe(sys.argv[1])
