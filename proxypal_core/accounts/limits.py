"""What a provider's answer says of its limits: when it may be asked again, and how much is left.

Sources: the rate-limit pages of Anthropic, OpenAI, Azure, Groq, Cerebras, Mistral and OpenRouter,
and the headers that Claude's and ChatGPT's subscriptions are seen to send.
"""

from collections.abc import Iterator, Mapping
from typing import Literal, NamedTuple, TypeAlias

import msgspec

from proxypal_core.accounts.verdict import LONGEST
from proxypal_core.hub.failure import Failure, Kind
from proxypal_core.wire import times

Headers: TypeAlias = Mapping[str, str]
"""A name in lower case, and its value."""


class Gauge(msgspec.Struct, frozen=True):
    """One limit: ``left`` is the share of it that is still free, 0 to 1, and ``resets_at`` when all
    of it is again, in Unix seconds. ``scope`` is what shares it: an account's requests for one
    model, or all of them.
    """

    name: str
    scope: Literal["model", "account"]
    left: float
    resets_at: float


def timed(failure: Failure, headers: Headers, now: float) -> Failure:
    """*failure* with the seconds until the provider may be asked again, from all that it stated in
    *headers* and in the body; with None where it stated nothing that is still to come.

    What says it exactly counts, and of several the latest. How long a limit takes to be free again
    is asked only where nothing does: a request may fit long before. The seconds are 0 to ``LONGEST``.
    """
    stated = [*_retry_after(headers, now), *_in_body(failure, now)]
    scope = failure.scope
    if failure.kind in _LIMITED:
        spent = [window for window in _windows(headers, now) if window.spent]
        stated += [window.gauge.resets_at - now for window in spent]
        scopes = {window.gauge.scope for window in spent}
        scope = "account" if "account" in scopes else "model" if scopes else scope
    if failure.kind is Kind.RATE_LIMIT and not stated:
        stated = _longest_bucket(headers, now)
    wait = min(max(stated), LONGEST) if stated else None
    if (wait, scope) == (failure.retry_after, failure.scope):
        return failure
    return msgspec.structs.replace(failure, retry_after=wait, scope=scope)


def gauges(headers: Headers, now: float) -> tuple[Gauge, ...]:
    """How much is left of each limit that *headers*, of any answer, tell of."""
    names = " ".join(headers)
    if _MARK not in names and _CODEX not in names:
        return ()
    windows = [window.gauge for window in _windows(headers, now)]
    buckets = [gauge for bucket in _buckets(headers, now) if (gauge := bucket.gauge(now))]
    return (*windows, *buckets)


# ── a time that is said ──────────────────────────────────────────────────────────────────────

_LIMITED = frozenset({Kind.RATE_LIMIT, Kind.BILLING})
_MILLIS = ("retry-after-ms", "x-ms-retry-after-ms")


def _retry_after(headers: Headers, now: float) -> Iterator[float]:
    for name in _MILLIS:
        millis = times.number(headers.get(name))
        if millis is not None and millis >= 0:
            yield millis / 1000
            return
    wait = times.until(headers.get("retry-after"), now)
    if wait is not None and wait >= 0:
        yield wait


def _in_body(failure: Failure, now: float) -> Iterator[float]:
    if failure.retry_after is not None and failure.retry_after >= 0:
        yield failure.retry_after
    if failure.resets_at is not None and failure.resets_at > now:
        yield failure.resets_at - now


# ── windows of subscriptions ─────────────────────────────────────────────────────────────────

_MARK = "ratelimit"
_UNIFIED = "anthropic-ratelimit-unified"
_CODEX = "x-codex-"
_USED = "-used-percent"
# What is paid on top of a plan: that it is refused says nothing of the plan.
_OVERAGE = "overage"


class _Window(NamedTuple):
    """``spent``: requests are refused until it resets."""

    gauge: Gauge
    spent: bool


