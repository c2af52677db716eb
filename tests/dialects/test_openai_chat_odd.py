"""Chat Completions as servers and clients seldom send them."""

import pytest

from proxypal_core.dialects import openai_chat as dialect
from proxypal_core.dialects import openai_legacy
from proxypal_core.dialects.base import Reply
from proxypal_core.hub.events import (
    Finish,
    PartBlob,
    PartCitation,
    PartDelta,
    PartEnd,
    PartStart,
    ResponseStart,
)
from proxypal_core.hub.failure import Refused
from proxypal_core.hub.fold import fold
from proxypal_core.hub.messages import (
    Base64,
    Blob,
    Citation,
    File,
    FinishReason,
    Image,
    Opaque,
    Output,
    Request,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolChoice,
    Turn,
)
from proxypal_core.wire import jsonio, sse
from tests.strategies import PNG

SIGNED = Blob("gemini", "thought_signature", "U0lHMQ==")


def decoded(*messages, **fields):
    doc = {"model": "m", "messages": list(messages) or [{"role": "user", "content": "hi"}]}
    return dialect.decode_request({**doc, **fields}, model="m", stream=False)


def user(*parts):
    return Turn("user", parts)


def assistant(*parts):
    return Turn("assistant", parts)


def encoded(*turns, client="anthropic", model="gpt-4.1", **fields):
    turns = turns or (user(Text("hi")),)
    return dialect.encode_request(Request(dialect=client, model=model, turns=turns, **fields))


def body_of(*turns, **fields):
    return jsonio.loads(encoded(*turns, **fields).body)


def delta(finish=None, **fields):
    return {"id": "chatcmpl-1", "choices": [{"delta": fields, "finish_reason": finish}]}


def read(*chunks):
    decoder = dialect.decoder()
    frames = [sse.Frame(jsonio.dumps(chunk)) for chunk in chunks]
    return [*(event for frame in frames for event in decoder.read(frame)), *decoder.end()]


def answer_of(*chunks):
    return fold(read(*chunks, delta("stop")))


def streamed(*events, **fields):
    asked = Request(dialect=dialect.NAME, model="m", stream=True, **fields)
    encoder = dialect.encoder(Reply(asked, "fallback", 0))
    raw = b"".join(map(encoder.write, [ResponseStart("r", "m"), *events]))
    frames = [sse.parse(one).data for one in sse.Splitter().feed(raw)]
    return [jsonio.loads(data)["choices"][0]["delta"] for data in frames if data != b"[DONE]"]


# ── requests, read ───────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("call", "says"),
    [
        ({"id": "c", "type": "function", "function": {"arguments": "{}"}}, "a call needs a name"),
        ({"type": "function", "function": {"name": "f", "arguments": "{}"}}, "id: is required"),
    ],
)
def test_a_call_that_nobody_could_answer_is_refused(call, says):
    with pytest.raises(Refused, match=says):
        decoded({"role": "assistant", "tool_calls": [call]})


def test_a_form_that_the_api_does_not_have_is_refused_with_those_it_has():
    with pytest.raises(Refused, match="must be text, json_object or json_schema, not 'xml'"):
        decoded(response_format={"type": "xml"})


def test_sound_may_be_a_data_url():
    sound = {"format": "wav", "data": "data:audio/wav;base64,UklGRg=="}
    content = [{"type": "input_audio", "input_audio": sound}]

    (part,) = decoded({"role": "user", "content": content}).turns[0].parts

    assert (part.mime, part.data) == ("audio/wav", "UklGRg==")


# ── requests, written ────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("source", "kind"),
    [
        (Base64("audio/wav", "UklGRg=="), "input_audio"),
        (Base64("image/png", PNG), "image_url"),
        (Base64("application/pdf", "JVBERi0x"), "file"),
    ],
)
def test_a_file_is_sent_as_what_it_is(source, kind):
    (part,) = body_of(user(File(source)))["messages"][0]["content"]

    assert part["type"] == kind


def test_a_picture_of_the_models_own_is_named_as_dropped():
    found = encoded(user(Text("go")), assistant(Image(Base64("image/png", PNG)), Text("So.")))

    assert found.dropped == ("image",)


