"""Places in a document: a path of keys, in which a list is entered by what its element says."""

from collections.abc import Mapping, Sequence
from typing import Any, Final, TypeAlias

Step: TypeAlias = str | Mapping[str, str]
"""A key, or the element of a list that has these fields."""
Path: TypeAlias = Sequence[Step]


class Unreadable(ValueError):
    """A text is not what its format asks for, or holds something else where a place should be.
    ``line`` counts from 1; 0 where it is not known.
    """

    def __init__(self, problem: str, line: int = 0) -> None:
        super().__init__(f"line {line}: {problem}" if line else problem)
        self.problem = problem
        self.line = line


class _Absent:
    def __repr__(self) -> str:
        return "ABSENT"


ABSENT: Final = _Absent()


def find(value: Any, path: Path) -> Any:
    """What is at *path* of *value*; ``ABSENT`` where nothing is."""
    for step in path:
        value = _child(value, step)
        if value is ABSENT:
            return ABSENT
    return value


def depth(value: Any, path: Path) -> int:
    """How many steps of *path* are there.

    Raises:
        Unreadable: the way is barred by a value that has no such places.
    """
    for at, step in enumerate(path):
        if not isinstance(value, list if isinstance(step, Mapping) else dict):
            wanted = "a list" if isinstance(step, Mapping) else "an object"
            raise Unreadable(f"{spelt(path[:at]) or 'the file'} is not {wanted}")
        value = _child(value, step)
        if value is ABSENT:
            return at
    return len(path)


def replaced(value: Any, path: Path, new: Any) -> Any:
    """*value* with *new* at *path*; ``ABSENT`` for nothing there."""
    if not path:
        return new
    step, rest = path[0], path[1:]
    if isinstance(step, Mapping):
        at = index_of(value, step)
        if at is None:
            return value if new is ABSENT else [*value, wrapped(rest, new)]
        found = replaced(value[at], rest, new)
        return [*value[:at], *(() if found is ABSENT else (found,)), *value[at + 1 :]]
    if step not in value:
        return value if new is ABSENT else {**value, step: wrapped(rest, new)}
    found = replaced(value[step], rest, new)
    if found is ABSENT:
        return {key: child for key, child in value.items() if key != step}
    return {**value, step: found}


def wrapped(path: Path, value: Any) -> Any:
    """*value* in the new objects and lists that *path* goes through."""
    for step in reversed(path):
        value = [value] if isinstance(step, Mapping) else {step: value}
    return value


def index_of(items: Sequence[Any], step: Mapping[str, str]) -> int | None:
    """Which of *items* has the fields of *step*."""
    for at, item in enumerate(items):
        if isinstance(item, dict) and all(item.get(key) == step[key] for key in step):
            return at
    return None


def spelt(path: Path) -> str:
    """*path* for a person, as in ``models.providers.openai`` or ``customModels[proxypal]``."""
    text = ""
    for step in path:
        if isinstance(step, Mapping):
            text += f"[{', '.join(step.values())}]"
        else:
            text += f".{step}" if text else step
    return text


def _child(value: Any, step: Step) -> Any:
    if isinstance(step, str):
        return value.get(step, ABSENT) if isinstance(value, dict) else ABSENT
    at = index_of(value, step) if isinstance(value, list) else None
    return ABSENT if at is None else value[at]
