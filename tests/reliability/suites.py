"""R4, R5, R6, R9, R11, R15, R16 and R17: the suites that have packages of their own, as figures."""

import asyncio
import random
import signal
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path

from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import invariant, run_state_machine_as_test

from tests import orphans as trees
from tests import vault_kills
from tests.accounts.test_pool import PoolMachine
from tests.daemon import manners
from tests.figures import Figure
from tests.fuzz.targets import TARGETS
from tests.identity_provider import storm as logins
from tests.redis_server import MISSING, PROGRAM
from tests.replicas.disasters import measure_redis
from tests.replicas.logins import measure_logins
from tests.running import PATIENCE

PROCESSES = 2
SLOW = 1.0
"""Seconds of work for one input; more is a hang."""
DEAF = 10
"""Every so many trees of programs do not listen to SIGTERM."""


# ── the vault, and logins ────────────────────────────────────────────────────────────────────


async def lost_profiles(kills: int = 1000) -> list[Figure]:
    """R4: *kills* writers of the vault are killed."""
    with tempfile.TemporaryDirectory() as folder:
        try:
            tally = await asyncio.to_thread(vault_kills.kill_writers, Path(folder), kills, 0)
        except AssertionError as lost:
            measured, held = str(lost), False
        else:
            measured, held = f"0 in {tally.kills:,}, {tally.acknowledged:,} writes", True
    return [Figure("R4", "kill -9 of a writer that lost or broke a profile", measured, "0", held)]


async def refreshes(expiries: int = 200, tasks: int = 100, processes: int = 4) -> list[Figure]:
    """R5: so many processes share a login that ends *expiries* times."""
    what = (
        f"{processes} processes of {tasks} tasks, one login that ends {expiries} times:"
        " questions; logins revoked"
    )
    bound = f"{expiries}; 0"
    try:
        provider = await logins.storm(processes=processes, tasks=tasks, expiries=expiries)
    except AssertionError as error:
        return [Figure("R5", what, str(error), bound, held=False)]
    asked, revoked = len(provider.calls), len(provider.revoked)
    held = provider.calls == ["refresh_token"] * expiries and not revoked
    return [Figure("R5", what, f"{asked}; {revoked}", bound, held)]


# ── the pool ─────────────────────────────────────────────────────────────────────────────────


