"""Hypothesis strategies for the hub's values, shared by the law tests."""

from string import ascii_letters, digits

from hypothesis import strategies as st

from proxypal_core.hub.messages import (
    Base64,
    FinishReason,
    Image,
    Refusal,
    Request,
    Response,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
    Turn,
    Usage,
)
from proxypal_core.wire import jsonio

words = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40)
_LETTERS = ascii_letters + "_"
names = st.builds(
    str.__add__,
    st.sampled_from(_LETTERS),
    st.text(_LETTERS + digits + "-", max_size=20),
)
"""``[a-zA-Z_][a-zA-Z0-9_-]{0,20}``; drawn from the expression itself, they take six times as long."""
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | words,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3),
    max_leaves=8,
)
json_objects = st.dictionaries(names, json_values, max_size=4)
arguments = json_objects.map(jsonio.dumps_text)


@st.composite
def usages(draw):
    """Counts that could be true: no part is larger than its total."""
    cached, written, fresh = (draw(st.integers(0, 10_000)) for _ in range(3))
    reasoning, visible = (draw(st.integers(0, 10_000)) for _ in range(2))
    return Usage(cached + written + fresh, cached, written, reasoning + visible, reasoning)


@st.composite
def tool_calls(draw):
    return ToolCall(
        id="call_" + draw(st.uuids()).hex[:20], name=draw(names), arguments=draw(arguments)
    )


@st.composite
def responses(draw, *, refusals=True):
    """An answer as models give them: thoughts first, then text, then calls."""
    parts = []
    if draw(st.booleans()):
        parts.append(Thinking(draw(words)))
    if draw(st.booleans()):
        parts.append(Text(draw(words)))
    calls = draw(st.lists(tool_calls(), max_size=3))
    parts += calls
    if refusals and not parts:
        parts.append(Refusal(draw(words)))
    finish = (
        FinishReason.TOOL_CALLS
        if calls
        else draw(st.sampled_from([FinishReason.STOP, FinishReason.LENGTH]))
    )
    return Response(
        id="resp_" + draw(st.uuids()).hex,
        model=draw(names),
        parts=tuple(parts),
        finish=finish,
        finish_raw="",
        usage=draw(usages()),
    )


def cuttings(data):
    """Every way of cutting *data* into chunks, as a strategy."""
    return st.lists(st.integers(0, len(data)), max_size=12).map(
        lambda cuts: [
            data[a:b] for a, b in zip([0, *sorted(cuts)], [*sorted(cuts), len(data)], strict=True)
        ]
    )


PNG = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJg"
    "gg=="
)


@st.composite
def exchanges(draw, tool_names):
    """A user's turn and the assistant's, with calls and their results when there are tools."""
    asked = [Text(draw(words.filter(str.strip)))]
    if draw(st.booleans()):
        asked.append(Image(Base64("image/png", PNG)))
    turns = [Turn("user", tuple(asked))]
    calls = ()
    if tool_names:
        calls = tuple(
            ToolCall("call_" + draw(st.uuids()).hex[:20], name, draw(arguments))
            for name in draw(st.lists(st.sampled_from(tool_names), max_size=3))
        )
    said = (Text(draw(words.filter(str.strip))),) if not calls or draw(st.booleans()) else ()
    turns.append(Turn("assistant", (*said, *calls)))
    if calls:
        results = [
            ToolResult(call.id, (Text(draw(words.filter(str.strip))),), name=call.name)
            for call in calls
        ]
        turns += [Turn("user", tuple(results)), Turn("assistant", (Text("Done."),))]
    return turns


@st.composite
def requests(draw, dialect="openai-chat"):
    """A conversation that every dialect can say."""
    tool_names = draw(st.lists(names, max_size=3, unique=True))
    turns = [t for e in draw(st.lists(exchanges(tool_names), max_size=2)) for t in e]
    turns.append(Turn("user", (Text(draw(words.filter(str.strip))),)))
    schema = {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]}
    return Request(
        dialect=dialect,
        model="model-1",
        stream=draw(st.booleans()),
        system=tuple(Text(t) for t in draw(st.lists(words.filter(str.strip), max_size=2))),
        turns=tuple(turns),
        tools=tuple(
            Tool(name, description=draw(st.sampled_from(["", "Does it."])), schema=schema)
            for name in tool_names
        ),
        tool_choice=draw(st.sampled_from([None, ToolChoice("auto")])) if tool_names else None,
        max_output_tokens=draw(st.integers(16, 4000)),
    )


def named(headers=()):
    """*headers* as a request has them by name: in small letters, the first of each."""
    pairs = list(headers.items() if isinstance(headers, dict) else headers)
    return {name.lower(): value for name, value in reversed(pairs)}
