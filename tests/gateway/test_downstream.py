"""The client's side of a stream: a slow reader slows the provider down, and nothing is lost."""

import asyncio
import io
from contextlib import asynccontextmanager

import aiohttp
import pytest

from proxypal_core.wire import jsonio, sse
from tests.fault_server import Scenario, Whole
from tests.gateway.asking import question, read, upstream
from tests.proxy import proxy

TOTAL = 64 * 1024 * 1024
PIECE = 64 * 1024


def chunk(text, finish=None):
    choice = {"index": 0, "delta": {"content": text}, "finish_reason": finish}
    return sse.frame(jsonio.dumps({"id": "c", "model": "m-1", "choices": [choice]}))


class Firehose(asyncio.Protocol):
    """An upstream that sends TOTAL bytes as fast as it is let."""

    def __init__(self, state):
        self.state = state
        self.paused = False

    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        if self.state["sent"]:
            return
        self.transport.write(
            b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"
        )
        self.pour()

    def pour(self):
        piece = chunk("~" * PIECE)
        while not self.paused and self.state["sent"] < TOTAL:
            self.transport.write(piece)
            self.state["sent"] += PIECE
        if self.state["sent"] >= TOTAL and not self.transport.is_closing():
            self.transport.write(chunk("", "stop") + b"data: [DONE]\n\n")
            self.transport.close()

    def pause_writing(self):
        self.paused = True
        self.state["paused"].set()

    def resume_writing(self):
        self.paused = False
        self.pour()


@asynccontextmanager
async def firehose():
    state = {"sent": 0, "paused": asyncio.Event()}
    server = await asyncio.get_running_loop().create_server(lambda: Firehose(state), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    config = f"""
providers:
  - {{name: up, dialect: openai-chat, base_url: "http://127.0.0.1:{port}/v1", auth: none}}
"""
    async with server:
        yield config, state


async def settled(state):
    """Wait until the upstream has been held up for many turns of the loop."""
    still, last = 0, -1
    while still < 500:
        await asyncio.sleep(0)
        still, last = (still + 1, last) if state["sent"] == last else (0, state["sent"])


async def test_a_slow_reader_slows_the_provider_down_and_loses_nothing():
    async with (
        firehose() as (config, state),
        proxy(config) as p,
        aiohttp.ClientSession(read_bufsize=1024) as session,
    ):
        path, body = question("openai-chat", "up/m-1")
        async with session.post(p.url + path, json=body) as answer:
            await state["paused"].wait()
            await settled(state)
            assert state["sent"] < TOTAL // 2

            received, whole = await read(answer)

    assert whole
    assert received.count(b"~") == TOTAL
    assert received.endswith(b"data: [DONE]\n\n")


@pytest.mark.parametrize("size", [1_000_000, 5_000_000])
async def test_large_events_and_answers_pass(fault_server, size):
    huge = Scenario(text=("y" * size,))
    fault_server.script(Whole(huge))
    async with (
        proxy(upstream(fault_server, "openai-chat")) as p,
        aiohttp.ClientSession() as session,
    ):
        path, body = question("openai-chat", text="z" * size)
        data, headers = io.BytesIO(jsonio.dumps(body)), {"content-type": "application/json"}
        async with session.post(p.url + path, data=data, headers=headers) as answer:
            received, whole = await read(answer)

    assert whole
    assert received.count(b"y" * size) == 1
    assert fault_server.requests[0].body.count(b"z" * size) == 1


async def test_a_stream_to_an_old_client_ends_with_its_connection_and_says_so_alone(fault_server):
    async with proxy(upstream(fault_server, "openai-chat")) as p:
        path, body = question("openai-chat", stream=True)
        sent = jsonio.dumps(body)
        host, port = p.url.removeprefix("http://").split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        head = f"POST {path} HTTP/1.0\r\nHost: {host}\r\nConnection: keep-alive\r\n"
        head += f"Content-Type: application/json\r\nContent-Length: {len(sent)}\r\n\r\n"
        writer.write(head.encode() + sent)

        received = await reader.read()
        writer.close()

    told = [line for line in received.split(b"\r\n") if line.startswith(b"connection:")]
    assert told == [b"connection: close"]
    assert received.endswith(b"data: [DONE]\n\n")
