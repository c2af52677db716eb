"""Who may come in: pure checks of a request's head, made before its body is read.

Loopback is not authentication: any web page can reach it through the user's browser. So the Host
must be ours (DNS rebinding), a foreign Origin or a cross-site fetch is refused (CSRF), and a body
must have a type that a page cannot send without asking first.
"""

import hmac
import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from hashlib import sha256

from proxypal_core.accounts.client_keys import MINUTE, ClientKey, Ledger, Quota
from proxypal_core.hub.failure import Failure, Kind, Refused

_HOST = re.compile(r"(?P<name>\[[0-9a-fA-F:.]+\]|[A-Za-z0-9._-]+)(?::[0-9]{1,5})?")
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "[::1]"})


def digest(key: str) -> bytes:
    return sha256(key.encode("utf-8", "surrogateescape")).digest()


@lru_cache(maxsize=256)
def check_host(host: str | None, allowed: frozenset[str]) -> None:
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
    origin = headers.get("origin")
    if origin is not None and origin.lower() not in (
        f"http://{host}".lower(),
        f"https://{host}".lower(),
    ):
        raise _foreign("Origin")
    site = headers.get("sec-fetch-site")
    if site is not None and site.lower() not in ("none", "same-origin"):
        raise _foreign("Sec-Fetch-Site")


@lru_cache(maxsize=256)
def check_content_type(value: str | None, *, forms: bool = False) -> None:
    """Refuse a body whose type a page may send without a preflight, and one without a type. Where
    files are uploaded, *forms* are their type.
    """
    kind = (value or "").partition(";")[0].strip().lower()
    is_json = kind == "application/json" or kind.endswith("+json")
    if not is_json and not (forms and kind == "multipart/form-data"):
        raise Refused(
            Failure(
                Kind.MEDIA_TYPE,
                f"content-type is {kind!r}; send the body as application/json"
                if kind
                else "there is no content-type; send the body as application/json",
            )
        )


_KEY_HEADERS = ("x-api-key", "x-goog-api-key", "api-key")
_OWN_PLACES: Mapping[str, str] = {"anthropic": "x-api-key", "gemini": "x-goog-api-key"}


def shown_keys(
    headers: Mapping[str, str], query: Mapping[str, str], dialect: str = ""
) -> list[bytes]:
    """The digests of every key that a request shows, in all the places where clients put one; first
    the one in the place that *dialect* has for it.
    """
    keys = []
    if authorization := headers.get("authorization"):
        scheme, _, token = authorization.partition(" ")
        if scheme.lower() == "bearer" and (token := token.strip()):
            keys.append(token)
    keys += [headers[name] for name in _KEY_HEADERS if headers.get(name)]
    if query and (key := query.get("key")):
        keys.append(key)
    own = headers.get(_OWN_PLACES[dialect]) if dialect in _OWN_PLACES else None
    if own and keys[0] is not own:
        keys.remove(own)
        keys.insert(0, own)
    return [digest(key) for key in keys]


class OverLimit(Refused):
    """A client key is used up for now; ``headers`` tell how much of what, and until when."""

    def __init__(self, failure: Failure, headers: Mapping[str, str]) -> None:
        super().__init__(failure)
        self.headers = headers


class Guesses:
    """A token bucket for wrong keys, *a_minute* of them, and everybody's: on loopback all callers have
    one address. Right keys never touch it; that they cannot be guessed is due to their length.
    """

    def __init__(self, clock: Callable[[], float], a_minute: int = 10) -> None:
        self._clock = clock
        self._most = a_minute
        self._left = float(a_minute)
        self._at = clock()

    def wrong(self) -> float:
        """Count a wrong key: 0 while the bucket has room, else the seconds until it has again."""
        now = self._clock()
        grown = max(0.0, now - self._at) * self._most / MINUTE
        self._left, self._at = min(self._most, self._left + grown), now
        if self._left < 1:
            return (1 - self._left) * MINUTE / self._most
        self._left -= 1
        return 0.0


class Keyring:
    """The client keys, and how much each may still be used."""

    def __init__(
        self, keys: Sequence[ClientKey], clock: Callable[[], float], ledger: Ledger | None = None
    ) -> None:
        self.keys = tuple(keys)
        self._by_digest = {key.digest: key for key in reversed(self.keys)}
        self.ledger = ledger or Ledger(clock)
        self.ledger.watch(self.keys)
        self._guarded = any(key.guards for key in self.keys)
        self._clock = clock
        self._guesses = Guesses(clock)

    def __contains__(self, key: ClientKey) -> bool:
        """Whether *key* still lets somebody in, whatever else of it was changed."""
        return key.digest in self._by_digest

    def admit(self, shown: Sequence[bytes], dialect: str = "") -> ClientKey | None:
        """The key that lets a request in, which shows those with the digests *shown*; None where no key guards and all may come.

        Raises:
            OverLimit: the key was used too much, as a client of *dialect* is told.
            Refused: no shown key is one of ours, or it has expired.
        """
        key = self._found(shown)
        if key is None and not self._guarded:
            return None
        if key is None:
            raise self.stranger(
                shown,
                "this key is none of the proxy's client keys; a new one: proxypal keys create NAME"
                if shown
                else "a client key is needed: send it as Authorization: Bearer or x-api-key",
            )
        if key.expires and self._clock() >= key.expires:
            raise Refused(
                Failure(
                    Kind.CLIENT_KEY,
                    f"the client key {key.name!r} has expired; a new one: proxypal keys create NAME",
                )
            )
        reached = self.ledger.admit(key)
        if reached:
            longest = max(reached, key=lambda quota: quota.resets_in)
            quotas = self.ledger.quotas(key)
            raise OverLimit(over_limit(key, longest), limit_headers(dialect, quotas, self._clock()))
        return key

    def stranger(self, shown: Sequence[bytes], text: str) -> Refused:
        """Why the keys *shown* let nobody in: *text*, or that too many wrong ones were sent. To show
        none, or a client's key in a place that is not a client's, is no guess.
        """
        if shown and not self._found(shown) and (wait := self._guesses.wrong()):
            text = f"{text}; too many wrong keys were sent: wait a minute"
            return Refused(Failure(Kind.RATE_LIMIT, text, retry_after=wait))
        return Refused(Failure(Kind.CLIENT_KEY, text))

    def _found(self, shown: Sequence[bytes]) -> ClientKey | None:
        # Found by its digest: what the time taken tells of that, tells nothing of a key.
        for each in shown:
            found = self._by_digest.get(each)
            if found is not None:
                return found
        return None


_REACHED: Mapping[str, tuple[Kind, str]] = {
    "requests": (Kind.RATE_LIMIT, "may send {:g} requests a minute; wait a little"),
    "tokens": (Kind.RATE_LIMIT, "may use {:g} tokens a minute; wait a little"),
    # What money would mend is not asked for again by clients that back off.
    "budget": (
        Kind.BILLING,
        "may spend {:g} US dollars a month; wait for the next, or have it raised",
    ),
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


def is_admin(shown: Sequence[bytes], admin: bytes) -> bool:
    """Whether *admin* is among the digests *shown*."""
    return any(hmac.compare_digest(each, admin) for each in shown)


def _foreign(header: str) -> Refused:
    return Refused(
        Failure(
            Kind.FORBIDDEN_HERE,
            f"requests from other web sites are refused ({header}); ask from a program instead",
        )
    )
