"""Programs as a way out: what they are given, and how they answer."""

from pathlib import Path

import pytest

from proxypal_core.dialects import command
from proxypal_core.hub.failure import Kind
from proxypal_core.upstream import process, process_place
from proxypal_core.wire import jsonio
from tests.fake_cli import backend, dumped
from tests.upstream.programs import (
    CLAUDE,
    PIXEL,
    answer,
    failure,
    left_behind,
    opened,
    pieces,
    processes,
    said,
    text,
    transport,
    written,
)

# ── what it is given ─────────────────────────────────────────────────────────────────────────


async def test_a_program_gets_the_tables_arguments_and_the_prompt_on_standard_input(tmp_path):
    dump = tmp_path / "dump"
    fake = backend("text", dump, output="text", model_arg="--model", system_prompt_arg="--system")

    async with transport(tmp_path, fake) as way:
        found = await text(way, said("What is it?"), system="Be kind.")

    (seen,) = dumped(dump)
    assert found == "What is it?"
    assert seen["argv"] == ["--play=text", "--model", "m", "--system", "Be kind."]
    assert seen["stdin"] == "What is it?"


async def test_a_program_gets_only_the_variables_that_are_allowed(tmp_path):
    dump = tmp_path / "dump"
    fake = backend("text", dump, output="text", pass_env=["CLAUDE_*"], env={"MINE": "1"}, clear_env=["LANG"])  # fmt: skip

    async with transport(tmp_path, fake) as way:
        await text(way, said("Hi"))

    (seen,) = dumped(dump)
    # LC_CTYPE is what Python sets in itself where no locale is given.
    assert seen["env"].keys() - {"LC_CTYPE"} == {"PATH", "HOME", "CLAUDE_CONFIG_DIR", "MINE", "FAKE_DUMP"}  # fmt: skip
    assert seen["env"]["HOME"] == "/nowhere"


async def test_a_program_runs_in_a_folder_of_its_own_with_its_files(tmp_path):
    dump = tmp_path / "dump"
    fake = backend("text", dump, output="text", files={"policy.toml": "deny"})

    async with transport(tmp_path, fake) as way:
        await text(way, said("Hi"))

    cwd = Path(dumped(dump)[0]["cwd"])
    assert cwd == tmp_path / "home" / "fake"
    assert folder(cwd) == (0o700, ["policy.toml"])
    assert (cwd / "policy.toml").stat().st_mode & 0o777 == 0o600
    assert cwd.parent.stat().st_mode & 0o777 == 0o700


def folder(path):
    """The mode of a folder, and what is in it."""
    return path.stat().st_mode & 0o777, [inside.name for inside in path.iterdir()]


