"""An identity provider that forgives nothing, on a real socket.

A code and a refresh token are good once. Using a refresh token again ends its whole family, as
RFC 9700 (4.14.2) recommends. Every exchange must show what its beginning promised: the redirect
address, the client, the verifier (RFC 7636).
"""

import asyncio
import base64
import hashlib
from contextlib import asynccontextmanager
from itertools import count
from urllib.parse import urlencode

from aiohttp import web
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA256

from proxypal_core.providers.provider import OAuth
from proxypal_core.wire import jsonio

CLIENT = "proxypal-of-the-tests"
DEVICE_GRANT = "urn:ietf:params:oauth:grant-type:device_code"
JWT_GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"


class Refusal(Exception):
    """An error of RFC 6749."""


class Lost(Exception):
    """The connection is cut in place of an answer."""


class IdentityProvider:
    """*life* is the seconds an access token holds, *delay* those an answer takes."""

    def __init__(self, *, life=3600, delay=0.0):
        self.url = ""
        self.life = life
        self.delay = delay
        self.calls = []  # the grant type of every question to the token endpoint
        self.asked = asyncio.Event()  # set by the first of them
        self.revoked = set()  # families
        self.lose = 0  # so many answers, after they have taken effect
        self.down = 0  # so many questions are answered 503
        self.forgives = False  # the refresh token used last gives the same answer again
        self.keeps_refresh = False  # an answer has no new refresh token
        self.echoes = False  # a refusal repeats what it refuses
        self.public_key = None  # of the service account
        self._codes = {}
        self._families = {}  # refresh token -> family
        self._spent = {}  # refresh token -> the answer it gave
        self._access = {}  # access token -> family
        self._devices = {}
        self._numbers = count(1)
        self._grants = {
            "authorization_code": self._code,
            "refresh_token": self._refresh,
            DEVICE_GRANT: self._device_code,
            JWT_GRANT: self._signed,
        }

    def oauth(self, **changed):
        """This provider as a row of the catalog has it."""
        rows = {
            "client_id": CLIENT,
            "authorize_url": f"{self.url}/authorize",
            "token_url": f"{self.url}/token",
            "device_url": f"{self.url}/device",
            "scopes": ("inference",),
        }
        return OAuth(**{**rows, **changed})

    def login(self):
        """A new family: what a person got who logged in."""
        return self._issue(self._name("family"))

    def honours(self, access):
        return self._access.get(access) not in (None, *self.revoked)

    def decide(self, user_code, outcome="approved"):
        """The person entered *user_code*, and approved or denied it."""
        self._devices[user_code]["outcome"] = outcome

    # ── the endpoints ────────────────────────────────────────────────────────────────────────

    async def authorize(self, request):
        """The browser's page: the person always agrees, and is sent back."""
        query = request.query
        wanted = {"client_id": CLIENT, "response_type": "code", "code_challenge_method": "S256"}
        if any(query.get(name) != value for name, value in wanted.items()) or not query["state"]:
            return web.Response(status=400, text="not a request that can be trusted")
        code = self._name("code")
        self._codes[code] = dict(query)
        back = urlencode({"code": code, "state": query["state"], "iss": self.url})
        return web.Response(status=302, headers={"Location": f"{query['redirect_uri']}?{back}"})

    async def device(self, request):
        form = await request.post()
        if form.get("client_id") != CLIENT:
            return _error("invalid_client")
        device, user = self._name("device"), f"USER-{next(self._numbers)}"
        self._devices[user] = {"device_code": device, "outcome": "pending", "slow": 0}
        return web.json_response(
            {
                "device_code": device,
                "user_code": user,
                "verification_uri": f"{self.url}/enter",
                "expires_in": 900,
                "interval": 5,
            }
        )

    def slow_down(self, user_code, times):
        self._devices[user_code]["slow"] = times

    async def token(self, request):
        form = dict(await request.post())
        kind = form.get("grant_type", "")
        self.calls.append(kind)
        self.asked.set()
        if self.down:
            self.down -= 1
            return web.Response(status=503)
        if self.delay:
            await asyncio.sleep(self.delay)
        try:
            answer = self._grants[kind](form)
        except Refusal as refusal:
            return _error(str(refusal), repr(form) if self.echoes else "for a reason")
        except Lost:
            request.transport.close()
            return web.Response()
        return web.json_response(answer)

    # ── the grants ───────────────────────────────────────────────────────────────────────────

    def _code(self, form):
        begun = self._codes.pop(form.get("code"), None)
        challenge = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
        spelt = base64.urlsafe_b64encode(challenge).rstrip(b"=").decode()
        if (
            begun is None
            or form.get("client_id") != CLIENT
            or begun["redirect_uri"] != form.get("redirect_uri")
            or begun["code_challenge"] != spelt
        ):
            raise Refusal("invalid_grant")
        return self._sent(self.login())

    def _refresh(self, form):
        token = form.get("refresh_token")
        if self.forgives and token in self._spent:
            return self._sent(self._spent[token])
        family = self._families.get(token)
        if family is None or family in self.revoked or form.get("client_id") != CLIENT:
            raise Refusal("invalid_grant")
        if token in self._spent:
            self.revoked.add(family)
            raise Refusal("invalid_grant")
        if self.keeps_refresh:
            answer = self._issue(family)
            del self._families[answer.pop("refresh_token")]
            return self._sent(answer)
        self._spent[token] = self._issue(family)
        return self._sent(self._spent[token])

    def _device_code(self, form):
        row = next(
            (row for row in self._devices.values() if row["device_code"] == form["device_code"]),
            {"outcome": "expired_token", "slow": 0},
        )
        if row["slow"]:
            row["slow"] -= 1
            raise Refusal("slow_down")
        match row["outcome"]:
            case "pending":
                raise Refusal("authorization_pending")
            case "approved":
                row["outcome"] = "expired_token"  # it is good once
                return self._sent(self.login())
            case other:
                raise Refusal(other)

    def _signed(self, form):
        signed, _, signature = form["assertion"].rpartition(".")
        self.public_key.verify(_decoded(signature), signed.encode(), PKCS1v15(), SHA256())
        claims = jsonio.loads(_decoded(signed.partition(".")[2]))
        if claims["aud"] != f"{self.url}/token" or claims["exp"] - claims["iat"] > 3600:
            raise Refusal("invalid_grant")
        answer = self.login()
        del answer["refresh_token"]
        return self._sent(answer)

    def _sent(self, answer):
        if self.lose:
            self.lose -= 1
            raise Lost
        return answer

    def _issue(self, family):
        access, refresh = self._name("access"), self._name("refresh")
        self._families[refresh] = family
        self._access[access] = family
        return {
            "access_token": access,
            "refresh_token": refresh,
            "token_type": "Bearer",
            "expires_in": self.life,
        }

    def _name(self, kind):
        """A secret, with the word that the suite looks for where it must not be."""
        return f"CANARY-{kind}-{next(self._numbers)}"


def _error(code, why="for a reason"):
    return web.json_response({"error": code, "error_description": why}, status=400)


def _decoded(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


@asynccontextmanager
async def identity_provider(**options):
    provider = IdentityProvider(**options)
    server = web.Application()
    server.router.add_get("/authorize", provider.authorize)
    server.router.add_post("/device", provider.device)
    server.router.add_post("/token", provider.token)
    runner = web.AppRunner(server, shutdown_timeout=1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    provider.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield provider
    finally:
        await runner.cleanup()
