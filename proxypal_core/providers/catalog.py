"""The catalog: the rows that come with the program, and finding one by any of its names."""

import re
from collections.abc import Iterable, Mapping
from functools import cache
from importlib.resources import files
from typing import TypeAlias

import msgspec

from proxypal_core.providers import yamlio
from proxypal_core.providers.provider import Provider

Catalog: TypeAlias = Mapping[str, Provider]


def parse(text: str) -> tuple[Provider, ...]:
    """The rows of a catalog written as *text*: a mapping with a list under ``providers``.

    Raises:
        ValueError: it is not YAML, a row is not a provider, or a name is taken twice.
    """
    rows = msgspec.convert(yamlio.load(text).value, dict[str, tuple[Provider, ...]])["providers"]
    taken: set[str] = set()
    for row in rows:
        for name in (row.name, *row.aliases):
            if name in taken:
                raise ValueError(f"two providers are called {name}")
            taken.add(name)
    return rows


@cache
def builtin_rows() -> tuple[Provider, ...]:
    """The rows that come with the program; ``${NAME}`` in them is not yet replaced."""
    return parse(files("proxypal_core.providers").joinpath("catalog.yaml").read_text("utf-8"))


_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")


def builtin(environment: Mapping[str, str]) -> Catalog:
    """The built-in providers. One whose address needs a variable that is not set has no endpoint."""
    return by_name(_with_addresses(row, environment) for row in builtin_rows())


def variables(name: str) -> tuple[str, ...]:
    """The environment variables that the address of the built-in provider *name* needs."""
    row = find(by_name(builtin_rows()), name)
    urls = row.endpoints.values() if row else ()
    return tuple(dict.fromkeys(found for url in urls for found in _VARIABLE.findall(url)))


def by_name(rows: Iterable[Provider]) -> Catalog:
    return {row.name: row for row in rows}


def find(catalog: Catalog, name: str) -> Provider | None:
    """The provider called *name*, by its own name or an alias."""
    if name in catalog:
        return catalog[name]
    return next((row for row in catalog.values() if name in row.aliases), None)


def _with_addresses(row: Provider, environment: Mapping[str, str]) -> Provider:
    endpoints = {
        dialect: _VARIABLE.sub(lambda match: environment[match[1]].rstrip("/"), url)
        for dialect, url in row.endpoints.items()
        if all(environment.get(name) for name in _VARIABLE.findall(url))
    }
    return msgspec.structs.replace(row, endpoints=endpoints)
