"""The settings file through the management API: read, checked, written.

What is secret in it is shown as a mark, ``<secret:…>``; a mark that comes back stands for what it was
made of. A mark is keyed, so that nobody can try secrets against it.
"""

import hmac
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from difflib import unified_diff
from typing import Any

import msgspec

from proxypal_core.gateway.front import Call, Front
from proxypal_core.hub.failure import Failure, Kind, Refused
from proxypal_core.providers import yamlio
from proxypal_core.settings.reading import Problem, SettingsError
from proxypal_core.settings.schema import Settings

_MARK = re.compile(r"<secret:[0-9a-f]{16}>")
_COMMANDS = Problem(
    "backends",
    "they are commands that this machine runs, and are not changed through the API",
    "edit the settings file itself, where the daemon sees it",
)
_SHORT = 8
"""Characters; a shorter secret is only hidden where it stands as a word of its own."""


class Text(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A settings file; marks of secrets stand for what is in the file now."""

    yaml: str


async def read(front: Front, call: Call) -> Mapping[str, Any]:
    """The settings file as it is, but for what is secret in it.

    Raises:
        Refused: what is secret in it cannot be told.
    """
    text = await front.owner.text()
    return {"path": str(front.owner.files.config), "yaml": _Veil(front, text).over(text)}


async def check(front: Front, call: Call) -> Mapping[str, Any]:
    """Whether a text could be the settings file, and what it would change. Nothing is written."""
    veil = _Veil(front, await front.owner.text())
    try:
        new = veil.checked(call.as_(Text).yaml)
    except SettingsError as error:
        return {"ok": False, "problems": _told(error), "diff": ""}
    return {"ok": True, "problems": [], "diff": veil.diff(new)}


async def write(front: Front, call: Call) -> Mapping[str, Any]:
    """Put a text in place of the settings file, which is kept beside it as ``.bak``, and go by it.

    Raises:
        Refused: it is not valid, or cannot be written. Nothing has changed.
    """
    veil = _Veil(front, await front.owner.text())
    try:
        new = veil.checked(call.as_(Text).yaml)
    except SettingsError as error:
        raise Refused(
            Failure(Kind.INVALID, "; ".join(_told(error)), param="yaml", code="bad_settings")
        ) from None
    diff = veil.diff(new)
    if diff:
        await front.owner.write(new)
    return {"diff": diff}


def _told(error: SettingsError) -> list[str]:
    return [f"line {one.line}: {one}" if one.line else str(one) for one in error.problems]


class _Veil:
    """Hides what is secret in *text*, the settings file as it is."""

    def __init__(self, front: Front, text: str) -> None:
        self._key = front.admin
        self._parse: Callable[[str], Settings] = front.owner.files.parse
        self._secrets_of = front.owner.secrets
        self._text = text
        self._marks = self._marks_in(text)

    def over(self, text: str) -> str:
        """*text* with marks for its secrets, be it this file or another.

        Raises:
            Refused: not all of them can be hidden.
        """
        marks = {**self._marks, **self._marks_in(text)}
        if not marks:
            return text
        secret = re.compile("|".join(map(_literal, sorted(marks, key=len, reverse=True))))
        text = secret.sub(lambda match: marks[match[0]], text)
        try:
            left = "\n".join(_leaves(yamlio.load(text).value))
        except yamlio.BadYaml:
            raise _hidden("a secret is one of the file's own words") from None
        if secret.search(_MARK.sub("", left)):
            raise _hidden("a secret is spelt in it with escapes")
        return text

    def checked(self, text: str) -> str:
        """*text* with its marks replaced by what they stand for, fit to be the settings file.

        Raises:
            SettingsError: it is not.
        """
        found = {mark: secret for secret, mark in self._marks.items()}
        new = _MARK.sub(lambda match: found.get(match[0], match[0]), text)
        # Whoever gets hold of the page or the key must not get hold of the machine by it.
        if self._parse(new).backends != self._parse(self._text).backends:
            raise SettingsError([_COMMANDS])
        return new

    def diff(self, new: str) -> str:
        """What *new* changes, in the form of ``diff -u``."""
        before, after = (one.splitlines() for one in (self.over(self._text), self.over(new)))
        lines = unified_diff(before, after, "config.yaml", "config.yaml, changed", lineterm="")
        return "\n".join(lines)

    def _marks_in(self, text: str) -> Mapping[str, str]:
        try:
            found: Collection[str] = self._secrets_of(self._parse(text))
        except SettingsError as error:
            raise _hidden("; ".join(_told(error))) from None
        return {one: self._mark(one) for one in found}

    def _mark(self, secret: str) -> str:
        made = hmac.digest(self._key, b"settings\0" + secret.encode(), "sha256")
        return f"<secret:{made.hex()[:16]}>"


def _literal(secret: str) -> str:
    literal = re.escape(secret)
    return literal if len(secret) >= _SHORT else rf"(?<![\w.-]){literal}(?![\w.-])"


def _leaves(value: Any) -> Iterator[str]:
    match value:
        case dict():
            for one in value.values():
                yield from _leaves(one)
        case list():
            for one in value:
                yield from _leaves(one)
        case str():
            yield value
        case _:
            pass


def _hidden(reason: str) -> Refused:
    return Refused(
        Failure(
            Kind.CONFLICT,
            f"the settings file is not shown here, as what is secret in it cannot be told: {reason};"
            " proxypal config check says more",
        )
    )
