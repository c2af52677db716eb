"""Tool names, call ids and arguments in the forms that targets accept.

Everything here is deterministic: the same conversation gives the same bytes at each turn, or the
vendors' prompt caches, which are caches of prefixes, never hit.
"""

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import msgspec

from proxypal_core.hub.messages import Request, Tool, ToolCall, Turn
from proxypal_core.wire import jsonio

_NOT_NAME = re.compile(r"[^a-zA-Z0-9_-]")

# ── names ────────────────────────────────────────────────────────────────────────────────────


def flat_name(tool: Tool | ToolCall) -> str:
    """The one name of *tool*, or of the tool that is called, where there are no namespaces."""
    return f"{tool.namespace}__{tool.name}" if tool.namespace else tool.name


def calls(turns: Iterable[Turn]) -> Iterator[ToolCall]:
    return (part for turn in turns for part in turn.parts if isinstance(part, ToolCall))


def flat_names(request: Request) -> Iterator[str]:
    """The flat names of the tools that *request* declares or that were called in it."""
    yield from map(flat_name, request.tools)
    yield from map(flat_name, calls(request.turns))


def chosen_names(request: Request) -> list[str]:
    """The flat names of the tools to which the choice is narrowed."""
    flat = {tool.name: flat_name(tool) for tool in request.tools}
    choice = request.tool_choice
    return [flat.get(name, name) for name in choice.names] if choice else []


def target_names(names: Iterable[str], *, limit: int = 64) -> dict[str, str]:
    """For each of *names*, the name a target with ``[a-zA-Z0-9_-]{1,limit}`` gets.

    Names start with a letter or ``_`` (Gemini asks for it). Too long ones keep their beginning and
    end in a hash; two that would become one are kept apart the same way.
    """
    chosen: dict[str, str] = {}
    taken: set[str] = set()
    wanted = list(dict.fromkeys(names))
    # Names that need no change come first: a renamed one must not take their place.
    for name in sorted(wanted, key=lambda name: _plain(name, limit) != name):
        target = _plain(name, limit)
        if target in taken:
            target = f"{target[: limit - 9]}_{_digest(name)}"
        taken.add(target)
        chosen[name] = target
    return chosen


def renamed(chosen: Mapping[str, str]) -> dict[str, str]:
    """The way back: target name to the client's own, for those that differ."""
    return {target: name for name, target in chosen.items() if target != name}


def _plain(name: str, limit: int) -> str:
    clean = _NOT_NAME.sub("_", name) or "_"
    if not (clean[0].isalpha() or clean[0] == "_"):
        clean = "_" + clean
    return clean if len(clean) <= limit else f"{clean[: limit - 9]}_{_digest(name)}"


def target_id(call_id: str, *, limit: int) -> str:
    """*call_id* in ``[a-zA-Z0-9_-]{1,limit}``: unchanged where it fits, else a hash of it."""
    clean = _NOT_NAME.sub("_", call_id)
    if clean == call_id and 0 < len(clean) <= limit:
        return call_id
    return f"{clean[: max(0, limit - 9)]}_{_digest(call_id)}"[-limit:]


def made_id(seed: str) -> str:
    """An id for a call that came without one: the same for the same *seed*."""
    return f"call_{digest(seed)[:24]}"


def digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _digest(text: str) -> str:
    return digest(text)[:8]


# ── arguments ────────────────────────────────────────────────────────────────────────────────


def arguments_object(arguments: str) -> dict[str, Any]:
    """The object that *arguments*, a model's JSON text, means.

    Empty is ``{}``; an object encoded twice is unwrapped; trailing rubbish after a whole object
    is cut; another value is wrapped as ``value``; text that is no JSON is kept as ``_raw``.
    """
    text = arguments.strip()
    if not text:
        return {}
    try:
        value = jsonio.loads(text)
        if isinstance(value, str) and value.lstrip().startswith("{"):
            value = jsonio.loads(value)
    except jsonio.Malformed:
        value = _leading_object(text)
        if value is None:
            return {"_raw": arguments}
    if value is None:
        return {}
    return value if isinstance(value, dict) else {"value": value}


# A string that never ends is one, too: nothing is read twice, however broken the text is.
_STRING_OR_BRACE = re.compile(r'"(?:[^"\\]|\\.)*"?|[{}]', re.DOTALL)


def arguments_value(arguments: str) -> Any:
    """The same, in its own spelling where *arguments* are an object: numbers stay what they are.
    On one line, as streams need it.
    """
    if is_object_text(arguments):
        return jsonio.verbatim(arguments.translate(_SPACES))
    return arguments_object(arguments)


_SPACES = str.maketrans("\r\n", "  ")


def _leading_object(text: str) -> Any:
    depth = 0
    for match in _STRING_OR_BRACE.finditer(text):
        depth += {"{": 1, "}": -1}.get(match[0], 0)
        if depth <= 0:
            try:
                return jsonio.loads(text[: match.end()])
            except jsonio.Malformed:
                return None
    return None


def is_object_text(arguments: str) -> bool:
    """Whether *arguments* is the text of a JSON object, as it should be."""
    try:
        return isinstance(jsonio.loads(arguments), dict)
    except jsonio.Malformed:
        return False


# ── freeform tools where only functions exist ────────────────────────────────────────────────

_FREEFORM_SCHEMA = {
    "type": "object",
    "properties": {"input": {"type": "string"}},
    "required": ["input"],
    "additionalProperties": False,
}


def as_function(tool: Tool) -> Tool:
    """A freeform *tool* as a function of one string, its grammar told in the description."""
    grammar = tool.grammar if isinstance(tool.grammar, Mapping) else {}
    definition = grammar.get("definition")
    lines = [tool.description] if tool.description else []
    if isinstance(definition, str):
        lines.append(f"The input must follow this {grammar.get('syntax')} grammar:\n{definition}")
    return msgspec.structs.replace(
        tool,
        description="\n\n".join(lines),
        schema=_FREEFORM_SCHEMA,
        strict=None,
        freeform=False,
        grammar=None,
    )


def freeform_names(request: Request) -> frozenset[str]:
    """The tools whose calls go to the client as text, though the upstream knew only functions."""
    return frozenset(tool.name for tool in request.tools if tool.freeform)


def freeform_arguments(text: str) -> str:
    """The arguments of a call of ``as_function`` whose input is *text*."""
    return jsonio.dumps_text({"input": text})


def freeform_text(arguments: str) -> str:
    """The input in the *arguments* of such a call; *arguments* itself when it is none."""
    value = arguments_object(arguments).get("input")
    return value if isinstance(value, str) else arguments


# ── tools that a provider runs itself ────────────────────────────────────────────────────────

_SEARCHES = ("web_search", "googleSearch", "google_search")


def is_hosted(tool: Tool) -> bool:
    """Whether the provider runs *tool*; one with a schema can be told as a plain function."""
    return tool.native is not None and tool.schema is None


def is_web_search(tool: Tool) -> bool:
    """Whether *tool* is some vendor's search of the live web, which most others have too."""
    raw = tool.native if isinstance(tool.native, Mapping) else {}
    if raw.get("external_web_access") is False:
        return False
    return str(raw.get("type", "")).startswith("web_search") or any(key in raw for key in _SEARCHES)
