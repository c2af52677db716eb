"""Daemons that share one Redis, and clients that ask them."""

import asyncio
import json
import math
import tempfile
import time
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp

from proxypal_core.store.master_key import KeySource
from proxypal_core.store.vault import Vault
from tests.fault_server import MARK, FaultServer
from tests.gateway.asking import TERMINAL, question
from tests.proxy import ADMIN_KEY
from tests.redis_server import RedisServer, redis_server
from tests.running import Running, daemon

VAULT_KEY = "5a" * 32
DIALECT = "openai-chat"
PATIENCE = 15.0


@dataclass
class Asked:
    """An answer as its client saw it; ``took`` is in seconds."""

    status: int
    account: str
    whole: bool
    took: float

    @property
    def good(self):
        return self.status == 200 and self.whole


class Replica:
    """A daemon with a home of its own, which settings of *text* have in common with others."""

    def __init__(self, folder, text):
        self.folder = Path(folder)
        self.config = self.folder / "config.yaml"
        self.folder.mkdir()
        self.config.write_text(f"listen: {{port: 0}}\n{text}")
        for name in ("data", "state"):
            (self.folder / name).mkdir(mode=0o700)
        self.running: Running | None = None

    @property
    def vault(self):
        keys = KeySource("auto", self.folder / "state", {"PROXYPAL_VAULT_KEY": VAULT_KEY})
        return Vault(self.folder / "data", keys)

    @property
    def url(self):
        return self.running.url

    @asynccontextmanager
    async def serves(self):
        environment = {
            "HOME": str(self.folder),
            "PROXYPAL_ADMIN_KEY": ADMIN_KEY,
            "PROXYPAL_CONFIG": str(self.config),
            "PROXYPAL_DATA_DIR": str(self.folder / "data"),
            "PROXYPAL_STATE_DIR": str(self.folder / "state"),
            "PROXYPAL_VAULT_KEY": VAULT_KEY,
        }
        async with daemon("--config", self.config, **environment) as self.running:
            yield self


@dataclass
class Installation:
    redis: RedisServer
    provider: FaultServer
    replicas: list[Replica]
    session: aiohttp.ClientSession
    keys: list[str]
    many: int

    async def ask(self, replica, *, model="m-1", stream=False, headers=None, session=""):
        path, body = question(DIALECT, model, stream=stream)
        told = {**(headers or {}), **({"x-session-id": session} if session else {})}
        began = time.perf_counter()
        try:
            async with self.session.post(replica.url + path, json=body, headers=told) as answer:
                text = await answer.read()
        except aiohttp.ClientError:
            return Asked(0, "", whole=False, took=time.perf_counter() - began)
        took = time.perf_counter() - began
        whole = TERMINAL[DIALECT] in text if stream else _is_json(text)
        account = answer.headers.get("x-proxypal-account", "")
        return Asked(answer.status, account, whole, took)

    async def api(self, replica, path):
        headers = {"Authorization": f"Bearer {ADMIN_KEY}"}
        async with self.session.get(f"{replica.url}/api/{path}", headers=headers) as answer:
            return await answer.json()

    async def rests(self, replica):
        """The ids of the accounts that rest."""
        state = await self.api(replica, "state")
        return {
            row["id"] for row in state["accounts"] if row["resting"] is not None or row["models"]
        }

    async def heard(self, replica):
        """How many replicas *replica* knows of; 0 when it is alone."""
        async with self.session.get(f"{replica.url}/health") as answer:
            shared = (await answer.json())["shared_state"]
            return shared["replicas"] if shared["reachable"] else 0

    async def together(self):
        """Whether every replica knows of every other."""
        heard = [await self.heard(replica) for replica in self.replicas[: self.many]]
        return heard == [self.many] * self.many

    async def until(self, condition):
        """Wait until the coroutine function *condition* says yes; the seconds it took."""
        began = time.perf_counter()
        async with asyncio.timeout(PATIENCE):
            while not await condition():  # noqa: ASYNC110 — what another process knows sets no event
                await asyncio.sleep(0.01)
        return time.perf_counter() - began


@asynccontextmanager
async def installation(accounts=3, *, many=3, extra="", alone=0, prepare=lambda replica: None):
    """*many* replicas with so many *accounts* at one provider, and *alone* daemons that share nothing;
    *extra* is more of their settings, *prepare* is called with each before it starts.
    """
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="pp-")))
        redis = stack.enter_context(redis_server())
        provider = await stack.enter_async_context(FaultServer())
        keys = [f"k{number}" for number in range(accounts)]
        rows = "".join(
            f'  - {{id: "up:{key}", api_key: "{key}{MARK}", models: ["m-*"]}}\n' for key in keys
        )
        common = (
            f"providers:\n  - {{name: up, dialect: {DIALECT}, base_url: {provider.url(DIALECT)}}}\n"
            f"accounts:\n{rows}{extra}"
        )
        shared = f"state: {{backend: redis, url: 'unix://{redis.path}', tenant: team}}\n"
        replicas = [
            Replica(folder / str(number), common + (shared if number < many else ""))
            for number in range(many + alone)
        ]
        for replica in replicas:
            prepare(replica)
        await asyncio.gather(*(stack.enter_async_context(replica.serves()) for replica in replicas))
        session = await stack.enter_async_context(
            aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0))
        )
        made = Installation(redis, provider, replicas, session, keys, many)
        await made.until(made.together)
        yield made


def percentile(values, share):
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, math.ceil(share * len(ordered)) - 1)]


def _is_json(text):
    try:
        return bool(json.loads(text))
    except ValueError:
        return False
