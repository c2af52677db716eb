"""Chat Completions: what clients send, what servers answer, and what the SDK makes of ours."""

import warnings

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai._models import construct_type
from openai.lib.streaming.chat import ChatCompletionStreamState
from openai.pagination import SyncPage
from openai.types import Model
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from openai.types.chat.completion_create_params import (
    CompletionCreateParamsNonStreaming,
    CompletionCreateParamsStreaming,
)
from pydantic import TypeAdapter

from proxypal_core.dialects import openai_chat as chat
from proxypal_core.dialects.base import Notice, Reply
from proxypal_core.hub.events import (
    Finish,
    PartCitation,
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
from tests.strategies import (
    arguments,
    cuttings,
    json_objects,
    json_values,
    names,
    responses,
    words,
)

PNG = "iVBORw0KGgo="
_BODIES = {
    True: TypeAdapter(CompletionCreateParamsStreaming),
    False: TypeAdapter(CompletionCreateParamsNonStreaming),
}

# ── arranging ────────────────────────────────────────────────────────────────────────────────


def request(*turns, dialect="anthropic", model="gpt-4o", **fields):
    return Request(dialect=dialect, model=model, turns=turns, **fields)


def user(*parts):
    return Turn("user", tuple(Text(part) if isinstance(part, str) else part for part in parts))


def assistant(*parts):
    return Turn("assistant", tuple(Text(part) if isinstance(part, str) else part for part in parts))


def decode(doc, **fields):
    return chat.decode_request({"model": "m", **doc, **fields}, model="m", stream=False)


def said(*messages, **fields):
    return decode({"messages": list(messages)}, **fields)


def encoded(asked):
    """The body for *asked*, which the SDK would take too."""
    body = jsonio.loads(chat.encode_request(asked).body)
    _BODIES[asked.stream].validate_python(body)
    return body


def messages(*turns, **fields):
    return encoded(request(*turns, **fields))["messages"]


def reply(**fields):
    asked = request(user("hi"), dialect="openai-chat", model="px/model", **fields)
    return Reply(asked, "fallback", 1795000000)


def stream(response, to):
    encoder = chat.encoder(to)
    return b"".join(encoder.write(event) for event in unfold(response))


def frames(*chunks):
    """A stream's frames read whole: *chunks* are documents, or data as it stands."""
    return [
        sse.Frame(chunk if isinstance(chunk, bytes) else jsonio.dumps(chunk)) for chunk in chunks
    ]


def events_of(*chunks):
    decoder = chat.decoder()
    events = [event for frame in frames(*chunks) for event in decoder.read(frame)]
    return [*events, *decoder.end()]


def delta(finish=None, index=0, **fields):
    return {
        "id": "chatcmpl-1",
        "model": "m",
        "choices": [{"index": index, "delta": fields, "finish_reason": finish}],
    }


def call_delta(**fields):
    return delta(tool_calls=[fields])


def docs_of(raw):
    """The chunks of a written stream, without its end mark."""
    parsed = [sse.parse(event) for event in sse.Splitter().feed(raw)]
    return [jsonio.loads(frame.data) for frame in parsed if frame.data != b"[DONE]"]


def accumulated(raw, build=ChatCompletionChunk.model_validate):
    """What OpenAI's helper makes of a written stream."""
    state = ChatCompletionStreamState()
    for doc in docs_of(raw):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # pydantic's, about fields of calls that are text
            state.handle_chunk(build(doc))
    return state.current_completion_snapshot


def as_read(response):
    """*response* as this dialect gives it back: with its own id and the client's model."""
    return msgspec.structs.replace(response, id=f"chatcmpl-{response.id}", model="px/model")


# ── laws ─────────────────────────────────────────────────────────────────────────────────────

_content = words | st.lists(words.map(lambda text: {"type": "text", "text": text}), max_size=3)


@st.composite
def _calls(draw, number):
    ids = [f"call_{number}_{index}" for index in range(draw(st.integers(1, 3)))]
    calls = [
        {
            "id": call_id,
            "type": "function",
            "function": {"name": draw(names), "arguments": draw(arguments)},
        }
        for call_id in ids
    ]
    results = [{"role": "tool", "tool_call_id": call_id, "content": draw(words)} for call_id in ids]
    return [
        {"role": "assistant", "content": draw(words | st.none()), "tool_calls": calls},
        *results,
    ]


@st.composite
def bodies(draw):
    talk = [{"role": "system", "content": draw(_content)}, {"role": "user", "content": draw(words)}]
    for number in range(draw(st.integers(0, 3))):
        talk += draw(
            _calls(number)
            | st.just([{"role": "assistant", "content": "so"}, {"role": "user", "content": "go"}])
            | st.just([{"role": "developer", "content": "switch"}])
        )
    optional = {
        "temperature": st.floats(0, 2),
        "max_tokens": st.integers(1, 10**6),
        "stop": words | st.lists(words, max_size=4),
        "tools": st.lists(
            st.fixed_dictionaries({"name": names, "parameters": json_objects}).map(
                lambda function: {"type": "function", "function": function}
            ),
            max_size=3,
            unique_by=lambda tool: tool["function"]["name"],
        ),
        "tool_choice": st.sampled_from(["auto", "none", "required"]),
        "reasoning_effort": st.sampled_from(["none", "low", "xhigh"]),
        "user": words,
        "x_unknown": json_objects,
    }
    return {"model": "m", "messages": talk, **draw(st.fixed_dictionaries({}, optional=optional))}


@given(bodies())
def test_a_request_is_stable_after_one_pass(body):
    once = jsonio.loads(chat.encode_request(decode(body)).body)

    twice = jsonio.loads(chat.encode_request(decode(once)).body)
    assert twice == once
    assert decode(once).turns == decode(body).turns


@given(responses())
def test_a_whole_answer_reads_back(response):
    doc = jsonio.loads(chat.encode_response(response, reply()))

    assert chat.decode_response(doc) == as_read(response)
    assert ChatCompletion.model_validate(doc).usage.total_tokens == response.usage.total


@given(responses(), st.data())
def test_a_stream_reads_back_however_it_is_cut(response, data):
    raw = stream(response, reply(include_usage=True))
    splitter, decoder, events = sse.Splitter(), chat.decoder(), []

    for chunk in data.draw(cuttings(raw)):
        for event in splitter.feed(chunk):
            events += decoder.read(sse.parse(event))
    events += decoder.end()

    assert fold(events) == as_read(response)


@given(responses())
def test_the_sdk_accumulates_a_stream_to_the_same_answer(response):
    snapshot = accumulated(stream(response, reply(include_usage=True)))

    message = snapshot.choices[0].message
    calls = [part for part in response.parts if isinstance(part, ToolCall)]
    texts = [part.text for part in response.parts if isinstance(part, Text)]
    assert message.role == "assistant"
    assert (message.content or "") == "".join(texts)
    assert [(c.id, c.function.name, c.function.arguments) for c in message.tool_calls or []] == [
        (call.id, call.name, call.arguments) for call in calls
    ]
    assert snapshot.choices[0].finish_reason == str(response.finish)


@given(responses())
def test_notices_tell_when_an_answer_begins_and_ends(response):
    raws = sse.Splitter().feed(stream(response, reply(include_usage=True)))
    notices = [chat.notice(sse.parse(raw)) for raw in raws]

    begun = [notice is not None and notice.begun for notice in notices]
    finished = [notice is not None and notice.finished for notice in notices]
    # The role first, the finish third from the end, then usage and the end mark.
    assert begun == [False, *[True] * (len(raws) - 4), False, False, False]
    assert finished == [False] * (len(raws) - 3) + [True, False, False]
    assert notices[-2].usage == response.usage


@given(responses(), st.data())
def test_no_beginning_of_a_stream_is_complete(response, data):
    raws = sse.Splitter().feed(stream(response, reply()))
    kept = raws[: data.draw(st.integers(0, len(raws) - 3))]

    decoder = chat.decoder()
    events = [event for raw in kept for event in decoder.read(sse.parse(raw))]
    events += decoder.end()

    assert isinstance(events[-1], Failure)
    assert events[-1].kind is Kind.TRUNCATED
    assert not any(notice and notice.finished for notice in map(chat.notice, map(sse.parse, kept)))


@given(st.permutations([0, 0, 0, 1, 1, 1]), st.integers(0, 2))
def test_interleaved_calls_never_interleave_parts(order, cut):
    """Case 145."""
    pieces = {0: ['{"a"', ":1", "}"], 1: ['{"b":"', "}", '"}']}
    left = {index: iter(parts) for index, parts in pieces.items()}
    first = [call_delta(index=i, id=f"call_{i}", function={"name": f"f{i}"}) for i in (0, 1)]
    rest = [call_delta(index=i, function={"arguments": next(left[i])}) for i in order]

    events = events_of(*first, *rest, delta(finish="tool_calls"))

    response = fold(events)
    assert [call.arguments for call in response.parts] == ['{"a":1}', '{"b":"}"}']
    assert _grammar(events) == [0, 1]


def _grammar(events):
    """The order of the parts; fails when they interleave."""
    order, at = [], None
    for event in events:
        match event:
            case PartStart():
                assert at is None
                at = event.at
                order.append(at)
            case PartDelta():
                assert event.at == at
            case PartEnd():
                assert event.at == at
                at = None
    assert at is None
    return order


@given(json_values)
def test_no_json_breaks_the_readers(value):
    doc = {"id": value, "choices": [{"delta": {"content": value, "tool_calls": value}}]}

    events = events_of(jsonio.dumps(value), doc)

    assert isinstance(events[-1], Failure)
    assert chat.decode_failure(500, jsonio.dumps(value)).message


# ── requests read ────────────────────────────────────────────────────────────────────────────


def test_leading_instructions_are_system_blocks_and_later_ones_stay_in_place():
    """Cases 5 to 7."""
    asked = said(
        {
            "role": "system",
            "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}],
        },
        {"role": "developer", "content": "c"},
        {"role": "user", "content": "hi"},
        {"role": "developer", "content": "switch"},
    )

    assert [block.text for block in asked.system] == ["a", "b", "c"]
    assert [turn.role for turn in asked.turns] == ["user", "system"]


def test_parallel_results_are_one_turn():
    """Case 59; case 15: a result may be an array of texts; case 62: or nothing."""
    asked = said(
        {"role": "user", "content": "go"},
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [
                {"id": "a", "type": "function", "function": {"name": "f", "arguments": "{}"}},
                {"id": "b", "type": "custom", "custom": {"name": "g", "input": "patch"}},
            ],
        },
        {"role": "tool", "tool_call_id": "a", "content": [{"type": "text", "text": "1"}]},
        {"role": "tool", "tool_call_id": "b", "content": None},
    )

    assert asked.turns[1:] == (
        Turn("assistant", (ToolCall("a", "f", "{}"), ToolCall("b", "g", "patch", freeform=True))),
        Turn("user", (ToolResult("a", (Text("1"),)), ToolResult("b"))),
    )


