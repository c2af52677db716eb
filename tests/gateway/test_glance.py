"""What is looked at of a body without parsing it: the same as if it were, and as strictly."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxypal_core.gateway.glance import glance
from proxypal_core.gateway.sessions import session_of, spoken
from proxypal_core.wire import jsonio
from tests.captures import load
from tests.strategies import named

POSTS = [capture for capture in load() if capture.body is not None]
WORDS = st.text(max_size=4) | st.sampled_from(
    ["user", "assistant", "model", 'a"b', "\\", "é", "\x00"]
)
ODD = st.recursive(
    st.none() | st.booleans() | st.integers(-99, 99) | WORDS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["role", "content", "parts", "x"]), inner, max_size=3)
    ),
    max_leaves=8,
)
FIELDS = (
    "model",
    "stream",
    "stream_options",
    "thread",
    "metadata",
    "system",
    "messages",
    "contents",
)
BODIES = st.dictionaries(st.sampled_from((*FIELDS, "session_id", "unknown")), ODD)


def parsed(value):
    """*value* with what was only glanced at parsed."""
    match value:
        case msgspec.Raw():
            return jsonio.loads(bytes(value))
        case dict():
            return {name: parsed(inner) for name, inner in value.items()}
        case list():
            return [parsed(inner) for inner in value]
    return value


def outcome(read, body):
    """What is wrong with *body*, or that nothing is."""
    try:
        read(body)
    except jsonio.Malformed as error:
        return str(error)
    return "right"


# ── laws ─────────────────────────────────────────────────────────────────────────────────────


@given(BODIES)
def test_a_field_that_is_glanced_at_is_what_it_is_when_parsed(body):
    seen = parsed(glance(jsonio.dumps(body)))

    for name in FIELDS[:6]:
        assert seen.get(name) == body.get(name)
    assert "unknown" not in seen


@given(BODIES)
def test_a_conversation_is_followed_as_if_its_body_were_parsed(body):
    one, other = (session_of(named(), doc) for doc in (glance(jsonio.dumps(body)), body))

    assert (one and one.follow) == (other and other.follow)


@given(BODIES)
def test_what_models_said_is_found_as_if_the_body_were_parsed(body):
    assert spoken(glance(jsonio.dumps(body))) == spoken(body)


@given(BODIES, st.data())
def test_damage_is_told_in_the_words_that_parsing_has_for_it(body, data):
    whole = jsonio.dumps(body)
    at = data.draw(st.integers(0, len(whole) - 1))
    new = data.draw(
        st.sampled_from([b"", *(bytes([byte]) for byte in b'{}[]",:\\u0t.+- \n\x01\xc3\xa9')])
    )
    damaged = whole[:at] + new + whole[at + 1 :]

    assert outcome(glance, damaged) == outcome(jsonio.load_object, damaged)


@given(st.integers(0, 5), st.integers(65_000, 66_000), st.sampled_from(["é", "€", "😀"]))
def test_text_of_any_length_may_be_in_any_language(before, length, sign):
    body = jsonio.dumps({"system": "a" * before + sign * length, "model": "m"})

    assert glance(body)["model"] == "m"
    assert outcome(glance, body[:-20] + b"\xff" + body[-19:]) != "right"
    assert outcome(glance, body.replace(sign.encode(), sign.encode()[:-1], 1)) != "right"


# ── examples ─────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("capture", POSTS, ids=str)
def test_a_real_conversation_is_the_same_at_each_of_its_turns(capture):
    turns = next((name for name in ("messages", "contents") if name in capture.body), None)
    if turns is None:
        return
    told = capture.body[turns]
    bodies = [{**capture.body, turns: told[:end]} for end in range(len(told), 0, -1)]
    keys = [session_of(named(capture.headers), glance(jsonio.dumps(body))) for body in bodies]

    assert len({found.key for found in keys if found}) == 1


def test_what_was_said_is_not_parsed():
    turn = {"role": "assistant", "content": ["x"], "unknown": 1}

    seen = glance(jsonio.dumps({"messages": [turn], "tools": [{}], "system": "s"}))

    assert seen["messages"][0].keys() == {"role", "content"}
    assert bytes(seen["messages"][0]["content"]) == b'["x"]'
    assert "tools" not in seen


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"null",
        b'"x"',
        b"{} x",
        b'{"model":NaN}',
        b'{"tools":[1,]}',
        b'{"tools":"\\ud800"}',
        b'{"tools":"\xed\xa0\x80"}',
        b'{"tools":"\x01"}',
        b"\xef\xbb\xbf{}",
        b'{"tools":' + b"[" * 5000 + b"]" * 5000 + b"}",
    ],
)
def test_what_cannot_be_parsed_cannot_be_glanced_at(body):
    found = outcome(glance, body)

    assert found != "right"
    assert found == outcome(jsonio.load_object, body)


@pytest.mark.parametrize("value", [b"1e999", b"[" * 300 + b"]" * 300])
def test_what_only_we_could_not_write_again_may_go_on_as_it_came(value):
    assert glance(b'{"model":"m","tools":%b}' % value) == {"model": "m"}


def test_of_two_fields_of_a_name_the_last_counts():
    assert glance(b'{"model":"a","messages":[],"model":"b"}')["model"] == "b"
