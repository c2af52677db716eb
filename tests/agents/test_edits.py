"""Setting up and putting back, as laws over every format."""

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from proxypal_core.agents.edits import FORMATS, Edit, apply, laid, read, restored, undo
from proxypal_core.agents.tree import Unreadable, find, replaced
from tests.agents.documents import NAMES, OBJECTS, SCALARS, TEXTS

TEXT = st.text("abc/:. ", min_size=1, max_size=8).map(str.strip)
PATHS = {
    "json": st.lists(NAMES, min_size=1, max_size=3).map(tuple),
    "toml": st.lists(NAMES, min_size=1, max_size=3).map(tuple),
    "yaml": NAMES.map(lambda key: (key,)) | st.just(("models", {"name": "p"})),
    "env": st.sampled_from(["A", "NEW", "GEMINI_API_KEY"]).map(lambda key: (key,)),
}
VALUES = {"json": SCALARS | OBJECTS, "toml": SCALARS, "yaml": SCALARS, "env": TEXT}


@st.composite
def edits_of(draw, kind):
    edits = []
    for path in draw(st.lists(PATHS[kind], min_size=1, max_size=3, unique_by=str)):
        value = {"name": "p", "n": 1} if len(path) == 2 and kind == "yaml" else draw(VALUES[kind])
        keep, remove = draw(st.sampled_from([(False, False)] * 3 + [(True, False), (False, True)]))
        edits.append(Edit(path, value, keep, remove))
    # An edit within another's value is none that a row would have.
    heads = [edit.at for edit in edits]
    assume(not any(a != b and a == b[: len(a)] for a in heads for b in heads))
    return edits


def readable(kind, text):
    try:
        return read(kind, text)
    except Unreadable:
        assume(False)


def set_up(kind, text, edits):
    try:
        return laid(kind, text, edits)
    except Unreadable:
        assume(False)  # something stood in the way, and nothing is written


kinds = pytest.mark.parametrize("kind", list(FORMATS))


@kinds
@given(data=st.data())
@settings(max_examples=30)
def test_setup_then_unsetup_is_the_text_before_byte_for_byte(kind, data):
    text = data.draw(TEXTS[kind])
    readable(kind, text)
    done = set_up(kind, text, data.draw(edits_of(kind)))

    assert restored(done, done.after) == (text, ())


@kinds
@given(data=st.data())
@settings(max_examples=30)
def test_what_is_set_is_there_and_nothing_else_changes(kind, data):
    text = data.draw(TEXTS[kind])
    value = readable(kind, text)
    edits = data.draw(edits_of(kind))
    done = set_up(kind, text, edits)

    for one in done.done:
        value = replaced(value, one.at, one.now[0]) if one.now else value
    after = read(kind, done.after)
    for edit in edits:
        if edit.remove:
            assert repr(find(after, edit.at)) == "ABSENT"
        elif not edit.keep:
            assert find(after, edit.at) == edit.value


@kinds
@given(data=st.data())
@settings(max_examples=30)
def test_taken_back_key_by_key_the_value_is_what_it_was(kind, data):
    text = data.draw(TEXTS[kind])
    value = readable(kind, text)
    done = set_up(kind, text, data.draw(edits_of(kind)))
    undone, left = undo(kind, done.after, done.done)

    assert read(kind, undone) == value
    assert left == []


@kinds
@given(data=st.data())
@settings(max_examples=30)
def test_set_up_twice_is_once(kind, data):
    text = data.draw(TEXTS[kind])
    readable(kind, text)
    edits = data.draw(edits_of(kind))
    once = set_up(kind, text, edits)

    assert laid(kind, once.after, edits, once) == once


@kinds
@given(data=st.data())
@settings(max_examples=30)
def test_an_edit_of_the_user_s_elsewhere_outlives_unsetup(kind, data):
    text = data.draw(TEXTS[kind])
    value = readable(kind, text)
    done = set_up(kind, text, data.draw(edits_of(kind)))
    own, new = ("OWN", "of the user") if kind == "env" else ("own", "of the user")
    assume(own not in value)
    edited = FORMATS[kind].put(done.after, (own,), new)
    undone, left = restored(done, edited)

    assert read(kind, undone) == {**value, own: new}
    assert not left


