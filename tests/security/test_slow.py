"""A few slow clients under short limits; and that the figures break when the guard does."""

import pytest

from tests.running import PATIENCE
from tests.security import slow

pytestmark = pytest.mark.timeout(180)  # daemons, on a machine that does more

# The limits of a daemon are fixed: these are of one that has shorter ones.
SHORT = """
import sys
from functools import partial
from proxypal_core.daemon import run
from proxypal_core.gateway import server
run.Limits = partial(run.Limits, head=0.5, body_grace=0.5, sweep=0.1)
{sabotage}
from proxypal_core.__main__ import main
main()
"""


def short(sabotage=""):
    return ("-c", SHORT.format(sabotage=sabotage))


async def test_slow_clients_are_sent_away_and_others_are_answered():
    figures = await slow.measure(21, within=PATIENCE, program=short())

    assert [figure for figure in figures[:2] if not figure.held] == []
    assert figures[2].measured != "inf ms"


async def test_a_guard_that_forgets_is_seen():
    forgets = "run.Limits = partial(run.Limits, head=1000, body_grace=1000)"
    figures = await slow.measure(7, within=0.5, program=short(forgets))

    assert figures[0].measured == "7"
    assert figures[0].held is False


async def test_a_daemon_that_answers_nobody_is_seen():
    refuses = "run.most_connections = lambda: 0"
    figures = await slow.measure(7, within=0.5, program=short(refuses))

    assert figures[2].held is False
