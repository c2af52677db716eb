"""Gemini: what its SDK and its clients send and read, and what the hub makes of it."""

import http.server
import json
import threading
from contextlib import contextmanager

import msgspec
import pytest
from google import genai
from google.genai import errors as genai_errors
from google.genai import types
from hypothesis import given
from hypothesis import strategies as st

from proxypal_core.dialects import gemini
from proxypal_core.dialects.base import Dialect, Reply
from proxypal_core.hub.events import Finish, PartBlob, PartDelta, PartEnd, PartStart, ResponseStart
from proxypal_core.hub.failure import Failure, Kind, Refused
from proxypal_core.hub.fold import fold, unfold
from proxypal_core.hub.messages import (
    Base64,
    Blob,
    CacheMark,
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
from tests.strategies import arguments, cuttings, json_objects, json_values, names, responses, words

PNG = "iVBORw0KGgoAAAA="
SIGNATURE = Blob("gemini", "thought_signature", "U0lHMQ==")
DUMMY = "skip_thought_signature_validator"

dialect: Dialect = gemini


def reply(**fields):
    return Reply(Request(dialect="gemini", model="google/gemini-pro", **fields), "made-id", 1)


def decode(doc, model="gemini-2.5-pro"):
    return gemini.decode_request(doc, model=model, stream=True)


def encode(*turns, model="gemini-3.1-pro", **fields):
    encoded = gemini.encode_request(
        Request(
            **{"dialect": "openai-chat", "model": model, "turns": turns or (said("hi"),)} | fields
        )
    )
    return json.loads(encoded.body), encoded


def said(text):
    return Turn("user", (Text(text),))


def read(raws):
    decoder = gemini.decoder()
    frames = [frame for frame in map(sse.parse, raws) if frame is not None]
    return [*(event for frame in frames for event in decoder.read(frame)), *decoder.end()]


def written(response):
    """The frames of *response* as a stream."""
    encoder = gemini.encoder(reply())
    return sse.Splitter().feed(b"".join(encoder.write(event) for event in unfold(response)))


def data_of(raw):
    return json.loads(raw.removeprefix(b"data: "))


def sent(doc):
    return b"data: %b\r\n\r\n" % json.dumps(doc).encode()


def candidate(*parts, finish=None, **fields):
    one = {"content": {"role": "model", "parts": list(parts)}, "index": 0}
    return {"candidates": [one | ({"finishReason": finish} if finish else {})], **fields}


def sayable(response):
    """*response* as Gemini's words can tell it."""
    return msgspec.structs.replace(
        response,
        model="google/gemini-pro",
        finish_raw="MAX_TOKENS" if response.finish is FinishReason.LENGTH else "STOP",
        usage=msgspec.structs.replace(response.usage, input_cache_write=0),
    )


# ── laws ─────────────────────────────────────────────────────────────────────────────────────

answers = responses(refusals=False)

call_parts = st.builds(
    lambda name, args, call_id: {"functionCall": {"name": name, "args": args} | call_id},
    names,
    json_objects,
    st.sampled_from([{}, {"id": "c1"}, {"id": "c2"}]),
)


@st.composite
def requests(draw):
    """A body as clients write it: whole steps, in either spelling of the field names."""
    contents = []
    for _ in range(draw(st.integers(0, 3))):
        contents.append({"role": "user", "parts": [{"text": draw(words)}]})
        called = draw(st.lists(call_parts, max_size=2, unique_by=lambda p: str(p["functionCall"])))
        contents.append({"role": "model", "parts": [{"text": draw(words)}, *called]})
        results = [
            {
                "functionResponse": {
                    **{k: v for k, v in part["functionCall"].items() if k != "args"},
                    "response": draw(json_objects),
                }
            }
            for part in called
        ]
        if results:
            contents.append({"parts": results})
    contents.append({"role": "user", "parts": [{"text": draw(words)}]})
    config = draw(
        st.fixed_dictionaries(
            {},
            optional={
                "temperature": st.sampled_from([0, 0.5, 2]),
                "max_output_tokens": st.integers(1, 9999),
                "stopSequences": st.lists(words, max_size=5),
                "thinking_config": st.fixed_dictionaries(
                    {"include_thoughts": st.booleans(), "thinking_budget": st.integers(-1, 40000)}
                ),
                "mediaResolution": st.just("MEDIA_RESOLUTION_LOW"),
            },
        )
    )
    tools = [{"functionDeclarations": [{"name": draw(names), "parameters": {"type": "STRING"}}]}]
    return {
        "contents": contents,
        "generation_config": config,
        "safetySettings": [{"category": "HARM_CATEGORY_HARASSMENT", "threshold": "OFF"}],
        **({"tools": tools} if draw(st.booleans()) else {}),
    }


@given(requests(), st.sampled_from(["gemini-2.5-flash", "gemini-3.1-pro"]))
def test_a_request_keeps_its_meaning_through_the_hub(doc, model):
    once = gemini.encode_request(decode(doc, model))

    twice = gemini.encode_request(decode(json.loads(once.body), model))

    assert twice == once


@given(answers)
def test_a_whole_answer_reads_back(response):
    doc = jsonio.load_object(gemini.encode_response(response, reply()))

    assert gemini.decode_response(doc) == sayable(response)


@given(answers, st.data())
def test_a_stream_reads_back_and_passes_through_however_it_is_cut(response, data):
    stream = b"".join(written(response))
    splitter = sse.Splitter()

    raws = [raw for chunk in data.draw(cuttings(stream)) for raw in splitter.feed(chunk)]
    raws.append(splitter.close())

    assert fold(read(raws)) == sayable(response)
    assert b"".join(map(gemini.canonical, raws)) == stream


@given(responses())
def test_the_sdk_reads_every_answer_and_every_frame(response):
    documents = [
        gemini.encode_response(response, reply()),
        *(raw.removeprefix(b"data: ") for raw in written(response)),
    ]

    parsed = [types.GenerateContentResponse.model_validate_json(one) for one in documents]

    assert {one.model_version for one in parsed} == {"google/gemini-pro"}
    assert {one.response_id for one in parsed} == {response.id}


@given(answers)
def test_an_onlooker_sees_begin_usage_and_end(response):
    notices = [gemini.notice(sse.parse(raw)) for raw in written(response)]

    assert [notice.begun for notice in notices] == [True] * (len(notices) - 1) + [False]
    assert [notice.finished for notice in notices] == [False] * (len(notices) - 1) + [True]
    assert notices[-1].usage == sayable(response).usage


@given(answers)
def test_no_beginning_of_a_stream_passes_for_the_whole(response):
    raws = written(response)

    for length in range(len(raws)):
        with pytest.raises(Refused) as refusal:
            fold(read(raws[:length]))

        assert refusal.value.failure.kind is Kind.TRUNCATED


@given(answers)
def test_frames_have_the_one_form_that_clients_read(response):
    for raw in written(response):
        assert raw.startswith(b"data: {")
        assert raw.endswith(b"}\r\n\r\n")
        assert raw.count(b"\n") == 2
        assert gemini.canonical(raw) is raw


@given(st.lists(json_objects, min_size=1, max_size=4))
def test_items_of_the_array_are_the_frames(documents):
    items = [gemini.as_array_item(jsonio.dumps(one), at == 0) for at, one in enumerate(documents)]

    assert json.loads(b"".join(items) + gemini.ARRAY_END) == documents


def test_an_array_without_items_is_empty():
    assert json.loads(gemini.ARRAY_START + gemini.ARRAY_END) == []


@given(json_values)
def test_whatever_a_frame_holds_the_decoder_does_not_raise(value):
    decoder = gemini.decoder()

    events = [
        *decoder.read(sse.Frame(jsonio.dumps({"candidates": value, "usageMetadata": value}))),
        *decoder.end(),
    ]

    assert isinstance(events[-1], Failure | Finish)


@given(st.sampled_from(Kind), st.none() | st.floats(0, 1e6))
def test_every_failure_has_an_int_code_first_that_is_the_status(kind, wait):
    status, body = gemini.encode_failure(
        Failure(kind, "it broke", retry_after=wait), request_id="r"
    )

    error = json.loads(body)["error"]
    assert body.startswith(b'{"error":{"code":%d,' % status)
    assert 400 <= status < 600
    assert status not in {401, 402, 403} or kind in {Kind.CLIENT_KEY, Kind.FORBIDDEN_HERE}
    assert error["message"]
    assert error["status"].isupper()


# ── reading requests ─────────────────────────────────────────────────────────────────────────


def test_the_body_says_neither_model_nor_stream():
    assert gemini.peek({"contents": []}) == ("", False)


def test_both_spellings_of_field_names_mean_the_same():
    camel = {
        "contents": [{"parts": [{"inlineData": {"mimeType": "image/png", "data": PNG}}]}],
        "systemInstruction": {"parts": [{"text": "s"}]},
        "generationConfig": {
            "maxOutputTokens": 5,
            "topK": 3,
            "thinkingConfig": {"includeThoughts": True, "thinkingBudget": 2048},
        },
    }
    snake = {
        "contents": [{"parts": [{"inline_data": {"mime_type": "image/png", "data": PNG}}]}],
        "system_instruction": {"parts": [{"text": "s"}]},
        "generation_config": {
            "max_output_tokens": 5,
            "top_k": 3,
            "thinking_config": {"include_thoughts": True, "thinking_budget": 2048},
        },
    }

    request = decode(camel)

    assert decode(snake) == request
    assert request.system == (Text("s"),)
    assert request.max_output_tokens == 5
    assert request.sampling.top_k == 3
    assert request.reasoning == Reasoning("budget", budget=2048, show="summary")
    assert request.turns == (Turn("user", (Image(Base64("image/png", PNG)),)),)


def test_names_that_are_the_users_keep_their_spelling():
    request = decode(
        {
            "contents": [
                {
                    "role": "model",
                    "parts": [
                        {"function_call": {"id": "c", "name": "f", "args": {"a_b": {"c_d": 1}}}}
                    ],
                },
                {
                    "parts": [
                        {
                            "function_response": {
                                "id": "c",
                                "name": "f",
                                "response": {"x_y": 1, "z": 2},
                            }
                        }
                    ]
                },
            ],
            "tools": [
                {
                    "function_declarations": [
                        {
                            "name": "f",
                            "parameters_json_schema": {
                                "type": "object",
                                "properties": {"file_path": {"type": "string"}},
                            },
                        }
                    ]
                }
            ],
            "labels": {"my_team": "x"},
        }
    )

    assert request.turns[0].parts[0].arguments == '{"a_b":{"c_d":1}}'
    assert request.turns[1].parts[0].content == (Text('{"x_y":1,"z":2}'),)
    assert "file_path" in request.tools[0].schema["properties"]
    assert request.extras == {"gemini": {"labels": {"my_team": "x"}}}


@pytest.mark.parametrize("data", ["-vv8_f7_", "+vv8/f7/", "-vv8_f7_\n"])
def test_both_alphabets_of_base64_are_read(data):
    request = decode(
        {"contents": [{"parts": [{"inlineData": {"mimeType": "image/png", "data": data}}]}]}
    )

    assert request.turns[0].parts[0].source.data == "+vv8/f7/"


def test_calls_without_ids_get_their_own_and_the_same_every_time():  # case 52
    call = {"functionCall": {"name": "look", "args": {}}}
    doc = {
        "contents": [{"role": "model", "parts": [call, call]}, {"role": "model", "parts": [call]}]
    }

    ids = [part.id for turn in decode(doc).turns for part in turn.parts]

    assert len(set(ids)) == 3
    assert "look" not in ids
    assert ids == [part.id for turn in decode(doc).turns for part in turn.parts]


def test_results_without_ids_answer_the_calls_of_their_name_in_order():  # case 53
    def call(name):
        return {"functionCall": {"name": name}}

    def result(name, text):
        return {"functionResponse": {"name": name, "response": {"output": text}}}

    turns = decode(
        {
            "contents": [
                {"role": "model", "parts": [call("a"), call("b"), call("a")]},
                {"role": "user", "parts": [result("b", "B"), result("a", "A1"), result("a", "A2")]},
            ]
        }
    ).turns

    first, second, third = (part.id for part in turns[0].parts)
    answered = {part.call_id: part.content[0].text for part in turns[1].parts}
    assert answered == {first: "A1", second: "B", third: "A2"}


def test_a_result_with_a_strange_id_takes_no_call_that_has_its_own():  # case 53
    turns = decode(
        {
            "contents": [
                {"role": "model", "parts": [{"functionCall": {"id": "one", "name": "a"}}]},
                {
                    "parts": [
                        {"functionResponse": {"id": "other", "name": "a", "response": {}}},
                        {"functionResponse": {"id": "one", "name": "a", "response": {}}},
                    ]
                },
            ]
        }
    ).turns

    assert [part.call_id for part in turns[1].parts] == ["other", "one"]


@pytest.mark.parametrize(
    ("response", "text", "is_error"),
    [
        ({"output": "x"}, "x", False),
        ({"result": "x"}, "x", False),
        ({"content": "x"}, "x", False),
        ({"name": "f", "content": "x"}, "x", False),
        ({"error": "no"}, "no", True),
        ({"output": {"a": 1}}, '{"output":{"a":1}}', False),
        ({"a": 1, "b": [2]}, '{"a":1,"b":[2]}', False),
    ],
)
def test_a_result_is_the_text_in_it(response, text, is_error):  # case 63
    part = {"functionResponse": {"id": "c", "name": "f", "response": response}}

    (result,) = decode({"contents": [{"parts": [part]}]}).turns[0].parts

    assert result == ToolResult("c", (Text(text),), name="f", is_error=is_error)


@pytest.mark.parametrize("response", [{}, {"output": ""}, None])
def test_an_empty_result_has_no_content(response):  # case 62
    part = {"functionResponse": {"id": "c", "name": "f", "response": response}}

    (result,) = decode({"contents": [{"parts": [part]}]}).turns[0].parts

    assert result.content == ()


def test_a_part_that_is_only_a_signature_signs_the_text_before_it():  # case 84
    parts = [{"text": "4"}, {"text": "", "thoughtSignature": "U0lHMQ"}]

    (text,) = decode({"contents": [{"role": "model", "parts": parts}]}).turns[0].parts

    assert text == Text("4", (SIGNATURE,))


def test_a_stand_in_for_a_signature_is_none():
    part = {"functionCall": {"id": "c", "name": "f"}, "thoughtSignature": DUMMY}

    (call,) = decode({"contents": [{"role": "model", "parts": [part]}]}).turns[0].parts

    assert call.blobs == ()


@pytest.mark.parametrize(
    ("part", "expected"),
    [
        (
            {"inlineData": {"mimeType": "application/pdf", "data": "JVBERi0="}},
            File(Base64("application/pdf", "JVBERi0=")),
        ),
        (
            {"inlineData": {"mimeType": "text/csv", "data": "YSxi", "displayName": "t.csv"}},
            File(PlainText("a,b"), "t.csv"),
        ),
        (
            {"fileData": {"mimeType": "image/png", "fileUri": "files/abc"}},
            Image(FileId("files/abc", "gemini", "image/png")),
        ),
        (
            {"fileData": {"mimeType": "image/png", "fileUri": "https://example.com/a.png"}},
            Image(Url("https://example.com/a.png", "image/png")),
        ),
        (
            {
                "inlineData": {"mimeType": "image/png", "data": PNG},
                "mediaResolution": {"level": "MEDIA_RESOLUTION_LOW"},
            },
            Image(Base64("image/png", PNG), "low"),
        ),
        ({"executableCode": {"code": "1"}}, Opaque("gemini", {"executableCode": {"code": "1"}})),
        ({"text": "hm", "thought": True}, Thinking("hm")),
    ],
)
def test_parts_mean_what_they_hold(part, expected):  # case 23
    assert decode({"contents": [{"parts": [part]}]}).turns[0].parts == (expected,)


def test_an_unknown_part_is_refused_by_its_place():  # case 194
    with pytest.raises(Refused) as refusal:
        decode({"contents": [{"parts": [{"text": "a"}, {"hologram": {}}]}]})

    assert "contents[0].parts[1]" in refusal.value.failure.message
    assert "hologram" in refusal.value.failure.message


@pytest.mark.parametrize(
    ("doc", "path"),
    [
        ({}, "contents"),
        ({"contents": {}}, "contents"),
        ({"contents": [{"parts": [{"text": 1}]}]}, "contents[0].parts[0].text"),
        ({"contents": [], "generationConfig": {"topK": "x"}}, "generationConfig.topK"),
    ],
)
def test_a_wrong_form_is_named_by_its_path(doc, path):
    with pytest.raises(jsonio.Malformed) as problem:
        decode(doc)

    assert problem.value.path == path


def test_an_openapi_schema_becomes_json_schema():  # cases 38, 39
    request = decode(
        {
            "contents": [],
            "tools": [
                {
                    "functionDeclarations": [
                        {
                            "name": "g",
                            "parameters": {
                                "type": "OBJECT",
                                "property_ordering": ["type"],
                                "properties": {
                                    "type": {"type": "STRING", "nullable": True, "max_length": "9"},
                                    "nullable": {"any_of": [{"type": "NUMBER"}], "nullable": True},
                                    "n": {"type": "INTEGER", "format": "int32"},
                                    "e": {"type": "STRING", "format": "enum", "enum": ["A"]},
                                },
                            },
                        }
                    ]
                }
            ],
        }
    )

    assert request.tools[0].schema == {
        "type": "object",
        "properties": {
            "type": {"type": ["string", "null"], "maxLength": 9},
            "nullable": {"anyOf": [{"type": "number"}, {"type": "null"}]},
            "n": {"type": "integer", "format": "int32"},
            "e": {"type": "string", "enum": ["A"]},
        },
    }


@pytest.mark.parametrize(
    ("calling", "choice"),
    [
        ({"mode": "AUTO"}, ToolChoice("auto")),
        ({"mode": "NONE"}, ToolChoice("none")),
        ({"mode": "ANY"}, ToolChoice("required")),
        ({"mode": "ANY", "allowedFunctionNames": ["f"]}, ToolChoice("required", ("f",))),
        ({"mode": "VALIDATED", "allowed_function_names": ["f"]}, ToolChoice("auto", ("f",))),
        ({}, None),
    ],
)
def test_the_mode_of_calling_is_the_choice_of_tools(calling, choice):
    request = decode({"contents": [], "toolConfig": {"functionCallingConfig": calling}})

    assert request.tool_choice == choice


@pytest.mark.parametrize(
    ("config", "output"),
    [
        ({"responseMimeType": "application/json"}, Output("json_object")),
        (
            {"responseMimeType": "application/json", "responseSchema": {"type": "ARRAY"}},
            Output("json_schema", schema={"type": "array"}),
        ),
        (
            {"responseMimeType": "application/json", "responseJsonSchema": {"type": "object"}},
            Output("json_schema", schema={"type": "object"}),
        ),
        ({"responseMimeType": "text/plain"}, Output()),
    ],
)
def test_the_wanted_form_is_read(config, output):
    assert decode({"contents": [], "generationConfig": config}).output == output


@pytest.mark.parametrize(
    ("config", "reasoning"),
    [
        ({"thinkingLevel": "HIGH"}, Reasoning("effort", "high")),
        ({"thinkingLevel": "THINKING_LEVEL_UNSPECIFIED"}, Reasoning()),
        ({"thinkingBudget": 0}, Reasoning("off")),
        ({"thinkingBudget": -1, "includeThoughts": False}, Reasoning("auto", show="none")),
    ],
)
def test_thinking_is_read(config, reasoning):
    doc = {"contents": [], "generationConfig": {"thinkingConfig": config}}

    assert decode(doc).reasoning == reasoning


# ── writing requests ─────────────────────────────────────────────────────────────────────────


def test_what_is_sent_is_what_the_sdk_would_send():
    body, _ = encode(
        Turn("user", (Text("look"), Image(Base64("image/png", PNG), "high"))),
        Turn("assistant", (ToolCall("toolu_1", "see", '{"a":1}', blobs=(SIGNATURE,)),)),
        Turn("user", (ToolResult("toolu_1", (Text("ok"),)),)),
        system=(Text("be brief", cache=CacheMark()),),
        tools=(Tool("see", "sees", {"type": "object", "$schema": "x"}),),
        tool_choice=ToolChoice("required", ("see",)),
        sampling=Sampling(temperature=0.5, top_p=0.9, top_k=5, seed=7),
        max_output_tokens=9,
        stop=("END",),
        output=Output("json_schema", schema={"type": "object"}),
        reasoning=Reasoning("effort", "xhigh"),
        service_tier="fast",
    )

    contents = [types.Content.model_validate(one) for one in body["contents"]]
    config = types.GenerateContentConfig.model_validate(
        body["generationConfig"]
        | {key: body[key] for key in ("tools", "toolConfig", "systemInstruction", "serviceTier")}
    )
    assert [one.role for one in contents] == ["user", "model", "user"]
    assert contents[1].parts[0].function_call.args == {"a": 1}
    assert contents[1].parts[0].thought_signature == b"SIG1"
    assert contents[2].parts[0].function_response.name == "see"
    assert config.tools[0].function_declarations[0].parameters_json_schema == {"type": "object"}
    assert config.tool_config.function_calling_config.mode == "ANY"
    assert config.response_json_schema == {"type": "object"}
    assert config.thinking_config.thinking_level == "XHIGH"
    assert config.thinking_config.include_thoughts is True
    assert config.service_tier == "priority"
    assert (config.temperature, config.top_k, config.seed) == (0.5, 5, 7)


def test_names_fit_and_find_back():  # cases 30, 31, 32
    long = "mcp__" + "x" * 80
    body, encoded = encode(
        said("hi"),
        Turn("assistant", (ToolCall("1", "a.b"), ToolCall("2", long))),
        Turn("user", (ToolResult("1"), ToolResult("2"))),
        tools=(Tool("a.b"), Tool("a_b"), Tool(long), Tool("9lives")),
        tool_choice=ToolChoice("required", ("a.b",)),
    )

    declared = [one["name"] for one in body["tools"][0]["functionDeclarations"]]
    assert len(set(declared)) == 4
    assert declared[1] == "a_b"
    assert all(name.isascii() and len(name) <= 64 and not name[0].isdigit() for name in declared)
    assert [encoded.names.get(name, name) for name in declared] == ["a.b", "a_b", long, "9lives"]
    assert body["toolConfig"]["functionCallingConfig"]["allowedFunctionNames"] == [declared[0]]
    assert [p["functionCall"]["name"] for p in body["contents"][1]["parts"]] == [
        declared[0],
        declared[2],
    ]
    assert [p["functionResponse"]["name"] for p in body["contents"][2]["parts"]] == [
        declared[0],
        declared[2],
    ]


def test_of_two_tools_with_one_name_the_first_is_declared():  # case 33
    body, _ = encode(tools=(Tool("f", "first"), Tool("f", "second")))

    assert body["tools"] == [{"functionDeclarations": [{"name": "f", "description": "first"}]}]


@pytest.mark.parametrize("schema", [None, {}])
def test_no_parameters_are_left_out(schema):  # case 34
    body, _ = encode(tools=(Tool("f", schema=schema),))

    assert body["tools"] == [{"functionDeclarations": [{"name": "f"}]}]


def test_a_schema_goes_as_json_schema_and_only_its_self_references_are_cut():  # cases 35-38
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "properties": {
            "$schema": {"const": 1},
            "tree": {"$ref": "#/$defs/Node"},
            "leaf": {"$ref": "#/$defs/Leaf"},
            "mode": {"oneOf": [{"const": "a"}, {"exclusiveMinimum": 3}]},
        },
        "$defs": {
            "Leaf": {"type": ["string", "null"]},
            "Node": {
                "type": "object",
                "properties": {
                    "next": {"$ref": "#/$defs/Node", "description": "the next one"},
                    "leaf": {"$ref": "#/$defs/Leaf"},
                },
            },
        },
    }

    body, _ = encode(tools=(Tool("f", schema=schema),))

    sent_schema = body["tools"][0]["functionDeclarations"][0]["parametersJsonSchema"]
    assert sent_schema == {
        "type": "object",
        "properties": schema["properties"],
        "$defs": {
            "Leaf": {"type": ["string", "null"]},
            "Node": {
                "type": "object",
                "properties": {
                    "next": {"type": "object", "description": "the next one"},
                    "leaf": {"$ref": "#/$defs/Leaf"},
                },
            },
        },
    }


