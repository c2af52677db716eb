"""What a command-line backend is: another AI program of this machine, as data.

The keys are those of OpenClaw's ``cliBackends`` (https://docs.openclaw.ai/gateway/cli-backends) in
snake_case, and a few of our own. No code here or elsewhere knows a program by its name.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from importlib.resources import files
from typing import Any, Literal, TypeAlias

import msgspec

from proxypal_core.hub.failure import Failure, Kind, Refused
from proxypal_core.providers import yamlio
from proxypal_core.providers.provider import Provider

SCHEME = "command"
"""What a backend's address begins with, and the dialect that is spoken there."""

Output: TypeAlias = Literal["json", "jsonl", "text"]


class Patience(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How long a run may be silent: ``no_output_timeout_ms`` where it is given, else a ratio of the
    whole run's limit, within bounds. Milliseconds.
    """

    no_output_timeout_ms: int | None = None
    no_output_timeout_ratio: float
    min_ms: int
    max_ms: int

    def seconds(self, whole: float) -> float:
        """The limit where the whole run may take *whole* seconds; it ends a second before that."""
        ratio = min(max(self.no_output_timeout_ratio, 0.05), 0.95)
        limit = min(max(whole * ratio, self.min_ms / 1000), self.max_ms / 1000)
        if self.no_output_timeout_ms is not None:
            limit = self.no_output_timeout_ms / 1000
        return max(min(limit, whole - 1), 0.1)


class Watchdog(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    fresh: Patience = Patience(no_output_timeout_ratio=0.8, min_ms=180_000, max_ms=600_000)
    resume: Patience = Patience(no_output_timeout_ratio=0.3, min_ms=60_000, max_ms=180_000)


class Reliability(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    watchdog: Watchdog = Watchdog()


class Backend(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One program and how it is run. ``docs/backends.md`` says what each key does.

    ``timeout`` is in seconds; ``max_prompt_arg_chars`` is the longest prompt that ``input: arg``
    may put into an argument. ``env`` is added to the variables of ours that pass: those that any
    program needs, and those whose names match ``pass_env``, without those in ``clear_env``.
    ``files`` are laid into the program's own working directory before it is run.
    ``version_args`` and ``login_args`` are what shows its version, and whether it is logged in.
    """

    name: str
    label: str = ""
    command: str
    args: tuple[str, ...] = ()
    resume_args: tuple[str, ...] = ()
    output: Output = "json"
    resume_output: Output | None = None
    jsonl_dialect: str = "items"
    input: Literal["arg", "stdin"] = "stdin"
    input_format: Literal["text", "stream-json"] = "text"
    max_prompt_arg_chars: int = 32_000
    model_arg: str = ""
    model_aliases: Mapping[str, str] = {}
    models: tuple[str, ...] = ()
    session_arg: str = ""
    session_args: tuple[str, ...] = ()
    session_mode: Literal["always", "existing", "none"] = "always"
    session_id_fields: tuple[str, ...] = (
        "session_id",
        "sessionId",
        "conversation_id",
        "conversationId",
    )
    system_prompt_arg: str = ""
    system_prompt_file_arg: str = ""
    system_prompt_file_config_arg: str = ""
    system_prompt_file_config_key: str = ""
    system_prompt_file_env: str = ""
    system_prompt_when: Literal["first", "always", "never"] = "first"
    image_arg: str = ""
    image_mode: Literal["repeat", "list"] = "repeat"
    image_path_scope: Literal["temp", "workspace"] = "temp"
    serialize: bool = True
    env: Mapping[str, str] = {}
    pass_env: tuple[str, ...] = ()
    clear_env: tuple[str, ...] = ()
    files: Mapping[str, str] = {}
    timeout: float = 600.0
    reliability: Reliability = Reliability()
    version_args: tuple[str, ...] = ("--version",)
    login_args: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return f"Backend({self.name!r}, {self.command!r})"  # env may hold keys

    @property
    def resumes(self) -> bool:
        """Whether a later turn can go on where an earlier one ended."""
        return self.session_mode != "none" and bool(
            self.resume_args or self.session_arg or self.session_args
        )

    @property
    def takes_system_file(self) -> bool:
        """Whether instructions go in a file, where nobody sees them in a list of processes."""
        return bool(
            self.system_prompt_file_arg
            or self.system_prompt_file_config_arg
            or self.system_prompt_file_env
        )


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """One run of a backend. ``session`` is the id to begin with or to ``resume``; ``system`` is a
    path where the backend takes a file. ``prompt`` is empty where it goes to standard input.
    """

    model: str = ""
    session: str = ""
    resume: bool = False
    system: str = ""
    images: Sequence[str] = ()
    prompt: str = ""


def argv(backend: Backend, run: Run) -> list[str]:
    """The command line: arguments, model, instructions, session, images, and the prompt at the end
    or wherever ``{prompt}`` stands.

    Raises:
        Refused: the model's name is none that could be told from an option.
    """
    base = backend.resume_args if run.resume and backend.resume_args else backend.args
    with_id = [part.replace("{sessionId}", run.session) for part in base]
    placed = any("{prompt}" in part for part in base)
    return [
        backend.command,
        *(part.replace("{prompt}", run.prompt) for part in with_id),
        *_model(backend, run.model),
        *_system(backend, run),
        *_session(backend, run),
        *_images(backend, run.images),
        *([run.prompt] if run.prompt and not placed else ()),
    ]


_MODEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/@+\[\]-]{0,199}")


