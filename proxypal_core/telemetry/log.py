"""The log: structlog set up once, the standard library's loggers rendered through it.

Secrets never pass: every line is scrubbed as text, after rendering, of the credentials that are
live and of whatever looks like one.
"""

import asyncio
import atexit
import io
import logging
import os
import re
import sys
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from datetime import UTC, datetime
from functools import lru_cache
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import Any, Literal, TextIO, TypeAlias
from urllib.parse import quote

import msgspec
import structlog

from proxypal_core.metering import Shared, Summary
from proxypal_core.wire import jsonio

_PRIORITIES = {"critical": 2, "error": 3, "warning": 4, "info": 6, "debug": 7}
"""Syslog's, as ``sd-daemon(3)`` puts them before a line."""

# Every branch begins with a plain character, by which re finds its places ten times as fast.
_LOOKS_SECRET = re.compile(
    r"B(?<=\bB)(?i:earer)\s+[^\s\"'&]+|b(?<=\bb)(?i:earer)\s+[^\s\"'&]+"
    r"|\?key=[^\s\"'&]+|&key=[^\s\"'&]+"
    r"|s(?<=\bs)k-[A-Za-z0-9_-]{8,}|A(?<=\bA)Iza[A-Za-z0-9_-]{8,}"
    r"|e(?<=\be)yJ[A-Za-z0-9_-]{8,}(?:\.[A-Za-z0-9_-]+)*"
)
_SIGNS = ("bearer", "key=", "sk-", "aiza", "eyj")
"""Each such text has one of these in it, in small letters, which is found in less time."""
_HEAD = re.compile(r"(?i:Bearer)\s+|[?&]key=|")
"""What is kept of such a text."""
_SHORTEST = 6
"""A shorter "secret" is a placeholder, and would blot out ordinary words."""


def scrubbed(text: str, secrets: Iterable[str] = ()) -> str:
    """*text* without *secrets*, and without what has the form of one."""
    return Scrubber(secrets)(text)


class Scrubber:
    """Takes *secrets*, and what has the form of one, out of texts; however many there are, a text
    without any costs next to nothing.
    """

    def __init__(self, secrets: Iterable[str]) -> None:
        # The longest first: of a secret that begins with another one, the rest would stay.
        self._spellings = sorted(_spellings(secrets), key=len, reverse=True)
        self._suspects = _any_of({spelling[:_SHORTEST] for spelling in self._spellings})

    def __call__(self, text: str) -> str:
        if self._suspects is not None and self._suspects.search(text):
            for spelling in self._spellings:
                text = text.replace(spelling, "***")
        lower = text.lower()
        if any(sign in lower for sign in _SIGNS):
            text = _LOOKS_SECRET.sub(_without_secret, text)
        return text


def _any_of(beginnings: Collection[str]) -> re.Pattern[str] | None:
    """What finds any of *beginnings*; sorted by their first characters, which is where re looks."""
    if not beginnings:
        return None
    by_first: dict[str, list[str]] = {}
    for beginning in sorted(beginnings):
        by_first.setdefault(beginning[0], []).append(re.escape(beginning[1:]))
    return re.compile(
        "|".join(f"{re.escape(first)}(?:{'|'.join(rest)})" for first, rest in by_first.items())
    )


def _without_secret(found: re.Match[str]) -> str:
    head = _HEAD.match(found[0])
    return f"{head[0] if head else ''}***"


def _spellings(secrets: Iterable[str]) -> set[str]:
    """*secrets* as they stand in texts, in JSON, in a value's repr and in URLs."""
    return {
        spelling
        for secret in secrets
        if len(secret) >= _SHORTEST
        for spelling in (
            secret,
            jsonio.dumps_text(secret)[1:-1],
            repr(secret)[1:-1],
            quote(secret, safe=""),
        )
    }


class PrivateFile(RotatingFileHandler):
    """A rotated file that only its owner can read; one that is there keeps its mode."""

    _told = False

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 — logging's name
        """Say once that lines are lost, as on a full disk: logging itself would print each of them,
        unscrubbed, with a traceback.
        """
        if not self._told:
            self._told = True
            sys.stderr.write(f"{self.baseFilename} cannot be written: {sys.exception()}\n")

    def _open(self) -> io.TextIOWrapper:
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | getattr(os, "O_NOFOLLOW", 0)
        handle = os.open(self.baseFilename, flags, 0o600)
        # A log line that cannot be encoded would be lost, and be printed with its secrets.
        return os.fdopen(handle, "a", encoding="utf-8", errors="backslashreplace")


