"""Hypothesis strategies for the hub's values, shared by the law tests."""

from hypothesis import strategies as st

from proxypal_core.hub.messages import (
    FinishReason,
    Refusal,
    Response,
    Text,
    Thinking,
    ToolCall,
    Usage,
)
from proxypal_core.wire import jsonio

words = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40)
names = st.from_regex(r"[a-zA-Z_][a-zA-Z0-9_-]{0,20}", fullmatch=True)
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
