"""The Responses dialect keeps its laws, satisfies the official SDK, and keeps the numbered cases."""

import httpx2
import msgspec
import openai
import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai.pagination import SyncPage
from openai.types import Model
from openai.types.responses import Response as SdkResponse
from openai.types.responses import ResponseStreamEvent
from openai.types.responses.response_create_params import ResponseCreateParamsNonStreaming

from proxypal_core.dialects import openai_responses as dialect
from proxypal_core.dialects.base import Reply
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
from tests.strategies import cuttings, json_objects, names, responses, words

EVENT = pydantic.TypeAdapter(ResponseStreamEvent)
REQUEST = pydantic.TypeAdapter(ResponseCreateParamsNonStreaming)

READ_FILE = {
    "type": "function",
    "name": "read_file",
    "description": "Read it.",
    "strict": False,
    "parameters": {"type": "object", "properties": {"path": {"type": "string"}}},
}
PATCH = {
    "type": "custom",
    "name": "patch",
    "description": "Change files.",
    "format": {"type": "grammar", "syntax": "lark", "definition": "start: /.+/"},
}
SEARCH = {"type": "web_search", "external_web_access": False}
TEAM = {
    "type": "namespace",
    "name": "team",
    "description": "Helpers",
    "tools": [{"type": "function", "name": "stop", "parameters": {"type": "object"}}, PATCH],
}


def asked(**fields):
    doc = {"model": "m", "input": "hi", **fields}
    return dialect.decode_request(doc, model="m", stream=False)


def hub(**fields):
    """A request of a client of another dialect."""
    user = Turn("user", (Text("hi"),))
    return Request(**{"dialect": "anthropic", "model": "gpt-4.1", "turns": (user,), **fields})


def told(request):
    """The body an upstream gets."""
    return jsonio.loads(dialect.encode_request(request).body)


def reply(**fields):
    return Reply(asked(**fields), "fallback", 1_795_000_000)


def written(events, for_reply=None):
    encoder = dialect.encoder(for_reply or reply())
    return b"".join(encoder.write(event) for event in events)


def frames(data):
    splitter = sse.Splitter()
    return [sse.parse(raw) for raw in (*splitter.feed(data), splitter.close()) if sse.parse(raw)]


def docs(data):
    return [jsonio.loads(frame.data) for frame in frames(data)]


def read(stream):
    decoder = dialect.decoder()
    events = [event for frame in stream for event in decoder.read(frame)]
    return [*events, *decoder.end()]


def told_by(*events):
    """What the decoder makes of an upstream's *events*, given as objects."""
    return read([sse.Frame(jsonio.dumps(event)) for event in events])


def created():
    return {"type": "response.created", "response": {"id": "resp_1", "model": "up"}}


def completed(*output, **fields):
    response = {"id": "resp_1", "status": "completed", "output": list(output), **fields}
    return {"type": "response.completed", "response": response}


# ── laws ─────────────────────────────────────────────────────────────────────────────────────


@given(responses())
def test_an_answer_survives_writing_and_reading(response):
    doc = jsonio.loads(dialect.encode_response(response, reply()))

    assert dialect.decode_response(doc) == msgspec.structs.replace(response, model="m")


@given(responses(), st.data())
def test_a_stream_survives_writing_cutting_and_reading(response, data):
    stream = written(unfold(response))
    splitter = sse.Splitter()
    chunks = data.draw(cuttings(stream))

    raws = [raw for chunk in chunks for raw in splitter.feed(chunk)]

    assert fold(read([sse.parse(raw) for raw in raws])) == msgspec.structs.replace(
        response, model="m"
    )


@given(responses())
def test_a_stream_and_a_whole_answer_say_the_same(response):
    whole = jsonio.loads(dialect.encode_response(response, reply()))

    last = docs(written(unfold(response)))[-1]["response"]

    assert last == whole


@given(responses(), st.data())
def test_a_stream_that_breaks_off_is_not_an_answer(response, data):
    stream = frames(written(unfold(response)))
    cut = data.draw(st.integers(0, len(stream) - 1))

    events = read(stream[:cut])

    assert events[-1].kind is Kind.TRUNCATED
    assert not any(isinstance(event, Finish) for event in events)


@given(responses())
def test_an_onlooker_sees_beginning_end_and_usage(response):
    encoder = dialect.encoder(reply())
    begun = []
    notices = []
    for event in unfold(response):
        seen = [dialect.notice(frame) for frame in frames(encoder.write(event))]
        notices += seen
        begun += [isinstance(event, (PartStart, PartDelta))] * any(n and n.begun for n in seen)

    assert begun[0]
    assert [bool(n and n.finished) for n in notices] == [False] * (len(notices) - 1) + [True]
    assert notices[-1].usage == response.usage


@given(responses())
def test_an_answer_begins_with_its_first_content(response):
    events = list(unfold(response))
    first = next(
        at
        for at, event in enumerate(events)
        if isinstance(event, PartDelta)
        or (isinstance(event, PartStart) and isinstance(event.part, ToolCall))
    )

    before = [dialect.notice(frame) for frame in frames(written(events[:first]))]
    after = [dialect.notice(frame) for frame in frames(written(events[: first + 1]))]

    assert not any(before)
    assert any(after)


@given(responses())
def test_an_onlooker_at_a_whole_answer_sees_the_same(response):
    notice = dialect.notice_whole(jsonio.loads(dialect.encode_response(response, reply())))

    assert (notice.begun, notice.finished) == (True, True)
    assert notice.usage == response.usage


