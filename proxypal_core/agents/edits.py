"""Edits of a file's text, and how they are taken back key by key."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, NamedTuple, TypeAlias

import msgspec

from proxypal_core.agents import dotenv, json5, toml, yaml
from proxypal_core.agents.tree import (
    ABSENT,
    Path,
    Unreadable,
    depth,
    find,
    replaced,
    spelt,
    wrapped,
)

FormatName: TypeAlias = Literal["json", "toml", "yaml", "env"]


class _Format(NamedTuple):
    read: Callable[[str], Any]
    put: Callable[[str, Path, Any], str]
    drop: Callable[[str, Path], str]


FORMATS: Mapping[FormatName, _Format] = {
    "json": _Format(json5.read, json5.put, json5.drop),
    "toml": _Format(toml.read, toml.put, toml.drop),
    "yaml": _Format(yaml.read, yaml.put, yaml.drop),
    "env": _Format(dotenv.read, dotenv.put, dotenv.drop),
}


class Edit(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``value`` is put at ``at``. With ``keep`` only where nothing is; with ``remove`` what is there
    is taken out instead.
    """

    at: tuple[str | dict[str, str], ...]
    value: Any = None
    keep: bool = False
    remove: bool = False


class Done(msgspec.Struct, frozen=True):
    """An edit that was made: what ``was`` there, and what ``now`` is, if anything. ``above`` is how
    many steps of ``at`` were there before.
    """

    at: tuple[str | dict[str, str], ...]
    was: tuple[Any, ...]
    now: tuple[Any, ...]
    above: int


def read(kind: FormatName, text: str) -> Any:
    """The value of *text*.

    Raises:
        Unreadable: it is not what *kind* asks for.
    """
    value = FORMATS[kind].read(text)
    if not isinstance(value, dict):
        raise Unreadable("the file is not an object", 1)
    return value


def apply(kind: FormatName, text: str, edits: Sequence[Edit]) -> tuple[str, Sequence[Done]]:
    """*text* with the *edits* made, and how to take them back.

    Raises:
        Unreadable: it is not what *kind* asks for, or an edit has no place in it. Nothing of it
            is to be written then.
    """
    done: list[Done] = []
    mark, text = _marked(text)
    value = read(kind, text)
    for edit in edits:
        there = find(value, edit.at)
        if edit.keep and (there is not ABSENT or _barred(value, edit.at)):
            continue
        new = ABSENT if edit.remove else edit.value
        was = () if there is ABSENT else (there,)
        now = () if new is ABSENT else (new,)
        if not edit.remove:
            done.append(Done(edit.at, was, now, depth(value, edit.at)))
        elif was:
            done.append(Done(edit.at, was, now, len(edit.at) - 1))
        if there != new or type(there) is not type(new):
            text, value = _set(kind, text, value, edit.at, new)
    return mark + text, done


def undo(kind: FormatName, text: str, done: Sequence[Done]) -> tuple[str, Sequence[Path]]:
    """*text* with *done* taken back, except where somebody changed it since: those places come back
    too.

    Raises:
        Unreadable: as ``apply``.
    """
    left: list[Path] = []
    mark, text = _marked(text)
    value = read(kind, text)
    for one in reversed(done):
        there = find(value, one.at)
        if (() if there is ABSENT else (there,)) != one.now:
            if (() if there is ABSENT else (there,)) != one.was:
                left.append(one.at)
            continue
        if there is ABSENT and _barred(value, one.at):
            left.append(one.at)
            continue
        text, value = _set(kind, text, value, one.at, one.was[0] if one.was else ABSENT)
        text, value = _without_empty(kind, text, value, one)
    return mark + text, left[::-1]


class Laid(msgspec.Struct, frozen=True):
    """A file's text ``before`` and ``after`` it was set up, None where there was no file, and what
    was done.
    """

    kind: FormatName
    before: str | None
    after: str
    done: tuple[Done, ...]


def laid(
    kind: FormatName, text: str | None, edits: Sequence[Edit], earlier: Laid | None = None
) -> Laid:
    """The file that says *text* with the *edits* made, in place of those of an *earlier* set-up.

    Raises:
        Unreadable: as ``apply``.
    """
    before = restored(earlier, text)[0] if earlier is not None else text
    after, done = apply(kind, before or "", edits)
    return Laid(kind, before, after, tuple(done))


def restored(laid: Laid, text: str | None) -> tuple[str | None, Sequence[Path]]:
    """What the file that was *laid* and now says *text* is to say again, None for no file; and the
    places that stay as they are, since somebody changed them.

    Raises:
        Unreadable: as ``apply``.
    """
    if text is None or text in (laid.after, laid.before):
        return (None if text is None else laid.before), ()
    undone, left = undo(laid.kind, text, laid.done)
    # What is left of a file of ours is taken away with it, unless somebody wrote into it.
    empty = laid.before is None and undone.strip() in ("", "{}", "\ufeff")
    return (None if empty else undone), left


def _marked(text: str) -> tuple[str, str]:
    """The byte order mark that *text* may begin with, and the rest."""
    mark = text[: text.startswith("\ufeff")]
    return mark, text[len(mark) :]


def _without_empty(kind: FormatName, text: str, value: Any, one: Done) -> tuple[str, Any]:
    """Without the objects and lists that the edit had to make, if they hold nothing else now."""
    for length in range(one.above + 1, len(one.at)):
        left = find(value, one.at[:length])
        if left is not ABSENT and left in _hollow(one.at[length:-1]):
            return _set(kind, text, value, one.at[:length], ABSENT)
    return text, value


def _hollow(path: Path) -> Sequence[Any]:
    """What *path* made on its way, with nothing at its end."""
    return [wrapped(path, {}), wrapped(path, [])]


def _set(kind: FormatName, text: str, value: Any, path: Path, new: Any) -> tuple[str, Any]:
    """*text*, which is *value*, with *new* at *path*; read again to see that nothing else changed.

    Raises:
        Unreadable: something else did.
    """
    way = FORMATS[kind]
    changed = way.drop(text, path) if new is ABSENT else way.put(text, path, new)
    try:
        after = read(kind, changed)
    except Unreadable:
        after = ABSENT
    if after != replaced(value, path, new):
        raise Unreadable(f"{spelt(path)} is written in a way that cannot be changed safely")
    return changed, after


def _barred(value: Any, path: Path) -> bool:
    try:
        depth(value, path)
    except Unreadable:
        return True
    return False
