"""A person logs in: by a browser that comes back with the right words, or by a device code."""

import asyncio
from functools import partial
from urllib.parse import parse_qs, urlencode, urlsplit

import aiohttp
import pytest

from proxypal_core.accounts import oauth as protocol
from proxypal_core.accounts.oauth import LoginRefused
from proxypal_core.upstream import login
from proxypal_core.upstream.http import HttpTransport
from proxypal_core.upstream.token_endpoint import post
from proxypal_core.upstream.transport import Broken
from proxypal_core.wire import jsonio
from tests.identity_provider.server import identity_provider
from tests.running import free_port

NOW = 1_795_000_000.0


class World:
    def __init__(self, provider, http, browser):
        self.provider = provider
        self.browser = browser
        self.post = partial(post, http, agent="proxypal/test")
        self.drawn = 0

    def random(self, size):
        """Bytes that nobody guesses, and that are never the same."""
        self.drawn += 1
        return bytes([self.drawn]) * size

    async def sent_back(self, pending):
        """Where the provider sends the browser that went to *pending*'s address."""
        async with self.browser.get(pending.url, allow_redirects=False) as answer:
            assert answer.status == 302, await answer.text()
            return answer.headers["Location"]

    async def visit(self, url, **headers):
        async with self.browser.get(url, headers=headers) as answer:
            return answer.status

    async def redeem(self, pending, code):
        return await login.redeem(pending, code, self.post, lambda: NOW)


@pytest.fixture
async def world():
    async with (
        identity_provider() as provider,
        HttpTransport() as http,
        aiohttp.ClientSession() as browser,
    ):
        yield World(provider, http, browser)


# ── by browser ───────────────────────────────────────────────────────────────────────────────


async def test_who_comes_back_from_the_provider_is_logged_in(world):
    async with login.listening(world.provider.oauth(), world.random) as (pending, code):
        back = await world.sent_back(pending)
        assert await world.visit(back) == 200
        grant = await world.redeem(pending, await code)

    assert back.startswith("http://127.0.0.1:")
    assert world.provider.honours(grant.access)
    assert grant.refresh
    assert grant.expires == NOW + 3600


async def test_the_address_asks_for_what_the_row_says(world):
    row = world.provider.oauth(
        authorize_url="https://id.example/auth?tenant=1", scopes=("a", "b"), extra={"prompt": "x"}
    )

    pending = login.begin(row, world.random)

    asked = parse_qs(urlsplit(pending.url).query)
    assert asked["tenant"] == ["1"]
    assert asked["scope"] == ["a b"]
    assert asked["prompt"] == ["x"]
    assert asked["code_challenge_method"] == ["S256"]
    assert pending.verifier not in pending.url
    assert len(pending.verifier) == 43
    assert len(asked["state"][0]) == 43
    assert pending.verifier not in repr(pending)


@pytest.mark.parametrize(
    "query",
    [
        {"code": "stolen"},
        {"code": "stolen", "state": ""},
        {"code": "stolen", "state": "of-another-login"},
        {"error": "access_denied", "state": "of-another-login"},
        {},
    ],
)
async def test_an_answer_to_another_login_changes_nothing(world, query):
    async with login.listening(world.provider.oauth(), world.random) as (pending, code):
        assert await world.visit(f"{pending.redirect_uri}?{urlencode(query)}") == 400
        assert not code.done()

        await world.visit(await world.sent_back(pending))  # ours goes on
        assert await code


async def test_a_state_given_twice_is_not_ours(world):
    async with login.listening(world.provider.oauth(), world.random) as (pending, code):
        twice = f"{pending.redirect_uri}?code=c&state=x&state={pending.state}"

        assert await world.visit(twice) == 400
        assert not code.done()


async def test_an_answer_counts_once(world):
    async with login.listening(world.provider.oauth(), world.random) as (pending, code):
        back = await world.sent_back(pending)
        assert [await world.visit(back), await world.visit(back)] == [200, 410]
        await world.redeem(pending, await code)
        with pytest.raises(LoginRefused, match="invalid_grant"):
            await world.redeem(pending, await code)

    with pytest.raises(aiohttp.ClientConnectorError):
        await world.visit(back)


async def test_the_code_of_one_login_is_worth_nothing_to_another(world):
    row = world.provider.oauth()
    ours, theirs = login.begin(row, world.random), login.begin(row, world.random)
    code = protocol.code_of(theirs, await world.sent_back(theirs))

    with pytest.raises(LoginRefused, match="invalid_grant"):
        await world.redeem(ours, code)


async def test_a_provider_that_says_no_ends_the_login(world):
    async with login.listening(world.provider.oauth(), world.random) as (pending, code):
        said = {"error": "access_denied", "error_description": "no\x1b[2J", "state": pending.state}
        assert await world.visit(f"{pending.redirect_uri}?{urlencode(said)}") == 400

        with pytest.raises(LoginRefused, match=r"access_denied: no \[2J"):
            await code


async def test_another_issuer_than_the_known_one_is_refused(world):
    row = world.provider.oauth(issuer="https://id.example")
    pending = login.begin(row, world.random)

    with pytest.raises(LoginRefused, match="another provider"):
        protocol.code_of(pending, await world.sent_back(pending))

    pending = login.begin(world.provider.oauth(issuer=world.provider.url), world.random)
    assert protocol.code_of(pending, await world.sent_back(pending))


