"""Where time, chance and names come from."""

import asyncio
import os
import random
import time
from collections.abc import Awaitable, Callable

import msgspec

_chance = random.Random(os.urandom(32))  # noqa: S311 — ids are no secrets


def _sorted_id() -> str:
    """Nobody's but this request's, and after all earlier ones: an index of such ids grows at its end,
    as with UUIDs of version 7.
    """
    milliseconds = int(time.time() * 1000)  # noqa: TID251 — as below
    return (milliseconds << 80 | _chance.getrandbits(80)).to_bytes(16, "big").hex()


class Clock(msgspec.Struct, frozen=True):
    """The machine's own; tests bring another. ``demo_pace`` is in seconds from word to word, None for
    what the demo does by itself.
    """

    now: Callable[[], float] = time.time  # noqa: TID251 — the one place that reads it
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    jitter: Callable[[], float] = random.random
    new_id: Callable[[], str] = _sorted_id
    demo_pace: float | None = None
