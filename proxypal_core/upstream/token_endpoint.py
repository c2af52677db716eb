"""One question to a token endpoint: a form goes in, the answer's bytes come out.

What the answer means is accounts.oauth's to say; here is only whether there is one.
"""

import asyncio
from collections.abc import Awaitable, Mapping
from typing import Protocol
from urllib.parse import urlencode

from proxypal_core.hub.failure import Kind
from proxypal_core.upstream.transport import Broken, Call, Transport
from proxypal_core.wire import jsonio

TIMEOUT = 30.0
_LARGEST = 1 << 20
_NOT_NOW = (408, 429)


class Post(Protocol):
    """Asks the endpoint at *url* with *form*, by the way that an account with *proxy* as its own
    takes; see `post`.
    """

    def __call__(
        self, url: str, form: Mapping[str, str], proxy: str = "", /
    ) -> Awaitable[bytes]: ...


async def post(
    transport: Transport,
    url: str,
    form: Mapping[str, str],
    proxy: str = "",
    *,
    agent: str,
    as_json: bool = False,
) -> bytes:
    """The body that *url* answers to *form*, be it a grant or a refusal.

    Raises:
        Broken: there is no such answer. With ``UNREACHABLE`` nobody was asked, with ``OVERLOADED``
            the endpoint wants to be asked later; with others it may have done what was asked.
    """
    if as_json:
        kind, body = "application/json", jsonio.dumps(form)
    else:
        kind, body = "application/x-www-form-urlencoded", urlencode(form).encode()
    head = {"user-agent": agent, "accept": "application/json", "content-type": kind}
    try:
        async with asyncio.timeout(TIMEOUT):
            reply = await transport.open(Call("POST", url, head, body, proxy))
            try:
                if reply.status >= 500 or reply.status in _NOT_NOW:
                    raise Broken(Kind.OVERLOADED, f"the token endpoint answers {reply.status}")
                answer = bytearray()
                while piece := await reply.read():
                    answer += piece
                    if len(answer) > _LARGEST:
                        raise Broken(Kind.BAD_REPLY, "the token endpoint's answer does not end")
                return bytes(answer)
            finally:
                reply.close()
    except TimeoutError:
        raise Broken(
            Kind.TIMEOUT, f"the token endpoint did not answer within {TIMEOUT:g} seconds"
        ) from None
