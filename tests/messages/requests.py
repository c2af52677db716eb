"""What a request is refused with, and how to have it refused."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from proxypal_core.wire import jsonio
from tests.fault_server import Empty, Malformed, Raw, Redirect, Refuse, Stall, Status
from tests.gateway.asking import DIALECTS, KEY_HEADER, question, upstream
from tests.proxy import StoppedClock, proxy
from tests.running import free_port

_KEY = "key-of-laptop"


@dataclass(frozen=True)
class Asked:
    """A question in each of *dialects*, of *model*; ``more`` is added to its body.

    The one *provider* speaks *speaks*, and answers with *steps*. With *earlier* questions before it,
    the last one's answer counts; *key* is the client's.
    """

    dialects: Sequence[str] = DIALECTS
    model: str = "m-1"
    more: Mapping[str, Any] = field(default_factory=dict)
    settings: str = ""
    config: str | None = None
    steps: Sequence[Any] = ()
    speaks: str = "anthropic"
    provider: str = "up"
    earlier: int = 0
    key: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    path: str = ""
    method: str = "POST"
    raw: bytes | None = None
    stream: bool = False

    async def told(self, dialect, server):
        """The status, and the error's message, for a client of *dialect*."""
        config = self.config
        if config is None:  # what it serves may have a price
            config = upstream(server, self.speaks, name=self.provider).replace(
                '"m-*"', '"m-*", "gpt-5"'
            )
        for step in self.steps:
            server.always(step)
        async with (
            proxy(config + self.settings, clock=StoppedClock()) as p,
            aiohttp.ClientSession(auto_decompress=True) as session,
        ):
            for _ in range(self.earlier):
                await self._once(session, p.url, dialect)
            status, body = await self._once(session, p.url, dialect)
        return status, message_of(body)

    async def _once(self, session, url, dialect):
        path, body = question(dialect, self.model, stream=self.stream)
        name, value = KEY_HEADER[dialect]
        headers = {"content-type": "application/json", **self.headers}
        if self.key:
            headers[name] = value.format(self.key)
        data = jsonio.dumps({**body, **self.more}) if self.raw is None else self.raw
        async with session.request(
            self.method,
            url + (self.path or path),
            data=None if self.method == "GET" else data,
            headers={name: text for name, text in headers.items() if text},
            skip_auto_headers=["content-type"],
        ) as answer:
            return answer.status, await answer.read()


def message_of(body):
    """The message in an error body of any dialect."""
    document = jsonio.loads(body)
    document = document[0] if isinstance(document, list) else document
    return document["error"]["message"]


@dataclass(frozen=True)
class Sent:
    """Bytes that no library of clients would send."""

    head: bytes
    dialects: Sequence[str] = ("openai-chat",)

    async def told(self, dialect, server):
        async with proxy() as p:
            reader, writer = await asyncio.open_connection("127.0.0.1", p.port)
            writer.write(self.head)
            answer = await reader.read(1 << 16)
            writer.close()
        return int(answer.split()[1]), message_of(answer.partition(b"\r\n\r\n")[2])


def _limit(text):
    return f"client_keys: [{{name: laptop, key: {_KEY}, {text}}}]\n"


_GUARDED = _limit("")
_NOBODY = f"""
providers: [{{name: up, dialect: anthropic, base_url: "http://127.0.0.1:{free_port()}"}}]
accounts: [{{id: "up:k1", api_key: k1, models: ["m-*"]}}]
"""
_NOWHERE = """
providers: [{name: up, dialect: anthropic, base_url: "http://nowhere.invalid"}]
accounts: [{id: "up:k1", api_key: k1, models: ["m-*"]}]
"""
_CHAT = ("openai-chat",)
_RESPONSES = ("openai-responses",)
_OF_A_BROWSER = {"origin": "https://example.com"}

