"""``python -m tests.orphans [ROUNDS]``."""

import asyncio
import sys
import tempfile
from pathlib import Path

from tests.orphans import LEVELS, one_round

DEAF = 10
"""Every so many trees do not listen to SIGTERM."""


async def main(rounds: int) -> None:
    slowest = 0.0
    for number in range(1, rounds + 1):
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
            ended = await one_round(Path(folder), deaf=number % DEAF == 0)
            slowest = max(slowest, ended)
        if number % 10 == 0:
            print(f"{number} daemons killed, {LEVELS} processes each", flush=True)
    print(f"nothing was left; the slowest tree was gone after {slowest:.2f} s")


asyncio.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else 100))
