"""One login on three machines: renewed once each time, and never lost."""

import asyncio
import time
from contextlib import AsyncExitStack
from functools import partial
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory

from proxypal_core.accounts.account import Account, Secret
from proxypal_core.app.shared_vault import SharedVault
from proxypal_core.providers.provider import OAuth, Provider
from proxypal_core.shared.redis import Redis
from proxypal_core.store.logins import Logins
from proxypal_core.store.master_key import KeySource
from proxypal_core.store.vault import Vault
from proxypal_core.upstream.http import HttpTransport
from proxypal_core.upstream.linked import Links
from proxypal_core.upstream.token_endpoint import post
from proxypal_core.upstream.tokens import Tokens
from tests.figures import Figure
from tests.identity_provider.server import CLIENT, identity_provider
from tests.redis_server import redis_server

NAME = "acme:me@example.com"
START = 1_795_000_000.0
LIFE = 3600
_ids = count(1)


class Machine:
    """A vault of its own, and what keeps its logins fresh. ``now`` is its clock."""

    def __init__(self, folder, shared, http, url):
        keys = KeySource("auto", Path(folder), {"PROXYPAL_VAULT_KEY": "5a" * 32})
        self.vault = Vault(Path(folder), keys)
        self.shared = SharedVault(
            shared, self.vault, tenant="team", new_id=lambda: f"holder-{next(_ids)}"
        )
        self.now = START
        row = Provider(name="acme", oauth=OAuth(client_id=CLIENT, token_url=f"{url}/token"))
        self.tokens = Tokens(
            Logins(self.vault),
            {"acme": row},
            partial(post, http, agent="replicas"),
            Links(Path("/"), lambda: self.now),
            clock=lambda: self.now,
            chance=lambda: 0.5,
            claim=self.shared.claim,
        )

    async def token(self, stale=""):
        account = Account(id=NAME, provider="acme", kind="oauth")
        if stale:
            await self.tokens.renew(account, Secret(stale))
        return (await self.tokens.credential(account)).reveal()


def profile_of(given):
    return {
        "type": "oauth",
        "provider": "acme",
        "access": given["access_token"],
        "refresh": given["refresh_token"],
        "issued": START * 1000,
        "expires": (START + LIFE) * 1000,
    }


async def renewals(folder, *, redis, machines=3, tasks=20, expiries=30, delay=0.02):
    """The provider's record of *expiries*: half by the clock, half because a token was refused."""
    async with AsyncExitStack() as stack:
        provider = await stack.enter_async_context(identity_provider(life=LIFE, delay=delay))
        http = await stack.enter_async_context(HttpTransport())
        made = []
        for number in range(machines):
            home = Path(folder) / str(number)
            home.mkdir()
            shared = Redis(redis.url, "team", str(number), timeout=10.0)
            stack.push_async_callback(shared.close)
            made.append(Machine(home, shared, http, provider.url))
        given = provider.login()
        made[0].vault.update(lambda profiles: profiles.update({NAME: profile_of(given)}))
        for machine in made:
            await machine.shared.sync()
        token = given["access_token"]
        for number in range(expiries):
            stale = "" if number % 2 == 0 else token
            for machine in made:
                machine.now += LIFE if number % 2 == 0 else 120
            answers = await asyncio.gather(
                *(machine.token(stale) for machine in made for _ in range(tasks))
            )
            assert len(set(answers)) == 1, f"expiry {number}: {len(set(answers))} tokens at once"
            assert token != answers[0], f"expiry {number}: the old token was sent"
            token = answers[0]
            assert provider.honours(token)
        return provider


async def measure_logins(expiries=50):
    began = time.monotonic()
    with TemporaryDirectory() as folder, redis_server() as redis:
        try:
            provider = await renewals(folder, redis=redis, expiries=expiries)
        except AssertionError as error:
            return [Figure("logins", "renewals", str(error), "", held=False)]
    asked, revoked = len(provider.calls), len(provider.revoked)
    return [
        Figure(
            "logins",
            f"3 vaults on one Redis, 20 tasks each, one login that ends {expiries} times: questions;"
            " logins revoked",
            f"{asked}; {revoked} ({time.monotonic() - began:.0f} s)",
            f"{expiries}; 0",
            held=provider.calls == ["refresh_token"] * expiries and not revoked,
        )
    ]
