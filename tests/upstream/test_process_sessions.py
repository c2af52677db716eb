"""A conversation goes on in the session of a program that holds it, and in no other."""

import pytest

from proxypal_core.wire import jsonio
from tests.fake_cli import backend, dumped
from tests.upstream.programs import CLAUDE, pieces, said, text, transport


def resuming(play, dump, **keys):
    made = backend(play, dump, **CLAUDE)
    again = [*made.args, "--resume", "{sessionId}"]
    return backend(play, dump, **{**CLAUDE, "resume_args": again, **keys})


async def test_a_second_turn_goes_on_in_the_same_session_with_only_what_is_new(tmp_path):
    dump = tmp_path / "dump"

    async with transport(tmp_path, resuming("claude", dump)) as way:
        first = await text(way, said("one"))
        await text(way, said("one", first, "two"))

    began, went_on = dumped(dump)
    session = began["argv"][began["argv"].index("--session-id") + 1]
    assert went_on["argv"][-2:] == ["--model", "m"]
    assert went_on["argv"][1:3] == ["--resume", session]
    assert jsonio.loads(went_on["stdin"])["message"]["content"] == [{"type": "text", "text": "two"}]


async def test_a_program_that_names_its_session_itself_is_resumed_by_that_name(tmp_path):
    dump = tmp_path / "dump"
    keys = {"output": "jsonl", "jsonl_dialect": "codex-json", "session_mode": "existing"}
    made = backend("codex", dump)
    again = [*made.args, "--thread", "{sessionId}"]
    fake = backend("codex", dump, **keys, session_id_fields=["thread_id"], resume_args=again)

    async with transport(tmp_path, fake) as way:
        await text(way, said("one"))
        await pieces(way, said("one", "one", "two"))

    began, went_on = dumped(dump)
    assert began["argv"] == ["--play=codex"]
    assert went_on["argv"] == ["--play=codex", "--thread", "thread-1"]


@pytest.mark.parametrize(
    "turns",
    [("one", "another answer", "two"), ("two",), ("one", "one ", "two", "x", "three")],
    ids=["another answer", "another beginning", "turns that were elsewhere"],
)
async def test_another_history_never_goes_on_in_the_session(tmp_path, turns):
    dump = tmp_path / "dump"

    async with transport(tmp_path, resuming("claude", dump)) as way:
        await text(way, said("one"))
        await text(way, said(*turns))

    assert len(dumped(dump)) == 2
    asked = jsonio.loads(dumped(dump)[1]["stdin"])["message"]["content"][-1]["text"]
    if "--resume" in dumped(dump)[1]["argv"]:
        assert asked.endswith("</conversation>\n\nthree")  # all that the session does not hold
    else:
        assert all(turn in asked for turn in turns)


async def test_a_session_that_is_gone_is_begun_anew_with_the_whole_conversation(tmp_path):
    dump = tmp_path / "dump"

    async with transport(tmp_path, resuming("gone", dump)) as way:
        first = await text(way, said("one"))
        second = await text(way, said("one", first, "two"))

    asked = [run["stdin"] for run in dumped(dump)]
    assert len(asked) == 3
    assert "User:\\none" in asked[2]
    assert second.endswith("two ")


async def test_two_that_began_alike_never_share_a_session(tmp_path):
    dump = tmp_path / "dump"

    async with transport(tmp_path, resuming("claude", dump)) as way:
        first = await text(way, said("one"))
        await text(way, said("one", first, "two"))
        await text(way, said("one", first, "two"))

    assert [("--resume" in run["argv"]) for run in dumped(dump)] == [False, True, False]


async def test_no_session_is_named_where_there_are_none(tmp_path):
    dump = tmp_path / "dump"
    fake = resuming("claude", dump, session_mode="none")

    async with transport(tmp_path, fake) as way:
        first = await text(way, said("one"))
        await text(way, said("one", first, "two"))

    assert all(run["argv"] == ["--play=claude", "--model", "m"] for run in dumped(dump))