def test_a_schema_made_to_explode_is_written_in_its_own_size():  # case 36
    defs = {
        f"d{n}": {"anyOf": [{"$ref": f"#/$defs/d{n + 1}"}, {"$ref": f"#/$defs/d{n + 1}"}]}
        for n in range(500)
    }
    schema = {"$ref": "#/$defs/d0", "$defs": {**defs, "d500": {"$ref": "#/$defs/d0"}}}

    body, _ = encode(tools=(Tool("f", schema=schema),))

    sent_schema = body["tools"][0]["functionDeclarations"][0]["parametersJsonSchema"]
    assert sent_schema["$defs"]["d500"] == {"type": "object"}


def test_ids_and_names_go_with_calls_and_results():  # case 54
    body, _ = encode(
        said("hi"),
        Turn("assistant", (ToolCall("toolu_01", "f"), ToolCall("functions.g:1", "g"))),
        Turn("user", (ToolResult("toolu_01"), ToolResult("functions.g:1"))),
    )

    calls = [part["functionCall"] for part in body["contents"][1]["parts"]]
    results = [part["functionResponse"] for part in body["contents"][2]["parts"]]
    assert calls[0]["id"] == "toolu_01"
    assert [(one["id"], one["name"]) for one in calls] == [
        (one["id"], one["name"]) for one in results
    ]