_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def _harmless(_logger: object, _name: str, event: Mapping[str, Any]) -> Mapping[str, Any]:
    """*event* without control characters: what a client wrote must not drive our terminal."""
    return {
        name: _CONTROL.sub(_spelt, value) if isinstance(value, str) else value
        for name, value in event.items()
    }


def _spelt(control: re.Match[str]) -> str:
    return ascii(control[0])[1:-1]


def _rendered(event: Mapping[str, Any], **_: Any) -> str:
    """*event* as JSON; what JSON has no word for, as its repr."""
    try:
        return jsonio.dumps_text(event)
    except TypeError:
        return jsonio.dumps_text({name: _json_or_repr(value) for name, value in event.items()})


def _json_or_repr(value: Any) -> Any:
    try:
        jsonio.dumps(value)
    except TypeError:
        return ascii(value)
    return value


_live: set[str] = set()
_scrub = Scrubber(())


def leave_out(secrets: Iterable[str]) -> None:
    """Have *secrets* left out of every line from now on, with those that are left out already."""
    global _scrub  # noqa: PLW0603 — the log is the process's
    new = set(secrets) - _live
    if new:
        _live.update(new)
        _scrub = Scrubber(_live)
        _text_layout.cache_clear()
        _json_layout.cache_clear()


class _Rendered(logging.LogRecord):
    """A line that is as it is to be written."""

    def __init__(self, line: str) -> None:
        # Nothing else is read of it; the rest takes as long as the line itself.
        self.msg = line
        self.levelno, self.levelname = logging.INFO, "INFO"


class _Formatter(structlog.stdlib.ProcessorFormatter):
    def format(self, record: logging.LogRecord) -> str:
        return str(record.msg) if type(record) is _Rendered else super().format(record)


def configure(
    *,
    level: str = "info",
    format: Literal["text", "json"] = "text",  # noqa: A002 — the setting's name
    file: str = "",
    max_bytes: int = 10 * 1024 * 1024,
    keep: int = 5,
    secrets: Iterable[str] = (),
) -> None:
    """Send the log of the whole process to standard error, or to *file*: another one is begun after
    *max_bytes*, and *keep* earlier ones are kept. May be called again, to change any of it.

    Raises:
        OSError: the file cannot be written, and nothing changed.
    """
    leave_out(secrets)
    journal = not file and to_journal(os.environ, sys.stderr)
    handler: logging.Handler
    if file:
        handler = PrivateFile(Path(file).expanduser(), maxBytes=max_bytes, backupCount=keep)
    elif journal:
        handler = JournalHandler(sys.stderr)
    else:
        handler = logging.StreamHandler(sys.stderr)
    colours = not file and not journal and sys.stderr.isatty()
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.StackInfoRenderer(),
        structlog.processors.format_exc_info,
    ]
    handler.setFormatter(
        _Formatter(
            foreign_pre_chain=shared,
            processors=[
                *(() if journal else (structlog.processors.TimeStamper(fmt="iso", utc=True),)),
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                _harmless,
                _renderer(format, colours=colours),
                lambda _logger, _name, text: _scrub(str(text)),
            ],
        )
    )
    handler.addFilter(_in_order)
    _write_lines()
    global _layout, _dated, _handler  # noqa: PLW0603 — the log is the process's
    _layout, _dated = None if colours else _LAYOUTS[format], not journal
    _handler = handler
    root = logging.getLogger()
    before, root.handlers[:] = root.handlers[:], [handler]
    for replaced in before:
        if isinstance(replaced, PrivateFile):
            replaced.close()
    root.setLevel(level.upper())
    structlog.configure(
        # The level is asked for at every line, so that it can change; all else is the handler's.
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )


def _renderer(form: str, *, colours: bool) -> Any:
    if form == "json":
        return structlog.processors.JSONRenderer(serializer=_rendered)
    return structlog.dev.ConsoleRenderer(
        colors=colours,
        exception_formatter=structlog.dev.plain_traceback,  # a rich one shows local variables
    )


# ── a line for every request ─────────────────────────────────────────────────────────────────

_WRITE_EVERY = 0.1
"""Seconds; what is lost when the process is killed."""
_TOGETHER = 200
"""Lines that are written without waiting so long."""
_ROOT = logging.getLogger()


def exchange(request_id: str, told: Summary, logger: str) -> None:
    """Log *told* of an exchange that has ended, in the name of *logger*: what structlog would write,
    in a tenth of its time. *request_id* is one of our own, which needs no scrubbing.
    """
    if _handler is None or _layout is None:
        structlog.get_logger(logger).info("exchange", id=request_id, **told.fields())
    elif _ROOT.isEnabledFor(logging.INFO):
        layout = _layout(told.shared, logger, _dated)
        _lines.append(layout % (_now(), request_id, told.seconds, told.tokens_in, told.tokens_out))
        if len(_lines) == 1:
            _write_soon()
        elif len(_lines) >= _TOGETHER:
            _write_lines()


