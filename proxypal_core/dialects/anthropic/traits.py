"""What each Claude takes. Rows are told apart by the version in the model's name.

A name of Claude's without a version is taken for a new model; a name of somebody else's (servers
that speak this dialect for their own models) for an old one, whose requests everybody takes.
"""

import re
from typing import Literal, NamedTuple

_VERSION = re.compile(r"claude-(?:[a-z]+-)?(\d{1,2})(?:[.-](\d{1,2}))?(?!\d)")
_NEWEST = (99, 0)

DEFAULT_LIMIT = 8192


class Traits(NamedTuple):
    """``limit`` is the longest answer, 0 when unknown; ``hard_limit``: more is refused.

    ``thinking``: not at all, with a budget, or as the model sees fit. ``sampling``: every
    parameter, temperature or top_p but not both, or none. ``schemas``: structured outputs and
    strict tools. ``prefill``: the last turn may be the assistant's. ``system_turns``: instructions
    may stand in the middle.
    """

    claude: bool
    limit: int
    hard_limit: bool
    thinking: Literal["none", "budget", "adaptive"]
    xhigh: bool
    sampling: Literal["all", "one", "none"]
    schemas: bool
    prefill: bool
    system_turns: bool


def traits(model: str) -> Traits:
    name = model.lower()
    if "claude" not in name:
        return Traits(
            claude=False,
            limit=0,
            hard_limit=False,
            thinking="budget",
            xhigh=False,
            sampling="all",
            schemas=False,
            prefill=True,
            system_turns=False,
        )
    match = _VERSION.search(name)
    version = (int(match[1]), int(match[2] or 0)) if match else _NEWEST
    opus = "opus" in name
    return Traits(
        claude=True,
        limit=_limit(version, opus=opus),
        hard_limit=version < (4, 6),
        thinking="adaptive" if version >= (4, 6) else "budget" if version >= (3, 7) else "none",
        xhigh=version >= (4, 7),
        sampling="all" if version < (4, 0) else "one" if version < (4, 7) else "none",
        schemas=version >= (4, 5) or (version == (4, 1) and opus),
        prefill=version < (4, 6),
        system_turns=version >= ((4, 8) if opus else (5, 0)),
    )


def _limit(version: tuple[int, int], *, opus: bool) -> int:
    if version == _NEWEST:
        return 0
    if version < (3, 5):
        return 4096
    if version < (3, 7):
        return 8192
    return 32000 if opus and (4, 0) <= version < (4, 5) else 64000