@st.composite
def requests(draw):
    """Bodies as clients send them."""
    items = [{"type": "message", "role": "developer", "content": draw(words)}]
    for at in range(draw(st.integers(0, 3))):
        text = [{"type": "input_text", "text": draw(words)}]
        items.append({"role": "user", "content": draw(st.sampled_from([text, text * 2]))})
        items.append({"type": "reasoning", "summary": [], "encrypted_content": draw(words)})
        items.append({"role": "assistant", "content": [{"type": "output_text", "text": "ok"}]})
        call = {"type": "function_call", "call_id": f"c{at}", "name": draw(names)}
        items.append({**call, "arguments": jsonio.dumps_text(draw(json_objects))})
        if draw(st.booleans()):
            output = {"type": "function_call_output", "call_id": f"c{at}", "output": draw(words)}
            items.append(output)
    tools = [{**READ_FILE, "name": draw(names)}, TEAM, PATCH, SEARCH]
    return {
        "model": "m",
        "input": items,
        "tools": tools[: draw(st.integers(0, 4))],
        "reasoning": draw(st.sampled_from([{}, {"effort": "high", "summary": "detailed"}])),
        "metadata": draw(st.sampled_from([{}, {"k": "v"}])),
        "truncation": "auto",
    }


@given(requests())
def test_a_request_is_stable_once_it_was_written(doc):
    once = dialect.encode_request(dialect.decode_request(doc, model="m", stream=True)).body

    again = dialect.decode_request(jsonio.loads(once), model="m", stream=True)

    assert dialect.encode_request(again).body == once


@given(requests())
def test_a_written_request_has_the_sdks_types(doc):
    body = told(dialect.decode_request(doc, model="m", stream=False))
    for item in body["input"]:
        if item["type"] == "reasoning":
            item["id"] = "rs_1"  # the SDK's type wants the id that stateless clients leave out

    REQUEST.validate_python(body)


@given(requests())
def test_calls_and_outputs_are_paired(doc):
    items = told(dialect.decode_request(doc, model="m", stream=False))["input"]

    calls = [item["call_id"] for item in items if item.get("type") == "function_call"]
    outputs = [item["call_id"] for item in items if item.get("type") == "function_call_output"]
    assert calls == outputs


# ── the official SDK ─────────────────────────────────────────────────────────────────────────


class Served:
    """The SDK, answered with the bytes of one stream."""

    def __init__(self, data):
        transport = httpx2.MockTransport(
            lambda _: httpx2.Response(
                200, content=data, headers={"content-type": "text/event-stream"}
            )
        )
        self._client = openai.OpenAI(
            api_key="k",
            base_url="http://here/v1",
            max_retries=0,
            http_client=httpx2.Client(transport=transport),
        )

    def __enter__(self):
        return self._client

    def __exit__(self, *_):
        self._client.close()


@given(responses())
def test_the_sdk_accumulates_what_was_said(response):  # case 152
    with (
        Served(written(unfold(response))) as client,
        client.responses.stream(model="m", input="hi") as stream,
    ):
        if response.finish is FinishReason.LENGTH:
            kinds = [event.type for event in stream]
            assert kinds[-1] == "response.incomplete"
            return
        final = stream.get_final_response()

    texts = [part.text for part in response.parts if isinstance(part, Text)]
    calls = [part.arguments for part in response.parts if isinstance(part, ToolCall)]
    assert final.output_text == "".join(texts)
    assert [item.arguments for item in final.output if item.type == "function_call"] == calls
    assert final.usage.total_tokens == response.usage.total


@given(responses())
def test_the_sdk_knows_every_frame_and_the_whole(response):
    for frame in frames(written(unfold(response))):
        event = EVENT.validate_json(frame.data)
        assert event.type == frame.event

    whole = SdkResponse.model_validate_json(dialect.encode_response(response, reply()))

    assert whole.model == "m"
    assert whole.id == response.id


@given(responses())
def test_frames_are_numbered_without_gaps(response):  # case 152
    events = docs(written(unfold(response)))

    assert [event["sequence_number"] for event in events] == list(range(len(events)))


def test_the_sdk_raises_a_failure_in_the_stream():
    failure = Failure(Kind.RATE_LIMIT, "slow down", retry_after=3.2)
    data = written([ResponseStart("resp_1", "up"), PartStart(0, Text("")), failure])

    with Served(data) as client, pytest.raises(openai.APIError) as raised:
        list(client.responses.create(model="m", input="hi", stream=True))

    assert "slow down. Please try again in 4s." in raised.value.message
    assert raised.value.code == "rate_limit_exceeded"


def test_the_sdk_reads_lists_of_models():
    models = [ModelInfo("a/b", "openai"), ModelInfo("c", "anthropic")]

    page = SyncPage[Model].model_validate_json(dialect.encode_models(models))
    one = Model.model_validate_json(dialect.encode_model(models[0]))

    assert [model.id for model in page.data] == ["a/b", "c"]
    assert (one.id, one.owned_by) == ("a/b", "openai")


# ── requests in ──────────────────────────────────────────────────────────────────────────────


def test_the_model_and_the_wish_for_a_stream_are_seen_before_decoding():
    assert dialect.peek({"model": "m", "stream": True}) == ("m", True)
    assert dialect.peek({}) == ("", False)


def test_leading_instructions_are_the_system_and_later_ones_stay_at_their_place():  # case 5, 6
    request = asked(
        instructions="first",
        input=[
            {"role": "developer", "content": [{"type": "input_text", "text": "second"}]},
            {"role": "system", "content": "third"},
            {"role": "user", "content": "go"},
            {"type": "message", "role": "developer", "content": "switch"},
        ],
    )

    assert request.system == (Text("first"), Text("second"), Text("third"))
    assert request.turns == (Turn("user", (Text("go"),)), Turn("system", (Text("switch"),)))


def test_items_of_the_model_are_one_turn_up_to_the_first_output():  # case 27, 59
    request = asked(
        input=[
            {"role": "user", "content": "go"},
            {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "e"},
            {
                "type": "message",
                "role": "assistant",
                "phase": "commentary",
                "content": [{"type": "output_text", "text": "I look", "annotations": []}],
            },
            {"type": "function_call", "call_id": "c1", "name": "a", "arguments": "{}"},
            {"type": "custom_tool_call", "call_id": "c2", "name": "b", "input": "x"},
            {"type": "function_call_output", "id": "fco_1", "call_id": "c1", "output": "1"},
            {"type": "custom_tool_call_output", "call_id": "c2", "output": "2"},
            {"role": "user", "content": "and?"},
        ],
    )

    assert request.turns[1:] == (
        Turn(
            "assistant",
            (
                Thinking("", (Blob("openai", "encrypted_reasoning", "e", "rs_1"),)),
                Text("I look"),
                ToolCall("c1", "a", "{}"),
                ToolCall("c2", "b", "x", freeform=True),
            ),
        ),
        Turn("user", (ToolResult("c1", (Text("1"),), "a"), ToolResult("c2", (Text("2"),), "b"))),
        Turn("user", (Text("and?"),)),
    )


