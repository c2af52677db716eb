"""Promises as figures: what was measured, the bound that it must keep, and whether it did.

A suite is a table of measures. Run as a program it says what it is doing on standard error and
prints one row a figure on standard output; its exit code is 1 where a bound was not kept.
"""

import argparse
import asyncio
import json
import sys
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import asdict, dataclass

COLUMNS = ("promise", "what", "measured", "bound")


@dataclass(frozen=True)
class Figure:
    """``held`` is None where nothing could be measured; ``measured`` says why, then."""

    promise: str
    what: str
    measured: str
    bound: str
    held: bool | None


Measure = Callable[[], Awaitable[Sequence[Figure]]]


def table(figures: Sequence[Figure]) -> str:
    """*figures* as a table of Markdown."""
    rows = [
        (*COLUMNS, ""),
        *((f.promise, f.what, f.measured, f.bound, _MARKS[f.held]) for f in figures),
    ]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |"
        for row in rows
    ]
    lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(lines)


_MARKS = {True: "held", False: "BROKEN", None: "not measured"}


def main(program: str, suite: Mapping[str, Measure], arguments: Sequence[str] | None = None) -> int:
    """Run the measures of *suite* that are named, or all; the exit code."""
    parser = argparse.ArgumentParser(prog=f"python -m {program}")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(suite)}")
    parser.add_argument("--json", action="store_true", help="one object a figure")
    options = parser.parse_args(arguments)
    unknown = [name for name in options.names if name not in suite]
    if unknown:
        parser.error(f"there is no {', '.join(unknown)}; there are {', '.join(suite)}")
    figures: list[Figure] = []
    for name in options.names or suite:
        began = time.monotonic()
        print(f"{name} ...", file=sys.stderr, flush=True)
        found = asyncio.run(_measured(name, suite[name]))
        for figure in found:
            print(f"  {figure.what}: {figure.measured}", file=sys.stderr)
        print(f"  {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)
        figures.extend(found)
    if options.json:
        print(json.dumps([asdict(figure) for figure in figures], indent=2))
    else:
        print(table(figures))
    return 1 if any(figure.held is False for figure in figures) else 0


async def _measured(name: str, measure: Measure) -> Sequence[Figure]:
    """What *measure* found; one that fails is a broken promise, and the others still run."""
    try:
        return await measure()
    except Exception as error:  # noqa: BLE001 — it is told, and the exit code says it
        return [
            Figure(name, "it ran", f"{type(error).__name__}: {error}", "to its end", held=False)
        ]
