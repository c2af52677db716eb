"""How programs fail, wait for each other, and end with all that they started."""

import asyncio
from contextlib import suppress

import pytest

from proxypal_core.hub.failure import Failure, Kind
from proxypal_core.providers.backend import Patience
from proxypal_core.upstream import process
from proxypal_core.upstream.transport import Broken
from tests.fake_cli import backend, dumped
from tests.upstream.programs import (
    CLAUDE,
    PATIENCE,
    PIXEL,
    failure,
    gone,
    left_behind,
    opened,
    running,
    said,
    transport,
    written,
)

# ── failures ─────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("play", "keys", "kind", "words"),
    [
        ("logged-out", CLAUDE, Kind.AUTH, "Not logged in"),
        ("limited", CLAUDE, Kind.RATE_LIMIT, "rate limited"),
        ("bad-model", CLAUDE, Kind.MODEL, "selected model"),
        ("json-error", {}, Kind.BILLING, "Credit balance"),
        ("unfinished", CLAUDE, Kind.TRUNCATED, "without saying"),
        ("noisy", CLAUDE, Kind.SERVER, "the end"),
        ("tty", CLAUDE, Kind.SERVER, "/dev/tty"),
        ("flood", {"output": "text"}, Kind.BAD_REPLY, "printed more than"),
        ("hang", {**CLAUDE, "timeout": 1.1, "reliability": {"watchdog": {"fresh": {"no_output_timeout_ms": 90_000}}}}, Kind.TIMEOUT, "printed nothing for 0.1"),
    ],
)  # fmt: skip
async def test_a_failure_means_what_the_program_says(tmp_path, play, keys, kind, words):
    async with transport(tmp_path, backend(play, tmp_path / "dump", **keys)) as way:
        found = await failure(way)

    assert found.kind is kind
    assert words in found.message
    assert found.message.startswith("fake: ") or kind is Kind.BAD_REPLY


async def test_a_program_that_never_stops_talking_is_ended(tmp_path, monkeypatch):
    monkeypatch.setattr(Patience, "seconds", lambda *_: PATIENCE)
    chatty = backend("chatty", tmp_path / "dump", **CLAUDE, timeout=0.5)

    async with transport(tmp_path, chatty) as way:
        found = await failure(way)

    assert found == Failure(
        Kind.TIMEOUT, "fake: not done after 0.5 seconds; raise backends.fake.timeout"
    )


async def test_a_program_that_is_not_there_is_said_with_what_to_do(tmp_path):
    fake = backend("text")
    absent = type(fake)(name="fake", command="no-such-program")

    async with transport(tmp_path, absent) as way:
        found = await failure(way)

    assert found.kind is Kind.FORBIDDEN
    assert "backends.fake.command" in found.message


async def test_what_a_program_says_is_told_shortened_and_without_secrets(tmp_path):
    async with transport(tmp_path, backend("noisy", tmp_path / "dump", **CLAUDE)) as way:
        found = await failure(way)

    assert len(found.message) < 2200
    assert found.message.endswith("*** is wrong, the end")


async def test_a_program_that_dies_half_way_breaks_the_answer_off(tmp_path):
    async with transport(tmp_path, backend("half", tmp_path / "dump", **CLAUDE)) as way:
        reply = await opened(way, said("one two"))
        received = []
        with suppress(Broken):
            while data := await reply.read():
                received.append(data)
            raise AssertionError("it was complete")
        reply.close()

    assert b"one" in b"".join(received)
    assert b"[DONE]" not in b"".join(received)


async def test_a_model_that_could_be_an_option_starts_nothing(tmp_path):
    dump = tmp_path / "dump"

    async with transport(tmp_path, backend("claude", dump, **CLAUDE)) as way:
        with pytest.raises(Exception, match="no model is called"):
            await opened(way, said("Hi"), model="--dangerous")

    assert not dump.exists()


# ── one at a time ────────────────────────────────────────────────────────────────────────────


async def test_runs_of_a_serialized_program_wait_for_each_other_up_to_a_bound(
    tmp_path, monkeypatch
):
    monkeypatch.setattr(process, "QUEUE_LIMIT", 1)
    dump = tmp_path / "dump"

    async with transport(tmp_path, backend("hang", dump, **CLAUDE)) as way:
        first = await opened(way, said("one"))
        await written(dump)
        waiting = asyncio.ensure_future(opened(way, said("two")))
        await asyncio.sleep(0)
        refused = await failure(way)
        first.close()
        second = await waiting
        await written(dump, 2)
        second.close()

    assert refused.kind is Kind.OVERLOADED
    assert len(dumped(dump)) == 2


async def test_runs_of_others_go_side_by_side(tmp_path):
    dump = tmp_path / "dump"

    async with transport(tmp_path, backend("hang", dump, **CLAUDE, serialize=False)) as way:
        replies = [await opened(way, said("Hi")) for _ in range(3)]
        await written(dump, 3)
        for reply in replies:
            reply.close()

    assert len({run["pid"] for run in dumped(dump)}) == 3


# ── the end ──────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("deaf", ["", "1"])
async def test_a_client_that_is_gone_ends_the_whole_tree(tmp_path, deaf):
    pids = tmp_path / "pids"
    env = {"FAKE_PIDS": str(pids), "FAKE_DEAF": deaf}
    fake = backend("tree", tmp_path / "dump", **CLAUDE, env=env)

    async with transport(tmp_path, fake) as way:
        reply = await opened(way, said("Hi"))
        await reply.read()
        tree = await written(pids, 3)
        reply.close()
        for pid in tree:
            await gone(pid)

    assert len(tree) == 3


async def test_a_request_that_is_broken_off_while_it_starts_leaves_nothing(tmp_path):
    dump = tmp_path / "dump"

    async with transport(tmp_path, backend("hang", dump, **CLAUDE, image_arg="--image")) as way:
        for steps in range(8):
            starting = asyncio.ensure_future(opened(way, said("Hi", images=[PIXEL])))
            for _ in range(steps):
                await asyncio.sleep(0)
            starting.cancel()
            with suppress(asyncio.CancelledError):
                (await starting).close()

    assert not [
        run["pid"] for run in (dumped(dump) if dump.exists() else []) if running(run["pid"])
    ]
    assert left_behind(tmp_path) == []


async def test_the_end_of_the_daemon_ends_what_runs(tmp_path):
    dump = tmp_path / "dump"

    async with transport(tmp_path, backend("hang", dump, **CLAUDE)) as way:
        reply = await opened(way, said("Hi"))
        await written(dump)
        reply.close()

    assert not running(dumped(dump)[0]["pid"])
