"""Where a disaster happens: a home of its own, a daemon in it, and how to see what became of both."""

import asyncio
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple, TypeAlias

import aiohttp

from proxypal_core.store.master_key import KeySource
from proxypal_core.store.vault import Vault
from tests.gateway.asking import DIALECTS, TERMINAL, ask
from tests.proxy import ADMIN_KEY, Proxy
from tests.running import Running, daemon, ran

PATIENCE = 15.0
"""Seconds after which something that should come has not."""


class Outcome(NamedTuple):
    seen: str
    held: bool


class Place:
    """A home with folders of its own, and how programs are told of it."""

    def __init__(self, folder: Path, *, locked: float) -> None:
        self.folder = folder
        self.data, self.state = folder / "data", folder / "state"
        self.config, self.log = folder / "config.yaml", folder / "proxypal.log"
        self.locked = locked
        self.data.mkdir(mode=0o700)
        self.configure("")

    def configure(self, text: str) -> None:
        self.config.write_text(f"listen: {{port: 0}}\n{text}")

    @property
    def environment(self) -> Mapping[str, str]:
        return {
            "HOME": str(self.folder),
            "PROXYPAL_ADMIN_KEY": ADMIN_KEY,
            "PROXYPAL_CONFIG": str(self.config),
            "PROXYPAL_DATA_DIR": str(self.data),
            "PROXYPAL_STATE_DIR": str(self.state),
        }

    @property
    def vault(self) -> Vault:
        return Vault(self.data, KeySource("file", self.state, {}))

    def fill_vault(self, generations: int) -> bytes:
        """The bytes of a vault that was written so many times."""
        for number in range(generations):
            row = {"type": "api_key", "provider": "groq", "key": f"key-{number}"}
            self.vault.update(lambda profiles, row=row: profiles.update({"groq:a": row}))  # type: ignore[misc] # a default
        return self.vault.path.read_bytes()


Disaster: TypeAlias = Callable[[Place], Awaitable[Outcome]]


# ── what is looked at ────────────────────────────────────────────────────────────────────────


async def whole_answers(started: Running | Proxy, many: int = 8, model: str = "demo") -> int:
    """How many of so many questions, of all dialects, got a whole answer."""
    answers = await asyncio.gather(
        *(ask(started, DIALECTS[number % 4], model) for number in range(many))
    )
    return sum(
        status == 200 and whole and TERMINAL[DIALECTS[number % 4]] in body
        for number, (status, _, body, whole) in enumerate(answers)
    )


async def api(url: str, path: str, body: object = None) -> tuple[int, dict[str, object]]:
    """The management API's status and answer; a POST where there is a *body*."""
    headers = {"Authorization": f"Bearer {ADMIN_KEY}"}
    method = "GET" if body is None else "POST"
    async with (
        aiohttp.ClientSession(headers=headers) as session,
        session.request(method, f"{url}/api/{path}", json=body) as answer,
    ):
        return answer.status, await answer.json()


async def recorded(url: str) -> int:
    """How many requests the daemon knows of."""
    _, told = await api(url, "usage")
    total = told["total"]
    assert isinstance(total, dict)
    return int(total["requests"])


async def comes(condition: Callable[[], Awaitable[bool]]) -> bool:
    """Whether *condition* comes to hold in time."""
    ends = time.monotonic() + PATIENCE
    while time.monotonic() < ends:
        if await condition():
            return True
        await asyncio.sleep(0.05)
    return False


async def all_recorded(url: str, many: int) -> bool:
    async def condition() -> bool:
        return await recorded(url) == many

    return await comes(condition)


@asynccontextmanager
async def daemon_of(place: Place) -> AsyncIterator[Running]:
    async with daemon("--config", place.config, **place.environment) as started:
        yield started


async def stopped(started: Running) -> int:
    started.process.send_signal(signal.SIGTERM)
    return int(await started.ended())


async def refused_start(place: Place, *arguments: object, code: int, saying: str) -> Outcome:
    """``proxypal serve`` must end with *code*, and say so."""
    ended = await ran("serve", *arguments, **place.environment)
    said = saying in ended.err
    told = ended.err.strip().splitlines()[-1][:70] if ended.err.strip() else "nothing"
    return Outcome(
        f"exit code {ended.process.returncode}: {told}",
        held=ended.process.returncode == code and said and "Traceback" not in ended.err,
    )
