"""R18, whole, since it takes no time; and that its gate can close."""

from proxypal_core.accounts import health
from tests.reliability.clocks import CASES, JUMPS, clocks


async def test_no_jump_of_the_clock_does_harm():
    assert len(CASES) * len(JUMPS) >= 30

    [figure] = await clocks()

    assert figure.held, figure.measured


async def test_a_rest_that_grows_with_the_clock_is_seen(monkeypatch):
    monkeypatch.setattr(health, "at", lambda health, now: health)

    [figure] = await clocks({"a limit": CASES["a limit"]})

    assert figure.held is False
    assert "a limit, an hour back" in figure.measured


async def test_a_crash_is_seen():
    async def crashes(clock, jump):
        jump()
        raise OverflowError("year is out of range")

    [figure] = await clocks({"a calendar": crashes})

    assert figure.held is False
    assert "OverflowError" in figure.measured
