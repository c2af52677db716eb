"""JSON is read with the path of what is wrong, and changed in one place without being rebuilt."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxypal_core.wire import jsonio
from tests.strategies import json_objects, words


@pytest.mark.parametrize("text", ["", "{", "NaN", "[1e]", '"\ud800"', "[" * 2000, "{} x"])
def test_what_is_not_json_is_malformed(text):
    with pytest.raises(jsonio.Malformed, match="not valid JSON"):
        jsonio.loads(text)


def test_an_error_names_the_path():
    with pytest.raises(jsonio.Malformed, match=r"messages\[0\]\.role: must be a string, not null"):
        jsonio.need({"role": None}, "role", jsonio.string, "messages[0]")

    with pytest.raises(jsonio.Malformed, match="model: is required"):
        jsonio.need({}, "model", jsonio.string)


@pytest.mark.parametrize(
    ("read", "good", "bad"),
    [
        (jsonio.integer, 5, True),
        (jsonio.integer, 5, "5"),
        (jsonio.number, 0.5, True),
        (jsonio.boolean, False, 0),
        (jsonio.arr, [], {}),
        (jsonio.obj, {}, []),
        (jsonio.string, "", 1.5),
    ],
)
def test_typed_reads(read, good, bad):
    assert read(good, "x") == good
    assert jsonio.opt({"k": None}, "k", read) is None
    with pytest.raises(jsonio.Malformed, match="x: must be"):
        read(bad, "x")


def test_a_whole_float_is_an_integer():
    assert jsonio.integer(1024.0, "max_tokens") == 1024


@given(
    json_objects,
    json_objects,
    words,
    words,
    st.sampled_from([(",", ":"), (", ", ": "), (" ,\n", " :\t")]),
)
def test_one_string_changes_and_nothing_else_does(before, after, old, new, separators):
    document = {**before, "model": old, **after, "nested": {"model": "kept", "l": [{"model": 1}]}}
    document.pop("model") if not isinstance(document["model"], str) else None
    body = json.dumps(document, ensure_ascii=False, separators=separators).encode()

    changed = jsonio.replace_string(body, ("model",), new)

    expected = {**document, "model": new} if "model" in document else document
    assert json.loads(changed) == expected
    if "model" in document:
        literal = json.dumps(document["model"], ensure_ascii=False).encode()
        assert len(changed) - len(body) == len(jsonio.dumps(new)) - len(literal)


@given(st.integers(0, 40_000), st.integers(0, 40_000), words)
def test_a_string_is_changed_in_bodies_of_any_length(before, after, new):
    body = b'{"a":"%b","model":"m","z":"%b"}' % (b"x" * before, b"y" * after)

    changed = jsonio.with_string(body, ("model",), new)

    assert bytes(changed) == body.replace(b'"m"', jsonio.dumps(new))
    assert len(changed) == len(bytes(changed))


def test_a_string_changed_in_a_long_body_copies_nothing_of_the_rest():
    body = b'{"a":"%b","model":"m","z":"%b"}' % (b"x" * 40_000, b"y" * 40_000)

    changed = jsonio.with_string(body, ("model",), "new")

    shared = sum(len(piece) for piece in changed.pieces if isinstance(piece, memoryview))
    assert shared == len(body) - len(b'"m"')


@pytest.mark.parametrize(
    ("body", "path", "changed"),
    [
        (b'{"model":"a"}', ("model",), b'{"model":"N"}'),
        (b'{"m":{"model":"a"}}', ("model",), b'{"m":{"model":"a"}}'),
        (b'{"m":{"model":"a"}, "n": 1e3}', ("m", "model"), b'{"m":{"model":"N"}, "n": 1e3}'),
        (b'{"model":"a","x":["model","b"]}', ("model",), b'{"model":"N","x":["model","b"]}'),
        (
            b'{"x":"\\"model\\":\\"b\\"","model":"a"}',
            ("model",),
            b'{"x":"\\"model\\":\\"b\\"","model":"N"}',
        ),
        (b'{"model":"a","model":"b"}', ("model",), b'{"model":"N","model":"N"}'),
        (b'{"mod\\u0065l":"a"}', ("model",), b'{"mod\\u0065l":"N"}'),
        (b'{"model":null}', ("model",), b'{"model":null}'),
        (b'{"m":[{"model":"a"}]}', ("m", "model"), b'{"m":[{"model":"a"}]}'),
    ],
)
def test_the_string_at_the_path(body, path, changed):
    assert jsonio.replace_string(body, path, "N") == changed


def test_separators_are_escaped_and_mean_the_same():
    text = jsonio.dumps({"t": "a\u2028b\u2029c\u2027"})

    escaped = jsonio.escape_separators(text)

    assert b"\xe2\x80\xa8" not in escaped
    assert b"\xe2\x80\xa9" not in escaped
    assert jsonio.loads(escaped) == jsonio.loads(text)


@pytest.mark.parametrize(
    ("left", "right", "deepest"), [("[", "]", 200), ('{"a":', "}", 200), ('[{"b":[]},', "]", 198)]
)
@pytest.mark.parametrize("text", [str, str.encode])
def test_what_could_not_be_written_again_is_not_read(left, right, deepest, text):
    whole, deeper = (text(left * n + "1" + right * n) for n in (deepest, deepest + 1))

    assert jsonio.dumps({"a": jsonio.loads(whole)})
    with pytest.raises(jsonio.Malformed, match="nested too deeply"):
        jsonio.loads(deeper)


def test_brackets_in_a_text_nest_nothing():
    assert jsonio.loads(jsonio.dumps("[" * 5000)) == "[" * 5000


def test_an_integer_has_64_bits():
    with pytest.raises(jsonio.Malformed):
        jsonio.integer(1e308, "max_tokens")


def test_a_broken_document_is_not_changed():
    with pytest.raises(jsonio.Malformed):
        jsonio.replace_string(b'{}}{"model":"a","model":"b"}', ("model",), "c")
