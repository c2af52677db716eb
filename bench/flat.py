"""What must not grow: the cost of a request and of an event, whatever there is of everything else.

Each measure is the cost with much of something to the cost with little, both beside each other in
every round.
"""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path
from statistics import median

import click

from bench import targets
from bench.cells import Cell, Kind, cell
from bench.promises import Verdict
from bench.rig import Rig, Run, Server
from bench.targets import Target
from proxypal_core.hub.messages import Usage
from proxypal_core.metering import Attempt, Record
from proxypal_core.store.database import Database
from proxypal_core.store.usage_db import UsageDB

MUST, GOAL = 1.10, 1.05
BEFORE = 5_000
"""Requests that fill what is filled once: pools, caches, code."""
BATCH = 5_000
_DAY = 86_400.0


def requests(rig: Rig, python: str, many: int, rounds: int) -> list[Verdict]:
    """Of the first requests and of those after *many*, each to a bare relay's beside it."""
    process = _start(rig, "served", python).process
    ours, relay = _target("served"), targets.target("aio")
    job = cell("json@16")
    rig.run(ours, job, requests=BEFORE)
    before = _ratios(rig, ours, relay, job, rounds)
    memory = process.memory("VmRSS")
    rig.run(ours, cell("json@64"), requests=many)
    grown = (process.memory("VmRSS") - memory) * 100_000 / many
    after = _ratios(rig, ours, relay, job, rounds)
    ratios = [late / early for late, early in zip(after, before, strict=True)]
    return [
        _verdict(f"CPU a request after {many:,}", job.name, ratios),
        Verdict("memory a 100,000 requests", "json@64", grown, (grown, grown), 5, 1, "MB"),
    ]


def accounts(rig: Rig, python: str, many: int, rounds: int) -> list[Verdict]:
    """Of a provider with one account, and with *many*."""
    for count in (1, many):
        keys = [{"id": f"up-chat:{n}", "api_key": f"sk-bench-{n}"} for n in range(count)]
        _start(rig, f"accounts-{count}", python, accounts=keys)
    return _compared(rig, f"with {many:,} accounts", "accounts-1", f"accounts-{many}", rounds)


def models(rig: Rig, python: str, many: int, rounds: int) -> list[Verdict]:
    """Of settings that name one model, and *many*, the last of which is asked."""
    for count in (1, many):
        names = [{"name": f"model-{n}", "route": ["up-chat/mock"]} for n in range(count)]
        _start(rig, f"models-{count}", python, models=names)
    last = f"model-{many - 1}"
    return _compared(
        rig, f"with {many:,} models", "models-1", f"models-{many}", rounds, ("model-0", last)
    )


def rows(rig: Rig, python: str, many: int, rounds: int) -> list[Verdict]:
    """Of a daemon that has recorded nothing, and *many* requests of the last 30 days."""
    _start(rig, "rows-0", python)
    full = rig.folder("rows-many") / "data"
    full.mkdir(mode=0o700)
    asyncio.run(_record(full, many, time.time()))  # noqa: TID251 — the daemon's clock is the real one
    _start(rig, "rows-many", python)
    return _compared(rig, f"with {many:,} requests recorded", "rows-0", "rows-many", rounds)


