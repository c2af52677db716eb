"""What one run of a program is told: which part of the conversation, and by which way."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from proxypal_core.dialects.command.prompt import (
    Prompt,
    as_message,
    conversation,
    known_part,
    prompt,
)
from proxypal_core.hub.failure import Failure, Kind, Refused
from proxypal_core.hub.messages import Request, Text, Turn
from proxypal_core.providers.backend import Backend, Run, argv, by_flag
from proxypal_core.upstream.process_place import Files, Home

LONGEST_ARGUMENT = 100_000
"""Bytes of one argument; Linux takes 128 KiB (MAX_ARG_STRLEN)."""


class Plan(NamedTuple):
    """A run before it has files. ``session`` is empty where the program names its own;
    ``instructions`` are those that do not stand in the prompt.
    """

    prompt: Prompt
    session: str
    resumed: bool
    instructions: str


def plan(backend: Backend, request: Request, session: str, known: int, new_id: str) -> Plan:
    """The run that asks what is new in *request* behind its first *known* turns, which *session*
    holds; *new_id* is for a session that begins.
    """
    resumed = bool(session)
    system = "\n\n".join(text.text for text in request.system)
    when = backend.system_prompt_when
    if when == "never" or (resumed and when == "first"):
        system = ""
    apart = backend.takes_system_file or (
        bool(backend.system_prompt_arg) and len(system.encode()) <= LONGEST_ARGUMENT
    )
    if backend.session_mode == "always" and not resumed:
        session = new_id
    return Plan(
        prompt(request.turns[known:], system="" if apart else system),
        session,
        resumed,
        system if apart else "",
    )


def session_for(backend: Backend, request: Request, take: Callable[[str], str]) -> tuple[str, int]:
    """The session to go on in and how many turns it holds, from those that *take* gives."""
    if not backend.resumes:
        return "", 0
    return known_part(request, take, with_system=backend.system_prompt_when != "always")


def name_after(backend: Backend, request: Request, answer: str) -> str:
    """The name of the conversation once *request* has been answered."""
    said = (*request.turns, Turn("assistant", (Text(answer),)))
    return conversation(request, said, with_system=backend.system_prompt_when != "always")


# ── files and arguments ──────────────────────────────────────────────────────────────────────


def files_of(backend: Backend, planned: Plan, home: Home) -> Files | None:
    """The files that *planned* needs; None for none."""
    system = planned.instructions if backend.takes_system_file else ""
    images = () if backend.input_format == "stream-json" else planned.prompt.images
    return home.files(backend, system, images) if system or images else None


def command_line(
    backend: Backend, planned: Plan, model: str, files: Files | None, workspace: Path
) -> tuple[list[str], bytes]:
    """The arguments, and what goes to standard input."""
    images = files.images if files else []
    text = planned.prompt.text
    if images and not by_flag(backend):
        text += "\n\n" + "\n".join(_named(backend, image, workspace) for image in images)
    argument = _argument(backend, text)
    run = Run(
        model=model,
        session=planned.session,
        resume=planned.resumed,
        system=files.system if files and files.system else planned.instructions,
        images=images,
        prompt=argument,
    )
    if backend.input_format == "stream-json":
        return argv(backend, run), as_message(planned.prompt)
    return argv(backend, run), b"" if argument else text.encode()


def _argument(backend: Backend, text: str) -> str:
    """*text* where it goes into an argument, which anybody on this machine can read."""
    short = len(text) <= backend.max_prompt_arg_chars and len(text.encode()) <= LONGEST_ARGUMENT
    if backend.input != "arg" or not short:
        return ""
    if text.startswith("-"):
        text = f" {text}"
    if "\0" in text:
        raise Refused(
            Failure(Kind.INVALID, "the prompt has a NUL, which no argument can hold; leave it out")
        )
    return text


def _named(backend: Backend, image: str, workspace: Path) -> str:
    """How a prompt names *image*: programs take in what is named, if it is not too far away."""
    if backend.image_path_scope == "workspace":
        image = Path(image).relative_to(workspace).as_posix()
    return backend.image_arg + image
