"""Messages: what is read means what was written, and what is written is what Anthropic takes."""

import json

import msgspec
import pytest
from anthropic.types import Message, RawMessageStreamEvent
from anthropic.types import ModelInfo as SdkModel
from anthropic.types import message_create_params as params
from anthropic.types.shared import ErrorResponse
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from proxypal_core.dialects import anthropic
from proxypal_core.dialects.base import Notice, Reply
from proxypal_core.hub.events import (
    Finish,
    PartBlob,
    PartDelta,
    PartEnd,
    PartStart,
    ResponseStart,
    UsageReport,
)
from proxypal_core.hub.failure import Failure, Kind, Refused
from proxypal_core.hub.fold import fold, unfold
from proxypal_core.hub.messages import (
    Audio,
    Base64,
    Blob,
    CacheMark,
    Citation,
    File,
    FileId,
    FinishReason,
    Image,
    ModelInfo,
    Opaque,
    Output,
    PlainText,
    Reasoning,
    Refusal,
    Request,
    Response,
    Sampling,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
    Turn,
    Url,
    Usage,
)
from proxypal_core.wire import jsonio, sse
from tests.strategies import cuttings, responses, usages, words

OLD, NEW = "claude-sonnet-4-5", "claude-opus-4-8"
PNG = "iVBORw0KGgoAAAANSUhEUg=="
SIGNED = (Blob("anthropic", "signature", "EqQBCkgIARAB"),)
EVENTS = TypeAdapter(RawMessageStreamEvent)
REQUESTS = TypeAdapter(params.MessageCreateParamsNonStreaming)


def request(*turns, model=OLD, dialect="openai-chat", **fields):
    turns = turns or (user("hi"),)
    return Request(dialect=dialect, model=model, turns=turns, **fields)


def user(*parts):
    return Turn("user", tuple(Text(part) if isinstance(part, str) else part for part in parts))


def assistant(*parts):
    return Turn("assistant", user(*parts).parts)


def decoded(**fields):
    doc = {"model": OLD, "max_tokens": 100, "messages": [{"role": "user", "content": "hi"}]}
    doc |= fields
    return anthropic.decode_request(doc, model=doc["model"], stream=doc.get("stream", False))


def encoded(*turns, **fields):
    return written(request(*turns, **fields))


def written(asked):
    out = anthropic.encode_request(asked)
    body = json.loads(out.body)
    sampling = {"temperature", "top_p", "top_k"}  # gone from the SDK, but still on the wire
    REQUESTS.validate_python({k: v for k, v in body.items() if k not in sampling})
    return body, out


def text(words):
    return {"type": "text", "text": words}


def body_of(*turns, **fields):
    return encoded(*turns, **fields)[0]


def reply(model="claude/best"):
    return Reply(request(model=model, dialect="anthropic"), "msg_fallback", 1_700_000_000)


def stream(response):
    encoder = anthropic.encoder(reply(response.model))
    return b"".join(encoder.write(event) for event in unfold(response))


def frames(raw):
    splitter = sse.Splitter()
    raws = [*splitter.feed(raw), splitter.close()]
    return [frame for frame in map(sse.parse, raws) if frame is not None]


def read(*documents):
    decoder = anthropic.decoder()
    events = [e for doc in documents for e in decoder.read(sse.Frame(json.dumps(doc).encode()))]
    return [*events, *decoder.end()]


def written_events(*events):
    encoder = anthropic.encoder(reply())
    return [json.loads(f.data) for f in frames(b"".join(map(encoder.write, events)))]


START = {
    "type": "message_start",
    "message": {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "claude-x",
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": {"input_tokens": 26, "cache_read_input_tokens": 64, "output_tokens": 1},
    },
}
END = (
    {
        "type": "message_delta",
        "delta": {"stop_reason": "end_turn", "stop_sequence": None},
        "usage": {"output_tokens": 31},
    },
    {"type": "message_stop"},
)


def block(at, raw, *deltas):
    return (
        {"type": "content_block_start", "index": at, "content_block": raw},
        *({"type": "content_block_delta", "index": at, "delta": delta} for delta in deltas),
        {"type": "content_block_stop", "index": at},
    )


# ── laws ─────────────────────────────────────────────────────────────────────────────────────


@st.composite
def answers(draw):
    """Answers that this dialect can spell in full."""
    answer = draw(responses(refusals=False))
    signed = tuple(
        msgspec.structs.replace(part, blobs=SIGNED)
        if isinstance(part, Thinking) and draw(st.booleans())
        else part
        for part in answer.parts
    )
    redacted = Thinking("", (Blob("anthropic", "redacted", "EmwKAhgB"),))
    return msgspec.structs.replace(
        answer,
        id="msg_" + answer.id.removeprefix("resp_"),
        parts=(redacted, *signed) if draw(st.booleans()) else signed,
    )


@given(answers())
def test_an_answer_reads_back_as_it_was_written(answer):
    raw = anthropic.encode_response(answer, reply(answer.model))

    Message.model_validate_json(raw, strict=True)
    assert anthropic.decode_response(json.loads(raw)) == answer


@given(answers(), st.data())
def test_a_stream_reads_back_as_it_was_written_however_it_is_cut(answer, data):
    raw = stream(answer)
    splitter, decoder, events = sse.Splitter(), anthropic.decoder(), []
    for chunk in data.draw(cuttings(raw)):
        for piece in splitter.feed(chunk):
            events += decoder.read(sse.parse(piece))
    events += decoder.end()

    assert fold(events) == answer


@given(responses())
def test_every_event_of_a_stream_is_one_the_sdk_knows_and_is_named(answer):
    sent = frames(stream(answer))

    for frame in sent:
        EVENTS.validate_json(frame.data)
        assert frame.event == json.loads(frame.data)["type"]
    starts = [doc for f in sent if (doc := json.loads(f.data))["type"] == "content_block_start"]
    assert [doc["index"] for doc in starts] == list(range(len(starts)))


@given(answers())
def test_onlookers_see_the_beginning_the_end_and_the_usage(answer):
    encoder = anthropic.encoder(reply(answer.model))
    seen, has_content, usage = Notice(), False, Usage()
    for event in unfold(answer):
        assert not seen.finished
        for frame in frames(encoder.write(event)):
            notice = anthropic.notice(frame) or Notice()
            seen = Notice(seen.begun or notice.begun, seen.finished or notice.finished)
            usage = notice.usage or usage
        has_content |= isinstance(event, (PartDelta, PartBlob)) or (
            isinstance(event, PartStart) and isinstance(event.part, ToolCall)
        )
        # A signature is held until its block ends, and so can only make begun what already was.
        assert seen.begun == has_content

    assert seen.finished
    assert usage == answer.usage


@given(answers(), st.data())
def test_a_stream_that_breaks_off_is_never_complete(answer, data):
    sent = frames(stream(answer))
    kept = sent[: data.draw(st.integers(0, len(sent) - 2))]
    decoder = anthropic.decoder()
    events = [event for frame in kept for event in decoder.read(frame)] + [*decoder.end()]

    assert events[-1].kind is Kind.TRUNCATED
    assert not any((anthropic.notice(frame) or Notice()).finished for frame in kept)


@given(answers(), st.binary(max_size=40), st.integers(0, 20))
def test_a_broken_frame_ends_the_stream_as_a_bad_reply(answer, rubbish, at):
    decoder = anthropic.decoder()
    events = [event for frame in frames(stream(answer))[:1] for event in decoder.read(frame)]
    events += decoder.read(sse.Frame(b"{" + rubbish))
    after = [*decoder.read(sse.Frame(b'{"type":"message_stop"}')), *decoder.end()]

    assert events[-1].kind is Kind.BAD_REPLY
    assert after == []