def test_null_and_empty_content_are_no_parts():
    """Cases 13 and 14."""
    asked = said({"role": "user", "content": "hi"}, {"role": "assistant", "content": None})

    assert asked.turns == (Turn("user", (Text("hi"),)),)


def test_every_kind_of_content_is_read():
    """Case 18 for the first image."""
    (turn,) = said(
        {
            "role": "user",
            "name": "ann",
            "content": [
                {"type": "text", "text": "look", "cache_control": {"type": "ephemeral"}},
                {
                    "type": "image_url",
                    "image_url": {"url": f"data:image/png;charset=x;base64,{PNG[:6]}\n{PNG[6:]}"},
                },
                {
                    "type": "image_url",
                    "image_url": {"url": "https://x.test/c.jpg", "detail": "low"},
                },
                {"type": "input_audio", "input_audio": {"data": "UklG", "format": "wav"}},
                {
                    "type": "file",
                    "file": {
                        "filename": "a.pdf",
                        "file_data": "data:application/pdf;base64,JVBERi0=",
                    },
                },
                {
                    "type": "file",
                    "file": {"file_id": "file-1"},
                    "prompt_cache_breakpoint": {"mode": "explicit", "ttl": "12h"},
                },
            ],
        }
    ).turns

    assert turn == Turn(
        "user",
        (
            Text("look", cache=CacheMark()),
            Image(Base64("image/png", PNG)),
            Image(Url("https://x.test/c.jpg"), "low"),
            Audio("audio/wav", "UklG"),
            File(Base64("application/pdf", "JVBERi0="), "a.pdf"),
            File(FileId("file-1", "openai-chat"), cache=CacheMark("1h")),
        ),
        "ann",
    )