def _windows(headers: Headers, now: float) -> Iterator[_Window]:
    for name in headers:
        if name.startswith(_UNIFIED) and name.endswith("-status"):
            window = _claude_window(headers, name.removesuffix("-status"), now)
        elif name.startswith(_CODEX) and name.endswith(_USED):
            window = _codex_window(headers, name.removesuffix(_USED), now)
        else:
            continue
        if window is not None and window.gauge.resets_at > now:
            yield window


def _claude_window(headers: Headers, stem: str, now: float) -> _Window | None:
    """``…-unified-5h-status``, ``-utilization`` (0 to 1) and ``-reset`` (Unix seconds); those of
    one model are called ``7d_opus`` and the like.
    """
    name = stem.removeprefix(_UNIFIED).removeprefix("-")
    used = times.number(headers.get(f"{stem}-utilization"))
    spent = headers[f"{stem}-status"] == "rejected"
    reset = times.until(headers.get(f"{stem}-reset", headers.get(f"{_UNIFIED}-reset")), now)
    if name == _OVERAGE or reset is None or (used is None and not spent):
        return None
    left = 0.0 if spent or used is None else _share(1 - used)
    scope: Literal["model", "account"] = "model" if "_" in name else "account"
    return _Window(Gauge(name or "unified", scope, left, now + reset), spent)


def _codex_window(headers: Headers, stem: str, now: float) -> _Window | None:
    """``x-codex-primary-used-percent`` and, beside it, ``-reset-at`` (Unix seconds) or
    ``-reset-after-seconds``; a model with a limit of its own has its name before ``primary``.
    """
    name = stem.removeprefix(_CODEX)
    used = times.number(headers.get(f"{stem}{_USED}"))
    reset = times.until(
        headers.get(f"{stem}-reset-at", headers.get(f"{stem}-reset-after-seconds")), now
    )
    if used is None or reset is None:
        return None
    scope: Literal["model", "account"] = "account" if name in ("primary", "secondary") else "model"
    return _Window(Gauge(name, scope, _share(1 - used / 100), now + reset), spent=used >= 100)


# ── buckets that fill again ──────────────────────────────────────────────────────────────────

_ROLES = ("limit", "remaining", "reset")
_MINUTE = 60.0


class _Bucket(NamedTuple):
    """Requests or tokens; ``reset`` is in seconds, and None what was not said."""

    name: str
    limit: float | None
    remaining: float | None
    reset: float | None

    def gauge(self, now: float) -> Gauge | None:
        # Mistral does not say when a minute's limit is free again.
        reset = _MINUTE if self.reset is None and "minute" in self.name else self.reset
        if self.remaining is None or reset is None or not self.limit or self.limit < 0:
            return None
        scope: Literal["model", "account"] = "model" if self.name else "account"
        left = _share(self.remaining / self.limit)
        return Gauge(self.name or "requests", scope, left, now + reset)


def _longest_bucket(headers: Headers, now: float) -> list[float]:
    """The longest wait of an empty bucket; of any, if none is empty; nothing without buckets."""
    buckets = [one for one in _buckets(headers, now) if one.reset]
    empty = [one for one in buckets if one.remaining == 0]
    return [max(one.reset or 0.0 for one in empty or buckets)] if buckets else []


def _buckets(headers: Headers, now: float) -> Iterator[_Bucket]:
    """Those of ``x-ratelimit-remaining-tokens``, ``anthropic-ratelimit-tokens-remaining``,
    ``x-ratelimit-remaining`` and the like, each with its limit and its reset.
    """
    found: dict[str, dict[str, str]] = {}
    for name, value in headers.items():
        if _MARK in name and not name.startswith(_UNIFIED):
            parts = name.split("-")
            role = next((part for part in parts if part in _ROLES), "")
            rest = [part for part in parts if part not in (role, "x", "anthropic", _MARK)]
            if role:
                found.setdefault("-".join(rest), {})[role] = value
    for name, said in found.items():
        reset = times.until(said.get("reset"), now)
        yield _Bucket(
            name,
            times.number(said.get("limit")),
            times.number(said.get("remaining")),
            None if reset is None or reset < 0 else reset,
        )


def _share(value: float) -> float:
    return min(1.0, max(0.0, value))
