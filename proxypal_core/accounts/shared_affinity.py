"""Where conversations are, for replicas that must agree and do not ask each other.

Which account is a conversation's own is told by a hash of both (rendezvous hashing: when accounts come
and go, only the conversations of those move). Only one that had to go elsewhere is told to the others.
"""

import hashlib
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from typing import TypeAlias

import msgspec

from proxypal_core.accounts.account import Account
from proxypal_core.accounts.affinity import Affinity, Session
from proxypal_core.accounts.turns import KINDS

_REMEMBERED = 16_384

Candidates: TypeAlias = tuple[tuple[str, int], ...]
"""Ids of accounts, and their weights."""


class Binding(msgspec.Struct, frozen=True):
    """A conversation that was put elsewhere than where its hash says."""

    provider: str
    session: str
    account: str


class SharedAffinity(Affinity):
    """``moved`` collects what is to be told to the other replicas, by provider and conversation; who
    tells it empties it. *told* is called when one was moved that
    may go on at any moment; the first request of one that has no name is told with what comes next.
    """

    def __init__(self, ttl: float, told: Callable[[], None]) -> None:
        super().__init__(ttl)
        self._told = told
        self.moved: dict[tuple[str, str], Binding] = {}
        self._candidates: Mapping[str, Candidates] = {}

    def use(
        self, accounts: Iterable[Account], order: Mapping[str, Sequence[str]], *, weighted: bool
    ) -> None:
        """Choose among those of *accounts* that are asked first, by their weights or not: *order* is
        the pool's.
        """
        best: dict[str, tuple[tuple[int, ...], list[tuple[str, int]]]] = {}
        for account in accounts:
            named = order.get(account.provider, (account.id,))
            if account.disabled or account.id not in named:
                continue
            rank = named.index(account.id)
            place = (rank, -account.priority, KINDS[account.kind])
            candidate = (account.id, account.weight if weighted else 1)
            first, found = best.setdefault(account.provider, (place, []))
            if place < first:
                best[account.provider] = (place, [candidate])
            elif place == first:
                found.append(candidate)
        self._candidates = {provider: tuple(found) for provider, (_, found) in best.items()}

    def account(self, provider: str, session: Session | None, now: float) -> str:
        """As for one replica; for a conversation of which nothing is known, where its hash says."""
        return "" if session is None or not session.follow else self._place(provider, session, now)

    def bind(self, provider: str, session: Session | None, account: str, now: float) -> None:
        if session is not None and self._place(provider, session, now) != account:
            self.moved[provider, session.key] = Binding(provider, session.key, account)
            if session.follow:
                self._told()
        super().bind(provider, session, account, now)

    def hear(self, binding: Binding, now: float) -> None:
        """Another replica put a conversation where *binding* says."""
        super().bind(binding.provider, Session(binding.session), binding.account, now)

    def _place(self, provider: str, session: Session, now: float) -> str:
        bound, used = self._bound.get((provider, session.key), ("", 0.0))
        if bound and now - used <= self._ttl:
            return bound
        return home(session.key, self._candidates.get(provider, ()))


@lru_cache(maxsize=_REMEMBERED)
def home(session: str, candidates: Candidates) -> str:
    """The account of *candidates* to which the conversation called *session* belongs; empty of none.
    Each has its share of all conversations, by its weight.
    """
    return max(candidates, key=lambda one: _score(session, *one), default=("", 0))[0]


def _score(session: str, account: str, weight: int) -> float:
    """Weighted rendezvous hashing."""
    digest = hashlib.blake2b(account.encode(), key=session.encode()[:64], digest_size=8).digest()
    return weight / -math.log((int.from_bytes(digest) + 0.5) / 2**64)
