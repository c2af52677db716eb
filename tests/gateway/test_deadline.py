"""How long a task waits for others: each wait by its own bound, all with one timer."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxypal_core.gateway.deadline import Deadline
from proxypal_core.hub.failure import Kind
from proxypal_core.upstream.transport import Broken


class Timer:
    def __init__(self, at, due):
        self.at, self.due, self.cancelled = at, due, False

    def cancel(self):
        self.cancelled = True


class Hours:
    """A loop's clock that goes on when it is told to."""

    def __init__(self):
        self.now = 0.0
        self.timers = []

    def time(self):
        return self.now

    def call_at(self, at, due):
        self.timers.append(Timer(at, due))
        return self.timers[-1]

    def go_on(self, seconds):
        self.now += seconds
        for timer in list(self.timers):
            if timer.at <= self.now and not timer.cancelled:
                timer.cancelled = True
                timer.due()


def deadline_of(hours):
    return Deadline(hours, asyncio.current_task())


async def answer():
    return "answer"


async def turns():
    """Let everybody who can go on do so."""
    for _ in range(3):
        await asyncio.sleep(0)


async def waits(hours, deadline, bound, *, passes):
    """Whether a wait of so many seconds is still one when others have passed."""
    asyncio.get_running_loop().call_soon(hours.go_on, passes)
    try:
        await deadline.within(bound, turns())
    except Broken as broken:
        return broken.failure.kind is not Kind.TIMEOUT
    return True


@given(st.lists(st.tuples(st.integers(1, 100), st.integers(0, 200)), min_size=1, max_size=6))
async def test_every_wait_of_a_task_ends_by_its_own_bound(played):
    hours = Hours()
    deadline = deadline_of(hours)

    waited = [await waits(hours, deadline, bound, passes=passes) for bound, passes in played]

    assert waited == [passes < bound for bound, passes in played]


async def test_one_timer_is_enough_for_many_waits():
    hours = Hours()
    deadline = deadline_of(hours)

    told = [await deadline.within(60.0, answer()) for _ in range(5)]

    assert told == ["answer"] * 5
    assert len(hours.timers) == 1


async def test_a_timer_that_goes_off_between_two_waits_ends_nothing():
    hours = Hours()
    deadline = deadline_of(hours)
    await deadline.within(60.0, answer())

    hours.go_on(100)

    assert await deadline.within(60.0, answer()) == "answer"


async def test_what_came_in_part_has_as_much_time_again():
    hours = Hours()
    deadline = deadline_of(hours)

    async def in_parts():
        for _ in range(4):
            hours.go_on(50)
            deadline.again(60.0)
        return "all"

    assert await deadline.within(60.0, in_parts()) == "all"


async def test_nothing_goes_off_after_the_end():
    hours = Hours()
    deadline = deadline_of(hours)
    await deadline.within(60.0, answer())

    deadline.close()

    assert all(timer.cancelled for timer in hours.timers)


async def test_a_task_that_is_cancelled_with_a_reason_says_it():
    deadline = deadline_of(Hours())
    asyncio.get_running_loop().call_soon(asyncio.current_task().cancel, "shutting down")

    with pytest.raises(Broken) as broken:
        await deadline.within(60.0, turns())

    assert broken.value.failure.message == "shutting down"
