"""``proxypal top``: the running daemon, live in a terminal.

The picture is drawn anew when the event feed says that something happened, and once a second for
the countdowns. It is a handful of lines, so ANSI's own sequences do.
"""

import asyncio
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any, NamedTuple, TypeAlias

import aiohttp
import click
from aiohttp_sse_client.client import EventSource

from proxypal_core.app import meanwhile
from proxypal_core.cli import daemon_session, standing
from proxypal_core.cli.accounts import config_option, fail
from proxypal_core.cli.daemon_api import Refusal
from proxypal_core.cli.loading import settings_or_exit
from proxypal_core.cli.standing import plain
from proxypal_core.daemon.reach import reachable
from proxypal_core.settings.schema import Settings
from proxypal_core.wire import jsonio
from proxypal_core.wire.countdown import countdown

EVERY = 1.0
"""Seconds between two pictures while nothing happens."""
SETTLED = 0.3
"""Seconds from an event to the picture of it: requests are written four times a second."""
ROWS = 15
"""Requests that are shown where there is no window that says how many fit."""
_MOST_ROWS = 100
_PLATFORM: str = sys.platform

_STYLES = {"good": "32", "warn": "33", "bad": "31", "off": "2", "bold": "1", "": "0"}

Line: TypeAlias = list[tuple[str, str]]
"""Pieces of a line, each a style's name and its text."""


class _NobodyThere(Exception):
    """No daemon answers."""


class Picture(NamedTuple):
    """What the daemon says: its state, today's usage in all, its last requests."""

    state: Mapping[str, Any]
    today: Mapping[str, Any]
    requests: Sequence[Mapping[str, Any]]


@click.command()
@click.option("--once", is_flag=True, help="Print one picture, and end.")
@click.option("--json", "as_json", is_flag=True, help="Print what it is made of, and end.")
@config_option
def top(once: bool, as_json: bool, config: str | None) -> None:  # noqa: FBT001 — click's
    """Show accounts, today's totals and the last requests, live; q ends it."""
    settings = settings_or_exit(config)
    show = _live if sys.stdout.isatty() and not once and not as_json else partial(_once, as_json)
    try:
        asyncio.run(show(settings))
    except KeyboardInterrupt:
        pass
    except Refusal as refusal:
        fail(f"The daemon at {reachable(settings.listen)} refuses: {refusal}")
    except _NobodyThere:
        fail(f"No daemon answers at {reachable(settings.listen)}. Start it first: proxypal serve")


async def _once(as_json: bool, settings: Settings) -> None:  # noqa: FBT001 — the command's own flag
    async with daemon_session.session(settings) as daemon:
        picture = await _asked(daemon, ROWS)
    if picture is None:
        raise _NobodyThere
    if as_json:
        click.echo(jsonio.dumps_pretty(picture._asdict()))
        return
    for line in frame(picture):
        click.echo("".join(text for _, text in line).rstrip())


async def _live(settings: Settings) -> None:
    async with daemon_session.session(settings) as daemon:
        picture = await _asked(daemon, _MOST_ROWS)
        if picture is None:
            raise _NobodyThere
        woken, ended = asyncio.Event(), asyncio.Event()

        def end() -> None:
            ended.set()
            woken.set()

        with _screen(), _keys({"q": end}):
            async with meanwhile(_follow(daemon, woken)):
                found: Picture | None = picture
                while not ended.is_set():
                    picture = found or picture
                    _draw(frame(picture, gone=found is None))
                    await _next(woken)
                    found = await _asked(daemon, _MOST_ROWS)


async def _next(woken: asyncio.Event) -> None:
    """Return when it is time for another picture."""
    with suppress(TimeoutError):
        async with asyncio.timeout(EVERY):
            await woken.wait()
            woken.clear()
            await asyncio.sleep(SETTLED)


async def _asked(daemon: aiohttp.ClientSession, rows: int) -> Picture | None:
    """None when no daemon answers."""
    state = await daemon_session.ask(daemon, "/api/state")
    if state is None:
        return None
    since = f"{standing.midnight(state['now']):.0f}"
    used = await daemon_session.ask(daemon, "/api/usage", query={"by": "provider", "since": since})
    last = await daemon_session.ask(daemon, "/api/requests", query={"limit": str(rows)})
    if used is None or last is None:
        return None
    return Picture(state, used["total"], last["requests"])


async def _follow(daemon: aiohttp.ClientSession, woken: asyncio.Event) -> None:
    """Have *woken* set whenever the feed tells something, for ever."""
    forever = aiohttp.ClientTimeout(total=None)
    while True:
        with suppress(aiohttp.ClientError, ConnectionError):
            async with EventSource(
                "/api/events", session=daemon, max_connect_retry=0, timeout=forever
            ) as events:
                async for _ in events:
                    woken.set()
        await asyncio.sleep(EVERY)


# ── the picture ──────────────────────────────────────────────────────────────────────────────