@kinds
@given(data=st.data())
@settings(max_examples=30)
def test_what_the_user_changed_since_is_left_and_told(kind, data):
    text = data.draw(TEXTS[kind])
    readable(kind, text)
    done = set_up(kind, text, data.draw(edits_of(kind)))
    mine = [one for one in done.done if one.now and len(one.at) == 1]
    assume(mine)
    edited = FORMATS[kind].put(done.after, mine[0].at, "of the user")
    assume(edited not in (done.after, text))
    assume((("of the user",)) not in (mine[0].now, mine[0].was))
    undone, left = restored(done, edited)

    assert find(read(kind, undone), mine[0].at) == "of the user"
    assert [tuple(path) for path in left] == [mine[0].at]


@kinds
@given(data=st.data())
@settings(max_examples=20)
def test_a_file_that_setup_made_is_gone_after_unsetup(kind, data):
    edits = data.draw(edits_of(kind))
    done = set_up(kind, None, edits)

    assert restored(done, done.after) == (None, ())


@given(text=TEXTS["json"], path=PATHS["json"], value=SCALARS)
@settings(max_examples=60)
def test_comments_of_the_user_stay(text, path, value):
    readable("json", text)
    try:
        after, done = apply("json", text, [Edit(path, value)])
    except Unreadable:
        assume(False)
    replaced_too = bool(done[0].was) and not isinstance(
        done[0].was[0], (str, int, bool, type(None))
    )
    assume(not replaced_too)

    for mark in ("// one, {two}", "/* a\n * b */"):
        assert after.count(mark) == text.count(mark)


@given(text=st.text(max_size=60))
@pytest.mark.parametrize("kind", list(FORMATS))
def test_any_text_is_read_or_refused(kind, text):
    try:
        value = read(kind, text)
    except Unreadable:
        return

    assert isinstance(value, dict)


@pytest.mark.parametrize(
    ("kind", "text", "line"),
    [
        ("json", '{\n  "a": 1,\n  "a": 2\n}', 3),
        ("json", '{\n  "a": 1\n  "b": 2\n}', 3),
        ("json", "[1]", 1),
        ("toml", "a = 1\nb = \n", 2),
        ("yaml", "a: 1\nb: [\n", 3),
        ("yaml", "- 1\n", 1),
    ],
)
def test_what_cannot_be_read_is_refused_with_its_line(kind, text, line):
    with pytest.raises(Unreadable) as refused:
        apply(kind, text, [Edit(("x",), "y")])

    assert refused.value.line == line


def test_a_value_in_the_way_is_named():
    with pytest.raises(Unreadable, match="env is not an object"):
        apply("json", '{"env": "no"}', [Edit(("env", "URL"), "u")])


def test_json_keeps_order_comments_and_the_layout_of_its_neighbours():
    text = '{\n    // mine\n    "theme": "dark", // dark!\n    "env": {"A": "1"}\n}\n'
    after, _ = apply("json", text, [Edit(("env", "URL"), "u"), Edit(("model",), "m")])

    assert after == (
        '{\n    // mine\n    "theme": "dark", // dark!\n    "env": {"A": "1", "URL": "u"},\n'
        '    "model": "m"\n}\n'
    )


def test_toml_keeps_comments_and_puts_top_keys_before_the_tables():
    text = '# mine\nmodel = "o3" # best\n\n[mcp_servers.x]\ncommand = "y"\n'
    edits = [Edit(("model_provider",), "p"), Edit(("model_providers", "p", "name"), "P")]
    after, _ = apply("toml", text, edits)

    assert after == (
        '# mine\nmodel = "o3" # best\nmodel_provider = "p"\n\n[mcp_servers.x]\ncommand = "y"\n\n'
        '[model_providers.p]\nname = "P"\n'
    )


def test_yaml_adds_to_a_list_as_it_is_indented():
    text = "name: mine # yes\nmodels:\n  - name: a\n    roles: [chat]\n\n# end\nrules: []\n"
    after, _ = apply("yaml", text, [Edit(("models", {"name": "p"}), {"name": "p", "n": 1})])

    assert after == (
        "name: mine # yes\nmodels:\n  - name: a\n    roles: [chat]\n"
        '  - name: "p"\n    n: 1\n\n# end\nrules: []\n'
    )
