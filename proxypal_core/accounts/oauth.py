"""Logins without their input and output: what is asked, what is answered, and when to ask again.

Authorization code with PKCE (RFC 6749, 7636) over a loopback address (RFC 8252), device code
(RFC 8628), and refreshing. Times are Unix seconds, except in a profile, where ``expires`` and
``issued`` are milliseconds as OpenClaw has them.
"""

import base64
import binascii
import hashlib
from collections.abc import Mapping
from types import MappingProxyType
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import msgspec

from proxypal_core.accounts.account import Account, Secret
from proxypal_core.providers.provider import OAuth, Provider, credential_headers
from proxypal_core.wire import jsonio
from proxypal_core.wire.jsonio import JsonObject

MARGIN = 60.0
"""A token with less than this left is not sent any more: the request may wait, clocks may differ."""
CALLBACK_PATH = "/callback"
_AHEAD = (0.75, 0.85)
"""The part of a token's life after which it is refreshed; where in between, chance says."""
_UNKNOWN_LIFE = 3600.0
_SLOW_DOWN = 5.0  # RFC 8628, section 3.5
_DEVICE_GRANT = "urn:ietf:params:oauth:grant-type:device_code"


class LoginRefused(Exception):
    """The provider, or a check of ours, says no. ``error`` is the code of RFC 6749, such as
    ``invalid_grant``; the message never holds a secret.
    """

    def __init__(self, error: str, message: str) -> None:
        super().__init__(message)
        self.error = error


class Grant(msgspec.Struct, frozen=True):
    """What a provider gave. Without ``expires`` it lasts until it is refused; ``key`` is set in
    place of ``access`` where a login gives an API key.
    """

    access: str = ""
    refresh: str = ""
    expires: float = 0.0
    id_token: str = ""
    key: str = ""

    def __repr__(self) -> str:
        return f"Grant(expires={self.expires})"


# ── authorization code ───────────────────────────────────────────────────────────────────────


class Pending(msgspec.Struct, frozen=True):
    """A login that was begun: what its answer must match."""

    oauth: OAuth
    state: str
    verifier: str
    redirect_uri: str

    @property
    def url(self) -> str:
        """Where the person goes."""
        challenge = base64url(hashlib.sha256(self.verifier.encode()).digest())
        query = {
            "code_challenge": challenge,
            "code_challenge_method": "S256",
            **self.oauth.extra,
        }
        if self.oauth.gives == "key":
            query["callback_url"] = self.redirect_uri
        else:
            query |= {
                "response_type": "code",
                "client_id": self.oauth.client_id,
                "redirect_uri": self.redirect_uri,
                "scope": " ".join(self.oauth.scopes),
                "state": self.state,
            }
        scheme, host, path, own, _ = urlsplit(self.oauth.authorize_url)
        asked = urlencode({name: value for name, value in query.items() if value})
        return urlunsplit((scheme, host, path, "&".join(filter(None, (own, asked))), ""))

    def __repr__(self) -> str:
        return f"Pending(at {self.oauth.authorize_url!r})"


def begin(oauth: OAuth, *, port: int, state: bytes, verifier: bytes) -> Pending:
    """A login whose answer comes to the loopback *port*. *state* and *verifier* are 32 random bytes
    each.
    """
    spelt = base64url(state)
    # OpenRouter takes localhost only, and has no state of its own: it is part of the address.
    uri = (
        f"http://localhost:{port}{CALLBACK_PATH}/{spelt}"
        if oauth.gives == "key"
        else f"http://127.0.0.1:{port}{CALLBACK_PATH}"
    )
    return Pending(oauth, spelt, base64url(verifier), uri)


def code_of(pending: Pending, address: str) -> str:
    """The code in *address*, to which the provider sent the person's browser.

    Raises:
        LoginRefused: it answers no login of ours (``state``), or the provider says no.
    """
    parts = urlsplit(address)
    pairs = parse_qsl(parts.query)
    query = dict(pairs)
    state = (
        parts.path.removeprefix(f"{CALLBACK_PATH}/")
        if pending.oauth.gives == "key"
        else query.get("state", "")
    )
    if len(query) != len(pairs) or state != pending.state:
        raise LoginRefused("state", "this address answers another login than the one begun here")
    if pending.oauth.issuer and query.get("iss", pending.oauth.issuer) != pending.oauth.issuer:
        raise LoginRefused("issuer", "another provider answered than the one that was asked")
    if "error" in query:
        raise _refused(query)
    if not query.get("code"):
        raise LoginRefused("code", "the address has no code in it")
    return query["code"]


