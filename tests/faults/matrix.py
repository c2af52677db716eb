"""Running the matrix: each fault at each upstream, each client asking in each way it can."""

import asyncio
import logging
import sys
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from typing import Literal, NamedTuple

import structlog

from tests.fault_server import FaultServer
from tests.faults import strict
from tests.faults.catalogue import ALL, FAILS, FAULTS, RECOVERS, STATUSES, Fault
from tests.faults.clients import STREAMED, WHOLE, Clients, asked, clients
from tests.faults.site import Site
from tests.figures import Figure
from tests.proxy import Proxy, proxy

Way = Literal["stream", "late", "whole"]
"""``late``: streamed, with the status sent before anything has come of the provider."""
WAYS: tuple[Way, ...] = ("stream", "late", "whole")
PATIENCE = 10.0
"""Seconds after which a client is said to hang: more than any time limit that the faults meet."""
AT_ONCE, PROXIES = 16, 4
PROCESSES = 2

OK, ERROR = "ok", "error"
FALSE_SUCCESS, WRONG_DIALECT, HANG = "FALSE SUCCESS", "WRONG DIALECT", "HANG"
WRONG_TEXT, LOST = "WRONG TEXT", "LOST"
BAD = {
    FALSE_SUCCESS: "answers that broke off and looked complete",
    WRONG_DIALECT: "failures not told in the client's own words",
    HANG: f"clients still waiting after {PATIENCE:g} s",
    WRONG_TEXT: "complete answers with another text",
    LOST: "errors although the answer could be given",
}


class Cell(NamedTuple):
    fault: Fault
    client: str
    upstream: str
    way: Way


class Judgement(NamedTuple):
    fault: str
    client: str
    upstream: str
    way: Way
    judge: str
    verdict: str
    why: str = ""


def cells(faults: Iterable[Fault]) -> Iterator[Cell]:
    for fault in faults:
        for way in WAYS:
            if (fault.whole if way == "whole" else fault.stream) is None:
                continue
            if fault.heavy and way == "late":
                continue
            for upstream in fault.upstreams:
                for client in ALL:
                    yield Cell(fault, client, upstream, way)


@dataclass(frozen=True)
class _Question:
    """One judge's question about a cell, with an account of its own to ask, since failures make
    accounts rest.
    """

    cell: Cell
    judge: str
    key: str
    ask: Callable[[Proxy, str], Awaitable[str]]

    @property
    def model(self) -> str:
        return f"m-{self.key}"


def _questions(cell: Cell, keys: Iterator[int], on: Clients) -> Iterator[_Question]:
    stream = cell.way != "whole"

    async def raw(at: Proxy, model: str) -> str:
        return await strict.ask(at.port, cell.client, model, stream=stream)

    yield _Question(cell, "raw", f"k{next(keys)}", raw)
    for asking in (STREAMED if stream else WHOLE)[cell.client]:

        async def sdk(at: Proxy, model: str, asking=asking) -> str:
            return await asked(asking, on, at.url, model)

        yield _Question(cell, asking.__name__.strip("_"), f"k{next(keys)}", sdk)


async def judged(chosen: Iterable[Cell], patience: float = PATIENCE) -> list[Judgement]:
    """What the judges say of the *chosen* cells."""
    places: dict[tuple[Fault, str, bool], list[Cell]] = {}
    for cell in chosen:
        places.setdefault((cell.fault, cell.upstream, cell.way == "late"), []).append(cell)
    keys = iter(range(10**9))
    turns, alone = asyncio.Semaphore(AT_ONCE), asyncio.Lock()
    doors = asyncio.Semaphore(PROXIES)

    async def at_place(fault: Fault, upstream: str, late: bool, there: Sequence[Cell]):
        questions = [one for cell in there for one in _questions(cell, keys, on)]
        turn = alone if fault.heavy else turns
        async with doors, proxy(_settings(server, fault, upstream, late, questions)) as at:
            return await asyncio.gather(
                *(_judged(server, at, one, turn, patience) for one in questions)
            )

    async with FaultServer() as server, clients() as on:
        found = await asyncio.gather(*(at_place(*place, there) for place, there in places.items()))
    return [one for some in found for one in some]


def _settings(
    server: FaultServer, fault: Fault, upstream: str, late: bool, questions: Sequence[_Question]
) -> str:
    url = server.url(upstream).replace(server.origin, fault.origin(server.origin))
    rows = "\n".join(
        f'  - {{id: "up:{one.key}", api_key: {one.key}, models: [{one.model}]}}'
        for one in questions
    )
    return (
        f"providers:\n  - {{name: up, dialect: {upstream}, base_url: {url}}}\naccounts:\n{rows}\n"
        "routing: {max_attempts: 1, wait_up_to: 0s}\n"
        f"streaming: {{hold: {'0s' if late else '10s'}}}\n{fault.timeouts}\n"
    )


