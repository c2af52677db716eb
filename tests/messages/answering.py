"""What keeps a model, an account or a program from answering."""

import ssl
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import aiohttp
from aiohttp.client_reqrep import ConnectionKey

from proxypal_core.accounts.lease import NoneReady
from proxypal_core.dialects.failures import client_text
from proxypal_core.gateway import nobody
from proxypal_core.gateway.guard import Room
from proxypal_core.hub.failure import Refused
from proxypal_core.upstream import http_failures
from proxypal_core.upstream.transport import Call
from tests.fault_server import CutAfter, Raw, Wire
from tests.messages.managing import Managed
from tests.messages.requests import Asked, Sent

_CHAT = ("openai-chat",)
_JSON = {"content-type": "application/json"}
_PROGRAM = "backends: {my-cli: {%s}}\n"
_REALTIME = (
    b"GET /v1/responses HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: upgrade\r\nupgrade: websocket\r\n"
    b"sec-websocket-version: 13\r\nsec-websocket-key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n\r\n"
)
_KEY = ConnectionKey("a.example", 443, True, True, None, None, None)
_DIRECT = Call("POST", "https://a.example/v1", {}, b"")
_BY_PROXY = Call("POST", "https://a.example/v1", {}, b"", "http://proxy.example:3128")


@dataclass(frozen=True)
class Said:
    """The status and message of what *call* gives or raises, where a daemon would be dear."""

    call: Callable[[], object]
    status: int
    dialects: Sequence[str] = _CHAT

    async def told(self, dialect, server):
        try:
            found = self.call()
        except Refused as refused:
            found = refused
        failure = getattr(found, "failure", found)
        return self.status, getattr(failure, "message", failure)


def _answered(*steps, speaks="openai-chat", **options):
    return Asked(steps=steps, speaks=speaks, dialects=("anthropic",), **options)


def _json(document):
    return _answered(Raw(200, _JSON, [document]))


def _asked(model, config):
    return Asked(model=model, config=config, dialects=_CHAT)


def _program(row, model="my-cli/default"):
    return _asked(model, _PROGRAM % row)


def _broke(error, call=_DIRECT):
    return _unreachable(lambda: http_failures.broken(error, call))


def _unreachable(made):
    return Said(lambda: client_text(made().failure), 502)


def _full_room():
    room = Room(10)
    room.take(10)
    room.check(1)


_UP = """
providers: [{name: up, dialect: anthropic, base_url: "http://127.0.0.1:1"}]
accounts: [{id: "up:k1", api_key: k1, models: ["m-*"]}]
"""
_LONG_WAY = "models:\n" + "".join(f"  - {{name: r{at}, route: [r{at + 1}]}}\n" for at in range(40))

CASES = {
    # ── the daemon ──
    "A socket is wanted for speech": Sent(_REALTIME),
    "HTTP is of another version": Sent(b"GET / HTTP/1.7\r\nhost: 127.0.0.1\r\n\r\n"),
    "The daemon holds as many requests as it can": Said(_full_room, 503),
    # ── models and routes ──
    "A model's name is too long": Asked(model="m" * 600, config="", dialects=_CHAT),
    "A model is not among an account's": _asked("up/other", _UP),
    "A model is pinned to an account that cannot": _asked("gpt-5@up:k1", _UP),
    "A model needs a backend that is not set up": _asked("claude-cli/opus", ""),
    "A model needs a provider of this machine": _asked("ollama/llama3", ""),
    "A route leads to nobody": _asked("fast", "models: [{name: fast, route: [openai/x]}]\n"),
    "A route is too long": _asked("r0", _LONG_WAY),
    "All accounts of a model are disabled": Managed(
        "GET",
        "/api/explain?model=groq/llama",
        profiles={
            "groq:off": {"type": "api_key", "provider": "groq", "key": "k", "disabled": True}
        },
    ),
    "Every account has enough to do": Said(
        lambda: nobody.ready(NoneReady([], busy=True), None, model="m", now=0.0), 503
    ),
    # ── the way to the provider ──
    "A provider has no TLS": _broke(aiohttp.ClientConnectorSSLError(_KEY, OSError())),
    "A provider's certificate is not trusted": _broke(
        aiohttp.ClientConnectorCertificateError(_KEY, ssl.SSLCertVerificationError())
    ),
    "Connecting takes too long": _broke(TimeoutError()),
    "A header cannot be sent": _broke(ValueError()),
    "A proxy lets nobody through": _broke(http_failures.ProxyError("no", error_code=2), _BY_PROXY),
    "A proxy wants a login": _unreachable(lambda: http_failures.refused(_BY_PROXY, 407)),
    "A proxy takes too long": _broke(http_failures.ProxyTimeoutError(), _BY_PROXY),
    "A proxy is none": _broke(EOFError(), _BY_PROXY),
    "A provider has no TLS by a proxy": _broke(ssl.SSLError(), _BY_PROXY),
    # ── what the provider answers ──
    "The provider does not speak HTTP": _answered(Wire([b"SSH-2.0-OpenSSH_9.2\r\n"])),
    "The provider's answer breaks off": _answered(CutAfter(bytes=20)),
    "The provider's answer has no choices": _json(b'{"object": "chat.completion", "choices": []}'),
    "The provider's answer holds no answer": _json(b"{}"),
    "The provider's answer is in another encoding": _answered(
        Raw(200, {**_JSON, "content-encoding": "gzip"}, [b"no gzip at all"])
    ),
    # ── the demo ──
    "The demo has no such model": _asked("demo/none", ""),
    "The demo does nothing else": Asked(
        model="demo/echo",
        config="",
        path="/v1/embeddings",
        more={"input": "x"},
        dialects=_CHAT,
    ),
    "The demo is to be limited": _asked("demo/fail-429", ""),
    "The demo is to be overloaded": _asked("demo/fail-529", ""),
    "The demo is to break off": _asked("demo/fail-cut", ""),
    # ── programs ──
    "A program is not there": _program("command: /nowhere/cli"),
    "A program fails": _program("command: 'false'"),
    "A program says nothing": _program(
        "command: 'true', output: jsonl, jsonl_dialect: claude-stream-json"
    ),
    "A program takes too long": _program("command: sleep, args: ['9'], timeout: 50ms"),
    "The prompt cannot be an argument": Asked(
        model="my-cli/default",
        config=_PROGRAM % "command: echo, input: arg",
        more={"messages": [{"role": "user", "content": "a\0b"}]},
        dialects=_CHAT,
    ),
}
