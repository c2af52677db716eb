"""Startup, serve, shutdown."""

import asyncio
import errno
import signal
import ssl
import sys
from collections.abc import Callable
from pathlib import Path

import aiohttp
import structlog
from aiohttp import web

from proxypal_core import __version__, app
from proxypal_core.gateway.server import server
from proxypal_core.settings.schema import Settings

EXIT_ALREADY_RUNNING = 75
DRAIN = 30.0
"""Seconds that running answers may still take when the daemon is told to stop."""

log = structlog.get_logger(__name__)


class CannotListen(Exception):
    """The address could not be taken; ``exit_code`` is 75 when it is our own daemon's."""

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code


def run(settings: Settings, *, admin_key: str, ready: Callable[[str], None]) -> None:
    """Serve until SIGINT or SIGTERM; *ready* is called with the base URL once it answers."""
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        runner.run(serve(settings, admin_key=admin_key, ready=ready, stop=None))


async def serve(
    settings: Settings,
    *,
    admin_key: str,
    ready: Callable[[str], None],
    stop: asyncio.Event | None,
    clock: app.Clock | None = None,
) -> None:
    """Serve until *stop* is set, or a signal comes when it is None.

    Raises:
        CannotListen: the address is taken.
    """
    stopped = stop or _stop_on_signals()
    listen = settings.listen
    async with app.gateway(settings, admin_key=admin_key, clock=clock) as handler:
        runner = web.ServerRunner(server(handler), shutdown_timeout=DRAIN)
        await runner.setup()
        tls = _tls(listen.tls.cert, listen.tls.key)
        try:
            site = web.TCPSite(runner, listen.host, listen.port, ssl_context=tls)
            await site.start()
        except OSError as error:
            await runner.cleanup()
            raise await _cannot_listen(listen.host, listen.port, error) from None
        host, port = runner.addresses[0][:2]
        shown = f"[{host}]" if ":" in host else host
        ready(f"{'https' if tls else 'http'}://{shown}:{port}")
        try:
            await stopped.wait()
        finally:
            log.info("stopping", drain_seconds=DRAIN)
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


def _tls(cert: str, key: str) -> ssl.SSLContext | None:
    if not cert:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(Path(cert).expanduser(), Path(key).expanduser() if key else None)
    return context


async def _cannot_listen(host: str, port: int, error: OSError) -> CannotListen:
    if error.errno != errno.EADDRINUSE:
        return CannotListen(f"cannot listen on {host}:{port}: {error.strerror or error}", 1)
    if await _is_proxypal(host, port):
        return CannotListen(
            f"proxypal already runs on {host}:{port}. Stop it first, or choose another --port.",
            EXIT_ALREADY_RUNNING,
        )
    return CannotListen(
        f"port {port} on {host} is taken by another program. Stop it, or choose another --port.", 1
    )


async def _is_proxypal(host: str, port: int) -> bool:
    timeout = aiohttp.ClientTimeout(total=2)
    try:
        async with (
            aiohttp.ClientSession(timeout=timeout) as session,
            session.get(f"http://{host}:{port}/health", allow_redirects=False) as answer,
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
    accounts = len(settings.accounts)
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
            "Then add an account, such as: proxypal auth add-key anthropic, and start again.",
        ]
    return "\n".join(lines)