marks = st.none() | st.sampled_from([{"type": "ephemeral"}, {"type": "ephemeral", "ttl": "1h"}])


@st.composite
def bodies(draw):
    """Requests as Anthropic's own clients write them."""

    def marked(made):
        mark = draw(marks)
        return made if mark is None else {**made, "cache_control": mark}

    text = words.filter(str.strip).map(lambda words: {"type": "text", "text": words})
    image = st.just({"type": "image", "source": {"type": "url", "url": "https://x.example/a.png"}})
    messages = []
    for at in range(draw(st.integers(1, 3))):
        parts = [marked(part) for part in draw(st.lists(text | image, min_size=1, max_size=2))]
        messages.append({"role": "user", "content": parts})
        call = {"type": "tool_use", "id": f"toolu_{at}", "name": "run", "input": {"n": at}}
        thought = {"type": "thinking", "thinking": "hm", "signature": "EqQB"}
        messages.append({"role": "assistant", "content": [thought, call]})
        result = {"type": "tool_result", "tool_use_id": f"toolu_{at}", "content": "ok"}
        error = {"is_error": True} if draw(st.booleans()) else {}
        messages.append({"role": "user", "content": [marked({**result, **error})]})
    choices = [{"type": "auto"}, {"type": "any", "disable_parallel_tool_use": True}]
    choices += [{"type": "none"}, {"type": "tool", "name": "run"}]
    thoughts = [{"type": "adaptive"}, {"type": "disabled"}]
    thoughts += [{"type": "enabled", "budget_tokens": 5000}]
    fields = {
        "system": st.lists(text.map(marked), max_size=2) | words,
        "tool_choice": st.sampled_from(choices),
        "thinking": st.sampled_from(thoughts),
        "output_config": st.just({"effort": "high"}),
        "stop_sequences": st.just(["END"]),
        "metadata": st.just({"user_id": '{"session_id":"s-1"}'}),
        "speed": st.just("fast"),
        "context_management": st.just({"edits": [{"type": "clear_tool_uses_20250919"}]}),
        "temperature": st.sampled_from([0, 0.5, 1]),
    }
    return {
        "model": draw(st.sampled_from([OLD, NEW, "claude-3-5-haiku-latest", "kimi-k3"])),
        "max_tokens": draw(st.integers(1, 20_000)),
        "messages": messages,
        "tools": [marked({"name": "run", "input_schema": {"type": "object", "properties": {}}})],
        **draw(st.fixed_dictionaries({}, optional=fields)),
    }


@given(bodies())
def test_a_request_that_was_written_once_is_written_the_same_again(doc):
    once = anthropic.encode_request(
        anthropic.decode_request(doc, model=doc["model"], stream=False)
    ).body
    again = json.loads(once)
    asked = anthropic.decode_request(again, model=again["model"], stream=False)

    assert anthropic.encode_request(asked).body == once


@given(bodies())
def test_a_request_keeps_its_conversation(doc):
    asked = anthropic.decode_request(doc, model=doc["model"], stream=False)
    out = json.loads(anthropic.encode_request(asked).body)
    bare = [drop_marks(message["content"]) for message in doc["messages"]]

    assert [message["role"] for message in out["messages"]] == [
        "user" if at % 2 == 0 else "assistant" for at in range(len(out["messages"]))
    ]
    sent = [
        piece for message in out["messages"] for piece in listed(drop_marks(message["content"]))
    ]
    assert sent == [piece for content in bare for piece in content]


@given(bodies())
def test_at_most_four_marks_are_sent_and_the_long_lived_come_first(doc):
    asked = anthropic.decode_request(doc, model=doc["model"], stream=False)
    out = json.loads(anthropic.encode_request(asked).body)
    places = [*out["tools"], *out.get("system", [])]
    places += [b for m in out["messages"] if isinstance(m["content"], list) for b in m["content"]]
    ttls = [b["cache_control"].get("ttl", "5m") for b in places if "cache_control" in b]

    assert len(ttls) <= 4
    assert ttls == sorted(ttls)  # "1h" before "5m"


def drop_marks(content):
    return [{k: v for k, v in b.items() if k != "cache_control"} for b in listed(content)]


def listed(content):
    return [{"type": "text", "text": content}] if isinstance(content, str) else content


# ── requests, read ───────────────────────────────────────────────────────────────────────────


def test_claude_codes_request_is_understood():
    asked = decoded(
        model=NEW,
        thinking={"type": "adaptive", "display": "omitted"},
        output_config={"effort": "high"},
        metadata={"user_id": '{"session_id":"s-1"}'},
        system=[
            {"type": "text", "text": "x-anthropic-billing-header: cc_version=9;"},
            {"type": "text", "text": "Be kind.", "cache_control": {"type": "ephemeral"}},
        ],
        messages=[
            {"role": "user", "content": "look"},
            {"role": "system", "content": "Agents: none."},
            {
                "role": "assistant",
                "content": [
                    {"type": "thinking", "thinking": "hm", "signature": ""},
                    {"type": "tool_use", "id": "toolu_1", "name": "Bash", "input": {"c": "ls"}},
                ],
            },
            {
                "role": "user",
                "content": [
                    {
                        "type": "tool_result",
                        "tool_use_id": "toolu_1",
                        "is_error": True,
                        "content": [
                            {"type": "text", "text": "no"},
                            {
                                "type": "image",
                                "source": {
                                    "type": "base64",
                                    "media_type": "image/png",
                                    "data": PNG,
                                },
                            },
                        ],
                    }
                ],
            },
        ],
        tools=[{"name": "Bash", "input_schema": {"type": "object"}, "eager_input_streaming": True}],
        context_management={"edits": []},
    )

    assert asked.system == (Text("Be kind.", cache=CacheMark()),)  # case 29: no billing block
    assert asked.turns == (
        user("look"),
        Turn("system", (Text("Agents: none."),)),  # case 7
        assistant(Thinking("hm"), ToolCall("toolu_1", "Bash", '{"c":"ls"}')),
        user(ToolResult("toolu_1", (Text("no"), Image(Base64("image/png", PNG))), is_error=True)),
    )
    assert asked.reasoning == Reasoning(mode="effort", effort="high", show="none")
    assert asked.cache_key == "s-1"
    assert asked.tools == (Tool("Bash", schema={"type": "object"}),)
    own = asked.extras["anthropic"]
    assert own["context_management"] == {"edits": []}
    assert own["system"][0]["text"].startswith("x-anthropic-billing-header:")


@pytest.mark.parametrize(
    ("source", "part"),
    [
        (
            {"type": "base64", "media_type": "application/pdf", "data": "JVBERi0x"},
            File(Base64("application/pdf", "JVBERi0x"), name="t"),
        ),
        ({"type": "text", "media_type": "text/plain", "data": "x"}, File(PlainText("x"), name="t")),
        ({"type": "url", "url": "https://a/b.pdf"}, File(Url("https://a/b.pdf"), name="t")),
        ({"type": "file", "file_id": "file_1"}, File(FileId("file_1", "anthropic"), name="t")),
        (
            {"type": "content", "content": [{"type": "text", "text": "a"}]},
            File(PlainText("a"), name="t"),
        ),
    ],
)
def test_documents_are_read(source, part):
    document = {"type": "document", "source": source, "title": "t"}
    asked = decoded(messages=[{"role": "user", "content": [document]}])

    assert asked.turns == (user(part),)


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        ({"type": "auto"}, (ToolChoice("auto"), None)),
        ({"type": "any"}, (ToolChoice("required"), None)),
        ({"type": "tool", "name": "f"}, (ToolChoice("required", ("f",)), None)),
        ({"type": "none"}, (ToolChoice("none"), None)),
        ({"type": "auto", "disable_parallel_tool_use": True}, (ToolChoice("auto"), False)),
    ],
)
def test_tool_choices_are_read(choice, expected):  # case 51
    asked = decoded(tool_choice=choice)

    assert (asked.tool_choice, asked.parallel_tools) == expected


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, Reasoning()),
        ({"thinking": {"type": "disabled"}}, Reasoning(mode="off")),
        ({"thinking": {"type": "adaptive"}}, Reasoning(mode="auto")),
        (
            {"thinking": {"type": "enabled", "budget_tokens": 2048, "display": "summarized"}},
            Reasoning(mode="budget", budget=2048, show="summary"),
        ),
        ({"output_config": {"effort": "max"}}, Reasoning(mode="effort", effort="max")),
    ],
)
def test_thinking_is_read(fields, expected):
    asked = decoded(**fields)

    assert asked.reasoning == expected