def test_instructions_in_the_middle_that_say_nothing_are_left_out():
    silent = Turn("system", (Opaque("anthropic", {}),))

    assert len(body_of(user(Text("a")), silent, user(Text("b")))["messages"]) == 2


def test_a_freeform_call_is_told_to_other_servers_as_a_functions():
    tool = Tool("patch", freeform=True)
    call = ToolCall("c", "patch", "*** Begin", freeform=True)

    body = body_of(user(Text("go")), assistant(call), model="llama-4", tools=(tool,))

    assert body["messages"][1]["tool_calls"][0]["function"] == {
        "name": "patch",
        "arguments": '{"input":"*** Begin"}',
    }


def test_a_freeform_tool_without_a_grammar_has_none():
    (tool,) = body_of(model="gpt-5", tools=(Tool("patch", freeform=True),))["tools"]

    assert tool == {"type": "custom", "custom": {"name": "patch"}}


def test_a_tool_that_is_declared_twice_is_sent_once():
    body = body_of(tools=(Tool("f", description="one"), Tool("f", description="two")))

    assert [tool["function"]["description"] for tool in body["tools"]] == ["one"]


def test_a_choice_of_what_was_not_declared_is_its_mode():
    body = body_of(tools=(Tool("f"),), tool_choice=ToolChoice("required", ("g",)))

    assert body["tool_choice"] == "required"


@pytest.mark.parametrize(
    ("output", "form"),
    [
        (Output("json_object"), {"type": "json_object"}),
        (
            Output("json_schema", name="a", strict=None),
            {"type": "json_schema", "json_schema": {"name": "a"}},
        ),
        (
            Output("json_schema", name="a", schema={"type": "object"}, strict=True),
            {
                "type": "json_schema",
                "json_schema": {"name": "a", "schema": {"type": "object"}, "strict": True},
            },
        ),
    ],
)
def test_an_own_clients_form_is_sent_as_it_was_said(output, form):
    assert body_of(client=dialect.NAME, output=output)["response_format"] == form


def test_what_other_servers_do_not_know_is_named_as_dropped():
    found = encoded(model="llama-4", output=Output(verbosity="low"), service_tier="flex")

    assert found.dropped == ("verbosity", "service_tier")


# ── answers, read ────────────────────────────────────────────────────────────────────────────


def test_a_whole_message_may_stand_where_the_delta_should():
    choice = {"message": {"role": "assistant", "content": "Yes."}, "finish_reason": "stop"}

    assert answer_of({"choices": [choice]}).parts == (Text("Yes."),)


def test_thoughts_and_texts_may_come_as_parts_and_others_are_passed_over():
    thinking = {"type": "thinking", "thinking": [{"type": "text", "text": "Hm."}]}
    parts = [
        thinking,
        {"type": "reference", "reference_ids": [1]},
        {"type": "text", "text": "Yes."},
    ]

    assert answer_of(delta(content=parts)).parts == (Thinking("Hm."), Text("Yes."))


def test_a_call_in_the_old_form_is_one():
    call = {"name": "f", "arguments": '{"a":1}'}
    whole = {"choices": [{"message": {"function_call": call}, "finish_reason": "function_call"}]}

    streamed_parts = answer_of(delta(function_call=call)).parts
    whole_parts = dialect.decode_response(whole).parts

    for (part,) in (streamed_parts, whole_parts):
        assert (part.name, part.arguments) == ("f", '{"a":1}')


def test_a_call_of_nothing_is_none():
    assert answer_of(delta(tool_calls=[{"index": 0}])).parts == ()


@pytest.mark.parametrize("annotation", ["odd", {"type": "file_citation", "file_id": "f"}])
def test_an_annotation_without_an_address_is_kept_for_its_own_vendor(annotation):
    (part,) = answer_of(delta(content="Yes."), delta(annotations=[annotation])).parts

    assert [(one.url, one.raw) for one in part.citations] == [("", annotation)]


