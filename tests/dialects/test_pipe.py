"""An upstream's bytes into a client's."""

import re
from itertools import cycle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxypal_core.dialects import DIALECTS
from proxypal_core.dialects.base import Encoded, Reply
from proxypal_core.dialects.carry import Carrier
from proxypal_core.dialects.pipe import Passthrough, Translation
from proxypal_core.hub.events import (
    Finish,
    PartDelta,
    PartEnd,
    PartStart,
    ResponseStart,
    UsageReport,
)
from proxypal_core.hub.failure import Failure, Kind
from proxypal_core.hub.fold import fold, unfold
from proxypal_core.hub.messages import FinishReason, Request, Text, ToolCall, Usage
from proxypal_core.wire import jsonio
from tests.dialects.test_laws import counted, meaning, read, stream_of, told, told_in
from tests.dialects.test_laws import frames as frames_of
from tests.fault_server import SCENARIOS
from tests.fault_server.transcripts import DIALECTS as SPELLINGS
from tests.strategies import cuttings, responses

every = pytest.mark.parametrize("name", DIALECTS)
pairs = pytest.mark.parametrize(
    ("client", "provider"), [(a, b) for a in DIALECTS for b in DIALECTS if a != b]
)
scenarios = st.sampled_from(sorted(SCENARIOS))


def reply(name, model="m-1"):
    request = Request(dialect=name, model=model, stream=True, include_usage=True)
    return Reply(request, "id-1", 1_795_000_000)


def passthrough(name, model="m-1", *, rename=False):
    return Passthrough(DIALECTS[name], reply(name, model), rename=rename)


def run(pipe, chunks):
    return b"".join([*map(pipe.feed, chunks), pipe.close()])


def spoken(name, scenario, model="m-1"):
    return b"".join(SPELLINGS[name].frames(SCENARIOS[scenario], model))


# ── what is quick is as what is slow ─────────────────────────────────────────────────────────

texts = st.lists(
    st.text(st.sampled_from('ab"\\\n\t\x07/é€😀\u2028”'), min_size=1, max_size=8),
    min_size=2,
    max_size=8,
)


