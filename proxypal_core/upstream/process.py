"""Another AI program of this machine as a way out: one process a request, ended with its tree.

The programs are the settings' own; nothing of a request decides what is run. What a request brings,
its prompt, instructions and images, goes by standard input and private files.
"""

import asyncio
import shutil
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Self
from uuid import UUID

import msgspec

from proxypal_core.dialects import command
from proxypal_core.dialects.base import Reply as Told
from proxypal_core.hub.failure import Kind
from proxypal_core.hub.messages import Request
from proxypal_core.providers.backend import SCHEME, Backend, model_of
from proxypal_core.upstream import process_failures
from proxypal_core.upstream.child import Child, Spec
from proxypal_core.upstream.process_answer import Answer
from proxypal_core.upstream.process_output import Done, Failed, Reader, Said, Used, reader
from proxypal_core.upstream.process_output import Told as Heard
from proxypal_core.upstream.process_place import Home, environment, program
from proxypal_core.upstream.process_plan import (
    Plan,
    command_line,
    files_of,
    name_after,
    plan,
    session_for,
)
from proxypal_core.upstream.process_sessions import Sessions
from proxypal_core.upstream.transport import Broken, Call
from proxypal_core.wire import jsonio

OUTPUT_LIMIT = 32 * 1024 * 1024
"""Bytes that a run may print."""
QUEUE_LIMIT = 8
"""Requests that may wait for a backend."""
WIDTH = 16
"""Runs at a time of a backend that is not serialized."""
_HEARTBEAT = 10.0
"""Seconds of silence after which it is said that the program still runs, which this transport
watches over itself."""
_LINGER = 10.0
"""Seconds that a program which has answered may take to write down its session and to end."""


class Lane:
    """The way to one backend, and what is remembered of it."""

    def __init__(self, width: int) -> None:
        self.sessions = Sessions()
        self._free = asyncio.Semaphore(width)
        self._waiting = 0

    async def enter(self, name: str) -> None:
        """Raises ``Broken`` when too many wait already."""
        if self._free.locked() and self._waiting >= QUEUE_LIMIT:
            raise Broken(
                Kind.OVERLOADED,
                f"{name}: {self._waiting} requests wait for it already; ask again in a moment",
            )
        self._waiting += 1
        try:
            await self._free.acquire()
        finally:
            self._waiting -= 1

    def leave(self) -> None:
        self._free.release()


class ProcessTransport:
    """Use as an async context manager.

    *home* is the folder for working directories and temporary files; None makes one for as long as
    it runs, and programs find no session again. *ours* are this process's variables. *new_id* gives
    32 hexadecimal digits, and *scrub* takes secrets out of what a program said.
    """

    def __init__(
        self,
        backends: Mapping[str, Backend],
        *,
        home: Path | None,
        ours: Mapping[str, str],
        new_id: Callable[[], str],
        scrub: Callable[[str], str],
    ) -> None:
        self.ours = ours
        self._temporary = None if home else TemporaryDirectory(prefix="proxypal-")
        self.home = Home(Path(self._temporary.name if self._temporary else home or "").absolute())
        self.new_id = new_id
        self.scrub = scrub
        self._backends = backends
        self._lanes: dict[tuple[str, bool], Lane] = {}
        self._swept = False
        self._leaving: dict[ProcessReply, asyncio.Task[None]] = {}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        """End what still runs."""
        for reply in self._leaving:
            reply.end()
        await asyncio.gather(*self._leaving.values())
        if self._temporary is not None:
            self._temporary.cleanup()

    def replace(self, backends: Mapping[str, Backend], scrub: Callable[[str], str]) -> None:
        """From the next request on, these are the backends, and this is how they are scrubbed."""
        self._backends = backends
        self.scrub = scrub

    async def open(self, call: Call, /) -> "ProcessReply":
        name = call.url.removeprefix(f"{SCHEME}:").partition("?")[0]
        backend = self._backends.get(name)
        if backend is None:
            raise Broken(
                Kind.FORBIDDEN,
                f"there is no backend called {name} any more; GET /v1/models lists them",
            )
        doc = jsonio.load_object(bytes(call.body))
        model, stream = command.peek(doc)
        request = command.decode_request(doc, model=model, stream=stream)
        model_of(backend, model)
        path = program(backend, self.ours)
        if not path:
            raise process_failures.absent(backend)
        self._sweep()
        width = 1 if backend.serialize else WIDTH
        lane = self._lanes.setdefault((name, backend.serialize), Lane(width))
        await lane.enter(name)
        reply = ProcessReply(self, lane, backend, path, request)
        try:
            await reply.begin()
        except BaseException:
            reply.close()
            raise
        return reply

    def _sweep(self) -> None:
        """Clear up after an earlier daemon, at the first request: one that is started by mistake
        beside another gets none, and must not take the other's files away.
        """
        if not self._swept:
            self._swept = True
            self.home.sweep()

    def let_go(self, reply: "ProcessReply") -> None:
        """Have the run of *reply* end, which nobody reads any more."""
        task = asyncio.create_task(reply.leave())  # noqa: TID251 — kept
        self._leaving[reply] = task
        task.add_done_callback(lambda _: self._leaving.pop(reply))


