"""R7 and R8 in short, but for how soon, and the gates seen to close."""

import math

from tests.reliability.readers import measure_live_streams, measure_stalled_readers

BOTH = {
    "both": {
        "openai-chat": "openai-chat",
        "openai-responses": "anthropic",
        "anthropic": "anthropic",
        "gemini": "openai-chat",
    }
}

PAGES = 1000
"""4 MiB a stream; the kernel may hold a part of them."""


async def test_readers_that_stand_still_cost_what_is_promised():
    figures = await measure_stalled_readers(8, cycles=1, ways=BOTH, growth=6, pages=PAGES)

    assert [one for one in figures if not one.held] == []


async def test_a_daemon_that_hoards_for_them_is_seen():
    memory, _ = await measure_stalled_readers(
        4, cycles=1, ways=BOTH, growth=6, pages=PAGES, fault="hoards"
    )

    assert not memory.held


async def test_live_streams_all_end_well():
    figures = await measure_live_streams(16, 0.5, ways=BOTH, growth=20, lag=math.inf)

    assert [one for one in figures if not one.held] == []


async def test_a_daemon_that_dozes_is_seen():
    *_, lag = await measure_live_streams(4, 0.5, ways=BOTH, fault="dozes")

    assert not lag.held
