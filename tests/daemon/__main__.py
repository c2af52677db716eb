"""``python -m tests.daemon``: what the tests do a few times, often."""

import asyncio
import random
import sys
import tempfile
import time
from pathlib import Path

from tests.daemon.manners import reloads_during_streams, starts_at_once, stopped_while_streaming

STARTS, RELOADS, STREAMS, STOPS = 20, 1000, 200, 200
AT_ONCE = 2


async def starts(folder: Path) -> None:
    codes = await starts_at_once(
        STARTS,
        PROXYPAL_DATA_DIR=str(folder / "data"),
        PROXYPAL_STATE_DIR=str(folder / "state"),
        PROXYPAL_CONFIG=str(settings(folder)),
    )
    assert sorted(codes) == [0, *[75] * (STARTS - 1)], codes
    print(f"{STARTS} starts at once: one served, {STARTS - 1} ended with 75")


async def reloads(folder: Path) -> None:
    answers = await reloads_during_streams(RELOADS, STREAMS, folder)
    broken = [one for one in answers if not one.complete]
    assert not broken, broken[:5]
    print(f"{RELOADS} reloads during {len(answers)} streams, {STREAMS} at a time: none broke")


async def stops(folder: Path) -> None:
    answers = []
    turns = asyncio.Semaphore(AT_ONCE)

    async def one(number: int) -> None:
        own = folder / str(number)
        own.mkdir()
        async with turns:
            answers.extend(await stopped_while_streaming(random.Random(number), own))

    await asyncio.gather(*map(one, range(STOPS)))
    silent = [one for one in answers if not one.complete and not one.explained]
    assert not silent, silent[:5]
    complete = sum(one.complete for one in answers)
    print(
        f"{STOPS} daemons stopped during {len(answers)} streams: {complete} answers complete,"
        f" {len(answers) - complete} ended with an error, none without a word"
    )


def settings(folder: Path) -> Path:
    file = folder / "config.yaml"
    file.write_text("listen: {port: 0}\n")
    return file


def main(names: list[str]) -> None:
    for act in (starts, reloads, stops):
        if names and act.__name__ not in names:
            continue
        began = time.monotonic()
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
            asyncio.run(act(Path(folder)))
        print(f"  in {time.monotonic() - began:.0f} s", flush=True)


main(sys.argv[1:])
