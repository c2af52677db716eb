"""One run of a command: started under its guard, read as it prints, ended with its whole tree."""

import asyncio
import os
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import msgspec

from proxypal_core.hub.failure import Kind
from proxypal_core.upstream import guard
from proxypal_core.upstream.transport import Broken
from proxypal_core.wire import jsonio

GRACE = 4.0
"""Seconds that a command and what it started have between SIGTERM and SIGKILL."""
_GUARDS = ("SYSTEMROOT",)
"""The only variables that the guard gets; without these Windows starts no Python."""
_CHUNK = 64 * 1024
_TAIL = 16 * 1024
"""Bytes of standard error that are kept."""


class Spec(msgspec.Struct, frozen=True, kw_only=True):
    """What to run. ``remove`` is a folder to delete when it has ended, empty for none."""

    argv: Sequence[str]
    env: Mapping[str, str]
    cwd: Path
    prompt: bytes = b""
    remove: str = ""


class Child:
    """A command that runs. ``errors`` is the end of what it wrote to standard error."""

    def __init__(self, process: asyncio.subprocess.Process, spec: Spec) -> None:
        self._process = process
        self.errors = b""
        self._feeding = asyncio.create_task(self._feed(spec))  # noqa: TID251 — kept
        self._listening = asyncio.create_task(self._listen())  # noqa: TID251 — kept

    @classmethod
    async def start(cls, spec: Spec) -> "Child":
        """Raises ``Broken`` when no process can be made."""
        try:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-I", "-S", str(guard.__file__)),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                env={name: os.environ[name] for name in _GUARDS if name in os.environ},
                # Not in our own group: what ends us with a signal to all of it must not end the guard.
                start_new_session=True,
                limit=_CHUNK,
            )
        except OSError as error:
            raise Broken(Kind.OVERLOADED, f"no process can be started: {error.strerror}") from None
        return cls(process, spec)

    async def read(self) -> bytes:
        """What it has printed since; empty at the end."""
        return await _pipe(self._process.stdout).read(_CHUNK)

    async def ended(self) -> int:
        """Its exit code, once it is gone and has been heard to the end."""
        while await self.read():
            pass
        await self._listening
        code = await self._process.wait()
        self.end()
        if self._process.stdin is not None:
            with suppress(ConnectionError):
                await self._process.stdin.wait_closed()
        return code

    def end(self) -> None:
        """Have the whole tree ended; ``ended`` tells when it is."""
        self._feeding.cancel()
        if self._process.stdin is not None:
            self._process.stdin.close()

    async def _feed(self, spec: Spec) -> None:
        """Tell the guard what to do; its standard input then stays open for as long as we want."""
        pipe = self._process.stdin
        if pipe is None:
            return
        order = {
            "argv": spec.argv,
            "env": spec.env,
            "cwd": str(spec.cwd),
            "prompt": len(spec.prompt),
            "grace": GRACE,
            "remove": spec.remove,
        }
        try:
            pipe.write(jsonio.dumps(order) + b"\n" + spec.prompt)
            await pipe.drain()
        except ConnectionError:
            pass  # it is gone; its exit code tells

    async def _listen(self) -> None:
        while data := await _pipe(self._process.stderr).read(_CHUNK):
            self.errors = (self.errors + data)[-_TAIL:]


def _pipe(stream: asyncio.StreamReader | None) -> asyncio.StreamReader:
    if stream is None:
        raise RuntimeError("the process has no pipes")
    return stream
