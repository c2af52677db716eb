"""Requests of Gemini as clients seldom send them, and what they become."""

import base64

import pytest

from proxypal_core.dialects import gemini
from proxypal_core.hub.failure import Refused
from proxypal_core.hub.messages import (
    Audio,
    Base64,
    Blob,
    File,
    Image,
    Opaque,
    Output,
    PlainText,
    Reasoning,
    Refusal,
    Request,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
    Turn,
    Url,
)
from proxypal_core.wire import jsonio
from tests.strategies import PNG

WAV = "UklGRg=="
PNG_PART = {"inlineData": {"mimeType": "image/png", "data": PNG}}
WAV_PART = {"inlineData": {"mimeType": "audio/wav", "data": WAV}}
CODE = {"executableCode": {"language": "PYTHON", "code": "1"}}
SIGNED = Blob("gemini", "thought_signature", "U0lHMQ==")
HI = {"role": "user", "parts": [{"text": "hi"}]}


def decoded(contents=None, model="gemini-2.5-pro", **fields):
    doc = {"contents": contents or [HI], **fields}
    return gemini.decode_request(doc, model=model, stream=False)


def parts_of(*parts, role="user"):
    return decoded([{"role": role, "parts": list(parts)}]).turns[0].parts


def user(*parts):
    return Turn("user", parts)


def assistant(*parts):
    return Turn("assistant", parts)


def encoded(*turns, model="gemini-2.5-pro", dialect="openai-chat", **fields):
    turns = turns or (user(Text("hi")),)
    return gemini.encode_request(Request(dialect=dialect, model=model, turns=turns, **fields))


def body_of(*turns, **fields):
    return jsonio.loads(encoded(*turns, **fields).body)


def again(**fields):
    """The body that a client's becomes on its way to Gemini."""
    return jsonio.loads(gemini.encode_request(decoded(**fields)).body)


def refusal(**fields):
    with pytest.raises(Refused) as refused:
        decoded(**fields)
    return refused.value.failure.message


# ── requests, read ───────────────────────────────────────────────────────────────────────────


def nested(depth, key="items"):
    value = {"type": "OBJECT"}
    for _ in range(depth):
        value = {key: value}
    return value


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"x": nested(300)}, "the request is nested too deeply"),
        (
            {"tools": [{"functionDeclarations": [{"name": "f", "parameters": nested(300)}]}]},
            "nested too deeply",
        ),
        ({"contents": [{"role": "robot"}]}, "must be user or model, not 'robot'"),
        ({"contents": [{"parts": [{"hologram": {}}]}]}, "unknown part type 'hologram'"),
    ],
)
def test_what_cannot_be_read_is_refused(fields, says):
    assert says in refusal(**fields)


@pytest.mark.parametrize(
    ("system", "texts"), [("Be brief.", ["Be brief."]), ("", []), (None, []), ({}, [])]
)
def test_instructions_may_be_plain_text(system, texts):
    assert [text.text for text in decoded(systemInstruction=system).system] == texts


def test_a_signature_without_text_signs_the_text_before_it_or_stands_alone():
    signature = {"text": "", "thoughtSignature": "U0lHMQ=="}

    assert parts_of({"text": "Hm."}, signature) == (Text("Hm.", (SIGNED,)),)
    assert parts_of(signature, {"text": "Hm."}) == (Text("", (SIGNED,)), Text("Hm."))


def test_a_part_that_says_nothing_is_none():
    assert parts_of({"thought": True}, {"text": ""}, {"text": "x"}) == (Text("x"),)


def test_a_functions_answer_may_hold_media():
    answer = {
        "name": "shot",
        "response": {"output": "done"},
        "parts": [PNG_PART, {"thought": True}],
    }

    (result,) = parts_of({"functionResponse": answer})

    assert result.content == (Text("done"), Image(Base64("image/png", PNG)))


def test_a_tool_that_is_null_is_none():
    assert decoded(tools=[{"googleSearch": None, "codeExecution": {}}]).tools == (
        Tool("codeExecution", native={"codeExecution": {}}, dialect="gemini"),
    )


def test_a_form_that_only_gemini_has_goes_back_to_it():
    config = {"responseMimeType": "text/x.enum", "responseSchema": {"enum": ["a", "b"]}}

    assert again(generationConfig=config)["generationConfig"] == config


def test_a_text_file_that_is_no_text_stays_a_file():
    data = base64.b64encode(b"\xff\xfe").decode()

    (part,) = parts_of({"inlineData": {"mimeType": "text/plain", "data": data}})

    assert part == File(Base64("text/plain", data))


@pytest.mark.parametrize(
    ("config", "sent"),
    [
        ({"retrievalConfig": {"languageCode": "vi"}}, {"retrievalConfig": {"languageCode": "vi"}}),
        (
            {"functionCallingConfig": {"mode": "VALIDATED"}},
            {"functionCallingConfig": {"mode": "VALIDATED"}},
        ),
    ],
)
def test_what_gemini_alone_says_of_tools_goes_back_to_it(config, sent):
    tools = [{"functionDeclarations": [{"name": "f"}]}]

    assert again(toolConfig=config, tools=tools)["toolConfig"] == sent


