"""R2 in short, and the gate seen to close."""

from tests.reliability.aborts import PHASES, measure_aborts, measure_leftovers
from tests.running import PATIENCE


async def test_a_client_that_hangs_up_frees_the_provider_in_every_phase():
    figures = await measure_aborts(1, bound=PATIENCE, never=PATIENCE)

    assert len(figures) == len(PHASES)
    assert [one for one in figures if not one.held] == []


async def test_aborts_leave_nothing():
    figures = await measure_leftovers(80)

    assert [one for one in figures if not one.held] == []


async def test_a_daemon_that_does_not_notice_is_seen():
    phases = ("before the provider's headers",)

    (figure,) = await measure_aborts(1, phases, never=1.0, fault="ignores clients that leave")

    assert not figure.held
    assert "16 never" in figure.measured