def test_reasoning_may_have_null_content_and_several_summaries():  # case 92, 93
    summary = [{"type": "summary_text", "text": text} for text in ("**A**", "b")]
    request = asked(input=[{"type": "reasoning", "summary": summary, "content": None}])

    assert request.turns == (Turn("assistant", (Thinking("**A**\n\nb"),)),)


def test_a_tools_output_may_hold_images():
    request = asked(
        input=[
            {
                "type": "function_call_output",
                "call_id": "c",
                "output": [
                    {"type": "input_text", "text": "see"},
                    {"type": "input_image", "image_url": "data:image/png;base64,iVBORw0K"},
                ],
            }
        ]
    )

    (result,) = request.turns[0].parts
    assert result.content == (Text("see"), Image(Base64("image/png", "iVBORw0K")))


@pytest.mark.parametrize("output", [None, "", []])
def test_an_empty_output_is_no_content(output):  # case 62
    item = {"type": "function_call_output", "call_id": "c", "output": output}

    assert asked(input=[item]).turns == (Turn("user", (ToolResult("c"),)),)


def test_parts_of_messages_are_read():
    content = [
        {"type": "input_text", "text": "t", "prompt_cache_breakpoint": {"mode": "explicit"}},
        {"type": "input_image", "image_url": "https://x/y.png", "detail": "low"},
        {"type": "input_image", "file_id": "file-1"},
        {
            "type": "input_file",
            "filename": "a.pdf",
            "file_data": "data:application/pdf;base64,AA==",
        },
        {"type": "input_file", "file_url": "https://x/a.pdf"},
        {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "mp3"}},
        {"type": "refusal", "refusal": "no"},
    ]

    (turn,) = asked(input=[{"role": "user", "content": content}]).turns

    assert turn.parts == (
        Text("t", cache=CacheMark()),
        Image(Url("https://x/y.png"), "low"),
        Image(FileId("file-1", "openai-responses")),
        File(Base64("application/pdf", "AA=="), "a.pdf"),
        File(Url("https://x/a.pdf")),
        Audio("audio/mpeg", "AAAA"),
        Refusal("no"),
    )


def test_additional_tools_namespaces_and_custom_tools_are_declared():  # case 41, 42, 43
    item = {"type": "additional_tools", "role": "developer", "tools": [TEAM, READ_FILE]}
    mine = {**READ_FILE, "description": "mine"}
    user = {"role": "user", "content": "hi"}

    request = asked(input=[item, user], tools=[mine, SEARCH])

    assert request.tools == (
        Tool("read_file", "mine", READ_FILE["parameters"], strict=False),
        Tool("web_search", native=SEARCH, dialect="openai-responses"),
        Tool("stop", schema={"type": "object"}, namespace="team"),
        Tool("patch", "Change files.", namespace="team", freeform=True, grammar=PATCH["format"]),
    )
    assert request.turns == (Turn("user", (Text("hi"),)),)


@pytest.mark.parametrize(
    ("choice", "meant"),
    [
        ("auto", ToolChoice("auto")),
        ("none", ToolChoice("none")),
        ({"type": "function", "name": "a"}, ToolChoice("required", ("a",))),
        ({"type": "custom", "name": "a"}, ToolChoice("required", ("a",))),
        (
            {"type": "allowed_tools", "mode": "auto", "tools": [{"type": "function", "name": "a"}]},
            ToolChoice("auto", ("a",)),
        ),
        (None, None),
    ],
)
def test_the_choice_among_tools_is_read(choice, meant):
    assert asked(tool_choice=choice).tool_choice == meant


def test_what_the_hub_has_no_word_for_is_kept_and_put_back():
    request = asked(
        previous_response_id="resp_0",
        include=["message.output_text.logprobs"],
        store=True,
        client_metadata={"a": "b"},
        reasoning={"effort": "low", "summary": "concise", "context": "all_turns"},
        tool_choice={"type": "web_search"},
        tools=[SEARCH],
    )

    body = told(request)

    assert body["previous_response_id"] == "resp_0"
    assert body["store"] is True
    assert body["client_metadata"] == {"a": "b"}
    assert body["include"] == ["message.output_text.logprobs", "reasoning.encrypted_content"]
    assert body["reasoning"] == {"effort": "low", "summary": "concise", "context": "all_turns"}
    assert body["tool_choice"] == {"type": "web_search"}
    assert body["tools"] == [SEARCH]


def test_items_only_this_dialect_knows_keep_their_place():
    search = {"type": "web_search_call", "id": "ws_1", "status": "completed"}
    shell = {"type": "local_shell_call_output", "id": "ls_1", "output": "{}"}
    request = asked(input=[{"role": "user", "content": "go"}, search, shell])

    assert request.turns[1:] == (
        Turn("assistant", (Opaque("openai-responses", search),)),
        Turn("user", (Opaque("openai-responses", shell),)),
    )
    assert told(request)["input"][1:] == [search, shell]


@pytest.mark.parametrize(
    ("doc", "told_place"),
    [
        ({"input": [{"role": "user", "content": [{"type": "hologram"}]}]}, "input[0].content[0]"),
        ({"input": [{"role": "judge", "content": "x"}]}, "input[0].role"),
        ({"input": [{}]}, "input[0].type"),
        ({"input": 7}, "input"),
        ({"input": [{"type": "function_call", "name": "a"}]}, "input[0].call_id"),
        ({"tools": [{"type": "function"}]}, "tools[0].name"),
        ({"tools": [{"name": "f"}]}, "tools[0].type"),
        ({"tool_choice": 3}, "tool_choice"),
        ({"text": {"format": {"type": "xml"}}}, "text.format"),
    ],
)
def test_a_wrong_request_names_the_place(doc, told_place):  # case 194
    with pytest.raises((Refused, jsonio.Malformed)) as refused:
        asked(**doc)

    assert str(refused.value).startswith(f"{told_place}:")