def model_of(backend: Backend, model: str) -> str:
    """The program's own name for *model*; empty for the model that it takes by itself."""
    named = backend.model_aliases.get(model, model)
    if named and not _MODEL.fullmatch(named):
        raise Refused(Failure(Kind.MODEL, f"{backend.name}: no model is called {model!r}"))
    return named


def _model(backend: Backend, model: str) -> list[str]:
    named = model_of(backend, model)
    return _option(backend.model_arg, named) if named else []


def _system(backend: Backend, run: Run) -> list[str]:
    if not run.system:
        return []
    if backend.system_prompt_file_arg:
        return _option(backend.system_prompt_file_arg, run.system)
    if backend.system_prompt_file_config_arg:
        path = run.system.replace("\\", "\\\\").replace('"', '\\"')
        setting = f'{backend.system_prompt_file_config_key}="{path}"'
        return _option(backend.system_prompt_file_config_arg, setting)
    return [] if backend.takes_system_file else _option(backend.system_prompt_arg, run.system)


def _session(backend: Backend, run: Run) -> list[str]:
    if not run.session or (run.resume and backend.resume_args):
        return []
    if backend.session_args:
        return [part.replace("{sessionId}", run.session) for part in backend.session_args]
    return _option(backend.session_arg, run.session)


def _images(backend: Backend, images: Sequence[str]) -> list[str]:
    if not images or not by_flag(backend):
        return []
    if backend.image_mode == "list":
        return _option(backend.image_arg, ",".join(images))
    return [word for image in images for word in _option(backend.image_arg, image)]


def by_flag(backend: Backend) -> bool:
    """Whether images are named by a flag; the prompt names them otherwise, with an ``@`` before the
    path where ``image_arg`` is ``@``.
    """
    return backend.image_arg not in ("", "@")


def _option(flag: str, value: str) -> list[str]:
    """*flag* with *value*: two words, or one where the flag ends in ``=``."""
    if not flag:
        return []
    return [flag + value] if flag.endswith("=") else [flag, value]


def provider_of(backend: Backend, *, listed: bool) -> Provider:
    """The catalog's row for *backend*; *listed* is whether its models are shown to clients."""
    return Provider(
        name=backend.name,
        label=backend.label,
        endpoints={SCHEME: f"{SCHEME}:{backend.name}"},
        auth="none",
        models=backend.models if listed else (),
    )


# ── the rows that come with the program ──────────────────────────────────────────────────────

Rows: TypeAlias = Mapping[str, Mapping[str, Any]]


@cache
def _document() -> Mapping[str, Any]:
    text = files("proxypal_core.providers").joinpath("backends.yaml").read_text("utf-8")
    return msgspec.convert(yamlio.load(text).value, dict[str, Any])


def builtin_rows() -> Rows:
    """The built-in backends, each as its keys, by name."""
    rows: Rows = _document()["backends"]
    return rows


_MERGED = ("env", "model_aliases", "files")
# These mean nothing beside other arguments than those they were written with.
_WITH_ARGS = ("resume_args", "input_format")


def overlaid(known: Mapping[str, Any], row: Mapping[str, Any]) -> dict[str, Any]:
    """*row* over *known*: variables and aliases are merged by name, the names of ``clear_env`` are
    added; all else replaces what is known.
    """
    if "args" in row:
        known = {key: value for key, value in known.items() if key not in _WITH_ARGS}
    merged = {**known, **row}
    for key in _MERGED:
        if key in known and isinstance(row.get(key), Mapping):
            merged[key] = {**known[key], **row[key]}
    if "clear_env" in known and isinstance(row.get("clear_env"), list):
        merged["clear_env"] = [*known["clear_env"], *row["clear_env"]]
    return merged


def from_row(name: str, row: Mapping[str, Any]) -> Backend:
    """The backend *name* of the keys in *row*.

    Raises:
        ValueError: a key is unknown, missing or of the wrong kind; the message names it.
    """
    known = builtin_rows().get(name, {})
    try:
        return msgspec.convert({"name": name, **overlaid(known, _patient(row))}, Backend)
    except msgspec.ValidationError as error:
        raise ValueError(str(error)) from None


def _patient(row: Mapping[str, Any]) -> Mapping[str, Any]:
    """*row* with what its ``reliability`` leaves out filled in from the default."""
    reliability = row.get("reliability")
    if not isinstance(reliability, Mapping):
        return row
    default = msgspec.to_builtins(Reliability())
    return {**row, "reliability": _deeply(default, reliability)}


def _deeply(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    return {
        **below,
        **{
            key: _deeply(below[key], value)
            if isinstance(value, Mapping) and isinstance(below.get(key), Mapping)
            else value
            for key, value in above.items()
        },
    }


# ── what a program prints ────────────────────────────────────────────────────────────────────


class Rule(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a line means whose values at the paths of ``when`` are these (one of a list).

    ``tells``: more text (``delta``) or thought, one whole ``message`` of several, the ``whole``
    text where none came in pieces, ``usage``, a ``failure``, or that the answer is ``done``. What
    is told stands at the first of the paths ``at`` that has it, a failure's status at ``status``.
    """

    when: Mapping[str, Any]
    tells: Literal["delta", "thought", "message", "whole", "usage", "failure", "done"]
    at: tuple[str, ...] = ()
    status: str = ""


@cache
def line_rules(dialect: str) -> tuple[Rule, ...]:
    """The rules of the ``jsonl_dialect`` called *dialect*."""
    return msgspec.convert(_document()["jsonl_dialects"][dialect], tuple[Rule, ...])


def line_dialects() -> Iterable[str]:
    dialects: Iterable[str] = _document()["jsonl_dialects"]
    return dialects
