"""Shared state in Redis or Valkey.

One script does a whole exchange, so that it happens at once and costs one round trip. All keys begin
with ``pp:{tenant}:``, whose braces keep them on one node of a cluster. The client gives up after a
quarter of a second and never asks again by itself: who exchanges decides about that (shared/link.py).
"""

from collections.abc import AsyncGenerator, Iterator, Mapping
from contextlib import contextmanager
from importlib.resources import files
from typing import Any, TypeVar

import msgspec
from redis.asyncio import BlockingConnectionPool
from redis.asyncio import Redis as Client
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from proxypal_core.shared.state import (
    ALIVE,
    BINDINGS,
    KEPT,
    PAGE,
    TIMEOUT,
    News,
    Record,
    Report,
    Unreachable,
)

_T = TypeVar("_T")
_CONNECTIONS = 8
"""One to listen, one to exchange, and the rest for logins that are renewed."""
_ANYBODY = "default"
"""The tenant of those who name none."""
_EXCHANGE = files("proxypal_core.shared").joinpath("exchange.lua").read_text(encoding="utf-8")
_RELEASE = """
if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end
return 0
"""
_PUT = """
local there = redis.call('HGET', KEYS[1] .. 'records', ARGV[1])
local generation = there and cjson.decode(there).generation or 0
if generation ~= tonumber(ARGV[3]) then return 0 end
redis.call('HSET', KEYS[1] .. 'records', ARGV[1], ARGV[2])
redis.call('INCR', KEYS[1] .. 'records_version')
redis.call('PUBLISH', KEYS[1] .. 'nudge', ARGV[4])
return 1
"""


class Redis:
    """Shared by all with the same *url* and *tenant*; *replica* is the name of this one. It gives up
    waiting for an answer after *timeout* seconds.
    """

    def __init__(self, url: str, tenant: str, replica: str, *, timeout: float = TIMEOUT) -> None:
        self._prefix = f"pp:{{{tenant or _ANYBODY}}}:"
        self._replica = replica
        self._client = Client.from_pool(
            BlockingConnectionPool.from_url(
                url,
                socket_timeout=timeout,
                socket_connect_timeout=timeout,
                retry=Retry(NoBackoff(), 0),
                max_connections=_CONNECTIONS,
                timeout=timeout,
                decode_responses=True,
            )
        )
        self._exchange = self._client.register_script(_EXCHANGE)
        self._release = self._client.register_script(_RELEASE)
        self._put = self._client.register_script(_PUT)

    async def exchange(self, report: Report) -> News:
        told = msgspec.json.encode(report)
        with _reaching():
            answer: Any = await self._exchange(
                keys=[self._prefix], args=[told, ALIVE, BINDINGS, PAGE, KEPT]
            )
        return _read(answer, News)

    async def nudges(self) -> AsyncGenerator[None]:
        with _reaching():
            async with self._client.pubsub(ignore_subscribe_messages=True) as channel:
                await channel.subscribe(f"{self._prefix}nudge")
                while True:
                    message = await channel.get_message(timeout=None)
                    if message is not None and message["data"] != self._replica:
                        yield

    async def acquire(self, name: str, holder: str, seconds: float) -> bool:
        key = f"{self._prefix}lock:{name}"
        with _reaching():
            return bool(await self._client.set(key, holder, nx=True, px=round(seconds * 1000)))

    async def release(self, name: str, holder: str) -> None:
        with _reaching():
            await self._release(keys=[f"{self._prefix}lock:{name}"], args=[holder])

    async def records(self) -> Mapping[str, Record]:
        with _reaching():
            found: Any = await self._client.hgetall(f"{self._prefix}records")
        return {name: _read(text, Record) for name, text in found.items()}

    async def put(self, name: str, record: Record, *, expected: int) -> bool:
        row = msgspec.json.encode(record)
        with _reaching():
            return bool(
                await self._put(keys=[self._prefix], args=[name, row, expected, self._replica])
            )

    async def usage(self, day: str) -> Mapping[str, float]:
        with _reaching():
            found: Any = await self._client.hgetall(f"{self._prefix}usage:{day}")
        return {field: float(amount) for field, amount in found.items()}

    async def close(self) -> None:
        await self._client.aclose()


def _read(text: str, kind: type[_T]) -> _T:
    try:
        return msgspec.json.decode(text, type=kind)
    except msgspec.DecodeError as error:
        raise Unreachable(f"what is kept there is not ours: {error}") from None


@contextmanager
def _reaching() -> Iterator[None]:
    try:
        yield
    except (RedisError, OSError, TimeoutError) as error:
        # Some messages repeat the address, which may hold a password.
        raise Unreachable(f"Redis: {type(error).__name__}") from None
