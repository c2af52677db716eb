"""An agent as a row of data, and what a row comes to for an address, a key and a model."""

import re
from collections.abc import Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from functools import cache
from importlib.resources import files
from itertools import chain
from typing import Any, NamedTuple

import msgspec

from proxypal_core.agents.edits import Edit, FormatName
from proxypal_core.agents.tree import Path
from proxypal_core.providers import yamlio
from proxypal_core.wire import jsonio

_OTHERS = ("claude-*", "gpt-*", "gemini-*")


class File(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A file of the agent's and the edits of it. Of ``paths`` the first that exists is meant, else
    the last; ``${NAME:-else}`` in one is a variable, ``~`` the home folder.
    """

    paths: tuple[str, ...]
    format: FormatName
    set: tuple[Edit, ...]


class Copy(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A file of ours for ``run``, at ``path`` in the agent's folder: a copy of the user's own, one
    of ``like``, with edits.
    """

    path: str
    format: FormatName
    set: tuple[Edit, ...]
    like: tuple[str, ...] = ()


class Option(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An option with a value, left out where the user gives one of its ``names``."""

    names: tuple[str, ...]
    value: str


class Run(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How the agent is started on the proxy. A mapping in ``env`` is given as JSON; ``clear`` are
    variables that would lead the agent elsewhere.
    """

    args: tuple[str, ...] = ()
    options: tuple[Option, ...] = ()
    env: Mapping[str, str | Mapping[str, Any]] = {}
    clear: tuple[str, ...] = ()
    files: tuple[Copy, ...] = ()


class Agent(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One agent. ``own_model``: it may be left to ask for the models that it knows, if one of
    ``prefers`` is served. ``model_as`` turns the daemon's name of a model into the agent's, by
    pattern. ``obstacle`` says why the agent cannot be used, where it cannot; ``by_hand`` what to do
    where it has no file that could be set up; ``tried`` with which version the row was run.
    """

    name: str
    label: str
    command: str
    docs: str
    package: str = ""
    version_args: tuple[str, ...] = ("--version",)
    own_model: bool = False
    prefers: tuple[str, ...] = _OTHERS
    model_as: Mapping[str, str] = {}
    run: Run = Run()
    setup: tuple[File, ...] = ()
    obstacle: str = ""
    by_hand: str = ""
    tried: str = ""


@cache
def agents() -> Mapping[str, Agent]:
    """The agents that are known, by name."""
    text = files(__package__).joinpath("agents.yaml").read_text(encoding="utf-8")
    rows = msgspec.convert(yamlio.load(text).value, dict[str, dict[str, Any]])["agents"]
    return {name: msgspec.convert({"name": name, **row}, Agent) for name, row in rows.items()}


# ── models ───────────────────────────────────────────────────────────────────────────────────


def chosen_model(agent: Agent, routes: Sequence[str], served: Sequence[str]) -> str:
    """The daemon's name of the model that *agent* is told to ask for where the user has no wish;
    empty when it is left to ask for its own. *routes* are the user's own names, *served* all others
    that the daemon lists.
    """
    liked = (
        name
        for pattern in agent.prefers
        for name in served
        if fnmatchcase(name.rpartition("/")[2], pattern)
    )
    if agent.own_model and next(liked, None):
        return ""
    return next(chain(routes, liked, served), "")


def is_model(name: str) -> bool:
    """Whether *name* can stand in any file and on any command line without being quoted."""
    return bool(re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._:/@+()\[\]-]{0,199}", name))


class Values(NamedTuple):
    """What a row's ``{url}``, ``{key}`` and so on stand for: ``bare`` is the daemon's name of the
    model, ``model`` the agent's.
    """

    url: str
    key: str
    bare: str
    model: str
    folder: str = ""


def values(agent: Agent, url: str, key: str, model: str, folder: str = "") -> Values:
    """*model* in the agent's own words, and the rest as it is."""
    for pattern, template in agent.model_as.items():
        if model and fnmatchcase(model, pattern):
            return Values(url, key, model, template.replace("{model}", model), folder)
    return Values(url, key, model, model, folder)


# ── filled in ────────────────────────────────────────────────────────────────────────────────


def edits(rows: Sequence[Edit], given: Values, *, asked: bool = False) -> Sequence[Edit]:
    """*rows* filled in. Those that need a model are left out when there is none, and replace what is
    there when the user *asked* for it.
    """
    return [
        msgspec.structs.replace(
            row,
            at=tuple(_filled(step, given) for step in row.at),
            value=_filled(row.value, given),
            keep=row.keep and not (asked and _mentions(row.value, _MODEL)),
        )
        for row in rows
        if given.model or not _mentions((row.at, row.value), _MODEL)
    ]


def addresses(rows: Sequence[Edit], given: Values) -> Sequence[Path]:
    """Where *rows* put the proxy's address."""
    return [
        tuple(_filled(step, given) for step in path)
        for row in rows
        for path in _places(row.at, row.value)
    ]


def _places(path: tuple[Any, ...], value: Any) -> Iterator[Path]:
    if isinstance(value, str) and "{url}" in value:
        yield path
    elif isinstance(value, Mapping):
        for key, child in value.items():
            yield from _places((*path, key), child)


def command_line(run: Run, given: Values, rest: Sequence[str]) -> Sequence[str]:
    """The arguments for the agent's program, before the user's own, *rest*."""
    flags = {word.partition("=")[0] for word in rest}
    options = (
        (option.names[0], str(_filled(option.value, given)))
        for option in run.options
        if not flags.intersection(option.names)
        and (given.model or not _mentions(option.value, _MODEL))
    )
    args = (str(_filled(word, given)) for word in run.args)
    return [*args, *(word for option in options for word in option), *rest]


def environment(run: Run, given: Values, own: Mapping[str, str]) -> Mapping[str, str]:
    """The variables for the agent's program: the user's *own*, and the row's over them."""
    kept = {name: value for name, value in own.items() if name not in run.clear}
    added = {
        name: filled
        if isinstance(filled := _filled(value, given), str)
        else jsonio.dumps_text(filled)
        for name, value in run.env.items()
        if given.model or not _mentions(value, _MODEL)
    }
    return {**kept, **added, **_past_proxies(own)}


def _past_proxies(own: Mapping[str, str]) -> Mapping[str, str]:
    """A proxy for the way out must not be asked for this machine."""
    if not any(own.get(name) for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy")):
        return {}
    before = own.get("NO_PROXY") or own.get("no_proxy") or ""
    names = [*filter(None, before.split(",")), "127.0.0.1", "localhost", "::1"]
    joined = ",".join(dict.fromkeys(names))
    return {"NO_PROXY": joined, "no_proxy": joined}


_VARIABLE = re.compile(r"\$\{(\w+):-([^${}]*)\}")


def expanded(path: str, environment: Mapping[str, str], home: str) -> str:
    """*path* with its variables and ``~`` filled in."""
    while _VARIABLE.search(path):
        path = _VARIABLE.sub(lambda match: environment.get(match[1]) or match[2], path)
    return home + path[1:] if path.startswith("~/") else path


def _filled(value: Any, given: Values) -> Any:
    if isinstance(value, str):
        for name in Values._fields:
            value = value.replace(f"{{{name}}}", getattr(given, name))
        return value
    if isinstance(value, Mapping):
        return {_filled(key, given): _filled(child, given) for key, child in value.items()}
    if isinstance(value, (list, tuple)):
        return [_filled(child, given) for child in value]
    return value


_MODEL = ("{model}", "{bare}")


def _mentions(value: Any, words: Sequence[str]) -> bool:
    return any(word in text for text in _strings(value) for word in words)


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for key, child in value.items():
            yield from _strings(key)
            yield from _strings(child)
    elif isinstance(value, (list, tuple)):
        for child in value:
            yield from _strings(child)
