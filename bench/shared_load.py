"""What replicas ask of their Redis: the real exchanges of some, in a Redis in which a thousand were.

Each replica tells in a second what it would have to tell under one of ``LOADS``, and hears what is
new. The server says itself how much of a processor it used, and how many bytes it read and wrote.
"""

import asyncio
import shutil
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from redis.asyncio import Redis as Client
from redis.exceptions import ConnectionError  # noqa: A004 — the server's, which is none of OSError's

from bench.processes import Failed, Process, stopped
from bench.rig import LOAD_CORE
from bench.targets import Unavailable
from proxypal_core.accounts.health import Health
from proxypal_core.accounts.shared_ledger import Used
from proxypal_core.shared.redis import Redis
from proxypal_core.shared.state import Known, Report, Unreachable, held

REPLICAS = (10, 100, 1000)
SAMPLE = 20
"""Replicas whose exchanges are measured; all must have theirs within the seconds that they count."""
SECONDS = 10
_AT_ONCE = 8
_TRIES = 200
_TENANT = "bench"
_PREFIX = f"pp:{{{_TENANT}}}:"
"""What all keys begin with (proxypal_core/shared/redis.py)."""
_USAGE = ("requests", "input", "output", "cache_read", "usd")


@dataclass(frozen=True)
class Load:
    """Of one replica: requests a second, each of so many seconds; and what all have in common."""

    requests: int
    lasts: int
    accounts: int
    keys: int


LOADS = (Load(2, 10, 10, 20), Load(20, 10, 50, 100))


@dataclass(frozen=True)
class Row:
    """Of so many ``replicas``: microseconds of a processor an exchange takes the server, and its
    bytes; milliseconds of one that it takes to have all know of an account that rests.
    """

    load: Load
    replicas: int
    exchange_us: float
    told_bytes: float
    heard_bytes: float
    rest_ms: float

    @property
    def core(self) -> float:
        """The part of a core that the server needs for an exchange a second of each."""
        return self.replicas * self.exchange_us / 1e6


@dataclass
class _Replica:
    name: str
    redis: Redis
    load: Load
    number: int = 0
    known: Known = field(default_factory=Known)

    async def exchange(self, *, rests: bool = False) -> None:
        self.number += 1
        report = self.report(rests=rests)
        for _ in range(_TRIES):  # on a busy machine the server may take longer than a replica waits
            with suppress(Unreachable):
                self.known = (await self.redis.exchange(report)).known
                return
        raise Failed("redis-server does not answer")

    def report(self, *, rests: bool) -> Report:
        load = self.load
        first = hash(self.name) + self.number
        accounts = [f"anthropic:{(first + n) % load.accounts}" for n in range(load.requests)]
        flying = load.requests * load.lasts // load.accounts
        now = time.time()  # noqa: TID251 — a real server's clock is asked, too
        tired = Health(reason="rate_limit", failed_at=now, rests_until=now + 60)
        return Report(
            replica=self.name,
            number=self.number,
            known=self.known,
            used={
                f"key-{(first + n) % load.keys}": Used(1, 1500, 0.01, 1.0)
                for n in range(load.requests)
            },
            in_flight={f"anthropic:{n}": flying + self.number % 2 for n in range(load.accounts)},
            day="20260101",
            usage={f"{account}\n{what}": 1.0 for account in accounts for what in _USAGE},
            rests={held(accounts[0], ""): tired} if rests else {},
        )


async def measured() -> list[Row]:
    """A row for each load and number of replicas, on a server of its own.

    Raises:
        Unavailable: there is no server.
    """
    return [await _measured(load, count) for load in LOADS for count in REPLICAS]


def table(rows: Sequence[Row]) -> str:
    """*rows* as Markdown."""
    lines = [
        "| replicas | requests/s | exchanges/s | an exchange | a core | in | out | a rest, to all |",
        "|---|---|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {row.replicas:,} | {row.replicas * row.load.requests:,} | {row.replicas:,} |"
        f" {row.exchange_us:.0f} µs | {row.core:.1%} | {_megabits(row, row.told_bytes)} |"
        f" {_megabits(row, row.heard_bytes)} | {row.rest_ms:.0f} ms |"
        for row in rows
    ]
    return "\n".join(lines)