@pytest.mark.parametrize("place", ["output_config", "output_format"])
def test_a_wanted_schema_is_read_from_both_places(place):
    wanted = {"type": "json_schema", "schema": {"type": "object"}}
    asked = decoded(**{place: {"format": wanted} if place == "output_config" else wanted})

    assert asked.output == Output("json_schema", schema={"type": "object"})


def test_a_client_run_tool_is_told_to_others_as_a_function():  # case 46
    raw = {"type": "bash_20250124", "name": "bash"}
    asked = decoded(tools=[raw])

    assert asked.tools[0].schema["properties"].keys() == {"command", "restart"}
    assert asked.tools[0].native is None
    assert written(asked)[0]["tools"] == [raw]


def test_a_server_run_tool_and_its_blocks_stay_as_they_are():  # case 76
    search = {"type": "web_search_20250305", "name": "web_search"}
    call = {"type": "server_tool_use", "id": "srv_1", "name": "web_search", "input": {"q": "a"}}
    result = {"type": "web_search_tool_result", "tool_use_id": "srv_1", "content": []}
    messages = [
        {"role": "user", "content": "find"},
        {"role": "assistant", "content": [call, result, {"type": "text", "text": "so"}]},
        {"role": "user", "content": "more"},
    ]
    asked = decoded(tools=[search], messages=messages)

    assert asked.tools == (Tool("web_search", native=search, dialect="anthropic"),)
    assert asked.turns[1].parts[:2] == (Opaque("anthropic", call), Opaque("anthropic", result))
    body = written(asked)[0]
    assert drop_marks(body["messages"][1]["content"]) == messages[1]["content"]
    assert body["tools"] == [search]


@pytest.mark.parametrize(
    ("messages", "path"),
    [
        ([{"role": "user", "content": [{"type": "image_url"}]}], "messages[0].content[0]"),
        ([{"role": "user", "content": "a"}, {"role": "tool", "content": "b"}], "messages[1].role"),
        (
            [{"role": "user", "content": [{"type": "image", "source": {"type": "tape"}}]}],
            "messages[0].content[0].source",
        ),
    ],
)
def test_what_nobody_can_read_is_refused_by_its_place(messages, path):  # case 194
    with pytest.raises(Refused) as refused:
        decoded(messages=messages)

    assert refused.value.failure.kind is Kind.INVALID
    assert refused.value.failure.message.startswith(f"{path}: ")


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ({"messages": "hi"}, "messages"),
        ({"messages": [{"content": "hi"}]}, "messages[0].role"),
        (
            {"messages": [{"role": "user", "content": [{"type": "text"}]}]},
            "messages[0].content[0].text",
        ),
        ({"max_tokens": "many"}, "max_tokens"),
        ({"tools": [{"input_schema": {}}]}, "tools[0].name"),
        ({"stop_sequences": [1]}, "stop_sequences[0]"),
    ],
)
def test_a_wrong_form_is_named_by_its_path(fields, path):
    with pytest.raises(jsonio.Malformed) as malformed:
        decoded(**fields)

    assert malformed.value.path == path


def test_unknown_fields_are_kept_for_this_dialect_alone():
    asked = decoded(thread={"type": "create"}, speed="fast")

    assert asked.extras == {"anthropic": {"thread": {"type": "create"}, "speed": "fast"}}
    assert written(asked)[0]["speed"] == "fast"


# ── requests, written: conversation ──────────────────────────────────────────────────────────


def test_results_come_first_in_the_turn_after_their_calls():  # cases 28, 58, 59
    body = body_of(
        user("go"),
        assistant(ToolCall("a", "f", "{}"), ToolCall("b", "f", "{}")),
        user("wait"),
        user(ToolResult("b", (Text("2"),))),
        user(ToolResult("a", (Text("1"),))),
        tools=(Tool("f"),),
    )

    assert drop_marks(body["messages"][2]["content"]) == [
        {"type": "tool_result", "tool_use_id": "a", "content": "1"},
        {"type": "tool_result", "tool_use_id": "b", "content": "2"},
        {"type": "text", "text": "wait"},
    ]


def test_instructions_in_the_middle_stay_in_their_place_after_the_results():  # case 6
    body = body_of(
        user("go"),
        assistant(ToolCall("a", "f", "{}")),
        Turn("system", (Text("switch"),)),
        user(ToolResult("a", (Text("1"),))),
        tools=(Tool("f"),),
    )

    kinds = [piece["type"] for piece in body["messages"][-1]["content"]]
    assert kinds == ["tool_result", "text"]
    assert "switch" in body["messages"][-1]["content"][1]["text"]
    assert "system" not in body


def test_leading_instructions_stay_separate_blocks():  # case 5
    body = body_of(system=(Text("a"), Text("b", cache=CacheMark("1h")), Text(" ")))

    assert body["system"] == [
        {"type": "text", "text": "a"},
        {"type": "text", "text": "b", "cache_control": {"type": "ephemeral", "ttl": "1h"}},
    ]


def test_instructions_alone_get_a_turn_to_answer():  # case 8
    asked = Request(dialect="openai-chat", model=OLD, system=(Text("Name this chat."),))

    assert written(asked)[0]["messages"] == [{"role": "user", "content": [text(".")]}]


def test_empty_texts_are_left_out():  # cases 12, 14
    body = body_of(user("a"), assistant(""), user(" ", "b"))

    assert body["messages"] == [{"role": "user", "content": [text(t) for t in "ab"]}]


def test_ids_used_in_several_turns_are_told_apart():  # cases 71, 72
    body = body_of(
        user("go"),
        assistant(ToolCall("functions.f:0", "f", "{}")),
        user(ToolResult("functions.f:0", (Text("1"),))),
        assistant(ToolCall("functions.f:0", "f", "{}")),
        user(ToolResult("functions.f:0", (Text("2"),))),
        tools=(Tool("f"),),
    )
    calls = [body["messages"][at]["content"][0]["id"] for at in (1, 3)]
    results = [body["messages"][at]["content"][0] for at in (2, 4)]

    assert len(set(calls)) == 2
    assert [result["tool_use_id"] for result in results] == calls
    assert [result["content"] for result in results] == ["1", "2"]
    assert all(i.replace("_", "").replace("-", "").isalnum() for i in calls)


def test_a_call_without_its_result_is_answered_and_an_orphan_becomes_text():  # cases 55, 56
    body = body_of(
        user(ToolResult("gone", (Text("42"),))),
        assistant(ToolCall("a", "f", "{}")),
        user("next"),
        tools=(Tool("f"),),
    )

    assert "42" in body["messages"][0]["content"][0]["text"]
    assert body["messages"][2]["content"][0]["is_error"] is True


def test_an_empty_result_has_no_content():  # case 62
    body = body_of(
        user("go"), assistant(ToolCall("a", "f")), user(ToolResult("a")), tools=(Tool("f"),)
    )

    assert drop_marks(body["messages"][2]["content"]) == [
        {"type": "tool_result", "tool_use_id": "a"}
    ]


