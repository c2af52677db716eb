"""Startup, serve, shutdown."""

import asyncio
import errno
import gc
import os
import sys
from collections.abc import Callable, Coroutine, Iterable
from contextlib import closing, nullcontext
from pathlib import Path
from typing import NamedTuple

import structlog
from aiohttp import web

from proxypal_core import __version__, app
from proxypal_core.daemon import drain, notify
from proxypal_core.daemon import lock as locks
from proxypal_core.daemon.certificate import Certificate
from proxypal_core.daemon.limits import (
    leave_no_core,
    memory_watch,
    most_connections,
    raise_file_limit,
)
from proxypal_core.daemon.lock import Lock
from proxypal_core.daemon.loop_errors import LoopErrors
from proxypal_core.daemon.notify import Supervisor
from proxypal_core.daemon.orders import Orders, orders
from proxypal_core.daemon.port_owner import owner
from proxypal_core.daemon.reach import base_url, is_proxypal, reachable
from proxypal_core.daemon.reload import Follower, Sources, Unreadable
from proxypal_core.daemon.site import BACKLOG, Site
from proxypal_core.daemon.worker import Worker
from proxypal_core.gateway.guard import Limits
from proxypal_core.gateway.owned import Files
from proxypal_core.gateway.server import Server, server
from proxypal_core.settings.schema import Listen, Settings, Tls
from proxypal_core.telemetry import log as telemetry
from proxypal_core.upstream.refresh import Profiles

EXIT_FAILED = 1
EXIT_ALREADY_RUNNING = 75
EXIT_BAD_SETTINGS = 78
DRAIN = 30.0
"""Seconds that running answers may still take when the daemon is told to stop."""
_CUT = 0.1
"""Seconds that aiohttp waits, after ours, before it cuts who is left; 0 would mean for ever."""

log = structlog.get_logger(__name__)


class CannotStart(Exception):
    """The address or the data directory could not be taken; ``exit_code`` is 75 when a daemon of ours
    has it, 78 when the settings are to blame.
    """

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code


class Place(NamedTuple):
    """Where a daemon keeps what must outlive it, the logins that it keeps fresh, the files that
    it looks at for changes of its settings, and those that its owner may change through it. With
    none of them it forgets all at its end.
    """

    data_dir: Path | None = None
    profiles: Profiles | None = None
    sources: Sources | None = None
    files: Files | None = None


NOWHERE = Place()


def run(
    settings: Settings,
    *,
    admin_key: str,
    place: Place,
    ready: Callable[[str], None],
    worker: Worker | None = None,
) -> None:
    """Serve until SIGINT or SIGTERM; *ready* is called with the base URL once it answers. With
    *worker*, as that one of several.

    Raises:
        CannotStart: as ``serve``.
    """
    raise_file_limit()
    leave_no_core()

    def settled(url: str) -> None:
        gc.freeze()  # what is there now stays: it is searched for garbage no more
        ready(url)

    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        runner.run(
            serve(
                settings,
                admin_key=admin_key,
                place=place,
                ready=settled,
                stop=None,
                worker=worker,
            )
        )


async def serve(
    settings: Settings,
    *,
    admin_key: str,
    ready: Callable[[str], None],
    stop: asyncio.Event | None,
    clock: app.Clock | None = None,
    place: Place = NOWHERE,
    worker: Worker | None = None,
) -> None:
    """Serve until *stop* is set, or a signal comes when it is None. A *worker* leaves the lock of the
    data directory to the process above.

    Raises:
        CannotStart: another daemon has the data directory, the address is taken, or the certificate
            cannot be used.
    """
    asyncio.get_running_loop().set_exception_handler(LoopErrors())
    given = orders(stop)
    supervisor = notify.of_this_process()
    certificate = _certificate(settings.listen.tls)
    if worker:
        worker.end_with_parent(given)
    alone = worker is None and place.data_dir
    lock = locked(alone, reachable(settings.listen)) if alone else None
    with closing(lock) if lock else nullcontext():
        async with (
            app.meanwhile(supervisor.watch()),
            app.meanwhile(certificate.follow() if certificate else None),
            app.gateway(
                settings,
                admin_key=admin_key,
                clock=clock,
                data_dir=place.data_dir,
                profiles=place.profiles,
                files=place.files,
            ) as served,
            worker.among_others(served.handler)
            if worker
            else nullcontext(served.handler) as handler,
        ):
            limits = Limits(connections=most_connections())
            guarded = server(handler, limits, memory_watch(processes=worker.count if worker else 1))
            runner = web.ServerRunner(guarded, shutdown_timeout=_CUT)
            await runner.setup()
            try:
                url = await _listening(runner, settings.listen, certificate, shared=bool(worker))
                if lock:
                    lock.note(url)
                ready(url)
                supervisor.ready(f"listens on {url}")
                async with app.meanwhile(_following(served, settings, place, given, supervisor)):
                    await given.stop.wait()
                for _ in range(BACKLOG):  # a turn takes one of those that the system has let in
                    await asyncio.sleep(0)
                answering = len(guarded.answering)
                log.info("stopping", requests=answering, drain_seconds=DRAIN)
                supervisor.stopping(f"requests to finish: {answering}")
                served.handler.close()
                await _end(runner, guarded, given)
            finally:
                await runner.cleanup()


