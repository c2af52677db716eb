"""``${NAME}`` in settings: replaced by what the environment holds, never parsed as YAML."""

import re
from collections.abc import Mapping
from typing import Any

from proxypal_core.settings.reading import Problem

_VARIABLE = re.compile(r"\$(?P<escaped>\$\{)|\$\{(?P<name>[A-Za-z_][A-Za-z0-9_]*)\}|(?P<bad>\$\{)")


class Unset(Exception):
    """A variable that is named is not set, or is empty where that cannot be meant."""

    def __init__(self, name: str) -> None:
        super().__init__(f"{name} is not set")
        self.name = name


def expanded(text: str, environment: Mapping[str, str]) -> str:
    """*text* with each ``${NAME}`` replaced and each ``$${`` written ``${``.

    Raises:
        Unset: a variable is not set.
        ValueError: a ``${`` starts no variable.
    """

    def value(match: re.Match[str]) -> str:
        if match["escaped"]:
            return "${"
        if match["bad"]:
            raise ValueError("${ must be followed by a variable's name and }")
        name = match["name"]
        if name not in environment:
            raise Unset(name)
        return environment[name]

    return _VARIABLE.sub(value, text)


def expand_all(
    value: Any, environment: Mapping[str, str], path: str, problems: list[Problem]
) -> Any:
    """*value*, plain data, with every string in it expanded; names of mappings stay as they are."""
    match value:
        case str():
            try:
                return expanded(value, environment)
            except Unset as error:
                problems.append(Problem(path, str(error), "set it, or write $${ for a plain ${"))
            except ValueError as error:
                problems.append(Problem(path, str(error), "write $${ for a plain ${"))
            return ""
        case list():
            return [
                expand_all(item, environment, f"{path}[{at}]", problems)
                for at, item in enumerate(value)
            ]
        case dict():
            return {
                name: expand_all(item, environment, f"{path}.{name}" if path else name, problems)
                for name, item in value.items()
            }
        case _:
            return value
