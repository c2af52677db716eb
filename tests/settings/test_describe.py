"""Settings told to others: a schema that agrees with the reader, and data without secrets."""

import msgspec

from proxypal_core.settings.describe import json_schema, shown
from proxypal_core.settings.parse import parse
from proxypal_core.settings.schema import Document
from proxypal_core.wire import jsonio


def sections(schema, path=""):
    yield path, schema
    for name, inner in schema.get("properties", {}).items():
        here = f"{path}.{name}" if path else name
        yield from sections(inner.get("items", inner), here)


def test_the_schema_has_every_key_with_its_meaning():
    schema = json_schema()

    assert list(schema["properties"]) == list(Document.__struct_fields__)
    for path, inner in sections(schema):
        for name, field in inner.get("properties", {}).items():
            assert field.get("description", "").endswith("."), f"{path}.{name}"


def test_the_schema_is_json_and_closed():
    schema = jsonio.loads(jsonio.dumps(json_schema()))

    for path, inner in sections(schema):
        if "properties" in inner:
            assert inner["additionalProperties"] is False, path
    assert schema["properties"]["accounts"]["items"]["required"] == ["id"]
    assert schema["properties"]["routing"]["properties"]["strategy"]["default"] == "round_robin"
    assert schema["properties"]["timeouts"]["properties"]["connect"]["default"] == "10s"


def test_the_defaults_in_the_schema_are_settings():
    defaults = {
        name: field["default"]
        for name, field in json_schema()["properties"].items()
        if "default" in field
    }

    assert parse(jsonio.dumps_text(defaults), {}) == parse("", {})


def test_no_secret_is_shown():
    text = """
    accounts: [{id: "openai:a", api_key: hush-1, headers: {x-org: hush-2}, proxy: "http://me:hush-3@127.0.0.1:1"}]
    client_keys: [{name: a, key: hush-4}]
    admin_key: hush-5
    backends: {x: {command: c, env: {SOME_TOKEN: hush-6, PLAIN: seen}}}
    state: {url: "redis://:hush-7@h"}
    """

    told = jsonio.dumps_text(shown(parse(text, {})))

    assert "hush" not in told
    assert "http://me:***@127.0.0.1:1" in told
    assert "seen" in told


def test_what_is_shown_is_plain():
    assert shown(Document())["cooldowns"]["ladder"] == ["1m", "5m", "25m", "1h"]
    assert msgspec.to_builtins(shown(Document())) == shown(Document())
