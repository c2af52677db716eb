"""How an agent stands to the proxy, by what is in its files."""

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple, TypeAlias

from proxypal_core.agents.edits import Done
from proxypal_core.agents.tree import ABSENT, Path, find, spelt

State: TypeAlias = Literal["absent", "installed", "configured", "drifted", "elsewhere"]


class Sight(NamedTuple):
    """A file as it is now: its ``value``, where an address of the proxy belongs, and the edits that
    a receipt tells of.
    """

    value: Any
    addresses: Sequence[Path]
    done: Sequence[Done]


class Standing(NamedTuple):
    """``address`` is the other one where the state is ``elsewhere``; ``changed`` are places that
    somebody changed since the set-up.
    """

    state: State
    address: str = ""
    changed: Sequence[str] = ()


def standing(sights: Sequence[Sight], url: str, *, found: bool, set_up: bool) -> Standing:
    """How an agent stands whose program was *found* or not, to the proxy at *url*. *set_up*: there
    is a receipt.
    """
    if not found:
        return Standing("absent")
    told = [find(sight.value, path) for sight in sights for path in sight.addresses]
    written = [address for address in told if isinstance(address, str)]
    foreign = [address for address in written if not _leads(address, url)]
    if foreign:
        return Standing("elsewhere", foreign[0])
    changed = [
        spelt(one.at)
        for sight in sights
        for one in sight.done
        if (() if (there := find(sight.value, one.at)) is ABSENT else (there,)) != one.now
    ]
    if changed:
        return Standing("drifted", "", changed)
    complete = bool(told) and len(written) == len(told)
    return Standing("configured" if set_up or complete else "installed")


def _leads(address: str, url: str) -> bool:
    """Whether *address* is *url* or below it; localhost is as good as its number."""
    near = address.replace("//localhost:", "//127.0.0.1:").rstrip("/")
    base = url.replace("//localhost:", "//127.0.0.1:")
    return near == base or near.startswith(f"{base}/")
