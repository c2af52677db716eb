"""``make reliability``: R1 to R18, in less than half an hour on two quiet cores.

``python -m tests.reliability R3 R12`` measures those two.
"""

import logging
import sys
from collections.abc import Mapping, Sequence

import structlog

from tests.faults.matrix import measure as matrix
from tests.figures import Figure, Measure, main
from tests.reliability.aborts import measure_aborts, measure_leftovers
from tests.reliability.clocks import clocks
from tests.reliability.connections import descriptors, stale_connections
from tests.reliability.disasters import disasters
from tests.reliability.failover import failover
from tests.reliability.readers import measure_live_streams, measure_stalled_readers
from tests.reliability.soak import measure_soak
from tests.reliability.suites import (
    damaged_inputs,
    lost_profiles,
    orphans,
    pool_law,
    refreshes,
    reloads,
    shared_state,
    stops,
)


async def aborts() -> Sequence[Figure]:
    return [*await measure_aborts(), *await measure_leftovers()]


SUITE: Mapping[str, Measure] = {
    "R1": matrix,
    "R2": aborts,
    "R3": failover,
    "R4": lost_profiles,
    "R5": refreshes,
    "R6": pool_law,
    "R7": measure_stalled_readers,
    "R8": measure_live_streams,
    "R9": stops,
    "R10": measure_soak,
    "R11": damaged_inputs,
    "R12": stale_connections,
    "R13": descriptors,
    "R14": disasters,
    "R15": reloads,
    "R16": orphans,
    "R17": shared_state,
    "R18": clocks,
}

if __name__ == "__main__":
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    sys.exit(main("tests.reliability", SUITE))