class ProcessReply:
    """The answer of one run, or of a second one where the first found its session gone."""

    pour = None

    status = 200

    def __init__(
        self, transport: ProcessTransport, lane: Lane, backend: Backend, path: str, request: Request
    ) -> None:
        kind = "text/event-stream" if request.stream else "application/json"
        self.headers: Mapping[str, str] = {"content-type": kind}
        self._transport = transport
        self._lane = lane
        self._backend = backend
        self._path = path
        self._request = request
        self._answer = Answer(Told(_with_usage(request), transport.new_id(), 0))
        self._child: Child | None = None
        self._starting: asyncio.Task[Child] | None = None
        self._closed = False
        self._printed = 0
        self._patience = 0.0
        self._ends_at = self._silent_at = _now()

    async def begin(self) -> None:
        """Start the program, in the session that holds the conversation so far if there is one."""
        session, known = session_for(self._backend, self._request, self._lane.sessions.take)
        await self._start(session, known)

    def whole(self) -> None:
        """It comes in pieces."""

    async def read(self) -> bytes:
        while not self._answer.complete:
            now = _now()
            limit = min(self._ends_at, self._silent_at)
            try:
                async with asyncio.timeout_at(min(limit, now + _HEARTBEAT)):
                    data = await self._running().read()
            except TimeoutError:
                if _now() < limit:
                    return self._answer.heartbeat
                raise self._too_slow() from None
            self._silent_at = _now() + self._patience
            self._printed += len(data)
            if self._printed > OUTPUT_LIMIT:
                message = (
                    f"{self._backend.name} printed more than {OUTPUT_LIMIT} bytes; ask for less"
                )
                raise Broken(Kind.BAD_REPLY, message)
            if out := await (self._told(data) if data else self._end()):
                return out
        return b""

    def close(self) -> None:
        if not self._closed:
            self._closed = True
            self._transport.let_go(self)

    async def leave(self) -> None:
        """Let a program that has answered end by itself, and end any other."""
        try:
            # One that was being started for a request that is gone by now is not forgotten.
            child = await self._starting if self._starting else None
            if child is not None and self._answer.complete:
                with suppress(TimeoutError):
                    async with asyncio.timeout(_LINGER):
                        await child.ended()
            if child is not None:
                child.end()
                await child.ended()
        except Broken:
            pass  # it could not be started
        finally:
            self._lane.leave()

    def end(self) -> None:
        """End the program at once."""
        if self._child is not None:
            self._child.end()

    # ── the run ──────────────────────────────────────────────────────────────────────────────

    async def _start(self, session: str, known: int) -> None:
        backend, transport = self._backend, self._transport
        new_id = str(UUID(hex=transport.new_id()))
        self._plan: Plan = plan(backend, self._request, session, known, new_id)
        self._starting = asyncio.create_task(self._launch(self._plan))  # noqa: TID251 — kept
        self._child = await asyncio.shield(self._starting)
        self._reader: Reader = reader(backend, resumed=self._plan.resumed)
        watchdog = backend.reliability.watchdog
        patience = watchdog.resume if self._plan.resumed else watchdog.fresh
        self._patience = patience.seconds(backend.timeout)
        self._printed = 0
        self._ends_at = _now() + backend.timeout
        self._silent_at = _now() + self._patience

    async def _launch(self, planned: Plan) -> Child:
        try:
            spec = await asyncio.to_thread(self._spec, planned)
        except OSError as error:
            message = (
                f"{self._backend.name}: its files cannot be written: {error.strerror or error}"
            )
            raise Broken(Kind.SERVER, message) from None
        try:
            return await Child.start(spec)
        except Broken:
            await asyncio.to_thread(shutil.rmtree, spec.remove, ignore_errors=True)
            raise

    def _spec(self, planned: Plan) -> Spec:
        backend, home = self._backend, self._transport.home
        workspace = home.workspace(backend)
        files = files_of(backend, planned, home)
        try:
            arguments, prompt = command_line(
                backend, planned, self._request.model, files, workspace
            )
        except BaseException:
            if files:
                files.remove()
            raise
        variables = environment(backend, self._transport.ours)
        if backend.system_prompt_file_env and files and files.system:
            variables[backend.system_prompt_file_env] = files.system
        return Spec(
            argv=[self._path, *arguments[1:]],
            env=variables,
            cwd=workspace,
            prompt=prompt,
            remove=str(files.folder) if files else "",
        )

    async def _told(self, data: bytes) -> bytes:
        return await self._hear(list(self._reader.feed(data)))

    async def _end(self) -> bytes:
        """The program has ended: what that tells."""
        code = await self._running().ended()
        last = list(self._reader.close())
        if code == 0:
            out = await self._hear(last)
            if self._answer.complete:
                return out
            message = "it ended without saying that its answer is complete; run it by hand"
            raise Broken(Kind.TRUNCATED, f"{self._backend.name}: {message}")
        told = [heard for heard in last if isinstance(heard, Failed)]
        said = "".join(heard.text for heard in last if isinstance(heard, Said))
        errors = self._running().errors.decode("utf-8", "replace")
        message = errors.strip() or said or f"it ended with exit code {code}"
        return await self._hear(told or [Failed(message)])

    async def _hear(self, told: Sequence[Heard]) -> bytes:
        out = b""
        for heard in told:
            match heard:
                case Said(text=text, thought=thought):
                    out += self._answer.say(text, thought=thought)
                case Used(usage=usage):
                    out += self._answer.use(usage)
                case Failed():
                    await self._fail(heard)
                    return out
                case Done():
                    out += self._answer.finish()
                    self._remember()
                    return out
        return out

    async def _fail(self, failed: Failed) -> None:
        """Begin anew where only the session is gone.

        Raises:
            Broken: with what it means otherwise.
        """
        errors = self._running().errors.decode("utf-8", "replace")
        message = self._transport.scrub(failed.message or errors)
        gone = process_failures.is_expired(message) or process_failures.is_expired(errors)
        if not (gone and self._plan.resumed and not self._answer.begun):
            raise process_failures.said(self._backend, message, failed.status)
        self._running().end()
        await self._running().ended()
        await self._start("", 0)

    def _remember(self) -> None:
        session = self._reader.session or self._plan.session
        if session and self._backend.resumes:
            name = name_after(self._backend, self._request, self._answer.text)
            self._lane.sessions.keep(name, session)

    def _too_slow(self) -> Broken:
        name, limit = self._backend.name, self._backend.timeout
        if _now() >= self._ends_at:
            return Broken(
                Kind.TIMEOUT,
                f"{name}: not done after {limit:g} seconds; raise backends.{name}.timeout",
            )
        return Broken(
            Kind.TIMEOUT,
            f"{name}: printed nothing for {self._patience:g} seconds; raise backends.{name}.timeout",
        )

    def _running(self) -> Child:
        if self._child is None:
            raise RuntimeError("the program was not started")
        return self._child


def _with_usage(request: Request) -> Request:
    return msgspec.structs.replace(request, include_usage=True)


def _now() -> float:
    return asyncio.get_running_loop().time()
