"""S1: a daemon at DEBUG with everything on is asked well and badly, and its secrets are looked for.

Every secret that it has or is shown is marked, and so is what users write. What it answers, prints,
logs and keeps, and what the programs that it starts are given, is searched.
(The same search runs after each test of the whole suite: ``tests/security/plugin.py``.)
"""

import asyncio
import tempfile
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import aiohttp

from proxypal_core.gateway.api import ENDPOINTS
from proxypal_core.store.master_key import KeySource
from proxypal_core.store.vault import Vault
from proxypal_core.wire import jsonio
from tests import fake_cli
from tests.fault_server import (
    Answer,
    CutAfter,
    ErrorInside,
    FaultServer,
    Html,
    Malformed,
    Redirect,
    Refuse,
    Reset,
    Status,
)
from tests.figures import Figure
from tests.gateway.asking import DIALECTS, question, read
from tests.identity_provider.server import CLIENT, identity_provider
from tests.running import PROGRAM, daemon
from tests.security.spellings import MARK, MARKS, found_in, spellings

ADMIN_KEY = f"admin-{MARK}-of-the-owner"
CLIENT_KEY = f"pp-{MARK}-of-a-client"
PROMPT = "oak-and-walnut-words-of-a-user"
"""Not a secret of ours: an answer may repeat it, and nothing else may while bodies are not kept."""
STATUSES = (200, 400, 401, 402, 403, 404, 408, 413, 422, 429, 500, 503, 529)
KEY_FILES = ("admin.key", "vault.key")
PATIENCE = 20.0
BACKEND = {"output": "jsonl", "jsonl_dialect": "claude-stream-json", "input_format": "stream-json"}


@dataclass
class Heard:
    """What got out: the place, what was there, and whether users' words are looked for in it too."""

    places: list[tuple[str, bytes, bool]]

    def add(self, place: str, data: bytes | str, *, words: bool = True) -> None:
        raw = data if isinstance(data, bytes) else data.encode("utf-8", "surrogateescape")
        self.places.append((place, raw, words))

    def leaks(self) -> list[str]:
        wanted = {True: MARKS | spellings(PROMPT), False: MARKS}
        found = ((place, found_in(data, wanted[words])) for place, data, words in self.places)
        return [f"{place}: {shown}" for place, shown in found if shown]


async def measure(
    logs: tuple[str, ...] = ("", "daemon.log"), program: tuple[str, ...] = PROGRAM
) -> list[Figure]:
    """What is found once everything was asked, with the log in each of *logs*; "" is standard
    error. *program* is what Python runs in place of the daemon.
    """
    heard = Heard([])
    for log in logs:
        with tempfile.TemporaryDirectory() as folder:
            async with FaultServer() as server, identity_provider() as issuer:
                await _run(Path(folder), server, issuer, heard, log=log, program=program)
    size = sum(len(data) for _, data, _ in heard.places)
    leaks = heard.leaks()
    return [
        Figure(
            "S1",
            "secrets and prompts found in answers, output, logs, files and programs' environments",
            f"{len(leaks)} in {len(heard.places)} places, {size:,} bytes"
            + "".join(f"; {leak}" for leak in leaks[:3]),
            "0",
            held=not leaks,
        )
    ]


async def _run(folder, server, issuer, heard, *, log, program):
    temporary = folder / "tmp"
    temporary.mkdir()
    file = str(folder / "state" / log) if log else ""
    config = folder / "config.yaml"
    config.write_text(jsonio.dumps_text(_settings(folder, server, issuer, file)))
    _fill_vault(folder, server, issuer)
    places = {"HOME": str(folder), "TMPDIR": str(temporary)}
    places |= {f"PROXYPAL_{kind.upper()}_DIR": str(folder / kind) for kind in ("data", "state")}
    async with (
        daemon("--config", config, program=program, **places) as started,
        aiohttp.ClientSession() as session,
    ):
        caller = _Caller(session, started, heard)
        await _everything(caller, server, issuer, started.process.pid)
        _look_at_files(folder, heard)  # as they are while it runs: the write-ahead log too
        started.process.terminate()
        await started.ended()
    heard.add("standard output", started.out)
    heard.add("standard error", started.err)
    _look_at_files(folder, heard)


