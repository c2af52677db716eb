"""The log: structlog set up once, the standard library's loggers rendered through it.

Secrets never pass: every line is scrubbed as text, after rendering, of the credentials that are
live and of whatever looks like one.
"""

import io
import logging
import os
import re
import sys
from collections.abc import Iterable, Mapping, MutableMapping
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import Any, Literal, TextIO
from urllib.parse import quote

import structlog

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
_HEAD = re.compile(r"(?i:Bearer)\s+|[?&]key=|")
"""What is kept of such a text."""
_SHORTEST = 6
"""A shorter "secret" is a placeholder, and would blot out ordinary words."""


def scrubbed(text: str, secrets: Iterable[str] = ()) -> str:
    """*text* without *secrets*, and without what has the form of one."""
    # The longest first: of a secret that begins with another one, the rest would stay.
    for secret in sorted(_spellings(secrets), key=len, reverse=True):
        text = text.replace(secret, "***")
    return _LOOKS_SECRET.sub(_without_secret, text)


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

    def _open(self) -> io.TextIOWrapper:
        handle = os.open(self.baseFilename, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        # A log line that cannot be encoded would be lost, and be printed with its secrets.
        return os.fdopen(handle, "a", encoding="utf-8", errors="backslashreplace")


_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def _harmless(_logger: object, _name: str, event: MutableMapping[str, Any]) -> Mapping[str, Any]:
    """*event* without control characters: what a client wrote must not drive our terminal."""
    return {
        name: _CONTROL.sub(lambda match: ascii(match[0])[1:-1], value)
        if isinstance(value, str)
        else value
        for name, value in event.items()
    }


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


def leave_out(secrets: Iterable[str]) -> None:
    """Have *secrets* left out of every line from now on, with those that are left out already."""
    _live.update(secrets)


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
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.StackInfoRenderer(),
        structlog.processors.format_exc_info,
    ]
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                *(() if journal else (structlog.processors.TimeStamper(fmt="iso", utc=True),)),
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                _harmless,
                _renderer(format, colours=not file and not journal and sys.stderr.isatty()),
                lambda _logger, _name, text: scrubbed(str(text), _live),
            ],
        )
    )
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