# ── requests out ─────────────────────────────────────────────────────────────────────────────


def test_a_foreign_request_is_stateless_and_keeps_reasoning_readable():  # case 91, 180
    body = told(hub(model="gpt-5.5"))

    assert body["store"] is False
    assert body["include"] == ["reasoning.encrypted_content"]


def test_a_model_that_does_not_reason_is_not_asked_to():  # case 96
    encoded = dialect.encode_request(hub(reasoning=Reasoning("effort", "high", show="full")))

    body = jsonio.loads(encoded.body)
    assert ("reasoning" in body, body["include"]) == (False, [])
    assert encoded.dropped == ("reasoning",)


def test_a_tiny_limit_is_raised_to_the_least_allowed():  # case 4
    assert told(hub(max_output_tokens=1))["max_output_tokens"] == 16
    assert told(hub(max_output_tokens=99))["max_output_tokens"] == 99


def test_instructions_go_first_and_later_ones_become_developer_messages():  # case 7
    user, switch = Turn("user", (Text("a"),)), Turn("system", (Text("switch"),))

    body = told(hub(system=(Text("x"), Text("y")), turns=(user, switch)))

    assert body["instructions"] == "x\n\ny"
    assert body["input"][1] == {
        "type": "message",
        "role": "developer",
        "content": [{"type": "input_text", "text": "switch"}],
    }


def test_a_system_alone_becomes_the_input():  # case 8
    body = told(hub(system=(Text("x"),), turns=()))

    assert [item["role"] for item in body["input"]] == ["developer"]


def test_an_unfinished_answer_is_asked_to_go_on():  # case 11
    turns = (Turn("user", (Text("a"),)), Turn("assistant", (Text("{"),)))

    last = told(hub(turns=turns))["input"][-1]

    assert last["role"] == "user"


def test_the_billing_line_of_a_client_is_left_out():  # case 29
    system = (Text("x-anthropic-billing-header: v=1"), Text("Be brief."))

    assert told(hub(system=system))["instructions"] == "Be brief."


def test_media_are_written_as_data_urls_and_foreign_ones_are_refused():  # case 18, 20, 21, 22, 24
    parts = (
        Image(Base64("image/png", "/9j/AAAA")),
        File(Base64("application/pdf", "AAAA")),
        File(PlainText("words"), "notes"),
        Audio("audio/wav", "AAAA"),
    )

    (item,) = told(hub(turns=(Turn("user", parts),)))["input"]

    assert item["content"] == [
        {"type": "input_image", "detail": "auto", "image_url": "data:image/jpeg;base64,/9j/AAAA"},
        {
            "type": "input_file",
            "filename": "file.pdf",
            "file_data": "data:application/pdf;base64,AAAA",
        },
        {"type": "input_text", "text": "notes\nwords"},
        {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}},
    ]
    for part in (
        Image(FileId("f", "anthropic")),
        File(FileId("f", "gemini")),
        Audio("audio/ogg", "A"),
    ):
        with pytest.raises(Refused):
            told(hub(turns=(Turn("user", (part,)),)))


def test_names_are_changed_everywhere_alike_and_can_be_changed_back():  # case 30, 31
    call, result = ToolCall("c", "a.b"), ToolResult("c", (Text("1"),))
    encoded = dialect.encode_request(
        hub(
            turns=(Turn("assistant", (call,)), Turn("user", (result,))),
            tools=(Tool("a.b"), Tool("x" * 80)),
            tool_choice=ToolChoice("required", ("a.b",)),
        )
    )
    body = jsonio.loads(encoded.body)

    short = body["tools"][0]["name"]
    assert short == body["input"][0]["name"] == body["tool_choice"]["name"] == "a_b"
    assert len(body["tools"][1]["name"]) <= 64
    assert encoded.names == {"a_b": "a.b", body["tools"][1]["name"]: "x" * 80}


@pytest.mark.parametrize(
    ("schema", "strict", "sent"),
    [
        ({"type": "object", "properties": {}}, None, False),
        ({"type": "object", "properties": {"a": {}}, "additionalProperties": False}, True, False),
        (
            {
                "type": "object",
                "properties": {"a": {"type": "object", "additionalProperties": False}},
                "required": ["a"],
                "additionalProperties": False,
            },
            True,
            True,
        ),
    ],
)
def test_strictness_is_always_said_and_only_where_the_schema_allows_it(schema, strict, sent):  # 40
    (tool,) = told(hub(tools=(Tool("a", schema=schema, strict=strict),)))["tools"]

    assert tool["strict"] is sent


def test_a_tool_without_arguments_has_an_empty_schema():  # case 34
    (tool,) = told(hub(tools=(Tool("a"),)))["tools"]

    assert tool["parameters"] == {"type": "object", "properties": {}}


def test_a_freeform_tool_of_chat_has_its_grammar_flat():  # case 43
    grammar = {"type": "grammar", "grammar": {"syntax": "lark", "definition": "s"}}

    (tool,) = told(hub(tools=(Tool("a", freeform=True, grammar=grammar),)))["tools"]

    assert tool == {
        "type": "custom",
        "name": "a",
        "format": {"type": "grammar", "syntax": "lark", "definition": "s"},
    }


def test_namespaces_are_put_together_again():  # case 41
    body = told(asked(tools=[TEAM]))

    assert [tool["name"] for tool in body["tools"][0]["tools"]] == ["stop", "patch"]
    assert body["tools"][0]["description"] == "Helpers"


