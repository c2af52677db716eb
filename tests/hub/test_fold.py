"""A whole answer is a folded stream."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxypal_core.hub.events import (
    Finish,
    PartBlob,
    PartCitation,
    PartDelta,
    PartEnd,
    PartStart,
    ResponseStart,
)
from proxypal_core.hub.failure import Failure, Kind, Refused
from proxypal_core.hub.fold import fold, unfold
from proxypal_core.hub.messages import Blob, Citation, FinishReason, Image, Response, Text, Url
from tests.strategies import responses


@given(responses())
def test_fold_undoes_unfold(response):
    assert fold(unfold(response)) == response


@given(responses(), st.data())
def test_a_stream_that_breaks_off_is_not_an_answer(response, data):
    events = list(unfold(response))
    cut = data.draw(st.integers(0, len(events) - 1))

    with pytest.raises(Refused) as refused:
        fold(events[:cut])

    assert refused.value.failure.kind is Kind.TRUNCATED


def test_a_failure_in_the_stream_is_the_outcome():
    failure = Failure(Kind.OVERLOADED, "busy")

    with pytest.raises(Refused) as refused:
        fold([ResponseStart("r", "m"), PartStart(0, Text("")), PartDelta(0, "x"), failure])

    assert refused.value.failure == failure


def test_what_a_part_has_no_room_for_is_let_go():
    signed, cited = PartBlob(0, Blob("gemini", "x", "y")), PartCitation(0, Citation(title="A"))
    picture = Image(Url("https://example.com/a.png"))

    events = [PartStart(0, picture), signed, cited, PartEnd(0), Finish(FinishReason.STOP)]

    assert fold(events).parts == (picture,)


def test_deltas_belong_to_the_part_that_is_open():
    events = [
        ResponseStart("r", "m"),
        PartStart(0, Text("")),
        PartDelta(0, "a"),
        PartDelta(0, "b"),
        PartEnd(0),
        PartStart(1, Text("")),
        PartDelta(1, "c"),
        PartEnd(1),
        Finish(FinishReason.STOP),
    ]

    assert fold(events) == Response("r", "m", (Text("ab"), Text("c")))
