"""What holds for every dialect. A new one is tested by its name in ``DIALECTS`` alone."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxypal_core.dialects import DIALECTS
from proxypal_core.dialects.base import Reply
from proxypal_core.dialects.pipe import merged
from proxypal_core.hub.failure import Failure, Kind, Refused
from proxypal_core.hub.fold import fold, unfold
from proxypal_core.hub.messages import (
    Image,
    ModelInfo,
    Refusal,
    Request,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
    Usage,
)
from proxypal_core.wire import jsonio, sse
from tests.strategies import cuttings, json_values, requests, responses

every = pytest.mark.parametrize("dialect", DIALECTS.values(), ids=DIALECTS)


def told(dialect, response):
    """The reply context in which *response* is written."""
    request = Request(dialect=dialect.NAME, model=response.model, stream=True, include_usage=True)
    return Reply(request, response.id, 1_795_000_000)


def stream_of(dialect, events, reply):
    encoder = dialect.encoder(reply)
    return b"".join(encoder.write(event) for event in events)


def frames(chunks):
    splitter = sse.Splitter()
    raws = [raw for chunk in chunks for raw in splitter.feed(chunk)]
    return [frame for frame in map(sse.parse, [*raws, splitter.close()]) if frame is not None]


def read(dialect, chunks):
    decoder = dialect.decoder()
    events = [event for frame in frames(chunks) for event in decoder.read(frame)]
    return [*events, *decoder.end()]


def meaning(response):
    """What an answer says, in a form that survives dialects with fewer kinds of parts."""
    text = "".join(p.text for p in response.parts if isinstance(p, (Text, Refusal)))
    thought = "".join(p.text for p in response.parts if isinstance(p, Thinking))
    calls = [
        (p.id, p.name, jsonio.loads(p.arguments)) for p in response.parts if isinstance(p, ToolCall)
    ]
    return text, thought, calls, response.model


def counted(usage):
    return usage.input_total, usage.input_cached, usage.output_total


# ── answers ──────────────────────────────────────────────────────────────────────────────────


@every
@given(response=responses())
def test_a_whole_answer_reads_back(dialect, response):
    body = dialect.encode_response(response, told(dialect, response))

    back = dialect.decode_response(jsonio.load_object(body))

    assert meaning(back) == meaning(response)
    assert counted(back.usage) == counted(response.usage)
    assert (back.finish == response.finish) or any(
        isinstance(part, Refusal) for part in response.parts
    )


@every
@given(response=responses(), data=st.data())
def test_a_stream_reads_back_however_it_is_cut(dialect, response, data):
    raw = stream_of(dialect, unfold(response), told(dialect, response))

    back = fold(read(dialect, data.draw(cuttings(raw))))

    assert meaning(back) == meaning(response)
    assert counted(back.usage) == counted(response.usage)


@every
@given(response=responses())
def test_a_stream_and_a_whole_answer_say_the_same(dialect, response):  # case 162
    reply = told(dialect, response)
    streamed = fold(read(dialect, [stream_of(dialect, unfold(response), reply)]))
    whole = dialect.decode_response(jsonio.load_object(dialect.encode_response(response, reply)))

    assert meaning(streamed) == meaning(whole)
    assert streamed.finish == whole.finish
    assert streamed.usage == whole.usage


@every
@given(response=responses(), data=st.data())
def test_a_stream_that_breaks_off_is_never_complete(dialect, response, data):
    raw = stream_of(dialect, list(unfold(response))[:-1], told(dialect, response))
    raw = raw[: data.draw(st.integers(0, len(raw)))]

    with pytest.raises(Refused) as refused:
        fold(read(dialect, [raw]))

    assert refused.value.failure.kind in (Kind.TRUNCATED, Kind.BAD_REPLY)


@every
@given(data=st.binary(max_size=300))
def test_a_decoder_takes_any_bytes(dialect, data):
    events = read(dialect, [b"data: ", data, b"\n\n"])

    assert isinstance(events[-1], Failure)
    assert sum(isinstance(event, Failure) for event in events) == 1


@every
@given(values=st.lists(st.dictionaries(st.sampled_from(
    ["type", "choices", "delta", "candidates", "content", "error", "message", "index", "usage",
     "item", "response", "parts", "content_block", "output_index", "finish_reason", "id"]),
    json_values, max_size=5), max_size=4))  # fmt: skip
def test_a_decoder_takes_any_json(dialect, values):
    raw = b"".join(sse.frame(jsonio.dumps(value)) for value in values)

    events = read(dialect, [raw])

    assert events
    for frame in frames([raw]):
        try:
            dialect.notice(frame)
        except jsonio.Malformed:
            continue


# ── looking on ───────────────────────────────────────────────────────────────────────────────


@every
@given(response=responses())
def test_who_looks_on_sees_the_beginning_the_end_and_the_usage(dialect, response):
    raw = stream_of(dialect, unfold(response), told(dialect, response))
    notices = [n for n in map(dialect.notice, frames([raw])) if n is not None]

    assert any(notice.finished for notice in notices)
    assert not any(notice.failure for notice in notices)
    if response.parts:
        assert any(notice.begun for notice in notices)
    usage = Usage()
    for notice in notices:
        usage = merged(usage, notice.usage or Usage())
    assert counted(usage) == counted(response.usage)


@every
@given(response=responses())
def test_a_whole_answer_is_seen_at_once(dialect, response):
    body = dialect.encode_response(response, told(dialect, response))

    notice = dialect.notice_whole(jsonio.load_object(body))

    assert notice.finished
    assert notice.failure is None
    assert counted(notice.usage) == counted(response.usage)


@every
@given(response=responses())
def test_its_own_frames_are_canonical(dialect, response):
    raw = stream_of(dialect, unfold(response), told(dialect, response))

    splitter = sse.Splitter()
    assert b"".join(map(dialect.canonical, splitter.feed(raw))) == raw
    assert splitter.close() == b""


@every
def test_a_heartbeat_means_nothing(dialect):  # case 140
    decoder = dialect.decoder()
    events = [event for frame in frames([dialect.HEARTBEAT]) for event in decoder.read(frame)]

    assert events == []
    assert [n for n in map(dialect.notice, frames([dialect.HEARTBEAT])) if n and n.begun] == []


# ── failures ─────────────────────────────────────────────────────────────────────────────────

SAME = [Kind.INVALID, Kind.CONTEXT, Kind.RATE_LIMIT, Kind.OVERLOADED, Kind.MODEL]


def told_in(kind, text):
    """Whether *text* tells the failure: clients look for a dialect's own phrase of a full window."""
    return "what happened" in text or (kind is Kind.CONTEXT and "token" in text)


