"""S10: small things that grow, and things without end, from clients and from providers. Each gets the
status that it deserves, and hardly any memory.
"""

import asyncio
import contextlib
import tempfile
import zlib
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import asynccontextmanager
from functools import cache
from itertools import chain
from pathlib import Path
from typing import NamedTuple

import aiohttp
from backports import zstd

from tests.figures import Figure
from tests.running import PROGRAM, daemon

PROMISE = "S10"
MIB = 1024 * 1024
CUT = 0
"""In place of a status: the connection ended without one. Who still sends may lose the answer."""
GROWTH = 64 * MIB
"""Bytes of memory that no bomb may take."""
PATIENCE = 60.0


class Bomb(NamedTuple):
    """A request in pieces, or an answer, and the statuses that are right for it."""

    name: str
    pieces: Callable[[int], Iterator[bytes]]
    right: tuple[int, ...]


_PACKERS = {
    "gzip": lambda: zlib.compressobj(1, zlib.DEFLATED, 31),
    "deflate": lambda: zlib.compressobj(1),
    "zstd": zstd.ZstdCompressor,
}


@cache
def _packed(encoding: str, size: int) -> list[bytes]:
    """*size* MiB of JSON, packed, in pieces."""
    packer = _PACKERS[encoding]()
    pieces = [b'{"x":"', *[b"x" * MIB] * size, b'"}']
    packed = [packer.compress(piece) for piece in pieces]
    return [piece for piece in (*packed, packer.flush()) if piece]


# ── from clients ─────────────────────────────────────────────────────────────────────────────

_POST = (
    b"POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
)
_CHUNKED = b"Transfer-Encoding: chunked\r\n"


def _chunks(pieces: Iterable[bytes]) -> Iterator[bytes]:
    for piece in pieces:
        yield b"%x\r\n%s\r\n" % (len(piece), piece)
    yield b"0\r\n\r\n"


def _posted(encoding: str, *, chunked: bool) -> Bomb:
    def pieces(size: int) -> Iterator[bytes]:
        packed = _packed(encoding, size)
        head = _POST + b"Content-Encoding: %s\r\n" % encoding.encode()
        if chunked:
            yield head + _CHUNKED + b"\r\n"
            yield from _chunks(packed)
        else:
            yield head + b"Content-Length: %d\r\n\r\n" % sum(map(len, packed))
            yield from packed

    return Bomb(f"{encoding} body{' in chunks' if chunked else ''}", pieces, (413,))


def _deep(size: int) -> Iterator[bytes]:
    body = b'{"x":' + b"[" * (size * 20_000) + b"}"
    yield _POST + b"Content-Length: %d\r\n\r\n" % len(body)
    yield body


def _announced(size: int) -> Iterator[bytes]:
    size = max(size, 100)  # more than any body may have
    yield _POST + b"Content-Length: %d\r\n\r\n" % (size * MIB)
    for _ in range(size):
        yield bytes(MIB)


def _endless_line(size: int) -> Iterator[bytes]:
    yield b"GET /v1/models HTTP/1.1\r\nHost: 127.0.0.1\r\nX: "
    for _ in range(size):
        yield b"x" * MIB


def _many_headers(size: int) -> Iterator[bytes]:
    yield b"GET /v1/models HTTP/1.1\r\nHost: 127.0.0.1\r\n"
    for at in range(size * 100):
        yield b"".join(b"X-%d-%d: y\r\n" % (at, part) for part in range(100))
    yield b"\r\n"


_LONG = b"x" * (10 * MIB)
"""A string that is allowed, however little sense it makes."""


def _long_string(size: int) -> Iterator[bytes]:
    body = b'{"model":"none/m","metadata":{"model":"%s"}}' % _LONG
    yield _POST + b"Content-Length: %d\r\n\r\n" % len(body)
    yield body


def _long_model(size: int) -> Iterator[bytes]:
    body = b'{"messages":[],"model":"%s"}' % _LONG
    yield _POST + b"Content-Length: %d\r\n\r\n" % len(body)
    yield body


def _endless_chunk_size(size: int) -> Iterator[bytes]:
    yield _POST + _CHUNKED + b"\r\n2;"
    for _ in range(size):
        yield b"x" * MIB


FROM_CLIENTS = (
    *(_posted(encoding, chunked=chunked) for encoding in _PACKERS for chunked in (False, True)),
    Bomb("deep JSON", _deep, (400,)),
    Bomb("a body that is announced", _announced, (413, CUT)),
    Bomb("a header without end", _endless_line, (400, CUT)),
    Bomb("headers without end", _many_headers, (400, CUT)),
    Bomb("a long string", _long_string, (404,)),
    Bomb("a long model name", _long_model, (400, 404)),
    Bomb("a chunk size without end", _endless_chunk_size, (400, CUT)),
)

# ── from providers ───────────────────────────────────────────────────────────────────────────

_OK = b"HTTP/1.1 200 OK\r\nConnection: close\r\n"
_JSON = b"Content-Type: application/json\r\n"
_EVENTS = b"Content-Type: text/event-stream\r\n"


def _answered(encoding: str, kind: bytes) -> Callable[[int], Iterator[bytes]]:
    def pieces(size: int) -> Iterator[bytes]:
        yield _OK + kind + b"Content-Encoding: %s\r\n\r\n" % encoding.encode()
        yield from _packed(encoding, size)

    return pieces


