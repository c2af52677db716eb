"""R2: a client hangs up, in every phase a request can be in, and the provider is left at once.

Where a provider is being asked, its end of the connection tells the moment; where none is yet, the
daemon's log does, and for a program its process.
"""

import asyncio
import os
import socket
import sys
import tempfile
from collections.abc import Awaitable, Callable
from contextlib import asynccontextmanager, contextmanager
from itertools import count
from pathlib import Path
from typing import NamedTuple

from proxypal_core.cli.accounts import vault_of
from proxypal_core.settings.parse import parse
from proxypal_core.wire import jsonio
from tests.fake_cli import row
from tests.figures import Figure
from tests.gateway.asking import DIALECTS
from tests.reliability.client import connected, quantile
from tests.reliability.machine import HOST, provider
from tests.reliability.watched import KEY, NEXT, Watched, leftovers, warm, watched

ROUNDS = 25
"""Aborts of a phase for each client dialect, same and translated, streamed and whole: 400."""
ABORTS = 10_000
AT_A_TIME = 50
BOUND = 0.1
NEVER = 5.0
"""Seconds after which a provider that is still connected was forgotten."""
PROGRAM_ROUNDS = 5
_HOLD = "streaming: {hold: 100ms, heartbeat: 100ms}\n"
"""So that a client is told soon that its request is being looked after."""
_LONG = "word " * 100
"""The program says a word back every 0.2 seconds."""
_UNDER_WAY = 0.05
"""Seconds until a request that nothing is heard of is in its phase."""


class Asked(NamedTuple):
    """A request: its number, and the provider row that it goes to."""

    number: int
    dialect: str
    row: str
    stream: bool


class World(NamedTuple):
    daemon: Watched
    provider: object
    runs: Path


class Phase(NamedTuple):
    """A moment to hang up at. ``plan`` is the provider's; ``reached`` returns when *client*'s request
    is in the phase, and ``left`` gives the seconds from the abort to its effect.
    """

    plan: str
    reached: Callable[..., Awaitable[None]]
    left: Callable[..., Awaitable[float]]
    streams: tuple[bool, ...] = (True, False)
    row: str = "p-{}"
    at_a_time: int = 4


# ── when it is in the phase ──────────────────────────────────────────────────────────────────


async def _provider_asked(world, asked, client, seen):
    await seen


async def _client_told(world, asked, client, seen):
    await client.begun


async def _under_way(world, asked, client, seen):
    if asked.stream:
        await client.begun  # heartbeats
    else:
        await asyncio.sleep(_UNDER_WAY)


async def _half_read(world, asked, client, seen):
    await seen
    await asyncio.sleep(_UNDER_WAY)


async def _program_runs(world, asked, client, seen):
    while not _runs(world, asked):  # noqa: ASYNC110 — a file
        await asyncio.sleep(0.005)


# ── when it was left ─────────────────────────────────────────────────────────────────────────


async def _connection_closed(world, asked, gone, before):
    return await gone


async def _log_says_so(world, asked, gone, before):
    while world.daemon.left_by_clients() == before:  # noqa: ASYNC110 — a file
        await asyncio.sleep(0.001)
    return asyncio.get_running_loop().time()


async def _program_ended(world, asked, gone, before):
    (pid,) = _runs(world, asked)
    while Path(f"/proc/{pid}").exists():  # noqa: ASYNC110, ASYNC240 — no one tells us
        await asyncio.sleep(0.001)
    return asyncio.get_running_loop().time()


def _runs(world, asked):
    """The processes that were given the request; a line may be half written."""
    if not world.runs.exists():
        return []
    mark = f"m-run-{asked.number}."
    written = world.runs.read_bytes().rpartition(b"\n")[0]
    runs = [jsonio.loads(line) for line in written.splitlines()]
    return [run["pid"] for run in runs if mark in run["stdin"]]


PHASES = {
    "queued for an account": Phase("mute", _under_way, _log_says_so, row="busy", at_a_time=1),
    "a login is refreshed": Phase("mute", _under_way, _log_says_so, row="login", at_a_time=1),
    "connecting": Phase("mute", _under_way, _log_says_so, row="deaf", at_a_time=1),
    "before the provider's headers": Phase("mute", _provider_asked, _connection_closed),
    "headers sent, heartbeats since": Phase(
        "mute", _client_told, _connection_closed, streams=(True,)
    ),
    "mid-stream, then silence": Phase("begun", _client_told, _connection_closed, streams=(True,)),
    "mid-stream, words coming": Phase("paced", _client_told, _connection_closed, streams=(True,)),
    "reading a whole answer": Phase("begun", _half_read, _connection_closed, streams=(False,)),
    "a program runs": Phase("run", _program_runs, _program_ended, row="program", at_a_time=2),
}


# ── the measures ─────────────────────────────────────────────────────────────────────────────


async def measure_aborts(
    rounds=ROUNDS, phases=tuple(PHASES), *, bound=BOUND, never=NEVER, fault=""
):
    """How long a provider is not left, in each phase; *rounds* for each kind of request."""
    figures = []
    async with _world(fault) as world:
        for name in phases:
            times = sorted(await _aborts(world, PHASES[name], rounds, never))
            slow = quantile(times, 0.99)
            missed = sum(time >= never for time in times)
            figures.append(
                Figure(
                    "R2",
                    f"abort, {name}: left after, p99",
                    f"{slow * 1000:.1f} ms of {len(times)}" + f", {missed} never" * (missed > 0),
                    f"< {bound * 1000:g} ms",
                    held=slow < bound and not missed,
                )
            )
    return figures


