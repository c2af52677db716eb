"""Several processes that serve one address: ``serve --workers``.

The process that was started takes the data directory and the address, and starts the others, each
the same command as itself with its part added. Connections are theirs alone: each listens on the
address with SO_REUSEPORT, and Linux hands each new connection to one of them. They say how they are
in the way of ``sd_notify(3)``, to this process as if it were systemd: when they are ready, and twice
in each span that they still turn.
"""

import asyncio
import os
import signal
import socket
import sys
import tempfile
from asyncio.subprocess import Process
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, closing, suppress
from pathlib import Path

import structlog

from proxypal_core import app
from proxypal_core.daemon import notify
from proxypal_core.daemon.notify import Supervisor
from proxypal_core.daemon.orders import Orders, orders
from proxypal_core.daemon.reach import base_url, reachable
from proxypal_core.daemon.run import EXIT_FAILED, CannotStart, cannot_listen, locked
from proxypal_core.daemon.worker import FIRST, Worker
from proxypal_core.settings.schema import Listen

HUNG = 30.0
"""Seconds without a word after which a worker is killed: as long as the units' ``WatchdogSec``."""
_LOOK = 1.0
"""Seconds between two looks at when each worker last said something."""
_STEADY = 60.0
"""Seconds of life after which earlier deaths no longer count."""
_LONGEST_REST = 30.0
_RELOADED = 10.0
"""Seconds for all to read the settings again, before that counts as done."""

log = structlog.get_logger(__name__)


class Ended(Exception):
    """A worker ended before it could serve, having said why."""

    def __init__(self, exit_code: int) -> None:
        super().__init__(exit_code)
        self.exit_code = exit_code


def rest(deaths: int) -> float:
    """Seconds before a worker is started anew that died so often in a row: none the first time."""
    return min(_LONGEST_REST, 2.0 ** min(deaths - 2, 8)) if deaths > 1 else 0.0


def run(count: int, listen: Listen, *, data_dir: Path, ready: Callable[[str], None]) -> None:
    """Have *count* workers serve until SIGINT or SIGTERM; *ready* is called with the base URL once
    all of them answer.

    Raises:
        CannotStart: the address or the data directory cannot be taken, or connections cannot be
            shared out here.
        Ended: as it says.
    """
    if sys.platform != "linux":
        raise CannotStart(
            "--workers needs Linux, which alone shares connections out among processes. Run"
            " several daemons behind a load balancer instead.",
            EXIT_FAILED,
        )
    with tempfile.TemporaryDirectory(prefix="proxypal-") as folder:
        asyncio.run(_run(count, listen, data_dir, Path(folder), ready))


async def _run(
    count: int, listen: Listen, data_dir: Path, folder: Path, ready: Callable[[str], None]
) -> None:
    given = orders()
    supervisor = notify.of_this_process()
    with (
        closing(locked(data_dir, reachable(listen))) as lock,
        closing(await _reserved(listen)) as at,
    ):
        host, port = at.sockets[0].getsockname()[:2]
        url = base_url(host, port, tls=bool(listen.tls.cert))
        lock.note(url)

        def all_ready() -> None:
            supervisor.ready(f"{count} workers listen on {url}")
            ready(url)

        workers = Workers(
            [Worker(number, count, folder) for number in range(FIRST, count + 1)],
            lambda worker: command(worker, listen.host, port),
            given,
            supervisor=supervisor,
            inherited=lock.handle,
        )
        async with app.meanwhile(supervisor.watch()):
            await workers.run(all_ready)


def command(worker: Worker, host: str, port: int) -> Sequence[str]:
    """The command of this process as *worker* is to have it: of two options the latter counts."""
    part = ("--host", host, "--port", str(port), "--worker", str(worker))
    return (sys.executable, *sys.orig_argv[1:], *part)


async def _reserved(listen: Listen) -> asyncio.Server:
    """The address, taken so that only our own workers can listen on it: what binds without
    SO_REUSEPORT is refused where another program listens, and with it only our user's are let in.
    """
    loop = asyncio.get_running_loop()
    try:
        server = await loop.create_server(
            asyncio.Protocol, listen.host, listen.port, start_serving=False
        )
    except OSError as error:
        raise await cannot_listen(listen, error) from None
    for bound in server.sockets:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    return server


class _Slot(asyncio.DatagramProtocol):
    """The place of one worker, in which processes follow one another; hears what they say."""

    def __init__(self, worker: Worker) -> None:
        self.worker = worker
        self.process: Process | None = None
        self.ready = asyncio.Event()
        self.began = 0.0
        self.heard = 0.0

    def datagram_received(self, data: bytes, addr: object) -> None:
        self.heard = asyncio.get_running_loop().time()
        if b"READY=1" in data.split(b"\n"):
            self.ready.set()

    @property
    def ear(self) -> Path:
        return self.worker.folder / f"says-{self.worker.number}"

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[None]:
        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_datagram_endpoint(
            lambda: self, local_addr=str(self.ear), family=socket.AF_UNIX
        )
        with closing(transport):
            yield

    async def start(
        self, words: Sequence[str], hung: float, *, inherited: int, until_closed: int
    ) -> Process:
        environment = {**os.environ, "NOTIFY_SOCKET": str(self.ear)}
        environment["WATCHDOG_USEC"] = str(int(hung * 1e6))
        environment.pop("WATCHDOG_PID", None)
        self.ready.clear()
        self.began = self.heard = asyncio.get_running_loop().time()
        self.process = await asyncio.create_subprocess_exec(
            *words,
            stdin=until_closed,
            env=environment,
            pass_fds=(inherited,),  # the data directory is free when the last of us has ended
            process_group=0,  # a Ctrl-C at the terminal is ours, who pass it on
        )
        return self.process

    def signal(self, number: int) -> None:
        if self.process is not None and self.process.returncode is None:
            with suppress(ProcessLookupError):
                self.process.send_signal(number)