def test_results_stand_together_in_the_order_of_their_calls():  # cases 57, 59
    body, _ = encode(
        said("hi"),
        Turn("assistant", (ToolCall("a", "f"), ToolCall("b", "f"), ToolCall("c", "f"))),
        Turn("user", (ToolResult("b", (Text("B"),)),)),
        Turn("user", (ToolResult("a", (Text("A"),)),)),
        Turn("user", (ToolResult("c", (Text("C"),)),)),
    )

    assert [content["role"] for content in body["contents"]] == ["user", "model", "user"]
    outputs = [p["functionResponse"]["response"] for p in body["contents"][2]["parts"]]
    assert outputs == [{"output": "A"}, {"output": "B"}, {"output": "C"}]


@pytest.mark.parametrize(
    ("result", "response"),
    [
        (ToolResult("c"), {"output": ""}),  # case 62
        (ToolResult("c", (Text("[1]"),)), {"output": "[1]"}),  # case 64
        (ToolResult("c", (Text("no"),), is_error=True), {"error": "no"}),
    ],
)
def test_a_result_is_an_object(result, response):
    body, _ = encode(said("hi"), Turn("assistant", (ToolCall("c", "f"),)), Turn("user", (result,)))

    assert body["contents"][2]["parts"][0]["functionResponse"]["response"] == response


