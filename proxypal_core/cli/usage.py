"""``proxypal usage``: what was used and what it cost, whether or not a daemon runs."""

import asyncio
import csv
import os
import re
import sys
from collections.abc import Mapping, Sequence
from contextlib import aclosing
from datetime import datetime
from typing import Any, get_args

import click

from proxypal_core import app
from proxypal_core.cli import daemon_api
from proxypal_core.cli.accounts import config_option, table
from proxypal_core.cli.loading import settings_or_exit
from proxypal_core.daemon import files
from proxypal_core.gateway import usage_api
from proxypal_core.settings.schema import Duration, Settings
from proxypal_core.store.database import STATE_FILE, Database
from proxypal_core.store.usage_db import UsageDB
from proxypal_core.store.usage_rows import By
from proxypal_core.wire import jsonio

_KINDS = ("input", "cache_read", "cache_write", "output", "reasoning")
_COLUMNS = ("requests", "failed", *_KINDS, "cost", "priced")
_DAYS = re.compile(r"(\d+(?:\.\d+)?)d")


def _since(context: click.Context, parameter: click.Parameter, value: str) -> float:
    """The Unix seconds of *value*: so long ago, or a date in local time."""
    now = app.Clock().now()
    days = _DAYS.fullmatch(value)
    try:
        return now - (float(days[1]) * usage_api.DAY if days else Duration.read(value))
    except ValueError:
        pass
    try:
        return datetime.fromisoformat(value).timestamp()
    except (ValueError, OverflowError):
        raise click.BadParameter(f"{value!r} is no time: 7d, 24h or 2026-11-01 are.") from None


@click.command()
@config_option
@click.option("--by", type=click.Choice(get_args(By)), default="day", help="What the rows are.")
@click.option("--since", callback=_since, default="7d", help="7d, 24h or 2026-11-01.")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
@click.option("--csv", "as_csv", is_flag=True, help="As CSV.")
def usage(
    config: str | None,
    by: By,
    since: float,
    as_json: bool,  # noqa: FBT001 — click passes flags by name
    as_csv: bool,  # noqa: FBT001 — click passes flags by name
) -> None:
    """Show requests, tokens and cost.

    The cost is what the tokens cost at the vendors' list prices, also where you pay a plan.
    """
    if as_json and as_csv:
        raise click.UsageError("Give --json or --csv, not both.")
    settings = settings_or_exit(config)
    query = {"by": by, "since": f"{since:.0f}"}
    found = daemon_api.call_or_exit(settings, "GET", "/api/usage", **query)
    report = asyncio.run(_at_rest(settings, query)) if found is None else found
    if as_json:
        click.echo(jsonio.dumps_pretty(report))
    elif as_csv:
        _write_csv(by, report["rows"])
    else:
        click.echo(_shown(by, report))


async def _at_rest(settings: Settings, query: Mapping[str, str]) -> Mapping[str, Any]:
    """What the last daemon left."""
    folder = files.data_dir(os.environ)
    left = folder if (folder / STATE_FILE).exists() else None  # nothing is made here
    async with aclosing(Database(left)) as database:
        db = UsageDB(database)
        return await usage_api.usage(db, query, settings=settings, now=app.Clock().now())


# ── rows ─────────────────────────────────────────────────────────────────────────────────────


def _values(row: Mapping[str, Any]) -> Mapping[str, Any]:
    """*row* in one level."""
    return {**row, **row["tokens"]}


def _write_csv(by: str, rows: Sequence[Mapping[str, Any]]) -> None:
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow([by, *_COLUMNS])
    for row in rows:
        values = _values(row)
        writer.writerow([_harmless(row["name"]), *(values[name] for name in _COLUMNS)])


def _harmless(name: str) -> str:
    """*name*, which a spreadsheet must not take for a formula."""
    return f"'{name}" if name.startswith(("=", "+", "-", "@", "\t", "\r")) else name


def _shown(by: str, report: Mapping[str, Any]) -> str:
    if not report["rows"]:
        return "Nothing was used in that time."
    head = [by, "requests", "failed", *(name.replace("_", " ") for name in _KINDS), "cost"]
    rows = [_cells(row["name"] or "-", row) for row in report["rows"]]
    lines = [table(head, [*rows, _cells("total", report["total"])])]
    coverage = report["coverage"]
    lines.append(
        f"Priced {coverage['priced']} of {coverage['requests']} requests, at list prices; reasoning"
        " is a part of output."
    )
    if report["savings"]:
        savings = report["savings"]
        saved = savings["saved"]
        verdict = f"saved ${saved:,.2f}" if saved >= 0 else f"${-saved:,.2f} short of their price"
        lines.append(
            f"Your plans served ${savings['value']:,.2f} worth for ${savings['plans']:,.2f}:"
            f" {verdict}."
        )
    return "\n".join(lines)


def _cells(name: str, row: Mapping[str, Any]) -> Sequence[str]:
    values = _values(row)
    counts = [f"{values[column]:,}" for column in ("requests", "failed", *_KINDS)]
    partly = "" if row["priced"] == row["requests"] else "+"
    name = "".join(letter if letter.isprintable() else "?" for letter in name)
    return [name, *counts, f"${row['cost']:,.2f}{partly}"]
