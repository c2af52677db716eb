"""Tokens stay fresh: asked for once, kept before they are used, and given up with a word."""

import asyncio
import threading
from contextlib import contextmanager
from functools import partial

import pytest
import structlog
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from proxypal_core.accounts.account import Account, Secret
from proxypal_core.hub.failure import Kind, Refused
from proxypal_core.providers.provider import Provider
from proxypal_core.upstream.http import HttpTransport
from proxypal_core.upstream.linked import Links
from proxypal_core.upstream.token_endpoint import post
from proxypal_core.upstream.tokens import LOOK, POLL, Tokens
from proxypal_core.wire import jsonio
from tests.identity_provider.server import identity_provider

NOW = 1_795_000_000.0
NAME = "acme:me@example.com"
ACCOUNT = Account(id=NAME, provider="acme", kind="oauth")


class Shelf:
    """Profiles in memory, with the vault's manners."""

    def __init__(self, profiles):
        self.profiles = dict(profiles)
        self.full = False
        self.written = []
        self._locks = {}

    def read(self):
        return dict(self.profiles)

    def replace(self, name, old, new):
        if self.full:
            raise OSError("No space left on device")
        if self.profiles.get(name) != old:
            return False
        self.profiles[name] = new
        self.written.append(new)
        return True

    @contextmanager
    def lock(self, name):
        with self._locks.setdefault(name, threading.Lock()):
            yield


class World:
    """An identity provider, a shelf, and tokens that use both."""

    def __init__(self, provider, http, shelf, home):
        self.provider = provider
        self.shelf = shelf
        self.now = NOW
        self.ask = partial(post, http, agent="proxypal/test")
        self.home = home
        self.oauth = provider.oauth()
        self.mended = []
        self.ways = []
        self.tokens = self.another()

    def another(self):
        """Tokens of another process that has the same shelf."""
        return Tokens(
            self.shelf,
            {"acme": Provider(name="acme", oauth=self.oauth)},
            self._post,
            Links(self.home, lambda: self.now),
            clock=lambda: self.now,
            chance=lambda: 0.5,
            sleep=self._sleep,
        )

    async def _post(self, url, form, proxy=""):
        self.ways.append(proxy)
        return await self.ask(url, form)

    def log_in(self, name=NAME):
        """The person logs in (again)."""
        given = self.provider.login()
        self.shelf.profiles[name] = {
            "type": "oauth",
            "provider": "acme",
            "access": given["access_token"],
            "refresh": given["refresh_token"],
            "issued": round(self.now * 1000),
            "expires": round((self.now + given["expires_in"]) * 1000),
            "kept": ["as", "it", "is"],
        }

    async def credential(self, tokens=None):
        return (await (tokens or self.tokens).credential(ACCOUNT)).reveal()

    async def refused(self, account=ACCOUNT, kind=Kind.AUTH):
        with pytest.raises(Refused) as refused:
            await self.tokens.credential(account)
        assert refused.value.failure.kind is kind
        assert "CANARY" not in str(refused.value)
        return str(refused.value)

    async def _sleep(self, seconds):
        self.now += seconds
        await asyncio.sleep(0)

    async def runs_until(self, moment):
        """The background work, until *moment* on the clock."""

        async def stop(seconds):
            self.now += seconds
            if self.now >= moment:
                raise asyncio.CancelledError

        self.tokens._sleep = stop
        with pytest.raises(asyncio.CancelledError):
            await self.tokens.run(self.mended.append)


@pytest.fixture
async def world(tmp_path):
    async with identity_provider() as provider, HttpTransport() as http:
        world = World(provider, http, Shelf({}), tmp_path)
        world.log_in()
        yield world


# ── fresh ────────────────────────────────────────────────────────────────────────────────────


async def test_a_fresh_token_is_sent_without_a_question(world):
    assert world.provider.honours(await world.credential())
    assert world.provider.calls == []


