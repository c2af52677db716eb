"""R10: a hundred thousand streams through one daemon that records, and nothing is left of them.

All client dialects to all provider dialects, most streamed; now and then a provider refuses, breaks
off in the middle, or is left by a client in the middle. The provider is a process of its own.
"""

import asyncio
import time

from tests.figures import Figure
from tests.gateway.asking import DIALECTS
from tests.reliability.client import connected
from tests.reliability.machine import provider_process
from tests.reliability.watched import leftovers, warm, watched

STREAMS = 100_000
SETTLED = 10_000
"""Streams after which a daemon has all it needs."""
CLIENTS = 16
GROWTH = 5.0
WORDS = 8
_PAIRS = tuple((client, target) for client in DIALECTS for target in DIALECTS)
_PLANS = ("text",) * 13 + ("refused", "cut", "left")
"""For each pair in turn; ``left`` is a stream that its client leaves. The number of pairs and that of
plans have a common divisor, so that each round of pairs begins one plan later.
"""
_WHOLE_EVERY = 5


async def measure_soak(
    streams=STREAMS, settled=SETTLED, *, clients=CLIENTS, growth=GROWTH, patience=10.0, fault=""
):
    """What *streams* leave behind; memory is compared with that after *settled* of them."""
    async with provider_process() as port, watched(port, fault=fault) as daemon:
        base = await warm(daemon, port)
        began = time.monotonic()
        surprises = await _streams(daemon, 0, settled, clients)
        then = (await daemon.reading()).rss
        surprises += await _streams(daemon, settled, streams, clients)
        rate = streams / (time.monotonic() - began)
        grown = (await daemon.reading()).rss - then
        left = await leftovers("R10", f"{streams} streams", daemon, base, port, patience)
    shown = "; ".join(dict.fromkeys(surprises))
    return [
        Figure(
            "R10",
            f"answers that were not what was due, of {streams} ({rate:.0f}/s)",
            f"{len(surprises)}" + (f": {shown[:200]}" if surprises else ""),
            "0",
            held=not surprises,
        ),
        Figure(
            "R10",
            f"memory after {streams} streams, more than after {settled}",
            f"{grown:.1f} MiB (of {then + grown:.0f})",
            f"< {growth:g} MiB",
            held=grown < growth,
        ),
        *left,
    ]


async def _streams(daemon, first, last, clients):
    """Play the streams of these numbers; what was not as it should be."""
    surprises = []
    numbers = iter(range(first, last))

    async def worker():
        client = None
        for number in numbers:
            if client is None or not client.open:
                client = await connected(daemon.url)
            async with asyncio.timeout(30):
                surprise = await _stream(client, number)
            if surprise:
                surprises.append(surprise)
        if client is not None:
            client.abort()

    async with asyncio.TaskGroup() as tasks:
        for _ in range(clients):
            tasks.create_task(worker())
    return surprises


async def _stream(client, number):
    """What was wrong with stream *number*, if anything was."""
    dialect, target = _PAIRS[number % len(_PAIRS)]
    plan = _PLANS[(number + number // len(_PAIRS)) % len(_PLANS)]
    stream = plan in ("cut", "left") or number % _WHOLE_EVERY != 0
    asked = {"left": "begun"}.get(plan, plan)
    ended = client.ask(dialect, f"p-{target}/m-{asked}-{WORDS}", stream=stream)
    if plan == "left":
        await client.begun
        client.abort()
        return ""
    answer = await ended
    due = {
        "text": answer.good,
        "refused": answer.status == 400,
        "cut": answer.status == 200 and answer.told,
    }
    return "" if due[plan] else f"{dialect} to {target}, {plan}: {answer}"
