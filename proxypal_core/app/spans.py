"""Spans, where the settings name a place for them. Without it, nothing of theirs is imported."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Protocol

import structlog

from proxypal_core import __version__
from proxypal_core.metering import Record
from proxypal_core.providers.provider import Provider
from proxypal_core.settings.schema import Settings

log = structlog.get_logger(__name__)


class Spans(Protocol):
    """As ``telemetry.spans`` has it."""

    provider_of: Callable[[str], Provider | None]

    def note(self, record: Record, /) -> None: ...


@asynccontextmanager
async def spans_of(settings: Settings) -> AsyncIterator[Spans | None]:
    """What makes spans of requests; None where the settings want none, or the extra is missing."""
    endpoint = settings.telemetry.otlp_endpoint
    if not endpoint:
        yield None
        return
    try:
        from proxypal_core.telemetry import spans  # noqa: PLC0415 — an extra
    except ImportError as error:
        log.error(  # noqa: TRY400 — where the import is, helps nobody
            "telemetry.otlp_endpoint has no effect: the extra is not installed;"
            ' pip install "proxypal-core[otel]"',
            missing=error.name,
        )
        yield None
        return
    made = spans.Spans(spans.exporter(endpoint), lambda _: None, __version__)
    try:
        yield made
    finally:
        await asyncio.to_thread(made.close)
