"""A provider that costs little: four dialects, thousands of streams, and no library between them.

The model's name says what is wanted: ``m-PLAN-N`` plays ``PLAN``, of which ``N`` is the number of
words (of pages, where there is much) or, where the plan has none, a name of the request. The questions a proxy asks for a login
(``refresh_token=m-PLAN-N``) are treated alike. ``python -m tests.reliability.machine`` is one in a
process of its own; it prints its port, ``GET /tally`` says how it stands, and after ``GET /rest`` no
idle connection is left.
"""

import asyncio
import json
import re
import socket
import sys
from contextlib import asynccontextmanager
from functools import cache
from typing import NamedTuple

from proxypal_core.daemon.limits import raise_file_limit
from tests.fault_server.endpoints import dialect_of
from tests.fault_server.transcripts import DIALECTS as SPELLINGS
from tests.fault_server.transcripts import SCENARIOS
from tests.running import running

HOST = "127.0.0.1"
PACE = 0.1
"""Seconds between two words of a paced answer."""
PAGE = 4096
"""Bytes of text."""
SEND_BUFFER = 64 * 1024
"""Bytes that the kernel holds for each connection: left alone it takes megabytes, and a thousand that
stall have it drop the packets of others.
"""

_FIRST_WORDS = b"The lake is calm"
_ASKED = re.compile(rb"m-(?P<plan>[a-z]+)-(?P<number>\d+)")
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_STREAMED = re.compile(rb'"stream": ?true')
_REFUSAL = b'{"error":{"message":"not this one","type":"invalid_request_error"}}'


class Script(NamedTuple):
    """An answer in pieces, framed for HTTP: its head, its beginning up to the first text, that text
    once more, a page of it, and its end.
    """

    head: bytes
    opening: bytes
    word: bytes
    page: bytes
    closing: bytes


