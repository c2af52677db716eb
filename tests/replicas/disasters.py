"""What becomes of clients when a replica is killed, and when Redis hangs, is killed or forgets."""

import asyncio
import math
import random
import time

from tests.fault_server import Stall, Status
from tests.figures import Figure
from tests.replicas.installation import installation, percentile

ONCE = 0.300
"""Seconds by which requests may be later while it is not yet known that Redis is gone."""
THEN = 0.001
"""And once it is known."""
KNOWN = 3.0
"""Seconds until it is known."""


async def measure_killed_replica(streams=10):
    """A replica of three is killed while each streams."""
    async with installation() as made:
        made.provider.always(Stall(frames=2))
        asked = [
            asyncio.ensure_future(made.ask(replica, stream=True))
            for replica in made.replicas
            for _ in range(streams)
        ]
        await made.provider.until(lambda: made.provider.open_streams == len(asked))
        await asyncio.sleep(0.2)
        made.replicas[0].running.process.kill()
        await made.replicas[0].running.process.wait()
        while made.provider.open_streams:
            made.provider.release()
            await asyncio.sleep(0.05)
        answers = await asyncio.gather(*asked)
        lost = [answer.good for answer in answers].count(False)
        others = [answer.good for answer in answers[streams:]].count(False)
    return [
        Figure(
            "a replica killed",
            f"1 of 3 with {streams} streams each: streams lost; of the other replicas'",
            f"{lost}; {others}",
            f"{streams}; 0",
            held=lost == streams and others == 0,
        )
    ]


class Load:
    """Clients that each ask a replica and a daemon that shares nothing, one after the other in any
    order: what slows both down is the machine's doing.
    """

    def __init__(self, made, pace):
        self.made = made
        self._pace = pace
        self._pairs = []  # when they were asked, the replica's answer, the lone daemon's
        self._ended = asyncio.Event()

    async def run(self):
        half = len(self.made.replicas) // 2
        pairs = zip(self.made.replicas[:half], self.made.replicas[half:], strict=True)
        await asyncio.gather(*(self._client(*pair) for pair in pairs))

    def end(self):
        self._ended.set()

    async def _client(self, shared, alone):
        chance = random.Random(shared.url)
        while not self._ended.is_set():
            at, answers = time.perf_counter(), {}
            for replica in chance.sample((shared, alone), 2):
                answers[replica] = await self.made.ask(replica)
            self._pairs.append((at, answers[shared], answers[alone]))
            await asyncio.sleep(self._pace)

    def later(self, since, until):
        """How many seconds later answers of replicas came than the others: the median of all pairs,
        by how much chance may have moved that (two standard errors), and the 99th percentiles of both
        compared.
        """
        pairs = [
            (shared.took, alone.took) for at, shared, alone in self._pairs if since <= at < until
        ]
        later = [shared - alone for shared, alone in pairs]
        middle = percentile(later, 0.75) - percentile(later, 0.25)
        shared, alone = (percentile(each, 0.99) for each in zip(*pairs, strict=True))
        # https://en.wikipedia.org/wiki/Median#Efficiency, with the quartiles of a normal distribution
        chance = 2 * 1.253 * middle / 1.349 / math.sqrt(len(pairs))
        return percentile(later, 0.5), chance, shared - alone

    @property
    def answers(self):
        return [answer for _, *both in self._pairs for answer in both]


async def _hang(redis):
    redis.hang()


async def _go_on(redis):
    redis.go_on()


async def _kill(redis):
    redis.kill()


async def _start(redis):
    await asyncio.to_thread(redis.start)


async def _flush(redis):
    await asyncio.to_thread(redis.flush)


async def _nothing(redis):
    """Nothing happens: the difference that the measurement itself makes."""


def _below(value, chance, bound):
    """Whether *value* is below *bound*; None where it may be either, by *chance*."""
    if value + chance < bound:
        return True
    return False if value - chance >= bound else None


PHASES = (
    ("as usual", _nothing),
    ("it hangs (SIGSTOP)", _hang),
    ("it goes on", _go_on),
    ("it is killed", _kill),
    ("it is started again, empty", _start),
    ("it is flushed", _flush),
)


async def measure_redis(seconds=8.0, pace=0.01):
    """R17: everything that can befall Redis, one after the other, *seconds* each, under load."""
    figures = []
    async with installation(alone=3) as made:
        made.provider.script(Status(429, retry_after=3600), key="k1")
        for _ in range(6):
            await made.ask(made.replicas[0])
        load = Load(made, pace)
        running = asyncio.ensure_future(load.run())
        for what, act in PHASES:
            began = time.perf_counter()
            await act(made.redis)
            await asyncio.sleep(seconds)
            known = began + min(KNOWN, seconds / 2)
            *_, first = load.later(began, known)
            median, chance, then = load.later(known, time.perf_counter())
            figures += [
                Figure(
                    "Redis",
                    f"{what}: p99 beside that of daemons that share nothing, in the first"
                    f" {KNOWN:.0f} s; then",
                    f"{first * 1000:+.1f} ms; {then * 1000:+.1f} ms",
                    f"< {ONCE * 1000:.0f} ms",
                    held=first < ONCE,
                ),
                Figure(
                    "Redis",
                    f"{what}: then, an answer later than that of a daemon that shares nothing",
                    f"{median * 1000:+.2f} ± {chance * 1000:.2f} ms",
                    f"< {THEN * 1000:.0f} ms",
                    held=_below(median, chance, THEN),
                ),
            ]
        load.end()
        await running

        back = await made.until(made.together)
        rests = [await made.rests(replica) for replica in made.replicas[: made.many]]
    errors = [answer.good for answer in load.answers].count(False)
    figures.append(
        Figure(
            "Redis",
            "client errors in all of that",
            f"{errors} of {len(load.answers):,}",
            "0",
            held=errors == 0 and len(load.answers) > 0,
        )
    )
    figures.append(
        Figure(
            "Redis",
            "replicas that still know which account is limited, when all is over",
            f"{sum('up:k1' in each for each in rests)} of {len(rests)} ({back:.1f} s)",
            f"{len(rests)} of {len(rests)}",
            held=all("up:k1" in each for each in rests),
        )
    )
    return figures
