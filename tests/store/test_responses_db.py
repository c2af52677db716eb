"""Answers are there for whoever asks next, and after a restart, and never without bounds."""

from contextlib import aclosing, asynccontextmanager

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxypal_core.store import responses_db
from proxypal_core.store.database import Database
from proxypal_core.store.responses_db import Kept, ResponsesDB
from tests.proxy import StoppedClock

A_PAGE = b"x" * 4096


@asynccontextmanager
async def opened(folder=None, **options):
    async with (
        aclosing(Database(folder)) as database,
        aclosing(ResponsesDB(database, **{"clock": StoppedClock(), **options})) as responses,
    ):
        yield responses


def answer(name, text=b"[]", **fields):
    return Kept(name, input=text, document=b'{"id":"%b"}' % name.encode(), **fields)


@given(
    st.lists(
        st.tuples(st.sampled_from(["", "a", "b"]), st.sampled_from("xyz"), st.binary(max_size=99)),
        max_size=12,
    )
)
async def test_each_client_gets_what_it_put_last(puts):
    async with opened() as db:
        for client, name, text in puts:
            db.put(client, answer(name, text))
        last = {(client, name): text for client, name, text in puts}
        found = {key: await db.get(*key) for key in last}

    assert {key: kept.input for key, kept in found.items()} == last


@pytest.mark.parametrize("kept", [answer("r", b'["q"]'), Kept("r", account="openai:work")])
async def test_what_is_kept_outlives_the_daemon(tmp_path, kept):
    async with opened(tmp_path) as db:
        db.put("", kept)
    async with opened(tmp_path) as db:
        found = await db.get("", "r")

    assert found == kept


async def test_of_a_flood_of_answers_none_is_lost(tmp_path):
    async with opened(tmp_path) as db:
        for number in range(100):
            db.put("", answer(f"r{number}", items=(f"i{number}",)))
        found = await db.get("", "r99")
    async with opened(tmp_path) as db:
        after = [await db.get("", f"r{number}") for number in range(100)]

    assert found == answer("r99")
    assert after == [answer(f"r{number}") for number in range(100)]


async def test_when_it_ends_no_write_is_begun_any_more(tmp_path):
    async with opened(tmp_path) as db:
        for number in range(2):
            db.put("", answer(f"r{number}"))
        begun_later = db._scheduled

    assert begun_later.cancelled()


async def test_what_is_deleted_is_gone_and_its_items_too(tmp_path):
    async with opened(tmp_path) as db:
        db.put("", answer("r", b"SECRET" * 1000, items=("i",)))
        await db.delete("", "r")
        found = await db.get("", "r"), await db.holding("", ["i"])

    assert found == (None, {})
    assert b"SECRETSECRET" not in (tmp_path / "state.db").read_bytes()


async def test_an_answer_is_found_by_what_it_consists_of():
    async with opened() as db:
        db.put("a", answer("r1", items=("i1", "i2")))
        db.put("a", answer("r2", items=("i3",)))
        found = await db.holding("a", ["i1", "i2", "i3", "i4"])
        others = await db.holding("b", ["i1"])

    assert {item: kept.id for item, kept in found.items()} == {"i1": "r1", "i2": "r1", "i3": "r2"}
    assert others == {}


async def test_the_oldest_make_room_for_the_newest(tmp_path):
    clock = StoppedClock()
    async with opened(tmp_path, clock=clock, size=10 * len(A_PAGE)) as db:
        for turn in range(25):
            clock.at += 1
            db.put("", answer(f"r{turn}", A_PAGE))
        kept = [turn for turn in range(25) if await db.get("", f"r{turn}")]

    assert kept == list(range(kept[0], 25))
    assert 5 <= len(kept) <= 9


async def test_small_answers_are_bounded_in_number():
    async with opened(size=20 * 1024) as db:
        for turn in range(100):
            db.put("", Kept(f"r{turn}", account="a"))
        kept = [turn for turn in range(100) if await db.get("", f"r{turn}")]

    assert 10 <= len(kept) <= 20
    assert kept[-1] == 99


async def test_one_that_is_larger_than_everything_is_not_kept():
    async with opened(size=len(A_PAGE)) as db:
        db.put("", answer("r", A_PAGE * 2))
        found = await db.get("", "r")

    assert found is None


async def test_after_a_month_it_is_forgotten(tmp_path):
    clock = StoppedClock()
    async with opened(tmp_path, clock=clock) as db:
        db.put("", answer("old", b"OLDTEXT"))
        clock.at += responses_db.AGE_LIMIT
        before = await db.get("", "old")
        clock.at += 1
        after = await db.get("", "old")
        db.put("", answer("new"))
    async with opened(tmp_path, clock=clock) as db:
        new = await db.get("", "new")

    assert before
    assert after is None
    assert new
    assert b"OLDTEXT" not in (tmp_path / "state.db").read_bytes()
