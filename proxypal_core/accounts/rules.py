"""What users say that a failure means, against what we would have thought."""

import re
from collections.abc import Iterable
from typing import Literal, TypeAlias

import msgspec

from proxypal_core.hub.failure import Failure, Kind
from proxypal_core.wire import jsonio

Means: TypeAlias = Literal[
    "rate_limit", "billing", "auth", "forbidden", "overloaded", "transient", "request", "model"
]
_KINDS: dict[Means, Kind] = {
    "rate_limit": Kind.RATE_LIMIT,
    "billing": Kind.BILLING,
    "auth": Kind.AUTH,
    "forbidden": Kind.FORBIDDEN,
    "overloaded": Kind.OVERLOADED,
    "transient": Kind.SERVER,
    "request": Kind.INVALID,
    "model": Kind.MODEL,
}
_SEARCHED = 4096


class Rule(msgspec.Struct, frozen=True, kw_only=True):
    """A failure at ``provider`` (empty: any) of ``status`` (0: any) in which ``text`` is found, a
    regular expression for any case of letters (empty: any), ``means`` this. ``rest``, in seconds,
    stands for the rest that would follow; 0 is none, and None leaves it as it is.
    """

    means: Means
    provider: str = ""
    status: int = 0
    text: str = ""
    rest: float | None = None

    def fits(self, failure: Failure, provider: str) -> bool:
        return (
            self.provider in ("", provider)
            and self.status in (0, failure.status)
            and (not self.text or re.search(self.text, _told(failure), re.IGNORECASE) is not None)
        )


def apply(rules: Iterable[Rule], failure: Failure, provider: str) -> tuple[Failure, float | None]:
    """*failure* of *provider* as the first rule that fits understands it, and the rest in seconds
    that the rule wants, or None.
    """
    for rule in rules:
        if rule.fits(failure, provider):
            return msgspec.structs.replace(failure, kind=_KINDS[rule.means]), rule.rest
    return failure, None


def _told(failure: Failure) -> str:
    """All that the provider said, as far as it is kept."""
    details = jsonio.dumps_text(failure.details) if failure.details else ""
    return f"{failure.code}\n{failure.message}\n{details}"[:_SEARCHED]