def streams(rig: Rig, python: str, many: int, rounds: int) -> list[Verdict]:
    """Of a lone event where one stream gives a thousand a second, and where *many* do together."""
    _start(rig, "streams", python)
    ours = _target("streams")
    few, lot = _even(1), _even(many)
    runs = [(rig.run(ours, few), rig.run(ours, lot)) for _ in range(max(rounds // 3, 1))]
    ratios = [late.event_us / early.event_us for early, late in runs]
    memory = [(late.peak - early.peak) * 1024 / many for early, late in runs[:1]]
    wrong = sum(run.failed for pair in runs for run in pair)
    return [
        _verdict(f"CPU a lone event among {many:,} streams", lot.name, ratios),
        Verdict("memory a stream", lot.name, memory[0], (memory[0], memory[0]), 80, 32, "KB"),
        Verdict("wrong answers", lot.name, wrong, (wrong, wrong), 0, 0, ""),
    ]


Measure = Callable[[Rig, str, int, int], list[Verdict]]
MEASURES: Mapping[str, tuple[Measure, int]] = {
    "requests": (requests, 100_000),
    "accounts": (accounts, 1_000),
    "models": (models, 1_000),
    "rows": (rows, 1_000_000),
    "streams": (streams, 1_000),
}
"""With how much of it there is."""


def measured(
    rig: Rig, python: str, names: Sequence[str], *, rounds: int, part: float
) -> list[Verdict]:
    """The measures of those names, with *part* of what each has."""
    verdicts: list[Verdict] = []
    for name in names:
        click.echo(f"{name} ...", err=True)
        measure, many = MEASURES[name]
        verdicts += measure(rig, python, max(round(many * part), 2), rounds)
    return verdicts


def _start(rig: Rig, name: str, python: str, **more: object) -> Server:
    given = targets.settings(rig.upstream, **more)
    return rig.start(name, lambda folder, port: targets.proxypal(folder, port, python, given))


def _target(server: str, model: str = "up-chat/mock") -> Target:
    return replace(targets.target("proxypal"), name=server, server=server, model=model)


def _compared(
    rig: Rig,
    what: str,
    little: str,
    much: str,
    rounds: int,
    asked: tuple[str, str] = ("up-chat/mock", "up-chat/mock"),
) -> list[Verdict]:
    """What a request costs, and an event, on the server *much* to that on *little*."""
    first, second = (_target(*pair) for pair in zip((little, much), asked, strict=True))
    costs: Sequence[tuple[str, str, Callable[[Run], float]]] = (
        ("request", "json@16", lambda run: run.request_us),
        ("event", "blob@16", lambda run: run.event_us),
    )
    verdicts = []
    for unit, name, cost in costs:
        job = cell(name, seconds=1.0)
        runs = [(rig.run(first, job), rig.run(second, job)) for _ in range(rounds)]
        wrong = next((run.wrong for pair in runs for run in pair if run.failed), "")
        if wrong:
            raise click.ClickException(f"{what}: {wrong}")
        ratios = [cost(late) / cost(early) for early, late in runs]
        verdicts.append(_verdict(f"CPU per {unit} {what}", name, ratios))
    return verdicts


def _ratios(rig: Rig, ours: Target, base: Target, job: Cell, rounds: int) -> list[float]:
    pairs = [
        (rig.run(ours, job, requests=BEFORE // 5), rig.run(base, job, requests=BEFORE))
        for _ in range(rounds)
    ]
    return [run.request_us / beside.request_us for run, beside in pairs]


def _even(streams: int) -> Cell:
    """A thousand events a second and a hundred requests, however many streams give them."""
    gap = streams / 1000
    kind = Kind("as many events however many streams", events=10, gap=gap, ramp=10 * gap)
    return Cell(f"even@{streams}", kind, streams, max(3.0, 15 * gap))


def _verdict(what: str, where: str, ratios: Sequence[float]) -> Verdict:
    return Verdict(what, where, median(ratios), (min(ratios), max(ratios)), MUST, GOAL, "x")


async def _record(folder: Path, many: int, now: float) -> None:
    """Put *many* requests of the last 30 days into the database that a daemon will open there."""
    async with aclosing(Database(folder)) as database:
        db = UsageDB(database)
        for first in range(0, many, BATCH):
            for number in range(first, min(first + BATCH, many)):
                db.put(_recorded(number, now - 30 * _DAY * (1 - number / many)))
            await db.flush()


def _recorded(number: int, at: float) -> Record:
    return Record(
        id=f"{number:032x}",
        at=at,
        dialect="openai-chat",
        path="/v1/chat/completions",
        model="up-chat/mock",
        stream=True,
        client="bench",
        agent="",
        session=f"{number // 20:032x}",
        attempts=[Attempt(f"up-chat:{number % targets.ACCOUNTS}", "mock", "served", 1.5)],
        served_by=f"up-chat:{number % targets.ACCOUNTS}",
        provider="up-chat",
        served_model="mock",
        status=200,
        outcome="served",
        first_content=0.8,
        duration=1.5,
        usage=Usage(40_000, 35_000, 2_000, 900, 100),
    )
