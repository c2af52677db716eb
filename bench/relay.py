"""What aiohttp itself costs: a relay of requests, and a translator of streams, with nothing else.

python -m bench.relay PORT UPSTREAM [--loop asyncio|uvloop] [--translate]

They stand for the least that a proxy on a low-level ``web.Server`` and one ``ClientSession`` pays, so
they know no accounts, no failures and no limits. The translator is asked in Anthropic's dialect and
asks in OpenAI's; what one read brings goes out in one write.
"""

import argparse
import asyncio
from collections.abc import Callable

import aiohttp
import orjson
from aiohttp import web

NOT_PASSED_ON = frozenset({"host", "connection", "content-length", "transfer-encoding"})


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("port", type=int)
    parser.add_argument("upstream")
    parser.add_argument("--loop", choices=("asyncio", "uvloop"), default="asyncio")
    parser.add_argument("--translate", action="store_true")
    options = parser.parse_args()
    with asyncio.Runner(loop_factory=_loop_factory(options.loop)) as runner:
        runner.run(_serve(options.port, options.upstream, translating=options.translate))


def _loop_factory(name: str) -> Callable[[], asyncio.AbstractEventLoop] | None:
    if name == "asyncio":
        return None
    import uvloop  # noqa: PLC0415 — only where it is asked for

    factory: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
    return factory


async def _serve(port: int, upstream: str, *, translating: bool) -> None:
    relay = Relay(upstream, translating=translating)
    async with relay.session:
        runner = web.ServerRunner(web.Server(relay.handle, access_log=None))
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", port, backlog=4096).start()
        await asyncio.Event().wait()


class Relay:
    """Passes requests on to *upstream*, a base URL without a path."""

    def __init__(self, upstream: str, *, translating: bool) -> None:
        self.session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0),
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=10),
            skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding"),
            auto_decompress=False,
        )
        self._upstream = upstream
        self._translating = translating

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        body = await request.read()
        path = request.raw_path
        if self._translating:
            path, body = "/v1/chat/completions", _chat_request(body)
        headers = {n: v for n, v in request.headers.items() if n.lower() not in NOT_PASSED_ON}
        async with self.session.post(self._upstream + path, data=body, headers=headers) as answer:
            kind = answer.headers.get("Content-Type", "")
            if not kind.startswith("text/event-stream"):
                whole = await answer.read()
                if self._translating:
                    whole = _anthropic_answer(whole)
                return web.Response(
                    status=answer.status, body=whole, headers={"Content-Type": kind}
                )
            stream = web.StreamResponse(status=answer.status, headers={"Content-Type": kind})
            stream.enable_chunked_encoding()
            await stream.prepare(request)
            translated = _Translator().feed if self._translating else None
            async for data in answer.content.iter_any():
                await stream.write(translated(data) if translated else data)
            await stream.write_eof()
            return stream


def _chat_request(body: bytes) -> bytes:
    asked = orjson.loads(body)
    return orjson.dumps({name: asked[name] for name in ("model", "stream", "messages")})


def _anthropic_answer(body: bytes) -> bytes:
    answer = orjson.loads(body)
    usage = answer["usage"]
    text = answer["choices"][0]["message"]["content"]
    return orjson.dumps(
        {
            "id": answer["id"],
            "type": "message",
            "role": "assistant",
            "model": answer["model"],
            "content": [{"type": "text", "text": text}],
            "stop_reason": "end_turn",
            "stop_sequence": None,
            "usage": {
                "input_tokens": usage["prompt_tokens"],
                "output_tokens": usage["completion_tokens"],
            },
        }
    )


class _Translator:
    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> bytes:
        *events, self._rest = (self._rest + data if self._rest else data).split(b"\n\n")
        return b"".join([_translated_event(event) for event in events])


def _translated_event(event: bytes) -> bytes:
    data = event[len(b"data: ") :]
    if data == b"[DONE]":
        return _END
    choices = orjson.loads(data)["choices"]
    if not choices:
        return b""
    delta = choices[0]["delta"]
    if text := delta.get("content"):
        delta = {"type": "text_delta", "text": text}
        data = orjson.dumps({"type": "content_block_delta", "index": 0, "delta": delta})
        return b"event: content_block_delta\ndata: " + data + b"\n\n"
    return _BEGINNING if "role" in delta else b""


def _event(event: dict[str, object]) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (str(event["type"]).encode(), orjson.dumps(event))


_BEGINNING = _event(
    {
        "type": "message_start",
        "message": {
            "id": "msg_1",
            "type": "message",
            "role": "assistant",
            "model": "mock",
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "usage": {"input_tokens": 12, "output_tokens": 1},
        },
    }
) + _event(
    {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}
)
_END = (
    _event({"type": "content_block_stop", "index": 0})
    + _event(
        {
            "type": "message_delta",
            "delta": {"stop_reason": "end_turn", "stop_sequence": None},
            "usage": {"output_tokens": 100},
        }
    )
    + _event({"type": "message_stop"})
)


if __name__ == "__main__":
    main()
