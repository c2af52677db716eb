"""Who may come in: pure checks of a request's head, made before its body is read.

Loopback is not authentication: any web page can reach it through the user's browser. So the Host
must be ours (DNS rebinding), a foreign Origin or a cross-site fetch is refused (CSRF), and a body
must have a type that a page cannot send without asking first.
"""

import hashlib
import hmac
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import UTC, datetime
from urllib.parse import urlsplit

import msgspec

from proxypal_core.accounts.account import matches
from proxypal_core.hub.failure import Failure, Kind, Refused

_HOST = re.compile(r"(?P<name>\[[0-9a-fA-F:.]+\]|[A-Za-z0-9._-]+)(?::(?P<port>\d{1,5}))?")
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "[::1]"})
_BODY_TYPES = ("application/json", "multipart/form-data")


class ClientKey(msgspec.Struct, frozen=True):
    """A key that clients show us. Only its SHA-256 is kept; ``expires`` is in Unix seconds."""

    name: str
    digest: bytes
    models: Sequence[str] = ()
    requests_per_minute: int = 0
    expires: float = 0.0

    def allows(self, model: str) -> bool:
        return not self.models or matches(model, self.models)


def digest(key: str) -> bytes:
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).digest()


def check_host(host: str | None, allowed: Collection[str]) -> None:
    """Refuse a Host that is not loopback's and not in *allowed* (names without port)."""
    match = _HOST.fullmatch(host or "")
    name = match["name"].lower() if match else ""
    if name not in _LOOPBACK and name not in allowed:
        raise Refused(
            Failure(
                Kind.FORBIDDEN_HERE,
                "this Host is not served here; add it to listen.allowed_hosts",
                status=421,
            )
        )


def check_origin(headers: Mapping[str, str], host: str) -> None:
    """Refuse what another web site's page sent."""
    origin = headers.get("Origin")
    if origin is not None:
        parts = urlsplit(origin)
        if parts.scheme not in ("http", "https") or parts.netloc.lower() != host.lower():
            raise _foreign("Origin")
    if headers.get("Sec-Fetch-Site", "none").lower() not in ("none", "same-origin"):
        raise _foreign("Sec-Fetch-Site")


def check_content_type(value: str | None) -> None:
    """Refuse a body whose type a page may send without a preflight, and one without a type."""
    kind = (value or "").partition(";")[0].strip().lower()
    if kind not in _BODY_TYPES and not kind.endswith("+json"):
        raise Refused(
            Failure(
                Kind.MEDIA_TYPE,
                f"content-type is {kind!r}; send the body as application/json"
                if kind
                else "there is no content-type; send the body as application/json",
            )
        )


_OWN_PLACES: Mapping[str, str] = {"anthropic": "x-api-key", "gemini": "x-goog-api-key"}


def shown_keys(
    headers: Mapping[str, str], query: Mapping[str, str], dialect: str = ""
) -> list[str]:
    """Every key that a request shows, in all the places where clients put one; first the one in the
    place that *dialect* has for it.
    """
    scheme, _, token = headers.get("Authorization", "").partition(" ")
    keys = {
        "authorization": token.strip() if scheme.lower() == "bearer" else "",
        **{name: headers.get(name, "") for name in ("x-api-key", "x-goog-api-key", "api-key")},
        "key": query.get("key", ""),
    }
    first = keys.pop(_OWN_PLACES.get(dialect, "authorization"))
    return [key for key in (first, *keys.values()) if key]


class Keyring:
    """The client keys, and how often each was used in the last minute."""

    def __init__(self, keys: Sequence[ClientKey], clock: Callable[[], float]) -> None:
        self._keys = tuple(keys)
        self._clock = clock
        self._recent: dict[str, list[float]] = {}

    def admit(self, shown: Sequence[str]) -> ClientKey | None:
        """The key that lets a request in; None where no key is configured and all may come.

        Raises:
            Refused: no shown key is one of ours, it has expired, or it was used too often.
        """
        if not self._keys:
            return None
        digests = [digest(key) for key in shown]
        # Every key is compared, so that the time taken tells nothing.
        found = [key for d in digests for key in self._keys if hmac.compare_digest(key.digest, d)]
        if not found:
            raise Refused(
                Failure(
                    Kind.CLIENT_KEY,
                    "this key is not one of the proxy's client_keys"
                    if shown
                    else "a client key is needed: send it as Authorization: Bearer or x-api-key",
                )
            )
        key = found[0]
        now = self._clock()
        if key.expires and now >= key.expires:
            raise Refused(Failure(Kind.CLIENT_KEY, f"the client key {key.name!r} has expired"))
        self._count(key, now)
        return key

    def _count(self, key: ClientKey, now: float) -> None:
        if not key.requests_per_minute:
            return
        recent = [at for at in self._recent.get(key.name, ()) if at > now - 60]
        if len(recent) >= key.requests_per_minute:
            raise Refused(
                Failure(
                    Kind.RATE_LIMIT,
                    f"the client key {key.name!r} may send {key.requests_per_minute} requests"
                    " a minute",
                    retry_after=recent[0] + 60 - now,
                )
            )
        self._recent[key.name] = [*recent, now]


def expiry(text: str) -> float:
    """The Unix time of an ISO 8601 date or time (UTC where it names no zone); 0 for empty."""
    if not text:
        return 0.0
    moment = datetime.fromisoformat(text)
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def is_admin(shown: Sequence[str], admin: bytes) -> bool:
    """Whether one of the *shown* keys has the digest *admin*."""
    return any(hmac.compare_digest(digest(key), admin) for key in shown)


def _foreign(header: str) -> Refused:
    return Refused(
        Failure(Kind.FORBIDDEN_HERE, f"requests from other web sites are refused ({header})")
    )