@pytest.mark.parametrize(
    ("doc", "text"),
    [
        (
            {"messages": [{"role": "user", "content": [{"type": "video"}]}]},
            "messages[0].content[0]",
        ),
        ({"messages": [{"role": "robot", "content": "x"}]}, "messages[0].role"),
        ({"messages": []}, "messages"),
        ({}, "messages"),
        ({"messages": [{"role": "tool", "content": "x"}]}, "messages[0].tool_call_id"),
        (
            {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": "x"}]}]},
            "messages[0].content[0].image_url.url",
        ),
        (
            {"messages": [{"role": "user", "content": "x"}], "tool_choice": {"type": "x"}},
            "tool_choice",
        ),
        ({"messages": [{"role": "user", "content": "x"}], "temperature": "hot"}, "temperature"),
    ],
)
def test_what_is_wrong_is_named_by_its_path(doc, text):
    """Case 194 for the first."""
    with pytest.raises((Refused, jsonio.Malformed)) as error:
        decode(doc)

    assert str(error.value).startswith(f"{text}:")


def test_the_newer_name_of_the_limit_wins():
    """Case 2."""
    hi = {"role": "user", "content": "hi"}

    assert said(hi, max_tokens=100, max_completion_tokens=200).max_output_tokens == 200
    assert said(hi, max_tokens=100, max_completion_tokens=None).max_output_tokens == 100


def test_unknown_fields_and_what_the_hub_lacks_come_back_to_this_dialect():
    asked = said(
        {"role": "user", "content": "hi"},
        store=False,
        chat_template_kwargs={"a": 1},
        stream_options={"include_usage": True, "include_obfuscation": False},
    )

    assert asked.include_usage
    assert asked.extras == {
        "openai-chat": {
            "store": False,
            "chat_template_kwargs": {"a": 1},
            "stream_options": {"include_obfuscation": False},
        }
    }
    assert encoded(asked)["chat_template_kwargs"] == {"a": 1}


@pytest.mark.parametrize(
    ("value", "choice"),
    [
        ("auto", ToolChoice("auto")),
        ("none", ToolChoice("none")),
        ("any", ToolChoice("required")),
        ({"type": "function", "function": {"name": "f"}}, ToolChoice("required", ("f",))),
        ({"type": "custom", "custom": {"name": "g"}}, ToolChoice("required", ("g",))),
        (
            {
                "type": "allowed_tools",
                "allowed_tools": {
                    "mode": "auto",
                    "tools": [{"type": "function", "function": {"name": "f"}}],
                },
            },
            ToolChoice("auto", ("f",)),
        ),
    ],
)
def test_every_form_of_tool_choice_is_read(value, choice):
    asked = said({"role": "user", "content": "hi"}, tool_choice=value)

    assert asked.tool_choice == choice


def test_a_grammar_is_flat_in_the_hub_and_nested_here():
    """Case 43: kept for OpenAI's own models, a function of one string for others."""
    rules = {"syntax": "lark", "definition": "start: /x/"}
    declared = {
        "type": "custom",
        "custom": {"name": "patch", "format": {"type": "grammar", "grammar": rules}},
    }

    (tool,) = said({"role": "user", "content": "hi"}, tools=[declared]).tools

    assert tool == Tool("patch", freeform=True, grammar={"type": "grammar", **rules})
    assert encoded(request(user("hi"), model="gpt-5.5", tools=(tool,)))["tools"] == [declared]
    (function,) = encoded(request(user("hi"), model="kimi", tools=(tool,)))["tools"]
    assert function["function"]["parameters"]["required"] == ["input"]
    assert "start: /x/" in function["function"]["description"]


FULL = {
    "model": "gpt-5.5",
    "messages": [
        {
            "role": "developer",
            "content": [
                {
                    "type": "text",
                    "text": "be brief",
                    "prompt_cache_breakpoint": {"mode": "explicit", "ttl": "30m"},
                }
            ],
        },
        {
            "role": "user",
            "content": [
                {
                    "type": "image_url",
                    "image_url": {"url": "https://x.test/a.png", "detail": "low"},
                },
                {"type": "file", "file": {"file_id": "file-1"}},
                {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "mp3"}},
            ],
            "name": "ann",
        },
        {"role": "assistant", "content": None, "audio": {"id": "audio_1"}, "name": "bot"},
        {"role": "user", "content": "go on"},
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [
                {"id": "a", "type": "custom", "custom": {"name": "patch", "input": "x"}}
            ],
        },
        {"role": "tool", "tool_call_id": "a", "content": ""},
    ],
    "tools": [
        {
            "type": "custom",
            "custom": {"name": "patch", "description": "d", "format": {"type": "text"}},
        },
        {"type": "function", "function": {"name": "f", "description": "d", "strict": True}},
        {"type": "web_search"},
    ],
    "tool_choice": {
        "type": "allowed_tools",
        "allowed_tools": {
            "mode": "required",
            "tools": [
                {"type": "custom", "custom": {"name": "patch"}},
                {"type": "function", "function": {"name": "f"}},
            ],
        },
    },
    "parallel_tool_calls": False,
    "max_completion_tokens": 9,
    "stop": ["END"],
    "temperature": 0.5,
    "top_p": 0.9,
    "seed": 7,
    "presence_penalty": 0.1,
    "frequency_penalty": 0.2,
    "logit_bias": {"1": 2},
    "n": 2,
    "logprobs": True,
    "top_logprobs": 3,
    "response_format": {
        "type": "json_schema",
        "json_schema": {
            "name": "s",
            "description": "d",
            "schema": {"type": "object"},
            "strict": False,
        },
    },
    "verbosity": "low",
    "reasoning_effort": "max",
    "safety_identifier": "u",
    "prompt_cache_key": "k",
    "metadata": {"a": "b"},
    "service_tier": "flex",
    "modalities": ["text"],
}


def test_everything_that_can_be_asked_goes_there_and_back():
    asked = chat.decode_request(FULL, model="gpt-5.5", stream=False)

    written = chat.encode_request(asked)

    assert jsonio.loads(written.body) == FULL
    assert written.dropped == ()


@pytest.mark.parametrize(
    ("fields", "output"),
    [
        ({"response_format": {"type": "text"}}, Output()),
        (
            {"response_format": {"type": "json_object"}, "verbosity": "high"},
            Output("json_object", verbosity="high"),
        ),
    ],
)
def test_the_wanted_form_of_the_answer_is_read(fields, output):
    assert said({"role": "user", "content": "hi"}, **fields).output == output


@pytest.mark.parametrize(
    ("fields", "reasoning"),
    [
        ({"reasoning_effort": "none"}, Reasoning("off")),
        ({"reasoning": {"effort": "high"}}, Reasoning("effort", "high")),
        ({"reasoning": {"max_tokens": 2000}}, Reasoning("budget", budget=2000)),
        ({"reasoning": {"enabled": False}}, Reasoning("off")),
        ({"reasoning": {"enabled": True}}, Reasoning()),
        ({"reasoning": {"max_tokens": 9}, "reasoning_effort": "low"}, Reasoning("effort", "low")),
    ],
)
def test_both_forms_of_reasoning_are_read(fields, reasoning):
    assert said({"role": "user", "content": "hi"}, **fields).reasoning == reasoning


def test_thoughts_and_refusals_in_history_are_read():
    """Case 77: what opencode echoes."""
    asked = said(
        {"role": "user", "content": "hi"},
        {"role": "assistant", "content": "yes", "reasoning_content": "hm"},
        {"role": "assistant", "content": [{"type": "refusal", "refusal": "no"}]},
        {"role": "assistant", "content": None, "refusal": "never"},
    )

    assert [turn.parts for turn in asked.turns[1:]] == [
        (Thinking("hm"), Text("yes")),
        (Refusal("no"),),
        (Refusal("never"),),
    ]


# ── requests written ─────────────────────────────────────────────────────────────────────────


def test_one_text_is_a_plain_string():
    """Case 16."""
    assert messages(user("hi"), user("a", "b")) == [
        {"role": "user", "content": "hi"},
        {
            "role": "user",
            "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}],
        },
    ]


@pytest.mark.parametrize(
    ("model", "role", "word"),
    [
        ("gpt-5.5", "developer", "max_completion_tokens"),
        ("openai/o3-mini", "developer", "max_completion_tokens"),
        ("codex-mini-latest", "developer", "max_completion_tokens"),
        ("gpt-4o", "system", "max_tokens"),
        ("gpt-oss-120b", "system", "max_tokens"),
        ("qwen3-coder", "system", "max_tokens"),
        ("olmo-2", "system", "max_tokens"),
    ],
)
def test_reasoning_models_get_the_newer_words(model, role, word):
    """Cases 3 and 7; the system blocks of a foreign client are one message."""
    body = encoded(
        request(
            user("hi"),
            Turn("system", (Text("switch"),)),
            model=model,
            system=(Text("x-anthropic-billing-header: cc_version=1"), Text("a"), Text("b")),
            max_output_tokens=100,
        )
    )

    assert body["messages"] == [
        {"role": role, "content": "a\n\nb"},
        {"role": "user", "content": "hi"},
        {"role": role, "content": "switch"},
    ]
    assert body[word] == 100


def test_results_come_first_and_their_images_after_all_of_them():
    """Cases 57, 60, 61 and 65."""
    written = messages(
        user("go"),
        assistant(ToolCall("a", "f", "{}"), ToolCall("b", "g", "")),
        user(
            ToolResult("b", (Text("bad"),), is_error=True),
            ToolResult("a", (Text("see"), Image(Base64("image/png", PNG)))),
            "and?",
        ),
    )

    image = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}}
    assert written[1]["tool_calls"][1]["function"] == {"name": "g", "arguments": "{}"}
    assert written[2:] == [
        {"role": "tool", "tool_call_id": "a", "content": "see\n[image below]"},
        {"role": "tool", "tool_call_id": "b", "content": "Error: bad"},
        {"role": "user", "content": [image]},
        {"role": "user", "content": "and?"},
    ]