async def _judged(
    server: FaultServer,
    at: Proxy,
    question: _Question,
    turn: asyncio.Semaphore | asyncio.Lock,
    patience: float,
) -> Judgement:
    cell = question.cell
    stream = cell.way != "whole"
    site = Site(cell.upstream, stream, question.model, cell.fault.scenario)
    async with turn:
        server.always(cell.fault.step(site), key=question.key)
        try:
            async with asyncio.timeout(patience):
                text = await question.ask(at, question.model)
            verdict, why = _of_text(cell, text)
        except TimeoutError:
            verdict, why = HANG, ""
        except strict.Told as told:
            verdict, why = _of_error(cell, told)
        except strict.Silent as silent:
            verdict, why = FALSE_SUCCESS, str(silent)
        except Exception as error:  # noqa: BLE001 — whatever a client raises is what is judged
            verdict, why = WRONG_DIALECT, f"{type(error).__name__}: {str(error)[:200]}"
    where = (cell.fault.name, cell.client, cell.upstream, cell.way)
    return Judgement(*where, question.judge, verdict, why)


def _expected(cell: Cell) -> str | None:
    return cell.fault.whole if cell.way == "whole" else cell.fault.stream


def _of_text(cell: Cell, text: str) -> tuple[str, str]:
    if _expected(cell) != RECOVERS:
        return FALSE_SUCCESS, repr(text[:100])
    if text != "".join(cell.fault.scenario.text):
        return WRONG_TEXT, repr(text[:100])
    return OK, ""


def _of_error(cell: Cell, told: strict.Told) -> tuple[str, str]:
    if _expected(cell) != FAILS:
        return LOST, str(told)
    if not told.headers:
        return ERROR, ""
    statuses = _statuses(cell)
    if told.status not in statuses:
        return WRONG_DIALECT, f"the status {told.status} in place of {statuses}"
    wait = float(told.headers.get("retry-after", 0))
    if told.status != 200 and wait < cell.fault.wait:
        return WRONG_DIALECT, f"retry-after: {wait:g} in place of {cell.fault.wait:g} or more"
    return ERROR, ""


def _statuses(cell: Cell) -> tuple[int, ...]:
    """What a failure may be told with: 200 is inside the stream."""
    kinds = (cell.fault.kind,) if cell.fault.kind else ("broken", "slow")
    statuses = tuple(STATUSES[kind][cell.client] for kind in kinds)
    # What fails at once is faster than a status that is sent early.
    inside = cell.way == "late" or (cell.way == "stream" and not cell.fault.kind)
    return (200, *statuses) if inside else statuses


# ── what is said of it ───────────────────────────────────────────────────────────────────────


def table(judgements: Sequence[Judgement]) -> str:
    """A row for each fault: what clients of each dialect made of it, over all upstreams and ways."""
    rows: dict[str, dict[str, Counter[str]]] = {}
    for one in judgements:
        row = rows.setdefault(one.fault, {client: Counter() for client in ALL})
        row[one.client][one.verdict] += 1
    width = max(map(len, rows), default=0)
    lines = [" | ".join(("fault".ljust(width), *(client.ljust(16) for client in ALL)))]
    for fault, row in rows.items():
        told = [", ".join(f"{kind} {n}" for kind, n in sorted(row[c].items())) for c in ALL]
        lines.append(" | ".join((fault.ljust(width), *(each.ljust(16) for each in told))))
    return "\n".join(lines)


def figures(judgements: Sequence[Judgement]) -> list[Figure]:
    faults = len({one.fault for one in judgements})
    met = len({(one.fault, one.client, one.upstream, one.way) for one in judgements})
    counts = Counter(one.verdict for one in judgements)
    said = f"{faults} faults, {met} cells, {len(judgements)} judgements"
    return [
        Figure("R1", "faults met by every client at every upstream", said, ">= 40", faults >= 40),
        *(
            Figure("R1", what, f"{counts[verdict]} of {len(judgements)}", "0", not counts[verdict])
            for verdict, what in BAD.items()
        ),
    ]


# ── all of it ────────────────────────────────────────────────────────────────────────────────


async def measure() -> list[Figure]:
    """The whole matrix; its table, and whatever is bad in it, go to standard error."""
    loop = asyncio.get_running_loop()
    with ProcessPoolExecutor(PROCESSES, get_context("spawn")) as processes:
        parts = [loop.run_in_executor(processes, _part, number) for number in range(PROCESSES)]
        found = [one for some in await asyncio.gather(*parts) for one in some]
    order = {fault.name: at for at, fault in enumerate(FAULTS)}
    found.sort(key=lambda one: order[one.fault])
    print(table(found), file=sys.stderr)
    for one in found:
        if one.verdict in BAD:
            print(*one, sep=" | ", file=sys.stderr)
    return figures(found)


def _part(number: int) -> list[Judgement]:
    """What the judges say of every fault whose turn is *number*; run in a process of its own."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    # google-genai leaves answers that are errors open, and aiohttp tells of each.
    logging.getLogger("asyncio").setLevel(logging.CRITICAL)
    return asyncio.run(judged(cells(FAULTS[number::PROCESSES])))
