"""R10 in short, and the gates seen to close."""

from tests.reliability.soak import measure_soak


async def test_streams_leave_nothing():
    figures = await measure_soak(384, 128)  # each pair with each plan, once it has settled

    assert [one for one in figures if not one.held] == []


async def test_what_leaks_is_seen():
    _, *figures = await measure_soak(160, 32, patience=0.3, fault="leaks")

    assert [one.held for one in figures] == [False, False, False]