def _without_end(head: bytes, piece: bytes) -> Callable[[int], Iterator[bytes]]:
    def pieces(size: int) -> Iterator[bytes]:
        yield head
        for _ in range(size):
            yield piece * (MIB // len(piece))

    return pieces


def _deep_answer(size: int) -> Iterator[bytes]:
    yield _OK + _JSON + b'\r\n{"choices":' + b"[" * (size * 20_000)


def _long_name(size: int) -> Iterator[bytes]:
    yield _OK + _JSON + b'\r\n{"choices":[],"model":"%s"}' % _LONG


FROM_PROVIDERS = (
    *(Bomb(f"{name} answer", _answered(name, _JSON), (502,)) for name in _PACKERS),
    Bomb("packed events", _answered("gzip", _EVENTS), (502,)),
    Bomb("a line without end", _without_end(_OK + _EVENTS + b"\r\ndata: ", b"x"), (502,)),
    Bomb("an answer header without end", _without_end(_OK + b"X: ", b"x"), (502,)),
    Bomb("answer headers without end", _without_end(_OK, b"X: yyyy\r\n"), (502,)),
    Bomb("deep JSON in an answer", _deep_answer, (502,)),
    Bomb("a long name in an answer", _long_name, (200, 502)),
)


# ── the measure ──────────────────────────────────────────────────────────────────────────────


async def measure(size: int = 500, program: tuple[str, ...] = PROGRAM) -> list[Figure]:
    """Every bomb, of *size* MiB when it has gone off, against a daemon of their own."""
    with tempfile.TemporaryDirectory() as folder:
        async with _providers(size) as port:
            config = Path(folder) / "config.yaml"
            config.write_text(_settings(port))
            places = {"PROXYPAL_DATA_DIR": folder, "PROXYPAL_STATE_DIR": folder}
            arguments = ("--config", config)
            async with daemon(*arguments, program=program, **places) as proxy:
                memory = Memory(proxy.process.pid)
                proxied = int(proxy.url.rpartition(":")[2])
                await _asked(proxied, "none")  # what is loaded late is not held against a bomb
                return [
                    *[await _client(proxied, bomb, size, memory) for bomb in FROM_CLIENTS],
                    *[await _provider(proxied, bomb, memory) for bomb in FROM_PROVIDERS],
                ]


class Memory:
    """The most memory that a process has had since it was asked last (proc_pid_clear_refs(5))."""

    def __init__(self, pid: int) -> None:
        self._proc = Path(f"/proc/{pid}")

    def reset(self) -> int:
        """Forget what was; bytes that it has now."""
        (self._proc / "clear_refs").write_text("5")
        return self.most()

    def most(self) -> int:
        for line in (self._proc / "status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
        return 0


def _figure(bomb: Bomb, status: int, grown: int) -> Figure:
    wanted = " or ".join(map(_shown, bomb.right))
    return Figure(
        PROMISE,
        bomb.name,
        f"{_shown(status)}, {grown / MIB:+.0f} MiB",
        f"{wanted}, < +{GROWTH // MIB} MiB",
        held=status in bomb.right and grown < GROWTH,
    )


def _shown(status: int) -> str:
    return str(status) if status else "cut"


async def _client(port: int, bomb: Bomb, size: int, memory: Memory) -> Figure:
    before = memory.reset()
    status = await _thrown(port, bomb.pieces(size))
    return _figure(bomb, status, memory.most() - before)


async def _thrown(port: int, pieces: Iterator[bytes]) -> int:
    """The status of the answer to a request in *pieces*; 0 if there is none."""
    first = next(pieces)  # packing takes time, and who is slow is cut
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    answer = asyncio.ensure_future(_status(reader))
    try:
        async with asyncio.timeout(PATIENCE):
            with contextlib.suppress(ConnectionError):
                for piece in chain([first], pieces):
                    writer.write(piece)
                    await writer.drain()
                    if answer.done():
                        break
            return await answer
    except TimeoutError:
        return 0
    finally:
        answer.cancel()
        writer.transport.abort()


async def _status(reader: asyncio.StreamReader) -> int:
    try:
        line = await reader.readline()
    except ConnectionError:
        return 0
    return int(line.split()[1]) if line else 0


async def _provider(port: int, bomb: Bomb, memory: Memory) -> Figure:
    before = memory.reset()
    status = await _asked(port, _slug(bomb))
    return _figure(bomb, status, memory.most() - before)


async def _asked(port: int, provider: str) -> int:
    """The status of a question to *provider*; of a stream that is broken off, 502."""
    body = {"model": f"{provider}/m", "messages": [{"role": "user", "content": "Hello?"}]}
    body["stream"] = any(word in provider for word in ("event", "line"))
    url = f"http://127.0.0.1:{port}/v1/chat/completions"
    timeout = aiohttp.ClientTimeout(total=PATIENCE)
    try:
        async with (
            aiohttp.ClientSession(timeout=timeout) as session,
            session.post(url, json=body) as answer,
        ):
            told = await answer.read()
            return 502 if answer.status == 200 and b'"error"' in told else answer.status
    except aiohttp.ClientPayloadError:
        return 502
    except TimeoutError:
        return 0


def _slug(bomb: Bomb) -> str:
    return bomb.name.lower().replace(" ", "-")


def _settings(port: int) -> str:
    names = [_slug(bomb) for bomb in FROM_PROVIDERS]
    providers = "".join(
        f"  - {{name: {name}, dialect: openai-chat, base_url: 'http://127.0.0.1:{port}/{name}/v1'}}\n"
        for name in names
    )
    accounts = "".join(f"  - {{id: '{name}:a', api_key: some-key}}\n" for name in names)
    return f"listen: {{port: 0}}\nproviders:\n{providers}accounts:\n{accounts}"


@asynccontextmanager
async def _providers(size: int) -> AsyncIterator[int]:
    """The port of a server that answers with the bomb that is named in the path."""
    bombs = {_slug(bomb): bomb for bomb in FROM_PROVIDERS}

    async def explode(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            for piece in bombs[head.split(b"/")[1].decode()].pieces(size):
                writer.write(piece)
                await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(explode, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
