"""Many processes whose token ends at the same moment, over and over: `python -m` this.

Four processes of a hundred tasks each share one vault and one login at a provider that forgives
nothing and takes its time. Every expiry must cost one question to it, and no login.
"""

import argparse
import asyncio
import os
import sys
import tempfile
import time
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from functools import partial
from pathlib import Path

import structlog

from proxypal_core.accounts.account import Account, Secret
from proxypal_core.cli.accounts import vault_of
from proxypal_core.providers.provider import OAuth, Provider
from proxypal_core.settings.parse import parse
from proxypal_core.store.logins import Logins
from proxypal_core.upstream.http import HttpTransport
from proxypal_core.upstream.linked import Links
from proxypal_core.upstream.token_endpoint import post
from proxypal_core.upstream.tokens import Tokens
from proxypal_core.wire import jsonio
from tests.identity_provider.server import CLIENT, identity_provider

START = 1_795_000_000.0
LIFE = 3600
DELAY = 0.05
NAME = "acme:me@example.com"


def logins():
    return Logins(vault_of(parse("", {}), os.environ))


# ── a process of many tasks ──────────────────────────────────────────────────────────────────


async def worker(url, tasks):
    """Reads rounds from standard input, and answers each with the tokens that its tasks got."""
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    account = Account(id=NAME, provider="acme", kind="oauth")
    row = Provider(name="acme", oauth=OAuth(client_id=CLIENT, token_url=f"{url}/token"))
    now = START

    async def one(stale):
        if stale:
            await tokens.renew(account, Secret(stale))
        return (await tokens.credential(account)).reveal()

    async with HttpTransport() as http:
        tokens = Tokens(
            logins(),
            {"acme": row},
            partial(post, http, agent="storm"),
            Links(Path("/"), lambda: now),
            clock=lambda: now,
            chance=lambda: 0.5,
        )
        while line := await asyncio.to_thread(sys.stdin.readline):
            asked = jsonio.loads(line)
            now = asked["now"]
            got = await asyncio.gather(*(one(asked["stale"]) for _ in range(tasks)))
            print(jsonio.dumps_text(sorted(set(got))), flush=True)


# ── all of them ──────────────────────────────────────────────────────────────────────────────


async def storm(*, processes, tasks, expiries):
    """The provider's record of *expiries*: half by the clock, half because a token was refused.

    Raises:
        AssertionError: a task was left without the one token that is good.
    """
    async with AsyncExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        provider = await stack.enter_async_context(identity_provider(life=LIFE, delay=DELAY))
        stack.enter_context(_environment(folder))
        token = _begin(provider)
        running = [
            await stack.enter_async_context(_process(provider.url, tasks)) for _ in range(processes)
        ]
        now = START
        for number in range(expiries):
            now += LIFE if number % 2 == 0 else 120
            stale = "" if number % 2 == 0 else token
            answers = await asyncio.gather(*(_round(each, now, stale) for each in running))
            found = {each for answer in answers for each in answer}
            assert len(found) == 1, f"expiry {number}: {len(found)} tokens at once"
            assert token not in found, f"expiry {number}: the old token was sent"
            (token,) = found
            assert provider.honours(token)
        return provider


@contextmanager
def _environment(folder):
    """That of an installation in *folder*, for us and our processes, and what it was before."""
    names = {
        "PROXYPAL_DATA_DIR": folder,
        "PROXYPAL_STATE_DIR": folder,
        "PROXYPAL_VAULT_KEY": "5a" * 32,
    }
    before = {name: os.environ.get(name) for name in names}
    os.environ.update(names)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _begin(provider):
    given = provider.login()
    profile = {
        "type": "oauth",
        "provider": "acme",
        "access": given["access_token"],
        "refresh": given["refresh_token"],
        "issued": START * 1000,
        "expires": (START + LIFE) * 1000,
    }
    vault_of(parse("", {}), os.environ).update(lambda profiles: profiles.update({NAME: profile}))
    return given["access_token"]


@asynccontextmanager
async def _process(url, tasks):
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.identity_provider.storm",
        "--worker",
        url,
        "--tasks",
        str(tasks),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        cwd=Path(__file__).parents[2],
    )
    try:
        yield process
    finally:
        process.stdin.close()
        await process.wait()


async def _round(process, now, stale):
    process.stdin.write(jsonio.dumps({"now": now, "stale": stale}) + b"\n")
    line = await process.stdout.readline()
    assert line, "a process ended"
    return jsonio.loads(line)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--worker", metavar="URL", help=argparse.SUPPRESS)
    parser.add_argument("--processes", type=int, default=4)
    parser.add_argument("--tasks", type=int, default=100)
    parser.add_argument("--expiries", type=int, default=200)
    asked = parser.parse_args()
    if asked.worker:
        asyncio.run(worker(asked.worker, asked.tasks))
        return
    began = time.monotonic()
    provider = asyncio.run(
        storm(processes=asked.processes, tasks=asked.tasks, expiries=asked.expiries)
    )
    print(
        f"{asked.processes} processes x {asked.tasks} tasks x {asked.expiries} expiries:"
        f" {len(provider.calls)} token calls, {len(provider.revoked)} logins lost,"
        f" {time.monotonic() - began:.0f} s"
    )
    if len(provider.calls) != asked.expiries or provider.revoked:
        sys.exit(1)


if __name__ == "__main__":
    main()
