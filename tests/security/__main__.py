"""``make security``: who gets in, what gets out, and what lies on the disk, as figures.

S1 is about one daemon with everything on; over the whole suite, ``tests/security/plugin.py`` looks
after every test of ``make test``.
"""

import sys
from collections.abc import Mapping

from tests.figures import Figure, Measure, main
from tests.security import (
    bombs,
    browser,
    canaries,
    files,
    guesses,
    headers,
    hosts,
    policy,
    slow,
    supply,
)


def together(*measures: Measure) -> Measure:
    """The figures of *measures*, one after the other."""

    async def measure() -> list[Figure]:
        return [figure for one in measures for figure in await one()]

    return measure


SUITE: Mapping[str, Measure] = {
    "S1": canaries.measure,
    "S2": together(hosts.measure_table, browser.measure_browser),
    "S3": together(policy.measure_routes, policy.measure_ways_around, guesses.measure_guesses),
    "S4": headers.measure_headers,
    "S5": files.measure_damage,
    "S6": hosts.measure_smuggling,
    "S7": together(supply.measure_analysis, supply.measure_floors, supply.measure_audit),
    "S8": together(files.measure_modes, files.measure_links),
    "S9": slow.measure,
    "S10": bombs.measure,
    "S11": together(supply.measure_wheel, supply.measure_silence, supply.measure_without_network),
}

if __name__ == "__main__":
    sys.exit(main("tests.security", SUITE))
