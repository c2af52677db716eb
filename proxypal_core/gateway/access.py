"""Who may come in: pure checks of a request's head, made before its body is read.

Loopback is not authentication: any web page can reach it through the user's browser. So the Host
must be ours (DNS rebinding), a foreign Origin or a cross-site fetch is refused (CSRF), and a body
must have a type that a page cannot send without asking first.
"""

import hashlib
import hmac
import math
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from urllib.parse import urlsplit

from proxypal_core.accounts.client_keys import ClientKey, Ledger, Quota
from proxypal_core.hub.failure import Failure, Kind, Refused

_HOST = re.compile(r"(?P<name>\[[0-9a-fA-F:.]+\]|[A-Za-z0-9._-]+)(?::(?P<port>\d{1,5}))?")
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "[::1]"})
_BODY_TYPES = ("application/json", "multipart/form-data")


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


class OverLimit(Refused):
    """A client key is used up for now; ``headers`` tell how much of what, and until when."""

    def __init__(self, failure: Failure, headers: Mapping[str, str]) -> None:
        super().__init__(failure)
        self.headers = headers


class Keyring:
    """The client keys, and how much each may still be used."""

    def __init__(
        self, keys: Sequence[ClientKey], clock: Callable[[], float], ledger: Ledger | None = None
    ) -> None:
        self.keys = tuple(keys)
        self.ledger = ledger or Ledger(clock)
        self.ledger.watch(self.keys)
        self._guarded = any(key.guards for key in self.keys)
        self._clock = clock

    def admit(self, shown: Sequence[str], dialect: str = "") -> ClientKey | None:
        """The key that lets a request in; None where no key guards and all may come.

        Raises:
            OverLimit: the key was used too much, as a client of *dialect* is told.
            Refused: no shown key is one of ours, or it has expired.
        """
        digests = [digest(key) for key in shown]
        # Every key is compared, so that the time taken tells nothing.
        found = [key for d in digests for key in self.keys if hmac.compare_digest(key.digest, d)]
        if not found and not self._guarded:
            return None
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
        reached = self.ledger.admit(key)
        if reached:
            longest = max(reached, key=lambda quota: quota.resets_in)
            raise OverLimit(
                over_limit(key, longest), limit_headers(dialect, self.ledger.quotas(key), now)
            )
        return key


_REACHED: Mapping[str, tuple[Kind, str]] = {
    "requests": (Kind.RATE_LIMIT, "may send {:g} requests a minute"),
    "tokens": (Kind.RATE_LIMIT, "may use {:g} tokens a minute"),
    # What money would mend is not asked for again by clients that back off.
    "budget": (Kind.BILLING, "may spend {:g} US dollars a month"),
}


def over_limit(key: ClientKey, quota: Quota) -> Failure:
    """What a client is told that has reached the limit *quota* of its *key*."""
    kind, text = _REACHED[quota.of]
    message = f"the client key {key.name!r} {text.format(quota.limit)}"
    return Failure(kind, message, retry_after=quota.resets_in)


def limit_headers(dialect: str, quotas: Iterable[Quota], now: float) -> Mapping[str, str]:
    """*quotas* in the headers that the clients of *dialect* know."""
    of_vendor = _anthropic_headers if dialect == "anthropic" else _openai_headers
    return {name: value for quota in quotas for name, value in of_vendor(quota, now)}


def _openai_headers(quota: Quota, now: float) -> Iterator[tuple[str, str]]:
    yield f"x-ratelimit-limit-{quota.of}", f"{quota.limit:g}"
    yield f"x-ratelimit-remaining-{quota.of}", f"{quota.left:g}"
    yield f"x-ratelimit-reset-{quota.of}", f"{math.ceil(quota.resets_in)}s"


def _anthropic_headers(quota: Quota, now: float) -> Iterator[tuple[str, str]]:
    at = datetime.fromtimestamp(math.ceil(now + quota.resets_in), UTC)
    yield f"anthropic-ratelimit-{quota.of}-limit", f"{quota.limit:g}"
    yield f"anthropic-ratelimit-{quota.of}-remaining", f"{quota.left:g}"
    yield f"anthropic-ratelimit-{quota.of}-reset", f"{at:%Y-%m-%dT%H:%M:%SZ}"


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
