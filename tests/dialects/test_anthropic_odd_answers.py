"""Answers of Messages as servers seldom send them."""

import json

import pytest

from proxypal_core.dialects import anthropic
from proxypal_core.dialects.base import Reply
from proxypal_core.hub.events import PartBlob, PartCitation, PartDelta, PartEnd, PartStart
from proxypal_core.hub.failure import Failure, Kind
from proxypal_core.hub.fold import fold
from proxypal_core.hub.messages import (
    Base64,
    Blob,
    Citation,
    FinishReason,
    Image,
    Opaque,
    Request,
    Response,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
)
from proxypal_core.wire import jsonio, sse
from tests.strategies import PNG

START = {"type": "message_start", "message": {"id": "msg_1", "model": "claude-x"}}
STOP = {"type": "message_delta", "delta": {"stop_reason": "end_turn"}}


def read(*documents):
    decoder = anthropic.decoder()
    events = [e for doc in documents for e in decoder.read(sse.Frame(json.dumps(doc).encode()))]
    return [*events, *decoder.end()]


def block(at, raw, *deltas):
    return (
        {"type": "content_block_start", "index": at, "content_block": raw},
        *({"type": "content_block_delta", "index": at, "delta": delta} for delta in deltas),
        {"type": "content_block_stop", "index": at},
    )


def reply():
    return Reply(Request(dialect="anthropic", model="m", stream=True), "msg_2", 0)


def answered(*parts):
    """The blocks of a whole answer."""
    answer = Response("msg_1", "m", parts, FinishReason.STOP)
    return jsonio.loads(anthropic.encode_response(answer, reply()))["content"]


def streamed(*events):
    encoder = anthropic.encoder(reply())
    raw = b"".join(map(encoder.write, events))
    splitter = sse.Splitter()
    return [jsonio.loads(sse.parse(one).data) for one in splitter.feed(raw)]


# ── answers, read ────────────────────────────────────────────────────────────────────────────


def test_a_reason_that_is_no_text_breaks_a_stream_without_its_last_event():
    *_, failure = read(START, {"type": "message_delta", "delta": {"stop_reason": 5}})

    assert failure.kind is Kind.BAD_REPLY


def test_a_stream_that_ends_without_a_reason_stopped():
    answer = fold(read(START, *block(0, {"type": "text", "text": "Hi."}), {"type": "message_stop"}))

    assert (answer.finish, answer.parts) == (FinishReason.STOP, (Text("Hi."),))


def test_the_reason_that_came_is_not_taken_back_by_a_later_empty_one():
    later = {"type": "message_delta", "delta": {"stop_reason": None}, "usage": {"output_tokens": 9}}
    answer = fold(read(START, {**STOP, "delta": {"stop_reason": "max_tokens"}}, later))

    assert answer.finish is FinishReason.LENGTH
    assert answer.usage.output_total == 9


def test_a_second_beginning_means_nothing():
    answer = fold(read(START, {**START, "message": {"id": "msg_9", "model": "other"}}, STOP))

    assert (answer.id, answer.model) == ("msg_1", "claude-x")


def test_a_block_that_begins_where_another_is_open_ends_that_one():
    first, second = block(0, {"type": "text", "text": "a"}), block(0, {"type": "text", "text": "b"})

    answer = fold(read(START, first[0], *second, STOP))

    assert answer.parts == (Text("a"), Text("b"))


def test_deltas_and_ends_of_blocks_that_never_began_mean_nothing():
    stray = block(7, {}, {"type": "text_delta", "text": "lost"})[1:]

    assert fold(read(START, *stray, STOP)).parts == ()


def test_a_hidden_thought_is_whole_at_its_beginning():
    raw = {"type": "redacted_thinking", "data": "EmwK"}
    answer = fold(read(START, *block(0, raw, {"type": "thinking_delta", "thinking": "x"}), STOP))

    assert answer.parts == (Thinking("", (Blob("anthropic", "redacted", "EmwK"),)),)


def test_a_block_of_next_year_is_put_together_field_by_field():
    raw = {"type": "of-next-year", "text": "one ", "at": 1}
    deltas = ({"type": "x_delta", "text": "two"}, {"type": "x_delta", "at": 2, "new": [3]})

    answer = fold(read(START, *block(0, raw, *deltas), STOP))

    assert answer.parts == (
        Opaque("anthropic", {"type": "of-next-year", "text": "one two", "at": 2, "new": [3]}),
    )


@pytest.mark.parametrize(
    ("data", "begun"),
    [
        (
            b'{"index":0,"type":"content_block_delta","delta":{"type":"text_delta","text":"a"}}',
            True,
        ),
        (
            b'{"index":0,"type":"content_block_delta","delta":{"type":"text_delta","text":""}}',
            False,
        ),
        (b'{"index":0,"type":"content_block_delta","delta":null}', False),
        (b'{"type":"content_block_start","content_block":"odd"}', False),
    ],
)
def test_an_onlooker_takes_only_content_for_a_beginning(data, begun):
    notice = anthropic.notice(sse.Frame(data))

    assert bool(notice and notice.begun) is begun


@pytest.mark.parametrize("data", [b"5", b"[]", b'"error"'])
def test_an_error_body_of_any_json_is_a_failure(data):
    assert isinstance(anthropic.decode_failure(500, data), Failure)


# ── answers, written ─────────────────────────────────────────────────────────────────────────


def test_a_picture_in_an_answer_is_told_in_words():
    picture = Image(Base64("image/png", PNG))
    words = "[the model answered with image data, not shown here]"

    told = streamed(PartStart(0, picture), PartEnd(0))

    assert answered(picture) == [{"type": "text", "text": words}]
    assert [doc["delta"]["text"] for doc in told if "delta" in doc] == [words]


def test_what_is_no_part_of_an_answer_is_left_out():
    assert answered(ToolResult("call_1"), Opaque("gemini", {"x": 1}), Text("")) == []


def test_a_servers_own_block_is_streamed_as_it_is():
    raw = {"type": "web_search_tool_result", "tool_use_id": "s", "content": []}

    _, begun, *_ = streamed(PartStart(0, Opaque("anthropic", raw)), PartEnd(0))

    assert begun["content_block"] == raw


def test_a_hidden_thought_within_an_open_one_is_left_out():
    hidden = Blob("anthropic", "redacted", "EmwK")
    events = (PartStart(0, Thinking("")), PartDelta(0, "Hm."), PartBlob(0, hidden), PartEnd(0))

    kinds = [doc["type"] for doc in streamed(*events)]

    assert kinds == [
        "message_start",
        "content_block_start",
        "content_block_delta",
        "content_block_stop",
    ]


def test_a_citation_without_an_address_is_not_told():
    cited = PartCitation(0, Citation(title="A book", dialect="openai-responses", raw={}))

    told = streamed(PartStart(0, Text("")), PartDelta(0, "Yes."), cited, PartEnd(0))

    assert b"A book" not in jsonio.dumps(told)


def test_a_call_is_read_back_as_it_was_answered():
    assert answered(ToolCall("toolu_1", "f", '{"a":1}')) == [
        {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {"a": 1}}
    ]