def test_web_search_of_another_vendor_is_ours_and_other_hosted_tools_are_dropped():  # case 44, 46
    search = Tool("s", native={"type": "web_search_20250305"}, dialect="anthropic")
    google = Tool("g", native={"googleSearch": {}}, dialect="gemini")
    code = Tool("code", native={"type": "code_execution"}, dialect="anthropic")

    encoded = dialect.encode_request(
        hub(tools=(search, google, code), tool_choice=ToolChoice("required", ("code",)))
    )
    body = jsonio.loads(encoded.body)

    assert body["tools"] == [{"type": "web_search"}, {"type": "web_search"}]
    assert encoded.dropped == ("code",)
    assert "tool_choice" not in body


def test_a_choice_without_tools_is_left_out():  # case 47
    body = told(hub(tool_choice=ToolChoice("auto"), parallel_tools=True))

    assert not {"tool_choice", "parallel_tool_calls", "tools"} & set(body)


@pytest.mark.parametrize(
    ("choice", "sent"),
    [
        (ToolChoice("required"), "required"),
        (ToolChoice("required", ("f",)), {"type": "custom", "name": "f"}),
        (
            ToolChoice("auto", ("a", "f")),
            {
                "type": "allowed_tools",
                "mode": "auto",
                "tools": [{"type": "function", "name": "a"}, {"type": "custom", "name": "f"}],
            },
        ),
    ],
)
def test_a_choice_is_written(choice, sent):
    tools = (Tool("a"), Tool("f", freeform=True))

    assert told(hub(tools=tools, tool_choice=choice))["tool_choice"] == sent


def test_calls_without_output_and_outputs_without_call_are_made_harmless():  # case 55, 56, 28
    body = told(
        hub(
            turns=(
                Turn("assistant", (ToolCall("a", "t"), ToolCall("b", "t", '{"x":1}'))),
                Turn("user", (ToolResult("b", (Text("1"),)), ToolResult("gone", (Text("2"),)))),
            )
        )
    )["input"]

    assert [(item["type"], item.get("call_id")) for item in body] == [
        ("function_call", "a"),
        ("function_call", "b"),
        ("function_call_output", "a"),
        ("function_call_output", "b"),
        ("message", None),
    ]
    assert body[0]["arguments"] == "{}"  # case 67
    assert body[2]["output"] == "Error: aborted"  # case 65


def test_long_ids_are_shortened_alike_on_both_sides():  # case 71
    call = ToolCall("x" * 331, "t")
    turns = (Turn("assistant", (call,)), Turn("user", (ToolResult("x" * 331),)))

    first, second = told(hub(turns=turns))["input"]

    assert first["call_id"] == second["call_id"]
    assert len(first["call_id"]) <= 64


def test_results_with_images_stay_in_the_output():  # case 61
    result = ToolResult("c", (Text("see"), Image(Base64("image/png", "iVBORw0KGgo"))))
    turns = (Turn("assistant", (ToolCall("c", "t"),)), Turn("user", (result,)))

    output = told(hub(turns=turns))["input"][1]["output"]

    assert [part["type"] for part in output] == ["input_text", "input_image"]


def test_reasoning_goes_back_only_where_it_was_made_and_led_to_something():  # case 77, 89, 90
    ours = Thinking("mine", (Blob("openai", "encrypted_reasoning", "E", "rs_1"),))
    foreign = Thinking("other", (Blob("anthropic", "signature", "S"),))
    turns = (
        Turn("user", (Text("a"),)),
        Turn("assistant", (ours, foreign, Text("b"), ours)),
        Turn("user", (Text("c"),)),
    )

    items = told(hub(turns=turns))["input"]

    assert [item["type"] for item in items] == ["message", "reasoning", "message", "message"]
    assert items[1] == {
        "type": "reasoning",
        "summary": [{"type": "summary_text", "text": "mine"}],
        "encrypted_content": "E",
    }


def test_a_refusal_and_an_empty_text_in_history():  # case 14, 25
    turns = (
        Turn("assistant", (Text(""), Refusal("I will not"))),
        Turn("user", (Text("please"),)),
    )

    first, _ = told(hub(turns=turns))["input"]

    assert first == {"type": "message", "role": "assistant", "content": "I will not"}


def test_what_has_no_place_is_named():  # case 104, 105, 109, 110
    encoded = dialect.encode_request(
        hub(
            stop=("END",),
            sampling=Sampling(
                temperature=0.5, top_k=1, seed=2, logit_bias={"1": 1}, top_logprobs=3
            ),
            metadata={"a": "b"},
            service_tier="galactic",
            extras={"openai-chat": {"modalities": ["text"], "unseen": 1}},
        )
    )

    assert encoded.stops == ("END",)
    assert set(encoded.dropped) == {
        "top_k",
        "seed",
        "logit_bias",
        "top_logprobs",
        "metadata",
        "service_tier",
        "modalities",
    }
    assert jsonio.loads(encoded.body)["temperature"] == 0.5


def test_models_that_reason_get_no_sampling_of_clients_that_cannot_know():  # case 103
    sampling = Sampling(temperature=0, top_p=0.9)

    encoded = dialect.encode_request(hub(model="openai/gpt-5.5", sampling=sampling))

    assert encoded.dropped == ("temperature", "top_p")


def test_several_answers_and_state_elsewhere_are_refused():  # case 108, 132
    for fields in (
        {"sampling": Sampling(n=2)},
        {"extras": {"gemini": {"cachedContent": "cachedContents/1"}}},
    ):
        with pytest.raises(Refused) as refused:
            dialect.encode_request(hub(**fields))
        assert refused.value.failure.param in ("n", "cachedContent")


@pytest.mark.parametrize(
    ("reasoning", "sent"),
    [
        (Reasoning(), None),
        (Reasoning(mode="off", show="full"), {"effort": "none"}),
        (Reasoning(mode="effort", effort="high"), {"effort": "high"}),
        (
            Reasoning(mode="budget", budget=8000, show="full"),
            {"effort": "medium", "summary": "auto"},
        ),
        (Reasoning(mode="auto", show="summary"), {"summary": "auto"}),
    ],
)
def test_reasoning_is_asked_for(reasoning, sent):
    assert told(hub(model="gpt-5.5", reasoning=reasoning)).get("reasoning") == sent