@pytest.mark.parametrize(
    ("model", "keys"),
    [
        ("gemini-3.1-pro", [["functionResponse"]]),
        ("gemini-2.5-pro", [["functionResponse"], ["inlineData"]]),
    ],
)
def test_an_image_in_a_result_goes_where_the_model_takes_it(model, keys):  # case 61
    image = Image(Base64("image/png", PNG))

    body, _ = encode(
        said("hi"),
        Turn("assistant", (ToolCall("c", "f"),)),
        Turn("user", (ToolResult("c", (image,)),)),
        model=model,
    )

    assert [list(part) for part in body["contents"][2]["parts"]] == keys


def test_unsigned_calls_of_the_running_turn_are_excused_once_a_step():  # case 85
    def step(call_id):
        return (
            Turn("assistant", (ToolCall(call_id, "f"), ToolCall(call_id + "b", "f"))),
            Turn("user", (ToolResult(call_id), ToolResult(call_id + "b"))),
        )

    history = (said("old"), *step("o"), said("now"), *step("x"), *step("y"))
    body, _ = encode(*history)
    older, _ = encode(*history, model="gemini-2.5-pro")

    signed = [
        [part.get("thoughtSignature") for part in content["parts"]]
        for content in body["contents"]
        if content["role"] == "model"
    ]
    assert signed == [[None, None], [DUMMY, None], [DUMMY, None]]
    assert DUMMY not in json.dumps(older)