def frame(picture: Picture, *, gone: bool = False) -> Sequence[Line]:
    """The lines of *picture*; *gone* when it is an old one, since the daemon does not answer."""
    state, now = picture.state, picture.state["now"]
    clock = time.strftime("%H:%M:%S", time.localtime(now))
    lost = [("bad", "  No answer since then; it is asked again.")] if gone else []
    return [
        [("bold", f"ProxyPal {plain(state['version'])}"), ("off", f"  {clock}"), *lost],
        [("", _totals(picture.today))],
        [],
        *_columns([_account(one, now) for one in state["accounts"]]),
        [],
        *(_columns([_request(one) for one in picture.requests]) or [[("off", "No request yet.")]]),
    ]


def _totals(total: Mapping[str, Any]) -> str:
    tokens = total["tokens"]
    sent = tokens["input"] + tokens["cache_read"] + tokens["cache_write"]
    cached = f" ({tokens['cache_read'] / sent:.0%} from caches)" if sent else ""
    failed = f" ({total['failed']:,} failed)" if total["failed"] else ""
    partly = "" if total["priced"] == total["requests"] else "+"
    return (
        f"Today {total['requests']:,} {'request' if total['requests'] == 1 else 'requests'}{failed} · {sent:,} tokens in{cached},"
        f" {tokens['output']:,} out · ${total['cost']:,.2f}{partly}"
    )


def _account(account: Mapping[str, Any], now: float) -> Line:
    found = standing.of(account, now)
    # Who waits for a person is asked again as well, but not helped by it.
    rest = f" {countdown(found.until - now)}" if found.tone == "warn" and found.until else ""
    limits = [
        f"{plain(one['name'])} {one['left']:.0%}"
        + (f" ↻ {countdown(one['resets_at'] - now)}" if one["resets_at"] > now else "")
        for one in account["limits"]
    ]
    busy = f"{account['in_flight']} now" if account["in_flight"] else ""
    failed = f", {account['failed']:,} failed" if account["failed"] else ""
    return [
        (found.tone, found.glyph),
        ("bold", plain(account["id"])),
        (found.tone, found.word + rest),
        ("", busy),
        ("off", f"{account['served']:,} served{failed}"),
        ("", " · ".join(limits)),
    ]


def _request(one: Mapping[str, Any]) -> Line:
    tokens = one["tokens"]
    sent = tokens["input"] + tokens["cache_read"] + tokens["cache_write"]
    tone = "good" if one["outcome"] == "served" else "bad" if one["status"] >= 500 else "warn"
    return [
        ("off", time.strftime("%H:%M:%S", time.localtime(one["at"]))),
        (tone, str(one["status"])),
        ("", plain(one["agent"] or one["client"] or "-")),
        ("", plain(one["model"] or "-")),
        ("", plain(one["account"] or one["outcome"])),
        ("off", f"{one['duration']:.2f}s"),
        ("off", f"{sent:,}+{tokens['output']:,}"),
        ("off", "" if one["cost"] is None else f"${one['cost']:.4f}"),
    ]


def _columns(rows: Sequence[Line]) -> list[Line]:
    widths = [max(len(text) for _, text in column) for column in zip(*rows, strict=True)]
    return [
        [
            (style, text.ljust(width) + "  ")
            for (style, text), width in zip(row, widths, strict=True)
            if width
        ]
        for row in rows
    ]


# ── the terminal ─────────────────────────────────────────────────────────────────────────────


@contextmanager
def _screen() -> Iterator[None]:
    """A screen of its own, without a cursor, that cuts long lines; the old one comes back after."""
    sys.stdout.write("\x1b[?1049h\x1b[?25l\x1b[?7l")
    try:
        yield
    finally:
        sys.stdout.write("\x1b[?7h\x1b[?25h\x1b[?1049l")
        sys.stdout.flush()


def _draw(lines: Sequence[Line]) -> None:
    height = shutil.get_terminal_size().lines
    drawn = "\x1b[K\r\n".join(
        "".join(f"\x1b[{_STYLES[style]}m{text}\x1b[0m" for style, text in line)
        for line in lines[:height]
    )
    sys.stdout.write(f"\x1b[H{drawn}\x1b[K\x1b[J")
    sys.stdout.flush()


@contextmanager
def _keys(actions: Mapping[str, Callable[[], object]]) -> Iterator[None]:
    """Have *actions* done when their keys are pressed, where single keys can be heard."""
    if _PLATFORM == "win32" or not sys.stdin.isatty():
        yield
        return
    import termios  # noqa: PLC0415 — Windows has neither
    import tty  # noqa: PLC0415

    keyboard = sys.stdin.fileno()

    def pressed() -> None:
        for key in os.read(keyboard, 64).decode("ascii", "replace"):
            actions.get(key, lambda: None)()

    loop = asyncio.get_running_loop()
    before = termios.tcgetattr(keyboard)
    tty.setcbreak(keyboard)
    loop.add_reader(keyboard, pressed)
    try:
        yield
    finally:
        loop.remove_reader(keyboard)
        termios.tcsetattr(keyboard, termios.TCSADRAIN, before)