def test_a_schema_gets_a_name_and_is_strict_only_where_it_can_be():  # case 113, 114
    schema = {"type": "object", "properties": {"a": {"type": "string"}}}
    output = Output("json_schema", schema=schema, strict=True, verbosity="low")

    assert told(hub(output=output))["text"] == {
        "format": {"type": "json_schema", "name": "response", "schema": schema, "strict": False},
        "verbosity": "low",
    }


def test_a_long_user_is_hashed_and_a_tier_translated():  # case 117, 185
    body = told(hub(end_user="u" * 500, service_tier="standard_only", cache_key="k"))

    assert len(body["safety_identifier"]) == 64
    assert body["service_tier"] == "default"
    assert body["prompt_cache_key"] == "k"


def test_breakpoints_go_back_to_the_vendor_whose_they_are():  # case 128
    marked = (Turn("user", (Text("a", cache=CacheMark()),)),)

    (own,) = told(hub(dialect="openai-chat", turns=marked))["input"]
    (foreign,) = told(hub(turns=marked))["input"]

    assert own["content"][0]["prompt_cache_breakpoint"] == {"mode": "explicit"}
    assert "prompt_cache_breakpoint" not in foreign["content"][0]


# ── answers ──────────────────────────────────────────────────────────────────────────────────


def test_an_answer_gets_an_id_of_this_dialects_form():
    for given_id, shown in (("chatcmpl-1", "resp_chatcmpl-1"), ("", "resp_fallback")):
        doc = jsonio.loads(dialect.encode_response(Response(given_id, "up"), reply()))
        assert (doc["id"], doc["created_at"], doc["model"]) == (shown, 1_795_000_000, "m")


@pytest.mark.parametrize(
    ("finish", "status", "reason"),
    [
        (FinishReason.LENGTH, "incomplete", "max_output_tokens"),
        (FinishReason.CONTEXT_WINDOW, "incomplete", "max_output_tokens"),
        (FinishReason.CONTENT_FILTER, "incomplete", "content_filter"),
        (FinishReason.REFUSAL, "completed", None),
        (FinishReason.STOP_SEQUENCE, "completed", None),
    ],
)
def test_a_finish_becomes_a_status(finish, status, reason):
    doc = jsonio.loads(dialect.encode_response(Response("resp_1", "up", finish=finish), reply()))

    assert doc["status"] == status
    assert (doc["incomplete_details"] or {}).get("reason") == reason


def test_a_call_that_was_cut_is_not_closed_as_complete():  # case 74
    events = [
        ResponseStart("resp_1", "up"),
        PartStart(0, ToolCall("c", "rm", "")),
        PartDelta(0, '{"path":"/'),
        PartEnd(0),
    ]

    before = docs(written(events))
    after = docs(written([*events, Finish(FinishReason.LENGTH)]))

    assert "response.output_item.done" not in [doc["type"] for doc in before]
    assert after[-2]["item"]["status"] == "incomplete"
    assert after[-1]["type"] == "response.incomplete"


@pytest.mark.parametrize(
    ("tools", "call", "item"),
    [
        (
            [TEAM],
            ToolCall("c", "team__stop", "{}"),
            {"type": "function_call", "name": "stop", "namespace": "team", "arguments": "{}"},
        ),
        (
            [TEAM],
            ToolCall("c", "stop", ""),
            {"type": "function_call", "name": "stop", "namespace": "team", "arguments": "{}"},
        ),
        (
            [PATCH],
            ToolCall("c", "patch", '{"input":"*** a\\n"}'),
            {"type": "custom_tool_call", "name": "patch", "input": "*** a\n"},
        ),
        (
            [TEAM],
            ToolCall("c", "patch", "raw", namespace="team", freeform=True),
            {"type": "custom_tool_call", "name": "patch", "namespace": "team", "input": "raw"},
        ),
        (
            [PATCH, TEAM],
            ToolCall("c", "patch", "raw", freeform=True),
            {"type": "custom_tool_call", "name": "patch", "input": "raw"},
        ),
        (
            [{**PATCH, "type": "function"}, TEAM],
            ToolCall("c", "patch", "raw", namespace="team", freeform=True),
            {"type": "custom_tool_call", "name": "patch", "namespace": "team", "input": "raw"},
        ),
        (
            [],
            ToolCall("c", "invented", "{}"),  # case 195
            {"type": "function_call", "name": "invented", "arguments": "{}"},
        ),
    ],
)
def test_a_call_comes_under_the_name_the_client_declared(tools, call, item):  # case 41, 43
    answer = Response("resp_1", "up", (call,), FinishReason.TOOL_CALLS)

    whole = jsonio.loads(dialect.encode_response(answer, reply(tools=tools)))["output"]
    stream = docs(written(unfold(answer), reply(tools=tools)))

    (sent,) = whole
    assert item.items() <= sent.items()
    assert ("namespace" in sent) == ("namespace" in item)
    assert stream[-1]["response"]["output"] == whole
    deltas = "".join(doc["delta"] for doc in stream if doc["type"].endswith(".delta"))
    assert deltas == item.get("input", item.get("arguments"))
    for doc in stream:
        EVENT.validate_python(doc)


def test_blobs_of_others_are_not_shown():
    thought = Thinking(
        "t",
        (Blob("anthropic", "signature", "S"), Blob("openai", "encrypted_reasoning", "E", "rs_9")),
    )
    answer = Response("resp_1", "up", (thought, Thinking("", thought.blobs[:1])))

    first, second = jsonio.loads(dialect.encode_response(answer, reply()))["output"]

    assert first["encrypted_content"] == "E"
    assert "encrypted_content" not in second
    assert docs(written(unfold(answer)))[-1]["response"]["output"] == [first, second]


@pytest.mark.parametrize(
    "citation",
    [
        Citation(url="u", title="t", start=0, end=4),
        Citation(url="u", title="t", quote="x"),
        Citation(url="u", title="t", end=9),
    ],
)
def test_citations_become_annotations(citation):  # case 161
    answer = Response("resp_1", "up", (Text("text", citations=(citation,)),))

    stream = docs(written(unfold(answer)))

    (annotation,) = stream[-1]["response"]["output"][0]["content"][0]["annotations"]
    assert annotation == {
        "type": "url_citation",
        "url": "u",
        "title": "t",
        "start_index": 0,
        "end_index": 4,
    }
    assert [doc["annotation"] for doc in stream if "annotation" in doc] == [annotation]


