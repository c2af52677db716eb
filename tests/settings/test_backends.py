"""Rows of command-line backends as people write and paste them."""

import pytest

from proxypal_core.settings.backends import backends_of
from proxypal_core.settings.parse import SettingsError, parse, without_effect
from proxypal_core.wire import jsonio


def settings(**rows):
    return parse(jsonio.dumps_text({"backends": rows}), {})


def problems(**rows):
    with pytest.raises(SettingsError) as error:
        settings(**rows)
    return {problem.path: str(problem) for problem in error.value.problems}


def test_a_row_of_openclaws_is_taken_as_it_is():
    pasted = {
        "command": "/opt/homebrew/bin/claude",
        "args": ["-p", "--output-format", "json"],
        "resumeArgs": ["-p", "--output-format", "json", "--resume", "{sessionId}"],
        "output": "json",
        "input": "arg",
        "modelArg": "--model",
        "modelAliases": {"claude-opus-4-6": "opus"},
        "sessionArg": "--session-id",
        "sessionMode": "always",
        "sessionIdFields": ["session_id"],
        "systemPromptArg": "--append-system-prompt",
        "systemPromptWhen": "first",
        "systemPromptMode": "append",
        "clearEnv": ["ANTHROPIC_API_KEY"],
        "serialize": True,
        "reliability": {"watchdog": {"resume": {"noOutputTimeoutMs": 5000}}},
    }
    known = settings(**{"claude-cli": pasted})

    made = backends_of(known.backends)["claude-cli"]

    assert made.resume_args[-1] == "{sessionId}"
    assert made.model_aliases["claude-opus-4-6"] == "opus"
    assert made.reliability.watchdog.resume.seconds(600) == 5
    assert made.reliability.watchdog.fresh.seconds(600) == 480
    assert "backends.claude-cli.system_prompt_mode has no effect in this version" in (
        without_effect(known)
    )


def test_a_duration_is_written_as_anywhere_in_the_settings():
    made = backends_of(settings(x={"command": "c", "timeout": "2m"}).backends)

    assert made["x"].timeout == 120


@pytest.mark.parametrize(
    ("row", "path", "says"),
    [
        ({}, "backends.x.command", "required"),
        ({"command": ""}, "backends.x.command", "program"),
        ({"command": "c", "modelsArg": "-m"}, "backends.x.models_arg", "model_arg"),
        ({"command": "c", "output": "xml"}, "backends.x.output", "xml"),
        ({"command": "c", "args": "-p"}, "backends.x.args", "array"),
        ({"command": "c", "env": {"A": 1}}, "backends.x.env", "str"),
        ({"command": "c", "timeout": "soon"}, "backends.x.timeout", "90s"),
        ({"command": "c", "jsonl_dialect": "mine"}, "backends.x.jsonl_dialect", "codex-json"),
    ],
)
def test_a_mistake_in_a_row_is_named(row, path, says):
    (found,) = problems(x=row).items()

    assert found[0] == path
    assert says in found[1]


def test_a_name_that_could_not_be_asked_for_is_refused():
    assert list(problems(**{"a/b": {"command": "c"}})) == ["backends.a/b"]
