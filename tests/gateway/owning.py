"""A proxy whose owner may change its files: a vault and a settings file of its own."""

import os
from contextlib import asynccontextmanager
from functools import partial

import aiohttp

from proxypal_core.app import with_profiles
from proxypal_core.gateway.owned import Files
from proxypal_core.settings.parse import parse
from proxypal_core.store.master_key import KeySource
from proxypal_core.store.vault import Vault
from proxypal_core.wire import jsonio
from tests.proxy import ADMIN_KEY, HOST, proxy

ADMIN = {"authorization": f"Bearer {ADMIN_KEY}"}
PAGE = {"x-proxypal-dashboard": "1"}
COOKIE = "proxypal_dashboard"


class Owner:
    """Calls the management API of *proxy* with the admin key, unless a test says otherwise."""

    def __init__(self, running, files, session):
        self.proxy = running
        self.url = running.url
        self.files = files
        self.session = session

    async def call(self, method, path, body=None, *, headers=ADMIN, cookies=None):
        """The status and the answer: JSON, or its text."""
        status, _, text = await self.raw(method, path, body, headers=headers, cookies=cookies)
        return status, jsonio.loads(text) if text.startswith("{") else text

    async def raw(self, method, path, body=None, *, headers=ADMIN, cookies=None):
        """The status, the headers and the text."""
        carried = dict(headers or {})
        if cookies:
            carried["cookie"] = "; ".join(f"{name}={value}" for name, value in cookies.items())
        async with self.session.request(
            method, self.url + path, json=body, headers=carried, allow_redirects=False
        ) as answer:
            if answer.content_type == "text/event-stream":
                return answer.status, answer.headers, ""
            return answer.status, answer.headers, await answer.text()

    async def signed_in(self):
        """The cookies of a session that a link began."""
        _, link = await self.call("POST", "/api/session-links")
        _, headers, _ = await self.raw("GET", link["url"], headers={})
        cookie = headers["set-cookie"].partition(";")[0].partition("=")[2]
        return {COOKIE: cookie}


@asynccontextmanager
async def owned(tmp_path, config="", profiles=None, **options):
    """An Owner of a proxy with the settings of *config*, and *profiles* in its vault."""
    path = tmp_path / "config.yaml"
    path.write_text(config)
    environment = {"PROXYPAL_VAULT_KEY": "11" * 32}
    vault = Vault(tmp_path / "data", KeySource("auto", tmp_path / "state", environment))
    if profiles:
        vault.update(lambda held: held.update(profiles))
    files = Files(vault, path, partial(parse, environment=os.environ, host=HOST, port=0))
    now = vault.read()
    merge = partial(with_profiles, profiles=now.profiles, bookkeeping=now.bookkeeping)
    async with (
        proxy(config, files=files, merge=merge, **options) as running,
        aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as session,
    ):
        yield Owner(running, files, session)