def test_a_signature_stays_on_its_call_and_no_other_vendors_is_sent():  # case 83
    foreign = Blob("anthropic", "signature", "c2ln")
    body, _ = encode(
        said("hi"),
        Turn(
            "assistant",
            (
                Thinking("hm", (foreign,)),
                ToolCall("a", "f", blobs=(SIGNATURE,)),
                ToolCall("b", "f", blobs=(foreign,)),
            ),
        ),
        Turn("user", (ToolResult("a"), ToolResult("b"))),
    )

    parts = body["contents"][1]["parts"]
    assert [part.get("thoughtSignature") for part in parts] == ["U0lHMQ==", None]


def test_a_signature_carried_on_a_thought_returns_to_the_call_after_it():  # case 83
    body, _ = encode(
        said("hi"),
        Turn("assistant", (Thinking("", (SIGNATURE,)), ToolCall("a", "f"), ToolCall("b", "f"))),
        Turn("user", (ToolResult("a"), ToolResult("b"))),
    )

    parts = body["contents"][1]["parts"]
    assert [part.get("thoughtSignature") for part in parts] == ["U0lHMQ==", None]


@pytest.mark.parametrize(
    ("model", "reasoning", "config"),
    [
        ("gemini-3.1-pro", Reasoning("effort", "low"), {"thinkingLevel": "LOW"}),
        ("gemini-3.1-pro", Reasoning("budget", budget=9000), {"thinkingLevel": "HIGH"}),
        ("gemini-2.5-flash", Reasoning("effort", "high"), {"thinkingBudget": 24576}),
        ("gemini-2.5-flash", Reasoning("effort", "max"), {"thinkingBudget": 24576}),
        ("gemini-2.5-pro", Reasoning("budget", budget=9000), {"thinkingBudget": 9000}),
        ("gemini-2.5-pro", Reasoning("auto"), {"thinkingBudget": -1}),
    ],
)
def test_thinking_is_asked_for_in_the_models_words(model, reasoning, config):
    body, _ = encode(model=model, reasoning=reasoning)

    assert body["generationConfig"]["thinkingConfig"] == {"includeThoughts": True} | config


@pytest.mark.parametrize(
    ("model", "config"),
    [
        ("gemini-3.1-pro", {"thinkingLevel": "MINIMAL"}),
        ("gemini-2.5-flash", {"thinkingBudget": 0}),
        ("gemini-2.5-pro", {"thinkingBudget": 128}),
    ],
)
def test_thinking_is_turned_off_as_far_as_it_can_be(model, config):
    body, _ = encode(model=model, reasoning=Reasoning("off"))

    assert body["generationConfig"]["thinkingConfig"] == config


def test_what_cannot_be_carried_is_named():
    _, encoded = encode(
        model="gemini-2.0-flash",
        sampling=Sampling(logit_bias={"1": 1}, logprobs=True, top_logprobs=2),
        stop=tuple("abcdef"),
        tools=(Tool("f"), Tool("web_search", native={"type": "web_search"}, dialect="anthropic")),
        parallel_tools=False,
        reasoning=Reasoning("effort", "high"),
        output=Output(verbosity="low"),
        end_user="me",
        metadata={"a": "b"},
        cache_key="k",
        service_tier="scale",
        extras={"openai-chat": {"modalities": ["audio"], "store": True}},
    )

    assert set(encoded.dropped) == {
        "logit_bias",
        "logprobs",
        "top_logprobs",
        "tools.googleSearch",
        "parallel_tool_calls",
        "reasoning_effort",
        "verbosity",
        "user",
        "metadata",
        "prompt_cache_key",
        "service_tier",
        "modalities",
    }


def test_stops_beyond_what_google_takes_are_enforced_here():  # case 106
    body, encoded = encode(stop=tuple("abcdefg"))

    assert body["generationConfig"]["stopSequences"] == list("abcde")
    assert encoded.stops == ("f", "g")


def test_several_answers_are_refused():  # case 108
    with pytest.raises(Refused) as refusal:
        encode(sampling=Sampling(n=2))

    assert refusal.value.failure.param == "n"


def test_nothing_is_named_that_nobody_sent():
    _, encoded = encode()

    assert encoded.dropped == ()


def test_state_at_another_vendor_is_refused():
    with pytest.raises(Refused) as refusal:
        encode(extras={"openai-responses": {"previous_response_id": "resp_1"}})

    assert refusal.value.failure.param == "previous_response_id"


def test_web_search_is_googles_search():  # case 44
    search = Tool("web_search", native={"type": "web_search"}, dialect="openai-responses")

    body, _ = encode(tools=(Tool("f"), search))

    assert body["tools"][1] == {"googleSearch": {}}


def test_before_gemini_3_a_form_beside_functions_is_asked_for_in_words():  # case 115
    body, _ = encode(
        model="gemini-2.5-pro",
        tools=(Tool("f"),),
        output=Output("json_schema", schema={"type": "object"}),
    )

    assert "generationConfig" not in body
    assert '{"type":"object"}' in body["systemInstruction"]["parts"][0]["text"]


@pytest.mark.parametrize(
    ("turns", "roles"),
    [
        ((), ["user"]),  # case 8
        ((Turn("assistant", (Text("hello"),)), said("hi")), ["user", "model", "user"]),  # case 10
        ((said("go"), Turn("assistant", (Text("{"),))), ["user", "model", "user"]),  # case 11
        ((said("go"), Turn("assistant", (Text(" "),))), ["user"]),  # case 11
        ((said("a"), said("b")), ["user"]),  # case 9
        ((said("a"), Turn("system", (Text("s"),))), ["user"]),  # case 7
    ],
)
def test_the_conversation_starts_and_ends_with_the_user(turns, roles):
    request = Request(dialect="openai-chat", model="gemini-3-pro", turns=turns)

    body = json.loads(gemini.encode_request(request).body)

    assert [content["role"] for content in body["contents"]] == roles


