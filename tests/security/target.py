"""The proxy that is attacked, what shows that an attack had an effect, and raw requests to it."""

import asyncio
import hashlib
import tempfile
from collections.abc import Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from unittest.mock import patch

import h11

from proxypal_core.gateway import endpoints
from proxypal_core.wire import jsonio
from tests.fault_server import FaultServer
from tests.gateway.asking import DIALECTS
from tests.gateway.owning import ADMIN, owned
from tests.proxy import StoppedClock

PATIENCE = 10.0
"""Seconds after which a proxy that does not answer is at fault."""
QUESTION = jsonio.dumps(
    {
        "model": "m-1",
        "max_tokens": 10,
        "messages": [{"role": "user", "content": "Hello?"}],
        "input": "Hello?",
        "contents": [{"role": "user", "parts": [{"text": "Hello?"}]}],
    }
)
"""A question in every dialect at once; each reads its own fields of it."""


@dataclass(frozen=True)
class Answer:
    """``problem`` is what h11, a strict parser, has against it; ``status`` is 0 where there is none."""

    status: int
    headers: Sequence[tuple[str, str]] = ()
    body: bytes = b""
    problem: str = ""

    def names(self):
        return {name for name, _ in self.headers}


async def asked(port, message, method="GET"):
    """The answer to the bytes *message*, which ask with *method*; a stream is left after its head."""
    try:
        async with asyncio.timeout(PATIENCE):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            try:
                writer.write(message)
                return await _judged(reader, method)
            finally:
                writer.close()
    except TimeoutError:
        return Answer(0, problem=f"no answer in {PATIENCE:g} seconds")
    except ConnectionError as error:
        return Answer(0, problem=type(error).__name__)


async def _judged(reader, method):
    parser = h11.Connection(h11.CLIENT, max_incomplete_event_size=128 * 1024)
    # What is asked tells h11 only whether the answer has a body.
    head = method if method == "HEAD" else "GET"
    parser.send(h11.Request(method=head, target="/", headers=[("host", "x")]))
    parser.send(h11.EndOfMessage())
    status, headers, body = 0, [], b""
    try:
        while True:
            match parser.next_event():
                case h11.NEED_DATA:
                    parser.receive_data(await reader.read(65536))
                case h11.Response() as response:
                    status = response.status_code
                    headers = [(name.decode(), value.decode()) for name, value in response.headers]
                    if ("content-type", "text/event-stream") in headers:
                        return Answer(status, headers)
                case h11.Data() as data:
                    body += bytes(data.data)
                case _:
                    return Answer(status, headers, body)
    except h11.RemoteProtocolError as error:
        return Answer(status, headers, body, str(error))


def message(method, target, lines, body=b"", version="1.1"):
    """A request, as bytes; *lines* are its headers, as they stand."""
    if body:
        lines = [*lines, f"Content-Length: {len(body)}"]
    head = "\r\n".join([f"{method} {target} HTTP/{version}", *lines, "Connection: close"])
    return head.encode("latin-1") + b"\r\n\r\n" + body


class Target:
    """A proxy in this process with an upstream of every dialect behind it.

    ``served`` counts the requests that were let past the guard, ``hits`` those that came out behind.
    """

    def __init__(self, owner, upstream, folder, clock):
        self.owner = owner
        self.port = owner.proxy.port
        self.host = f"127.0.0.1:{self.port}"
        self.clock = clock
        self.served = 0
        self._upstream = upstream
        self._folder = folder

    @property
    def hits(self):
        return len(self._upstream.requests)

    async def cookies(self):
        """The dashboard's cookie, as a header has it."""
        return "; ".join(
            f"{name}={value}" for name, value in (await self.owner.signed_in()).items()
        )

    async def ask(self, method, target, lines=(), body=b"", version="1.1"):
        return await asked(self.port, message(method, target, lines, body, version), method)

    async def state(self):
        """A hash of all that a request could change, but for the log of requests."""
        told = hashlib.sha256()
        for path in ("/api/state", "/api/accounts", "/api/keys", "/api/settings"):
            _, answer = await self.owner.call("GET", path, headers=ADMIN)
            told.update(jsonio.dumps(answer))
        for path in sorted(self._folder.rglob("*")):
            if path.is_file() and not path.name.startswith("state.db"):
                told.update(path.name.encode() + path.read_bytes())
        return told.hexdigest()


@asynccontextmanager
async def target(config="", *, clock=None):
    """A Target with the settings of *config* besides; its own files go when it does."""
    clock = clock or StoppedClock()
    shown_keys = endpoints._shown_keys
    async with FaultServer() as upstream:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            async with owned(folder, settings(upstream, config), clock=clock) as owner:
                attacked = Target(owner, upstream, folder, clock)

                def counted(*arguments):  # who is not let past the guard is not asked for a key
                    attacked.served += 1
                    return shown_keys(*arguments)

                with patch.object(endpoints, "_shown_keys", counted):
                    yield attacked


def settings(upstream, more=""):
    """Settings with *upstream* as a provider of each dialect; *more* is added."""
    providers = "\n".join(
        f"  - {{name: up-{dialect}, dialect: {dialect}, base_url: {upstream.url(dialect)}}}"
        for dialect in DIALECTS
    )
    accounts = "\n".join(
        f'  - {{id: "up-{dialect}:own", api_key: key-of-{dialect}, models: ["m-*"]}}'
        for dialect in DIALECTS
    )
    return f"providers:\n{providers}\naccounts:\n{accounts}\n{more}"