def test_calls_without_results_and_results_without_calls_are_made_harmless():
    """Cases 55 and 56."""
    written = messages(
        user(ToolResult("gone", (Text("old"),))), assistant(ToolCall("a", "f", "{}")), user("stop")
    )

    assert [message["role"] for message in written] == ["user", "assistant", "tool", "user"]
    assert written[0]["content"] == "[result of an earlier tool call gone]\nold"
    assert written[2] == {"role": "tool", "tool_call_id": "a", "content": "Error: aborted"}


def test_an_id_that_is_used_in_two_turns_keeps_each_its_result():
    """Case 72, as local models do."""
    turns = [
        turn
        for text in ("one", "two")
        for turn in (
            assistant(ToolCall("call_0", "f", "{}")),
            user(ToolResult("call_0", (Text(text),))),
        )
    ]

    written = messages(*turns)

    assert [message["content"] for message in written] == [None, "one", None, "two"]


def test_long_ids_are_shortened_alike_and_others_kept():
    """Case 71."""
    long = "toolu_" + "x" * 100

    written = messages(
        assistant(ToolCall(long, "f", "{}"), ToolCall("functions.f:0", "f", "{}")),
        user(ToolResult(long), ToolResult("functions.f:0")),
    )

    ids = [call["id"] for call in written[0]["tool_calls"]]
    assert ids == [message["tool_call_id"] for message in written[1:]]
    assert len(ids[0]) <= 40
    assert ids[1] == "functions.f:0"


def test_names_are_changed_everywhere_alike_and_the_way_back_is_told():
    """Cases 30, 31 and 41."""
    asked = request(
        assistant(
            ToolCall("a", "mcp.read/file", "{}"), ToolCall("b", "close", "{}", namespace="ns")
        ),
        user(ToolResult("a"), ToolResult("b")),
        tools=(Tool("mcp.read/file"), Tool("close", namespace="ns"), Tool("t" * 80)),
        tool_choice=ToolChoice("required", ("mcp.read/file",)),
    )

    body = encoded(asked)
    names_sent = [tool["function"]["name"] for tool in body["tools"]]

    assert names_sent[:2] == ["mcp_read_file", "ns__close"]
    assert [call["function"]["name"] for call in body["messages"][0]["tool_calls"]] == names_sent[
        :2
    ]
    assert body["tool_choice"] == {"type": "function", "function": {"name": "mcp_read_file"}}
    assert chat.encode_request(asked).names == {
        "mcp_read_file": "mcp.read/file",
        names_sent[2]: "t" * 80,
    }


def test_a_choice_among_some_tools_leaves_out_the_others():
    asked = request(
        user("go"),
        tools=(Tool("a"), Tool("b"), Tool("c")),
        tool_choice=ToolChoice("required", ("a", "c")),
    )
    compatible = encoded(msgspec.structs.replace(asked, model="llama"))

    assert [tool["function"]["name"] for tool in compatible["tools"]] == ["a", "c"]
    assert compatible["tool_choice"] == "required"
    assert encoded(asked)["tool_choice"]["allowed_tools"]["tools"] == [
        {"type": "function", "function": {"name": "a"}},
        {"type": "function", "function": {"name": "c"}},
    ]


def test_a_choice_needs_tools():
    """Case 47."""
    body = encoded(request(user("hi"), tool_choice=ToolChoice("auto"), parallel_tools=False))

    assert body.keys() == {"model", "messages"}


def test_texts_of_one_turn_are_one_content_with_the_calls_after():
    """Case 26; citations cut a sentence in two, which stays one."""
    (message, _) = messages(
        assistant("a", " b", ToolCall("x", "f", "{}"), "c"), user(ToolResult("x")), model="kimi"
    )

    assert message["content"] == "a b\n\nc"


def test_thoughts_go_back_only_to_servers_that_know_the_field():
    turn = assistant(Thinking("hm", (Blob("anthropic", "signature", "sig"),)), "yes")

    assert messages(turn, model="deepseek-v4")[0]["reasoning_content"] == "hm"
    assert "reasoning_content" not in messages(turn, model="gpt-4o")[0]
    assert "sig" not in str(messages(turn, model="deepseek-v4"))


def test_geminis_signature_goes_only_to_gemini():
    call = ToolCall("a", "f", "{}", blobs=(Blob("gemini", "thought_signature", "sig"),))

    (to_google, _) = messages(assistant(call), user(ToolResult("a")), model="gemini-3-pro")
    (to_other, _) = messages(assistant(call), user(ToolResult("a")), model="kimi")

    google = {"google": {"thought_signature": "sig"}}
    assert to_google["tool_calls"][0]["extra_content"] == google
    assert "extra_content" not in to_other["tool_calls"][0]


def test_a_refusal_in_history_is_told_as_such_only_to_openai():
    """Case 25; case 14: a turn of nothing is left out."""
    assert messages(assistant(Refusal("no")), assistant(Thinking("x"))) == [
        {"role": "assistant", "content": None, "refusal": "no"}
    ]
    assert messages(assistant(Refusal("no")), model="kimi") == [
        {"role": "assistant", "content": "no"}
    ]


@pytest.mark.parametrize(
    ("part", "written"),
    [
        (File(PlainText("body"), "title"), "title\nbody"),  # case 22
        (File(Base64("text/csv", "YSxi")), "a,b"),  # case 23
        (
            File(Base64("application/pdf", "JVBERi0=")),  # case 21
            [
                {
                    "type": "file",
                    "file": {
                        "filename": "file.pdf",
                        "file_data": "data:application/pdf;base64,JVBERi0=",
                    },
                }
            ],
        ),
        (
            Audio("audio/mpeg", "AAAA"),
            [{"type": "input_audio", "input_audio": {"data": "AAAA", "format": "mp3"}}],
        ),
        (
            Image(Base64("image/png", "/9j/AAAA")),  # case 20: a JPEG, whatever it says
            [{"type": "image_url", "image_url": {"url": "data:image/jpeg;base64,/9j/AAAA"}}],
        ),
    ],
)
def test_media_are_written_in_the_forms_there_are(part, written):
    (message,) = messages(user(part))

    assert message["content"] == written


@pytest.mark.parametrize(
    "part",
    [
        File(Url("https://x.test/a.pdf")),
        File(FileId("f", "gemini")),  # case 24
        Image(FileId("f", "anthropic")),
        File(Base64("video/mp4", "AAAA")),
        Audio("audio/flac", "AAAA"),
    ],
)
def test_media_that_cannot_be_carried_are_refused(part):
    with pytest.raises(Refused) as refused:
        chat.encode_request(request(user(part)))

    assert refused.value.failure.kind is Kind.INVALID


def test_what_is_left_out_is_named():
    """Cases 103, 104, 106 and 109."""
    asked = request(
        user("hi"),
        sampling=Sampling(temperature=0.0, top_k=5, seed=1, logprobs=True),
        stop=("1", "2", "3", "4", "5"),
        metadata={"a": "b"},
        tools=(Tool("web_search", native={"type": "web_search"}, dialect="openai-responses"),),
        extras={"gemini": {"safetySettings": [1], "labels": {}}},
    )

    plain = chat.encode_request(asked)
    reasoning = chat.encode_request(msgspec.structs.replace(asked, model="gpt-5.5"))

    assert jsonio.loads(plain.body)["stop"] == ["1", "2", "3", "4"]
    assert (plain.stops, reasoning.stops) == (("5",), asked.stop)
    assert set(plain.dropped) == {
        "top_k",
        "logprobs",
        "metadata",
        "web_search",
        "safetySettings",
    }
    assert set(reasoning.dropped) == set(plain.dropped) | {"temperature"}