async def test_a_key_is_sent_as_it_is(world):
    account = Account(id="acme:key", provider="acme", secret=Secret("k"))

    assert await world.tokens.credential(account) == Secret("k")
    assert not await world.tokens.renew(account, Secret("k"))


@pytest.mark.parametrize("left", [59, 0, -1, -86400])
async def test_a_token_that_is_about_to_end_is_refreshed_and_written_first(world, left):
    before = await world.credential()
    world.now = NOW + 3600 - left

    after = await world.credential()

    assert after != before
    assert world.provider.honours(after)
    kept = world.shelf.profiles[NAME]
    assert kept["access"] == after
    assert kept["expires"] == round((world.now + 3600) * 1000)
    assert kept["kept"] == ["as", "it", "is"]


async def test_everybody_who_waits_shares_one_refresh(world):
    world.provider.delay = 0.02
    world.now = NOW + 3600
    others = [world.another() for _ in range(4)]

    found = await asyncio.gather(*(world.credential(other) for other in others for _ in range(25)))

    assert len(set(found)) == 1
    assert world.provider.calls == ["refresh_token"]
    assert not world.provider.revoked


async def test_a_refresh_outlives_who_asked_for_it(world):
    world.provider.delay = 0.05
    world.now = NOW + 3600
    asking = asyncio.ensure_future(world.credential())
    await world.provider.asked.wait()

    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking

    assert world.provider.honours(await world.credential())
    assert world.provider.calls == ["refresh_token"]


async def test_an_answer_without_a_refresh_token_leaves_the_old_one_in_force(world):
    world.provider.keeps_refresh = True
    old = world.shelf.profiles[NAME]["refresh"]
    world.now = NOW + 3600

    await world.credential()

    assert world.shelf.profiles[NAME]["refresh"] == old


# ── after a 401 ──────────────────────────────────────────────────────────────────────────────


async def test_a_refused_token_is_renewed_once_for_all(world):
    stale = Secret(await world.credential())
    world.now += 120

    done = await asyncio.gather(*(world.tokens.renew(ACCOUNT, stale) for _ in range(20)))

    assert all(done)
    assert world.provider.calls == ["refresh_token"]
    assert await world.credential() != stale.reveal()


async def test_what_another_process_renewed_counts(world):
    stale = Secret(await world.credential())
    world.now += 120
    await world.another().renew(ACCOUNT, stale)

    assert await world.tokens.renew(ACCOUNT, stale)
    assert world.provider.calls == ["refresh_token"]


async def test_a_token_refused_as_soon_as_it_was_given_is_not_renewed_again(world):
    world.now += 120
    await world.tokens.renew(ACCOUNT, Secret(await world.credential()))

    assert not await world.tokens.renew(ACCOUNT, Secret(await world.credential()))
    assert world.provider.calls == ["refresh_token"]


# ── what goes wrong ──────────────────────────────────────────────────────────────────────────


async def test_a_login_that_is_over_is_told_once_and_never_asked_about_again(world):
    world.provider.revoked |= set(world.provider._families.values())
    world.now = NOW + 3600

    with structlog.testing.capture_logs() as logs:
        messages = [await world.refused() for _ in range(3)]
        await world.runs_until(NOW + 8000)

    assert "proxypal auth login acme --name me@example.com" in messages[0]
    assert world.provider.calls == ["refresh_token"]
    told = [entry for entry in logs if entry["event"] == "account cannot be used"]
    assert len(set(messages)) == 1
    assert len(told) == 1
    assert "CANARY" not in str(logs)


async def test_after_a_new_login_it_goes_on(world):
    world.provider.revoked |= set(world.provider._families.values())
    world.now = NOW + 3600
    await world.refused()

    world.log_in()

    assert world.provider.honours(await world.credential())