@pytest.mark.parametrize(
    ("arguments", "spelt"),
    [
        ("", b'"input":{}'),  # case 66
        (
            '{"id":9007199254740993123,"x":1.0,"y":1e3}',
            b'{"id":9007199254740993123,"x":1.0,"y":1e3}',
        ),
        ('{"a":1}</s>', b'"input":{"a":1}'),
        ("[1,2]", b'"input":{"value":[1,2]}'),  # case 68
        ('"{\\"a\\":1}"', b'"input":{"a":1}'),  # case 69
        ("half {", b'"input":{"_raw":"half {"}'),
    ],
)
def test_arguments_are_sent_as_an_object_in_their_own_spelling(arguments, spelt):  # case 70
    asked = request(
        user("go"),
        assistant(ToolCall("a", "f", arguments)),
        user(ToolResult("a")),
        tools=(Tool("f"),),
    )

    assert spelt in anthropic.encode_request(asked).body


def test_thoughts_without_a_signature_of_anthropics_are_dropped():  # cases 77, 78, 79
    foreign = (Blob("openai", "encrypted_reasoning", "gAAA"),)
    envelope = (Blob("anthropic", "signature", "gw1:openai:gAAA"),)
    body = body_of(
        user("go"),
        assistant(Thinking("a"), Thinking("b", foreign), Thinking("c", envelope), "answer"),
        user("more"),
    )

    assert body["messages"][1]["content"] == [text("answer")]


def test_signed_thoughts_go_back_first_and_untouched():  # cases 80, 82
    redacted = Thinking("", (Blob("anthropic", "redacted", "Emw"),))
    body = body_of(user("go"), assistant("so", Thinking(" a ", SIGNED), redacted), user("more"))

    assert body["messages"][1]["content"] == [
        {"type": "thinking", "thinking": " a ", "signature": SIGNED[0].value},
        {"type": "redacted_thinking", "data": "Emw"},
        {"type": "text", "text": "so"},
    ]


def test_a_turn_of_thoughts_alone_is_left_out():
    body = body_of(user("go"), assistant(Thinking("a", SIGNED)), user("more"))

    assert [message["role"] for message in body["messages"]] == ["user", "user"]


@pytest.mark.parametrize(
    ("model", "last"),
    [(OLD, "assistant"), (NEW, "user"), ("claude-next", "user")],
)
def test_a_prefill_is_sent_where_it_is_taken(model, last):  # case 11
    body = body_of(user("json?"), assistant("{ "), model=model)

    assert body["messages"][-1]["role"] == last
    assert body["messages"][1]["content"] == [text("{" if last == "assistant" else "{ ")]


def test_a_first_turn_of_the_assistants_is_led_in():  # case 10
    body = body_of(assistant("hello"), user("hi"))

    assert body["messages"][0] == {"role": "user", "content": [text("(continue)")]}


def test_a_refusal_in_the_history_is_text():  # case 25
    body = body_of(user("go"), assistant(Refusal("no")), user("please"))

    assert body["messages"][1]["content"] == [text("no")]


@pytest.mark.parametrize(
    ("part", "block"),
    [
        (
            Image(Base64("image/jpeg", PNG)),  # case 20: the bytes are a PNG's
            {
                "type": "image",
                "source": {"type": "base64", "media_type": "image/png", "data": PNG},
            },
        ),
        (
            Image(Url("https://a/b.png")),
            {"type": "image", "source": {"type": "url", "url": "https://a/b.png"}},
        ),
        (
            File(Base64("application/pdf", "JVBERi0x"), name="a.pdf"),
            {
                "type": "document",
                "source": {"type": "base64", "media_type": "application/pdf", "data": "JVBERi0x"},
                "title": "a.pdf",
            },
        ),
        (
            File(Base64("text/csv", "YSxi")),
            {
                "type": "document",
                "source": {"type": "text", "media_type": "text/plain", "data": "a,b"},
            },
        ),
    ],
)
def test_media_are_sent(part, block):
    body = body_of(user("see", part))

    assert body["messages"][0]["content"][1] == block


@pytest.mark.parametrize(
    "part",
    [
        Image(Base64("image/bmp", "Qk0=")),
        Image(FileId("file-1", "openai-chat")),  # case 24
        Image(Url("ftp://a/b.png")),
        File(Base64("application/zip", "UEs=")),
        Audio("audio/wav", "UklGRg=="),
    ],
)
def test_media_that_cannot_be_sent_are_refused(part):
    with pytest.raises(Refused) as refused:
        encoded(user("see", part))

    assert refused.value.failure.kind is Kind.INVALID


def test_parts_of_other_vendors_are_named_as_dropped():
    foreign = Opaque("openai-responses", {"type": "computer_call"})
    _, out = encoded(user("go"), assistant(foreign, "so"), user("more"))

    assert out.dropped == ("computer_call",)


# ── requests, written: tools ─────────────────────────────────────────────────────────────────


def test_tool_names_are_changed_alike_everywhere_and_told():  # cases 30, 31, 32
    body, out = encoded(
        user("go"),
        assistant(ToolCall("a", "fs.read", "{}")),
        user(ToolResult("a")),
        tools=(Tool("fs.read"), Tool("fs_read"), Tool("x" * 200)),
        tool_choice=ToolChoice("required", ("fs.read",)),
    )
    names = [tool["name"] for tool in body["tools"]]

    assert len(set(names)) == 3
    assert names[1] == "fs_read"
    assert max(map(len, names)) <= 128
    assert body["tool_choice"]["name"] == names[0]
    assert body["messages"][1]["content"][0]["name"] == names[0]
    assert out.names[names[0]] == "fs.read"


def test_namespaces_are_flattened_and_doubles_are_declared_once():  # cases 33, 41
    body = body_of(
        tools=(Tool("close", namespace="agents"), Tool("agents__close"), Tool("f"), Tool("f"))
    )

    assert [tool["name"] for tool in body["tools"]] == ["agents__close", "f"]


@pytest.mark.parametrize("schema", [None, {}])
def test_a_tool_without_arguments_takes_an_empty_object(schema):  # case 34
    body = body_of(tools=(Tool("f", schema=schema),))

    assert body["tools"][0]["input_schema"] == {"type": "object", "properties": {}}


def test_a_union_at_the_root_is_merged():  # case 35
    a = {"type": "object", "properties": {"id": {}, "a": {}}, "required": ["id", "a"]}
    b = {"type": "object", "properties": {"id": {}, "b": {}}, "required": ["id", "b"]}
    schema = {"anyOf": [{"$ref": "#/$defs/A"}, b], "$defs": {"A": a}}
    tool = body_of(tools=(Tool("f", "Does f.", schema),))["tools"][0]

    assert tool["input_schema"]["type"] == "object"
    assert tool["input_schema"]["properties"].keys() == {"id", "a", "b"}
    assert tool["input_schema"]["required"] == ["id"]
    assert "anyOf" not in tool["input_schema"]
    assert "id, a; or id, b" in tool["description"]


def test_a_freeform_tool_is_a_function_of_one_string():  # case 43
    tool = Tool("patch", freeform=True, grammar={"syntax": "lark", "definition": "start: x"})
    body = body_of(
        user("go"),
        assistant(ToolCall("a", "patch", "*** Begin", freeform=True)),
        user(ToolResult("a")),
        tools=(tool,),
    )

    assert body["tools"][0]["input_schema"]["required"] == ["input"]
    assert "start: x" in body["tools"][0]["description"]
    assert body["messages"][1]["content"][0]["input"] == {"input": "*** Begin"}


@pytest.mark.parametrize(("model", "strict"), [(OLD, True), ("claude-sonnet-4-20250514", False)])
def test_strict_goes_to_models_that_have_it(model, strict):  # case 40
    tool = body_of(tools=(Tool("f", strict=True),), model=model)["tools"][0]

    assert tool.get("strict", False) is strict