def _write_soon() -> None:
    """Have the lines written in a moment; at once where there is no event loop."""
    try:
        asyncio.get_running_loop().call_later(_WRITE_EVERY, _write_lines)
    except RuntimeError:
        _write_lines()


@atexit.register
def _write_lines() -> None:
    """Those of all exchanges that ended within ``_WRITE_EVERY`` are one write."""
    if _lines and _handler is not None:
        _handler.handle(_Rendered("\n".join(_lines)))
    _lines.clear()


def _in_order(record: logging.LogRecord) -> bool:
    """Before any other line comes what is not written yet."""
    if type(record) is not _Rendered:
        _write_lines()
    return True


def _now() -> str:
    at = time.time()  # noqa: TID251 — the line's date is the system's
    second = int(at)
    return f"{_second(second)}.{str(int((at - second) * 1_000_000)).zfill(6)}Z"


@lru_cache(maxsize=1)
def _second(at: int) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%S")


_Layout: TypeAlias = Callable[[Shared, str, bool], str]
"""A line of which ``%`` fills in when it is written, the id, and what is the exchange's own: it is
given what the line shares with others, the logger's name, and whether lines are dated.
"""
_REMEMBERED = 256
"""Layouts, in which texts are scrubbed: most exchanges have all that is in them in common."""
_NO_DATE = "%.0s"
"""Takes the date, and writes nothing."""
_OWN = ("seconds", "tokens_in", "tokens_out")


@lru_cache(maxsize=_REMEMBERED)
def _text_layout(shared: Shared, logger: str, dated: bool) -> str:  # noqa: FBT001 — a key
    told = {name: _in_text(value) for name, value in msgspec.structs.asdict(shared).items()}
    told |= dict.fromkeys(("id", *_OWN), "%s")
    pairs = " ".join(f"{name}={told[name]}" for name in sorted(told))  # as ConsoleRenderer does
    return f"{'%s ' if dated else _NO_DATE}[info     ] {'exchange':30} [{logger}] {pairs}"


@lru_cache(maxsize=_REMEMBERED)
def _json_layout(shared: Shared, logger: str, dated: bool) -> str:  # noqa: FBT001 — a key
    told = {name: _in_json(value) for name, value in msgspec.structs.asdict(shared).items()}
    told = {"id": '"%s"'} | told | dict.fromkeys(_OWN, "%s")
    pairs = ",".join(f'"{name}":{value}' for name, value in told.items())
    date = '"timestamp":"%s",' if dated else _NO_DATE
    return f'{{{date}{pairs},"event":"exchange","level":"info","logger":"{logger}"}}'


_NEEDS_QUOTES = re.compile(r"[ \t=\r\n\"']")


def _in_text(value: str | int) -> str:
    text = _CONTROL.sub(_spelt, str(value))
    return _unfilled(repr(text) if _NEEDS_QUOTES.search(text) else text)


def _in_json(value: str | int) -> str:
    text = _CONTROL.sub(_spelt, value) if isinstance(value, str) else value
    return _unfilled(jsonio.dumps_text(text))


def _unfilled(text: str) -> str:
    """*text*, scrubbed, as ``%`` leaves it alone."""
    return _scrub(text).replace("%", "%%")


_LAYOUTS: Mapping[str, _Layout] = {"text": _text_layout, "json": _json_layout}
_layout: _Layout | None = None
"""How such a line is written; None where there are colours, which is left to structlog."""
_dated = True
_handler: logging.Handler | None = None
_lines: list[str] = []
"""Lines that are not written yet."""


# ── the journal ──────────────────────────────────────────────────────────────────────────────


def to_journal(environment: Mapping[str, str], stream: TextIO) -> bool:
    """Whether *stream* leads straight to systemd's journal, which dates lines by itself, and takes
    their priority from a prefix (``systemd.exec(5)``: ``JOURNAL_STREAM`` is its device and inode).
    """
    try:
        state = os.fstat(stream.fileno())
    except (OSError, ValueError):
        return False
    return environment.get("JOURNAL_STREAM") == f"{state.st_dev}:{state.st_ino}"


class JournalHandler(logging.StreamHandler[TextIO]):
    """Each line with its priority before it; a traceback would lose it after the first."""

    def format(self, record: logging.LogRecord) -> str:
        prefix = f"<{_PRIORITIES.get(record.levelname.lower(), 6)}>"
        return "\n".join(prefix + line for line in super().format(record).splitlines())
