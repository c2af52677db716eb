"""Schemas that clients send: read once, relied on everywhere."""

import pytest

from proxypal_core.dialects import schemas
from proxypal_core.wire import jsonio


def test_null_is_no_keyword():
    schema = {"type": "object", "properties": None, "required": None, "items": True}

    assert schemas.read(schema, "tools[0].parameters") is schema


@pytest.mark.parametrize(
    ("schema", "place"),
    [
        ([], "p"),
        ({"required": True}, "p.required"),
        ({"required": [1]}, "p.required[0]"),
        ({"properties": {"a": {"properties": []}}}, "p.properties.a.properties"),
        ({"anyOf": [{}, {"items": {"$defs": ""}}]}, "p.anyOf[1].items.$defs"),
        ({"items": [{"oneOf": {}}]}, "p.items[0].oneOf"),
    ],
)
def test_a_keyword_of_another_form_is_named_with_its_place(schema, place):
    with pytest.raises(jsonio.Malformed) as error:
        schemas.read(schema, "p")

    assert error.value.path == place


def test_names_and_data_are_no_keywords():
    schema = {"properties": {"required": {"type": "boolean"}}, "default": {"properties": 1}}

    assert schemas.read(schema, "p") is schema