@pytest.mark.parametrize(
    "source", [Url("https://example.com/a.png", "image/png"), FileId("file-1", "openai")]
)
def test_what_only_others_can_read_is_refused(source):  # cases 19, 24
    with pytest.raises(Refused) as refusal:
        encode(Turn("user", (Image(source),)))

    assert refusal.value.failure.kind is Kind.INVALID


@pytest.mark.parametrize(
    ("part", "written_part"),
    [
        (Refusal("no"), {"text": "no"}),  # case 25
        (File(PlainText("x"), "a.txt"), {"text": "a.txt\nx"}),  # case 22
        (
            Image(Base64("image/jpeg", PNG)),  # case 20: the bytes say png
            {"inlineData": {"mimeType": "image/png", "data": PNG}},
        ),
        (
            File(FileId("files/a", "gemini", "application/pdf")),
            {"fileData": {"mimeType": "application/pdf", "fileUri": "files/a"}},
        ),
    ],
)
def test_parts_are_written(part, written_part):
    body, _ = encode(Turn("user", (part,)))

    assert body["contents"][0]["parts"] == [written_part]


@given(json_objects, arguments)
def test_the_same_request_gives_the_same_bytes(schema, text):
    turns = (said("hi"), Turn("assistant", (ToolCall("c", "f", text),)), said("go on"))
    request = Request(
        dialect="openai-chat", model="gemini-3-pro", turns=turns, tools=(Tool("f", schema=schema),)
    )

    assert gemini.encode_request(request) == gemini.encode_request(request)


# ── reading answers ──────────────────────────────────────────────────────────────────────────


def test_text_is_told_as_it_comes_and_the_finish_waits_for_the_usage():  # case 153
    decoder = gemini.decoder()
    first = sse.parse(sent(candidate({"text": "Hi"}, finish="STOP", responseId="r")))
    late = sse.parse(sent({"usageMetadata": {"promptTokenCount": 3, "candidatesTokenCount": 1}}))

    told = list(decoder.read(first))
    rest = [*decoder.read(late), *decoder.end()]

    assert PartDelta(0, "Hi") in told
    assert not any(isinstance(event, Finish) for event in told)
    assert fold([*told, *rest]).usage == Usage(3, output_total=1)


def test_thoughts_calls_and_a_late_signature_become_parts():  # cases 83, 84, 146
    events = read(
        [
            sent(candidate({"text": "I ", "thought": True}, responseId="r", modelVersion="m")),
            sent(candidate({"text": "think", "thought": True})),
            sent(candidate({"text": "Well"}, {"text": "", "thoughtSignature": "U0lHMQ=="})),
            sent(candidate({"functionCall": {"id": "a", "name": "f", "args": {"x": 1}}})),
            sent(candidate({"text": ""}, finish="STOP")),
        ]
    )

    answer = fold(events)
    assert answer.parts == (
        Thinking("I think"),
        Text("Well", (SIGNATURE,)),
        ToolCall("a", "f", '{"x":1}'),
    )
    assert (answer.id, answer.model, answer.finish) == ("r", "m", FinishReason.TOOL_CALLS)


def test_text_after_signed_text_is_a_part_of_its_own():
    events = read(
        [
            sent(candidate({"text": "a", "thoughtSignature": "U0lHMQ=="})),
            sent(candidate({"text": "b"}, finish="STOP")),
        ]
    )

    assert fold(events).parts == (Text("a", (SIGNATURE,)), Text("b"))


def test_calls_without_ids_are_told_apart():  # case 52
    call = {"functionCall": {"name": "f", "args": {}}}
    stream = [sent(candidate(call, call, finish="STOP", responseId="r"))]

    first, second = fold(read(stream)).parts

    assert first.id != second.id
    assert first.id == fold(read(stream)).parts[0].id


@pytest.mark.parametrize(
    ("word", "reason"),
    [
        ("STOP", FinishReason.STOP),
        ("MAX_TOKENS", FinishReason.LENGTH),
        ("RECITATION", FinishReason.CONTENT_FILTER),
        ("IMAGE_SAFETY", FinishReason.CONTENT_FILTER),
        ("MALFORMED_FUNCTION_CALL", FinishReason.MALFORMED_CALL),
        ("CONTINUATION", FinishReason.PAUSE),
        ("SOMETHING_NEW", FinishReason.OTHER),
    ],
)
def test_finish_reasons(word, reason):
    answer = gemini.decode_response(candidate({"text": "x"}, finish=word))

    assert (answer.finish, answer.finish_raw) == (reason, word)


def test_a_cut_answer_with_calls_is_not_complete():
    call = {"functionCall": {"name": "f", "args": {}}}

    assert (
        gemini.decode_response(candidate(call, finish="MAX_TOKENS")).finish is FinishReason.LENGTH
    )


def test_counts_that_are_zero_are_left_out_and_thoughts_are_output():  # cases 121, 122
    usage = {
        "promptTokenCount": 10,
        "toolUsePromptTokenCount": 5,
        "thoughtsTokenCount": 12,
        "totalTokenCount": 27,
    }

    answer = gemini.decode_response(candidate({"text": "x"}, finish="STOP", usageMetadata=usage))

    assert answer.usage == Usage(15, 0, 0, 12, 12)


@pytest.mark.parametrize(
    "doc",
    [
        {"promptFeedback": {"blockReason": "SAFETY"}},
        {"candidates": [{"finishReason": "SAFETY"}]},
    ],
)
def test_a_blocked_prompt_is_a_filtered_answer(doc):
    answer = gemini.decode_response(doc)

    assert (answer.parts, answer.finish) == ((), FinishReason.CONTENT_FILTER)
    assert gemini.notice_whole(doc).finished


def test_other_candidates_do_not_mix_in():  # case 197
    doc = candidate({"text": "a"}, finish="STOP")
    doc["candidates"].append({"index": 1, "content": {"parts": [{"text": "b"}]}})

    assert gemini.decode_response(doc).parts == (Text("a"),)


@pytest.mark.parametrize(
    "error",
    [
        {"error": {"code": 503, "message": "The model is overloaded.", "status": "UNAVAILABLE"}},
        [{"error": {"code": 503, "message": "The model is overloaded."}}],
        {"error": {"message": "The model is overloaded.", "status": "UNAVAILABLE"}},
    ],
)
def test_an_error_in_a_stream_ends_it(error):
    raws = [sent(candidate({"text": "par"})), sent(error), sent(candidate({"text": "more"}))]

    events = read(raws)

    assert events[-2:] == [PartEnd(0), events[-1]]
    assert isinstance(events[-1], Failure)
    assert events[-1].kind is Kind.OVERLOADED
    assert gemini.notice(sse.parse(raws[1])).failure.kind is Kind.OVERLOADED


@pytest.mark.parametrize("data", [b"{", b'{"candidates":[{"content":"x"}]}', b'"x"'])
def test_a_broken_frame_is_a_bad_reply(data):
    events = read([sent(candidate({"text": "par"})), b"data: " + data + b"\n\n"])

    assert isinstance(events[-1], Failure)
    assert events[-1].kind is Kind.BAD_REPLY