def _megabits(row: Row, size: float) -> str:
    return f"{row.replicas * size * 8 / 1e6:.1f} Mbit/s"


async def _measured(load: Load, count: int) -> Row:
    async with _server() as (url, client):
        await _fill(client, load, count)
        sample = min(count, SAMPLE)
        replicas = [_Replica(f"r{n}", Redis(url, _TENANT, f"r{n}"), load) for n in range(sample)]
        await _all(replicas)  # what the first of all exchanges brings is not counted
        before = await _so_far(client)
        for _ in range(SECONDS):
            await _all(replicas)
        between = await _so_far(client)
        for _ in range(SECONDS):
            await replicas[0].exchange(rests=True)
            await _all(replicas)
        after = await _so_far(client)
        for replica in replicas:
            await replica.redis.close()
    many = SECONDS * sample
    used, told, heard = ((b - a) / many for a, b in zip(before, between, strict=True))
    return Row(load, count, used, told, heard, (after[0] - between[0]) / many * count / 1e3)


async def _fill(client: Client, load: Load, count: int) -> None:
    """Have *count* replicas be there, that were busy for a minute."""
    now = int(time.time())  # noqa: TID251 — as above
    # They count for an hour, though only some of them go on.
    await client.zadd(f"{_PREFIX}replicas", {f"r{n}": now + 3600 for n in range(count)})
    flying = load.requests * load.lasts // load.accounts
    for n in range(load.accounts):
        await client.hset(f"{_PREFIX}in_flight", f"anthropic:{n}", str(flying * count))
    for n in range(load.keys):
        for name in ("requests", "tokens"):
            taken = {str(now - second): "20" for second in range(60)}
            await client.hset(f"{_PREFIX}{name}:key-{n}", mapping=taken)


async def _all(replicas: Sequence[_Replica]) -> None:
    """One exchange of each, a few at a time."""
    waiting = iter(replicas)

    async def some() -> None:
        for replica in waiting:
            await replica.exchange()

    await asyncio.gather(*(some() for _ in range(_AT_ONCE)))


async def _so_far(client: Client) -> tuple[float, float, float]:
    """Microseconds of a processor that the server had, and bytes that it has read and written."""
    used, traffic = await client.info("cpu"), await client.info("stats")
    microseconds = (used["used_cpu_user"] + used["used_cpu_sys"]) * 1e6
    return microseconds, traffic["total_net_input_bytes"], traffic["total_net_output_bytes"]


@asynccontextmanager
async def _server() -> AsyncIterator[tuple[str, Client]]:
    with (
        tempfile.TemporaryDirectory(prefix="bench-redis-") as name,
        stopped(Process(command(name), core=LOAD_CORE, realtime=False, folder=Path(name))),
    ):
        url = address(name)
        async with Client.from_url(url) as client:
            await _listening(client)
            yield url, client


async def _listening(client: Client) -> None:
    for _ in range(_TRIES):
        with suppress(ConnectionError):
            await client.ping()
            return
        await asyncio.sleep(0.02)
    raise Failed("redis-server does not listen")


_SOCKET = "redis.sock"


def command(folder: str) -> list[str]:
    """What starts a server that keeps nothing, and listens in *folder*.

    Raises:
        Unavailable: none is installed.
    """
    program = shutil.which("redis-server") or shutil.which("valkey-server")
    if not program:
        raise Unavailable("neither redis-server nor valkey-server is installed")
    return [program, "--port", "0", "--unixsocket", f"{folder}/{_SOCKET}", "--save", ""]


def address(folder: str) -> str:
    """The URL of the server in *folder*."""
    return f"unix://{folder}/{_SOCKET}"
