"""Which of the backends' programs are here, of which version, and whether they are logged in."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec

from proxypal_core.providers.backend import Backend
from proxypal_core.upstream.child import Child, Spec
from proxypal_core.upstream.process_place import environment, program
from proxypal_core.upstream.transport import Broken

PATIENCE = 10.0
"""Seconds that a program has to answer each question."""
_AT_A_TIME = 2


class Found(msgspec.Struct, frozen=True):
    """``path`` is empty where there is no such program, ``version`` where it did not say;
    ``logged_in`` is None where it cannot be asked.
    """

    name: str
    path: str
    version: str = ""
    logged_in: bool | None = None


async def examine_all(backends: Iterable[Backend], ours: Mapping[str, str]) -> Sequence[Found]:
    """What there is of each of *backends*, in their order."""
    slots = asyncio.Semaphore(_AT_A_TIME)

    async def one(backend: Backend) -> Found:
        async with slots:
            return await examine(backend, ours)

    return await asyncio.gather(*map(one, backends))


async def examine(backend: Backend, ours: Mapping[str, str]) -> Found:
    """What there is of *backend*, where *ours* are this process's variables."""
    path = program(backend, ours)
    if not path:
        return Found(backend.name, "")
    _, version = await _asked(backend, path, backend.version_args, ours)
    logged_in = None
    if backend.login_args:
        code, _ = await _asked(backend, path, backend.login_args, ours)
        logged_in = None if code is None else code == 0
    return Found(backend.name, path, version, logged_in)


async def _asked(
    backend: Backend, path: str, words: Sequence[str], ours: Mapping[str, str]
) -> tuple[int | None, str]:
    """The exit code, None where it took too long, and the first line that was printed."""
    with TemporaryDirectory(prefix="proxypal-") as folder:
        spec = Spec(argv=[path, *words], env=environment(backend, ours), cwd=Path(folder))
        try:
            child = await Child.start(spec)
        except Broken:
            return None, ""
        printed = b""
        code: int | None = None
        try:
            async with asyncio.timeout(PATIENCE):
                while data := await child.read():
                    printed += data[: 4096 - len(printed)]
                code = await child.ended()
        except TimeoutError:
            pass
        finally:
            child.end()
            await child.ended()
        line = printed.decode("utf-8", "replace").strip().partition("\n")[0]
        return code, line