async def test_a_login_refused_because_somebody_else_renewed_it_is_taken_from_the_store(world):
    world.now = NOW + 3600
    await world.credential()  # known, and spent below by one who has no lock
    world.now += 3600
    original = world.ask

    async def raced(url, form):
        world.ask = original
        world.log_in()
        return b'{"error": "invalid_grant"}'

    world.ask = raced

    assert await world.credential() == world.shelf.profiles[NAME]["access"]
    assert "needsLogin" not in world.shelf.profiles[NAME]


async def test_a_lost_answer_is_asked_for_once_more(world):
    world.provider.forgives = True
    world.provider.lose = 1
    world.now = NOW + 3600

    assert world.provider.honours(await world.credential())
    assert world.provider.calls == ["refresh_token"] * 2


async def test_where_a_lost_answer_ends_the_login_that_is_said(world):
    world.provider.lose = 1
    world.now = NOW + 3600

    assert "log in again" in await world.refused()
    assert world.provider.calls == ["refresh_token"] * 2
    assert "invalid_grant" in world.shelf.profiles[NAME]["needsLogin"]


async def test_a_provider_that_is_down_is_left_alone_for_a_while(world):
    world.provider.down = 1
    world.now = NOW + 3600

    assert "answers 503" in await world.refused(kind=Kind.OVERLOADED)
    assert "answers 503" in await world.refused(kind=Kind.OVERLOADED)
    assert world.provider.calls == ["refresh_token"]

    world.now += 61
    assert world.provider.honours(await world.credential())


async def test_a_clock_that_was_set_back_does_not_leave_a_provider_alone_for_years(world):
    world.provider.down = 1
    world.now = NOW + 3600
    await world.refused(kind=Kind.OVERLOADED)
    world.now = NOW - 365 * 86400
    world.log_in()
    world.now += 3600

    assert world.provider.honours(await world.credential())


async def test_while_refreshing_fails_the_old_token_is_good_to_its_end(world):
    world.provider.down = 1
    before = await world.credential()
    world.now = NOW + 3600 - 30

    assert await world.credential() == before


async def test_a_full_disk_loses_no_login(world):
    world.shelf.full = True
    world.now = NOW + 3600

    token = await world.credential()
    assert world.provider.honours(token)
    assert await world.credential() == token

    world.shelf.full = False
    await world.runs_until(world.now + POLL)
    assert world.shelf.profiles[NAME]["access"] == token


async def test_a_full_disk_for_two_lives_of_a_token_loses_no_login(world):
    world.shelf.full = True
    for _ in range(2):
        world.now += 3600
        token = await world.credential()

    world.shelf.full = False
    await world.runs_until(world.now + POLL)

    assert world.shelf.profiles[NAME]["access"] == token
    assert not world.provider.revoked


async def test_what_its_owner_changed_meanwhile_stays_and_the_login_is_kept(world):
    world.now = NOW + 3600
    original = world.ask

    async def raced(url, form):
        body = await original(url, form)
        world.shelf.profiles[NAME] = {**world.shelf.profiles[NAME], "disabled": True}
        return body

    world.ask = raced

    token = await world.credential()

    assert world.shelf.profiles[NAME]["access"] == token
    assert world.shelf.profiles[NAME]["disabled"] is True


async def test_a_provider_that_repeats_what_it_was_told_gives_no_secret_away(world):
    world.provider.echoes = True
    world.provider.revoked |= set(world.provider._families.values())
    world.now = NOW + 3600

    with structlog.testing.capture_logs() as logs:
        told = await world.refused()

    assert "refresh_token" in told
    assert "CANARY" not in str(logs)
    assert "CANARY" not in world.shelf.profiles[NAME]["needsLogin"]


async def test_a_401_while_the_provider_is_down_is_not_held_against_the_login(world):
    stale = Secret(await world.credential())
    world.now += 120
    world.provider.down = 1

    with pytest.raises(Refused) as refused:
        await world.tokens.renew(ACCOUNT, stale)

    assert refused.value.failure.kind is Kind.OVERLOADED
    assert refused.value.failure.retry_after == 60


