"""Whose turn it is among the accounts of one provider, without looking at all of them.

What the owner said of them, and how they are paid, puts them into groups; within a group they stand
in the order of their turns. So who is next is found at the front of the first group that has anybody,
however many accounts there are. ``Pool._place`` says the same for those who are compared one by one.
"""

from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence

from proxypal_core.accounts.account import CredentialKind
from proxypal_core.accounts.standing import Standing

KINDS: Mapping[CredentialKind, int] = {"oauth": 0, "token": 1, "api_key": 2}
"""What is paid for anyway is used before what is paid by use."""

Group = OrderedDict[str, Standing]


class Turns:
    """Of *standings*. Those of a group take turns by their last use, or with *by_use* false each is
    asked as long as it can serve.
    """

    def __init__(self, standings: Iterable[Standing], *, by_use: bool) -> None:
        self._by_use = by_use
        self._groups: dict[str, Group] = {}
        levels: dict[tuple[int, int], dict[int, Group]] = {}
        ranked = [one for one in standings if one.rank is not None]
        for one in sorted(ranked, key=lambda one: (one.used * by_use, one.index)):
            said = (one.rank or 0, -one.account.priority)
            kinds = levels.setdefault(said, {})
            group = kinds.setdefault(KINDS[one.account.kind], OrderedDict())
            group[one.account.id] = one
            self._groups[one.account.id] = group
        self.levels: Sequence[Sequence[Group]] = [
            [kinds[kind] for kind in sorted(kinds)] for _, kinds in sorted(levels.items())
        ]
        """What the owner prefers first; in each, what is paid for anyway before the rest."""

    def used(self, one: Standing) -> None:
        """*one* was given work: the others of its group come before it now."""
        group = self._groups.get(one.account.id)
        if self._by_use and group is not None:
            group.move_to_end(one.account.id)