@every
@pytest.mark.parametrize("kind", SAME)
def test_a_failure_means_the_same_after_it_was_written(dialect, kind):
    status, body = dialect.encode_failure(Failure(kind, "what happened"), request_id="r1")

    back = dialect.decode_failure(status, body)

    assert back.kind is kind
    assert told_in(kind, back.message)


@every
@pytest.mark.parametrize("kind", Kind)
def test_every_failure_has_a_status_and_words(dialect, kind):
    status, body = dialect.encode_failure(
        Failure(kind, "what happened", retry_after=7.2), request_id="r1"
    )

    assert 400 <= status < 600
    assert told_in(kind, jsonio.load_object(body)["error"]["message"])
    if kind in (Kind.AUTH, Kind.FORBIDDEN, Kind.BILLING):
        assert status not in (401, 402, 403)


@every
@pytest.mark.parametrize("kind", Kind)
def test_a_failure_in_a_stream_is_seen_as_one(dialect, kind):
    request = Request(dialect=dialect.NAME, model="m", stream=True)
    raw = dialect.encoder(Reply(request, "id1", 0)).write(Failure(kind, "what happened"))

    notices = [n for n in map(dialect.notice, frames([raw])) if n is not None]
    events = read(dialect, [raw])

    assert [n for n in notices if n.failure]
    assert not [n for n in notices if n.finished]
    assert isinstance(events[-1], Failure)
    assert told_in(kind, events[-1].message)


@every
@given(status=st.integers(400, 599), body=st.binary(max_size=300))
def test_any_error_body_is_a_failure(dialect, status, body):
    failure = dialect.decode_failure(status, body)

    assert failure.message
    assert failure.status == status


# ── requests ─────────────────────────────────────────────────────────────────────────────────


def conversation(request):
    """What a request says: who said, called and returned what, in order."""
    said = []
    for turn in request.turns:
        for part in turn.parts:
            match part:
                case Text(text=text):
                    said.append((turn.role, text))
                case Image(source=source):
                    said.append((turn.role, source))
                case ToolCall(id=id, name=name, arguments=text):
                    said.append((id, name, jsonio.loads(text)))
                case ToolResult(call_id=id, content=content):
                    said.append((id, "".join(p.text for p in content if isinstance(p, Text))))
    return said


def squeezed(system):
    """The instructions without white space: some dialects have room for one text alone."""
    return "".join("".join(text.text for text in system).split())


@every
@given(request=requests())
def test_a_request_reads_back(dialect, request):
    encoded = dialect.encode_request(request)

    back = dialect.decode_request(
        jsonio.load_object(encoded.body), model="model-1", stream=request.stream
    )

    assert conversation(back) == conversation(request)
    assert squeezed(back.system) == squeezed(request.system)
    assert [tool.name for tool in back.tools] == [tool.name for tool in request.tools]
    assert [tool.schema for tool in back.tools] == [tool.schema for tool in request.tools]
    assert back.max_output_tokens == request.max_output_tokens


@every
@given(request=requests())
def test_the_same_request_gives_the_same_bytes(dialect, request):
    assert dialect.encode_request(request) == dialect.encode_request(request)


@every
@given(request=requests())
def test_the_body_says_model_and_stream(dialect, request):
    doc = jsonio.load_object(dialect.encode_request(request).body)

    assert dialect.peek(doc) in [("model-1", request.stream), ("", False)]


@every
@given(doc=st.dictionaries(st.sampled_from(
    ["model", "messages", "input", "contents", "tools", "system", "stream", "tool_choice",
     "max_tokens", "instructions", "generationConfig", "thinking", "reasoning", "metadata"]),
    json_values, max_size=6))  # fmt: skip
def test_any_document_is_a_request_or_refused(dialect, doc):
    try:
        dialect.peek(doc)
        request = dialect.decode_request(doc, model="m", stream=False)
    except (jsonio.Malformed, Refused):
        return

    assert request.dialect == dialect.NAME


@every
def test_a_model_list_is_json(dialect):
    models = [ModelInfo("a/b", "a"), ModelInfo("c", "proxypal", context_tokens=1000)]

    listed = jsonio.loads(dialect.encode_models(models))
    one = jsonio.loads(dialect.encode_model(models[0]))

    assert "a/b" in jsonio.dumps_text(listed)
    assert "a/b" in jsonio.dumps_text(one)
