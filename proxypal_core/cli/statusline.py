"""``proxypal statusline``: one short line, for tmux and for Claude Code.

It is run every few seconds, and imports little. Nothing goes wrong aloud: its place is somebody's
prompt.
"""

import os
import select
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from proxypal_core.accounts.account import masked
from proxypal_core.cli import standing
from proxypal_core.cli.standing import Standing
from proxypal_core.daemon import files, reach
from proxypal_core.settings.parse import SettingsError
from proxypal_core.settings.schema import Listen
from proxypal_core.store import admin_key
from proxypal_core.wire import jsonio
from proxypal_core.wire.countdown import countdown

TIMEOUT = 1.0
OFF = "proxypal off"
_DEMO = "demo"


class _Away(Exception):
    """Nobody answers who could say anything."""


def show(config: str | None = None) -> None:
    """Print the line. What stands on standard input, Claude Code's JSON, is read and not looked at."""
    try:
        shown = line(*_asked(config))
    except (_Away, OSError, SettingsError, jsonio.Malformed, KeyError):
        shown = ""
    styled = _is_read_by_claude() or sys.stdout.isatty()
    off = f"\x1b[2m{OFF}\x1b[0m" if styled and not os.environ.get("NO_COLOR") else OFF
    # Its reader may not know the glyphs' encoding by our locale: both take UTF-8.
    sys.stdout.buffer.write(f"{shown or off}\n".encode())
    sys.stdout.flush()


def line(state: Mapping[str, Any], usage: Mapping[str, Any]) -> str:
    """What ``/api/state`` and ``/api/usage`` of today come to, for people."""
    now = state["now"]
    own = [one for one in state["accounts"] if one["provider"] != _DEMO]
    found = [(one["id"], standing.of(one, now)) for one in own]
    total = usage["total"]
    partly = "" if total["priced"] == total["requests"] else "+"
    return " · ".join(
        (
            *(_accounts(found, now) if own else ["○ no account"]),
            f"${total['cost']:.2f}{partly} today",
        )
    )


def _accounts(found: Sequence[tuple[str, Standing]], now: float) -> Iterator[str]:
    """How many are ready, then who needs a person, then who is back first."""
    ready = [name for name, one in found if one.tone == "good"]
    if ready:
        yield f"● {len(ready)} ready"
    for tone in ("bad", "warn"):
        those = [(one, name) for name, one in found if one.tone == tone]
        if those:
            one, name = min(those, key=lambda pair: pair[0].until or float("inf"))
            more = f" +{len(those) - 1}" if len(those) > 1 else ""
            what = countdown(one.until - now) if tone == "warn" and one.until else one.word
            yield f"{one.glyph} {standing.plain(masked(name))} {what}{more}"


# ── asking ───────────────────────────────────────────────────────────────────────────────────


def _asked(config: str | None) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    settings = files.load_settings(files.config_path(config, os.environ), os.environ)
    key = (
        os.environ.get("PROXYPAL_ADMIN_KEY")
        or str(settings.admin_key)
        or admin_key.read(files.state_dir(os.environ))
    )
    if not key:
        raise _Away
    state = _answer(settings.listen, key, "/api/state")
    since = standing.midnight(state["now"])
    return state, _answer(settings.listen, key, f"/api/usage?by=provider&since={since:.0f}")


def _answer(listen: Listen, key: str, path: str) -> Mapping[str, Any]:
    answer = reach.ask(listen, "GET", path, key=key, seconds=TIMEOUT)
    if answer is None or answer.status != 200:
        raise _Away
    return jsonio.load_object(answer.body)


def _is_read_by_claude() -> bool:
    """Whether Claude Code sent its JSON, all of which has come by now."""
    heard = b""
    if sys.stdin is None:  # it was closed before we began
        return False
    try:
        while not sys.stdin.isatty() and select.select([sys.stdin], [], [], 0)[0]:
            piece = os.read(sys.stdin.fileno(), 1 << 16)
            if not piece:
                break
            heard = heard or piece
    except (OSError, ValueError):  # closed, or not to be waited for, as on Windows
        pass
    return heard.lstrip().startswith(b"{")