def locked(folder: Path, url: str) -> Lock:
    """The lock of the data directory *folder*, for who is about to answer at *url*.

    Raises:
        CannotStart: another daemon has it, or it cannot be written.
    """
    try:
        return locks.take(folder, url)
    except locks.Taken as taken:
        raise CannotStart(
            f"proxypal already runs: {taken.holder} has the data in {folder}. Stop it first, or"
            " name another folder with PROXYPAL_DATA_DIR.",
            EXIT_ALREADY_RUNNING,
        ) from None
    except OSError as error:
        raise CannotStart(
            f"cannot write in the data directory {folder}: {error.strerror or error}. Name another"
            " with PROXYPAL_DATA_DIR.",
            EXIT_FAILED,
        ) from None


def _following(
    served: app.Served, settings: Settings, place: Place, given: Orders, supervisor: Supervisor
) -> Coroutine[None, None, None] | None:
    """What has *served* go by the files of *place*, whenever they change or it is *given*."""
    if place.sources is None:
        return None

    def apply(changed: Settings) -> None:
        try:
            open_log(changed)
        except OSError as error:
            reason = error.strerror or error
            raise Unreadable(f"logging.file: cannot write {error.filename}: {reason}") from None
        served.reload(changed)

    return Follower(
        sources=place.sources,
        running=settings,
        apply=apply,
        asked=given.reload,
        supervisor=supervisor,
    ).run()


def open_log(settings: Settings, secrets: Iterable[str] = ()) -> None:
    """Log as *settings* want it, from now on, and leave *secrets* out.

    Raises:
        OSError: the file cannot be written.
    """
    wanted = settings.logging
    telemetry.configure(
        level=wanted.level,
        format=wanted.format,
        file=wanted.file,
        max_bytes=wanted.max_bytes,
        keep=wanted.keep,
        secrets=secrets,
    )


async def _listening(
    runner: web.ServerRunner, listen: Listen, certificate: Certificate | None, *, shared: bool
) -> str:
    """The base URL, once *runner* listens there; *shared* with other processes of ours."""
    tls = certificate.context if certificate else None
    try:
        site = Site(runner, listen.host, listen.port, ssl_context=tls, reuse_port=shared or None)
        await site.start()
    except OSError as error:
        raise await cannot_listen(listen, error) from None
    host, port = runner.addresses[0][:2]
    return base_url(host, port, tls=tls is not None)


async def _end(runner: web.ServerRunner, guarded: Server, given: Orders) -> None:
    for site in runner.sites:
        await site.stop()
    await drain.finish(guarded, DRAIN, given.now)


def _certificate(tls: Tls) -> Certificate | None:
    if not tls.cert:
        return None
    try:
        return Certificate(tls)
    except OSError as error:
        reason = error.strerror or error
        raise CannotStart(
            f"listen.tls: {tls.cert} with the key {tls.key} cannot be used: {reason}. Name a"
            " certificate and its key, both in PEM, the key without a password.",
            EXIT_BAD_SETTINGS,
        ) from None


async def cannot_listen(listen: Listen, error: OSError) -> CannotStart:
    """What to say of *error*, which came of listening at *listen*."""
    host, port = listen.host, listen.port
    if error.errno != errno.EADDRINUSE:
        reason = os.strerror(error.errno) if error.errno else error  # asyncio's repeats the address
        return CannotStart(
            f"cannot listen on {host}:{port}: {reason}. Choose another --host or --port.",
            EXIT_FAILED,
        )
    by = owner(host, port)
    if await asyncio.to_thread(is_proxypal, listen):
        return CannotStart(
            f"proxypal already runs on {host}:{port}{f', as {by}' if by else ''}. Stop it first, or"
            " choose another --port.",
            EXIT_ALREADY_RUNNING,
        )
    return CannotStart(
        f"port {port} on {host} is taken by {by or 'another program'}. Stop it, or choose another"
        " --port.",
        EXIT_FAILED,
    )


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """The event loop of uvloop where it is installed: a tenth less work a request, and a better tail."""
    if sys.platform == "win32":
        return None
    try:
        import uvloop  # noqa: PLC0415 — an extra
    except ImportError:
        return None
    factory: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
    return factory


def banner(url: str, settings: Settings, config: Path | None) -> str:
    """What a person sees when the daemon is ready."""
    accounts = len(app.accounts_of(settings)) - 1  # without the demo's own
    lines = [
        f"proxypal {__version__} listens on {url}",
        f"settings: {config or 'defaults (no file)'}",
    ]
    if accounts:
        lines.append(f"accounts: {accounts}, and the built-in demo")
    else:
        lines += [
            "accounts: none yet, so only the built-in demo answers. Try it:",
            f"  curl -N {url}/v1/chat/completions -H 'content-type: application/json' \\",
            """    -d '{"model":"demo","stream":true,"messages":[{"role":"user","content":"Hello!"}]}'""",
            "Then add an account, such as: proxypal auth add-key anthropic.",
        ]
    return "\n".join(lines)