async def pool_law(steps: int = 10_000) -> list[Figure]:
    """R6: whatever happens to a pool, in any order, its model agrees."""
    took = 0

    class Counted(PoolMachine):  # type: ignore[misc] # tests are not typed
        @invariant()
        def counted(self) -> None:
            nonlocal took
            took += 1

    often = settings(
        max_examples=max(1, steps // 50),  # hypothesis ends most of them before their 100th step
        stateful_step_count=100,
        deadline=None,
        derandomize=True,
        phases=[Phase.generate],
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    try:
        run_state_machine_as_test(Counted, settings=often)
    except Exception as error:  # noqa: BLE001 — whatever it is, the pool did it
        measured, held = f"{type(error).__name__}: {error}".partition("\n")[0], False
    else:
        measured, held = f"0 in {took:,}", took >= steps
    return [
        Figure(
            "R6",
            "steps after which the pool is not as its model",
            measured,
            f"0 in {steps:,}",
            held,
        )
    ]


# ── the daemon ───────────────────────────────────────────────────────────────────────────────


async def stops(daemons: int = 200, at_once: int = 4) -> list[Figure]:
    """R9: *daemons* are told to stop while they stream."""
    answers: list[manners.Answer] = []
    late: list[str] = []
    turns = asyncio.Semaphore(at_once)

    async def one(number: int) -> None:
        async with turns:
            with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
                try:
                    answers.extend(
                        await manners.stopped_while_streaming(random.Random(number), Path(folder))
                    )
                except (AssertionError, TimeoutError) as error:
                    late.append(str(error) or f"it did not end in {PATIENCE:.0f} s")

    await asyncio.gather(*map(one, range(daemons)))
    whole = sum(one.complete for one in answers)
    silent = sum(not (one.complete or one.explained) for one in answers)
    return [
        Figure(
            "R9",
            f"{daemons} daemons stopped: answers cut without a word; whole; said to be cut",
            f"{silent}; {whole:,}; {len(answers) - whole - silent:,}",
            "0",
            held=silent == 0 and len(answers) > 0,
        ),
        Figure(
            "R9",
            f"daemons that did not end with 0 within {PATIENCE:.0f} s",
            f"{len(late)} of {daemons}" + (f": {late[0]}" if late else ""),
            "0",
            held=not late,
        ),
    ]


async def reloads(often: int = 1000, streams: int = 200) -> list[Figure]:
    """R15: the settings are reloaded *often* while *streams* are answered at any time."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        answers = await manners.reloads_during_streams(often, streams, Path(folder))
    broken = sum(not one.complete for one in answers)
    return [
        Figure(
            "R15",
            f"streams broken by {often:,} reloads, {streams} at a time",
            f"{broken} of {len(answers):,}",
            "0",
            held=broken == 0 and len(answers) >= streams,
        )
    ]


async def orphans(rounds: int = 100) -> list[Figure]:
    """R16: *rounds* daemons are killed, each while a program of three levels runs."""
    slowest, left = 0.0, []
    for number in range(1, rounds + 1):
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
            try:
                took = await trees.one_round(Path(folder), deaf=number % DEAF == 0)
            except AssertionError as error:
                left.append(str(error))
            else:
                slowest = max(slowest, took)
    measured = f"{len(left)} of {rounds}, the slowest gone after {slowest:.1f} s"
    return [
        Figure(
            "R16",
            f"daemons killed of whose programs something was left after {trees.WITHIN:.0f} s",
            measured + (f"; {left[0]}" if left else ""),
            "0",
            held=not left,
        )
    ]


async def shared_state(seconds: float = 8.0, expiries: int = 50) -> list[Figure]:
    """R17: Redis hangs, is killed, and forgets; and replicas share a login."""
    if PROGRAM is None:
        return [Figure("R17", "Redis hangs, is killed, forgets", MISSING, "", held=None)]
    figures = [*await measure_redis(seconds), *await measure_logins(expiries)]
    return [replace(figure, promise="R17") for figure in figures]


# ── damaged inputs ───────────────────────────────────────────────────────────────────────────


def fault_among(
    numbers: range, targets: Sequence[Callable[[random.Random], object]] = TARGETS
) -> str:
    """What goes wrong with one of the inputs of *numbers*; empty where nothing does."""
    before = signal.signal(signal.SIGVTALRM, _hang)
    number = numbers.start
    try:
        for number in numbers:
            signal.setitimer(signal.ITIMER_VIRTUAL, SLOW)
            targets[number % len(targets)](random.Random(number))
    except Exception as error:  # noqa: BLE001 — that is what is looked for
        return f"input {number}: {type(error).__name__}: {error}"
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)
    return ""


def _hang(signum: int, frame: object) -> None:
    raise TimeoutError(f"more than {SLOW} s of work")


async def damaged_inputs(
    count: int = 100_000, *, look: Callable[[range], str] = fault_among
) -> list[Figure]:
    """R11: the first *count* of the inputs of ``make fuzz``, by as many processes as there are cores
    to have.
    """
    loop = asyncio.get_running_loop()
    share = -(-count // PROCESSES)
    parts = [range(at, min(at + share, count)) for at in range(0, count, share)]
    with ProcessPoolExecutor(PROCESSES, get_context("spawn")) as processes:
        found = await asyncio.gather(
            *(loop.run_in_executor(processes, look, part) for part in parts)
        )
    faults = [fault for fault in found if fault]
    return [
        Figure(
            "R11",
            "damaged inputs that crash, hang, or get an answer of no dialect (make fuzz: a million)",
            faults[0] if faults else f"0 of {count:,}",
            "0",
            held=not faults,
        )
    ]
