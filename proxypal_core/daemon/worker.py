"""One of several processes that serve one address together: its part, and how it reaches the others.

Each listens on a socket of its own besides, in a folder that the process above them made. What must
be of one piece, the management API with its sessions and logins, is the first worker's; the others
hand such requests to it, as they came.
"""

import asyncio
import sys
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import aiohttp
import msgspec
from aiohttp import web

from proxypal_core.daemon.orders import Orders
from proxypal_core.dialects import DIALECTS
from proxypal_core.gateway import answers, surface
from proxypal_core.gateway.connection import Handler
from proxypal_core.gateway.guard import Limits
from proxypal_core.gateway.request import Answer, Request, Sent
from proxypal_core.gateway.server import server
from proxypal_core.hub.failure import Failure, Kind
from proxypal_core.settings import schema
from proxypal_core.settings.schema import Settings

FIRST = 1
"""The number of the worker that answers the management API for all."""
METRICS = "metrics"
_MANAGED = frozenset({"api", "dashboard", METRICS})
"""First segments of the paths that are the first worker's."""
_PATIENCE = aiohttp.ClientTimeout(total=None, sock_connect=2.0)
"""Events are answered for as long as somebody looks on."""
_METRICS_PATIENCE = aiohttp.ClientTimeout(total=2.0)
_HOP_BY_HOP = frozenset(
    {"connection", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade"}
)
"""Headers that are about a connection (RFC 9110, 7.6.1)."""
_BODY_S_FORM = frozenset({"content-encoding", "content-length"})
"""Headers of a request that are no longer so once its body was read."""
_CUT = 0.1
"""Seconds that aiohttp waits for who is still being answered; 0 would mean for ever."""


class Worker(msgspec.Struct, frozen=True):
    """Which of how many it is, from 1 on, and the folder in which they meet."""

    number: int
    count: int
    folder: Path

    @classmethod
    def read(cls, text: str) -> "Worker":
        """The worker that ``str`` made *text* of.

        Raises:
            ValueError: it made none.
        """
        number, _, rest = text.partition("/")
        count, _, folder = rest.partition(":")
        return cls(int(number), int(count), Path(folder))

    def __str__(self) -> str:
        return f"{self.number}/{self.count}:{self.folder}"

    @property
    def is_first(self) -> bool:
        return self.number == FIRST

    def socket(self, number: int) -> Path:
        """Where the worker of that number listens for the others."""
        return self.folder / f"worker-{number}"

    def its(self, settings: Settings) -> Settings:
        """*settings* as this worker goes by them: alerts are told once, by the first, and each has a
        log file of its own, since only one process can rotate a file.
        """
        log = settings.logging
        if log.file:
            path = Path(log.file)
            named = str(path.with_name(f"{path.stem}-{self.number}{path.suffix}"))
            log = msgspec.structs.replace(log, file=named)
        alerts = settings.alerts if self.is_first else schema.Alerts()
        return msgspec.structs.replace(settings, logging=log, alerts=alerts)

    def end_with_parent(self, given: Orders) -> None:
        """Be told to end when the process above, which holds the other end of standard input, does."""
        loop, end = asyncio.get_running_loop(), sys.stdin.fileno()

        def closed() -> None:
            loop.remove_reader(end)
            given.end()

        loop.add_reader(end, closed)

    @asynccontextmanager
    async def among_others(self, handler: Handler) -> AsyncIterator[Handler]:
        """The handler of the common address, where *handler* is this worker's own; meanwhile it
        listens for the others.
        """
        async with AsyncExitStack() as stack:
            sessions = {
                number: await stack.enter_async_context(_to(self.socket(number)))
                for number in range(1, self.count + 1)
                if number != self.number and FIRST in (number, self.number)
            }
            ours = _WithMetrics(handler, self.number, sessions) if self.is_first else handler
            common = ours if self.is_first else _HandsOver(handler, sessions[FIRST])
            runner = web.ServerRunner(server(ours, Limits()), shutdown_timeout=_CUT)
            await runner.setup()
            stack.push_async_callback(runner.cleanup)
            await web.UnixSite(runner, self.socket(self.number)).start()
            yield common


def _to(socket: Path) -> aiohttp.ClientSession:
    return aiohttp.ClientSession(
        connector=aiohttp.UnixConnector(str(socket)),
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=False,
        timeout=_PATIENCE,
    )


def _segment(request: Request) -> str:
    """The first of the path; ``surface`` decides the same way what is no provider's prefix."""
    return request.path[1:].partition("/")[0]


class _HandsOver:
    """Answers what *handler* does, and hands to *first* what it does for all."""

    def __init__(self, handler: Handler, first: aiohttp.ClientSession) -> None:
        self._handler = handler
        self._first = first

    async def __call__(self, request: Request) -> Answer:
        if _segment(request) not in _MANAGED:
            return await self._handler(request)
        try:
            asked = self._first.request(
                request.method,
                f"http://worker{request.target}",
                headers=_passed(request.pairs, _HOP_BY_HOP | _BODY_S_FORM),
                data=await request.read() or None,
                allow_redirects=False,
                skip_auto_headers=("user-agent", "content-type", "accept", "accept-encoding"),
            )
            async with asked as answer:
                return await _told(request, answer)
        except (aiohttp.ClientConnectionError, TimeoutError):
            failure = Failure(
                Kind.OVERLOADED,
                "the worker that answers this is starting; ask again",
                retry_after=1,
            )
            return answers.refusal(DIALECTS[surface.CHAT], failure, "")


def _passed(headers: Iterable[tuple[str, str]], without: frozenset[str]) -> list[tuple[str, str]]:
    return [(name, value) for name, value in headers if name.lower() not in without]


async def _told(request: Request, answer: aiohttp.ClientResponse) -> Sent:
    """*answer* as it comes, to who made *request*."""
    headers = _passed(answer.headers.items(), _HOP_BY_HOP)
    told = request.stream(headers, answer.status)
    try:
        async for piece in answer.content.iter_any():
            await told.write(piece)
    except aiohttp.ClientError:
        request.connection.cut()  # who reads it must not take it for whole
    return await told.end()


class _WithMetrics:
    """Answers what *handler* does, and with its own metrics those of *others*, each with the label
    ``worker``.
    """

    def __init__(
        self, handler: Handler, number: int, others: Mapping[int, aiohttp.ClientSession]
    ) -> None:
        self._handler = handler
        self._number = number
        self._others = others

    async def __call__(self, request: Request) -> Answer:
        answer = await self._handler(request)
        if _segment(request) != METRICS or not isinstance(answer, web.Response):
            return answer
        if answer.status != 200 or not isinstance(answer.body, bytes):
            return answer
        headers = _passed(request.pairs, _HOP_BY_HOP)
        theirs = await asyncio.gather(
            *(_metrics(session, request.target, headers) for session in self._others.values())
        )
        numbers = (self._number, *self._others)
        texts = zip(numbers, (answer.body.decode(), *theirs), strict=True)
        answer.body = joined(texts).encode()
        return answer


async def _metrics(
    session: aiohttp.ClientSession, path: str, headers: Iterable[tuple[str, str]]
) -> str:
    """One worker's; empty while it starts."""
    try:
        async with session.get(
            f"http://worker{path}", headers=headers, timeout=_METRICS_PATIENCE
        ) as answer:
            return await answer.text() if answer.status == 200 else ""
    except (aiohttp.ClientError, TimeoutError):
        return ""


def joined(texts: Iterable[tuple[int, str]]) -> str:
    """*texts* in Prometheus's format, each a worker's of that number, as one: a family's lines stand
    together, and each sample says whose it is.
    """
    families: dict[str, list[str]] = {}
    for number, text in texts:
        family: list[str] = []
        for line in text.splitlines():
            if line.startswith("# HELP "):
                family = families.setdefault(line.split()[2], [])
            if not line.startswith("#"):
                family.append(_labelled(line, number))
            elif line not in family[:2]:  # what it is and means, which another one has said
                family.append(line)
    return "".join(f"{line}\n" for family in families.values() for line in family)


def _labelled(sample: str, number: int) -> str:
    name, brace, rest = sample.partition("{")
    label = f'worker="{number}"'
    if brace:
        return f"{name}{{{label},{rest}"
    name, _, value = sample.partition(" ")
    return f"{name}{{{label}}} {value}"
