"""The certificate that we show: read when the daemon starts, and anew when it was renewed on disk."""

import asyncio
import ssl
from collections.abc import Awaitable, Callable, Hashable
from pathlib import Path

import structlog

from proxypal_core.settings.schema import Tls

INTERVAL = 60.0
"""Seconds between two looks at the files; certificates are renewed days before they end."""

log = structlog.get_logger(__name__)


class Certificate:
    """The certificate and key of *tls*, in a ``context`` for servers."""

    def __init__(self, tls: Tls) -> None:
        """Raises:
        OSError: they cannot be used.
        """
        self.cert, self.key = Path(tls.cert).expanduser(), Path(tls.key).expanduser()
        self._seen = self._signature()
        self.context = self._loaded(ssl.create_default_context(ssl.Purpose.CLIENT_AUTH))

    async def follow(self, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        """Show what the files hold whenever that has changed, for ever. Connections that are open
        keep what they were shown; what cannot be used is told once and changes nothing.
        """
        while True:
            await sleep(INTERVAL)
            now = self._signature()
            if now == self._seen:
                continue
            self._seen = now
            try:
                # First elsewhere: a key that does not fit would leave the context without one.
                self._loaded(ssl.create_default_context(ssl.Purpose.CLIENT_AUTH))
                self._loaded(self.context)
            except OSError as error:
                log.error(  # noqa: TRY400 — the reason is all there is to say
                    "listen.tls: not reloaded; the daemon goes on with the old certificate",
                    cert=str(self.cert),
                    problem=error.strerror or str(error),
                )
            else:
                log.info("certificate reloaded", cert=str(self.cert))

    def _loaded(self, context: ssl.SSLContext) -> ssl.SSLContext:
        # With a password, even an empty one, OpenSSL does not ask for it on the terminal.
        context.load_cert_chain(self.cert, self.key, password="")
        return context

    def _signature(self) -> Hashable:
        return tuple(_changed(path) for path in (self.cert, self.key))


def _changed(path: Path) -> Hashable:
    """What changes when the file at *path* does; links, as certbot makes them, are followed."""
    try:
        found = path.stat()
    except OSError as error:
        return error.errno
    return (found.st_mtime_ns, found.st_size, found.st_ino)
