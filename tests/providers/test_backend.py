"""Command lines: which words, in which order, and what a row over a built-in one makes of it."""

import re
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxypal_core.hub.failure import Kind, Refused
from proxypal_core.providers.backend import (
    Backend,
    Patience,
    Run,
    argv,
    builtin_rows,
    from_row,
    line_dialects,
    line_rules,
    overlaid,
    provider_of,
)

CLI = {
    "command": "cli",
    "args": ["run", "--json"],
    "model_arg": "--model",
    "model_aliases": {"big": "cli-big-1", "default": ""},
    "session_arg": "--session",
    "system_prompt_arg": "--system",
    "image_arg": "--image",
}
RESUMING = {**CLI, "resume_args": ["resume", "{sessionId}"]}
FRESH = Run(model="big", session="S", system="Be kind.", images=["a.png", "b.png"], prompt="Hi")

TABLE = [
    ("everything in its order, the prompt last", CLI, FRESH,
     "run --json --model cli-big-1 --system Be kind. --session S --image a.png --image b.png Hi"),
    ("a prompt on standard input is no argument", CLI, Run(model="big"), "run --json --model cli-big-1"),
    ("a model without an alias goes as it is", CLI, Run(model="x/y-1.5:free"), "run --json --model x/y-1.5:free"),
    ("an empty alias is the program's own choice", CLI, Run(model="default"), "run --json"),
    ("resume_args stand for args and the session", RESUMING, Run(model="m", session="S", resume=True, prompt="Hi"),
     "resume S --model m Hi"),
    ("without resume_args a session is named as a new one", CLI, Run(model="m", session="S", resume=True),
     "run --json --model m --session S"),
    ("session_args may name it several times", {**CLI, "session_args": ["--id", "{sessionId}", "--log={sessionId}"]},
     Run(session="S"), "run --json --id S --log=S"),
    ("images in a list", {**CLI, "image_mode": "list"}, Run(images=["a", "b"]), "run --json --image a,b"),
    ("a flag with an equals sign is one word", {**CLI, "image_arg": "--image="}, Run(images=["a", "b"]),
     "run --json --image=a --image=b"),
    ("an image for the prompt is no argument", {**CLI, "image_arg": "@"}, Run(images=["a"]), "run --json"),
    ("a placeholder takes the prompt", {**CLI, "args": ["--prompt", "{prompt}"]}, Run(prompt="Hi"), "--prompt Hi"),
    ("a placeholder is empty for standard input", {**CLI, "args": ["--prompt", "{prompt}"]}, Run(), "--prompt "),
    ("instructions in a file", {**CLI, "system_prompt_file_arg": "--file"}, Run(system="/f"), "run --json --file /f"),
    ("instructions in a file that a setting names",
     {**CLI, "system_prompt_file_config_arg": "-c", "system_prompt_file_config_key": "file"}, Run(system='/f"'),
     'run --json -c file="/f\\""'),
    ("instructions in a variable's file", {**CLI, "system_prompt_file_env": "FILE"}, Run(system="/f"), "run --json"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("row", "run", "words"), [case[1:] for case in TABLE], ids=[c[0] for c in TABLE]
)
def test_the_command_line_is_the_tables(row, run, words):
    line = argv(from_row("cli", row), run)

    assert line[0] == "cli"
    assert " ".join(line[1:]) == words


@given(prompt=st.text(min_size=1), system=st.text(min_size=1))
def test_nothing_of_a_request_becomes_another_word(prompt, system):
    line = argv(from_row("cli", CLI), Run(model="m", system=system, prompt=prompt))

    assert line == ["cli", "run", "--json", "--model", "m", "--system", system, prompt]


@given(model=st.text(max_size=20))
def test_a_models_name_is_one_word_and_never_an_option(model):
    backend = from_row("cli", {"command": "cli", "model_arg": "--model"})
    line = ["cli"]

    with suppress(Refused):
        line = argv(backend, Run(model=model))

    assert line in (["cli"], ["cli", "--model", model])
    assert line == ["cli"] or re.fullmatch(r"[A-Za-z0-9]\S*", model)


@pytest.mark.parametrize("model", ["-x", "--help", "a b", "a\nb", "a;b", "$(x)", "x" * 300])
def test_a_model_that_could_be_an_option_is_refused(model):
    with pytest.raises(Refused) as refused:
        argv(from_row("cli", CLI), Run(model=model))

    assert refused.value.failure.kind is Kind.MODEL


# ── the built-in rows ────────────────────────────────────────────────────────────────────────

NO_TOOLS = {
    "claude-cli": ("--tools", ""),
    "codex-cli": ("--disable", "shell_tool"),
    "gemini-cli": ("--policy", "no-tools.toml"),
    "qwen-cli": ("--exclude-tools", "read_file,edit,run_shell_command"),
    "copilot-cli": ("--available-tools=none",),
}
BYPASSES = ("dangerously", "yolo", "bypass", "allow-all", "full-access", "auto_edit", "acceptEdits")


@pytest.mark.parametrize("name", builtin_rows())
def test_no_built_in_row_lets_a_program_act(name):
    backend = from_row(name, {})

    for resume in (False, True):
        line = argv(backend, Run(model="m", session="S", resume=resume))
        assert not [word for word in line if any(bypass in word for bypass in BYPASSES)]
        assert NO_TOOLS.get(name, ()) == tuple(
            word for word in NO_TOOLS.get(name, ()) if word in line
        )
    assert (
        name != "opencode-cli" or '"tools": {"*": false}' in backend.env["OPENCODE_CONFIG_CONTENT"]
    )


@pytest.mark.parametrize("name", builtin_rows())
def test_a_built_in_row_shows_no_prompt_and_no_instructions_to_other_users(name):
    backend = from_row(name, {})

    assert backend.input == "stdin"
    assert not backend.system_prompt_arg


@pytest.mark.parametrize("name", builtin_rows())
def test_a_command_alone_overrides_a_built_in_row(name):
    known, other = from_row(name, {}), from_row(name, {"command": "/opt/it"})

    assert other.command == "/opt/it"
    assert argv(other, Run(model="m"))[1:] == argv(known, Run(model="m"))[1:]


def test_every_line_dialect_can_be_read():
    assert all(line_rules(dialect) for dialect in line_dialects())


def test_a_row_is_merged_as_openclaw_merges_it():
    row = {"command": "c", "env": {"A": "1"}, "clear_env": ["X"], "model_aliases": {"opus": "o"}}

    made = from_row("claude-cli", row)

    assert made.env["A"] == "1"
    assert made.env["CLAUDE_CODE_DISABLE_ATTACHMENTS"] == "1"
    assert made.model_aliases["opus"] == "o"
    assert made.model_aliases["default"] == ""
    assert made.clear_env == ("X",)


def test_other_arguments_bring_their_own_way_of_input_and_resuming():
    made = from_row("claude-cli", {"args": ["-p", "--output-format", "json"]})

    assert made.input_format == "text"
    assert made.resume_args == ()


def test_variables_to_clear_are_added_to_those_of_the_built_in_row():
    known = {"command": "c", "clear_env": ["A"]}

    assert overlaid(known, {"clear_env": ["B"]}) == {"command": "c", "clear_env": ["A", "B"]}


@pytest.mark.parametrize(
    ("row", "resumes"),
    [
        ({}, False),
        ({"session_arg": "--session"}, True),
        ({"session_args": ["--id", "{sessionId}"]}, True),
        ({"resume_args": ["resume", "{sessionId}"]}, True),
        ({"session_arg": "--session", "session_mode": "none"}, False),
    ],
)
def test_a_program_that_can_be_told_a_session_resumes(row, resumes):
    assert from_row("x", {"command": "c", **row}).resumes is resumes


def test_a_backend_is_a_provider_without_keys():
    provider = provider_of(from_row("claude-cli", {}), listed=True)

    assert provider.endpoints == {"command": "command:claude-cli"}
    assert provider.keyless
    assert "opus" in provider.models
    assert provider_of(from_row("claude-cli", {}), listed=False).models == ()


def test_a_backend_is_printed_without_its_environment():
    assert "hush" not in repr(from_row("x", {"command": "c", "env": {"KEY": "hush"}}))


# ── patience ─────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("keys", "whole", "seconds"),
    [
        ({}, 600, 480),
        ({}, 100, 99),  # the least is 180 s, and a second before the whole is over
        ({}, 3600, 600),
        ({"no_output_timeout_ms": 5000}, 600, 5),
        ({"no_output_timeout_ratio": 7.0}, 300, 285),
    ],
)
def test_silence_is_borne_for_a_share_of_the_whole_within_bounds(keys, whole, seconds):
    patience = {"no_output_timeout_ratio": 0.8, "min_ms": 180_000, "max_ms": 600_000}

    assert Patience(**{**patience, **keys}).seconds(whole) == seconds


# ── the document ─────────────────────────────────────────────────────────────────────────────

DOCUMENT = Path(__file__).parents[2] / "docs/backends.md"


def test_the_document_tells_every_key_and_every_built_in_row():
    text = DOCUMENT.read_text()
    table = text.partition("## Every key")[2]

    keys = re.findall(r"^\| `([a-z_]+)` \|", table, re.MULTILINE)
    assert sorted(keys) == sorted(set(Backend.__struct_fields__) - {"name"})
    assert all(f"`{name}`" in text for name in builtin_rows())
