"""Logins that go on in the background, until the person who began them has said yes or no."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import AsyncExitStack
from typing import Any, Literal, TypeAlias

import structlog

from proxypal_core.accounts import oauth as protocol
from proxypal_core.accounts.oauth import DeviceCode, Grant, LoginRefused, Pending
from proxypal_core.providers.provider import OAuth
from proxypal_core.upstream import login as ways
from proxypal_core.upstream.token_endpoint import Post
from proxypal_core.upstream.transport import Broken

MOST = 16
"""Logins remembered; the oldest is given up for a new one."""
State: TypeAlias = Literal["waiting", "done", "failed"]
Keep: TypeAlias = Callable[[Grant], Awaitable[str]]
"""Keeps what a login gave; gives the account's id. Raises LoginRefused."""

log = structlog.get_logger(__name__)


class Login:
    """One login. ``url`` is where the person goes, ``user_code`` what is entered there; ``account`` is
    what it came to, ``message`` why it came to nothing.
    """

    def __init__(self, login_id: str) -> None:
        self.id = login_id
        self.state: State = "waiting"
        self.url = ""
        self.user_code = ""
        self.account = ""
        self.message = ""
        self._pending: Pending | None = None
        loop = asyncio.get_running_loop()
        self._shown: asyncio.Future[None] = loop.create_future()
        self._pasted: asyncio.Future[str] = loop.create_future()
        self._task: asyncio.Future[None] = loop.create_future()

    def paste(self, address: str) -> None:
        """Go on with the *address* that the person's browser ended at.

        Raises:
            LoginRefused: it answers another login, or the provider says no.
        """
        if self._pending is None:
            raise LoginRefused("flow", "this login ends at no address: enter its code")
        code = protocol.code_of(self._pending, address)
        if not self._pasted.done():
            self._pasted.set_result(code)

    async def shown(self) -> None:
        """Wait until there is something to show, or nothing will be."""
        await asyncio.wait({self._shown, self._task}, return_when=asyncio.FIRST_COMPLETED)

    async def ended(self) -> None:
        await asyncio.wait({self._task})

    def close(self) -> None:
        self._task.cancel()

    # ── in the background ────────────────────────────────────────────────────────────────────

    def start(self, work: Coroutine[Any, Any, Grant], keep: Keep) -> None:
        self._task = asyncio.ensure_future(self._run(work, keep))

    async def _run(self, work: Coroutine[Any, Any, Grant], keep: Keep) -> None:
        try:
            async with asyncio.timeout(ways.PATIENCE):
                grant = await work
            self.account = await keep(grant)
            self.state = "done"
        except LoginRefused as refused:
            self._fail(str(refused))
        except Broken as broken:
            self._fail(broken.failure.message)
        except TimeoutError:
            self._fail(f"nobody came back within {ways.PATIENCE / 60:g} minutes")
        except Exception:
            log.exception("internal error", login=self.id)
            self._fail("the proxy failed on this login; its log says why")

    def _fail(self, why: str) -> None:
        self.state, self.message = "failed", why

    async def by_browser(
        self, oauth: OAuth, post: Post, random: Callable[[int], bytes], clock: Callable[[], float]
    ) -> Grant:
        async with AsyncExitStack() as stack:
            answers: set[asyncio.Future[str]] = {self._pasted}
            try:
                found = await stack.enter_async_context(ways.listening(oauth, random))
            except LoginRefused:  # another program has the port: the address can still be pasted
                self._pending = ways.begin(oauth, random)
            else:
                self._pending = found[0]
                answers.add(asyncio.ensure_future(found[1]))
            self.url = self._pending.url
            self._shown.set_result(None)
            done, _ = await asyncio.wait(answers, return_when=asyncio.FIRST_COMPLETED)
            return await ways.redeem(self._pending, done.pop().result(), post, clock)

    async def by_device(
        self,
        oauth: OAuth,
        post: Post,
        clock: Callable[[], float],
        sleep: Callable[[float], Awaitable[None]],
    ) -> Grant:
        def show(code: DeviceCode) -> None:
            self.url, self.user_code = code.complete_url or code.url, code.user_code
            self._shown.set_result(None)

        return await ways.by_device(oauth, post, show, clock=clock, sleep=sleep)


class Logins:
    """The logins that were begun. *post_for* gives what asks the endpoints of an OAuth client, *random*
    so many random bytes.
    """

    def __init__(
        self,
        post_for: Callable[[OAuth], Post],
        *,
        random: Callable[[int], bytes],
        new_id: Callable[[], str],
        clock: Callable[[], float],
        sleep: Callable[[float], Awaitable[None]],
    ) -> None:
        self._post_for = post_for
        self._random = random
        self._new_id = new_id
        self._clock = clock
        self._sleep = sleep
        self._logins: dict[str, Login] = {}

    async def begin(self, oauth: OAuth, keep: Keep, *, device: bool) -> Login:
        """A login that waits for its person; or has failed already."""
        while len(self._logins) >= MOST:
            self._logins.pop(next(iter(self._logins))).close()
        login = Login(self._new_id())
        post = self._post_for(oauth)
        login.start(
            login.by_device(oauth, post, self._clock, self._sleep)
            if device
            else login.by_browser(oauth, post, self._random, self._clock),
            keep,
        )
        self._logins[login.id] = login
        await login.shown()
        return login

    def find(self, login_id: str) -> Login | None:
        return self._logins.get(login_id)

    async def aclose(self) -> None:
        """Give up those that wait."""
        for login in self._logins.values():
            login.close()
        for login in self._logins.values():
            await login.ended()