def _settings(folder, server, issuer, log):
    """Everything on: marked secrets wherever the settings take one."""
    providers = [
        {
            "name": f"up-{dialect}",
            "dialect": dialect,
            "base_url": server.url(dialect),
            "headers": {"x-of-the-provider": f"{MARK}-of-a-provider"},
        }
        for dialect in DIALECTS
    ]
    oauth = {
        "client_id": CLIENT,
        "client_secret": f"{MARK}-of-an-oauth-client",
        "authorize_url": f"{issuer.url}/authorize",
        "token_url": f"{issuer.url}/token",
    }
    url = server.url("openai-chat")
    acme = {"name": "acme", "dialect": "openai-chat", "base_url": url, "oauth": oauth}
    accounts = [
        {
            "id": f"up-{dialect}:work",
            "api_key": _key(dialect),
            "headers": {"x-of-the-account": f"{MARK}-of-an-account"},
        }
        for dialect in DIALECTS
    ]
    behind = {
        "id": "up-openai-chat:behind",
        "api_key": _key("proxied"),
        "proxy": f"http://me:{MARK}-of-a-proxy@127.0.0.1:1",
        "prefix": "behind",
    }
    backends = {
        "fake": fake_cli.row("slow", folder / "dump-slow", **BACKEND),
        "noisy": fake_cli.row(
            "noisy", folder / "given", env={"FAKE_KEY": f"{MARK}-of-a-program"}, **BACKEND
        ),
    }
    return {
        "listen": {"port": 0},
        "admin_key": ADMIN_KEY,
        "client_keys": [{"name": "laptop", "key": CLIENT_KEY}],
        "providers": [*providers, acme],
        "accounts": [*accounts, behind],
        "backends": backends,
        "alerts": {"webhook": f"http://127.0.0.1:1/{MARK}-of-a-hook"},
        "network": {"no_proxy": ""},
        "logging": {"level": "debug", "format": "json", "file": log},
    }


def _key(name):
    return f"sk-{MARK}-of-{name}"


def _fill_vault(folder, server, issuer):
    given = issuer.login()
    kept = {
        "acme:me": {
            "type": "oauth",
            "provider": "acme",
            "access": given["access_token"],
            "refresh": given["refresh_token"],
            "expires": 1000,
        },
        "up-anthropic:pasted": {
            "type": "token",
            "provider": "up-anthropic",
            "token": f"{MARK}-of-a-pasted-token",
        },
    }
    vault = Vault(folder / "data", KeySource("file", folder / "state", {}))
    vault.update(lambda profiles: profiles.update(kept))


class _Caller:
    """Asks, and has what it is answered heard."""

    def __init__(self, session, started, heard):
        self.session = session
        self.url = started.url
        self.heard = heard

    async def ask(self, client, model, *, stream=True, key=CLIENT_KEY):
        path, body = question(client, model, stream=stream, text=PROMPT)
        if client == "openai-responses":
            body["store"] = False
        await self.call("POST", path, body, key=key, words=False)

    async def call(self, method, path, body=None, *, key=ADMIN_KEY, words=True):
        headers = {"authorization": f"Bearer {key}", "x-proxypal-dashboard": "1"}
        try:
            async with self.session.request(
                method, self.url + path, json=body, headers=headers, allow_redirects=False
            ) as answer:
                data, _ = await read(answer)
                head = "\n".join(f"{name}: {value}" for name, value in answer.headers.items())
        except aiohttp.ClientError as error:
            data, head = repr(error).encode(), ""
        self.heard.add(f"{method} {path}", head.encode() + b"\n" + data, words=words)

    async def send(self, message):
        """Bytes that are no request, on a connection of their own."""
        host, _, port = self.url.removeprefix("http://").partition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(message)
        async with asyncio.timeout(PATIENCE):
            self.heard.add("a malformed request", await reader.read())
        writer.close()