@cache
def script(dialect, *, streamed):
    scenario, spelling = SCENARIOS["text"], SPELLINGS[dialect]
    if not streamed:
        body = json.dumps(spelling.whole(scenario, "m")).encode()
        half = len(body) // 2
        first = head("200 OK", "application/json", len(body))
        return Script(first, body[:half], b"", b"", body[half:])
    frames = spelling.frames(scenario, "m")
    first = next(at for at, frame in enumerate(frames) if _FIRST_WORDS in frame)
    opening, closing = b"".join(frames[: first + 1]), b"".join(frames[first + 1 :])
    return Script(
        head("200 OK", "text/event-stream", None),
        chunk(opening),
        chunk(frames[first]),
        chunk(frames[first].replace(_FIRST_WORDS, _FIRST_WORDS * (PAGE // len(_FIRST_WORDS)))),
        chunk(closing) + b"0\r\n\r\n",
    )


def head(status, content_type, length):
    framing = "transfer-encoding: chunked" if length is None else f"content-length: {length}"
    return f"HTTP/1.1 {status}\r\ncontent-type: {content_type}\r\n{framing}\r\n\r\n".encode()


def chunk(data):
    return b"%x\r\n%b\r\n" % (len(data), data)


class Provider:
    """What all connections have in common."""

    def __init__(self):
        self.connections = set()
        self.answering = set()
        """Connections whose answer has not come to its end."""
        self.requests = 0
        self.sent = 0
        """Bytes."""
        self.port = 0
        self._asked = {}
        self._left = {}

    def asked(self, number):
        """A future that is done when request *number* has come; ask for it before."""
        return self._asked.setdefault(number, asyncio.get_running_loop().create_future())

    def left(self, number):
        """A future of the moment, by the loop's clock, at which the connection of request *number*
        was closed before the end of its answer.
        """
        return self._left.setdefault(number, asyncio.get_running_loop().create_future())

    def end_idle(self):
        """Close what a proxy keeps for its next requests."""
        for each in self.connections - self.answering:
            each._transport.close()

    def note_asked(self, number):
        self.requests += 1
        _tell(self._asked.pop(number, None), None)

    def note_left(self, number):
        _tell(self._left.pop(number, None), asyncio.get_running_loop().time())

    @property
    def tally(self):
        return {
            "connections": len(self.connections),
            "answering": len(self.answering),
            "requests": self.requests,
            "sent": self.sent,
        }


def _tell(future, result):
    if future is not None and not future.done():
        future.set_result(result)


class Conversation(asyncio.Protocol):
    """A connection of the proxy's."""

    def __init__(self, provider):
        self._provider = provider
        self._received = b""
        self._number = None
        self._script = None
        self._words = 0
        self._flooding = False
        self._paused = False
        self._tick = None
        self._due = 0.0

    def connection_made(self, transport):
        self._transport = transport
        connection = transport.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)
        self._provider.connections.add(self)

    def connection_lost(self, error):
        self._provider.connections.discard(self)
        if self._tick is not None:
            self._tick.cancel()
        self._flooding = False
        if self in self._provider.answering:
            self._provider.answering.discard(self)
            self._provider.note_left(self._number)

    def data_received(self, data):
        self._received += data
        first, gap, body = self._received.partition(b"\r\n\r\n")
        length = _LENGTH.search(first)
        if not gap or len(body) < (int(length[1]) if length else 0):
            return
        self._received = b""
        if first.startswith(b"GET "):
            told = json.dumps(self._provider.tally).encode()
            self._transport.write(head("200 OK", "application/json", len(told)) + told)
            self._transport.close()
            if first.startswith(b"GET /rest"):
                self._provider.end_idle()
        else:
            self._play(first, body)

    def pause_writing(self):
        self._paused = True

    def resume_writing(self):
        self._paused = False
        if self._flooding:
            self._flood()

    def _play(self, first, body):
        path = first.split(b" ", 2)[1].decode().partition("?")[0]
        asked = _ASKED.search(path.encode()) or _ASKED.search(body)
        streamed = path.endswith(":streamGenerateContent") or bool(_STREAMED.search(body))
        self._script = script(dialect_of(path, {}), streamed=streamed)
        self._number = self._words = int(asked["number"])
        self._provider.answering.add(self)
        self._provider.note_asked(self._number)
        _PLANS[asked["plan"].decode()](self)

    def _write(self, *pieces):
        data = b"".join(pieces)
        self._provider.sent += len(data)
        self._transport.write(data)

    def _end(self, *pieces):
        self._write(*pieces)
        self._provider.answering.discard(self)

    # ── the plans ────────────────────────────────────────────────────────────────────────────

    def _text(self):
        """All of it at once."""
        told = self._script
        self._end(told.head, told.opening, told.word * self._words, told.closing)

    def _paced(self):
        """Ten words a second."""
        self._write(self._script.head, self._script.opening)
        self._due = asyncio.get_running_loop().time()
        self._next_word()

    def _next_word(self):
        if not self._words:
            self._end(self._script.closing)
            return
        self._words -= 1
        # From when it was due: counted from now, streams that were late together would stay together.
        self._due += PACE
        self._tick = asyncio.get_running_loop().call_at(self._due, self._next_word)
        self._write(self._script.word)

    def _much(self):
        """Pages, as fast as they are taken."""
        self._flooding = True
        self._write(self._script.head, self._script.opening)
        self._flood()

    def _flood(self):
        while self._words and not self._paused:
            self._words -= 1
            self._write(self._script.page)
        if not self._words and self._flooding:
            self._flooding = False
            self._end(self._script.closing)

    def _mute(self):
        """Not even a status."""

    def _silent(self):
        """A status, and no more."""
        self._write(self._script.head)

    def _begun(self):
        """The first piece of text, and no more."""
        self._write(self._script.head, self._script.opening)

    def _cut(self):
        """Some text, and then the connection breaks."""
        told = self._script
        self._end(told.head, told.opening)
        self._transport.close()

    def _refused(self):
        """A status of 400."""
        self._end(head("400 Bad Request", "application/json", len(_REFUSAL)), _REFUSAL)


_PLANS = {
    "text": Conversation._text,
    "paced": Conversation._paced,
    "much": Conversation._much,
    "mute": Conversation._mute,
    "silent": Conversation._silent,
    "begun": Conversation._begun,
    "cut": Conversation._cut,
    "refused": Conversation._refused,
}


@asynccontextmanager
async def provider():
    """A Provider in this process, at its ``port``."""
    raise_file_limit()
    shared = Provider()
    server = await asyncio.get_running_loop().create_server(
        lambda: Conversation(shared), HOST, 0, backlog=1024
    )
    shared.port = server.sockets[0].getsockname()[1]
    try:
        yield shared
    finally:
        server.close()
        for each in list(shared.connections):
            each._transport.abort()


@asynccontextmanager
async def provider_process():
    """The port of a Provider in a process of its own."""
    async with running(program=("-m", "tests.reliability.machine")) as process:
        yield int((await process.says("port ")).split()[-1])


async def tally(port, path="/tally"):
    """How the Provider at *port* stands."""
    reader, writer = await asyncio.open_connection(HOST, port)
    writer.write(f"GET {path} HTTP/1.1\r\n\r\n".encode())
    told = await reader.read()
    writer.close()
    return json.loads(told.partition(b"\r\n\r\n")[2])


async def _serve():
    async with provider() as shared:
        print(f"port {shared.port}", file=sys.stderr, flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(_serve())
