"""What each format reads, changes in place, and refuses."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxypal_core.agents.agent import Values, addresses, agents, chosen_model
from proxypal_core.agents.edits import FORMATS, Edit, apply, laid, read, restored, undo
from proxypal_core.agents.tree import ABSENT, Unreadable, find, spelt
from tests.agents.documents import TEXTS

URL = "http://127.0.0.1:8317"
OURS = {"name": "proxypal", "url": URL}
ELEMENT = ("models", {"name": "proxypal"})


@pytest.mark.parametrize("kind", list(FORMATS))
@given(data=st.data())
@settings(max_examples=10)
def test_to_drop_what_is_not_there_changes_nothing(kind, data):
    text = data.draw(TEXTS[kind])
    try:
        read(kind, text)
    except Unreadable:
        return

    assert FORMATS[kind].drop(text, ("nowhere",)) == text
    assert FORMATS[kind].drop("", ("nowhere",)) == ""


@pytest.mark.parametrize(
    ("kind", "text"),
    [("json", '{"models": 5}'), ("toml", "models = 5"), ("yaml", "models: 5")],
)
def test_a_value_on_the_way_to_a_place_is_not_written_over(kind, text):
    path = ("models", "mine") if kind == "toml" else ELEMENT

    with pytest.raises(Unreadable, match="models is not a"):
        FORMATS[kind].put(text, path, OURS)


# ── JSON5 ────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("spelt_as", "value"),
    [
        (r"'it\'s \x41 \u00e9'", "it's A é"),
        (r'"\ud83d\ude00"', "😀"),
        ('"one \\\nline"', "one line"),
        ('"one \\\r\nline"', "one line"),
        (r'"tab\tend\0"', "tab\tend\0"),
        ("0xFF", 255),
        ("-0x10", -16),
        ("+1", 1),
        (".5", 0.5),
        ("5.", 5.0),
        ("1e3", 1000.0),
        ("-Infinity", float("-inf")),
    ],
)
def test_json5_s_strings_and_numbers_are_read(spelt_as, value):
    assert read("json", f"{{a: {spelt_as}}}") == {"a": value}


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("{a 1}", "a colon is missing"),
        ("{1: 1}", "a key is missing"),
        ("{a: 'b\n}", "a string does not end"),
        ("{a: }", "a value is missing"),
        ("{a: ?}", "not JSON"),
        ("{} {}", "more than one value"),
        ("{a: " + "[" * 101, "nested too deeply"),
    ],
)
def test_what_is_wrong_with_json_is_said(text, problem):
    with pytest.raises(Unreadable, match=problem):
        read("json", text)


def test_an_element_of_a_json_list_is_found_by_what_it_says():
    text = (
        '{\n  "models": [\n    {"name": "mine"},\n    {"name": "proxypal", "url": "old"}\n  ]\n}\n'
    )

    changed, _ = apply("json", text, [Edit((*ELEMENT, "url"), URL)])

    assert changed == text.replace("old", URL)


def test_an_empty_object_with_a_comment_keeps_it():
    changed, _ = apply("json", "{\n  // none yet\n}\n", [Edit(("model",), "m")])

    assert read("json", changed) == {"model": "m"}
    assert "// none yet" in changed


def test_a_comment_behind_the_only_key_outlives_it():
    text = '{\n  "model": "m" // mine\n}\n'

    changed, _ = apply("json", text, [Edit(("model",), remove=True)])

    assert read("json", changed) == {}
    assert "// mine" in changed


# ── YAML ─────────────────────────────────────────────────────────────────────────────────────

LISTED = "models:\n  - name: mine\n  - name: proxypal\n    url: old\n  - name: last\n"


def test_an_element_of_a_yaml_list_is_replaced_where_it_stands():
    changed, _ = apply("yaml", LISTED, [Edit(ELEMENT, OURS)])

    assert changed == (
        f'models:\n  - name: mine\n  - name: "proxypal"\n    url: "{URL}"\n  - name: last\n'
    )


def test_an_element_of_a_yaml_list_is_taken_out():
    changed, _ = apply("yaml", LISTED, [Edit(ELEMENT, remove=True)])

    assert changed == "models:\n  - name: mine\n  - name: last\n"


@pytest.mark.parametrize(
    ("text", "path", "problem"),
    [
        ("models: 5\n", ELEMENT, "models is not a list"),
        ("models: [{name: a}]\n", ELEMENT, r"models is written on one line .*list of lines"),
        ("{models: 1}\n", ("model",), "one flow mapping"),
        ("a: 1\n", ("a b",), "not changed here"),
        ("models:\n  - name: a\n", ("models", "name"), "not an object"),
        ("models:\n  a: 1\n", ("models", "name"), "not changed here"),
        ("models: []\n", ("models", {"name": "a"}, "x"), "not changed here"),
    ],
)
def test_a_place_that_yaml_is_not_changed_at_is_refused(text, path, problem):
    with pytest.raises(Unreadable, match=problem):
        apply("yaml", text, [Edit(path, OURS)])


# ── .env and TOML ────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("value", ["two\nlines", 'a "quote"', 7])
def test_a_variable_holds_one_line_of_text(value):
    with pytest.raises(Unreadable, match="MODEL cannot hold this value"):
        apply("env", "", [Edit(("MODEL",), value)])


def test_a_variable_has_no_parts():
    with pytest.raises(Unreadable):
        apply("env", "A=1\n", [Edit(("A", "b"), "c")])
    with pytest.raises(Unreadable, match="a variable has no parts"):
        FORMATS["env"].put("", ("A", "b"), "c")


def test_a_toml_key_that_stands_twice_is_refused():
    with pytest.raises(Unreadable, match="exists"):
        read("toml", "a = 1\na = 2\n")
    with pytest.raises(Unreadable, match="exists"):
        read("toml", "[a]\nx = 1\n[a.x]\n")


# ── taking back ──────────────────────────────────────────────────────────────────────────────


def test_what_the_user_has_put_back_is_left_alone_without_a_word():
    text = '{"model": "mine"}'
    _, done = apply("json", text, [Edit(("model",), "ours")])

    assert undo("json", text, done) == (text, [])


def test_what_the_user_changed_stays_and_is_told():
    _, done = apply("json", '{"model": "mine"}', [Edit(("model",), "ours")])
    other = '{"model": "another"}'

    assert undo("json", other, done) == (other, [("model",)])


def test_a_removed_value_does_not_come_back_where_something_else_stands_in_its_way():
    _, done = apply("json", '{"env": {"KEY": "k"}}', [Edit(("env", "KEY"), remove=True)])
    other = '{"env": "none"}'

    assert undo("json", other, done) == (other, [("env", "KEY")])


def test_an_object_made_for_an_edit_stays_when_the_user_wrote_into_it():
    done = laid("json", '{"a": 1}', [Edit(("env", "deep", "URL"), URL)])
    text = FORMATS["json"].put(done.after, ("env", "mine"), "x")

    undone, left = restored(done, text)

    assert read("json", undone) == {"a": 1, "env": {"mine": "x"}}
    assert left == []


def test_a_list_made_for_an_edit_goes_with_it():
    done = laid("json", '{"a": 1}', [Edit(ELEMENT, OURS)])
    text = FORMATS["json"].put(done.after, ("a",), 2)

    undone, _ = restored(done, text)

    assert read("json", undone) == {"a": 2}


def test_an_edit_that_would_change_something_else_is_refused():
    """The anchor's value is used elsewhere."""
    text = "models: &m\n  - name: mine\nothers: *m\n"

    with pytest.raises(Unreadable, match=r"models\[proxypal\] is written in a way"):
        apply("yaml", text, [Edit(ELEMENT, OURS)])


# ── places ───────────────────────────────────────────────────────────────────────────────────


def test_a_place_is_spelt_for_people():
    assert spelt(("models", "providers", "openai")) == "models.providers.openai"
    assert spelt(("customModels", {"model": "proxypal"}, "url")) == "customModels[proxypal].url"


def test_nothing_is_below_a_value():
    assert find({"a": 1}, ("a", "b")) is ABSENT
    assert find({"a": 1}, ("a", {"name": "b"})) is ABSENT


def test_the_places_of_the_address_are_known_also_within_a_value():
    given_values = Values(URL, "key", "model", "model", "folder")
    rows = [
        Edit(("env", "BASE"), "{url}/v1"),
        Edit(("providers", "{model}"), {"name": "x", "api": {"url": "{url}"}}),
    ]

    assert addresses(rows, given_values) == [
        ("env", "BASE"),
        ("providers", "model", "api", "url"),
    ]


def test_no_model_is_chosen_where_none_is_served():
    assert chosen_model(agents()["codex"], [], []) == ""
