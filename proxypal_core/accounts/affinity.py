"""Which account a conversation was last on, so that its provider's prompt cache is hit again."""

from collections import OrderedDict

import msgspec

_MOST = 16_384
"""Conversations remembered; the one that was quiet longest goes first."""


class Session(msgspec.Struct, frozen=True):
    """A conversation. ``follow``: whether it has been answered before; its first request goes to
    whoever's turn it is.
    """

    key: str
    follow: bool = True


class Affinity:
    """Bindings end *ttl* seconds after their last use. Times are Unix seconds."""

    def __init__(self, ttl: float, *, most: int = _MOST) -> None:
        self._ttl = ttl
        self._most = most
        self._bound: OrderedDict[tuple[str, str], tuple[str, float]] = OrderedDict()

    def account(self, provider: str, session: Session | None, now: float) -> str:
        """The id of the account that *session* is bound to at *provider*; empty for none."""
        if session is None or not session.follow:
            return ""
        account, used = self._bound.get((provider, session.key), ("", 0.0))
        return account if now - used <= self._ttl else ""

    def bind(self, provider: str, session: Session | None, account: str, now: float) -> None:
        if session is None:
            return
        key = (provider, session.key)
        self._bound[key] = (account, now)
        self._bound.move_to_end(key)
        if len(self._bound) > self._most:
            self._bound.popitem(last=False)

    def release(self, provider: str, session: Session | None, account: str) -> None:
        """Unbind *session*, unless it has moved to another account than *account* meanwhile."""
        if session is not None:
            key = (provider, session.key)
            if self._bound.get(key, ("", 0.0))[0] == account:
                del self._bound[key]
