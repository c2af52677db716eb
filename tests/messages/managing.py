"""What the management API refuses, and how to have it refused."""

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.gateway.owning import ADMIN, owned
from tests.messages.requests import message_of

_SETTINGS = """
accounts: [{id: "openai:file", api_key: key-1}]
client_keys: [{name: laptop, key: key-2}]
routing: {order: {anthropic: ["anthropic:me"]}}
"""
_PROFILES = {
    "anthropic:me": {"type": "api_key", "provider": "anthropic", "key": "key-3"},
    "gemini:me": {"type": "token", "provider": "gemini", "token": "key-4"},
}
_KEY = {"provider": "groq", "key": "key-5"}
_LOGIN = """
providers:
  - name: acme
    dialect: openai-chat
    base_url: http://127.0.0.1:1/v1
    oauth: {client_id: x, token_url: "http://127.0.0.1:1/token", authorize_url: "http://127.0.0.1:1/x"}
"""


@dataclass(frozen=True)
class Managed:
    """A call of the management API, with the admin key unless other *headers* are given; with *cookie*
    it is the dashboard's page that calls.
    """

    method: str
    path: str
    body: Any = None
    settings: str = _SETTINGS
    profiles: Mapping[str, Any] = field(default_factory=lambda: _PROFILES)
    headers: Mapping[str, str] = field(default_factory=lambda: ADMIN)
    cookie: bool = False
    dialects: Sequence[str] = ("openai-chat",)

    async def told(self, dialect, server):
        """The status, and the error's message."""
        with tempfile.TemporaryDirectory() as folder:
            async with owned(Path(folder), self.settings, self.profiles) as owner:
                status, _, text = await owner.raw(
                    self.method,
                    self.path,
                    self.body,
                    headers=self.headers,
                    cookies=await owner.signed_in() if self.cookie else None,
                )
        return status, message_of(text)


CASES = {
    "The admin key is not sent": Managed("GET", "/api/state", headers={}),
    "The page does not say that it is the page": Managed(
        "POST", "/api/accounts/reset", headers={}, cookie=True
    ),
    "The page asks for what the key alone may": Managed(
        "POST", "/api/session-links", headers={"x-proxypal-dashboard": "1"}, cookie=True
    ),
    "The management API has no such address": Managed("GET", "/api/nothing"),
    # ── accounts ──
    "An account to reset is unknown": Managed("POST", "/api/accounts/up:none/reset"),
    "An account to test is unknown": Managed("POST", "/api/accounts/up:none/test"),
    "An account to change is unknown": Managed("POST", "/api/accounts/up:none/disable"),
    "An account to change is in the settings": Managed("DELETE", "/api/accounts/openai:file"),
    "A key is for no provider": Managed("POST", "/api/accounts", {"provider": "zzz", "key": "k"}),
    "A key is for a provider that takes none": Managed(
        "POST", "/api/accounts", {**_KEY, "provider": "openai-codex"}
    ),
    "A key is for an account that is there": Managed(
        "POST", "/api/accounts", {"provider": "anthropic", "name": "me", "key": "k"}
    ),
    "A key's account cannot be called so": Managed(
        "POST", "/api/accounts", {**_KEY, "name": "a/b"}
    ),
    "An order over HTTP is of another provider's": Managed(
        "PUT", "/api/order/groq", {"order": ["anthropic:me"]}
    ),
    "An order over HTTP is the settings'": Managed("DELETE", "/api/order/anthropic"),
    # ── logins and imports ──
    "A provider offers no login over HTTP": Managed(
        "POST", "/api/logins", {"provider": "groq", "flow": "browser"}
    ),
    "A provider has no login of this flow": Managed(
        "POST", "/api/logins", {"provider": "acme", "flow": "device"}, settings=_LOGIN
    ),
    "A login is over": Managed("GET", "/api/logins/none"),
    "A login to link is unknown": Managed("POST", "/api/accounts/link", {"login": "none"}),
    "A file over HTTP is cut": Managed("POST", "/api/accounts/import", {"file": "a", "text": "{"}),
    "A file over HTTP is neither JSON nor YAML": Managed(
        "POST", "/api/accounts/import", {"file": "a", "text": "a: ["}
    ),
    "A file over HTTP holds no account": Managed(
        "POST", "/api/accounts/import", {"file": "a", "text": "port: 1"}
    ),
    # ── client keys ──
    "A client key ends at no date over HTTP": Managed(
        "POST", "/api/keys", {"name": "a", "expires": "soon"}
    ),
    "A client key ends in the past over HTTP": Managed(
        "POST", "/api/keys", {"name": "a", "expires": "2001-01-01"}
    ),
    "A client key is in the settings over HTTP": Managed("DELETE", "/api/keys/laptop"),
    # ── settings ──
    "New settings are not valid": Managed("PUT", "/api/settings", {"yaml": "loging: {}"}),
    "New settings change what is run": Managed(
        "PUT", "/api/settings", {"yaml": "backends: {my-cli: {command: a}}"}
    ),
    # ── what was asked ──
    "It is to be explained who would answer no model": Managed("GET", "/api/explain"),
    "A model's name is too long to be explained": Managed(
        "GET", f"/api/explain?model={'m' * 2000}"
    ),
    "A request to show is unknown": Managed("GET", "/api/requests/none"),
    "A body to show was not kept": Managed("GET", "/api/requests/none/bodies"),
    "Usage is by what is not told apart": Managed("GET", "/api/usage?by=colour"),
    "Usage is since no time": Managed("GET", "/api/usage?since=soon"),
    "A page is as long as no number": Managed("GET", "/api/requests?limit=many"),
}