@every
@given(st.data())
def test_a_text_is_told_as_if_each_event_had_been_read(name, data):
    pieces = data.draw(texts)
    target = data.draw(st.sampled_from(sorted(DIALECTS)))
    events = [
        ResponseStart("r", "m-1"),
        PartStart(0, Text("")),
        *(PartDelta(0, piece) for piece in pieces),
        PartEnd(0),
        UsageReport(Usage(1, 0, 0, 2, 0)),
        Finish(FinishReason.STOP),
    ]
    spelt = data.draw(st.sampled_from([bytes, with_crlf, padded, with_spaces, with_counts]))
    raw = spelt(stream_of(DIALECTS[name], events, reply(name)))
    cut = data.draw(cuttings(raw[: data.draw(st.integers(len(raw) // 2, len(raw)))]))
    rename = data.draw(st.booleans())

    quick, slow = (piped(name, target, cut, alike=alike, rename=rename) for alike in (True, False))

    assert quick == slow


@pytest.mark.parametrize("target", DIALECTS)
@given(data=st.data())
def test_the_last_count_of_tokens_is_the_usage(target, data):
    events = [
        ResponseStart("r", "m-1"),
        PartStart(0, Text("")),
        *(PartDelta(0, f"{at} ") for at in range(12)),
        PartEnd(0),
        Finish(FinishReason.STOP),
    ]
    counts = data.draw(st.lists(st.integers(0, 12), min_size=12, max_size=12))
    raw = with_counts(stream_of(DIALECTS["gemini"], events, reply("gemini")), counts)
    cut = data.draw(cuttings(raw))

    quick, slow = (piped("gemini", target, cut, alike=alike) for alike in (True, False))

    assert quick == slow
    _, seen = quick
    # A stream that is passed on keeps its last count that is not 0, as of every other number.
    told = [count for count in counts if count or target != "gemini"]
    assert seen.usage.output_total == (told[-1] if told else 0)


def with_crlf(raw):
    return raw.replace(b"\n", b"\r\n")


def with_spaces(raw):
    """As Python's own json writes it."""
    return re.sub(rb'"(content|text|delta)":"', rb'"\1": "', raw)


def padded(raw):
    """As OpenAI hides how long a text is."""
    lengths = cycle([3, 0, 11])
    return re.sub(
        rb'"logprobs":\[\]\}',
        lambda _: b'"logprobs":[],"obfuscation":"%b"}' % (b"x" * next(lengths)),
        raw,
    )


def with_counts(raw, counts=(3, 9, 10, 0, 11)):
    """As Gemini's own servers tell, with each event, how many tokens there are by now."""
    by_now = cycle(counts)
    return re.sub(
        rb'("index":0\}\],)(?!"usageMetadata")',
        lambda found: (
            b'%b"usageMetadata":{"promptTokenCount":4,"candidatesTokenCount":%d},'
            % (found[1], next(by_now))
        ),
        raw,
    )


def piped(name, target, chunks, *, alike, rename=True):
    if name == target:
        pipe = passthrough(name, "other", rename=rename)
    else:
        carrying = Carrier(b"k" * 32).outgoing(target, name)
        encoded = Encoded(b"")
        pipe = Translation(DIALECTS[name], DIALECTS[target], reply(target), encoded, carrying)
    if not alike:
        pipe._alike.learn = lambda shape: None
    return run(pipe, chunks), pipe.seen


@every
def test_most_of_a_stream_is_not_read_at_all(name, monkeypatch):
    read = []
    loads = jsonio.loads
    monkeypatch.setattr(jsonio, "loads", lambda data: read.append(data) or loads(data))
    pieces = [f"word {at} " for at in range(100)]
    events = [
        ResponseStart("r", "m-1"),
        PartStart(0, Text("")),
        *(PartDelta(0, piece) for piece in pieces),
        PartEnd(0),
        Finish(FinishReason.STOP),
    ]
    raw = with_counts(padded(stream_of(DIALECTS[name], events, reply(name))), range(1, 200))

    for target in DIALECTS:
        read.clear()
        out, _ = piped(name, target, [raw], alike=True, rename=False)

        assert b"word 99 " in out
        assert len(read) < 20, target


# ── same dialect ─────────────────────────────────────────────────────────────────────────────


@every
@given(scenario=scenarios, data=st.data())
def test_what_goes_in_comes_out_however_it_is_cut(name, scenario, data):
    raw = spoken(name, scenario)
    pipe = passthrough(name)

    assert run(pipe, data.draw(cuttings(raw))) == raw
    assert pipe.seen.begun
    assert pipe.seen.finished
    assert pipe.seen.failure is None
    expected = SCENARIOS[scenario]
    assert counted(pipe.seen.usage) == (
        expected.input_tokens,
        expected.cached_tokens,
        expected.output_tokens,
    )


@every
@given(response=responses(), data=st.data())
def test_any_answer_comes_out_as_it_went_in(name, response, data):
    raw = stream_of(DIALECTS[name], unfold(response), told(DIALECTS[name], response))
    pipe = passthrough(name)

    assert run(pipe, data.draw(cuttings(raw))) == raw


@every
@given(scenario=scenarios, data=st.data())
def test_only_whole_events_leave(name, scenario, data):
    raw = spoken(name, scenario)
    end = data.draw(st.integers(0, len(raw)))

    out = passthrough(name).feed(raw[:end])

    assert raw.startswith(out)
    assert not out or out.endswith((b"\n\n", b"\r\n\r\n", b"\r\n\r"))


@every
@given(scenario=scenarios, data=st.data())
def test_a_stream_without_its_end_is_never_finished(name, scenario, data):
    frames = SPELLINGS[name].frames(SCENARIOS[scenario], "m-1")
    enough = next(at for at in range(len(frames) + 1) if _finished(passthrough(name), frames[:at]))
    kept = data.draw(st.integers(0, enough - 1))
    pipe = passthrough(name)

    out = run(pipe, frames[:kept])

    assert pipe.seen.failure is not None
    assert pipe.seen.failure.kind is Kind.TRUNCATED
    tells = [n for n in map(DIALECTS[name].notice, frames_of([out])) if n and n.failure]
    assert bool(tells) == pipe.seen.begun


def _finished(pipe, frames):
    run(pipe, frames)
    return pipe.seen.finished


@every
@given(scenario=scenarios, data=st.data())
def test_the_model_alone_is_renamed(name, scenario, data):
    raw = spoken(name, scenario, "m-1")

    out = run(passthrough(name, 'a/"b"', rename=True), data.draw(cuttings(raw)))

    assert out == raw.replace(b'"m-1"', jsonio.dumps('a/"b"'))


@every
def test_an_event_that_is_no_json_breaks_a_renamed_stream_off(name):
    model = {"gemini": "modelVersion"}.get(name, "model")
    pipe = passthrough(name, "x", rename=True)

    run(
        pipe, [b'event: message_start\ndata: {"type":"message_start","%b":"m"\n\n' % model.encode()]
    )

    assert pipe.seen.failure is not None


def test_a_last_event_without_its_blank_line_is_passed_on():  # case 137
    raw = spoken("openai-chat", "text")

    assert run(passthrough("openai-chat"), [raw.rstrip(b"\n")]) == raw


def test_separators_leave_escaped_for_gemini():
    raw = 'data: {"candidates":[{"content":{"parts":[{"text":"a\u2028b"}]}}]}\r\n\r\n'.encode()

    assert b"a\\u2028b" in passthrough("gemini").feed(raw)


# ── across dialects ──────────────────────────────────────────────────────────────────────────


def translation(client, provider, names=None):
    encoded = Encoded(b"", names=names or {})
    carrying = Carrier(b"k" * 32).outgoing(client, provider)
    return Translation(DIALECTS[provider], DIALECTS[client], reply(client), encoded, carrying)


@pairs
@given(response=responses(refusals=False), data=st.data())
def test_a_translated_stream_is_the_same_answer_however_it_is_cut(client, provider, response, data):
    raw = stream_of(DIALECTS[provider], unfold(response), told(DIALECTS[provider], response))
    pipe = translation(client, provider)

    out = run(pipe, data.draw(cuttings(raw)))

    answer = fold(read(DIALECTS[client], [out]))
    assert meaning(answer)[:3] == meaning(response)[:3]
    assert answer.model == "m-1"
    assert counted(answer.usage) == counted(response.usage)
    assert pipe.seen.finished
    assert counted(pipe.seen.usage) == counted(response.usage)


@pairs
@given(scenario=scenarios, data=st.data())
def test_cutting_does_not_show_in_a_translation(client, provider, scenario, data):  # case 133
    raw = spoken(provider, scenario)

    assert run(translation(client, provider), data.draw(cuttings(raw))) == run(
        translation(client, provider), [raw]
    )


@pairs
@given(scenario=scenarios, data=st.data())
def test_a_translated_stream_that_breaks_off_says_so(client, provider, scenario, data):  # case 156
    frames = SPELLINGS[provider].frames(SCENARIOS[scenario], "m-1")
    enough = next(
        at for at in range(len(frames) + 1) if _finished(translation(client, provider), frames[:at])
    )
    pipe = translation(client, provider)

    out = run(pipe, frames[: data.draw(st.integers(0, enough - 1))])

    assert pipe.seen.failure is not None
    assert not pipe.seen.finished
    if pipe.seen.begun:
        assert isinstance(read(DIALECTS[client], [out])[-1], Failure)
    else:
        assert not [n for n in map(DIALECTS[client].notice, frames_of([out])) if n and n.failure]


@pairs
@pytest.mark.parametrize("kind", Kind)
def test_a_failure_in_is_a_failure_out(client, provider, kind):  # case 157
    events = [
        ResponseStart("r", "m"),
        PartStart(0, Text("")),
        PartDelta(0, "begun"),
        Failure(kind, "what happened"),
    ]
    raw = stream_of(DIALECTS[provider], events, reply(provider))
    pipe = translation(client, provider)

    out = run(pipe, [raw])

    last = read(DIALECTS[client], [out])[-1]
    assert isinstance(last, Failure)
    assert told_in(kind, last.message)
    assert pipe.seen.failure is not None


@pairs
def test_the_client_sees_its_own_tool_names(client, provider):  # case 195
    response = fold(
        read(DIALECTS[provider], [spoken(provider, "tool")]),
    )
    name = SCENARIOS["tool"].calls[0].name
    pipe = translation(client, provider, {name: "the.clients/own name"})
    raw = stream_of(DIALECTS[provider], unfold(response), reply(provider))

    out = run(pipe, [raw])

    [call] = [p for p in fold(read(DIALECTS[client], [out])).parts if isinstance(p, ToolCall)]
    assert call.name == "the.clients/own name"
