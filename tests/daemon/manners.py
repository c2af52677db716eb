"""A daemon started many times at once, reloaded while it streams, and stopped while it streams.

``make manners`` does each as often as one could wish; the tests do it a few times.
"""

import asyncio
import random
import signal
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import aiohttp

from tests.gateway.asking import DIALECTS, TERMINAL, question, read
from tests.running import daemon, running


async def starts_at_once(count: int, **environment: str) -> list[int]:
    """The exit codes of *count* daemons on the same data, of which the one that serves is stopped
    when all others have ended.
    """
    async with AsyncExitStack() as stack:
        started = await asyncio.gather(
            *(
                stack.enter_async_context(running("serve", "--port", 0, **environment))
                for _ in range(count)
            )
        )
        ends = {asyncio.ensure_future(one.process.wait()): one for one in started}
        while sum(end.done() for end in ends) < count - 1:
            running_still = [end for end in ends if not end.done()]
            await asyncio.wait(running_still, return_when=asyncio.FIRST_COMPLETED)
        for end, one in ends.items():
            if not end.done():
                await one.says("listens on")
                one.process.send_signal(signal.SIGTERM)
        return await asyncio.gather(*ends)


@dataclass
class Answer:
    """What a client got. ``complete``: its status, its terminal event and a proper end; ``explained``:
    it could tell that something went wrong, by the status, an error in the stream, or the cut.
    """

    dialect: str
    complete: bool
    explained: bool


async def stream(url: str, dialect: str, words: int) -> Answer:
    """A streamed answer of the demo, of so many words at 25 a second."""
    last = f"the-last-of-{words}"
    path, body = question(dialect, "demo", text="word " * words + last)
    try:
        async with (
            aiohttp.ClientSession() as session,
            session.post(url + path, json=body) as answer,
        ):
            received, whole = await read(answer)
    except aiohttp.ClientError:  # it was refused, or cut before its status
        return Answer(dialect, complete=False, explained=True)
    said = last.encode() in received and TERMINAL[dialect] in received
    return Answer(
        dialect,
        complete=answer.status == 200 and whole and said,
        explained=answer.status >= 400 or not whole,
    )


async def reloads_during_streams(reloads: int, streams: int, folder: Path) -> list[Answer]:
    """The answers of all streams that were begun, always *streams* at a time, while the daemon read
    its changed settings *reloads* times.
    """
    config = folder / "config.yaml"
    config.write_text("listen: {port: 0}\n")
    answers: list[Answer] = []
    async with daemon("--config", config) as started:
        enough = asyncio.Event()

        async def again(dialect: str) -> None:
            while not enough.is_set():
                answers.append(await stream(started.url, dialect, words=40))

        readers = [
            asyncio.ensure_future(again(DIALECTS[n % len(DIALECTS)])) for n in range(streams)
        ]
        for number in range(1, reloads + 1):
            config.write_text(
                f"listen: {{port: 0}}\nstrict: {str(number % 2 == 0).lower()}\n"
                f"accounts: [{{id: 'groq:a{number}', api_key: key-of-{number}}}]\n"
            )
            started.process.send_signal(signal.SIGHUP)
            while started.err.count("settings reloaded") < number:  # noqa: ASYNC110 — its words
                await asyncio.sleep(0.005)
        enough.set()
        await asyncio.gather(*readers)
        assert "not reloaded" not in started.err
        started.process.send_signal(signal.SIGTERM)
        assert await started.ended() == 0
    return answers


async def stopped_while_streaming(chance: random.Random, folder: Path) -> list[Answer]:
    """The answers of eight streams, during which the daemon is told to stop."""
    given = {"PROXYPAL_DATA_DIR": str(folder / "data"), "PROXYPAL_STATE_DIR": str(folder / "state")}
    async with daemon(**given) as started:
        readers = [
            asyncio.ensure_future(stream(started.url, dialect, words=chance.randrange(5, 50)))
            for dialect in DIALECTS * 2
        ]
        await asyncio.sleep(chance.uniform(0, 1.5))
        started.process.send_signal(signal.SIGTERM)
        answers = await asyncio.gather(*readers)
        assert await started.ended() == 0
    return answers