@pytest.mark.parametrize(
    "search",
    [
        Tool("web_search", native={"type": "web_search"}, dialect="openai-responses"),
        Tool("googleSearch", native={"googleSearch": {}}, dialect="gemini"),
    ],
)
def test_another_vendors_web_search_is_anthropics_and_other_tools_are_dropped(
    search,
):  # cases 44, 46
    tools = (
        search,
        Tool("shell", native={"type": "local_shell"}, dialect="openai-responses"),
    )
    body, out = encoded(tools=tools)

    assert drop_marks(body["tools"]) == [{"type": "web_search_20250305", "name": "web_search"}]
    assert out.dropped == ("tools.shell",)


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, None),
        ({"tool_choice": ToolChoice("auto")}, {"type": "auto"}),
        ({"tool_choice": ToolChoice("none")}, {"type": "none"}),  # case 48
        ({"tool_choice": ToolChoice("required")}, {"type": "any"}),
        ({"tool_choice": ToolChoice("required", ("f",))}, {"type": "tool", "name": "f"}),
        (
            {"parallel_tools": False},  # case 51
            {"type": "auto", "disable_parallel_tool_use": True},
        ),
        (
            {"tool_choice": ToolChoice("required"), "parallel_tools": False},
            {"type": "any", "disable_parallel_tool_use": True},
        ),
    ],
)
def test_tool_choices_are_sent(fields, expected):
    body = body_of(tools=(Tool("f"), Tool("g")), **fields)

    assert body.get("tool_choice") == expected


def test_a_choice_without_tools_is_left_out():  # case 47
    body = body_of(tool_choice=ToolChoice("auto"), parallel_tools=False)

    assert "tool_choice" not in body


def test_several_allowed_tools_narrow_the_list():
    body = body_of(
        tools=(Tool("f"), Tool("g"), Tool("h")), tool_choice=ToolChoice("required", ("f", "h"))
    )

    assert [tool["name"] for tool in body["tools"]] == ["f", "h"]
    assert body["tool_choice"] == {"type": "any"}


def test_a_history_with_calls_keeps_its_tools_declared():  # case 49
    body = body_of(user("go"), assistant(ToolCall("a", "f", "{}")), user(ToolResult("a"), "sum up"))

    assert [tool["name"] for tool in body["tools"]] == ["f"]
    assert body["tool_choice"] == {"type": "none"}


# ── requests, written: thinking, limits, sampling ────────────────────────────────────────────


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        ("claude-3-5-haiku-20241022", 8192),
        ("claude-3-opus-20240229", 4096),
        ("claude-sonnet-4-20250514", 64000),
        ("claude-opus-4-1", 32000),
        (NEW, 64000),
        ("claude-next", 8192),
        ("kimi-k3", 8192),
    ],
)
def test_an_answer_without_a_limit_gets_the_models(model, expected):  # case 1
    assert body_of(model=model)["max_tokens"] == expected


@pytest.mark.parametrize(
    ("asked", "thinking", "effort"),
    [
        (Reasoning(), None, None),
        (Reasoning(mode="off"), {"type": "disabled"}, None),
        (Reasoning(mode="auto"), {"type": "adaptive"}, None),
        (Reasoning(mode="effort", effort="minimal"), {"type": "adaptive"}, "low"),
        (Reasoning(mode="effort", effort="xhigh"), {"type": "adaptive"}, "xhigh"),
        (Reasoning(mode="budget", budget=8000), {"type": "adaptive"}, "medium"),
        (
            Reasoning(mode="effort", effort="high", show="summary"),
            {"type": "adaptive", "display": "summarized"},
            "high",
        ),
    ],
)
@pytest.mark.parametrize("model", [NEW, "claude-haiku-6", "claude-next"])
def test_new_models_think_as_they_see_fit(model, asked, thinking, effort):
    body = body_of(model=model, reasoning=asked, max_output_tokens=100)

    assert body.get("thinking") == thinking
    assert body.get("output_config", {}).get("effort") == effort
    assert body["max_tokens"] == 100


@pytest.mark.parametrize(
    ("asked", "room", "budget", "max_tokens"),
    [
        (Reasoning(mode="effort", effort="low"), 30000, 2048, 30000),
        (Reasoning(mode="effort", effort="max"), 30000, 28976, 30000),
        (Reasoning(mode="budget", budget=100), 30000, 1024, 30000),
        (Reasoning(mode="budget", budget=8192), 4096, 8192, 12288),
        (Reasoning(mode="budget", budget=60000), 60000, 60000, 64000),
        (Reasoning(mode="auto"), 30000, 8192, 30000),
    ],
)
def test_older_models_think_within_the_answers_room(asked, room, budget, max_tokens):  # case 97
    body = body_of(reasoning=asked, max_output_tokens=room)

    assert body["thinking"] == {"type": "enabled", "budget_tokens": budget}
    assert body["max_tokens"] == max_tokens
    assert budget < max_tokens


def test_models_that_cannot_think_are_not_asked_to():  # case 96
    body, out = encoded(
        model="claude-3-5-haiku-latest", reasoning=Reasoning(mode="effort", effort="high")
    )

    assert "thinking" not in body
    assert "output_config" not in body
    assert out.dropped == ("reasoning",)


@pytest.mark.parametrize("model", [OLD, NEW])
def test_a_forced_tool_turns_thinking_off(model):  # case 50
    body, out = encoded(
        model=model,
        tools=(Tool("f"),),
        tool_choice=ToolChoice("required", ("f",)),
        reasoning=Reasoning(mode="effort", effort="high"),
    )

    assert body["thinking"] == {"type": "disabled"}
    assert body["tool_choice"]["type"] == "tool"
    assert out.dropped == ("reasoning",)


@pytest.mark.parametrize(
    ("model", "blobs", "kind"),
    [(OLD, (), "disabled"), (OLD, SIGNED, "enabled"), (NEW, (), "adaptive")],
)
def test_a_tool_loop_without_its_thoughts_goes_on_without_thinking(model, blobs, kind):  # case 82
    body = body_of(
        user("go"),
        assistant(Thinking("hm", blobs), ToolCall("a", "f", "{}")),
        user(ToolResult("a")),
        model=model,
        tools=(Tool("f"),),
        reasoning=Reasoning(mode="effort", effort="high"),
    )

    assert body["thinking"]["type"] == kind


def test_thoughts_are_not_cleared_where_there_are_none():
    edits = [{"type": "clear_thinking_20251015"}, {"type": "clear_tool_uses_20250919"}]
    asked = decoded(thinking={"type": "disabled"}, context_management={"edits": edits})

    assert written(asked)[0]["context_management"] == {"edits": edits[1:]}


@pytest.mark.parametrize(
    ("model", "given", "sent", "dropped"),
    [
        (OLD, Sampling(temperature=1.5), {"temperature": 1}, ()),  # case 99
        (OLD, Sampling(temperature=0.0, top_p=0.9), {"temperature": 0.0}, ("top_p",)),  # case 101
        (OLD, Sampling(top_p=0.9, top_k=5), {"top_p": 0.9, "top_k": 5}, ()),
        (NEW, Sampling(temperature=0.2), {}, ("temperature",)),  # case 100
        (NEW, Sampling(temperature=1.0), {}, ()),
        ("kimi-k3", Sampling(temperature=0.2, top_p=0.9), {"temperature": 0.2, "top_p": 0.9}, ()),
        (OLD, Sampling(seed=1, logit_bias={"1": 2}), {}, ("seed", "logit_bias")),  # case 110
    ],
)
def test_sampling_goes_to_models_that_take_it(model, given, sent, dropped):
    body, out = encoded(model=model, sampling=given)

    assert {k: body[k] for k in ("temperature", "top_p", "top_k") if k in body} == sent
    assert out.dropped == dropped
    old = bool(sent) or model == "kimi-k3"
    assert out.headers == {"anthropic-version": "2023-06-01" if old else "2026-10-21"}


