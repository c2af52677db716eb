"""Logins through the management API."""

import asyncio
from contextlib import asynccontextmanager

import aiohttp
import pytest

from tests.gateway.owning import owned
from tests.identity_provider.server import CLIENT, identity_provider
from tests.proxy import StoppedClock


def settings(url, extra=""):
    return f"""
providers:
  - name: acme
    dialect: openai-chat
    base_url: {url}/v1
    oauth:
      client_id: {CLIENT}
      authorize_url: {url}/authorize
      token_url: {url}/token
      device_url: {url}/device
      scopes: [inference]
{extra}
"""


@asynccontextmanager
async def acme(tmp_path, profiles=None):
    """An owner whose settings have an OAuth client at an identity provider, and that provider."""
    async with (
        identity_provider() as provider,
        owned(tmp_path, settings(provider.url), profiles) as owner,
    ):
        yield owner, provider


async def begun(owner, flow, **options):
    status, answer = await owner.call(
        "POST", "/api/logins", {"provider": "acme", "flow": flow, **options}
    )
    assert status == 200, answer
    assert answer["state"] == "waiting"
    return answer


async def ended(owner, login):
    """The login, once it is done or has failed."""
    async with asyncio.timeout(10):
        while True:
            _, answer = await owner.call("GET", f"/api/logins/{login['id']}")
            if answer["state"] != "waiting":
                return answer
            await asyncio.sleep(0)


async def landing(url):
    """Where the provider sends the browser that goes to *url*."""
    async with (
        aiohttp.ClientSession() as session,
        session.get(url, allow_redirects=False) as answer,
    ):
        return answer.headers["location"]


async def test_a_browser_on_this_machine_finishes_the_login_by_itself(tmp_path):
    async with acme(tmp_path) as (owner, _):
        login = await begun(owner, "browser", name="work")
        async with aiohttp.ClientSession() as session, session.get(login["url"]) as page:
            text = await page.text()
        found = await ended(owner, login)
        _, state = await owner.call("GET", "/api/state")
        kept = owner.files.vault.read().profiles["acme:work"]

    assert "done" in text
    assert (found["state"], found["account"]) == ("done", "acme:work")
    assert {"acme:work"} <= {row["id"] for row in state["accounts"]}
    assert kept["type"] == "oauth"
    assert kept["access"]
    assert kept["refresh"]


async def test_from_another_machine_the_address_is_pasted(tmp_path):
    async with acme(tmp_path) as (owner, _):
        login = await begun(owner, "browser", name="work")
        address = await landing(login["url"])
        status, _ = await owner.call("POST", f"/api/logins/{login['id']}", {"redirect": address})
        found = await ended(owner, login)

    assert (status, found["state"], found["account"]) == (200, "done", "acme:work")


async def test_a_code_that_is_entered_finishes_the_login(tmp_path):
    async with acme(tmp_path) as (owner, provider):
        login = await begun(owner, "device", name="work")
        provider.decide(login["user_code"])
        found = await ended(owner, login)

    assert (found["state"], found["account"]) == ("done", "acme:work")


async def test_a_person_who_says_no_is_told(tmp_path):
    async with acme(tmp_path) as (owner, provider):
        login = await begun(owner, "device")
        provider.decide(login["user_code"], "denied")
        found = await ended(owner, login)
        profiles = owner.files.vault.read().profiles

    assert found["state"] == "failed"
    assert "refused" in found["message"]
    assert profiles == {}


@pytest.mark.parametrize("address", ["", "x", "http://127.0.0.1/callback?code=x&state=other"])
async def test_an_address_of_another_login_changes_nothing(tmp_path, address):
    async with acme(tmp_path) as (owner, _):
        login = await begun(owner, "browser")
        status, _ = await owner.call("POST", f"/api/logins/{login['id']}", {"redirect": address})
        _, after = await owner.call("GET", f"/api/logins/{login['id']}")

    assert (status, after["state"]) == (400, "waiting")


async def test_a_login_by_code_takes_no_address(tmp_path):
    async with acme(tmp_path) as (owner, _):
        login = await begun(owner, "device")
        status, _ = await owner.call("POST", f"/api/logins/{login['id']}", {"redirect": "x"})

    assert status == 400


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"provider": "nobody"}, 404),
        ({"provider": "openai"}, 409),
        ({"provider": "acme", "flow": "magic"}, 400),
        ({"provider": "acme", "name": "a/b"}, 400),
    ],
)
async def test_what_begins_no_login_is_refused(tmp_path, body, status):
    async with acme(tmp_path) as (owner, _):
        got, _ = await owner.call("POST", "/api/logins", body)

    assert got == status


async def test_a_provider_that_cannot_be_asked_for_a_code_is_told(tmp_path):
    async with owned(tmp_path, settings("http://127.0.0.1:1"), clock=StoppedClock()) as owner:
        status, answer = await owner.call(
            "POST", "/api/logins", {"provider": "acme", "flow": "device"}
        )

    assert status == 409
    assert answer["error"]["message"]


async def test_a_login_does_not_take_the_place_of_a_key(tmp_path):
    key = {"type": "api_key", "provider": "acme", "key": "k"}
    async with acme(tmp_path, {"acme:work": key}) as (owner, provider):
        login = await begun(owner, "device", name="work")
        provider.decide(login["user_code"])
        found = await ended(owner, login)
        kept = owner.files.vault.read().profiles["acme:work"]

    assert found["state"] == "failed"
    assert "already" in found["message"]
    assert kept == key


async def test_no_answer_holds_a_token(tmp_path):
    async with acme(tmp_path) as (owner, provider):
        login = await begun(owner, "device", name="work")
        provider.decide(login["user_code"])
        await ended(owner, login)
        profile = owner.files.vault.read().profiles["acme:work"]
        paths = [f"/api/logins/{login['id']}", "/api/accounts", "/api/state"]
        told = "".join([(await owner.raw("GET", path))[2] for path in paths])

    assert profile["access"] not in told
    assert profile["refresh"] not in told
