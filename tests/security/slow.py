"""S9: a thousand clients that send as slowly as they can are sent away, and nobody else notices."""

import asyncio
import contextlib
import random
import tempfile
import time
from itertools import cycle

import aiohttp

from tests.figures import Figure
from tests.gateway.asking import question
from tests.running import PROGRAM, daemon

PROMISE = "S9"
WITHIN = 15.0
HEALTHY = 0.2
"""Seconds in which 99 of 100 proper requests are answered meanwhile."""
_EVERY = 0.05
"""Seconds between two proper requests."""

_HEAD = (
    b"POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
)
WAYS = {  # what is sent at first, and then from time to time
    "nothing": (b"", b""),
    "half a head": (b"GET /v1/models HTTP/1.1\r\nHost: 127.0.0.1\r\nX", b""),
    "a head that dribbles": (_HEAD, b"X: y\r\n"),
    "half a body": (_HEAD + b'Content-Length: 100\r\n\r\n{"', b""),
    "a body that dribbles": (_HEAD + b'Content-Length: 100000\r\n\r\n{"a":"', b"x" * 10),
    "chunks that dribble": (_HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n"),
    "a packed body that dribbles": (
        _HEAD
        + b"Content-Encoding: gzip\r\nContent-Length: 100000\r\n\r\n\x1f\x8b\x08\0\0\0\0\0\0\3",
        b"",
    ),
}


async def measure(
    count: int = 1000, within: float = WITHIN, program: tuple[str, ...] = PROGRAM
) -> list[Figure]:
    """*count* slow clients against a daemon of their own; *within* is when all are to be gone."""
    with tempfile.TemporaryDirectory() as folder:
        places = {"PROXYPAL_DATA_DIR": folder, "PROXYPAL_STATE_DIR": folder}
        async with daemon(program=program, **places) as proxy:
            return await _attacked(proxy.url, count, within)


async def _attacked(url: str, count: int, within: float) -> list[Figure]:
    port = int(url.rpartition(":")[2])
    took: list[float] = []
    async with asyncio.TaskGroup() as tasks:
        healthy = tasks.create_task(_healthy(url, took))
        opening = [
            tasks.create_task(_slow(port, way, 2 * within, random.Random(at)))
            for at, way in zip(range(count), cycle(WAYS.values()), strict=False)
        ]
        lives = [await task for task in opening]
        healthy.cancel()
    ended = [life for life in lives if life is not None]
    last = max(ended, default=0.0)
    took.sort()
    p99 = took[int(0.99 * (len(took) - 1))] if took else float("inf")
    return [
        Figure(
            PROMISE,
            f"slow connections of {count} that were not closed",
            str(count - len(ended)),
            "0",
            held=len(ended) == count,
        ),
        Figure(
            PROMISE,
            "until the last was closed",
            f"{last:.1f} s",
            f"<= {within:g} s",
            held=bool(ended) and last <= within,
        ),
        Figure(
            PROMISE,
            f"proper requests meanwhile ({len(took)}), p99",
            f"{p99 * 1000:.0f} ms",
            f"< {HEALTHY * 1000:.0f} ms",
            held=p99 < HEALTHY,
        ),
    ]


async def _slow(
    port: int, way: tuple[bytes, bytes], patience: float, chance: random.Random
) -> float | None:
    """Seconds until the connection was closed; None if it was not in *patience* seconds."""
    first, later = way
    await asyncio.sleep(chance.random())
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    began = time.monotonic()
    dribbling = asyncio.ensure_future(_dribble(writer, first, later))
    try:
        async with asyncio.timeout(patience):
            with contextlib.suppress(ConnectionError):
                while await reader.read(65536):
                    pass
        return time.monotonic() - began
    except TimeoutError:
        return None
    finally:
        dribbling.cancel()
        writer.transport.abort()


async def _dribble(writer: asyncio.StreamWriter, first: bytes, later: bytes) -> None:
    writer.write(first)
    while later:
        await asyncio.sleep(1.0)
        writer.write(later)


async def _healthy(url: str, took: list[float]) -> None:
    """Ask a proper question again and again, each on a connection of its own, until cancelled. A
    failure took for ever.
    """
    path, body = question("openai-chat", "demo/echo", stream=False)
    while True:
        began = time.monotonic()
        connector = aiohttp.TCPConnector(force_close=True)
        try:
            async with (
                aiohttp.ClientSession(connector=connector) as session,
                session.post(url + path, json=body) as answer,
            ):
                await answer.read()
                good = answer.status == 200
        except aiohttp.ClientError:
            good = False
        took.append(time.monotonic() - began if good else float("inf"))
        await asyncio.sleep(_EVERY)