def code_form(pending: Pending, code: str) -> Mapping[str, str]:
    """What the token endpoint is asked to exchange *code*."""
    if pending.oauth.gives == "key":
        return {
            "code": code,
            "code_verifier": pending.verifier,
            "code_challenge_method": "S256",
        }
    return {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": pending.redirect_uri,
        "code_verifier": pending.verifier,
        **_client(pending.oauth),
    }


# ── device code ──────────────────────────────────────────────────────────────────────────────


class DeviceCode(msgspec.Struct, frozen=True):
    """What the person must enter (``user_code``) and where. ``interval`` is in seconds."""

    device_code: str
    user_code: str
    url: str
    complete_url: str
    expires: float
    interval: float

    def __repr__(self) -> str:
        return f"DeviceCode({self.user_code!r} at {self.url!r})"


def device_form(oauth: OAuth) -> Mapping[str, str]:
    form = {"client_id": oauth.client_id, "scope": " ".join(oauth.scopes)}
    return {name: value for name, value in form.items() if value}


def read_device_code(body: bytes, now: float) -> DeviceCode:
    """The device code in *body*, answered at *now*.

    Raises:
        LoginRefused: it is an error, or no such answer.
    """
    answer = _answer(body)
    try:
        # Google wrote verification_url before there was an RFC.
        named = "verification_uri" if "verification_uri" in answer else "verification_url"
        return DeviceCode(
            device_code=jsonio.need(answer, "device_code", jsonio.filled),
            user_code=_shown(jsonio.need(answer, "user_code", jsonio.filled), "user_code"),
            url=_shown(jsonio.need(answer, named, jsonio.filled), named),
            complete_url=_shown(
                answer.get("verification_uri_complete") or "", "verification_uri_complete"
            ),
            expires=now + jsonio.need(answer, "expires_in", jsonio.number),
            interval=max(1.0, jsonio.opt(answer, "interval", jsonio.number) or 5.0),
        )
    except jsonio.Malformed as error:
        raise _unreadable(error) from None


def poll_form(oauth: OAuth, code: DeviceCode) -> Mapping[str, str]:
    return {"grant_type": _DEVICE_GRANT, "device_code": code.device_code, **_client(oauth)}


def next_interval(refused: LoginRefused, interval: float) -> float:
    """Seconds until the next poll after *refused*, which may only mean "not yet".

    Raises:
        LoginRefused: *refused* itself, when it is final.
    """
    match refused.error:
        case "authorization_pending":
            return interval
        case "slow_down":
            return interval + _SLOW_DOWN
        case _:
            raise refused


# ── tokens ───────────────────────────────────────────────────────────────────────────────────


def refresh_form(oauth: OAuth, refresh: str) -> Mapping[str, str]:
    return {"grant_type": "refresh_token", "refresh_token": refresh, **_client(oauth)}


def read_grant(body: bytes, now: float, asked: Mapping[str, str] = MappingProxyType({})) -> Grant:
    """What the token endpoint answered at *now* to the form *asked*, whatever its status was.

    Raises:
        LoginRefused: it is an error, or no such answer.
    """
    answer = _answer(body, asked)
    try:
        if "key" in answer:
            return Grant(key=jsonio.need(answer, "key", jsonio.filled))
        lasts = jsonio.opt(answer, "expires_in", _seconds) or 0.0
        return Grant(
            access=jsonio.need(answer, "access_token", jsonio.filled),
            refresh=jsonio.opt(answer, "refresh_token", jsonio.string) or "",
            expires=now + lasts if lasts else 0.0,
            id_token=jsonio.opt(answer, "id_token", jsonio.string) or "",
        )
    except jsonio.Malformed as error:
        raise _unreadable(error) from None


def profile_of(provider: str, grant: Grant, now: float) -> JsonObject:
    """The vault's profile for *grant*, fresh from a login at *provider*."""
    if grant.key:
        return {"type": "api_key", "provider": provider, "key": grant.key}
    profile = {"type": "oauth", "provider": provider, **_tokens(grant, now)}
    told = claims(grant.id_token) or claims(grant.access)
    if isinstance(told.get("email"), str):
        profile["email"] = told["email"]
    return profile


def refreshed(profile: JsonObject, grant: Grant, now: float) -> JsonObject:
    """*profile* with *grant* in it; an answer without a refresh token leaves the old one in force
    (RFC 6749, section 6).
    """
    kept = {name: value for name, value in profile.items() if name != NEEDS_LOGIN}
    return {**kept, **_tokens(grant, now)}


NEEDS_LOGIN = "needsLogin"
"""The field of a profile that says why only its owner can bring it back."""


def _tokens(grant: Grant, now: float) -> JsonObject:
    tokens: JsonObject = {"access": grant.access, "issued": round(now * 1000)}
    if grant.refresh:
        tokens["refresh"] = grant.refresh
    # Without a stated life a token is tried for an hour; a 401 has it renewed before.
    tokens["expires"] = round((grant.expires or now + _UNKNOWN_LIFE) * 1000)
    return tokens


