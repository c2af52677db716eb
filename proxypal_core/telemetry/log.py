"""The log: structlog set up once, the standard library's loggers rendered through it.

Secrets never pass: every line is scrubbed as text, after rendering, of the credentials that are
live and of whatever looks like one.
"""

import logging
import re
import sys
from collections.abc import Iterable
from logging.handlers import RotatingFileHandler
from typing import Any, Literal

import structlog

from proxypal_core.wire import jsonio

FILE_BYTES = 10 * 1024 * 1024
FILES_KEPT = 5

_LOOKS_SECRET = re.compile(
    r"(?P<head>\bBearer\s+|[?&]key=)[^\s\"'&]+"
    r"|\bsk-[A-Za-z0-9_-]{8,}|\bAIza[A-Za-z0-9_-]{8,}|\beyJ[A-Za-z0-9_-]{8,}(?:\.[A-Za-z0-9_-]+)*"
)
_SHORTEST = 6
"""A shorter "secret" is a placeholder, and would blot out ordinary words."""


def scrubbed(text: str, secrets: Iterable[str] = ()) -> str:
    """*text* without *secrets*, and without what has the form of one."""
    for secret in secrets:
        if len(secret) >= _SHORTEST:
            text = text.replace(secret, "***")
    return _LOOKS_SECRET.sub(lambda match: (match["head"] or "") + "***", text)


def configure(
    *,
    level: str = "info",
    format: Literal["text", "json"] = "text",  # noqa: A002 — the setting's name
    file: str = "",
    secrets: Iterable[str] = (),
) -> None:
    """Send the log to standard error, or to *file* (rotated), once for the process."""
    live = frozenset(secrets)
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
        render = structlog.processors.JSONRenderer(
            serializer=lambda value, **_: jsonio.dumps_text(value)
        )
    else:
        render = structlog.dev.ConsoleRenderer(colors=not file and sys.stderr.isatty())
    handler: logging.Handler = (
        RotatingFileHandler(file, maxBytes=FILE_BYTES, backupCount=FILES_KEPT, encoding="utf-8")
        if file
        else logging.StreamHandler(sys.stderr)
    )
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                render,
                lambda _logger, _name, text: scrubbed(str(text), live),
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
