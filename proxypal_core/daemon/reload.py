"""A running daemon sees what commands and editors change: the settings file and the vault."""

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Iterable
from pathlib import Path

import msgspec
import structlog

from proxypal_core.settings.reading import SettingsError
from proxypal_core.settings.schema import Settings

INTERVAL = 1.0
"""Seconds between two looks at the files."""
NEEDS_RESTART = (
    "listen",
    "logging",
    "media",
    "state",
    "telemetry",
    "timeouts.connect",
    "routing.affinity_ttl",
    "routing.session_affinity",
    "routing.queue_timeout",
    "vault",
)
"""Settings that are read once, when the daemon starts."""

log = structlog.get_logger(__name__)


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


async def follow(
    sources: Sources,
    running: Settings,
    apply: Callable[[Settings], None],
    *,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> None:
    """Apply what *sources* say whenever it has changed, for ever. What cannot be used is told once
    and changes nothing.
    """
    loop = asyncio.get_running_loop()
    seen = sources.signature()
    while True:
        await sleep(INTERVAL)
        now = sources.signature()
        if now == seen:
            continue
        seen = now
        settings, problem = await loop.run_in_executor(None, _loaded, sources)
        if settings is None:
            log.error("settings not reloaded; the daemon goes on with the old", problem=problem)
            continue
        apply(settings)
        log.info("settings reloaded", accounts=len(settings.accounts))
        for path in changed(NEEDS_RESTART, running, settings):
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
