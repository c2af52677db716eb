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
from typing import Any, Literal
from urllib.parse import quote

import structlog

from proxypal_core.wire import jsonio

FILE_BYTES = 10 * 1024 * 1024
FILES_KEPT = 5

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
    secrets: Iterable[str] = (),
) -> None:
    """Send the log to standard error, or to *file* (rotated), once for the process.

    Raises:
        OSError: the file cannot be written.
    """
    leave_out(secrets)
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
        structlog.processors.format_exc_info,
    ]
    render: Any
    if format == "json":
        render = structlog.processors.JSONRenderer(serializer=_rendered)
    else:
        render = structlog.dev.ConsoleRenderer(
            colors=not file and sys.stderr.isatty(),
            exception_formatter=structlog.dev.plain_traceback,  # a rich one shows local variables
        )
    handler: logging.Handler = (
        PrivateFile(Path(file).expanduser(), maxBytes=FILE_BYTES, backupCount=FILES_KEPT)
        if file
        else logging.StreamHandler(sys.stderr)
    )
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                _harmless,
                render,
                lambda _logger, _name, text: scrubbed(str(text), _live),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelName(level.upper())),
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
