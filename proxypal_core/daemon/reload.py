"""A running daemon sees what commands and editors change: the settings file and the vault.

It looks at them once a second (docs/decisions/0019-service.md says why), and at once on SIGHUP.
"""

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Iterable
from contextlib import suppress
from pathlib import Path

import msgspec
import structlog

from proxypal_core.daemon.notify import NOBODY, Supervisor
from proxypal_core.settings.reading import SettingsError
from proxypal_core.settings.schema import Settings

INTERVAL = 1.0
"""Seconds between two looks at the files."""
SETTLED = 0.1
"""Seconds without a change after which a file counts as written: many editors empty it first."""
NEEDS_RESTART = (
    "listen",
    "media",
    "network.ca_file",
    "state",
    "telemetry",
    "timeouts.connect",
    "routing.affinity_ttl",
    "routing.session_affinity",
    "routing.queue_timeout",
    "vault",
)
"""Settings that are read once, when the daemon starts."""

_REFUSED = "settings not reloaded; the daemon goes on with the old"

log = structlog.get_logger(__name__)


async def _wait(event: Awaitable[object], seconds: float) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):  # wait_for() of Python 3.11 may lose a cancellation
            await event


class Unreadable(Exception):
    """The files cannot be used as they are now; the message says why."""


class Sources(msgspec.Struct, frozen=True):
    """Where settings come from: the files that make them, and how they are read."""

    files: tuple[Path, ...]
    load: Callable[[], Settings]
    """Raises SettingsError or Unreadable."""

    def signature(self) -> Hashable:
        """What changes when a file does."""
        return tuple(map(_signature, self.files))


class Follower(msgspec.Struct, kw_only=True):
    """Has what *sources* say applied whenever it has changed, whole or not at all: what cannot be used
    is told once and changes nothing.
    """

    sources: Sources
    running: Settings
    """What is applied now."""
    apply: Callable[[Settings], None]
    """Raises Unreadable, having done nothing."""
    asked: asyncio.Event = msgspec.field(default_factory=asyncio.Event)
    """Set by who wants the files read now, whether they have changed or not."""
    supervisor: Supervisor = NOBODY
    wait: Callable[[Awaitable[object], float], Awaitable[None]] = _wait
    """Waits for the first of an awaitable and a number of seconds."""

    async def run(self) -> None:
        """Look again and again, for ever."""
        started = self.running
        seen = self.sources.signature()
        while True:
            await self.wait(self.asked.wait(), INTERVAL)
            if self.asked.is_set():
                self.asked.clear()
                now = self.sources.signature()
            else:
                now = await self._changed_from(seen)
            if now is None:
                continue
            seen = now
            self.supervisor.reloading()
            await self._reload(started)
            self.supervisor.ready()

    async def _changed_from(self, seen: Hashable) -> Hashable | None:
        """The signature of the sources, once it stays the same; None if it still is as *seen*."""
        now = self.sources.signature()
        while now != seen:
            before = now
            await self.wait(asyncio.Event().wait(), SETTLED)
            now = self.sources.signature()
            if now == before:
                return now
        return None

    async def _reload(self, started: Settings) -> None:
        loop = asyncio.get_running_loop()
        settings, problem = await loop.run_in_executor(None, _loaded, self.sources)
        if settings is None:
            log.error(_REFUSED, problem=problem)
            return
        try:
            self.apply(settings)
        except Unreadable as error:
            log.error(_REFUSED, problem=str(error))  # noqa: TRY400 — the message says it all
            return
        except Exception:  # whatever it is, half of them must not stay
            log.exception(_REFUSED)
            self.apply(self.running)
            return
        self.running = settings
        log.info("settings reloaded", accounts=len(settings.accounts))
        for path in changed(NEEDS_RESTART, started, settings):
            log.warning("changed, but takes effect only after a restart", setting=path)


def _loaded(sources: Sources) -> tuple[Settings | None, str]:
    """The settings, or what is wrong with them."""
    try:
        return sources.load(), ""
    except SettingsError as error:
        return None, "; ".join(str(problem) for problem in error.problems)
    except (Unreadable, OSError) as error:
        return None, str(error)


def changed(paths: Iterable[str], before: Settings, after: Settings) -> list[str]:
    """Those of *paths* whose settings differ."""
    return [path for path in paths if _at(before, path) != _at(after, path)]


def _at(settings: Settings, path: str) -> object:
    value: object = settings
    for name in path.split("."):
        value = getattr(value, name)
    return value


def _signature(path: Path) -> Hashable:
    try:
        found = path.stat()
    except OSError as error:
        return error.errno
    return (found.st_mtime_ns, found.st_size, found.st_ino)
