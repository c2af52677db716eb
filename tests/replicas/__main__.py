"""``make replicas``: three daemons on one Redis, under load, in a few minutes.

``python -m tests.replicas logins redis`` measures those two.
"""

import logging
import sys
from collections.abc import Mapping

import structlog

from tests.figures import Measure, main
from tests.replicas.disasters import measure_killed_replica, measure_redis
from tests.replicas.limits import measure_divided, measure_limits
from tests.replicas.logins import measure_logins
from tests.replicas.rests import measure_affinity, measure_rests
from tests.replicas.scaling import measure_commands

SUITE: Mapping[str, Measure] = {
    "cooldowns": measure_rests,
    "affinity": measure_affinity,
    "logins": measure_logins,
    "limits": measure_limits,
    "divided": measure_divided,
    "killed": measure_killed_replica,
    "redis": measure_redis,
    "commands": measure_commands,
}

if __name__ == "__main__":
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    sys.exit(main("tests.replicas", SUITE))