async def measure_leftovers(aborts=ABORTS, *, never=NEVER):
    """What is left after *aborts* in the phases of a provider that is asked."""
    async with provider() as server, watched(server.port, extra=_HOLD) as daemon:
        world = World(daemon, server, Path())
        base = await warm(daemon, server.port)
        phases = [each for each in PHASES.values() if each.left is _connection_closed]
        kinds = [
            (phase, dialect, target, stream)
            for dialect in DIALECTS
            for target in (dialect, NEXT[dialect])
            for phase in phases
            for stream in phase.streams
        ]
        numbers = count(1)

        async def worker():
            while (number := next(numbers)) <= aborts:
                phase, dialect, target, stream = kinds[number % len(kinds)]
                await _abort(world, phase, Asked(number, dialect, f"p-{target}", stream), never)

        async with asyncio.TaskGroup() as tasks:
            for _ in range(min(AT_A_TIME, aborts)):
                tasks.create_task(worker())
        return await leftovers("R2", f"{aborts} aborts", daemon, base, server.port)


async def _aborts(world, phase, rounds, never):
    """The seconds of every abort."""
    kinds = [
        (dialect, phase.row.format(target), stream)
        for dialect in DIALECTS
        for target in dict.fromkeys((dialect, NEXT[dialect]) if "{}" in phase.row else (dialect,))
        for stream in phase.streams
    ] * rounds
    times = []
    todo = iter(kinds)

    async def worker():
        for kind in todo:
            asked = Asked(next(_numbers), *kind)
            times.append(await _abort(world, phase, asked, never))

    async with asyncio.TaskGroup() as tasks:
        for _ in range(phase.at_a_time):
            tasks.create_task(worker())
    return times


_numbers = count(1_000_000)


async def _abort(world, phase, asked, never):
    """Ask, hang up in *phase*, and give the seconds until that was noticed, *never* at the most."""
    loop = asyncio.get_running_loop()
    seen, gone = world.provider.asked(asked.number), world.provider.left(asked.number)
    client = await connected(world.daemon.url)
    plan = f"m-{phase.plan}-{asked.number}"
    text = f"{plan}. {_LONG}"
    client.ask(asked.dialect, f"{asked.row}/{plan}", stream=asked.stream, text=text)
    async with asyncio.timeout(30):
        await phase.reached(world, asked, client, seen)
    before = 0 if phase.left is _connection_closed else world.daemon.left_by_clients()
    hung_up = loop.time()
    client.abort()
    try:
        async with asyncio.timeout(never):
            return await phase.left(world, asked, gone, before) - hung_up
    except TimeoutError:
        return never


@asynccontextmanager
async def _world(fault):
    """A daemon with a provider of every kind that can keep a request waiting."""
    with tempfile.TemporaryDirectory() as name, _deaf_port() as deaf:
        runs = Path(name) / "runs"
        async with provider() as server:
            extra = _HOLD + _backend(runs)
            rows = _rows(server.port, deaf)
            async with watched(
                server.port, extra=extra, rows=rows, prepare=_log_in, fault=fault
            ) as daemon:
                world = World(daemon, server, runs)
                busy = await connected(daemon.url)
                first = server.asked(1)
                busy.ask("openai-chat", "busy/m-begun-1")
                await first
                yield world
                busy.abort()


def _backend(runs):
    play = row("slow", runs)
    arguments = ", ".join(f'"{argument}"' for argument in play["args"])
    return (
        f"backends:\n  program: {{command: {sys.executable}, args: [{arguments}],"
        f" env: {{FAKE_DUMP: '{runs}'}}}}\n"
    )


def _rows(port, deaf):
    """Providers whose one account is taken, whose login has expired, and who never accept."""
    here = f"http://{HOST}:{port}"
    providers = (
        f"  - {{name: busy, dialect: openai-chat, base_url: {here}/v1}}\n"
        f"  - {{name: deaf, dialect: openai-chat, base_url: http://{HOST}:{deaf}/v1}}\n"
        f"  - {{name: login, dialect: openai-chat, base_url: {here}/v1, oauth: {{client_id: c,"
        f" authorize_url: {here}/authorize, token_url: {here}/token}}}}\n"
    )
    accounts = (
        f"  - {{id: 'busy:a', api_key: {KEY}, max_concurrency: 1}}\n"
        f"  - {{id: 'deaf:a', api_key: {KEY}}}\n"
    )
    return providers, accounts


def _log_in(environment):
    """A login that must be refreshed; the provider never answers what is asked for it."""
    profile = {
        "type": "oauth",
        "provider": "login",
        "access": "old",
        "refresh": "m-mute-2",
        "expires": 1000,
    }
    vault_of(parse("", {}), {**os.environ, **environment}).update(
        lambda profiles: profiles.update({"login:me": profile})
    )


@contextmanager
def _deaf_port():
    """A port on which connections are neither taken nor refused: its backlog is full."""
    with socket.socket() as listening:
        listening.bind((HOST, 0))
        listening.listen(0)
        waiting = [socket.socket() for _ in range(4)]
        for each in waiting:
            each.setblocking(False)
            each.connect_ex(listening.getsockname())
        try:
            yield listening.getsockname()[1]
        finally:
            for each in waiting:
                each.close()
