"""R12 and R13: connections that the provider has closed, and a process that may open no more."""

import asyncio
import os
import random
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Literal, TypeAlias

import aiohttp

from proxypal_core.wire import jsonio
from tests.fault_server import SCENARIOS
from tests.fault_server.transcripts import DIALECTS as SPELLINGS
from tests.figures import Figure
from tests.gateway.asking import question
from tests.proxy import proxy
from tests.running import daemon

# ── R12: connections that were kept, and are closed ──────────────────────────────────────────

Closing: TypeAlias = Literal["always", "at random"]
"""When a provider closes a kept connection just as the next request comes in on it."""
_MODEL = "m-1"
_DOCUMENT = SPELLINGS["openai-chat"].whole(SCENARIOS["text"], _MODEL)
_ANSWER = jsonio.dumps(_DOCUMENT)
_HEAD = (
    f"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {len(_ANSWER)}\r\n\r\n"
).encode()


class _Provider(asyncio.Protocol):
    """Answers the first request of a connection, and closes it, unanswered, at a later one: that is
    what it comes to when a server's idle time ends while a request is on its way.
    """

    def __init__(self, closing: Closing, chance: random.Random) -> None:
        self._closing = closing
        self._chance = chance
        self._answered = 0
        self._received = bytearray()
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        assert self._transport is not None
        self._received += data
        head, end, body = self._received.partition(b"\r\n\r\n")
        if not end or len(body) < _length(head):
            return
        self._received.clear()
        if self._answered and (self._closing == "always" or self._chance.random() < 0.5):
            self._transport.close()
            return
        self._answered += 1
        self._transport.write(_HEAD + _ANSWER)


def _length(head: bytes | bytearray) -> int:
    lines = bytes(head).lower().split(b"\r\n")
    return int(next(line[15:] for line in lines if line.startswith(b"content-length:")))


@asynccontextmanager
async def _provider(closing: Closing) -> AsyncIterator[str]:
    """Its base URL."""
    chance = random.Random(12)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: _Provider(closing, chance), "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"


async def stale_connections(posts: int = 2000, at_once: int = 16) -> list[Figure]:
    """*posts* to a provider that closes kept connections, one after another and *at_once*; and the
    same of aiohttp alone, which is what the proxy is made of.
    """
    figures = []
    for closing in ("always", "at random"):
        async with _provider(closing) as url:
            alone, _ = await _lost(url + "/chat/completions", posts, at_once=1)
        for together in (1, at_once):
            async with _provider(closing) as url, proxy(_settings(url)) as p:
                lost, again = await _lost(p.url + "/v1/chat/completions", posts, at_once=together)
            figures.append(
                Figure(
                    "R12",
                    f"requests lost to connections closed {closing}, {together} at a time",
                    f"{lost} of {posts:,}, {again} asked of the account again"
                    f" (aiohttp alone loses {alone:,})",
                    "0 and 0",
                    held=lost == again == 0 and alone > 0,
                )
            )
    return figures


def _settings(url: str) -> str:
    return (
        f"providers: [{{name: up, dialect: openai-chat, base_url: '{url}'}}]\n"
        "accounts: [{id: 'up:a', api_key: k, models: ['m-*']}]\n"
    )


async def _lost(url: str, posts: int, *, at_once: int) -> tuple[int, int]:
    """How many of *posts* got no answer, and how many the proxy took for a failure of the account."""
    _, body = question("openai-chat", _MODEL, stream=False)
    left = iter(range(posts))
    lost = again = 0

    async def client(session: aiohttp.ClientSession) -> None:
        nonlocal lost, again
        for _ in left:
            try:
                async with session.post(url, json=body) as answer:
                    whole = jsonio.loads(await answer.read()) == _DOCUMENT
            except aiohttp.ClientError:
                lost += 1
            else:
                lost += not whole
                again += int(answer.headers.get("x-proxypal-attempts", 1)) - 1

    async with aiohttp.ClientSession() as session, asyncio.TaskGroup() as clients:
        for _ in range(at_once):
            clients.create_task(client(session))
    return lost, again


# ── R13: no descriptor is left ───────────────────────────────────────────────────────────────

DESCRIPTORS = 64
RECOVERY, LINES, CPU = 3.0, 100, 0.25
"""Seconds, lines and the share of a core that are allowed."""
STARVED = f"""
import resource, sys
resource.setrlimit(resource.RLIMIT_NOFILE, ({DESCRIPTORS}, {DESCRIPTORS}))
{{also}}
from proxypal_core.__main__ import main
main()
"""
_TICKS = os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 100


async def descriptors(
    connections: int = 100, held: float = 10.0, *, program: str = STARVED.format(also="")
) -> list[Figure]:
    """A daemon that may have 64 files, and *connections* that are made and left open for *held*
    seconds.
    """
    if sys.platform != "linux":
        return [Figure("R13", "descriptors run out", "no /proc here", "", held=None)]
    async with daemon(program=("-c", program)) as started:
        pid, host = started.process.pid, started.url.removeprefix("http://").split(":")
        assert await _answers(started.url), "it never answered"
        before, spent, began = len(started.err.splitlines()), _cpu(pid), time.monotonic()
        writers = [
            writer
            for _, writer in await asyncio.gather(
                *(asyncio.open_connection(host[0], int(host[1])) for _ in range(connections))
            )
        ]
        await asyncio.sleep(held)
        share = (_cpu(pid) - spent) / (time.monotonic() - began)
        for writer in writers:
            writer.close()
        released = time.monotonic()
        while not await _answers(started.url):
            if time.monotonic() - released > 10 * RECOVERY:
                break
            await asyncio.sleep(0.02)
        recovered = time.monotonic() - released
        lines = len(started.err.splitlines()) - before
    what = f"{connections} connections to a daemon that may have {DESCRIPTORS} files"
    return [
        Figure(
            "R13",
            f"{what}: answers again after",
            f"{recovered:.1f} s",
            f"< {RECOVERY:.0f} s",
            held=recovered < RECOVERY,
        ),
        Figure(
            "R13",
            f"{what}: lines logged in {held:.0f} s",
            f"{lines:,}",
            f"< {LINES}",
            held=lines < LINES,
        ),
        Figure("R13", f"{what}: share of a core", f"{share:.0%}", f"< {CPU:.0%}", held=share < CPU),
    ]


async def _answers(url: str) -> bool:
    timeout = aiohttp.ClientTimeout(total=0.5)
    with suppress(aiohttp.ClientError, TimeoutError, OSError):
        async with aiohttp.ClientSession(timeout=timeout) as s, s.get(f"{url}/health") as answer:
            return answer.status == 200
    return False


def _cpu(pid: int) -> float:
    """Seconds of processor time that the process *pid* has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS
