"""Structured answers that a target is held to in another way than the client asked."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxypal_core.dialects.structured import AsText, Unwrapping, rooted
from proxypal_core.hub.events import Finish, PartDelta, PartEnd, PartStart
from proxypal_core.hub.messages import FinishReason, Output, Request, Text, ToolCall
from proxypal_core.wire import jsonio
from tests.strategies import json_values

LIST = {"type": "array", "items": {"type": "string"}}


def asked(schema, dialect="gemini"):
    return Request(dialect=dialect, model="m", output=Output("json_schema", schema=schema))


def unwrapped(pieces):
    unwrapping = Unwrapping()
    events = [PartStart(0, Text("")), *(PartDelta(0, piece) for piece in pieces), PartEnd(0)]
    passed = [each for event in events for each in unwrapping.pass_on(event)]
    return "".join(event.text for event in passed if isinstance(event, PartDelta))


# ── wrapping ─────────────────────────────────────────────────────────────────────────────────


def test_another_root_becomes_the_value_of_an_object():
    output, wrapped = rooted(asked(LIST), "openai-chat")

    assert wrapped
    assert output.schema == {
        "type": "object",
        "properties": {"value": LIST},
        "required": ["value"],
        "additionalProperties": False,
    }


def test_references_find_what_they_mean():
    schema = {
        "anyOf": [{"$ref": "#/$defs/Leaf"}, {"type": "array", "items": {"$ref": "#"}}],
        "$defs": {"Leaf": {"properties": {"next": {"$ref": "#/anyOf/1"}}}},
    }

    output, _ = rooted(asked(schema), "openai-chat")

    value = output.schema["properties"]["value"]
    assert value["anyOf"][0] == {"$ref": "#/$defs/Leaf"}
    assert value["anyOf"][1]["items"] == {"$ref": "#/properties/value"}
    leaf = output.schema["$defs"]["Leaf"]
    assert leaf["properties"]["next"] == {"$ref": "#/properties/value/anyOf/1"}


@pytest.mark.parametrize("schema", [None, {}, {"type": "object"}])
def test_an_object_stays_as_it_is(schema):
    assert rooted(asked(schema), "openai-chat") == (asked(schema).output, False)


def test_who_speaks_the_dialect_means_what_it_says():
    assert rooted(asked(LIST, "openai-chat"), "openai-chat") == (asked(LIST).output, False)


# ── unwrapping ───────────────────────────────────────────────────────────────────────────────


@given(json_values, st.booleans(), st.data())
def test_the_value_alone_is_told_however_it_is_cut(value, pretty, data):
    document = {"value": value}
    text = jsonio.dumps_pretty(document) if pretty else jsonio.dumps_text(document)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=6)))
    pieces = [text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)]

    told = unwrapped(pieces)

    assert jsonio.loads(told) == value
    assert told == unwrapped([text])


@pytest.mark.parametrize("text", ['["a"]', '{"values": [1]}', "Sorry, no.", '{"val', "", "{}"])
def test_what_was_not_wrapped_is_left_as_it_is(text):
    assert unwrapped([text]) == unwrapped(text) == text


def test_a_value_that_was_cut_off_stays_so():
    assert unwrapped('{"value":["a","b') == '["a","b'


# ── a tool for the answer ────────────────────────────────────────────────────────────────────


def test_the_arguments_of_the_tool_are_the_text():
    as_text = AsText("json_output")
    events = [
        PartStart(0, ToolCall("c", "json_output")),
        PartDelta(0, '{"a":1}'),
        PartEnd(0),
        Finish(FinishReason.TOOL_CALLS),
    ]

    passed = [each for event in events for each in as_text.pass_on(event)]

    assert passed == [
        PartStart(0, Text("")),
        PartDelta(0, '{"a":1}'),
        PartEnd(0),
        Finish(FinishReason.STOP),
    ]


def test_a_call_of_another_tool_stays_one():
    as_text = AsText("json_output")
    events = [PartStart(0, ToolCall("c", "mine")), PartEnd(0), Finish(FinishReason.TOOL_CALLS)]

    assert [each for event in events for each in as_text.pass_on(event)] == events
