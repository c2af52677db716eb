"""Startup, serve, shutdown."""

import asyncio
import errno
import signal
import ssl
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import aiohttp
import structlog
from aiohttp import web

from proxypal_core import __version__, app
from proxypal_core.daemon.reload import Sources, follow
from proxypal_core.gateway.owned import Files
from proxypal_core.gateway.server import server
from proxypal_core.settings.schema import Listen, Settings, Tls
from proxypal_core.upstream.refresh import Profiles

EXIT_FAILED = 1
EXIT_ALREADY_RUNNING = 75
EXIT_BAD_SETTINGS = 78
DRAIN = 30.0
"""Seconds that running answers may still take when the daemon is told to stop."""

log = structlog.get_logger(__name__)


class CannotListen(Exception):
    """The address could not be taken; ``exit_code`` is 75 when it is our own daemon's, 78 when the
    settings are to blame.
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


def run(settings: Settings, *, admin_key: str, place: Place, ready: Callable[[str], None]) -> None:
    """Serve until SIGINT or SIGTERM; *ready* is called with the base URL once it answers."""
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        runner.run(serve(settings, admin_key=admin_key, place=place, ready=ready, stop=None))


async def serve(
    settings: Settings,
    *,
    admin_key: str,
    ready: Callable[[str], None],
    stop: asyncio.Event | None,
    clock: app.Clock | None = None,
    place: Place = NOWHERE,
) -> None:
    """Serve until *stop* is set, or a signal comes when it is None.

    Raises:
        CannotListen: the address is taken, or the certificate cannot be used.
    """
    stopped = stop or _stop_on_signals()
    listen = settings.listen
    tls = _tls(listen.tls)
    async with app.gateway(
        settings,
        admin_key=admin_key,
        clock=clock,
        data_dir=place.data_dir,
        profiles=place.profiles,
        files=place.files,
    ) as served:
        # aiohttp waits that long twice: for the answer, then for the handler.
        runner = web.ServerRunner(server(served.handler), shutdown_timeout=DRAIN / 2)
        await runner.setup()
        try:
            site = web.TCPSite(runner, listen.host, listen.port, ssl_context=tls)
            await site.start()
        except OSError as error:
            await runner.cleanup()
            raise await _cannot_listen(listen, error) from None
        host, port = runner.addresses[0][:2]
        ready(_url(host, port, tls=tls is not None))
        following = follow(place.sources, settings, served.reload) if place.sources else None
        try:
            async with app.meanwhile(following):
                await stopped.wait()
        finally:
            log.info("stopping", drain_seconds=DRAIN)
            served.handler.close()
            await runner.cleanup()


def _stop_on_signals() -> asyncio.Event:
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for name in (signal.SIGINT, signal.SIGTERM):
        try:
            loop.add_signal_handler(name, stopped.set)
        except NotImplementedError:  # Windows' loop has none
            signal.signal(name, lambda *_: loop.call_soon_threadsafe(stopped.set))
    return stopped


def reachable(listen: Listen) -> str:
    """The base URL at which this machine's own programs find a daemon that listens on *listen*."""
    host = _ALL_INTERFACES.get(listen.host, listen.host)
    return _url(host, listen.port, tls=bool(listen.tls.cert))


_ALL_INTERFACES = {"0.0.0.0": "127.0.0.1", "::": "::1"}


def _url(host: str, port: int, *, tls: bool) -> str:
    shown = f"[{host}]" if ":" in host else host
    return f"{'https' if tls else 'http'}://{shown}:{port}"


def _tls(tls: Tls) -> ssl.SSLContext | None:
    if not tls.cert:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    cert, key = Path(tls.cert).expanduser(), Path(tls.key).expanduser()
    try:
        # With a password, even an empty one, OpenSSL does not ask for it on the terminal.
        context.load_cert_chain(cert, key, password="")
    except OSError as error:
        reason = error.strerror or error
        raise CannotListen(
            f"listen.tls: {cert} with the key {key} cannot be used: {reason}", EXIT_BAD_SETTINGS
        ) from None
    return context


async def _cannot_listen(listen: Listen, error: OSError) -> CannotListen:
    host, port = listen.host, listen.port
    if error.errno != errno.EADDRINUSE:
        reason = error.strerror or error
        return CannotListen(f"cannot listen on {host}:{port}: {reason}", EXIT_FAILED)
    if await is_proxypal(listen):
        return CannotListen(
            f"proxypal already runs on {host}:{port}. Stop it first, or choose another --port.",
            EXIT_ALREADY_RUNNING,
        )
    return CannotListen(
        f"port {port} on {host} is taken by another program. Stop it, or choose another --port.",
        EXIT_FAILED,
    )


async def is_proxypal(listen: Listen) -> bool:
    """Whether a daemon of ours answers at *listen*."""
    timeout = aiohttp.ClientTimeout(total=2)
    try:
        async with (
            aiohttp.ClientSession(timeout=timeout) as session,
            # Only its name is asked for, so it does not matter whose certificate it shows.
            session.get(f"{reachable(listen)}/health", allow_redirects=False, ssl=False) as answer,
        ):
            return '"proxypal"' in await answer.text()
    except (aiohttp.ClientError, OSError, TimeoutError, UnicodeDecodeError):
        return False


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