class Workers:
    """Keeps one process running for each of *workers*, with the words that *command* gives, until the
    order to end is *given*. Each inherits the open file *inherited*, and is killed after *hung*
    seconds of silence.
    """

    def __init__(
        self,
        workers: Sequence[Worker],
        command: Callable[[Worker], Sequence[str]],
        given: Orders,
        *,
        inherited: int,
        supervisor: Supervisor = notify.NOBODY,
        hung: float = HUNG,
    ) -> None:
        self._slots = [_Slot(worker) for worker in workers]
        self._command = command
        self._given = given
        self._supervisor = supervisor
        self._inherited = inherited
        self._hung = hung
        self._serving = False
        self._alive = os.pipe()
        """Nothing is ever written: who reads it learns of our death, however that came."""

    async def run(self, ready: Callable[[], None]) -> None:
        """Until the last has ended; *ready* is called once all of them are.

        Raises:
            Ended: one could not start. The others are ended then.
        """
        keeping: list[asyncio.Task[int]] = []
        async with AsyncExitStack() as stack:
            for end in self._alive:
                stack.callback(os.close, end)
            for slot in self._slots:
                await stack.enter_async_context(slot.listening())
            for work in (self._watch(), self._reload(), self._end()):
                await stack.enter_async_context(app.meanwhile(work))
            stack.callback(self._signal, signal.SIGKILL)
            # The first alone: where nothing can start, one says why.
            for slots in (self._slots[:1], self._slots[1:]):
                keeping += [asyncio.ensure_future(self._keep(slot)) for slot in slots]
                await self._started(keeping)
            self._serving = True
            ready()
            await asyncio.gather(*keeping)

    async def _started(self, keeping: Sequence[asyncio.Task[int]]) -> None:
        """Return once as many of the slots as are *keeping* are ready; as ``run``."""

        async def all_ready() -> int:
            await asyncio.gather(*(slot.ready.wait() for slot in self._slots[: len(keeping)]))
            return 0

        waiting = asyncio.ensure_future(all_ready())
        await asyncio.wait((waiting, *keeping), return_when=asyncio.FIRST_COMPLETED)
        if waiting.done():
            return
        waiting.cancel()
        wanted = self._given.stop.is_set()
        code = next(task.result() for task in keeping if task.done()) or EXIT_FAILED
        self._given.stop.set()
        await asyncio.gather(*keeping)
        raise Ended(0 if wanted else code)

    async def _keep(self, slot: _Slot) -> int:
        """The exit code of the process in *slot*, after which there is no other."""
        deaths = 0
        while True:
            code = await self._lived(slot)
            if self._given.stop.is_set() or not self._serving:
                return code
            lived = asyncio.get_running_loop().time() - slot.began
            deaths = 1 if lived >= _STEADY else deaths + 1
            log.error(
                "a worker ended, and is started anew",
                worker=slot.worker.number,
                exit_code=code,
                in_seconds=rest(deaths),
            )
            with suppress(TimeoutError):
                async with asyncio.timeout(rest(deaths)):
                    await self._given.stop.wait()
                return code

    async def _lived(self, slot: _Slot) -> int:
        """The exit code of a new process in *slot*, when it has ended."""
        try:
            process = await slot.start(
                self._command(slot.worker),
                self._hung,
                inherited=self._inherited,
                until_closed=self._alive[0],
            )
        except OSError as error:  # there may be memory for it another time
            log.error("no process can be had", worker=slot.worker.number, reason=error.strerror)  # noqa: TRY400 — the message says it all
            return EXIT_FAILED
        if self._given.stop.is_set():
            slot.signal(signal.SIGTERM)
        return await process.wait()

    async def _watch(self) -> None:
        """Kill who says nothing any more."""
        while True:
            await asyncio.sleep(_LOOK)
            late = asyncio.get_running_loop().time() - self._hung
            for slot in self._slots:
                if slot.process and slot.process.returncode is None and slot.heard < late:
                    log.error("a worker hangs, and is killed", worker=slot.worker.number)
                    slot.signal(signal.SIGKILL)

    async def _reload(self) -> None:
        """Pass on that settings are to be read again, to those that would not read them anyway."""
        while True:
            await self._given.reload.wait()
            self._given.reload.clear()
            self._supervisor.reloading()
            told = [slot for slot in self._slots if slot.ready.is_set()]
            for slot in told:
                slot.ready.clear()
                slot.signal(signal.SIGHUP)
            with suppress(TimeoutError):
                async with asyncio.timeout(_RELOADED):
                    await asyncio.gather(*(slot.ready.wait() for slot in told))
            self._supervisor.ready()

    async def _end(self) -> None:
        """Pass on the end, and again that it is to be now."""
        for order in (self._given.stop, self._given.now):
            await order.wait()
            self._supervisor.stopping("workers to end")
            self._signal(signal.SIGTERM)

    def _signal(self, number: int) -> None:
        for slot in self._slots:
            slot.signal(number)
