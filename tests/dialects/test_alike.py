"""Which events are known by the one before, and which are read."""

import pytest

from proxypal_core.dialects.alike import shape_of


def event(text, *, number=None, padding=None, count=None):
    counted = b"" if number is None else b'"sequence_number":%d,' % number
    padded = b"" if padding is None else b',"obfuscation":"%b"' % padding
    used = b"" if count is None else b',"totalTokenCount":%d' % count
    return b'data: {%b"delta":"%b"%b%b}\n\n' % (counted, text, padded, used)


def told(learned, *events):
    """The texts of those of *events* that are known by *learned*, up to the first that is not."""
    shape = shape_of(learned)
    run = shape.run(b"".join(events), 0) if shape else None
    if run is None:
        return []
    assert run.raw == b"".join(events[: len(run.texts)])
    return list(run.texts)


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
        (event(b"a"), event(b"b\nc")),
        (event(b"a"), event(b"b\n\nc")),
        (event(b"a"), event(b'b","delta":"c')),
        (event(b"a", number=1), event(b"b", number=7).replace(b"7", b"07")),
        (event(b"a", number=1), event(b"b", number=7).replace(b"7", b"7 7")),
        (event(b"a", number=1), event(b"b", number=7).replace(b"7", b"7\n7")),
        (event(b"a", padding=b"x"), event(b"b", padding=b"a\nb")),
    ],
)
def test_any_other_event_is_read(learned, other):
    assert told(learned, other) == []


def test_what_is_known_ends_at_the_first_that_is_not():
    events = [event(b"b"), event(b"c"), event(b"\\/"), event(b"d")]

    assert told(event(b"a"), *events) == [b"b", b"c"]


@pytest.mark.parametrize("odd", [b"", b"c\\"])
def test_events_are_not_taken_for_one_another(odd):
    events = [event(b"b"), event(odd), event(b"nd")]

    assert told(event(b"a"), *events) == [b"b"]


def test_of_events_that_count_tokens_the_last_is_read():
    events = [event(b"b", count=2), event(b"c", count=10), event(b"d", count=11)]

    assert told(event(b"a", count=1), *events) == [b"b", b"c"]


def test_a_count_of_nothing_is_read():
    events = [event(b"b", count=2), event(b"c", count=0), event(b"d", count=3)]

    assert told(event(b"a", count=1), *events) == []


def test_more_events_than_are_looked_at_together_go_on_in_order():
    events = [event(b"%d" % at, number=at) for at in range(1, 1000)]

    known = told(event(b"a", number=0), *events)

    assert 1 < len(known) < 999
    assert known == [b"%d" % at for at in range(1, len(known) + 1)]


def test_an_event_that_is_not_ended_teaches_nothing():
    assert told(event(b"a")[:-1], event(b"b")) == []