def test_several_answers_are_only_for_clients_that_can_read_them():
    """Case 108."""
    several = Sampling(n=2)

    with pytest.raises(Refused, match="candidateCount"):
        chat.encode_request(request(user("hi"), dialect="gemini", sampling=several))
    assert encoded(request(user("hi"), dialect="openai-chat", sampling=several))["n"] == 2


def test_nothing_is_said_to_be_left_out_that_was_not_there():
    asked = request(user("hi"), sampling=Sampling(n=1), reasoning=Reasoning("off"))

    assert chat.encode_request(asked).dropped == ()


@pytest.mark.parametrize("field", ["previous_response_id", "conversation", "background"])
def test_state_of_another_provider_is_refused(field):
    """Cases 179 and 182."""
    with pytest.raises(Refused, match=field):
        chat.encode_request(request(user("hi"), extras={"openai-responses": {field: "x"}}))


@pytest.mark.parametrize(
    ("schema", "strict"),
    [
        (
            {
                "type": "object",
                "properties": {"a": {}},
                "required": ["a"],
                "additionalProperties": False,
            },
            True,
        ),
        ({"type": "object", "properties": {"a": {}}, "additionalProperties": False}, False),
        ({"type": "object", "properties": {}}, False),
    ],
)
def test_a_foreign_schema_is_strict_only_if_openai_takes_it(schema, strict):
    """Cases 40, 113 and 114."""
    body = encoded(
        request(
            user("hi"),
            output=Output("json_schema", schema=schema),
            tools=(Tool("t", schema=schema, strict=True),),
        )
    )

    form = {"name": "response", "schema": schema, "strict": strict}
    assert body["response_format"] == {"type": "json_schema", "json_schema": form}
    assert body["tools"][0]["function"]["strict"] is strict


@pytest.mark.parametrize(
    ("model", "reasoning", "word"),
    [
        ("gpt-5.5", Reasoning("effort", "high"), "high"),
        ("gpt-5.5", Reasoning("budget", budget=4000), "medium"),
        ("gpt-5.5", Reasoning("off"), "none"),
        ("gpt-5-mini", Reasoning("off"), "minimal"),
        ("o3", Reasoning("off"), "low"),
        ("gpt-4o", Reasoning("off"), None),
        ("gpt-4o", Reasoning("effort", "high"), None),  # case 96
        ("glm-5", Reasoning("effort", "high"), "high"),
        ("glm-5", Reasoning("off"), None),
        ("gpt-5.5", Reasoning("auto"), None),
    ],
)
def test_effort_is_asked_of_models_that_have_it(model, reasoning, word):
    body = encoded(request(user("hi"), model=model, reasoning=reasoning))

    assert body.get("reasoning_effort") == word


def test_usage_is_always_asked_for_in_streams():
    """Case 125."""
    assert encoded(request(user("hi"), stream=True))["stream_options"] == {"include_usage": True}
    assert "stream_options" not in encoded(request(user("hi"), include_usage=True))


def test_an_end_user_that_is_too_long_is_hashed():
    """Case 185."""
    assert encoded(request(user("hi"), end_user="ann"))["user"] == "ann"
    assert len(encoded(request(user("hi"), end_user="x" * 500))["user"]) == 64


def test_the_same_request_gives_the_same_bytes():
    """Case 130."""
    asked = request(
        user("go"),
        assistant(ToolCall("x" * 99, "a.b", "{}")),
        user(ToolResult("x" * 99)),
        tools=(Tool("a.b"), Tool("a_b")),
    )

    assert chat.encode_request(asked) == chat.encode_request(asked)
    assert len(set(chat.encode_request(asked).names)) == 1  # case 32


def test_arguments_stay_as_they_were_written():
    """Case 70."""
    text = '{"id": 9007199254740993, "x":1e3}'

    (message, _) = messages(assistant(ToolCall("a", "f", text)), user(ToolResult("a")))

    assert message["tool_calls"][0]["function"]["arguments"] == text


# ── the days before tools ────────────────────────────────────────────────────────────────────

LEGACY = {
    "functions": [{"name": "f", "parameters": {"type": "object"}}],
    "function_call": {"name": "f"},
}


def test_functions_are_tools_with_ids_made_from_names():
    """Case 75."""
    asked = said(
        {"role": "user", "content": "go"},
        {
            "role": "assistant",
            "content": None,
            "function_call": {"name": "f", "arguments": "{}"},
        },
        {"role": "function", "name": "f", "content": "1"},
        **LEGACY,
    )

    assert asked.tools == (Tool("f", schema={"type": "object"}),)
    assert asked.tool_choice == ToolChoice("required", ("f",))
    assert asked.turns[1:] == (
        Turn("assistant", (ToolCall("call_f", "f", "{}"),)),
        Turn("user", (ToolResult("call_f", (Text("1"),), "f"),)),
    )
    assert "functions" not in encoded(asked)


def test_a_client_of_functions_is_answered_in_its_form():
    """Case 75."""
    asked = said({"role": "user", "content": "go"}, **LEGACY)
    to = Reply(asked, "1", 1)
    response = Response(
        "x", "m", (ToolCall("a", "f", '{"b":1}'), ToolCall("b", "g", "{}")), FinishReason.TOOL_CALLS
    )

    choice = jsonio.loads(chat.encode_response(response, to))["choices"][0]
    streamed = accumulated(stream(response, to)).choices[0]

    assert choice["message"]["function_call"] == {"name": "f", "arguments": '{"b":1}'}
    assert "tool_calls" not in choice["message"]
    assert choice["finish_reason"] == streamed.finish_reason == "function_call"
    assert streamed.message.function_call.arguments == '{"b":1}'


# ── answers read ─────────────────────────────────────────────────────────────────────────────


def whole(message, finish="stop", **fields):
    return {
        "id": "1",
        "model": "m",
        "choices": [{"index": 0, "message": message, "finish_reason": finish}],
        **fields,
    }


def test_an_answer_of_another_server_is_understood():
    response = chat.decode_response(
        whole(
            {
                "reasoning": "hm",
                "content": [{"type": "text", "text": "a"}],
                "tool_calls": [{"function": {"name": "f", "arguments": {"b": 1}}}],
            },
            usage={"prompt_tokens": 5, "prompt_cache_hit_tokens": 3, "completion_tokens": 2},
        )
    )

    assert response.parts[:2] == (Thinking("hm"), Text("a"))
    assert (response.parts[2].name, response.parts[2].arguments) == ("f", '{"b":1}')
    assert response.parts[2].id
    assert response.finish is FinishReason.TOOL_CALLS
    assert response.usage == Usage(5, 3, 0, 2, 0)


@pytest.mark.parametrize(
    ("word", "calls", "reason"),
    [
        ("stop", False, FinishReason.STOP),
        ("stop", True, FinishReason.TOOL_CALLS),
        ("tool_calls", False, FinishReason.STOP),
        ("length", True, FinishReason.LENGTH),  # case 74
        ("content_filter", False, FinishReason.CONTENT_FILTER),
        ("function_call", True, FinishReason.TOOL_CALLS),
    ],
)
def test_finish_reasons_agree_with_what_was_said(word, calls, reason):
    call = [{"id": "a", "type": "function", "function": {"name": "f", "arguments": "{}"}}]
    message = {"tool_calls": call} if calls else {"content": "x"}

    assert chat.decode_response(whole(message, word)).finish is reason
    assert fold(events_of(delta(**message), delta(finish=word))).finish is reason