def test_a_source_that_stands_nowhere_is_the_whole_texts():
    cited = {"type": "url_citation", "url_citation": {"url": "https://a.example", "start_index": 9}}

    (part,) = answer_of(delta(content="Yes."), delta(annotations=[cited])).parts

    assert [one.span(4) for one in part.citations] == [(0, 4)]


# ── answers, written ─────────────────────────────────────────────────────────────────────────


def test_what_these_clients_cannot_read_is_passed_over():
    foreign = Opaque("gemini", {"x": 1})

    told = streamed(PartStart(0, foreign), PartDelta(0, "?"), PartBlob(0, SIGNED), PartEnd(0))

    assert told == [{"role": "assistant", "content": ""}]


def test_only_gemini_s_signatures_go_with_a_call():
    call = (PartStart(0, ToolCall("c", "f")), PartDelta(0, "{}"))
    other = PartBlob(0, Blob("anthropic", "signature", "x"))

    *_, last = streamed(*call, other, PartBlob(0, SIGNED), PartEnd(0))

    assert len(streamed(*call, other, PartEnd(0))) == 3
    assert last["tool_calls"][0]["extra_content"] == {"google": {"thought_signature": "U0lHMQ=="}}


@pytest.mark.parametrize("signature", ["", 5, None])
def test_an_empty_signature_is_none(signature):
    function = {"name": "f", "arguments": "{}"}
    call = {
        "id": "c",
        "function": function,
        "extra_content": {"google": {"thought_signature": signature}},
    }

    assert answer_of(delta(tool_calls=[call])).parts == (ToolCall("c", "f", "{}"),)


def test_the_old_form_of_a_call_has_no_room_for_a_signature():
    old = {"functions": [{"name": "f", "parameters": {"type": "object"}}]}
    extras = decoded(**old).extras
    call = (PartStart(0, ToolCall("c", "f")), PartDelta(0, "{}"), PartBlob(0, SIGNED), PartEnd(0))

    told = streamed(*call, tools=decoded(**old).tools, extras=extras)

    assert all("tool_calls" not in one and "extra_content" not in one for one in told)


def test_a_citation_of_another_vendors_own_is_not_told():
    book = PartCitation(0, Citation(title="A book", dialect="anthropic", raw={}))

    told = streamed(PartStart(0, Text("")), PartDelta(0, "Yes."), book, PartEnd(0),
                    Finish(FinishReason.STOP))  # fmt: skip

    assert all("annotations" not in one for one in told)


@pytest.mark.parametrize(
    "raw",
    [
        b'data: {"choices":[]}\n\n',
        b': the "usage"\n\n',
        b'data: broken "usage"\n\n',
        b'data: {"choices":[{"delta":{"usage":{}}}]}\n\n',
    ],
)
def test_an_event_without_usage_is_passed_on_as_it_is(raw):
    assert dialect.without_usage(raw) == raw


# ── the Completions API ──────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("raw", [b"data: {broken\n\n", b'data: {"error":{}}\n\n', b": hi\n\n"])
def test_what_is_no_chunk_stays_as_it_is(raw):
    assert openai_legacy.from_chat_event(raw) == raw


@pytest.mark.parametrize("body", [b"broken", b'{"error":{}}'])
def test_what_is_no_answer_stays_as_it_is(body):
    assert openai_legacy.from_chat(body) == body


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"suffix": "x"}, "cannot insert text"),
        ({"echo": True}, "cannot be echoed"),
        ({"best_of": 2}, "only 1 is possible"),
        ({"logprobs": 3}, "use /v1/chat/completions"),
        ({"prompt": ["a", "b"]}, "an array of one string"),
        ({"prompt": ""}, "must not be empty"),
    ],
)
def test_what_a_chat_model_cannot_do_is_refused(fields, says):
    with pytest.raises(Refused, match=says):
        openai_legacy.to_chat({"prompt": "hi", **fields})


def test_one_prompt_in_a_list_is_one():
    assert openai_legacy.to_chat({"prompt": ["hi"], "stop": "."}) == {
        "stop": ".",
        "messages": [{"role": "user", "content": "hi"}],
    }
