"""Streams that break off, say a thing twice, or say nothing, on their way through a pipe."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxypal_core.dialects import DIALECTS, failures, openai_chat, tools
from proxypal_core.dialects.base import Encoded, Reply
from proxypal_core.dialects.carry import Carrier
from proxypal_core.dialects.pipe import Passthrough, Translation
from proxypal_core.hub.events import PartDelta, PartEnd, PartStart, ResponseStart
from proxypal_core.hub.failure import Failure, Kind
from proxypal_core.hub.messages import Request, Text, Thinking
from proxypal_core.wire import jsonio, sse

HELLO = b'data: {"id":"c1","choices":[{"index":0,"delta":{"content":"Hi"}}]}\n\n'
STOP = b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n'
DONE = b"data: [DONE]\n\n"
USAGE = b'data: {"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":2}}\n\n'
ERROR = b'data: {"error":{"message":"it broke","code":"server_error"}}\n\n'
GONE = Failure(Kind.TIMEOUT, "nothing came for a while")

every = pytest.mark.parametrize("name", DIALECTS)


def reply(name="openai-chat"):
    return Reply(Request(dialect=name, model="m-1", stream=True), "id-1", 0)


def passthrough(**options):
    return Passthrough(openai_chat, reply(), **{"rename": False, **options})


def translation(client="anthropic"):
    carrying = Carrier(b"k" * 32).outgoing(client, "openai-chat")
    return Translation(openai_chat, DIALECTS[client], reply(client), Encoded(b""), carrying)


# ── the same dialect ─────────────────────────────────────────────────────────────────────────


def test_after_the_last_event_nothing_is_passed_on():
    pipe = passthrough()

    out = pipe.feed(HELLO + STOP + DONE + HELLO)

    assert out == HELLO + STOP + DONE
    assert pipe.close() == b""


def test_an_end_mark_that_was_left_out_is_put_in():
    pipe = passthrough()

    assert pipe.feed(HELLO + STOP) + pipe.close() == HELLO + STOP + DONE


def test_an_event_without_data_is_left_out_and_a_comment_passed_on():
    assert passthrough().feed(b"event: ping\n\n: hi\n\n" + HELLO) == b": hi\n\n" + HELLO


def test_a_failure_before_the_answer_is_told_by_its_kind_alone():
    pipe = passthrough()

    assert pipe.feed(ERROR) == b""
    assert pipe.seen.failure.kind is Kind.SERVER
    assert pipe.close() == b""


def test_a_failure_within_the_answer_is_told_in_our_own_words_once():
    pipe = passthrough()

    out = pipe.feed(HELLO + ERROR + ERROR + HELLO) + pipe.close()

    assert out.startswith(HELLO)
    assert out.count(b"it broke") == 1
    assert pipe.seen.failure.message == "it broke"


@pytest.mark.parametrize("begun", [b"", HELLO])
def test_an_event_without_an_end_is_not_waited_for_for_ever(begun):
    pipe = passthrough()
    pipe._splitter = sse.Splitter(limit=200)

    out = pipe.feed(begun) + pipe.feed(b"data: " + b"x" * 300) + pipe.feed(b"y" * 300)

    assert pipe.seen.failure.kind is Kind.TRUNCATED
    assert (b"longer than 200 bytes" in out) == bool(begun)
    assert out.count(b"longer than") == bool(begun)


def test_what_only_we_asked_for_is_taken_out():
    pipe = passthrough(revise=openai_chat.without_usage)

    assert pipe.feed(HELLO + STOP + USAGE + DONE) == HELLO + STOP + DONE
    assert pipe.seen.usage.input_total == 3


@pytest.mark.parametrize(
    ("rest", "kept"),
    [(STOP.rstrip(), True), (b"data: [DONE]", True), (b'data: {"choices":[{"del', False)],
)
def test_a_last_event_without_its_blank_line_counts_only_when_it_is_whole(rest, kept):
    pipe = passthrough()

    out = pipe.feed(HELLO + STOP + rest) + pipe.close()

    assert (rest in out) is kept


def test_an_event_of_several_lines_keeps_its_model():
    lines = b'data: {"model":"up",\ndata: "choices":[]}\n\n'
    pipe = passthrough(rename=True)

    assert pipe.feed(lines) == lines
    assert pipe.feed(b'data: {"model":"up","choices":[]}\n\n').count(b'"m-1"') == 1


# ── another dialect ──────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("pipe", [passthrough(), translation()], ids=["same", "another"])
def test_what_we_give_up_is_told_to_the_client(pipe):
    pipe.feed(HELLO)

    assert b"nothing came for a while" in pipe.fail(GONE)


def test_a_translated_event_without_an_end_is_a_bad_reply():
    pipe = translation()
    pipe._splitter = sse.Splitter(limit=200)

    out = pipe.feed(HELLO) + pipe.feed(b"data: " + b"x" * 300)

    assert b"longer than 200 bytes" in out
    assert pipe.seen.failure.kind is Kind.BAD_REPLY


def test_a_text_that_is_no_utf_8_is_read_like_any_other_event():
    pipe = passthrough()

    out = pipe.feed(HELLO + HELLO + HELLO.replace(b"Hi", b"\xff\xfe"))

    assert out.startswith(HELLO + HELLO)
    assert pipe.seen.failure is not None


# ── texts that are told without being read ───────────────────────────────────────────────────


@every
@given(text=st.text(st.characters(exclude_categories=["Cs", "Zl", "Zp"]), min_size=1, max_size=20))
def test_a_text_that_is_known_by_its_spelling_is_told_like_any_other(name, text):
    quick, slow = (DIALECTS[name].encoder(reply(name)) for _ in range(2))
    delta = PartDelta(0, text)
    for encoder in (quick, slow):
        for event in (ResponseStart("r%d", "m"), PartStart(0, Text("")), PartDelta(0, "So: ")):
            encoder.write(event)

    assert quick.say([jsonio.escaped(text)] * 2) == slow.write(delta) + slow.write(delta)
    assert quick.write(PartEnd(0)) == slow.write(PartEnd(0))


@every
def test_where_a_thought_is_told_no_text_goes_on(name):
    encoder = DIALECTS[name].encoder(reply(name))
    for event in (ResponseStart("r", "m"), PartStart(0, Thinking("")), PartDelta(0, "Hm.")):
        encoder.write(event)

    assert encoder.say([b"Hi"]) == b""


@every
def test_only_chat_clients_have_to_ask_for_usage(name):
    dialect = DIALECTS[name]
    asked = dialect.with_usage(b'{"model":"m"}', {"model": "m"})

    assert (asked is not None) == (name == "openai-chat")
    assert dialect.without_usage(HELLO) == HELLO


# ── odd failures, odd arguments ──────────────────────────────────────────────────────────────


def test_quotas_that_are_no_objects_are_passed_over():
    details = [{"violations": ["odd", {"quotaId": "PerDay"}]}, {"violations": 5}]
    body = jsonio.dumps({"error": {"code": 429, "message": "no", "details": details}})

    failure, _ = failures.read_error(429, body)

    assert failure.kind is Kind.BILLING


@pytest.mark.parametrize("text", ["{broken} and more", "{broken", "}{"])
def test_arguments_that_nobody_can_read_are_kept_as_they_came(text):
    assert tools.arguments_object(text) == {"_raw": text}


@every
def test_texts_that_an_encoder_has_to_write_are_read(name):
    carrying = Carrier(b"k" * 32).outgoing(name, "openai-chat")
    pipes = [
        Translation(DIALECTS["openai-chat"], DIALECTS[name], reply(name), Encoded(b""), carrying)
        for _ in range(2)
    ]
    pipes[0]._encoder.say = lambda texts: b""

    one, other = (pipe.feed(HELLO * 3) for pipe in pipes)

    assert one == other