@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [
        ("/", {}, 404),
        ("/callback/x", {}, 404),
        ("/callback", {"Host": "evil.example"}, 421),
        ("/callback", {"Host": "localhost"}, 421),
    ],
)
async def test_only_its_own_address_answers(world, path, headers, status):
    async with login.listening(world.provider.oauth(), world.random) as (pending, code):
        base = pending.redirect_uri.removesuffix("/callback")
        url = f"{base}{path}?code=c&state={pending.state}"

        assert await world.visit(url, **headers) == status
        assert not code.done()


async def test_the_page_shows_nothing_of_the_address_and_runs_nothing(world):
    async with login.listening(world.provider.oauth(), world.random) as (pending, code):
        async with world.browser.get(await world.sent_back(pending)) as answer:
            text = await answer.text()
            assert answer.headers["Content-Security-Policy"] == "default-src 'none'"
            assert answer.headers["Cache-Control"] == "no-store"
        assert "CANARY" not in text
        await code


async def test_a_fixed_port_is_used_and_one_that_is_taken_is_told(world):
    port = free_port()
    row = world.provider.oauth(redirect_port=port)

    async with login.listening(row, world.random) as (pending, _):
        assert pending.redirect_uri == f"http://127.0.0.1:{port}/callback"
        with pytest.raises(LoginRefused, match=f"port {port}.*--paste"):
            async with login.listening(row, world.random):
                pass


async def test_a_login_may_give_a_key_and_be_told_by_its_path(world):
    async def keys(url, form):
        assert form["code"] == "c"
        assert "client_id" not in form
        return b'{"key": "CANARY-key"}'

    row = world.provider.oauth(client_id="", gives="key")
    async with login.listening(row, world.random) as (pending, code):
        asked = parse_qs(urlsplit(pending.url).query)
        (back,) = asked["callback_url"]
        assert "state" not in asked
        here = back.replace("localhost", "127.0.0.1")
        assert await world.visit(f"{here[:-1]}?code=c", Host=urlsplit(back).netloc) == 404
        assert await world.visit(f"{here}?code=c", Host=urlsplit(back).netloc) == 200
        grant = await login.redeem(pending, await code, keys, lambda: NOW)

    assert protocol.profile_of("acme", grant, NOW) == {
        "type": "api_key",
        "provider": "acme",
        "key": "CANARY-key",
    }


# ── by device code ───────────────────────────────────────────────────────────────────────────


class Person:
    """Somebody who enters the code after *polls* of ours."""

    def __init__(self, world, polls, outcome="approved", slow=0):
        self.world = world
        self.now = NOW
        self.waits = []
        self.code = None
        self._polls = polls
        self._outcome = outcome
        self._slow = slow

    def show(self, code):
        self.code = code
        self.world.provider.slow_down(code.user_code, self._slow)

    async def sleep(self, seconds):
        self.waits.append(seconds)
        self.now += seconds
        if len(self.waits) == self._polls:
            self.world.provider.decide(self.code.user_code, self._outcome)
        await asyncio.sleep(0)

    async def logs_in(self):
        return await login.by_device(
            self.world.provider.oauth(),
            self.world.post,
            self.show,
            clock=lambda: self.now,
            sleep=self.sleep,
        )


async def test_a_code_that_is_entered_logs_in(world):
    person = Person(world, polls=3)

    grant = await person.logs_in()

    assert world.provider.honours(grant.access)
    assert person.waits == [5, 5, 5]
    assert "CANARY" not in repr(person.code)


async def test_a_provider_that_wants_to_be_asked_more_slowly_is(world):
    person = Person(world, polls=4, slow=2)

    await person.logs_in()

    assert person.waits == [5, 10, 15, 15]


async def test_a_poll_without_an_answer_is_repeated_more_slowly(world):
    world.provider.down = 2  # counted from the first poll: codes are another endpoint's
    person = Person(world, polls=3)

    await person.logs_in()

    assert person.waits == [5, 10, 20]


@pytest.mark.parametrize(
    "changed", [{"user_code": "A\x1b[2J"}, {"verification_uri": "http://a\nb"}, {"user_code": ""}]
)
async def test_a_code_that_would_drive_the_terminal_is_refused(changed):
    answer = {"device_code": "d", "user_code": "A-1", "verification_uri": "http://x", **changed}

    with pytest.raises(LoginRefused, match="cannot be read"):
        protocol.read_device_code(jsonio.dumps({**answer, "expires_in": 900}), 0.0)


async def test_a_person_who_says_no_is_believed(world):
    with pytest.raises(LoginRefused, match="access_denied"):
        await Person(world, polls=2, outcome="access_denied").logs_in()


async def test_a_code_that_nobody_enters_expires(world):
    person = Person(world, polls=10_000)

    with pytest.raises(LoginRefused, match="expired"):
        await person.logs_in()

    assert sum(person.waits) <= 900


async def test_an_endpoint_that_does_not_answer_is_told(world):
    world.provider.down = 1
    pending = login.begin(world.provider.oauth(), world.random)

    with pytest.raises(Broken, match="503"):
        await world.redeem(pending, "c")
