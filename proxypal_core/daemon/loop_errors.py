"""What the event loop could give to nobody, in the log.

asyncio would log exceptions with their words, and callbacks with their arguments: a header with a key
in it may be among them. It would also log the same thing as often as it happens.
"""

import asyncio
import traceback
from typing import Any

import structlog

SILENCE = 60.0
"""Seconds in which the same thing is told once."""

log = structlog.get_logger(__name__)


class LoopErrors:
    """For ``loop.set_exception_handler``: one line with the kind of the exception and where it was
    raised.
    """

    def __init__(self) -> None:
        self._silent_until: dict[tuple[str, str, str], float] = {}

    def __call__(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        exception = context.get("exception")
        what = (_message(context), type(exception).__name__, _place(exception))
        now = loop.time()
        if now >= self._silent_until.get(what, now):
            self._silent_until[what] = now + SILENCE
            log.error(what[0], error=what[1], at=what[2])


def _message(context: dict[str, Any]) -> str:
    """The words of asyncio. Of a failed callback they say the arguments, so they are left out."""
    message = str(context.get("message") or "unhandled exception in the event loop")
    return "a callback failed" if "handle" in context else message


def _place(exception: BaseException | None) -> str:
    frames = traceback.extract_tb(exception.__traceback__) if exception else []
    return f"{frames[-1].filename}:{frames[-1].lineno}" if frames else ""