def test_an_unknown_finish_reason_is_kept_for_the_log():
    response = chat.decode_response(whole({"content": "x"}, "bored"))

    assert (response.finish, response.finish_raw) == (FinishReason.OTHER, "bored")


@pytest.mark.parametrize(
    ("doc", "kind"),
    [
        ({"error": {"message": "slow", "code": 429}}, Kind.RATE_LIMIT),
        ({"error": "boom"}, Kind.SERVER),
        ({"choices": []}, Kind.BAD_REPLY),
        (whole({"content": "x"}, None), Kind.TRUNCATED),
        (whole({"content": "x"}, "error"), Kind.SERVER),
    ],
)
def test_an_answer_that_is_none_is_refused(doc, kind):
    with pytest.raises(Refused) as refused:
        chat.decode_response(doc)

    assert refused.value.failure.kind is kind


# ── streams read ─────────────────────────────────────────────────────────────────────────────


def test_an_empty_first_chunk_begins_nothing():
    """Case 142: Azure's first chunk has no choices."""
    azure = {"id": "", "model": "", "choices": [], "prompt_filter_results": []}

    events = events_of(
        azure, delta(role="assistant", content=""), delta(content="x", finish="stop")
    )

    assert events[:2] == [ResponseStart("chatcmpl-1", "m"), PartStart(0, Text(""))]
    assert chat.notice(*frames(azure)) is None
    assert chat.notice(*frames(delta(role="assistant", content=""))) is None


def test_thoughts_come_under_either_name():
    response = fold(
        events_of(
            delta(reasoning_content="a", reasoning="a"),
            delta(reasoning="b"),
            delta(content="c"),
            delta(finish="stop"),
        )
    )

    assert response.parts == (Thinking("ab"), Text("c"))


@pytest.mark.parametrize(
    "fragments",
    [
        [{"id": "a", "function": {"name": "f", "arguments": "{}"}}],
        [{"function": {"name": "f", "arguments": {}}, "id": "a"}],
        [
            {"index": 0, "function": {"name": "f"}},
            {"index": 0, "id": "a", "function": {"arguments": "{}"}},
        ],
        [
            {"index": 0, "id": "a", "function": {"name": None}},
            {"index": 0, "function": {"name": "f", "arguments": "{}"}},
        ],
        [{"index": 1, "id": "a", "function": {"name": "f", "arguments": "{}"}}],
        [
            {"index": 0, "id": "a", "function": {"name": "f", "arguments": "{"}},
            {"index": 0, "id": "a", "function": {"name": "f", "arguments": "}"}},
        ],
        [
            {"id": "a", "function": {"name": "f"}},
            {"function": {"arguments": "{"}},
            {"function": {"arguments": "}"}},
        ],
    ],
)
def test_a_call_is_understood_in_every_form(fragments):
    """Cases 143 and 144."""
    response = fold(events_of(*[call_delta(**one) for one in fragments], delta(finish="stop")))

    assert response.parts == (ToolCall("a", "f", "{}"),)
    assert response.finish is FinishReason.TOOL_CALLS


@pytest.mark.parametrize(
    "fragments",
    [
        [
            {"id": "a", "function": {"name": "f", "arguments": "{}"}},
            {"id": "b", "function": {"name": "g", "arguments": "{}"}},
        ],
        [
            {"index": 0, "id": "a", "function": {"name": "f", "arguments": "{}"}},
            {"index": 0, "id": "b", "function": {"name": "g", "arguments": "{}"}},
        ],
        [
            {"function": {"name": "f", "arguments": "{}"}},
            {"function": {"name": "g", "arguments": "{}"}},
        ],
    ],
)
def test_two_calls_stay_two(fragments):
    response = fold(events_of(delta(tool_calls=fragments), delta(finish="tool_calls")))

    assert [call.name for call in response.parts] == ["f", "g"]
    assert len({call.id for call in response.parts}) == 2


def test_an_id_that_never_came_is_made_up_alike_each_time():
    """Cases 52 and 143."""
    chunks = (call_delta(index=0, function={"name": "f", "arguments": "{}"}), delta(finish="stop"))

    first, second = fold(events_of(*chunks)), fold(events_of(*chunks))

    assert first.parts[0].id
    assert first == second


def test_a_complete_call_is_told_before_the_stream_ends():
    decoder = chat.decoder()
    chunks = frames(
        call_delta(index=0, id="a", function={"name": "f", "arguments": '{"x":1}'}),
        call_delta(index=1, id="b", function={"name": "g", "arguments": "{"}),
    )

    told = [list(decoder.read(frame)) for frame in chunks]

    assert told[1] == [PartEnd(0), PartStart(1, ToolCall("b", "g")), PartDelta(1, "{")]


def test_text_is_never_held_back_for_the_usage():
    """Case 153: usage on every chunk; the last counts."""
    decoder = chat.decoder()
    chunk = {**delta(content="x"), "usage": {"prompt_tokens": 1, "completion_tokens": 1}}
    last = {**delta(finish="stop"), "usage": {"prompt_tokens": 1, "completion_tokens": 9}}

    first, second = (list(decoder.read(frame)) for frame in frames(chunk, last))
    rest = list(decoder.read(sse.Frame(b"[DONE]")))

    assert first[-1] == PartDelta(0, "x")
    assert second == []
    assert rest == [
        PartEnd(0),
        UsageReport(Usage(input_total=1, output_total=9)),
        Finish(FinishReason.STOP),
    ]


def test_the_first_finish_reason_holds_but_for_tool_calls():
    """Case 154."""
    call = call_delta(index=0, id="a", function={"name": "f", "arguments": "{}"})

    twice = fold(events_of(delta(content="x"), delta(finish="length"), delta(finish="stop")))
    calls = fold(events_of(call, delta(finish="tool_calls"), delta(finish="stop")))

    assert twice.finish is FinishReason.LENGTH
    assert calls.finish is FinishReason.TOOL_CALLS


def test_nothing_follows_the_end():
    """Case 155."""
    decoder = chat.decoder()
    for frame in frames(delta(content="x"), delta(finish="stop"), b"[DONE] "):
        list(decoder.read(frame))

    assert list(decoder.read(*frames(delta(content="y")))) == []
    assert list(decoder.end()) == []


def test_a_finish_reason_and_the_end_of_the_bytes_are_enough():
    assert fold(events_of(delta(content="x"), delta(finish="stop"))).parts == (Text("x"),)


@pytest.mark.parametrize(
    ("chunks", "kind"),
    [
        ([delta(content="x")], Kind.TRUNCATED),  # case 156
        ([delta(content="x"), b"[DONE]"], Kind.TRUNCATED),
        ([], Kind.TRUNCATED),
        ([delta(content="x"), b"{broken"], Kind.BAD_REPLY),
        ([delta(content="x"), b"[]"], Kind.BAD_REPLY),
        ([delta(content="x"), delta(finish="error")], Kind.SERVER),
        ([{"error": {"message": "slow", "type": "rate_limit_error"}}], Kind.RATE_LIMIT),
        ([{"error": {"message": "m", "code": 402}}], Kind.BILLING),
        ([{"error": {"message": "m", "type": "overloaded_error"}}], Kind.OVERLOADED),
        ([{"error": "boom"}], Kind.SERVER),
        ([{"error": {"message": "m", "code": "context_length_exceeded"}}], Kind.CONTEXT),
    ],
)
def test_a_stream_that_breaks_is_a_failure(chunks, kind):
    """Case 157."""
    events = events_of(*chunks)

    assert isinstance(events[-1], Failure)
    assert events[-1].kind is kind
    assert not any(isinstance(event, Finish) for event in events)


