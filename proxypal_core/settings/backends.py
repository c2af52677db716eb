"""The keys of a command-line backend: OpenClaw's, in snake_case or in its own camelCase."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from proxypal_core.settings.reading import Problem, did_you_mean

_KEYS = frozenset(
    {
        "args",
        "clear_env",
        "command",
        "env",
        "fork_arg",
        "fresh_session_recovery",
        "image_arg",
        "image_mode",
        "image_path_scope",
        "input",
        "jsonl_dialect",
        "live_session",
        "max_prompt_arg_chars",
        "model_aliases",
        "model_arg",
        "output",
        "reliability",
        "reseed_from_raw_transcript_when_uncompacted",
        "resume_args",
        "resume_at_arg",
        "resume_output",
        "serialize",
        "session_arg",
        "session_args",
        "session_id_fields",
        "session_mode",
        "system_prompt_arg",
        "system_prompt_file_arg",
        "system_prompt_file_config_arg",
        "system_prompt_file_config_key",
        "system_prompt_mode",
        "system_prompt_when",
    }
)
# Below these, names are the user's own: variables of the environment, names of models.
_FREE = frozenset({"env", "model_aliases"})
_HUMP = re.compile(r"(?<=[a-z0-9])([A-Z])")


def normalised(backend: Mapping[str, Any]) -> Mapping[str, Any]:
    """*backend* with its keys in snake_case."""
    return {
        _snake(key): normalised(value)
        if isinstance(value, Mapping) and _snake(key) not in _FREE
        else value
        for key, value in backend.items()
    }


def backend_problems(name: str, backend: Mapping[str, Any]) -> Iterator[Problem]:
    """What is wrong with the normalised *backend* called *name*."""
    for key in backend:
        if key not in _KEYS:
            yield Problem(f"backends.{name}.{key}", "unknown key", did_you_mean(key, _KEYS))
    command = backend.get("command")
    if command is not None and not (isinstance(command, str) and command):
        yield Problem(f"backends.{name}.command", "must be the path or name of a program")


def _snake(key: str) -> str:
    return _HUMP.sub(lambda hump: f"_{hump[1].lower()}", key)
