"""Plain data into typed settings, finding every mistake and not only the first."""

from collections.abc import Callable, Iterable, Mapping
from difflib import get_close_matches
from typing import Annotated, Any, Literal, get_args, get_origin

import msgspec

from proxypal_core.settings.schema import Duration, SecretText
from proxypal_core.wire import jsonio


class Problem(msgspec.Struct, frozen=True):
    """Something wrong at ``path``, as in ``accounts[1].priority``; ``line`` is 0 when unknown."""

    path: str
    problem: str
    hint: str = ""
    line: int = 0

    def __str__(self) -> str:
        text = f"{self.path}: {self.problem}" if self.path else self.problem
        return f"{text} ({self.hint})" if self.hint else text


class SettingsError(Exception):
    """The settings cannot be used; ``problems`` says all that is wrong with them."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("; ".join(map(str, self.problems)))


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """A hint that names the nearest of *known*; empty when none is near."""
    near = get_close_matches(word, list(known), n=1)
    return f"did you mean {near[0]}?" if near else ""


def _known(name: str, fields: Iterable[str]) -> str:
    return did_you_mean(name, fields) or f"there are {', '.join(fields)}"


def read(kind: Any, value: Any, path: str, problems: list[Problem]) -> Any:
    """*value* as *kind*. What is wrong is added to *problems* and an empty value stands for it."""
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is Annotated:
        return _limited(read(arguments[0], value, path, problems), arguments[1:], path, problems)
    if origin is tuple:
        return _rows(arguments[0], value, path, problems)
    if origin is Mapping:
        return _mapping(arguments, value, path, problems)
    if origin is Literal:
        return _word(arguments, value, path, problems)
    if kind is Any:
        return value
    if kind in _SCALARS:
        return _scalar(kind, value, path, problems)
    return _struct(kind, value, path, problems)


def _secret(value: Any, path: str) -> SecretText:
    return SecretText(jsonio.string(value, path))


def _duration(value: Any, path: str) -> Duration:
    try:
        return Duration.read(value)
    except ValueError as error:
        raise jsonio.Malformed(path, str(error)) from None


_SCALARS: Mapping[Any, Callable[[Any, str], Any]] = {
    str: jsonio.string,
    SecretText: _secret,
    Duration: _duration,
    int: jsonio.integer,
    float: jsonio.number,
    bool: jsonio.boolean,
}


def _scalar(kind: Any, value: Any, path: str, problems: list[Problem]) -> Any:
    try:
        return _SCALARS[kind](value, path)
    except jsonio.Malformed as error:
        quotable = kind in (str, SecretText) and isinstance(value, (bool, int, float))
        hint = "put it in quotes" if quotable else ""
        problems.append(Problem(path, error.problem, hint))
        return kind()


def _word(words: tuple[str, ...], value: Any, path: str, problems: list[Problem]) -> str:
    if value in words:
        return str(value)
    choices = [word for word in words if word]
    hint = did_you_mean(value, choices) if isinstance(value, str) else ""
    problems.append(Problem(path, f"must be one of {', '.join(choices)}", hint))
    return words[0]


def _rows(kind: Any, value: Any, path: str, problems: list[Problem]) -> tuple[Any, ...]:
    if not isinstance(value, list):
        hint = "write it as a list, with [ ] or a - on each line"
        problems.append(Problem(path, "must be a list", hint))
        return ()
    return tuple(read(kind, item, f"{path}[{at}]", problems) for at, item in enumerate(value))


def _mapping(
    kinds: tuple[Any, ...], value: Any, path: str, problems: list[Problem]
) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        problems.append(Problem(path, "must be a mapping", "write name: value, a line each"))
        return {}
    return {
        read(kinds[0], name, jsonio.join(path, name), problems): read(
            kinds[1], item, jsonio.join(path, name), problems
        )
        for name, item in value.items()
    }


def _struct(kind: Any, value: Any, path: str, problems: list[Problem]) -> Any:
    fields = {field.name: field for field in msgspec.structs.fields(kind)}
    if not isinstance(value, dict):
        problems.append(Problem(path, f"must be a mapping with keys such as {', '.join(fields)}"))
        value = {}
    elif unknown := [name for name in value if name not in fields]:
        problems += [
            Problem(jsonio.join(path, name), "unknown key", _known(name, fields))
            for name in unknown
        ]
    given: dict[str, Any] = {}
    for name, field in fields.items():
        where = jsonio.join(path, name)
        # A key with nothing after it is one whose lines were all commented out.
        if value.get(name) is not None:
            given[name] = read(field.type, value[name], where, problems)
        elif field.required:
            given[name] = _nothing(field.type)
            if not any(problem.path == path for problem in problems):
                problems.append(Problem(where, "is required"))
    return kind(**given)


def _nothing(kind: Any) -> Any:
    """An empty value of *kind*, to go on with."""
    core = get_args(kind)[0] if get_origin(kind) is Annotated else kind
    return () if get_origin(core) is tuple else core()


def _limited(value: Any, metas: tuple[Any, ...], path: str, problems: list[Problem]) -> Any:
    if any(problem.path == path for problem in problems):
        return value
    for meta in metas:
        if meta.ge is not None and value < meta.ge:
            problems.append(Problem(path, f"must be at least {meta.ge}"))
        if meta.le is not None and value > meta.le:
            problems.append(Problem(path, f"must be at most {meta.le}"))
        if meta.min_length is not None and len(value) < meta.min_length:
            problems.append(Problem(path, "must not be empty"))
    return value
