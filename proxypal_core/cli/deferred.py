"""Commands that are imported when they are asked for: each needs a part of the program, none all."""

from collections.abc import Mapping
from importlib import import_module
from typing import Any, NamedTuple

import click


class Row(NamedTuple):
    """Where a command is, as ``module:name`` in this package, and its help as listings show it."""

    place: str
    help: str


class Deferred(click.Command):
    """Stands in for the command of *row* until that is called."""

    def __init__(self, name: str, row: Row) -> None:
        super().__init__(name, help=row.help)
        self._place = row.place

    @property
    def loaded(self) -> click.Command:
        module, _, name = self._place.partition(":")
        command: click.Command = getattr(import_module(f"{__package__}.{module}"), name)
        return command

    def make_context(
        self,
        info_name: str | None,
        args: list[str],
        parent: click.Context | None = None,
        **extra: Any,
    ) -> click.Context:
        return self.loaded.make_context(info_name, args, parent, **extra)


def add_commands(group: click.Group, rows: Mapping[str, Row]) -> None:
    """Have *group* know the commands of *rows* by their names."""
    for name, row in rows.items():
        group.add_command(Deferred(name, row))