def test_a_cut_call_is_never_ended():
    """Case 74: its end would say that it may be executed."""
    events = events_of(call_delta(index=0, id="a", function={"name": "f", "arguments": "{"}))

    assert not any(isinstance(event, PartEnd) for event in events)


def test_other_choices_are_left_to_those_who_asked_for_them():
    response = fold(
        events_of(delta(content="a"), delta(content="b", index=1), delta(finish="stop"))
    )

    assert response.parts == (Text("a"),)


# ── answers written ──────────────────────────────────────────────────────────────────────────


def test_usage_is_told_only_to_who_asked():
    """Case 124."""
    response = Response("x", "m", (Text("hi"),), usage=Usage(100, 64, 10, 31, 12))

    asked = docs_of(stream(response, reply(include_usage=True)))
    silent = docs_of(stream(response, reply()))

    assert [doc["usage"] for doc in asked[:-1]] == [None] * (len(asked) - 1)
    assert asked[-1]["choices"] == []
    assert asked[-1]["usage"]["prompt_tokens_details"]["cached_tokens"] == 64  # case 119
    assert asked[-1]["usage"]["total_tokens"] == 131
    assert not any("usage" in doc for doc in silent)


def test_a_stream_has_one_id_one_role_and_the_clients_model():
    """Cases 150, 151 and 191."""
    docs = docs_of(stream(Response("msg_1", "upstream", (Text("a"), Thinking("b"))), reply()))

    assert {(doc["id"], doc["model"], doc["created"]) for doc in docs} == {
        ("chatcmpl-msg_1", "px/model", 1795000000)
    }
    assert [("role" in doc["choices"][0]["delta"]) for doc in docs] == [True] + [False] * (
        len(docs) - 1
    )


def test_an_answer_without_an_id_gets_ours():
    doc = jsonio.loads(chat.encode_response(Response("", "m", (Text("x"),)), reply()))

    assert doc["id"] == "chatcmpl-fallback"


def test_empty_arguments_are_an_object():
    """Cases 67 and 148."""
    response = Response("x", "m", (ToolCall("a", "f", ""),), FinishReason.TOOL_CALLS)

    streamed = accumulated(stream(response, reply())).choices[0].message.tool_calls[0]
    (written,) = jsonio.loads(chat.encode_response(response, reply()))["choices"][0]["message"][
        "tool_calls"
    ]

    assert streamed.function.arguments == written["function"]["arguments"] == "{}"


def test_texts_around_a_call_are_kept_apart_alike_in_streams_and_whole():
    """Case 149."""
    response = Response(
        "x",
        "m",
        (Thinking("t"), Text("a"), Text("b"), ToolCall("i", "f", "{}"), Thinking("u"), Text("c")),
        FinishReason.TOOL_CALLS,
    )

    message = accumulated(stream(response, reply())).choices[0].message
    doc = jsonio.loads(chat.encode_response(response, reply()))["choices"][0]["message"]

    assert message.content == doc["content"] == "ab\n\nc"
    assert message.reasoning_content == doc["reasoning_content"] == "t\n\nu"  # case 94


def test_citations_come_once_and_say_where():
    """Case 161."""
    raw = {"url_citation": {"url": "u", "title": "t", "start_index": 1, "end_index": 2}}
    native = Citation(url="u", title="t", start=1, end=2, dialect="openai-chat", raw=raw)
    foreign = Citation(url="v", quote="x")
    parts = (Text("abc", citations=(native,)), Text("de", citations=(foreign, Citation())))
    response = Response("x", "m", parts)

    streamed = accumulated(stream(response, reply())).choices[0].message.annotations
    doc = jsonio.loads(chat.encode_response(response, reply()))
    whole_ = ChatCompletion.model_validate(doc).choices[0].message.annotations

    spans = [
        (one.url_citation.url, one.url_citation.start_index, one.url_citation.end_index)
        for one in whole_
    ]
    assert spans == [("u", 1, 2), ("v", 3, 5)]
    assert [one.url_citation.url for one in streamed] == ["u", "v"]
    assert fold(
        events_of(delta(content="abc"), delta(annotations=[raw]), delta(finish="stop"))
    ).parts == (Text("abc", citations=(native,)),)


def test_a_freeform_call_is_told_as_one_though_the_upstream_knew_only_functions():
    """Case 43."""
    to = reply(tools=(Tool("patch", freeform=True),))
    calls = (
        ToolCall("a", "patch", '{"input":"*** Begin"}'),
        ToolCall("b", "patch", "raw", freeform=True),
    )
    response = Response("x", "m", calls, FinishReason.TOOL_CALLS)

    doc = jsonio.loads(chat.encode_response(response, to))
    back = fold(events_of(*[jsonio.dumps(one) for one in docs_of(stream(response, to))]))

    ChatCompletion.model_validate(doc)
    written = [call["custom"]["input"] for call in doc["choices"][0]["message"]["tool_calls"]]
    assert written == ["*** Begin", "raw"]
    # The SDK's types know only functions in streams; its helper, which does not check, takes both.
    snapshot = accumulated(
        stream(response, to), lambda doc: construct_type(type_=ChatCompletionChunk, value=doc)
    )
    calls_read = snapshot.choices[0].message.tool_calls
    assert [call.custom["input"] for call in calls_read] == ["*** Begin", "raw"]
    assert back.parts == (
        ToolCall("a", "patch", "*** Begin", freeform=True),
        ToolCall("b", "patch", "raw", freeform=True),
    )


@pytest.mark.parametrize(
    ("finish", "parts", "word"),
    [
        (FinishReason.CONTEXT_WINDOW, (Text("x"),), "length"),
        (FinishReason.STOP_SEQUENCE, (Text("x"),), "stop"),
        (FinishReason.PAUSE, (Text("x"),), "stop"),
        (FinishReason.MALFORMED_CALL, (), "stop"),
        (FinishReason.OTHER, (), "stop"),
        (FinishReason.CONTENT_FILTER, (), "content_filter"),
        (FinishReason.REFUSAL, (Refusal("no"),), "stop"),
        (FinishReason.REFUSAL, (), "content_filter"),
        (FinishReason.STOP, (ToolCall("a", "f", "{}"),), "tool_calls"),
        (FinishReason.TOOL_CALLS, (Text("x"),), "stop"),
        (FinishReason.LENGTH, (ToolCall("a", "f", '{"b'),), "length"),
    ],
)
def test_every_finish_has_a_word_that_clients_know(finish, parts, word):
    response = Response("x", "m", parts, finish, finish_raw="whatever")

    doc = ChatCompletion.model_validate(jsonio.loads(chat.encode_response(response, reply())))
    streamed = docs_of(stream(response, reply()))[-1]

    assert doc.choices[0].finish_reason == word
    assert streamed["choices"][0]["finish_reason"] == word


def test_parts_that_have_no_place_are_left_out():
    response = Response("x", "m", (Opaque("anthropic", {"type": "server_tool_use"}), Text("a")))

    assert accumulated(stream(response, reply())).choices[0].message.content == "a"


def test_geminis_signature_travels_with_the_call():
    blob = Blob("gemini", "thought_signature", "sig")
    response = Response(
        "x", "m", (ToolCall("a", "f", "{}", blobs=(blob,)),), FinishReason.TOOL_CALLS
    )

    raw = stream(response, reply())

    assert fold(events_of(*docs_of(raw))).parts[0].blobs == (blob,)
    assert accumulated(raw).choices[0].message.tool_calls[0].function.arguments == "{}"