CASES = {
    # ── who may ask ──
    "The Host is a strange one": Asked(headers={"host": "example.com"}),
    "A web page of somebody else asks": Asked(headers=_OF_A_BROWSER),
    "The body is not declared as JSON": Asked(headers={"content-type": "text/plain"}),
    "The body has no content-type": Asked(headers={"content-type": ""}),
    "A client key is needed, and none is sent": Asked(settings=_GUARDED),
    "A client key is wrong": Asked(settings=_GUARDED, key="another"),
    "Wrong client keys are sent again and again": Asked(settings=_GUARDED, key="x", earlier=20),
    "A client key has expired": Asked(settings=_limit("expires: 2020-01-01"), key=_KEY),
    "A client key has sent too many requests": Asked(
        settings=_limit("requests_per_minute: 1"), key=_KEY, earlier=1
    ),
    "A client key has used too many tokens": Asked(
        settings=_limit("tokens_per_minute: 1"), key=_KEY, earlier=1
    ),
    "A client key has spent its budget": Asked(
        settings=_limit("budget_usd: 0.0001"),
        key=_KEY,
        earlier=1,
        model="gpt-5",
        provider="openai",
        speaks="openai-chat",
    ),
    "A client key may not use the model": Asked(settings=_limit('models: ["x-*"]'), key=_KEY),
    # ── what is asked ──
    "The address is wrong": Asked(path="/v1/wrong", dialects=_CHAT),
    "The method is wrong": Asked(method="GET", path="/v1/chat/completions", dialects=_CHAT),
    "It is taken for a forward proxy": Sent(
        b"GET http://api.openai.com/v1/models HTTP/1.1\r\nhost: api.openai.com\r\n\r\n"
    ),
    "The body is too large": Sent(
        b"POST /v1/chat/completions HTTP/1.1\r\nhost: 127.0.0.1\r\n"
        b"content-type: application/json\r\ncontent-length: 99999999999\r\n\r\n"
    ),
    "The body's encoding is unknown": Asked(headers={"content-encoding": "br"}, raw=b"x"),
    "The body is damaged": Asked(headers={"content-encoding": "gzip"}, raw=b"no gzip at all"),
    "The body is not JSON": Asked(raw=b"{"),
    "A field is of another kind": Asked(more={"messages": 3}, dialects=_CHAT),
    "No model is named": Asked(
        more={"model": ""}, dialects=("openai-chat", "openai-responses", "anthropic")
    ),
    "A model is unknown": Asked(model="nobody-has-this"),
    "A model is misspelt": Asked(model="demo-ech", config=""),
    "A model needs an account that is not there": Asked(model="gpt-5", config=""),
    "A model is asked for that is not listed": Asked(
        method="GET", path="/v1/models/nobody-has-this", dialects=_CHAT
    ),
    "A conversation that Anthropic would keep": Asked(
        more={"thread": {"type": "create"}}, dialects=("anthropic",)
    ),
    "An earlier response is unknown": Asked(
        more={"previous_response_id": "resp_none"}, dialects=_RESPONSES
    ),
    "A response is asked for that is unknown": Asked(
        method="GET", path="/v1/responses/resp_none", dialects=_RESPONSES
    ),
    "Only one provider could keep what is asked": Asked(
        more={"background": True}, dialects=_RESPONSES
    ),
    "The target has no place for a field, and the settings are strict": Asked(
        more={"logit_bias": {"1": 1}}, settings="strict: true\n", dialects=_CHAT
    ),
    "The target does not speak this": Asked(
        path="/v1/embeddings", more={"input": "x"}, dialects=_CHAT
    ),
    # ── who would answer ──
    "The provider refuses the account's key": Asked(steps=[Status(401)]),
    "The provider forbids the account this": Asked(steps=[Status(403)]),
    "The account has no money": Asked(steps=[Status(402)]),
    "The provider limits the account": Asked(steps=[Status(429, retry_after=30)]),
    "Every account rests": Asked(steps=[Status(429, retry_after=3000)], earlier=1),
    "Every account needs a new login": Asked(steps=[Status(401)], earlier=1),
    "The provider is overloaded": Asked(steps=[Status(529)]),
    "The provider fails": Asked(steps=[Status(500)]),
    "The provider cannot be reached": Asked(config=_NOBODY),
    "The provider's host has no address": Asked(config=_NOWHERE),
    "The proxy on the way cannot be reached": Asked(
        settings="network: {proxy: 'http://127.0.0.1:1', no_proxy: example.com}\n"
    ),
    "The provider hangs up": Asked(steps=[Refuse()]),
    "The provider says nothing": Asked(steps=[Stall()], settings="timeouts: {first_byte: 50ms}\n"),
    "The provider redirects": Asked(steps=[Redirect("http://127.0.0.1:1/")]),
    "The provider's answer is no JSON": Asked(
        steps=[Raw(200, {"content-type": "application/json"}, [b"<html>"])]
    ),
    "The provider's answer is empty": Asked(steps=[Empty()]),
    "The provider sends a broken event": Asked(steps=[Malformed()], stream=True),
}