def test_frames_without_content_keep_the_connection_alive_and_mean_nothing():
    frame = sse.Frame(b"{}")

    assert list(gemini.decoder().read(frame)) == []
    assert gemini.notice(frame) is None


def test_an_onlooker_does_not_take_an_empty_part_for_a_beginning():  # case 142
    frame = sse.parse(sent(candidate({"text": ""}, usageMetadata={"promptTokenCount": 1})))

    assert gemini.notice(frame) == gemini.notice_whole(json.loads(frame.data))
    assert not gemini.notice(frame).begun


# ── writing answers ──────────────────────────────────────────────────────────────────────────


def test_a_call_is_written_when_it_is_whole():  # case 147
    encoder = gemini.encoder(reply())
    start = [ResponseStart("r", "m"), PartStart(0, ToolCall("c", "f")), PartDelta(0, '{"a"')]

    early = [encoder.write(event) for event in start]
    blob = encoder.write(PartDelta(0, ":1}")) + encoder.write(PartBlob(0, SIGNATURE))
    whole = data_of(encoder.write(PartEnd(0)))

    assert early == [b"", b"", b""]
    assert blob == b""
    assert whole["candidates"][0]["content"]["parts"] == [
        {"functionCall": {"id": "c", "name": "f", "args": {"a": 1}}, "thoughtSignature": "U0lHMQ=="}
    ]


def test_a_call_cut_off_by_the_limit_is_not_written():  # case 74
    answer = Response(
        "r", "m", (Text("x"), ToolCall("c", "f", '{"a": "b')), FinishReason.LENGTH, "MAX_TOKENS"
    )

    whole = json.loads(gemini.encode_response(answer, reply()))
    frames = written(answer)

    assert whole["candidates"][0]["content"]["parts"] == [{"text": "x"}]
    assert b"functionCall" not in b"".join(frames)


def test_an_odd_call_that_was_not_cut_off_is_written():  # cases 66, 68
    answer = Response("r", "m", (ToolCall("c", "f", "[1]"),), FinishReason.TOOL_CALLS)

    frames = written(answer)

    assert data_of(frames[0])["candidates"][0]["content"]["parts"][0]["functionCall"]["args"] == {
        "value": [1]
    }


@pytest.mark.parametrize("reason", FinishReason)
def test_every_finish_has_a_word_and_a_part(reason):
    answer = Response("", "m", finish=reason)

    last = data_of(written(answer)[-1])

    types.FinishReason(last["candidates"][0]["finishReason"])
    assert last["candidates"][0]["content"]["parts"] == [{"text": ""}]
    assert last["responseId"] == "made-id"
    assert "usageMetadata" in last


def test_a_signature_follows_its_text_and_other_vendors_blobs_stay_behind():
    answer = Response(
        "r",
        "m",
        (Text("a", (SIGNATURE,)), Text("b", (Blob("openai", "x", "y"),))),
        finish_raw="STOP",
    )

    frames = written(answer)

    assert [data_of(raw)["candidates"][0]["content"]["parts"][0] for raw in frames] == [
        {"text": "a"},
        {"text": "", "thoughtSignature": "U0lHMQ=="},
        {"text": "b"},
        {"text": ""},
    ]
    assert fold(read(frames)).parts == (Text("a", (SIGNATURE,)), Text("b"))


def test_line_separators_are_escaped():  # case 135
    answer = Response("r", "m", (Text("a\u2028b\u2029c"),))

    stream = b"".join(written(answer))

    assert b"a\\u2028b\\u2029c" in stream
    assert "\u2028".encode() not in gemini.encode_response(answer, reply())


# ── frames made safe ─────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "raw",
    [
        b'data: {"a":1}\r\n\r\n',
        b'data: {"a":1}\n\n',
        'data: {"a":"—"}\n\n'.encode(),
        b'data: {"error":{"code":503,"message":"x","status":"UNAVAILABLE"}}\n\n',
        b'data: {"text":"\\"error\\""}\n\n',
    ],
)
def test_what_is_safe_stays_as_it_is(raw):
    assert gemini.canonical(raw) is raw


@pytest.mark.parametrize(
    ("raw", "safe"),
    [
        (b": comment\n\n", b""),
        (b"\n", b""),
        (b"event: x\n\n", b""),
        (b"data: [DONE]\n\n", b""),
        (b"data:\n\n", b""),
        (b'data:{"a":1}\n\n', b'data: {"a":1}\r\n\r\n'),
        (b'data: {"a":1}\r\r', b'data: {"a":1}\r\n\r\n'),
        (b'data: {"a":1}', b'data: {"a":1}\r\n\r\n'),
        (b': c\nevent: m\nid: 1\ndata: {"a":1}\n\n', b'data: {"a":1}\r\n\r\n'),
        (b'data: {"a":\ndata: 1}\n\n', b'data: {"a": 1}\r\n\r\n'),
        ('data: {"a":"\u2028"}\n\n'.encode(), b'data: {"a":"\\u2028"}\r\n\r\n'),
    ],
)
def test_what_makes_clients_fail_is_taken_out(raw, safe):  # case 141
    assert gemini.canonical(raw) == safe


@pytest.mark.parametrize(
    "error",
    [
        {"id": 1, "error": {"code": 429, "message": "slow down"}},
        {"error": {"code": "429", "status": "RESOURCE_EXHAUSTED", "message": "slow down"}},
        [{"error": {"code": 429, "message": "slow down"}}],
    ],
)
def test_an_error_is_put_into_the_form_that_clients_notice(error):  # case 172
    safe = gemini.canonical(sent(error))

    assert safe.startswith(b'data: {"error":{"code":429,')
    assert data_of(safe)["error"]["message"] == "slow down"


@given(st.binary(max_size=60))
def test_made_safe_once_is_safe(data):
    once = gemini.canonical(b"data: " + data + b"\n\n")

    assert gemini.canonical(once) == once


# ── failures ─────────────────────────────────────────────────────────────────────────────────


def google_error(code, status, message="it failed", *details):
    error = {"code": code, "message": message, "status": status, "details": list(details)}
    return json.dumps({"error": error}).encode()