def test_sampling_gives_way_to_thinking():  # case 102
    body, out = encoded(
        sampling=Sampling(temperature=0.2, top_k=5),
        reasoning=Reasoning(mode="effort", effort="low"),
    )

    assert body["thinking"]["type"] == "enabled"
    assert not body.keys() & {"temperature", "top_k"}
    assert out.dropped == ("temperature", "top_k")


def test_several_answers_are_refused():  # case 108
    with pytest.raises(Refused) as refused:
        encoded(sampling=Sampling(n=2))

    assert refused.value.failure.param == "n"


def test_blank_stops_are_enforced_here():  # case 106
    body, out = encoded(stop=("END", "\n"))

    assert body["stop_sequences"] == ["END"]
    assert (out.stops, out.dropped) == (("\n",), ())


def test_a_schema_is_closed_and_told_what_cannot_be_enforced():  # case 111
    schema = {
        "type": "object",
        "properties": {
            "age": {"type": "integer", "minimum": 0},
            "format": {"type": "string", "pattern": "^a"},
        },
    }
    body = body_of(output=Output("json_schema", schema=schema))

    assert body["output_config"]["format"] == {
        "type": "json_schema",
        "schema": {
            "type": "object",
            "properties": {
                "age": {"type": "integer", "description": "minimum: 0"},
                "format": {"type": "string", "description": "pattern: ^a"},
            },
            "additionalProperties": False,
        },
    }


@pytest.mark.parametrize(
    ("model", "output"),
    [
        (OLD, Output("json_object")),  # case 112
        ("kimi-k3", Output("json_schema", schema={"type": "object"})),
        ("kimi-k3", Output("json_schema", schema={"type": "array", "items": {}})),
    ],
)
def test_a_form_that_cannot_be_enforced_is_asked_for_in_words(model, output):
    body = body_of(model=model, output=output)

    assert "output_config" not in body
    assert "JSON" in body["system"][-1]["text"]


def test_a_user_of_another_dialect_is_not_named():
    foreign, own = body_of(end_user="ann@x.example"), decoded(metadata={"user_id": '{"a":1}'})

    assert "ann" not in foreign["metadata"]["user_id"]
    assert written(own)[0]["metadata"] == {"user_id": '{"a":1}'}


def test_foreign_fields_that_would_show_are_named():
    extras = {"openai-responses": {"modalities": ["audio"], "truncation": "auto"}}
    body, out = encoded(extras=extras, metadata={"a": "b"}, service_tier="flex")

    assert out.dropped == ("service_tier", "metadata", "modalities")
    assert body.keys() == {"model", "max_tokens", "messages"}


@pytest.mark.parametrize("field", ["previous_response_id", "conversation", "prompt", "background"])
def test_state_at_another_vendor_is_refused(field):  # case 182
    with pytest.raises(Refused, match=field):
        encoded(extras={"openai-responses": {field: "x"}})


# ── requests, written: cache marks ───────────────────────────────────────────────────────────


def marked_texts(body):
    return [
        b["text"] for m in body["messages"] for b in listed(m["content"]) if "cache_control" in b
    ]


def test_the_earliest_marks_of_the_messages_go_first():  # case 127
    mark = CacheMark()
    turns = [user(Text(str(at), cache=mark), "x") for at in range(4)]
    conversation = [t for turn in turns for t in (turn, assistant("ok"))][:-1]
    body = body_of(*conversation, system=(Text("s", cache=mark),), tools=(Tool("f", cache=mark),))

    assert marked_texts(body) == ["2", "3"]
    assert "cache_control" in body["system"][0]
    assert "cache_control" in body["tools"][0]


def test_an_agents_conversation_is_marked_when_nobody_did():  # case 127
    body = body_of(system=(Text("a"), Text("b")), tools=(Tool("f"), Tool("g")))

    assert ["cache_control" in tool for tool in body["tools"]] == [False, True]
    assert ["cache_control" in text for text in body["system"]] == [False, True]
    assert marked_texts(body) == ["hi"]


def test_a_single_question_is_not_marked():
    assert b"cache_control" not in anthropic.encode_request(request()).body


def test_a_mark_inside_a_result_is_the_results():
    body = body_of(
        user("go"),
        assistant(ToolCall("a", "f", "{}")),
        user(ToolResult("a", (Text("1", cache=CacheMark()),))),
        tools=(Tool("f"),),
    )

    assert body["messages"][2]["content"] == [
        {
            "type": "tool_result",
            "tool_use_id": "a",
            "content": "1",
            "cache_control": {"type": "ephemeral"},
        }
    ]


# ── answers ──────────────────────────────────────────────────────────────────────────────────

STOPS = [
    ("end_turn", FinishReason.STOP),
    ("max_tokens", FinishReason.LENGTH),
    ("stop_sequence", FinishReason.STOP_SEQUENCE),
    ("pause_turn", FinishReason.PAUSE),
    ("refusal", FinishReason.REFUSAL),
    ("model_context_window_exceeded", FinishReason.CONTEXT_WINDOW),
]


@pytest.mark.parametrize(("word", "reason"), STOPS)
def test_stop_reasons_go_both_ways(word, reason):
    sequence = "END" if word == "stop_sequence" else None
    doc = {"content": [], "stop_reason": word, "stop_sequence": sequence}
    answer = anthropic.decode_response(doc)
    back = json.loads(anthropic.encode_response(answer, reply()))

    assert (answer.finish, answer.finish_raw) == (reason, "")
    assert (back["stop_reason"], back["stop_sequence"]) == (word, sequence)


@pytest.mark.parametrize(
    ("finish", "parts", "word"),
    [
        (FinishReason.STOP, (ToolCall("a", "f", "{}"),), "tool_use"),
        (FinishReason.TOOL_CALLS, (Text("a"),), "end_turn"),
        (FinishReason.LENGTH, (ToolCall("a", "f", '{"a'),), "max_tokens"),  # case 74
        (FinishReason.STOP_SEQUENCE, (Text("a"),), "end_turn"),  # case 107
        (FinishReason.CONTENT_FILTER, (), "refusal"),
        (FinishReason.STOP, (Refusal("no"),), "refusal"),
        (FinishReason.MALFORMED_CALL, (), "end_turn"),
        (FinishReason.OTHER, (), "end_turn"),
    ],
)
def test_the_reason_fits_the_content(finish, parts, word):
    answer = Response("msg_1", "m", parts, finish)
    whole = json.loads(anthropic.encode_response(answer, reply()))
    streamed = json.loads(frames(stream(answer))[-2].data)

    Message.model_validate(whole)
    assert whole["stop_reason"] == word
    assert streamed["delta"]["stop_reason"] == word


def test_an_unknown_stop_reason_is_kept_as_it_came():
    answer = anthropic.decode_response({"content": [], "stop_reason": "tired"})

    assert (answer.finish, answer.finish_raw) == (FinishReason.OTHER, "tired")


def test_a_refusals_explanation_is_told():
    details = {"type": "refusal", "category": "bio", "explanation": "policy"}
    answer = anthropic.decode_response(
        {"content": [], "stop_reason": "refusal", "stop_details": details}
    )
    delta = {"type": "message_delta", "delta": {"stop_reason": "refusal", "stop_details": details}}
    streamed = fold(read(START, delta, {"type": "message_stop"}))

    assert answer.parts == streamed.parts == (Refusal("policy"),)


def test_an_answer_says_the_clients_model_and_an_id_of_this_dialect():  # case 191
    answer = Response("chatcmpl-1", "gpt-5", (Text("a"),))
    back = json.loads(anthropic.encode_response(answer, reply("openai/gpt-5")))

    assert back["model"] == "openai/gpt-5"
    assert back["id"] == "msg_chatcmpl-1"