def expires(profile: JsonObject) -> float:
    """When the token of *profile* ends, in Unix seconds; 0 when that is not known."""
    value = profile.get("expires")
    return value / 1000 if isinstance(value, (int, float)) and not isinstance(value, bool) else 0.0


def is_fresh(profile: JsonObject, now: float) -> bool:
    """Whether the token of *profile* can still be sent."""
    return not expires(profile) or expires(profile) - now > MARGIN


def due(profile: JsonObject, chance: float) -> float:
    """When to refresh the token of *profile* ahead of its end. *chance*, from 0 to 1, spreads
    accounts and processes, so that they do not ask all at once.
    """
    end = expires(profile)
    issued = profile.get("issued")
    start = issued / 1000 if isinstance(issued, (int, float)) else end - _UNKNOWN_LIFE
    earliest, latest = _AHEAD
    return min(start + (end - start) * (earliest + (latest - earliest) * chance), end - MARGIN)


def claims(token: str) -> JsonObject:
    """What *token* says if it is a JWT, taken at its word: its issuer is who sent it to us."""
    parts = token.split(".")
    if len(parts) != 3:
        return {}
    try:
        payload = base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4))
        return jsonio.load_object(payload)
    except (binascii.Error, ValueError):
        return {}


# ── using a credential ───────────────────────────────────────────────────────────────────────


def request_headers(
    account: Account,
    secret: Secret,
    provider: Provider,
    dialect: str,
    head: Mapping[str, str],
) -> dict[str, str]:
    """*head* with *secret*, as *provider* takes a credential of the account's kind in *dialect*.

    Flags that the provider demands with a token join those that the client named in *head*.
    """
    key = secret.reveal()
    signed = {**head, **credential_headers(provider.auth_in(dialect, account.kind), key)}
    if account.kind == "api_key":
        return signed
    for name, value in provider.token_headers.items():
        named = [part.strip() for part in signed.get(name, "").split(",") if part.strip()]
        signed[name] = ", ".join(dict.fromkeys((*named, value)))
    told = claims(key) if provider.claim_headers else {}
    for name, path in provider.claim_headers.items():
        value = _at(told, path)
        if value:
            signed[name] = value
    return signed


def _at(told: JsonObject, path: tuple[str, ...]) -> str:
    value: object = told
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    return value if isinstance(value, str) and value.isascii() and value.isprintable() else ""


# ── what they share ──────────────────────────────────────────────────────────────────────────


def _client(oauth: OAuth) -> Mapping[str, str]:
    secret = {"client_secret": oauth.client_secret} if oauth.client_secret else {}
    return {"client_id": oauth.client_id, **secret}


def _answer(body: bytes, asked: Mapping[str, str] = MappingProxyType({})) -> JsonObject:
    try:
        answer = jsonio.load_object(body)
    except jsonio.Malformed as error:
        raise _unreadable(error) from None
    if answer.get("error"):
        raise _refused(answer, asked)
    return answer


def _refused(
    answer: Mapping[str, object], asked: Mapping[str, str] = MappingProxyType({})
) -> LoginRefused:
    """The error in *answer*, which is a token endpoint's or a redirect's, without what it repeats of
    *asked*: there are secrets in that.
    """
    code = answer["error"]
    if isinstance(code, Mapping):  # as APIs say it that are not an OAuth server's
        answer, code = code, str(code.get("code", "error"))
    told = answer.get("error_description") or answer.get("message")
    text = f"{code}: {told}" if isinstance(told, str) and told else str(code)
    for secret in filter(None, map(asked.get, _SECRET_FIELDS)):
        text = text.replace(secret, "***")
    shown = "".join(letter if letter.isprintable() else " " for letter in text[:300])
    return LoginRefused(str(code), f"the provider refused: {shown}")


_SECRET_FIELDS = frozenset(
    ("assertion", "client_secret", "code", "code_verifier", "device_code", "refresh_token")
)
"""The fields of a form whose values must not be shown."""


def _unreadable(error: jsonio.Malformed) -> LoginRefused:
    return LoginRefused("unreadable", f"the provider's answer cannot be read: {error}")


def _seconds(value: object, path: str) -> float:
    """A number of seconds, which some servers write as a string."""
    if isinstance(value, str) and value.isdigit():
        return float(value)
    return jsonio.number(value, path)


def _shown(value: object, path: str) -> str:
    """A text that is shown on a terminal, which it must not drive."""
    text = jsonio.string(value, path)
    if not text.isprintable():
        raise jsonio.Malformed(path, "must be printable")
    return text


def base64url(data: bytes) -> str:
    """*data* as RFC 7515 spells bytes: without padding."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