RETRY = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "34.07s"}
BAD_KEY = {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "API_KEY_INVALID"}
PER_DAY = {
    "@type": "type.googleapis.com/google.rpc.QuotaFailure",
    "violations": [{"quotaId": "GenerateRequestsPerDayPerProjectPerModel-FreeTier"}],
}


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (400, google_error(400, "INVALID_ARGUMENT"), Kind.INVALID),
        (400, google_error(400, "INVALID_ARGUMENT", "bad", BAD_KEY), Kind.AUTH),  # case 168
        (403, google_error(403, "PERMISSION_DENIED"), Kind.FORBIDDEN),
        (404, google_error(404, "NOT_FOUND"), Kind.MODEL),
        (429, google_error(429, "RESOURCE_EXHAUSTED"), Kind.RATE_LIMIT),
        (429, google_error(429, "RESOURCE_EXHAUSTED", "spent", PER_DAY), Kind.BILLING),  # case 174
        (429, google_error(429, "RESOURCE_EXHAUSTED", "quota, limit: 0"), Kind.BILLING),
        (499, google_error(499, "CANCELLED"), Kind.SERVER),
        (500, google_error(500, "INTERNAL"), Kind.SERVER),
        (503, google_error(503, "UNAVAILABLE"), Kind.OVERLOADED),
        (504, google_error(504, "DEADLINE_EXCEEDED"), Kind.TIMEOUT),
        (
            400,
            google_error(
                400,
                "INVALID_ARGUMENT",
                "The input token count (20) exceeds the maximum number of tokens allowed (10).",
            ),
            Kind.CONTEXT,
        ),
        (503, b"[" + google_error(503, "UNAVAILABLE") + b"]", Kind.OVERLOADED),  # case 169
        (502, b"<html><body>Bad Gateway</body></html>", Kind.SERVER),  # case 170
        (500, b"", Kind.SERVER),
    ],
)
def test_failures_are_understood(status, body, kind):
    failure = gemini.decode_failure(status, body)

    assert failure.kind is kind
    assert failure.message


@pytest.mark.parametrize(
    ("delay", "seconds"), [("34.07s", 34.07), ("900ms", 0.9), ("60s", 60.0), ("soon", None)]
)
def test_the_wait_is_read_from_the_details(delay, seconds):
    body = google_error(429, "RESOURCE_EXHAUSTED", "no", {**RETRY, "retryDelay": delay})

    assert gemini.decode_failure(429, body).retry_after == seconds


@given(st.binary(max_size=80), st.integers(100, 599))
def test_no_error_body_is_too_odd(body, status):
    assert gemini.decode_failure(status, body).message


def test_the_wait_is_told_in_the_body():  # case 173
    failure = Failure(Kind.RESTING, "resting", retry_after=12.5, details=[PER_DAY, RETRY])

    status, body = gemini.encode_failure(failure, request_id="r")

    assert status == 429
    assert json.loads(body)["error"]["details"] == [PER_DAY, {**RETRY, "retryDelay": "12.5s"}]


def test_our_own_credentials_trouble_is_not_the_clients():  # case 178
    failure = gemini.decode_failure(400, google_error(400, "INVALID_ARGUMENT", "bad", BAD_KEY))

    status, body = gemini.encode_failure(failure, request_id="r")

    assert status == 503
    assert b"API_KEY_INVALID" not in body


@pytest.mark.parametrize(
    "message",
    [
        "prompt is too long: 210000 tokens > 200000 maximum",
        "maximum context length is 200000 tokens, yours has 210000",
    ],
)
def test_too_long_a_prompt_is_told_in_googles_phrase(message):  # case 165
    status, body = gemini.encode_failure(Failure(Kind.CONTEXT, message), request_id="r")

    assert status == 400
    assert (
        "input token count (210000) exceeds the maximum number of tokens allowed (200000)"
        in (json.loads(body)["error"]["message"])
    )


# ── lists ────────────────────────────────────────────────────────────────────────────────────


def test_a_model_is_listed_with_what_is_known_of_it():
    known = ModelInfo("google/gemini-pro", "google", "Gemini Pro", 1048576, 65536)

    listed = json.loads(gemini.encode_models([known, ModelInfo("local/x", "me")]))["models"]

    assert listed[0] == json.loads(gemini.encode_model(known))
    assert listed[0]["name"] == "models/google/gemini-pro"
    assert listed[0]["inputTokenLimit"] == 1048576
    assert "inputTokenLimit" not in listed[1]


# ── the real client ──────────────────────────────────────────────────────────────────────────


@contextmanager
def served(status, content_type, body):
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            self.rfile.read(int(self.headers["Content-Length"]))
            self.do_GET()

        def do_GET(self):
            self.send_response(status)
            self.send_header("Content-Type", content_type)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        client = genai.Client(
            api_key="k",
            http_options=types.HttpOptions(base_url=f"http://127.0.0.1:{server.server_port}"),
        )
        try:
            yield client.models
        finally:
            client.close()
            server.shutdown()
            thread.join()


ANSWER = Response(
    "r1",
    "m",
    (Thinking("hm"), Text("It is\u2028so."), ToolCall("c", "f", '{"a":1}', blobs=(SIGNATURE,))),
    FinishReason.TOOL_CALLS,
    usage=Usage(9, 4, 0, 7, 3),
)


def test_the_official_client_reads_our_stream():
    stream = gemini.HEARTBEAT + b"".join(written(ANSWER))

    with served(200, "text/event-stream", stream) as models:
        chunks = list(models.generate_content_stream(model="m", contents="hi"))

    parts = [part for chunk in chunks for part in chunk.candidates[0].content.parts]
    assert (
        "".join(part.text for part in parts if part.text and not part.thought) == "It is\u2028so."
    )
    assert [part.function_call.args for part in parts if part.function_call] == [{"a": 1}]
    assert chunks[-1].candidates[0].finish_reason == "STOP"
    assert chunks[-1].usage_metadata.total_token_count == 16


def test_the_official_client_raises_our_failures():
    failure = Failure(Kind.OVERLOADED, "too many")
    in_stream = written(ANSWER)[0] + gemini.encoder(reply()).write(failure)
    status, body = gemini.encode_failure(failure, request_id="r")

    with (
        served(200, "text/event-stream", in_stream) as models,
        pytest.raises(genai_errors.ServerError) as streamed,
    ):
        list(models.generate_content_stream(model="m", contents="hi"))
    with (
        served(status, "application/json", body) as models,
        pytest.raises(genai_errors.ServerError) as plain,
    ):
        models.generate_content(model="m", contents="hi")

    assert (streamed.value.code, streamed.value.status) == (503, "UNAVAILABLE")
    assert (plain.value.code, plain.value.message) == (503, "too many")


def test_the_official_client_reads_our_whole_answer():
    with served(200, "application/json", gemini.encode_response(ANSWER, reply())) as models:
        answer = models.generate_content(model="m", contents="hi")

    assert answer.text == "It is\u2028so."
    assert answer.function_calls[0].id == "c"
    assert answer.model_version == "google/gemini-pro"


def test_the_official_client_reads_our_lists():
    models_known = [ModelInfo("google/gemini-pro", "google", "Gemini Pro", 1048576, 65536)]

    with served(200, "application/json", gemini.encode_models(models_known)) as models:
        (listed,) = models.list(config={"query_base": True})
    with served(200, "application/json", gemini.encode_model(models_known[0])) as models:
        one = models.get(model="google/gemini-pro")

    assert listed == one
    assert one.name == "models/google/gemini-pro"
    assert (one.input_token_limit, one.output_token_limit) == (1048576, 65536)
    assert "generateContent" in one.supported_actions
