"""Alerts on their way to their owner: to a web hook, to ntfy, onto the desktop.

Each way has ten seconds. One that fails is logged once, until it works again, and never holds up the
others.
"""

import asyncio
import html
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress

import msgspec
import structlog

from proxypal_core.accounts.alerts import Alert, What
from proxypal_core.upstream.transport import Broken, Call, Transport
from proxypal_core.wire import jsonio

TIMEOUT = 10.0

_PRIORITIES: Mapping[What, str] = {"dry": "default", "back": "low", "login": "high"}
_APPLESCRIPT = "on run argv\ndisplay notification (item 2 of argv) with title (item 1 of argv)\nend"
"""What is said comes as arguments: a script made of it would be code of whoever named a model."""

log = structlog.get_logger(__name__)


class Unsent(Exception):
    """Why an alert did not get where it should; the message names no address."""


class Ways(msgspec.Struct, frozen=True):
    """Where alerts go: ``webhook`` and ``ntfy`` are addresses, and as good as secrets."""

    webhook: str = ""
    ntfy: str = ""
    desktop: bool = False

    def __bool__(self) -> bool:
        return bool(self.webhook or self.ntfy or self.desktop)


class Courier:
    """Brings alerts over *http*, and remembers which ways do not work."""

    def __init__(self, http: Transport, agent: str) -> None:
        self._http = http
        self._agent = agent
        self._failing: set[str] = set()

    async def send(self, alert: Alert, ways: Ways, proxy_for: Callable[[str], str]) -> None:
        """Bring *alert* over all of *ways* at once; *proxy_for* says through which proxy an address
        is reached. Never fails.
        """
        async with asyncio.TaskGroup() as group:
            if ways.webhook:
                call = self._call(ways.webhook, proxy_for, *webhook(alert))
                group.create_task(self._over("webhook", self._post(call)))
            if ways.ntfy:
                call = self._call(ways.ntfy, proxy_for, *ntfy(alert))
                group.create_task(self._over("ntfy", self._post(call)))
            if ways.desktop:
                group.create_task(self._over("desktop", _run(desktop(alert, sys.platform))))

    async def _over(self, way: str, work: Awaitable[None]) -> None:
        try:
            async with asyncio.timeout(TIMEOUT):
                await work
        except TimeoutError:
            self._failed(way, f"it took more than {TIMEOUT:g} seconds")
        except Unsent as unsent:
            self._failed(way, str(unsent))
        else:
            self._failing.discard(way)

    def _failed(self, way: str, reason: str) -> None:
        if way not in self._failing:
            self._failing.add(way)
            log.warning("alerts cannot be sent", way=way, reason=reason)

    def _call(
        self, url: str, proxy_for: Callable[[str], str], head: Mapping[str, str], body: bytes
    ) -> Call:
        return Call("POST", url, {"user-agent": self._agent, **head}, body, proxy_for(url))

    async def _post(self, call: Call) -> None:
        try:
            reply = await self._http.open(call)
        except Broken as broken:
            raise Unsent(broken.failure.message) from None
        reply.close()
        if not 200 <= reply.status < 300:
            raise Unsent(f"it answers {reply.status}")


def webhook(alert: Alert) -> tuple[Mapping[str, str], bytes]:
    """Headers and body for a web hook: the alert as JSON, in whose ``text`` Slack and others that
    know only that find everything; ``content`` is the same for Discord.
    """
    whole = f"{alert.title}. {alert.text}"
    body = {**msgspec.to_builtins(alert), "text": whole, "content": whole}
    return {"content-type": "application/json"}, jsonio.dumps(body)


def ntfy(alert: Alert) -> tuple[Mapping[str, str], bytes]:
    """Headers and body for an ntfy topic (https://docs.ntfy.sh/publish/)."""
    head = {
        "content-type": "text/plain; charset=utf-8",
        "title": alert.title,
        "priority": _PRIORITIES[alert.event],
    }
    return head, alert.text.encode()


def desktop(alert: Alert, platform: str) -> Sequence[str]:
    """The command that shows *alert* on this machine's desktop; empty where there is none."""
    if platform == "darwin":
        return ("osascript", "-e", _APPLESCRIPT, alert.title, alert.text)
    if platform.startswith("linux"):
        # The text of a notification may have markup, its title has none.
        body = html.escape(alert.text, quote=False)
        return ("notify-send", "--app-name=ProxyPal", "--", alert.title, body)
    return ()


async def _run(command: Sequence[str]) -> None:
    if not command:
        raise Unsent("this system has no way that is known")
    try:
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )
    except OSError as error:
        raise Unsent(f"{command[0]} cannot be run: {error.strerror}") from None
    try:
        code = await process.wait()
    finally:
        if process.returncode is None:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()
    if code:
        raise Unsent(f"{command[0]} ended with {code}")
