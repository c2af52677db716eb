"""Stop sequences, enforced where the provider knows none."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxypal_core.dialects.stopping import Stopping
from proxypal_core.hub.events import (
    Finish,
    PartDelta,
    PartEnd,
    PartStart,
    ResponseStart,
    UsageReport,
)
from proxypal_core.hub.fold import fold
from proxypal_core.hub.messages import FinishReason, Text, Thinking, ToolCall, Usage

TEXT = Text("")
letters = st.text("abc", max_size=12)
stop_lists = st.lists(st.text("abc", max_size=4), max_size=3)


def spoken(*pieces, part=TEXT):
    deltas = [PartDelta(0, piece) for piece in pieces if piece]
    return [ResponseStart("r", "m"), PartStart(0, part), *deltas, PartEnd(0)]


END = [UsageReport(Usage(5, output_total=9)), Finish(FinishReason.STOP)]


def passed(stops, events):
    stopping = Stopping(stops)
    return [out for event in events for out in stopping.pass_on(event)]


@given(stop_lists, letters, st.data())
def test_how_the_text_is_cut_does_not_show(stops, text, data):
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=5)))
    pieces = [text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)]

    assert fold(passed(stops, [*spoken(*pieces), *END])) == fold(
        passed(stops, [*spoken(text), *END])
    )


@given(stop_lists, letters)
def test_what_is_said_holds_no_stop_and_is_all_that_came_before_one(stops, text):
    answer = fold(passed(stops, [*spoken(*text), *END]))

    said = answer.parts[0].text
    assert text.startswith(said + answer.stop_sequence)
    assert not any(stop and stop in said for stop in stops)
    stopped = answer.finish is FinishReason.STOP_SEQUENCE
    assert stopped == any(stop and stop in text for stop in stops)
    assert stopped or said == text


@pytest.mark.parametrize(
    ("stops", "text", "said", "stop"),
    [
        (["END"], "one END two", "one ", "END"),
        (["b", "abc"], "xabc", "xa", "b"),  # complete first
        (["bc", "abc"], "xabc", "x", "abc"),  # both at once
        (["END"], "END", "", "END"),
        (["END"], "the EN", "the EN", ""),
        ([""], "any", "any", ""),
    ],
)
def test_examples(stops, text, said, stop):
    answer = fold(passed(stops, [*spoken(*text), *END]))

    assert (answer.parts[0].text, answer.stop_sequence) == (said, stop)


def test_only_what_may_begin_a_stop_is_held_back():
    stopping = Stopping(["END"])
    list(stopping.pass_on(PartStart(0, Text(""))))

    told = [list(stopping.pass_on(PartDelta(0, piece))) for piece in ("some", " E", "N", "ough")]

    assert told == [
        [PartDelta(0, "some")],
        [PartDelta(0, " ")],
        [],
        [PartDelta(0, "ENough")],
    ]


@pytest.mark.parametrize("part", [Thinking(""), ToolCall("c", "f")])
def test_only_texts_are_looked_at(part):
    events = [*spoken("an END", part=part), *END]

    assert passed(["END"], events) == events


def test_nothing_follows_the_stop_but_the_counts():
    events = [*spoken("an END"), PartStart(1, ToolCall("c", "f")), PartEnd(1), *END]
    stopping = Stopping(["END"])

    out = [each for event in events for each in stopping.pass_on(event)]

    assert stopping.cut
    assert out[2:] == [
        PartDelta(0, "an "),
        PartEnd(0),
        Finish(FinishReason.STOP_SEQUENCE, stop_sequence="END"),
        END[0],
    ]
    assert fold(out).usage.output_total == 9
