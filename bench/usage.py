"""How fast the recorder is, with 100,000 requests in it.

python -m bench.usage
"""

import asyncio
import random
import statistics
import tempfile
import time
from collections.abc import Awaitable, Iterator
from contextlib import aclosing
from pathlib import Path
from typing import get_args

import click

from proxypal_core.gateway import usage_api
from proxypal_core.hub.messages import Usage
from proxypal_core.metering import Attempt, Record, prices
from proxypal_core.settings.parse import parse
from proxypal_core.settings.schema import Settings
from proxypal_core.store.database import Database
from proxypal_core.store.usage_db import UsageDB
from proxypal_core.store.usage_rows import By
from proxypal_core.telemetry.metrics import Metrics

NOW = 1_795_000_000.0
MANY = 100_000
BATCH = 500
ROUNDS = 9
SETTINGS = "usage: {plans: [{name: a plan, provider: anthropic, usd_per_month: 100}]}"
MODELS = ("anthropic/claude-sonnet-5-5", "anthropic/claude-haiku-5-5", "openai/gpt-5.5", "x/y")
QUERIES: tuple[tuple[str, dict[str, str]], ...] = (
    *(("usage", {"by": by}) for by in get_args(By)),
    ("usage", {"by": "model", "since": "0"}),
    ("requests", {}),
    ("requests", {"limit": "500"}),
    ("requests", {"before": "50000"}),
    ("requests", {"account": "anthropic:two"}),
    ("requests", {"model": "openai/gpt-5.5"}),
    ("requests", {"model": "nobody asked for it"}),
    ("requests", {"key": "laptop", "outcome": "server"}),
    (f"requests/{MANY // 2:032x}", {}),
)


@click.command()
@click.option("--many", default=MANY, show_default=True, help="Requests to record.")
@click.option("--days", default=30, show_default=True, help="Over how many days they came.")
def main(many: int, days: int) -> None:
    """Record requests, then ask what the management API can be asked."""
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(_run(Path(folder), many, days))


async def _run(folder: Path, many: int, days: int) -> None:
    async with aclosing(Database(folder)) as database:
        db = UsageDB(database, retain=400 * usage_api.DAY)
        records = list(_records(many, days))
        await _record(db, records)
        await _ask(db)
    size = (folder / "state.db").stat().st_size
    click.echo(f"state.db: {size / 2**20:.1f} MiB, {size / many:.0f} bytes a request")


def _records(many: int, days: int) -> Iterator[Record]:
    chance = random.Random(7)  # noqa: S311 — nothing is kept secret with it
    for at in range(many):
        asked = chance.choice(MODELS)
        provider, _, model = asked.partition("/")
        account = f"{provider}:{chance.choice(('one', 'two', 'three'))}"
        outcome = "served" if chance.random() < 0.97 else "server"
        yield Record(
            id=f"{at:032x}",
            at=NOW - days * usage_api.DAY * (1 - at / many),
            dialect="anthropic",
            path="/anthropic/v1/messages",
            model=asked,
            stream=True,
            client=chance.choice(("", "laptop", "desk")),
            agent=chance.choice(("claude-code", "codex", "openclaw", "")),
            session=f"{at // 20:032x}",
            attempts=[Attempt(account, model, outcome, 1.5)],
            served_by=account,
            provider=provider,
            served_model=model,
            status=200,
            outcome=outcome,
            first_content=0.8,
            duration=1.5,
            usage=Usage(40_000, 35_000, 2_000, 900, 100),
        )


async def _record(db: UsageDB, records: list[Record]) -> None:
    metrics = Metrics()
    before = time.process_time()
    for first in range(0, len(records), BATCH):
        for record in records[first : first + BATCH]:
            record.cost = prices.cost(record)
            metrics.note(record)
            db.put(record)
        await db.flush()
    spent = time.process_time() - before
    click.echo(f"recording: {spent / len(records) * 1e6:.1f} µs of CPU a request, {BATCH} a batch")


async def _ask(db: UsageDB) -> None:
    settings = parse(SETTINGS, {})
    for what, query in QUERIES:
        times = [await _timed(_answer(db, what, query, settings)) for _ in range(ROUNDS)]
        passed, spent = (statistics.median(column) * 1e3 for column in zip(*times, strict=True))
        click.echo(f"{passed:7.1f} ms {spent:7.1f} ms of CPU  /api/{what} {query or ''}")


def _answer(db: UsageDB, what: str, query: dict[str, str], settings: Settings) -> Awaitable[object]:
    match what:
        case "usage":
            return usage_api.usage(db, query, settings=settings, now=NOW)
        case "requests":
            return usage_api.requests(db, query)
        case _:
            return usage_api.request(db, what.partition("/")[2])


async def _timed(answer: Awaitable[object]) -> tuple[float, float]:
    """The seconds that pass, and those of them that this process works."""
    began, spent = time.perf_counter(), time.process_time()
    await answer
    return time.perf_counter() - began, time.process_time() - spent


if __name__ == "__main__":
    main()
