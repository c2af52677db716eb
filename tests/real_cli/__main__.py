"""``python -m tests.real_cli [NAME…]``; exits with 1 if a program that is there does not work."""

import asyncio
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import aiohttp

from proxypal_core.wire import jsonio
from tests.real_cli.programs import programs
from tests.real_cli.recorder import recorder
from tests.running import daemon, free_port

# One red pixel: programs look into what they send.
IMAGE = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
PATIENCE = 180.0
"""Seconds for one answer: some programs first look for the network that a test machine lacks."""


def install(package, folder):
    """Why *package* could not be installed into *folder*; empty when it was."""
    if shutil.which("npm") is None:
        return "there is no npm here"
    if (folder / "node_modules" / package).exists():
        return ""
    found = subprocess.run(  # noqa: S603 — the package's name is ours
        ["npm", "install", "--no-audit", "--no-fund", "--prefix", str(folder), package],  # noqa: S607
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if found.returncode:
        errors = [line for line in found.stderr.splitlines() if line.startswith("npm error")]
        return f"npm cannot install it: {'; '.join(errors[:3])}"
    # npm may hold back what a package runs when it is installed; this one gets its program so.
    script = folder / "node_modules" / package / "install.cjs"
    if script.exists():
        subprocess.run(["node", str(script)], capture_output=True, check=False)  # noqa: S603, S607
    return ""


async def asked(url, model, *messages):
    body = {"model": model, "messages": messages}
    timeout = aiohttp.ClientTimeout(total=PATIENCE)
    async with (
        aiohttp.ClientSession(timeout=timeout) as session,
        session.post(f"{url}/v1/chat/completions", json=body) as answer,
    ):
        told = jsonio.loads(await answer.read())
        if answer.status != 200:
            raise AssertionError(told["error"]["message"])
        return told["choices"][0]["message"]["content"]


async def streamed(url, model, *messages):
    """The pieces of text in which the answer came."""
    timeout = aiohttp.ClientTimeout(total=PATIENCE)
    async with (
        aiohttp.ClientSession(timeout=timeout) as session,
        session.post(
            f"{url}/v1/chat/completions",
            json={"model": model, "messages": messages, "stream": True},
        ) as answer,
    ):
        frames = [line[6:] async for line in answer.content if line.startswith(b"data: ")]
    assert frames[-1:] == [b"[DONE]\n"], frames[-1:]
    deltas = [jsonio.loads(frame)["choices"] for frame in frames[:-1]]
    found = [choice["delta"].get("content") for choices in deltas for choice in choices]
    return [text for text in found if text]


def user(text, *, image=False):
    shown = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{IMAGE}"}}
    return {
        "role": "user",
        "content": [{"type": "text", "text": text}, *([shown] if image else [])],
    }


async def check(url, name, program, recording):
    """Text, a second turn, an image, a stream; the number of its pieces.

    Raises:
        AssertionError: one of them is not as it should be.
    """
    model = f"{name}/{program.model}"
    first = await asked(url, model, user("the first question"))
    assert "the first question" in first, first
    history = [user("the first question"), {"role": "assistant", "content": first}]
    second = await asked(url, model, *history, user("the second question"))
    # The demo repeats what it was told last: a new session would have been told all of it at once.
    assert "the second question" in second, second
    assert "<conversation>" not in second, "the session was not resumed"
    assert any(b"the first" in body and b"the second" in body for body in recording.sent)
    await asked(url, model, user("an image", image=True))
    assert not program.sees or any(IMAGE.encode() in body for body in recording.sent), "no image"
    pieces = await streamed(url, model, user("a question to be answered in pieces"))
    assert "a question to be answered in pieces" in "".join(pieces), pieces
    return len(pieces)


async def main(wanted):
    kept = os.environ.get("REAL_CLI_DIR")
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as temporary:
        folder, home = Path(kept or temporary) / "npm", Path(temporary) / "home"
        port = free_port()
        rows = {}
        skipped = {}
        chosen = {name: each for name, each in programs(f"http://127.0.0.1:{port}").items() if name in wanted or not wanted}  # fmt: skip
        for name, program in chosen.items():
            skipped[name] = install(program.package, folder)
            binary = folder / "node_modules" / ".bin" / name.removesuffix("-cli")
            rows[name] = {"command": str(binary), **program.row}
            for path, text in program.home.items():
                (home / path).parent.mkdir(parents=True, exist_ok=True)
                (home / path).write_text(text)
        config = Path(temporary) / "config.yaml"
        config.write_text(jsonio.dumps_text({"listen": {"port": 0}, "backends": rows}))
        environment = {"HOME": str(home), "PROXYPAL_DATA_DIR": f"{temporary}/data"}
        failed = 0
        async with (
            daemon("--config", config, **environment) as started,
            recorder(started.url, port) as recording,
        ):
            for name, program in chosen.items():
                if skipped[name]:
                    print(f"{name}: skipped, {skipped[name]}", flush=True)
                    continue
                recording.sent.clear()
                try:
                    pieces = await check(started.url, name, program, recording)
                    told = f"streamed in {pieces}" if pieces > 1 else "not streamed"
                    image = (
                        "an image" if program.sees else "no image, for the model is unknown to it"
                    )
                    print(f"{name}: ok: text, a second turn, {image}; {told}", flush=True)
                except (AssertionError, TimeoutError) as error:
                    failed += 1
                    print(f"{name}: FAILED, {error or 'no answer in time'}", flush=True)
        return min(failed, 1)


sys.exit(asyncio.run(main(set(sys.argv[1:]))))
