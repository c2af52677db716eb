"""R7 and R8: a thousand clients that do not read, and a thousand that read all they are given.

The provider and the probe of the daemon's loop are processes of their own.
"""

import asyncio
from contextlib import asynccontextmanager

from proxypal_core.daemon.limits import raise_file_limit
from tests.figures import Figure
from tests.gateway.asking import DIALECTS
from tests.reliability.client import connected, probing
from tests.reliability.machine import PACE, provider_process, tally
from tests.reliability.watched import NEXT, warm, watched

SAME = {dialect: dialect for dialect in DIALECTS}
WAYS = {"same dialect": SAME, "translated": NEXT}

STALLED = 1000
CYCLES = 4
STALLED_EACH = 0.2
"""MiB of memory a stalled reader may take, so 200 for the thousand."""
PLATEAU_GROWTH = 5.0
MUCH = 12_000
"""Pages of 4 KiB for a reader that does not read: more than all socket buffers on their way take."""
_SMALL_BUFFER = 4096
_CALM = 4
"""Looks in a row, 0.1 seconds apart, at which nothing has moved."""
_OPENING = 50
"""Clients that connect at a time; the daemon's backlog is 128."""

LIVE = 1000
LIVE_SECONDS = 15.0
LIVE_GROWTH = 60.0
LAG = 50.0
_GAP = 0.003
"""Seconds between two live clients, so that their words do not come all at the same moment."""


@asynccontextmanager
async def _watched(fault):
    raise_file_limit()
    async with provider_process() as port, watched(port, fault=fault) as daemon:
        yield port, daemon, (await warm(daemon, port)).rss


# ── R7 ───────────────────────────────────────────────────────────────────────────────────────


async def measure_stalled_readers(
    count=STALLED, cycles=CYCLES, ways=WAYS, *, pages=MUCH, growth=None, fault=""
):
    """What *count* readers that never read cost, in *cycles*; *growth* is the bound in MiB."""
    growth = count * STALLED_EACH if growth is None else growth
    figures = []
    for way, targets in ways.items():
        async with _watched(fault) as (port, daemon, base):
            rss = [await _stall(daemon, port, targets, count, pages) for _ in range(cycles)]
            left = await tally(port)
        figures += [
            Figure(
                "R7",
                f"memory for {count} stalled readers, {way}",
                f"{max(rss) - base:.1f} MiB ({', '.join(f'{each - base:.0f}' for each in rss)})",
                f"<= {growth:g} MiB",
                held=max(rss) - base <= growth,
            ),
            Figure(
                "R7",
                f"streams left after they hung up, {way}",
                str(left["answering"]),
                "0",
                held=left["answering"] == 0,
            ),
        ]
        if cycles > 1:
            grown = rss[-1] - rss[-2]
            figures.append(
                Figure(
                    "R7",
                    f"growth from cycle {cycles - 1} to {cycles}, {way}",
                    f"{grown:.1f} MiB",
                    f"< {PLATEAU_GROWTH:g} MiB",
                    held=grown < PLATEAU_GROWTH,
                )
            )
    return figures


async def _stall(daemon, port, targets, count, pages):
    """The daemon's memory, in MiB, when *count* clients stall and nothing moves any more."""
    known = (await tally(port))["requests"]
    clients = []
    gate = asyncio.Semaphore(_OPENING)

    async def one(number):
        dialect = DIALECTS[number % len(DIALECTS)]
        async with gate:
            client = await connected(daemon.url, reads=False, receive_buffer=_SMALL_BUFFER)
            client.ask(dialect, f"p-{targets[dialect]}/m-much-{pages}")
            clients.append(client)

    await asyncio.gather(*(one(number) for number in range(count)))
    await _stillness(daemon, port, known + count)
    stalled = (await daemon.reading()).rss
    for client in clients:
        client.abort()
    async with asyncio.timeout(60):
        while (await tally(port))["answering"]:  # noqa: ASYNC110 — another process
            await asyncio.sleep(0.1)
    return stalled


async def _stillness(daemon, port, requests):
    """Wait until so many *requests* have come to the provider, and nothing moves any more."""
    calm, before = 0, None
    while calm < _CALM:
        now = await tally(port)
        still = now == before and now["requests"] >= requests and daemon.sleeps
        calm, before = calm + 1 if still else 0, now
        await asyncio.sleep(0.1)


# ── R8 ───────────────────────────────────────────────────────────────────────────────────────


async def measure_live_streams(
    count=LIVE, seconds=LIVE_SECONDS, ways=WAYS, *, growth=LIVE_GROWTH, lag=LAG, fault=""
):
    """*count* streams of ten words a second, for *seconds* each after the last has begun."""
    figures = []
    for way, targets in ways.items():
        async with _watched(fault) as (_, daemon, base), probing(daemon.url) as probe:
            answers, most = await _live(daemon, targets, count, seconds, probe)
            slow = probe.worst(0.99)
        bad = sum(not answer.good for answer in answers)
        figures += [
            Figure("R8", f"errors in {count} live streams, {way}", str(bad), "0", held=bad == 0),
            Figure(
                "R8",
                f"memory for {count} live streams, {way}",
                f"{most - base:.1f} MiB",
                f"<= {growth:g} MiB",
                held=most - base <= growth,
            ),
            Figure(
                "R8",
                f"GET /health meanwhile, p99, {way}",
                f"{slow:.1f} ms",
                f"< {lag:g} ms",
                held=slow < lag,
            ),
        ]
    return figures


async def _live(daemon, targets, count, seconds, probe):
    """The answers, and the most memory that the daemon had, in MiB."""
    words = int((seconds + count * _GAP) / PACE)
    answers = []
    loop = asyncio.get_running_loop()
    began = loop.time()
    for number in range(count):
        dialect = DIALECTS[number % len(DIALECTS)]
        client = await connected(daemon.url)
        answers.append(client.ask(dialect, f"p-{targets[dialect]}/m-paced-{words}"))
        await asyncio.sleep(began + number * _GAP - loop.time())
    probe.reset()
    most = (await daemon.reading()).rss
    while not any(answer.done() for answer in answers):
        await asyncio.sleep(0.5)
        most = max(most, (await daemon.reading()).rss)
    return await asyncio.gather(*answers), most
