"""``python -m tests.fuzz``: run, say how far, stop at the first fault with the seed that shows it."""

import argparse
import random
import signal
import time

from tests.fuzz.targets import TARGETS

SLOW = 1.0
"""Seconds of work for one input; more is a hang."""


def main():
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz")
    parser.add_argument("--count", type=int, default=1_000_000, help="inputs in all")
    parser.add_argument("--seed", type=int, default=0, help="the first input's seed")
    options = parser.parse_args()
    signal.signal(signal.SIGVTALRM, _hang)
    begun = time.monotonic()
    for number in range(options.seed, options.seed + options.count):
        target = TARGETS[number % len(TARGETS)]
        try:
            signal.setitimer(signal.ITIMER_VIRTUAL, SLOW)
            target(random.Random(number))
            signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        except Exception:
            print(f"{target.__name__} failed: python -m tests.fuzz --seed {number} --count 1")
            raise
        if (number - options.seed + 1) % 50_000 == 0:
            print(
                f"{number - options.seed + 1} inputs, {time.monotonic() - begun:.0f} s", flush=True
            )
    print(f"{options.count} inputs, {time.monotonic() - begun:.0f} s: no fault")


def _hang(signum, frame):
    raise TimeoutError(f"more than {SLOW} s of work")


main()