# ── mended ───────────────────────────────────────────────────────────────────────────────────


async def test_a_login_that_was_over_and_is_another_now_is_told(world):
    world.provider.revoked |= set(world.provider._families.values())
    world.now = NOW + 3600
    await world.refused()
    await world.runs_until(world.now + POLL)
    assert world.mended == []

    world.log_in()
    world.tokens.use({"acme": Provider(name="acme", oauth=world.oauth)}, world._post)
    await world.runs_until(world.now + POLL)

    assert world.mended == [NAME]


async def test_a_token_that_is_refused_however_fresh_counts_as_mended_after_a_new_login(world):
    world.now += 120
    await world.tokens.renew(ACCOUNT, Secret(await world.credential()))
    await world.runs_until(world.now + POLL)
    assert world.mended == []

    world.log_in()
    world.tokens.use({"acme": Provider(name="acme", oauth=world.oauth)}, world._post)
    await world.runs_until(world.now + POLL)

    assert world.mended == [NAME]


async def test_a_link_that_had_expired_is_told_as_soon_as_its_program_renewed_it(world):
    account = Account(id="qwen-portal:qwen", provider="qwen-portal", kind="oauth")
    file = world.home / "oauth_creds.json"

    def renewed(token, ends):
        file.write_bytes(jsonio.dumps({"access_token": token, "expiry_date": ends * 1000}))
        file.chmod(0o600)

    renewed("t1", NOW - 1)
    world.shelf.profiles[account.id] = {
        "type": "linked",
        "provider": "qwen-portal",
        "source": "qwen",
        "file": str(file),
    }
    await world.refused(account)
    await world.runs_until(world.now + POLL)
    assert world.mended == []

    renewed("token-2", NOW + 3600)
    await world.runs_until(world.now + 2 * LOOK)

    assert world.mended == [account.id]
    assert await world.tokens.credential(account) == Secret("token-2")


async def test_an_account_that_was_taken_out_is_not_looked_for_for_ever(world):
    world.provider.revoked |= set(world.provider._families.values())
    world.now = NOW + 3600
    await world.refused()
    del world.shelf.profiles[NAME]
    world.tokens.use({}, world._post)

    await world.runs_until(world.now + POLL)

    assert world.mended == []
    assert world.tokens._refused == {}


async def test_another_client_is_used_from_the_next_refresh_on(world):
    world.oauth = None
    world.tokens = world.another()
    world.now = NOW + 3600
    await world.refused()

    row = Provider(name="acme", oauth=world.provider.oauth())
    world.tokens.use({"acme": row}, world._post)

    assert world.provider.honours(await world.credential())


async def test_a_login_written_meanwhile_is_not_overwritten(world):
    world.now = NOW + 3600
    original = world.ask

    async def raced(url, form):
        body = await original(url, form)
        world.log_in()
        return body

    world.ask = raced

    assert await world.credential() == world.shelf.profiles[NAME]["access"]
    assert world.shelf.written == []


async def test_without_a_client_nobody_is_asked(world):
    world.oauth = None
    world.tokens = world.another()
    world.now = NOW + 3600

    assert "providers[].oauth" in await world.refused()
    assert "needsLogin" not in world.shelf.profiles[NAME]


async def test_what_is_no_longer_in_the_vault_is_told(world):
    del world.shelf.profiles[NAME]

    assert "no longer in the vault" in await world.refused()


# ── ahead of expiry ──────────────────────────────────────────────────────────────────────────


async def test_a_token_is_refreshed_at_four_fifths_of_its_life(world):
    await world.runs_until(NOW + 2850)
    assert world.provider.calls == []

    await world.runs_until(NOW + 2940)
    assert world.provider.calls == ["refresh_token"]
    assert world.shelf.profiles[NAME]["issued"] > NOW * 1000


