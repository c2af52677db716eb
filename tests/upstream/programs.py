"""Programs as a way out, as the tests ask them, and what can be seen of their processes."""

import asyncio
import os
from contextlib import asynccontextmanager, suppress
from itertools import count
from pathlib import Path
from unittest import mock

from proxypal_core.dialects import command
from proxypal_core.hub.messages import Base64, Image, Request, Text, Turn
from proxypal_core.providers.backend import SCHEME
from proxypal_core.upstream import child
from proxypal_core.upstream.process import ProcessTransport
from proxypal_core.upstream.transport import Broken, Call
from proxypal_core.wire import jsonio, sse

OURS = {
    "PATH": os.environ["PATH"],
    "HOME": "/nowhere",
    "LANG": "C.UTF-8",
    "ANTHROPIC_API_KEY": "sk-ant-hush",
    "CLAUDE_CONFIG_DIR": "/config",
}
PIXEL = Base64("image/png", "iVBORw0KGgo=")
STREAMED = {"output": "jsonl", "jsonl_dialect": "claude-stream-json"}
CLAUDE = {
    **STREAMED,
    "input_format": "stream-json",
    "model_arg": "--model",
    "session_arg": "--session-id",
    "session_id_fields": ["session_id"],
}
PATIENCE = 20.0
"""Seconds after which a test fails that waits for a process; nothing waits so long otherwise."""


@asynccontextmanager
async def transport(tmp_path, *backends):
    """The way out to *backends*, whose programs have little time to end."""
    ids = count(1)
    made = ProcessTransport(
        {each.name: each for each in backends},
        home=tmp_path / "home",
        ours=OURS,
        new_id=lambda: f"{next(ids):032x}",
        scrub=lambda text: text.replace("key-0123456789abcdef", "***"),
    )
    with mock.patch.object(child, "GRACE", 0.5):
        async with made as opened:
            yield opened


def said(*texts, images=()):
    """The turns of a conversation that begins with the user; *images* come with the last."""
    turns = [
        Turn("assistant" if at % 2 else "user", (Text(text),)) for at, text in enumerate(texts)
    ]
    last = Turn("user", (*turns[-1].parts, *map(Image, images)))
    return (*turns[:-1], last)


async def opened(transport, turns, *, stream=True, system="", model="m", name="fake"):
    instructions = (Text(system),) if system else ()
    asked = Request(
        dialect="anthropic", model=model, stream=stream, system=instructions, turns=turns
    )
    call = Call("POST", f"{SCHEME}:{name}", {}, command.encode_request(asked).body)
    async with asyncio.timeout(PATIENCE):
        return await transport.open(call)


async def pieces(transport, turns, **options):
    reply = await opened(transport, turns, **options)
    try:
        async with asyncio.timeout(PATIENCE):
            found = []
            while data := await reply.read():
                found.append(data)
            return found
    finally:
        reply.close()


async def answer(transport, turns, **options):
    """The text, thought and usage of an answer, streamed."""
    decoder = command.decoder()
    splitter = sse.Splitter()
    raws = [
        raw for data in await pieces(transport, turns, **options) for raw in splitter.feed(data)
    ]
    frames = [frame for frame in map(sse.parse, raws) if frame]
    return [event for frame in frames for event in decoder.read(frame)]


async def text(transport, turns, **options):
    body = b"".join(await pieces(transport, turns, stream=False, **options))
    return command.decode_response(jsonio.load_object(body)).parts[0].text


async def failure(transport, turns=None, **options):
    """How an answer to *turns* fails."""
    try:
        received = await pieces(transport, turns or said("Hi"), **options)
    except Broken as broken:
        return broken.failure
    raise AssertionError(f"it answered {received}")


async def gone(pid):
    """Wait until there is no process *pid*."""
    async with asyncio.timeout(PATIENCE):
        while running(pid):  # noqa: ASYNC110 — nothing tells of a process that is not ours
            await asyncio.sleep(0.02)


def running(pid):
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):  # it may end while it is read
        return False
    return state != "Z"


async def written(path, lines=1):
    """The lines of the file at *path*, once there are *lines*."""
    async with asyncio.timeout(PATIENCE):
        while len(lines_of(path)) < lines:  # noqa: ASYNC110 — another process writes it
            await asyncio.sleep(0.02)
    return lines_of(path)


def lines_of(path):
    return path.read_text().splitlines() if path.exists() else []


def processes():
    """The command line of everything that runs."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            found.append(path.read_bytes())
    return found


def left_behind(tmp_path):
    return list(tmp_path.glob("home/*/run-*"))