def test_a_picture_is_an_item_and_a_foreign_part_is_none():
    answer = Response(
        "resp_1",
        "up",
        (Opaque("anthropic", {"type": "x"}), Image(Base64("image/png", "AAAA")), Text("see")),
    )

    stream = docs(written(unfold(answer)))

    output = stream[-1]["response"]["output"]
    assert [item["type"] for item in output] == ["image_generation_call", "message"]
    assert [doc["output_index"] for doc in stream if doc["type"].endswith("item.done")] == [0, 1]


def test_line_separators_are_escaped():  # case 135
    data = written(unfold(Response("resp_1", "up", (Text("a\u2028b"),))))

    assert "\u2028".encode() not in data
    assert docs(data)[-1]["response"]["output"][0]["content"][0]["text"] == "a\u2028b"


def test_usage_has_every_count():
    doc = jsonio.loads(
        dialect.encode_response(Response("r", "m", usage=Usage(9, 4, 1, 7, 2)), reply())
    )

    assert doc["usage"] == {
        "input_tokens": 9,
        "input_tokens_details": {"cached_tokens": 4, "cache_write_tokens": 1},
        "output_tokens": 7,
        "output_tokens_details": {"reasoning_tokens": 2},
        "total_tokens": 16,
    }


@pytest.mark.parametrize(
    ("doc", "kind"),
    [
        ({"status": "failed", "error": {"code": "server_error", "message": "x"}}, Kind.SERVER),
        (
            {"status": "failed", "error": {"code": "rate_limit_exceeded", "message": "x"}},
            Kind.RATE_LIMIT,
        ),
        ({"status": "failed"}, Kind.SERVER),
        ({"status": "queued", "output": []}, Kind.BAD_REPLY),
        ({"error": "boom"}, Kind.SERVER),
    ],
)
def test_an_answer_that_is_none_is_refused(doc, kind):
    with pytest.raises(Refused) as refused:
        dialect.decode_response(doc)

    assert refused.value.failure.kind is kind
    assert not dialect.notice_whole(doc).finished


# ── an upstream's stream ─────────────────────────────────────────────────────────────────────


def delta(kind, text, at=0, **fields):
    return {"type": f"response.{kind}.delta", "output_index": at, "delta": text, **fields}


def added(at, **item):
    return {"type": "response.output_item.added", "output_index": at, "item": item}


def done(at, **item):
    return {**added(at, **item), "type": "response.output_item.done"}


def test_interleaved_calls_come_one_after_the_other():  # case 145
    one = {"type": "function_call", "call_id": "a", "name": "x"}
    two = {"type": "function_call", "call_id": "b", "name": "y"}

    events = told_by(
        created(),
        added(0, **one),
        added(1, **two),
        delta("function_call_arguments", "{", 0),
        delta("function_call_arguments", "[", 1),
        delta("function_call_arguments", "}", 0),
        done(1, **two, arguments="[]"),
        done(0, **one, arguments="{}"),
        completed(),
    )

    assert events == [
        ResponseStart("resp_1", "up"),
        PartStart(0, ToolCall("a", "x")),
        PartDelta(0, "{"),
        PartDelta(0, "}"),
        PartEnd(0),
        PartStart(1, ToolCall("b", "y")),
        PartDelta(1, "["),
        PartEnd(1),
        Finish(FinishReason.TOOL_CALLS),
    ]


def test_a_call_waits_for_its_id_and_gets_one_if_none_comes():  # case 143
    events = told_by(
        created(),
        added(0, type="function_call", name="x"),
        delta("function_call_arguments", "{}"),
        done(0, type="function_call", name="x", arguments="{}"),
        completed(),
    )

    assert events[1:4] == [
        PartStart(0, ToolCall("call_resp_1_0", "x")),
        PartDelta(0, "{}"),
        PartEnd(0),
    ]


def test_what_came_only_at_the_end_is_told():
    message = {"type": "message", "content": [{"type": "output_text", "text": "all"}]}
    usage = {"input_tokens": 3, "output_tokens": 2}

    for events in (
        told_by(created(), done(0, **message), completed(message, usage=usage)),
        told_by(completed(message, usage=usage)),
    ):
        assert events[1:] == [
            PartStart(0, Text("")),
            PartDelta(0, "all"),
            PartEnd(0),
            UsageReport(Usage(3, output_total=2)),
            Finish(FinishReason.STOP),
        ]


def test_summaries_are_one_thought_and_empty_reasoning_is_none():  # case 93
    events = told_by(
        created(),
        added(0, type="reasoning"),
        done(0, type="reasoning", summary=[]),
        added(1, type="reasoning"),
        delta("reasoning_summary_text", "a", 1, summary_index=0),
        delta("reasoning_summary_text", "b", 1, summary_index=1),
        delta("reasoning_text", "ignored", 1),
        done(1, type="reasoning", id="rs", summary=[], encrypted_content="E"),
        completed(),
    )

    assert fold(events).parts == (
        Thinking("a\n\nb", (Blob("openai", "encrypted_reasoning", "E", "rs"),)),
    )


def test_items_of_hosted_tools_and_annotations_are_kept():
    search = {"type": "web_search_call", "id": "ws"}
    note = {"type": "url_citation", "url": "u"}
    text = {"type": "output_text", "text": "t", "annotations": [note]}
    events = told_by(
        created(),
        added(0, **search),
        done(0, **search),
        delta("output_text", "t", 1, content_index=0),
        {"type": "response.output_text.annotation.added", "output_index": 1, "annotation": note},
        done(1, type="message", content=[text]),
        completed(search, {"type": "message", "content": [text]}),
    )

    assert fold(events).parts == (
        Opaque("openai-responses", search),
        Text("t", citations=(Citation(url="u", dialect="openai-responses", raw=note),)),
    )
    assert sum(isinstance(event, PartCitation) for event in events) == 1