async def test_two_processes_refresh_ahead_once(world):
    world.now = NOW + 3000
    world.provider.delay = 0.02
    both = [world.another(), world.another()]

    await asyncio.gather(*(each._refresher.refresh_due(lambda *_: None) for each in both))

    assert world.provider.calls == ["refresh_token"]


async def test_a_login_is_renewed_by_the_way_that_its_account_takes(world):
    for name, proxy in (("acme:a", "direct"), ("acme:b", "socks5h://127.0.0.1:1"), ("acme:c", "")):
        world.log_in(name)
        world.shelf.profiles[name] |= {"proxy": proxy, "expires": 1}
        await world.tokens.credential(Account(id=name, provider="acme", kind="oauth"))

    assert world.ways == ["direct", "socks5h://127.0.0.1:1", ""]


async def test_at_most_four_are_refreshed_at_a_time(world):
    for number in range(12):
        world.log_in(f"acme:{number}")
    world.now = NOW + 3000
    running, most = 0, 0
    original = world.ask

    async def counted(url, form):
        nonlocal running, most
        running += 1
        most = max(most, running)
        try:
            return await original(url, form)
        finally:
            running -= 1

    world.ask = counted
    world.provider.delay = 0.01

    await world.tokens._refresher.refresh_due(lambda *_: None)

    assert len(world.provider.calls) == 13
    assert most == 4


# ── other kinds ──────────────────────────────────────────────────────────────────────────────


async def test_a_pasted_token_is_sent_until_it_ends_and_then_named(world):
    account = Account(id="acme:work", provider="acme", kind="token")
    profile = {"type": "token", "provider": "acme", "token": "t1", "expires": (NOW + 10) * 1000}
    world.shelf.profiles["acme:work"] = profile

    assert await world.tokens.credential(account) == Secret("t1")

    world.now += 10
    assert "proxypal auth paste-token acme --name work" in await world.refused(account)

    world.shelf.profiles["acme:work"] = {**profile, "token": "t2", "expires": (NOW + 99) * 1000}
    assert await world.tokens.credential(account) == Secret("t2")


async def test_a_pasted_token_that_was_replaced_is_found_after_a_401(world):
    account = Account(id="acme:work", provider="acme", kind="token")
    world.shelf.profiles["acme:work"] = {"type": "token", "provider": "acme", "token": "t1"}
    stale = await world.tokens.credential(account)
    assert not await world.tokens.renew(account, stale)

    world.shelf.profiles["acme:work"] = {"type": "token", "provider": "acme", "token": "t2"}

    assert await world.tokens.renew(account, stale)
    assert await world.tokens.credential(account) == Secret("t2")


async def test_a_service_account_signs_for_its_tokens(world):
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    world.provider.public_key = key.public_key()
    world.shelf.profiles["acme:robot"] = {
        "type": "service_account",
        "provider": "acme",
        "client_email": "robot@project.example",
        "private_key": key.private_bytes(
            Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
        ).decode(),
        "token_uri": f"{world.provider.url}/token",
    }
    account = Account(id="acme:robot", provider="acme", kind="oauth")

    first, again = [await world.tokens.credential(account) for _ in range(2)]
    assert first == again
    assert world.provider.honours(first.reveal())

    assert await world.tokens.renew(account, first)
    world.now += 3600
    assert len({first, await world.tokens.credential(account)}) == 2
    assert len(world.provider.calls) == 3


async def test_a_key_file_that_cannot_sign_is_told_without_its_key(world):
    world.shelf.profiles["acme:robot"] = {
        "type": "service_account",
        "provider": "acme",
        "client_email": "robot@project.example",
        "private_key": "-----BEGIN PRIVATE KEY-----\nCANARY\n-----END PRIVATE KEY-----\n",
    }

    told = await world.refused(Account(id="acme:robot", provider="acme", kind="oauth"))

    assert "proxypal auth import" in told


async def test_a_profile_of_a_later_version_is_told(world):
    world.shelf.profiles[NAME] = {"type": "palm-print"}

    assert "palm-print" in await world.refused()
