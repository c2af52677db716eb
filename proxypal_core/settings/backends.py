"""The keys of a command-line backend: OpenClaw's, in snake_case or in its own camelCase."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from proxypal_core.providers import backend as programs
from proxypal_core.providers.backend import Backend
from proxypal_core.settings.reading import Problem, did_you_mean
from proxypal_core.settings.schema import Duration

# Keys of OpenClaw's that stand for a way of its own: a program that is kept running, a transcript
# of its own to begin anew from, a second kind of system prompt.
_IDLE = frozenset(
    {
        "fork_arg",
        "fresh_session_recovery",
        "live_session",
        "reseed_from_raw_transcript_when_uncompacted",
        "resume_at_arg",
        "system_prompt_mode",
    }
)
_KEYS = frozenset(field.name for field in msgspec.structs.fields(Backend)) - {"name"}
# Below these, names are the user's own: variables, models, files.
_SEE = "the repository's config.yaml shows what there is"
_FREE = frozenset({"env", "model_aliases", "files"})
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
    path = f"backends.{name}"
    unknown = [key for key in backend if key not in _KEYS | _IDLE]
    for key in unknown:
        yield Problem(f"{path}.{key}", "unknown key", did_you_mean(key, _KEYS) or _SEE)
    if not _NAME.fullmatch(name):
        yield Problem(path, "must be named in small letters, digits and '-', such as my-cli")
    command = backend.get("command", "")
    if not isinstance(command, str) or ("command" in backend and not command):
        yield Problem(f"{path}.command", "must be the path or name of a program", "such as claude")
    elif unknown:
        pass  # one of them may be what is missed below
    elif not command and name not in programs.builtin_rows():
        hint = did_you_mean(name, programs.builtin_rows()) or "such as claude"
        yield Problem(f"{path}.command", "is required", hint)
    else:
        yield from _wrong(name, backend)


_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")


def _wrong(name: str, backend: Mapping[str, Any]) -> Iterator[Problem]:
    path = f"backends.{name}"
    try:
        row = _row(backend)
    except ValueError as error:
        yield Problem(f"{path}.timeout", str(error))
        return
    try:
        made = programs.from_row(name, row)
    except ValueError as error:
        problem, _, where = str(error).partition(" - at `$")
        where = where.rstrip("`").replace("[...]", "")
        yield Problem(path + where, problem[:1].lower() + problem[1:])
        return
    dialects = tuple(programs.line_dialects())
    if made.jsonl_dialect not in dialects:
        yield Problem(f"{path}.jsonl_dialect", f"must be one of {', '.join(dialects)}")


def backends_of(rows: Mapping[str, Mapping[str, Any]]) -> dict[str, Backend]:
    """The backends of the settings' *rows*, by name."""
    return {name: programs.from_row(name, _row(row)) for name, row in rows.items()}


def idle_keys(rows: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    """The path of each key that is accepted for OpenClaw's sake and does nothing."""
    for name, row in rows.items():
        yield from (f"backends.{name}.{key}" for key in row if key in _IDLE)


def _row(row: Mapping[str, Any]) -> dict[str, Any]:
    """*row* as a backend is made of it."""
    kept = {key: value for key, value in row.items() if key not in _IDLE}
    if "timeout" in kept:
        kept["timeout"] = float(Duration.read(kept["timeout"]))
    return kept


def _snake(key: str) -> str:
    return _HUMP.sub(lambda hump: f"_{hump[1].lower()}", key)