async def test_a_prompt_of_five_mebibytes_arrives(tmp_path):
    dump = tmp_path / "dump"
    prompt = "word" * (5 * 1024 * 1024 // 4)

    async with transport(tmp_path, backend("text", dump, output="text", input="arg")) as way:
        await text(way, said(prompt))

    assert dumped(dump)[0]["stdin"] == prompt


async def test_a_prompt_is_in_no_list_of_processes(tmp_path):
    dump = tmp_path / "dump"
    fake = backend("hang", dump, **CLAUDE, system_prompt_file_arg="--system")

    async with transport(tmp_path, fake) as way:
        reply = await opened(way, said("canary-7f3a", images=[PIXEL]), system="canary-7f3a")
        await written(dump)
        shown = processes()
        reply.close()

    assert any(b"--play=hang" in line for line in shown)
    assert not any(b"canary-7f3a" in line for line in shown)


@pytest.mark.parametrize(
    ("prompt", "by_argument"), [("Hi", True), ("--help", True), ("x" * 50, False)]
)
async def test_a_short_prompt_goes_into_an_argument_where_that_is_asked_for(
    tmp_path, prompt, by_argument
):
    dump = tmp_path / "dump"
    fake = backend("text", dump, output="text", input="arg", max_prompt_arg_chars=40)

    async with transport(tmp_path, fake) as way:
        await text(way, said(prompt))

    (seen,) = dumped(dump)
    assert (seen["argv"][-1].strip() == prompt) is by_argument
    assert not seen["argv"][-1].startswith("--help")
    assert (seen["stdin"] == prompt) is not by_argument


# ── images and instructions ──────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("keys", [{"image_arg": "--image"}, {"image_arg": "--image="}, {}, {"image_arg": "@", "image_path_scope": "workspace"}])  # fmt: skip
async def test_images_are_private_files_that_are_gone_afterwards(tmp_path, keys):
    dump = tmp_path / "dump"

    async with transport(tmp_path, backend("text", dump, output="text", **keys)) as way:
        await text(way, said("Look", images=[PIXEL, PIXEL]))

    files = dumped(dump)[0]["files"]
    assert [Path(path).name for path in files] == ["image-1.png", "image-2.png"]
    assert all(value == ["0o600", "0o700", "89504e470d0a1a0a"] for value in files.values())
    assert left_behind(tmp_path) == []


async def test_instructions_go_in_a_private_file(tmp_path):
    dump = tmp_path / "dump"
    fake = backend("text", dump, output="text", system_prompt_file_env="RULES")

    async with transport(tmp_path, fake) as way:
        await text(way, said("Hi"), system="Be kind.")

    (seen,) = dumped(dump)
    assert seen["files"] == {seen["env"]["RULES"]: ["0o600", "0o700", b"Be kind.".hex()]}
    assert left_behind(tmp_path) == []


async def test_files_are_gone_after_a_run_that_fails_or_is_broken_off(tmp_path):
    plays = [backend(play, tmp_path / play, name=play, output="text", image_arg="--image") for play in ("noisy", "hang")]  # fmt: skip

    async with transport(tmp_path, *plays) as way:
        await failure(way, said("Look", images=[PIXEL]), name="noisy")
        reply = await opened(way, said("Look", images=[PIXEL]), name="hang")
        await written(tmp_path / "hang")
        reply.close()

    assert left_behind(tmp_path) == []


async def test_a_folder_that_cannot_be_written_is_a_failure_like_any_other(tmp_path):
    (tmp_path / "home").write_text("a file")

    async with transport(tmp_path, backend("text", tmp_path / "dump")) as way:
        found = await failure(way)

    assert found.kind is Kind.SERVER
    assert "cannot be written" in found.message


async def test_what_a_killed_daemon_left_is_swept_at_the_first_request(tmp_path):
    fake = backend("text", tmp_path / "dump", output="text")
    stale = process_place.Home(tmp_path / "home").files(fake, "Be kind.", [PIXEL])

    async with transport(tmp_path, fake) as way:
        before = left_behind(tmp_path)
        await text(way, said("Hi"))

    assert before == [stale.folder]
    assert left_behind(tmp_path) == []


async def test_instructions_without_a_flag_stand_in_the_prompt(tmp_path):
    dump = tmp_path / "dump"

    async with transport(tmp_path, backend("text", dump, output="text")) as way:
        await text(way, said("Hi"), system="Be kind.")

    assert dumped(dump)[0]["stdin"] == "<instructions>\nBe kind.\n</instructions>\n\nHi"


@pytest.mark.parametrize(("when", "told"), [("first", False), ("always", True), ("never", False)])
async def test_a_later_turn_brings_the_instructions_where_they_belong(tmp_path, when, told):
    dump = tmp_path / "dump"
    fake = backend("claude", dump, **CLAUDE, system_prompt_when=when)

    async with transport(tmp_path, fake) as way:
        first = await text(way, said("one"), system="Be kind.")
        await text(way, said("one", first, "two"), system="Be kind.")

    assert ["Be kind." in run["stdin"] for run in dumped(dump)] == [when != "never", told]


# ── answers ──────────────────────────────────────────────────────────────────────────────────


async def test_a_json_answer_is_read_behind_a_greeting(tmp_path):
    async with transport(tmp_path, backend("json", tmp_path / "dump")) as way:
        assert await text(way, said("Hi")) == "Hi"


async def test_an_answer_is_streamed_as_it_is_printed(tmp_path):
    fake = backend("slow", tmp_path / "dump", **CLAUDE)

    async with transport(tmp_path, fake) as way:
        found = await pieces(way, said("one two three"))

    assert sum(b'"content":' in piece for piece in found) >= 3
    assert b"[DONE]" in found[-1]


async def test_thoughts_text_and_usage_are_told_apart(tmp_path):
    fake = backend("codex", tmp_path / "dump", output="jsonl", jsonl_dialect="codex-json")

    async with transport(tmp_path, fake) as way:
        body = b"".join(await pieces(way, said("Hi"), stream=False))

    response = command.decode_response(jsonio.load_object(body))
    assert [part.text for part in response.parts] == ["hm", "Hi"]
    assert (response.usage.input_total, response.usage.input_cached) == (9, 4)


async def test_a_stream_tells_the_same_as_a_whole_answer(tmp_path):
    fake = backend("claude", tmp_path / "dump", **CLAUDE)

    async with transport(tmp_path, fake) as way:
        events = await answer(way, said("one two"))
        whole = await text(way, said("one two"))

    assert "".join(getattr(event, "text", "") for event in events) == whole == "one two "


async def test_a_silent_program_gives_signs_of_life(tmp_path, monkeypatch):
    monkeypatch.setattr(process, "_HEARTBEAT", 0.05)
    fake = backend("slow", tmp_path / "dump", **CLAUDE)

    async with transport(tmp_path, fake) as way:
        streamed = await pieces(way, said("one"))
        whole = await pieces(way, said("one"), stream=False)

    assert streamed[0] == command.HEARTBEAT
    assert whole[0] == b"\n"
    assert jsonio.load_object(b"".join(whole))