async def _everything(caller, server, issuer, pid):
    for dialect in DIALECTS:
        for stream in (True, False):
            await caller.ask(dialect, f"up-{dialect}/m-1", stream=stream)
    for number, step in enumerate(_FAULTS):
        spoken, client = DIALECTS[number % 4], DIALECTS[number // 4 % 4]
        server.always(step)
        await caller.ask(client, f"up-{spoken}/m-1", stream=bool(number % 3))
        await caller.call("POST", "/api/accounts/reset")
    server.always(Answer())
    await caller.ask("openai-chat", "acme/m")  # its login is renewed first
    issuer.echoes = True
    server.always(Status(401))
    await caller.ask("openai-chat", "acme/m")
    await caller.ask("anthropic", "behind/m")
    await caller.ask("anthropic", "up-anthropic/m", key=f"sk-{MARK}-wrong")
    async with _children_seen(pid, caller.heard):
        await caller.ask("openai-chat", "fake/m")
    await caller.ask("openai-chat", "noisy/m")
    for message in _MALFORMED:
        await caller.send(message)
    await caller.call("POST", "/api/keys", {"name": "another"})
    for endpoint in ENDPOINTS:
        if endpoint.method == "GET" and "{" not in endpoint.path and "events" not in endpoint.path:
            await caller.call("GET", endpoint.path)
    await caller.call("GET", f"/metrics?key={ADMIN_KEY}", key="nobody")


class _Quoting:
    """A step that repeats the key that it is shown."""

    def __init__(self, status):
        self.status = status

    async def play(self, exchange):
        key = exchange.request.key
        text = f"Incorrect API key provided: {key}, or Bearer {key}"
        body = {"error": {"message": text, "type": "server_error", "param": key, "code": key}}
        if self.status == 200:
            event = b"data: " + jsonio.dumps(body) + b"\n\n"
            await ErrorInside(frames=2, event=event).play(exchange)
        else:
            await Status(self.status, body=body).play(exchange)


_FAULTS = (
    *map(_Quoting, STATUSES),
    Redirect(f"http://127.0.0.1:1/?key={MARK}"),
    CutAfter(frames=2),
    Reset(frames=2),
    Malformed(frames=1),
    Refuse(),
    Html(),
)

_LINE = f"Authorization: Bearer sk-{MARK}".encode()
_MALFORMED = tuple(
    b"\r\n".join([b"GET / HTTP/1.1", b"Host: 127.0.0.1", *lines, b"Connection: close", b"", b""])
    for lines in (
        [_LINE + b"\x01"],
        [_LINE + b"x" * 40_000],
        [_LINE, b"Host: sk-" + MARK.encode()],
        [b"Content-Length: +5", _LINE],
        [b"Content-Length: 5", b"Transfer-Encoding: chunked", _LINE],
        [_LINE.replace(b":", b" :")],
    )
)


@asynccontextmanager
async def _children_seen(pid, heard):
    """While the context lasts, the command lines and environments of all processes below *pid*."""

    async def look():
        while True:
            for child in _below(pid):
                _look_at_process(child, heard)
            await asyncio.sleep(0.1)

    looking = asyncio.ensure_future(look())
    try:
        yield
    finally:
        looking.cancel()
        with suppress(asyncio.CancelledError):
            await looking


def _look_at_process(pid, heard):
    for name in ("cmdline", "environ"):
        with suppress(OSError):
            heard.add(f"{name} of a program", Path(f"/proc/{pid}/{name}").read_bytes())


def _below(pid):
    """The processes that *pid* started, and those that they did; only Linux tells."""
    with suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            for child in (task / "children").read_text().split():
                yield child
                yield from _below(child)


def _look_at_files(folder, heard):
    """Every file below *folder* but the settings, the key files, and what one program was given."""
    for path in folder.rglob("*"):
        if path.name not in (*KEY_FILES, "config.yaml", "given") and path.is_file():
            words = not path.name.startswith("dump")  # on standard input it belongs
            heard.add(str(path.relative_to(folder)), path.read_bytes(), words=words)
