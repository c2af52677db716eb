"""A first stretch of ``make fuzz``, the same at each run; and the judge itself is judged."""

import random

import pytest

from proxypal_core.hub.events import Finish, PartDelta, PartEnd, PartStart, ResponseStart
from proxypal_core.hub.messages import FinishReason, Text
from tests.fuzz.targets import TARGETS, check_grammar


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.__name__)
def test_damage_does_no_harm(target):
    for number in range(400):
        target(random.Random(number))


START, STOP = ResponseStart("r", "m"), Finish(FinishReason.STOP)


@pytest.mark.parametrize(
    "events",
    [
        [START],
        [START, PartStart(1, Text("")), PartEnd(1), STOP],
        [START, PartStart(0, Text("")), PartStart(1, Text("")), STOP],
        [START, PartDelta(0, "x"), STOP],
        [START, PartStart(0, Text("")), STOP],
        [START, STOP, STOP],
    ],
)
def test_a_broken_grammar_is_seen(events):
    with pytest.raises(AssertionError):
        check_grammar(events)
