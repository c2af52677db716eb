"""The daemon killed with SIGKILL while a program runs: what is left of the program's tree.

``make orphans`` does it a hundred times; the tests do it a few.
"""

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp

from proxypal_core.wire import jsonio
from tests.fake_cli import row
from tests.running import PATIENCE, daemon
from tests.upstream.programs import running

WITHIN = 6.0
"""Seconds after which nothing may be left."""
LEVELS = 3


async def one_round(folder: Path, *, deaf: bool = False) -> float:
    """The seconds from the daemon's end to that of the last process of the tree; if it is *deaf*,
    only SIGKILL ends it.

    Raises:
        AssertionError: something is left after WITHIN seconds.
    """
    pids = folder / "pids"
    keys = {"output": "jsonl", "jsonl_dialect": "claude-stream-json", "image_arg": "--image"}
    told = {"FAKE_PIDS": str(pids), "FAKE_DEAF": "1" if deaf else ""}
    backend = row("tree", folder / "dump", env=told, **keys)
    config = folder / "config.yaml"
    settings = {"listen": {"port": 0}, "backends": {"fake-cli": backend}}
    config.write_text(jsonio.dumps_text(settings))
    environment = {"HOME": str(folder), "PROXYPAL_DATA_DIR": str(folder / "data")}
    environment["PROXYPAL_STATE_DIR"] = str(folder / "state")
    async with daemon("--config", config, **environment) as started:
        async with _begun(started.url, pids) as tree:
            os.kill(started.process.pid, signal.SIGKILL)
            killed = time.monotonic()
        while left := [pid for pid in tree if running(pid)]:
            assert time.monotonic() - killed < WITHIN, f"still there: {left}"
            await asyncio.sleep(0.02)
        ended = time.monotonic() - killed
        while files := list((folder / "data").glob("backends/*/run-*")):
            assert time.monotonic() - killed < WITHIN, f"still there: {files}"
            await asyncio.sleep(0.02)
        await started.ended()
        return ended


@asynccontextmanager
async def _begun(url: str, pids: Path) -> AsyncIterator[list[int]]:
    """The processes of a request that is being answered."""
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}}
    content = [image, {"type": "text", "text": "Hi"}]
    body = {
        "model": "fake-cli/m",
        "stream": True,
        "messages": [{"role": "user", "content": content}],
    }
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{url}/v1/chat/completions", json=body) as answer,
    ):
        assert answer.status == 200, await answer.text()
        async with asyncio.timeout(PATIENCE):
            while b"begun" not in await answer.content.readany():
                pass
            while len(_numbers(pids)) < LEVELS:  # noqa: ASYNC110 — others write it
                await asyncio.sleep(0.02)
        yield _numbers(pids)


def _numbers(file: Path) -> list[int]:
    return [int(line) for line in file.read_text().split()]