def test_how_functions_are_called_is_not_said_without_functions():
    assert "toolConfig" not in again(toolConfig={"functionCallingConfig": {"mode": "VALIDATED"}})


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ({"type": ["STRING", "NULL"]}, {"type": ["string", "null"]}),
        (
            {"type": "STRING", "enum": ["a"], "nullable": True},
            {"type": ["string", "null"], "enum": ["a", None]},
        ),
        ({"enum": ["a"], "nullable": True}, {"enum": ["a", None]}),
        (
            {"anyOf": [{"type": "STRING"}], "nullable": True},
            {"anyOf": [{"type": "string"}, {"type": "null"}]},
        ),
        ({"type": "STRING", "format": "enum", "enum": ["a"]}, {"type": "string", "enum": ["a"]}),
    ],
)
def test_gemini_s_own_form_of_a_schema_is_json_schema_s(given, meant):
    declared = {"name": "f", "parameters": {"type": "OBJECT", "properties": {"x": given}}}

    (tool,) = decoded(tools=[{"functionDeclarations": [declared]}]).tools

    assert tool.schema["properties"]["x"] == meant


# ── requests, written ────────────────────────────────────────────────────────────────────────


def sent_schema(schema):
    body = body_of(tools=(Tool("f", schema=schema),))
    return body["tools"][0]["functionDeclarations"][0]["parametersJsonSchema"]


def test_a_reference_round_a_circle_is_cut_wherever_the_circle_is_closed():
    """The walk comes to ``b`` by a reference, from there to ``a``, and to ``b`` as its child."""
    schema = {
        "type": "object",
        "$ref": "#/properties/a/properties/b",
        "properties": {"a": {"properties": {"b": {"$ref": "#/properties/a"}}}},
    }

    sent = sent_schema(schema)

    assert sent["properties"]["a"]["properties"]["b"] == {"type": "object"}


@pytest.mark.parametrize(
    "reference", ["https://example.com/schema", "#/nowhere", "#/anyOf/7", "#/anyOf/0/type"]
)
def test_a_reference_to_what_is_not_there_is_sent_as_it_is(reference):
    schema = {
        "type": "object",
        "anyOf": [{"type": "object"}],
        "properties": {"a": {"$ref": reference}},
    }

    assert sent_schema(schema) == schema


def test_a_reference_into_a_list_is_followed():
    schema = {"type": "object", "anyOf": [{"properties": {"a": {"$ref": "#/anyOf/0"}}}]}

    assert sent_schema(schema)["anyOf"][0]["properties"]["a"] == {"type": "object"}


@pytest.mark.parametrize("mode", ["off", "unset"])
def test_a_model_that_does_not_think_is_told_nothing_of_it(mode):
    found = encoded(model="gemma-3-27b-it", reasoning=Reasoning(mode))

    assert "generationConfig" not in jsonio.loads(found.body)
    assert found.dropped == ()


def test_a_turn_that_says_nothing_is_left_out():
    contents = body_of(user(Text("hi")), assistant(Refusal("")), user(Text("and?")))["contents"]

    assert [content["parts"] for content in contents] == [[{"text": "hi"}], [{"text": "and?"}]]


def test_a_signature_kept_on_a_thought_goes_to_the_text_after_it():
    contents = body_of(
        user(Text("hi")), assistant(Thinking("Hm.", (SIGNED,)), Text("Yes.")), user(Text("and?"))
    )["contents"]

    assert contents[1]["parts"] == [{"text": "Yes.", "thoughtSignature": "U0lHMQ=="}]


@pytest.mark.parametrize(
    ("part", "sent"),
    [
        (Audio("audio/wav", WAV), WAV_PART),
        (
            File(Url("https://youtu.be/x", "video/mp4")),
            {"fileData": {"mimeType": "video/mp4", "fileUri": "https://youtu.be/x"}},
        ),
        (File(PlainText("words"), name="a.txt"), {"text": "a.txt\nwords"}),
    ],
)
def test_media_are_sent(part, sent):
    assert body_of(user(part))["contents"][0]["parts"] == [sent]


def test_gemini_s_own_clients_get_their_parts_back():
    data = base64.b64encode(b"words").decode()
    text = {"inlineData": {"mimeType": "text/plain", "data": data}}

    assert again(contents=[HI, {"role": "model", "parts": [CODE]}, {"parts": [text]}])[
        "contents"
    ] == [HI, {"role": "model", "parts": [CODE]}, {"role": "user", "parts": [text]}]


def test_of_a_tools_result_only_what_gemini_knows_is_sent():
    result = ToolResult(
        "c1", (Text("done"), Opaque("anthropic", {"type": "x"}), Opaque("gemini", CODE)), "f"
    )

    contents = body_of(user(Text("go")), assistant(ToolCall("c1", "f")), user(result))["contents"]

    assert [next(iter(part)) for part in contents[2]["parts"]] == [
        "functionResponse",
        "executableCode",
    ]


def test_before_gemini_3_a_form_beside_functions_is_asked_for_in_words():
    body = body_of(output=Output("json_object"), tools=(Tool("f"),))

    assert body["systemInstruction"]["parts"] == [
        {"text": "Answer with one JSON object and nothing else."}
    ]
    assert "responseMimeType" not in body.get("generationConfig", {})


def test_a_wanted_schema_that_says_nothing_is_any_json():
    config = body_of(output=Output("json_schema", name="x", schema={}))["generationConfig"]

    assert config == {"responseMimeType": "application/json"}


def test_the_first_of_two_functions_of_one_name_holds():
    tools = (Tool("f", description="one"), Tool("f", description="two"))

    declared = body_of(tools=tools, tool_choice=ToolChoice("auto"))["tools"][0]

    assert [one["description"] for one in declared["functionDeclarations"]] == ["one"]
