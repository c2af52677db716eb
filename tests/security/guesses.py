"""Wrong keys in their thousands: none is let in, and nobody with a right one is kept waiting."""

import asyncio
import statistics
import tempfile
import time
from collections import Counter
from pathlib import Path

import aiohttp

from tests.figures import Figure
from tests.proxy import ADMIN_KEY
from tests.running import daemon
from tests.security.policy import CLIENT_KEY, LOCKED


async def measure_guesses(count: int = 10_000, callers: int = 8) -> list[Figure]:
    """*count* wrong keys at a daemon, by some *callers* at once."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        config = folder / "config.yaml"
        config.write_text(f"listen: {{port: 0}}\n{LOCKED}")
        places = {
            "PROXYPAL_DATA_DIR": str(folder / "data"),
            "PROXYPAL_STATE_DIR": str(folder / "state"),
            "PROXYPAL_ADMIN_KEY": ADMIN_KEY,
        }
        async with daemon("--config", config, **places) as started:
            return await guessed(started.url, count, callers)


async def guessed(url: str, count: int, callers: int) -> list[Figure]:
    """Wrong keys at *url*, while its owner and a client go on using it."""
    statuses: Counter[int] = Counter()
    taken: list[float] = []
    turned_away = 0
    async with aiohttp.ClientSession() as session:

        async def status(path: str, key: str) -> int:
            headers = {"authorization": f"Bearer {key}"}
            async with session.get(url + path, headers=headers) as answer:
                await answer.read()
                return answer.status

        async def guess(first: int) -> None:
            for number in range(first, count, callers):
                path = ("/v1/models", "/api/keys")[number % 2]
                statuses[await status(path, f"guess-{number}")] += 1

        guessing = asyncio.gather(*(guess(first) for first in range(callers)))
        rights = (("/v1/models", CLIENT_KEY), ("/api/keys", ADMIN_KEY))
        while not guessing.done() or len(taken) < 20:
            path, key = rights[len(taken) % 2]
            began = time.perf_counter()
            turned_away += await status(path, key) != 200
            taken.append(time.perf_counter() - began)
            await asyncio.sleep(0.01)
        await guessing
    let_in = count - statuses[401] - statuses[429]
    p99 = statistics.quantiles(taken, n=100, method="inclusive")[98] * 1000
    return [
        Figure("S3", f"wrong keys let in, of {count}", f"{let_in}", "0", held=let_in == 0),
        Figure(
            "S3",
            f"right keys turned away meanwhile, of {len(taken)}",
            f"{turned_away}",
            "0",
            held=turned_away == 0,
        ),
        Figure(
            "S3",
            "wrong keys told to wait",
            f"{statuses[429]}",
            "> 80 %",
            held=statuses[429] > count * 0.8,
        ),
        Figure("S3", "p99 of a right key meanwhile", f"{p99:.1f} ms", "< 50 ms", held=p99 < 50),
    ]
