"""R3: accounts fail, in every way there is, and no client notices while one of them is well.

An answer counts when it is, byte for byte, what the account that is well said. What a failed account
adds is measured beside requests in whose way none stood, in the same run.
"""

import asyncio
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from itertools import cycle
from statistics import median

import aiohttp

from proxypal_core.settings.parse import parse
from proxypal_core.wire import jsonio
from tests.fault_server import SCENARIOS, Answer, CutAfter, FaultServer, Refuse, Stall, Status, Step
from tests.fault_server.transcripts import DIALECTS as SPELLINGS
from tests.figures import Figure
from tests.gateway.asking import DIALECTS, question, read, upstream
from tests.proxy import HOST, Proxy, StoppedClock, proxy
from tests.running import free_port

KEYS = ("k1", "k2", "k3", "k4")
"""The last account is well. Three more may fail before the default of ``routing.max_attempts``."""
REFUSED = "connection refused"
SILENT = "silent before headers"
FAULTS: Mapping[str, Step] = {
    "429": Status(429),
    "500": Status(500),
    "529": Status(529),
    "closed unanswered": Refuse(),
    "cut before content": CutAfter(frames=0),
    SILENT: Stall(),
}
PATIENCE = 0.1
"""Seconds that the proxy gives a silent account, which are not its own doing and not counted."""
BOUND = 0.020
"""Seconds that a failed account may add, at the median."""
_MODEL = "m-1"


@dataclass
class Seen:
    """What became of the requests of one kind of fault. ``took`` is in seconds, by the dialect and
    the number of accounts that failed.
    """

    whole: int = 0
    lost: int = 0
    took: dict[tuple[str, int], list[float]] = field(default_factory=lambda: defaultdict(list))

    def added(self, each: float) -> float:
        """What one failed account adds at the median, at the worst, beside the *each* that is known."""
        return max(
            (median(took) - median(self.took[dialect, 0])) / failing - each
            for (dialect, failing), took in self.took.items()
            if failing
        )


async def failover(
    repeats: int = 12, burst: int = 16, dialects: Sequence[str] = DIALECTS
) -> list[Figure]:
    """Each fault, each dialect, 0 to 3 of 4 accounts failing: *repeats* requests one after another,
    each as if nothing had failed before, and *burst* at once.
    """
    seen: dict[str, Seen] = {}
    for fault in (*FAULTS, REFUSED):
        seen[fault] = Seen()
        for dialect in dialects:
            async with _world(fault, dialect) as world:
                for number in range(repeats):
                    for failing in range(len(KEYS)):
                        world.let_fail(failing)
                        await world.ask(seen[fault], failing, stream=number % 2 == 0)
                for failing in range(1, len(KEYS)):
                    world.let_fail(failing)
                    await world.ask_at_once(seen[fault], burst)
    whole, lost = (sum(getattr(one, name) for one in seen.values()) for name in ("whole", "lost"))
    added = {
        fault: one.added(PATIENCE if fault == SILENT else 0.0) * 1000 for fault, one in seen.items()
    }
    worst = max(added, key=lambda fault: added[fault])
    failing = [fault for fault, one in seen.items() if one.lost]
    return [
        Figure(
            "R3",
            f"answers that came whole, 1 to 3 of 4 accounts failing ({len(seen)} ways, {len(dialects)} dialects)",
            f"{whole:,} of {whole + lost:,}" + (f"; not: {', '.join(failing)}" if failing else ""),
            "all",
            held=lost == 0,
        ),
        Figure(
            "R3",
            "added by each failed account, median, the worst way",
            f"{added[worst]:.1f} ms ({worst})",
            f"< {BOUND * 1000:.0f} ms",
            held=added[worst] < BOUND * 1000,
        ),
    ]


class _World:
    """A proxy before four accounts."""

    def __init__(
        self, p: Proxy, server: FaultServer, clock: StoppedClock, dialect: str, fault: str
    ) -> None:
        self._proxy = p
        self._server = server
        self._clock = clock
        self._dialect = dialect
        self._fault = fault
        self._session = aiohttp.ClientSession()

    async def close(self) -> None:
        await self._session.close()

    def let_fail(self, failing: int) -> None:
        """Have the first *failing* accounts fail from now on, and nothing held against them yet."""
        if self._fault == REFUSED:
            chain = _chain(self._server, self._dialect, failing)
            self._proxy.reload(parse(chain, {}, host=HOST, port=0))
        else:
            for number, key in enumerate(KEYS):
                self._server.always(FAULTS[self._fault] if number < failing else Answer(), key=key)
        self._proxy.gateway.front.services.pool.reset()

    async def ask(self, seen: Seen, failing: int, *, stream: bool) -> None:
        began, ticked = time.perf_counter(), self._clock.at
        whole = await self._answered(stream=stream)
        took = (
            time.perf_counter() - began + self._clock.at - ticked
        )  # and what it would have waited
        seen.took[self._dialect, failing].append(took)
        _count(seen, whole=whole)

    async def ask_at_once(self, seen: Seen, many: int) -> None:
        streams = [stream for stream, _ in zip(cycle((True, False)), range(many), strict=False)]
        for whole in await asyncio.gather(*(self._answered(stream=one) for one in streams)):
            _count(seen, whole=whole)

    async def _answered(self, *, stream: bool) -> bool:
        """Whether the answer is what the account that is well said."""
        path, body = question(self._dialect, _MODEL, stream=stream)
        async with self._session.post(self._proxy.url + path, json=body) as answer:
            received, whole = await read(answer)
        return answer.status == 200 and whole and _is_said(self._dialect, received, stream=stream)


def _is_said(dialect: str, received: bytes, *, stream: bool) -> bool:
    spelling, scenario = SPELLINGS[dialect], SCENARIOS["text"]
    if stream:
        return received == b"".join(spelling.frames(scenario, _MODEL))
    return bool(jsonio.loads(received) == spelling.whole(scenario, _MODEL))


def _count(seen: Seen, *, whole: bool) -> None:
    seen.whole += whole
    seen.lost += not whole


@asynccontextmanager
async def _world(fault: str, dialect: str) -> AsyncIterator[_World]:
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(FaultServer())
        clock = StoppedClock()
        p = await stack.enter_async_context(proxy(_settings(server, dialect, fault), clock=clock))
        world = _World(p, server, clock, dialect, fault)
        stack.push_async_callback(world.close)
        yield world
        server.release()


def _settings(server: FaultServer, dialect: str, fault: str) -> str:
    if fault == REFUSED:
        return _chain(server, dialect, failing=0)
    extra = "routing: {strategy: fill_first}\n"
    if fault == SILENT:
        extra += f"timeouts: {{first_byte: {round(PATIENCE * 1000)}ms}}\n"
    return upstream(server, dialect, accounts=KEYS, extra=extra)


def _chain(server: FaultServer, dialect: str, failing: int) -> str:
    """Settings of *failing* providers that are not there, before one that is: the accounts of one
    provider share its address.
    """
    absent = [f"absent-{number}" for number in range(failing)]
    nowhere = f"http://127.0.0.1:{free_port()}"
    settings = {
        "providers": [
            *({"name": name, "dialect": dialect, "base_url": nowhere} for name in absent),
            {"name": "up", "dialect": dialect, "base_url": server.url(dialect)},
        ],
        "accounts": [{"id": f"{name}:k", "api_key": KEYS[-1]} for name in (*absent, "up")],
        "models": [{"name": _MODEL, "route": [f"{name}/{_MODEL}" for name in (*absent, "up")]}],
    }
    return jsonio.dumps_text(settings)
