"""Which events are known by the one before, and which are read."""

import pytest

from proxypal_core.dialects.alike import Alike


def event(text, *, number=None, padding=None):
    counted = b"" if number is None else b'"sequence_number":%d,' % number
    padded = b"" if padding is None else b',"obfuscation":"%b"' % padding
    return b'data: {%b"delta":"%b"%b}\n\n' % (counted, text, padded)


def told(learned, *events):
    """The texts of those of *events* that are known by *learned*, up to the first that is not."""
    alike = Alike()
    alike.learn(learned)
    block = b"".join(events)
    texts, end = alike.texts_in(block, 0)
    assert end == len(b"".join(events[: len(texts)]))
    return list(texts)


@pytest.mark.parametrize(
    ("learned", "events"),
    [
        (event(b"a"), [event(b"b"), event(b"c d")]),
        (event(b"a", number=9), [event(b"b", number=10), event(b"c", number=11)]),
        (event(b"a", padding=b"x"), [event(b"b", padding=b""), event(b"c", padding=b"yz0")]),
        (
            event(b"a", number=1, padding=b"x"),
            [event(b"b", number=2, padding=b"y"), event(b"c", number=3, padding=b"")],
        ),
    ],
)
def test_events_that_differ_in_text_number_and_padding_alone_are_known(learned, events):
    texts = told(learned, *events)

    assert len(texts) == len(events)


@pytest.mark.parametrize(
    ("learned", "other"),
    [
        (event(b"a"), event(b"")),
        (event(b"a"), event(b"\\u00e9")),
        (event(b"a"), event(b"b", number=2)),
        (event(b"a", number=1), event(b"b")),
        (event(b"a", number=1), event(b"b").replace(b'"delta"', b'"sequence_number":x,"delta"')),
        (event(b"a", number=1), event(b"\\ud800", number=2)),
        (event(b"a", number=1), event(b"b", number=2).replace(b'"}', b'","more":1}')),
        (event(b"a", padding=b"x"), event(b"b")),
        (event(b"a", padding=b"x"), event(b"b", padding=b"a b")),
        (event(b"a", padding=b"x"), event(b"b", padding=b"x")[:-4]),
    ],
)
def test_any_other_event_is_read(learned, other):
    assert told(learned, other) == []


def test_what_is_known_ends_at_the_first_that_is_not():
    events = [event(b"b"), event(b"c"), event(b"\\/"), event(b"d")]

    assert told(event(b"a"), *events) == [b"b", b"c"]


def test_an_event_that_is_not_ended_teaches_nothing():
    assert told(event(b"a")[:-1], event(b"b")) == []