@pytest.mark.parametrize(
    ("event", "kind"),
    [
        ({"type": "error", "code": "rate_limit_exceeded", "message": "x"}, Kind.RATE_LIMIT),
        ({"type": "error", "error": {"type": "server_error", "message": "x"}}, Kind.SERVER),
        ({"error": {"message": "x", "code": "context_length_exceeded"}}, Kind.CONTEXT),
        ({"type": "error", "status": 401, "error": {"message": "x"}}, Kind.AUTH),
        (
            {
                "type": "response.failed",
                "response": {"error": {"code": "insufficient_quota", "message": "x"}},
            },
            Kind.BILLING,
        ),
        (completed(status="failed", error={"message": "x"}), Kind.SERVER),
    ],
)
def test_errors_in_a_stream_are_failures_in_every_form(event, kind):
    (failure,) = told_by(event)[:1]

    notice = dialect.notice(sse.Frame(jsonio.dumps(event)))

    assert failure.kind is notice.failure.kind is kind
    assert not notice.finished


def test_a_failure_leaves_the_open_call_open():
    events = told_by(
        created(),
        added(0, type="function_call", call_id="a", name="x"),
        {"type": "error", "message": "x"},
        completed(),
    )

    assert [type(event) for event in events] == [ResponseStart, PartStart, Failure]


def test_a_broken_event_ends_the_stream():
    events = read([sse.Frame(b'{"type":'), sse.Frame(jsonio.dumps(completed()))])

    assert [event.kind for event in events] == [Kind.BAD_REPLY]


def test_an_event_may_have_its_name_only_beside_it_and_keys_in_any_order():  # case 139
    last = completed({"type": "message", "content": []})
    reordered = jsonio.dumps({"response": last["response"], "type": last["type"]})
    unnamed = jsonio.dumps({"output_index": 0, "delta": "x"})

    events = read([sse.Frame(unnamed, "response.output_text.delta"), sse.Frame(reordered)])

    assert fold(events).parts == (Text("x"),)
    assert dialect.notice(sse.Frame(reordered)).finished
    assert dialect.notice(sse.Frame(unnamed, "response.output_text.delta")).begun


def test_a_done_marker_and_unknown_events_mean_nothing():  # case 155
    for frame in (sse.Frame(b"[DONE]"), sse.Frame(b'{"type":"response.queued"}')):
        assert dialect.decoder().read(frame) == []
        assert dialect.notice(frame) is None


# ── failures ─────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("kind", list(Kind))
def test_every_failure_has_words(kind):
    status, body = dialect.encode_failure(Failure(kind, "why", status=401), request_id="r")

    error = jsonio.loads(body)["error"]
    assert 400 <= status < 600
    assert "why" in error["message"]
    assert set(error) == {"message", "type", "param", "code"}


@pytest.mark.parametrize(
    ("kind", "status", "code"),
    [
        (Kind.AUTH, 503, "no_auth_available"),  # case 178
        (Kind.BILLING, 429, "insufficient_quota"),
        (Kind.CONTEXT, 400, "context_length_exceeded"),  # case 165
        (Kind.MODEL, 404, "model_not_found"),  # case 176
        (Kind.OVERLOADED, 503, "overloaded"),  # case 167
        (Kind.TIMEOUT, 504, "timeout"),
        (Kind.CLIENT_KEY, 401, "invalid_api_key"),
    ],
)
def test_a_failure_before_the_first_byte(kind, status, code):
    sent, body = dialect.encode_failure(Failure(kind, "why"), request_id="r")

    assert (sent, jsonio.loads(body)["error"]["code"]) == (status, code)


def test_a_context_failure_of_another_vendor_is_told_in_this_ones_words():  # case 165
    failure = Failure(Kind.CONTEXT, "prompt is too long: 210 tokens > 200 maximum")

    message = jsonio.loads(dialect.encode_failure(failure, request_id="r")[1])["error"]["message"]

    assert message.startswith("Your input exceeds the context window of this model: 210")


@pytest.mark.parametrize(
    ("status", "error", "kind", "wait"),
    [
        (429, {"type": "usage_limit_reached", "resets_in_seconds": 60}, Kind.RATE_LIMIT, 60),
        (429, {"message": "Please try again in 1.5s.", "type": "tokens"}, Kind.RATE_LIMIT, 1.5),
        (429, {"code": "insufficient_quota", "message": "x"}, Kind.BILLING, None),
        (400, {"code": "model_not_found", "message": "x"}, Kind.MODEL, None),
        (503, {"type": "server_error", "message": "x"}, Kind.OVERLOADED, None),
        (500, {"code": "server_is_overloaded", "message": "x"}, Kind.OVERLOADED, None),
    ],
)
def test_an_upstreams_error_is_understood(status, error, kind, wait):  # case 173, 174
    failure = dialect.decode_failure(status, jsonio.dumps({"error": error}))

    assert (failure.kind, failure.retry_after, failure.status) == (kind, wait, status)


@given(st.integers(400, 599), st.binary(max_size=200))
def test_any_error_body_is_a_failure(status, body):  # case 170, 171
    assert dialect.decode_failure(status, body).message


def test_codex_reads_a_failed_answer_and_others_an_error():  # case 156
    data = written([ResponseStart("resp_1", "up"), Failure(Kind.CONTEXT, "too long")])

    *_, failed, error = docs(data)

    assert failed["response"]["error"]["code"] == "context_length_exceeded"
    assert error["code"] == error["error"]["code"] == "context_length_exceeded"
    assert error["message"] == error["error"]["message"]


def test_nothing_is_written_about_an_answer_that_never_began_but_its_error():
    (error,) = docs(written([Failure(Kind.UNREACHABLE, "x")]))

    assert (error["type"], error["sequence_number"]) == ("error", 0)


def test_events_go_through_as_they_are():
    assert dialect.canonical(b"event: x\ndata: {}\n\n") == b"event: x\ndata: {}\n\n"
