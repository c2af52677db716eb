"""Requests that wait for a busy account: in the order they came, not for ever, and not too many."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxypal_core.gateway.queue import Queue


async def queued(queue, many, tasks):
    """So many requests that wait, in the order they came."""
    waiting = [tasks.create_task(queue.wait(queue.ends())) for _ in range(many)]
    await turns()
    return waiting


async def turns():
    """Let everybody who can go on do so."""
    for _ in range(5):
        await asyncio.sleep(0)


@given(st.integers(0, 8))
async def test_when_an_account_comes_back_all_who_wait_look_again(many):
    queue = Queue(30)
    async with asyncio.TaskGroup() as tasks:
        waiting = await queued(queue, many, tasks)
        length = queue.length
        queue.given_back()

    assert length == many
    assert [one.result() for one in waiting] == [True] * many
    assert queue.length == 0


async def test_who_waited_longest_looks_first():
    queue, looked = Queue(30), []

    async def wait(name):
        await queue.wait(queue.ends())
        looked.append(name)

    async with asyncio.TaskGroup() as tasks:
        for name in "abc":
            tasks.create_task(wait(name))
        await turns()
        queue.given_back()

    assert looked == ["a", "b", "c"]


async def test_it_is_left_when_the_time_is_over():
    queue = Queue(0)

    assert not await queue.wait(queue.ends())
    assert queue.length == 0


async def test_looking_again_does_not_begin_the_time_anew():
    queue = Queue(30)
    over = asyncio.get_running_loop().time()

    assert not await queue.wait(over)


async def test_more_than_so_many_are_refused_at_once():
    queue = Queue(30, most=2)
    async with asyncio.TaskGroup() as tasks:
        waiting = await queued(queue, 2, tasks)
        refused = await queue.wait(queue.ends())
        queue.given_back()

    assert not refused
    assert all(one.result() for one in waiting)


@pytest.mark.parametrize("gone", [0, 1, 2])
async def test_a_client_that_hangs_up_leaves_the_others_where_they_were(gone):
    queue = Queue(30)
    waiting = [asyncio.ensure_future(queue.wait(queue.ends())) for _ in range(3)]
    await turns()
    waiting[gone].cancel()
    await turns()
    length = queue.length
    queue.given_back()
    done = await asyncio.gather(*waiting, return_exceptions=True)

    assert length == 2
    assert [one for at, one in enumerate(done) if at != gone] == [True, True]
    assert isinstance(done[gone], asyncio.CancelledError)


async def test_nobody_waits_and_nothing_happens():
    queue = Queue(30)
    queue.given_back()

    assert queue.length == 0
