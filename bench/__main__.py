"""How fast the proxy is, beside bare relays and other proxies.

python -m bench [--cells json@16,blob@16] [--targets aio-uv,proxypal] [--python VENV/bin/python]
python -m bench flat
python -m bench check
python -m bench workers
python -m bench shared
"""

import asyncio
import os
import platform
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

import click

from bench import (
    cells,
    check,
    flat,
    profiling,
    promises,
    shared_load,
    starting,
    targets,
    workers,
)
from bench.processes import Failed
from bench.promises import Verdict
from bench.rig import Plan, Rig, Run, alone, rounds
from bench.targets import Options, Unavailable
from proxypal_core.wire import jsonio


@click.group(invoke_without_command=True)
@click.option(
    "--cells", "cell_names", default="", help="Such as json@16,blob@16; else those of the table."
)
@click.option("--targets", "target_names", default="", help="Such as aio-uv,proxypal,pairs.")
@click.option("--rounds", "count", default=5, show_default=True, help="Of which the median counts.")
@click.option("--seconds", type=float, help="Of every run, instead of what its cell says.")
@click.option(
    "--python", default=sys.executable, help="Runs ProxyPal: another says which checkout."
)
@click.option("--litellm", default="", help="The program of LiteLLM, to be measured beside.")
@click.option("--profile", type=click.Path(path_type=Path), help="Put stacks by py-spy here.")
@click.option("--json", "as_json", is_flag=True, help="All runs and verdicts as one object.")
@click.pass_context
def main(
    context: click.Context,
    *,
    cell_names: str,
    target_names: str,
    count: int,
    seconds: float | None,
    python: str,
    litellm: str,
    profile: Path | None,
    as_json: bool,
) -> None:
    """Measure, and say what is kept of what is promised. The exit code is 1 where a must is missed."""
    context.obj = options = Options(_absolute(python), _absolute(litellm))
    if context.invoked_subcommand:
        return
    with _rig(options) as rig:
        plan = _plan(rig, _split(cell_names), _split(target_names), seconds)
        runs = list(_told(rounds(rig, plan, count)))
        verdicts = [*promises.judged(promises.PROMISES, runs), promises.faults(runs)]
        if not cell_names and not target_names:
            verdicts += starting.verdicts(rig, options.python)
        if profile:
            _profile(rig, plan, profile)
    _print(runs, verdicts, as_json=as_json)
    context.exit(any(verdict.word == "MISSED" for verdict in verdicts))


@main.command("flat")
@click.argument("names", nargs=-1, type=click.Choice(list(flat.MEASURES)))
@click.option("--rounds", "count", default=7, show_default=True, help="Of which the median counts.")
@click.option("--part", default=1.0, help="Of the full number of each.")
@click.pass_context
def flat_command(context: click.Context, names: tuple[str, ...], count: int, part: float) -> None:
    """Whether cost grows with requests served, accounts, models, records and streams."""
    options: Options = context.obj
    with _rig(options) as rig:
        chosen = names or tuple(flat.MEASURES)
        verdicts = flat.measured(rig, options.python, chosen, rounds=count, part=part)
    click.echo(promises.verdict_table(verdicts))
    context.exit(any(verdict.word == "MISSED" for verdict in verdicts))


@main.command("workers")
@click.option("--rounds", "count", default=3, show_default=True, help="Of which the median counts.")
@click.pass_context
def workers_command(context: click.Context, count: int) -> None:
    """Requests a second with one worker, two and four; needs redis-server."""
    options: Options = context.obj
    with _rig(options) as rig:
        click.echo(workers.table(workers.measured(rig, options.python, count)))


@main.command("shared")
def shared_command() -> None:
    """What ten replicas, a hundred and a thousand ask of their Redis; needs redis-server."""
    try:
        click.echo(shared_load.table(asyncio.run(shared_load.measured())))
    except (Failed, Unavailable) as error:
        raise click.ClickException(str(error)) from None


@main.command("check")
@click.option("--store", is_flag=True, help="Make what is measured the usual.")
@click.option("--slower", default=0.0, help="Check one that does so much more, such as 0.2.")
@click.pass_context
def check_command(context: click.Context, *, store: bool, slower: float) -> None:
    """Whether the proxy has become slower than bench/bounds.toml says, in instructions."""
    options: Options = context.obj
    with _rig(options, realtime=False) as rig:  # instructions are the same whoever else works
        found = check.verdicts(rig, options, slower=slower)
    click.echo(promises.verdict_table(found))
    if store:
        check.store(found)
    context.exit(any(verdict.word == "MISSED" for verdict in found))


@contextmanager
def _rig(options: Options, *, realtime: bool | None = None) -> Iterator[Rig]:
    """*realtime* is None for where it is allowed."""
    realtime = os.geteuid() == 0 if realtime is None else realtime
    try:
        with alone(), Rig(options, realtime=realtime) as rig:
            yield rig
    except (Failed, Unavailable) as error:
        raise click.ClickException(str(error)) from None


def _split(names: str) -> list[str]:
    return [name for name in names.split(",") if name]


def _absolute(program: str) -> str:
    """Programs are started in folders of their own."""
    return str(Path(program).absolute()) if os.sep in program else program


def _plan(
    rig: Rig, cell_names: Sequence[str], target_names: Sequence[str], seconds: float | None
) -> Plan:
    """Every cell that is named, or all, with the targets that are named, or those that it is for."""
    try:
        chosen = [cells.cell(name, seconds) for name in cell_names or promises.CELLS]
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    named = [each for name in target_names for each in targets.GROUPS.get(name, [name])]
    plan = {
        cell: [
            target
            for name in named or promises.targets_of(cell.name)
            if (target := _had(rig, name))
        ]
        for cell in chosen
    }
    if not any(plan.values()):
        raise click.UsageError("nothing to measure: name --targets")
    return plan


def _had(rig: Rig, name: str) -> targets.Target | None:
    try:
        target = targets.target(name)
        rig.server(target)
    except Unavailable as error:
        click.echo(f"without {name}: {error}", err=True)
        return None
    return target


def _told(runs: Iterator[Run]) -> Iterator[Run]:
    for run in runs:
        click.echo(
            f"{run.cell:10} {run.target:26} {run.requests_per_second:9.1f}/s"
            f" {run.request_us:9.1f} µs/request {run.event_us:8.2f} µs/event {run.wrong}",
            err=True,
        )
        yield run


def _profile(rig: Rig, plan: Plan, folder: Path) -> None:
    for cell, those in plan.items():
        for target in those:
            try:
                told = profiling.profile(rig, target, cell, folder)
            except Unavailable as error:
                told = str(error)
            click.echo(f"\n{cell.name} {target.name}: {told}", err=True)


def _print(runs: Sequence[Run], verdicts: Sequence[Verdict], *, as_json: bool) -> None:
    if as_json:
        told = {
            "machine": f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}",
            "runs": [asdict(run) for run in runs],
            "verdicts": [{**asdict(verdict), "verdict": verdict.word} for verdict in verdicts],
        }
        click.echo(jsonio.dumps_pretty(told))
        return
    click.echo(promises.run_table(runs))
    click.echo()
    click.echo(promises.verdict_table(verdicts))


if __name__ == "__main__":
    main()