def test_a_failure_ends_a_stream_as_the_sdk_expects_it():
    encoder = chat.encoder(reply())
    encoder.write(ResponseStart("x", "m"))

    raw = encoder.write(Failure(Kind.TRUNCATED, "cut off"))

    assert jsonio.loads(sse.parse(raw).data) == {
        "error": {
            "message": "cut off",
            "type": "server_error",
            "param": None,
            "code": "upstream_truncated",
        }
    }
    assert encoder.write(Finish(FinishReason.STOP)) == b""


# ── looking on ───────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "fields",
    [
        {"content": "x"},
        {"refusal": "x"},
        {"reasoning": "x"},
        {"reasoning_content": '"'},
        {"function_call": {"name": "f"}},
        {"tool_calls": [{"index": 0}]},
    ],
)
def test_any_content_begins_an_answer(fields):
    message = {**fields, "role": "assistant"}

    assert chat.notice(*frames(delta(**fields))).begun
    assert chat.notice_whole(whole(message)).begun
    assert chat.notice_whole(whole(message)).finished


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"role": "assistant", "content": None},
        {"content": "", "reasoning": "", "tool_calls": []},
    ],
)
def test_an_empty_delta_begins_nothing(fields):
    assert chat.notice(*frames(delta(**fields))) is None
    assert not chat.notice_whole(whole(fields, None)).begun


def test_words_in_a_text_are_not_taken_for_fields():
    tricky = '"finish_reason":"stop","usage":{"prompt_tokens":1},"error":{"message":"x"}'

    notice = chat.notice(*frames(delta(content=tricky)))

    assert (notice.begun, notice.finished, notice.usage, notice.failure) == (
        True,
        False,
        None,
        None,
    )


@pytest.mark.parametrize(
    "data",
    [
        {"error": {"message": "m"}},
        {"error": "boom"},
        delta(finish="error"),
        b"<html>",
        b'{"error":{"message"',
    ],
)
def test_failures_in_a_stream_are_noticed(data):
    assert chat.notice(*frames(data)).failure is not None


def test_an_error_with_status_200_is_noticed():
    notice = chat.notice_whole({"error": {"message": "m", "code": 503}})

    assert notice.failure.kind is Kind.OVERLOADED
    assert not notice.finished


def test_nothing_follows_the_end_mark_and_empty_data_says_nothing():
    assert chat.notice(sse.Frame(b"[DONE]")) == Notice(last=True)
    assert chat.notice(sse.Frame(b"")) is None


def test_empty_data_is_kept_from_clients():
    assert chat.canonical(b"data: \n\n") == b""
    assert chat.canonical(b": note\n\n") == b": note\n\n"
    assert chat.canonical(b"data: {}\n\n") == b"data: {}\n\n"


def test_usage_can_be_taken_out_of_raw_events():
    """Case 124, for streams that pass through."""
    usage = sse.frame(jsonio.dumps({"id": "1", "choices": [], "usage": {"prompt_tokens": 1}}))
    text = sse.frame(jsonio.dumps({**delta(content="usage"), "usage": None}))

    assert chat.without_usage(usage) == b""
    assert jsonio.loads(sse.parse(chat.without_usage(text)).data) == delta(content="usage")
    assert chat.without_usage(b"data: [DONE]\n\n") == b"data: [DONE]\n\n"


# ── failures ─────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("kind", "status", "code"),
    [
        (Kind.AUTH, 503, "no_auth_available"),  # case 178
        (Kind.FORBIDDEN, 503, "no_auth_available"),
        (Kind.NO_ACCOUNT, 503, "no_auth_available"),
        (Kind.BILLING, 429, "insufficient_quota"),
        (Kind.RESTING, 429, "all_accounts_cooling"),
        (Kind.RATE_LIMIT, 429, "rate_limit_exceeded"),
        (Kind.OVERLOADED, 503, "overloaded"),  # case 167
        (Kind.CLIENT_KEY, 401, "invalid_api_key"),
        (Kind.MODEL, 404, "model_not_found"),  # case 176
        (Kind.TIMEOUT, 504, "timeout"),
        (Kind.UNSUPPORTED, 501, "unsupported"),
        (Kind.INVALID, 400, None),
    ],
)
def test_failures_have_their_status_and_code(kind, status, code):
    got, body = chat.encode_failure(Failure(kind, "m"), request_id="r")

    assert got == status
    assert jsonio.loads(body)["error"]["code"] == code


@pytest.mark.parametrize("kind", list(Kind))
def test_every_kind_of_failure_can_be_told(kind):
    status, body = chat.encode_failure(Failure(kind, "m", retry_after=1.2), request_id="r")

    error = jsonio.loads(body)["error"]
    assert 400 <= status < 600
    assert error.keys() == {"message", "type", "param", "code"}
    assert "Please try again in 2s" in error["message"]  # case 173


def test_a_wait_that_is_told_already_is_not_told_twice():
    told = Failure(Kind.RATE_LIMIT, "Limit. Please try again in 11.054s.", retry_after=11.054)

    _, body = chat.encode_failure(told, request_id="r")

    assert jsonio.loads(body)["error"]["message"] == told.message


@pytest.mark.parametrize(
    "message",
    [
        "prompt is too long: 210000 tokens > 200000 maximum",
        "The input token count (210000) exceeds the maximum number of tokens allowed (200000).",
        "This model's maximum context length is 200000 tokens. However, your messages resulted in 210000 tokens.",
    ],
)
def test_a_prompt_that_is_too_long_is_told_in_openais_phrase(message):
    """Case 165."""
    failure = chat.decode_failure(400, jsonio.dumps({"error": {"message": message}}))

    status, body = chat.encode_failure(failure, request_id="r")

    assert failure.kind is Kind.CONTEXT
    assert status == 400
    assert jsonio.loads(body)["error"] == {
        "message": "This model's maximum context length is 200000 tokens. "
        "However, your messages resulted in 210000 tokens.",
        "type": "invalid_request_error",
        "param": None,
        "code": "context_length_exceeded",
    }


def test_a_code_of_ours_comes_back():
    body = {"error": {"message": "no", "code": "unsupported_parameter", "param": "max_tokens"}}

    failure = chat.decode_failure(400, jsonio.dumps(body))
    error = jsonio.loads(chat.encode_failure(failure, request_id="r")[1])["error"]

    assert (error["code"], error["param"]) == ("unsupported_parameter", "max_tokens")


@given(st.integers(400, 599), st.binary(max_size=60))
def test_any_body_is_a_failure(status, body):
    """Cases 170 and 171."""
    failure = chat.decode_failure(status, body)

    assert failure.status == status
    assert failure.message


# ── lists ────────────────────────────────────────────────────────────────────────────────────


def test_model_lists_are_what_the_sdk_reads():
    models = [ModelInfo("openai/gpt-5.5", "openai"), ModelInfo("x", "y", context_tokens=1)]

    page = SyncPage[Model].model_validate(jsonio.loads(chat.encode_models(models)))

    assert [(model.id, model.owned_by) for model in page.data] == [
        ("openai/gpt-5.5", "openai"),
        ("x", "y"),
    ]
    assert Model.model_validate(jsonio.loads(chat.encode_model(models[1]))).id == "x"


def test_peeking_takes_whatever_is_there():
    assert chat.peek({"model": "m", "stream": True}) == ("m", True)
    assert chat.peek({"model": 1, "stream": "yes"}) == ("", False)


def test_a_citation_before_any_text_is_harmless():
    encoder = chat.encoder(reply())
    encoder.write(ResponseStart("x", "m"))
    encoder.write(PartStart(0, Text("")))

    assert encoder.write(PartCitation(0, "odd")) == b""