def test_what_anthropics_clients_would_refuse_is_left_out():  # case 84
    parts = (Text(""), Thinking("", (Blob("gemini", "thought_signature", "x"),)), Text("a"))
    answer = Response("msg_1", "m", (*parts, Opaque("gemini", {})))
    whole = json.loads(anthropic.encode_response(answer, reply()))
    streamed = anthropic.decoder()
    events = [event for frame in frames(stream(answer)) for event in streamed.read(frame)]

    assert whole["content"] == [{"type": "text", "text": "a"}]
    assert fold(events).parts == (Text("a"),)


@given(usages())
def test_usage_goes_both_ways(usage):  # cases 119, 120
    back = json.loads(anthropic.encode_response(Response("msg_1", "m", usage=usage), reply()))

    spent = back["usage"]
    assert spent["input_tokens"] == usage.input_total - usage.input_cached - usage.input_cache_write
    assert anthropic.decode_response(back).usage == usage


def test_an_error_in_place_of_an_answer_is_a_failure():
    doc = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}

    assert anthropic.notice_whole(doc).failure.kind is Kind.OVERLOADED
    with pytest.raises(Refused):
        anthropic.decode_response(doc)


def test_a_whole_answer_is_noticed():
    doc = {"content": [{"type": "text", "text": "a"}], "usage": {"output_tokens": 2}}

    assert anthropic.notice_whole(doc) == Notice(begun=True, usage=Usage(output_total=2))
    assert anthropic.notice_whole({**doc, "stop_reason": "end_turn"}).finished


# ── streams, read ────────────────────────────────────────────────────────────────────────────


def test_usage_is_replaced_field_by_field():
    answer = fold(read(START, *END))

    assert answer.usage == Usage(input_total=90, input_cached=64, output_total=31)


def test_blocks_that_interleave_are_told_one_after_another():  # case 145
    def delta(at, piece):
        return {
            "type": "content_block_delta",
            "index": at,
            "delta": {"type": "input_json_delta", "partial_json": piece},
        }

    a, b = ({"type": "tool_use", "id": name, "name": name, "input": {}} for name in "ab")
    events = read(
        START,
        block(0, a)[0],
        block(1, b)[0],
        delta(1, '{"n":'),
        delta(0, '{"n":1}'),
        delta(1, "2}"),
        *(block(at, {})[-1] for at in (1, 0)),
        *END,
    )

    assert fold(events).parts == (ToolCall("a", "a", '{"n":1}'), ToolCall("b", "b", '{"n":2}'))
    ats = [event.at for event in events if isinstance(event, (PartStart, PartDelta, PartEnd))]
    assert ats == sorted(ats)


@pytest.mark.parametrize(
    ("raw", "deltas", "arguments"),
    [
        ({"input": {}}, (), "{}"),
        ({"input": {}}, ("",), "{}"),
        ({"input": {"a": 1}}, (), '{"a":1}'),
        ({}, ('{"a"', ": 1}"), '{"a": 1}'),
    ],
)
def test_arguments_are_read_however_they_come(raw, deltas, arguments):
    pieces = ({"type": "input_json_delta", "partial_json": piece} for piece in deltas)
    call = {"type": "tool_use", "id": "a", "name": "f", **raw}

    assert fold(read(START, *block(0, call, *pieces), *END)).parts == (
        ToolCall("a", "f", arguments),
    )


def test_a_call_without_an_id_gets_the_same_one_each_time():
    call = block(0, {"type": "tool_use", "name": "f"})
    first, second = (fold(read(START, *call, *END)).parts[0].id for _ in range(2))

    assert first == second != ""


def test_a_servers_own_steps_are_told_whole():
    call = {"type": "server_tool_use", "id": "srv", "name": "web_search", "input": {}}
    piece = {"type": "input_json_delta", "partial_json": '{"q":"sun"}'}
    citation = {"type": "web_search_result_location", "url": "https://a"}
    answer = fold(
        read(
            START,
            *block(0, call, piece),
            *block(
                1,
                {"type": "text", "text": "", "citations": []},
                {"type": "text_delta", "text": "hot"},
                {"type": "citations_delta", "citation": citation},
            ),
            *END,
        )
    )

    assert answer.parts == (
        Opaque("anthropic", {**call, "input": {"q": "sun"}}),
        Text("hot", citations=(Citation(url="https://a", dialect="anthropic", raw=citation),)),
    )
    again = anthropic.decoder()
    events = [event for frame in frames(stream(answer)) for event in again.read(frame)]
    assert fold(events).parts == answer.parts


def test_a_stream_without_its_last_event_is_complete_once_it_said_why_it_stopped():
    assert fold(read(START, END[0])).finish is FinishReason.STOP


def test_a_stream_without_a_beginning_or_ends_of_blocks_is_read():
    text = block(0, {"type": "text", "text": "a"})[:1]

    assert fold(read(*text, *END)).parts == (Text("a"),)


def test_names_of_events_count_where_the_data_says_no_type():  # case 139
    decoder = anthropic.decoder()

    assert list(decoder.read(sse.Frame(b'{"message":{"id":"msg_1"}}', "message_start"))) == [
        ResponseStart("msg_1", "")
    ]


@pytest.mark.parametrize(
    ("frame", "kind"),
    [
        (b'{"type":"error","error":{"type":"overloaded_error","message":"x"}}', Kind.OVERLOADED),
        (b'{"type":"error","error":{"type":"rate_limit_error","message":"x"}}', Kind.RATE_LIMIT),
        (b'{"type": "error", "error": {"type":"api_error","message":"x"}}', Kind.SERVER),
        (b'{"error":{"type":"server_error","message":"x"}}', Kind.SERVER),
        (b'{"type":"error","message":"x"}', Kind.SERVER),
        (
            b'{"type":"error","error":{"type":"invalid_request_error","message":"x"}}',
            Kind.INVALID,
        ),
    ],
)
def test_errors_in_a_stream_are_seen_in_every_form(frame, kind):
    decoder = anthropic.decoder()
    told = list(decoder.read(sse.Frame(frame)))

    assert [failure.kind for failure in told] == [kind]
    assert anthropic.notice(sse.Frame(frame)).failure.kind is kind
    assert list(decoder.end()) == []


@pytest.mark.parametrize(
    "data", [b'{"type":"ping"}', b'{"type": "ping"}', b"[DONE]", b'{"type":"new"}']
)
def test_what_tells_nothing_is_passed_over(data):
    frame = sse.Frame(data, "ping")

    assert list(anthropic.decoder().read(frame)) == []
    assert anthropic.notice(frame) is None


# ── streams, written ─────────────────────────────────────────────────────────────────────────


def test_a_call_with_thought_before_it_is_written_as_anthropic_does():
    sent = written_events(
        ResponseStart("msg_1", "x"),
        PartStart(0, Thinking("")),
        PartDelta(0, "hm"),
        PartBlob(0, SIGNED[0]),
        PartEnd(0),
        PartStart(1, ToolCall("a", "f")),
        PartDelta(1, '{"n":1}'),
        PartEnd(1),
        UsageReport(Usage(90, 64, 0, 31, 12)),
        Finish(FinishReason.TOOL_CALLS),
    )

    assert [doc["type"] for doc in sent[1:5]] == [
        "content_block_start",
        "content_block_delta",
        "content_block_delta",
        "content_block_stop",
    ]
    assert sent[3]["delta"] == {"type": "signature_delta", "signature": SIGNED[0].value}
    assert sent[5]["content_block"] == {"type": "tool_use", "id": "a", "name": "f", "input": {}}
    assert sent[-2] == {
        "type": "message_delta",
        "delta": {"stop_reason": "tool_use", "stop_sequence": None},
        "usage": {
            "input_tokens": 26,
            "cache_creation_input_tokens": 0,
            "cache_read_input_tokens": 64,
            "output_tokens": 31,
            "output_tokens_details": {"thinking_tokens": 12},
        },
    }


