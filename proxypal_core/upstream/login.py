"""The two ways in which a person logs in: by a browser that comes back, and by a device code.

Nothing is stored here: a way gives a `Grant`, or raises.
"""

import asyncio
import logging
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

from aiohttp import web

from proxypal_core.accounts import oauth as protocol
from proxypal_core.accounts.oauth import DeviceCode, Grant, LoginRefused, Pending
from proxypal_core.hub.failure import Kind
from proxypal_core.providers.provider import OAuth
from proxypal_core.upstream.token_endpoint import Post
from proxypal_core.upstream.transport import Broken

PATIENCE = 600.0
"""Seconds that a person has, from being shown where to go to having come back."""
_HOST = "127.0.0.1"
_RANDOM = 32
_NOBODY = 48317
"""The port in the address of a login that is pasted; browsers refuse some others unasked."""

_silent = logging.getLogger(f"{__name__}.requests")
_silent.disabled = True  # aiohttp would log a request that it cannot read, whatever is in it


# ── by browser ───────────────────────────────────────────────────────────────────────────────


def begin(oauth: OAuth, random: Callable[[int], bytes], port: int = 0) -> Pending:
    """A login whose answer a person pastes, so that nobody listens on its loopback address."""
    return protocol.begin(
        oauth,
        port=oauth.redirect_port or port or _NOBODY,
        state=random(_RANDOM),
        verifier=random(_RANDOM),
    )


@asynccontextmanager
async def listening(
    oauth: OAuth, random: Callable[[int], bytes]
) -> AsyncIterator[tuple[Pending, Awaitable[str]]]:
    """A login whose answer is waited for on loopback, and the code in the answer, once.

    The code raises `LoginRefused` when the provider says no. Requests that answer another login are
    told so, and change nothing.
    """
    with _bound(oauth.redirect_port) as listener:
        pending = begin(oauth, random, listener.getsockname()[1])
        code: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        runner = web.ServerRunner(
            web.Server(_Callback(pending, code).answer, access_log=None, logger=_silent),
            shutdown_timeout=1.0,
        )
        await runner.setup()
        try:
            await web.SockSite(runner, listener).start()
            yield pending, code
        finally:
            await runner.cleanup()
            if code.done() and not code.cancelled():
                code.exception()  # seen, also when nobody waited to the end


def _bound(port: int) -> socket.socket:
    listener = socket.socket()
    try:
        listener.bind((_HOST, port))
    except OSError:
        listener.close()
        raise LoginRefused(
            "port",
            f"port {port}, to which the provider sends the browser back, is taken; end the program"
            " that has it, or log in with --paste",
        ) from None
    return listener


class _Callback:
    """Takes the one request that answers *pending*."""

    def __init__(self, pending: Pending, code: asyncio.Future[str]) -> None:
        self._pending = pending
        self._code = code
        _, self._host, self._path, _, _ = urlsplit(pending.redirect_uri)

    async def answer(self, request: web.BaseRequest) -> web.Response:
        if request.headers.getall("Host", []) != [self._host]:
            return _page(421, "This is not the address of a login.")
        target = request.raw_path
        if request.method != "GET" or urlsplit(target).path != self._path:
            return _page(404, "There is nothing here.")
        if self._code.done():
            return _page(410, "This login is over.")
        try:
            self._code.set_result(protocol.code_of(self._pending, target))
        except LoginRefused as refused:
            if refused.error == "state":  # not from whom we asked: our login goes on
                return _page(400, "This is the answer to another login. Nothing was changed.")
            self._code.set_exception(refused)
            return _page(400, "The login failed. The terminal says why.")
        return _page(200, "The login is done here. You can close this page.")


def _page(status: int, text: str) -> web.Response:
    return web.Response(
        status=status,
        text=f"<!doctype html><title>ProxyPal</title><p>{text}</p>",
        content_type="text/html",
        headers={
            "Content-Security-Policy": "default-src 'none'",
            "Referrer-Policy": "no-referrer",
            "Cache-Control": "no-store",
            "X-Content-Type-Options": "nosniff",
            "Connection": "close",
        },
    )


async def redeem(pending: Pending, code: str, post: Post, clock: Callable[[], float]) -> Grant:
    """What the provider gives for *code*.

    Raises:
        LoginRefused: nothing.
        Broken: there was no answer.
    """
    form = protocol.code_form(pending, code)
    body = await post(pending.oauth.token_url, form)
    return protocol.read_grant(body, clock(), form)


# ── by device code ───────────────────────────────────────────────────────────────────────────


async def by_device(
    oauth: OAuth,
    post: Post,
    show: Callable[[DeviceCode], None],
    *,
    clock: Callable[[], float],
    sleep: Callable[[float], Awaitable[None]],
) -> Grant:
    """What the provider gives once the person entered the code that *show* was called with.

    Raises:
        LoginRefused: the person or the provider said no, or the code expired.
        Broken: the provider cannot be asked for a code.
    """
    body = await post(oauth.device_url, protocol.device_form(oauth))
    code = protocol.read_device_code(body, clock())
    show(code)
    form = protocol.poll_form(oauth, code)
    interval = code.interval
    while clock() + interval < code.expires:
        await sleep(interval)
        try:
            body = await post(oauth.token_url, form)
            return protocol.read_grant(body, clock(), form)
        except LoginRefused as refused:
            interval = protocol.next_interval(refused, interval)
        except Broken as broken:
            if broken.failure.kind is Kind.BAD_REPLY:
                raise
            interval *= 2  # RFC 8628, section 3.5: an unanswered poll is repeated more slowly
    raise LoginRefused("expired_token", "the code expired before it was entered")
