"""Structured answers at targets that are held to a schema in another way than the client's.

Where the root of a schema has to be an object, another one is wrapped as its ``value``; where there
is no structured answer at all, the model is made to call a tool with it. What comes back is told as
the text that the client asked for, while it streams.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from proxypal_core.hub.events import Event, Finish, PartDelta, PartEnd, PartStart
from proxypal_core.hub.messages import FinishReason, Output, Request, Text, ToolCall

_DEFINITIONS = ("$defs", "definitions")
_SHARED = re.compile(r"#/(?:\$defs|definitions)/")


def rooted(request: Request, own: str) -> tuple[Output, bool]:
    """The wanted form with an object at the root of its schema, and whether it was wrapped for
    that. A client of the dialect *own* means what it says.
    """
    output = request.output
    if request.dialect == own or not output.schema or output.schema.get("type") == "object":
        return output, False
    return msgspec.structs.replace(output, schema=_wrapped(output.schema)), True


def _wrapped(schema: Mapping[str, Any]) -> dict[str, Any]:
    """The schema of an object with what *schema* describes as its ``value``."""
    inner = {key: value for key, value in schema.items() if key not in _DEFINITIONS}
    shared = {key: _moved(schema[key]) for key in _DEFINITIONS if key in schema}
    return {
        "type": "object",
        "properties": {"value": _moved(inner)},
        "required": ["value"],
        "additionalProperties": False,
        **shared,
    }


def _moved(node: Any) -> Any:
    """*node* with the references to the old root leading to where it is now."""
    if isinstance(node, list):
        return [_moved(child) for child in node]
    if not isinstance(node, Mapping):
        return node
    moved = {key: _moved(child) for key, child in node.items()}
    reference = node.get("$ref")
    if isinstance(reference, str) and reference.startswith("#") and not _SHARED.match(reference):
        moved["$ref"] = "#/properties/value" + reference[1:]
    return moved


class AsText:
    """Tells the arguments of a call of *tool* as the text of the answer."""

    def __init__(self, tool: str) -> None:
        self._tool = tool
        self._called = False  # a tool of the client's own

    def pass_on(self, event: Event) -> Iterator[Event]:
        match event:
            case PartStart(at=at, part=ToolCall(name=name)) if name == self._tool:
                yield PartStart(at, Text(""))
            case PartStart(part=part):
                self._called = self._called or isinstance(part, ToolCall)
                yield event
            case Finish(reason=FinishReason.TOOL_CALLS) if not self._called:
                yield Finish(FinishReason.STOP)
            case _:
                yield event


_BEGIN = re.compile(r'\s*\{\s*"value"\s*:\s*(?=\S)')
# What may still become such a beginning.
_PARTIAL = re.compile(r'\s*(?:\{\s*(?:"(?:v(?:a(?:l(?:u(?:e(?:"\s*(?::\s*)?)?)?)?)?)?)?)?)?\Z')


class Unwrapping:
    """Tells the ``value`` alone of an answer by a schema that was ``wrapped``.

    A text that does not begin as it should is left as it is: not every server holds its model to a
    schema.
    """

    def __init__(self) -> None:
        self._reading = False
        self._wrapped: bool | None = None
        self._held = ""

    def pass_on(self, event: Event) -> Iterator[Event]:
        match event:
            case PartStart(part=part):
                self._reading, self._wrapped, self._held = isinstance(part, Text), None, ""
                yield event
            case PartDelta(at=at, text=text) if self._reading:
                told = self._told(self._held + text)
                if told:
                    yield PartDelta(at, told)
            case PartEnd(at=at):
                if self._held and not (self._wrapped and "}" in self._held):
                    yield PartDelta(at, self._held)
                self._held = ""
                yield event
            case _:
                yield event

    def _told(self, text: str) -> str:
        """What can be told of *text* by now."""
        if self._wrapped is None:
            begin = _BEGIN.match(text)
            if begin is None and _PARTIAL.match(text):
                self._held = text
                return ""
            self._wrapped = begin is not None
            text = text[begin.end() :] if begin else text
        end = _end(text) if self._wrapped else len(text)
        self._held = text[end:]
        return text[:end]


def _end(text: str) -> int:
    """Where the end of the wrapping begins in *text*, if it is there."""
    bare = text.rstrip()
    return len(bare[:-1].rstrip()) if bare.endswith("}") else len(bare)