@pytest.mark.parametrize(
    ("call", "pieces", "expected"),
    [
        (ToolCall("a", "f"), [], ""),  # case 148
        (ToolCall("a", "f"), ["null"], "{}"),
        (ToolCall("a", "f"), ["[1", ",2]"], '{"value":[1,2]}'),
        (ToolCall("a", "f"), ['{"a":', "1}"], '{"a":1}'),
        (ToolCall("a", "f", freeform=True), ["*** ", "x"], '{"input":"*** x"}'),
    ],
)
def test_arguments_are_always_an_object(call, pieces, expected):
    sent = written_events(
        PartStart(0, call), *(PartDelta(0, piece) for piece in pieces), PartEnd(0)
    )
    deltas = [doc["delta"]["partial_json"] for doc in sent if "delta" in doc]

    assert "".join(deltas) == expected


def test_a_failure_ends_the_stream_with_an_error_alone():  # cases 156, 157
    sent = written_events(
        ResponseStart("msg_1", "x"),
        PartStart(0, Text("")),
        PartDelta(0, "a"),
        Failure(Kind.TRUNCATED, "ended early"),
    )

    assert sent[-1] == {"type": "error", "error": {"type": "api_error", "message": "ended early"}}
    assert "message_stop" not in [doc["type"] for doc in sent]


def test_the_heartbeat_is_a_ping():
    (frame,) = frames(anthropic.HEARTBEAT)

    assert frame == sse.Frame(b'{"type":"ping"}', "ping")


@pytest.mark.parametrize(
    ("raw", "safe"),
    [
        (b'data: {"type":"ping"}\n\n', b'event: ping\ndata: {"type":"ping"}\n\n'),
        (b'event: ping\ndata: {"type":"ping"}\n\n', None),
        (b'data: {"type":"ping"}\nevent: ping\n\n', None),
        (b": still here\n\n", None),
        (b"data: [DONE]\n\n", None),
        (b'data: {"type":"a\\nb"}\n\n', None),
    ],
)
def test_events_get_the_name_that_the_sdk_goes_by(raw, safe):  # case 139
    assert anthropic.canonical(raw) == (safe or raw)


# ── failures and lists ───────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("status", "kind", "message", "expected"),
    [
        (400, "invalid_request_error", "bad", Kind.INVALID),
        (400, "invalid_request_error", "prompt is too long: 9 tokens > 8 maximum", Kind.CONTEXT),
        (400, "invalid_request_error", "Your credit balance is too low", Kind.BILLING),
        (401, "authentication_error", "invalid x-api-key", Kind.AUTH),
        (403, "permission_error", "no", Kind.FORBIDDEN),
        (404, "not_found_error", "model: x", Kind.MODEL),
        (413, "request_too_large", "big", Kind.TOO_LARGE),
        (429, "rate_limit_error", "slow", Kind.RATE_LIMIT),
        (500, "api_error", "oops", Kind.SERVER),
        (504, "timeout_error", "late", Kind.TIMEOUT),
        (529, "overloaded_error", "busy", Kind.OVERLOADED),
    ],
)
def test_errors_are_understood(status, kind, message, expected):
    body = {"type": "error", "error": {"type": kind, "message": message}, "request_id": "req_1"}
    failure = anthropic.decode_failure(status, json.dumps(body).encode())

    assert (failure.kind, failure.message, failure.status) == (expected, message, status)


@given(st.integers(200, 599), st.binary(max_size=60))
def test_any_error_body_is_some_failure(status, body):  # cases 170, 171
    assert anthropic.decode_failure(status, body).message


def test_details_go_both_ways():
    details = {"error_code": "thread_unsupported_request", "unsupported": ["thread"]}
    error = {"type": "invalid_request_error", "message": "no threads", "details": details}
    failure = anthropic.decode_failure(400, json.dumps({"type": "error", "error": error}).encode())
    status, body = anthropic.encode_failure(failure, request_id="req_1")

    assert (status, json.loads(body)["error"]) == (400, error)


STATUSES = {
    Kind.INVALID: 400, Kind.CONTEXT: 400, Kind.UNSUPPORTED: 501, Kind.TOO_LARGE: 413,
    Kind.CLIENT_KEY: 401, Kind.FORBIDDEN_HERE: 403, Kind.NO_ROUTE: 404, Kind.METHOD: 405,
    Kind.MEDIA_TYPE: 415, Kind.MODEL: 404, Kind.CONFLICT: 409, Kind.AUTH: 503,
    Kind.FORBIDDEN: 503, Kind.NO_ACCOUNT: 503, Kind.BILLING: 429, Kind.RATE_LIMIT: 429,
    Kind.RESTING: 429, Kind.OVERLOADED: 529, Kind.SERVER: 502, Kind.TIMEOUT: 504,
    Kind.INTERNAL: 500, Kind.UNREACHABLE: 502, Kind.TRUNCATED: 502, Kind.BAD_REPLY: 502,
}  # fmt: skip


@pytest.mark.parametrize("kind", Kind)
def test_every_failure_can_be_told(kind):  # cases 167, 178
    status, body = anthropic.encode_failure(Failure(kind, "why"), request_id="req_1")

    document = json.loads(body)
    if kind not in (Kind.TOO_LARGE, Kind.CONFLICT):  # words of the API that the SDK has no type for
        ErrorResponse.model_validate(document)
    assert status == STATUSES[kind]
    assert document["request_id"] == "req_1"
    assert "why" in document["error"]["message"]


@pytest.mark.parametrize(
    ("message", "told"),
    [
        (
            "This model's maximum context length is 128000 tokens, you requested 130001 tokens",
            "prompt is too long: 130001 tokens > 128000 maximum",
        ),
        (
            "The input token count (2000000) exceeds the maximum number of tokens allowed (1048576).",
            "prompt is too long: 2000000 tokens > 1048576 maximum",
        ),
        ("prompt is too long: 9 tokens > 8 maximum", None),
        (
            "input length and `max_tokens` exceed context limit: 9 + 8 > 10",  # case 166
            None,
        ),
        ("too much", "prompt is too long: too much"),
    ],
)
def test_a_context_overflow_is_told_in_the_words_clients_look_for(message, told):  # case 165
    _, body = anthropic.encode_failure(Failure(Kind.CONTEXT, message), request_id="r")

    assert json.loads(body)["error"]["message"] == (told or message)


def test_models_are_listed_as_the_sdk_reads_them():
    models = [ModelInfo("claude/a", "anthropic", "A", 200_000, 64_000), ModelInfo("b", "x")]
    page = json.loads(anthropic.encode_models(models))
    first, second = map(SdkModel.model_validate, page["data"])

    assert (first.id, first.display_name, first.max_tokens) == ("claude/a", "A", 64_000)
    assert (second.display_name, second.lifecycle) == ("b", "active")
    assert (page["first_id"], page["last_id"], page["has_more"]) == ("claude/a", "b", False)
    assert json.loads(anthropic.encode_model(models[1])) == page["data"][1]


def test_an_empty_list_has_no_ends():
    page = json.loads(anthropic.encode_models([]))

    assert page == {"data": [], "has_more": False, "first_id": None, "last_id": None}


@pytest.mark.parametrize(
    ("doc", "expected"),
    [
        ({"model": "m", "stream": True}, ("m", True)),
        ({"model": "m"}, ("m", False)),
        ({}, ("", False)),
    ],
)
def test_a_body_says_its_model_and_whether_it_wants_a_stream(doc, expected):
    assert anthropic.peek(doc) == expected
