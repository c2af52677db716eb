"""A Chat stream tells its usage to those who ask: so it is asked for, and nothing else changes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxypal_core.dialects.openai_chat.usage_asked import with_usage
from proxypal_core.wire import jsonio

names = st.text(max_size=5).filter(lambda name: name != "stream_options")
documents = st.dictionaries(
    names, st.one_of(st.integers(-(2**53), 2**53), st.text(max_size=5)), min_size=1
)


def asked(document):
    body = jsonio.dumps(document)
    return with_usage(body, document)


@given(documents)
def test_asking_adds_the_field_in_front_and_leaves_the_bytes_as_they_were(document):
    body = jsonio.dumps(document)

    sent = asked(document)

    assert sent.endswith(body[1:])
    assert jsonio.loads(sent) == {"stream_options": {"include_usage": True}, **document}


@pytest.mark.parametrize(
    ("options", "after"),
    [
        (None, {"include_usage": True}),
        ({}, {"include_usage": True}),
        ({"include_usage": False, "x": 1}, {"include_usage": True, "x": 1}),
        (3, {"include_usage": True}),
    ],
)
def test_options_that_do_not_ask_are_made_to(options, after):
    sent = jsonio.loads(asked({"model": "m", "stream_options": options}))

    assert sent == {"model": "m", "stream_options": after}


def test_who_asks_already_sends_what_it_sent():
    assert asked({"model": "m", "stream_options": {"include_usage": True}}) is None


def test_an_empty_document_asks_too():
    assert jsonio.loads(asked({})) == {"stream_options": {"include_usage": True}}
