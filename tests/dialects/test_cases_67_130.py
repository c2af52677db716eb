"""What clients of one dialect send to providers of another, by number, and what they are answered:
arguments, reasoning, sampling, limits, forms and usage.

The numbers are those of the project's list of mapping cases. What one dialect does alone is in its
own tests.
"""

import pytest

from proxypal_core.dialects import DIALECTS
from proxypal_core.dialects.base import Encoded, Reply
from proxypal_core.dialects.carry import Carrier
from proxypal_core.dialects.pipe import Translation, translated
from proxypal_core.hub.fold import fold, unfold
from proxypal_core.hub.messages import (
    FinishReason,
    Output,
    Request,
    Response,
    Text,
    Thinking,
    ToolCall,
    Usage,
)
from proxypal_core.wire import jsonio
from tests.dialects.test_cases_1_66 import (
    OTHERS,
    anthropic,
    assistant,
    call_item,
    carry,
    chat,
    chat_call,
    chat_result,
    chat_tool,
    encode,
    gemini,
    output_item,
    responses,
    said,
    text,
    tool_result,
    tool_use,
    user,
)
from tests.dialects.test_laws import frames, read, stream_of, told

pairs = pytest.mark.parametrize(
    ("client", "provider"), [(a, b) for a in DIALECTS for b in DIALECTS if a != b]
)
to_others = pytest.mark.parametrize("target", OTHERS)
LIST = {"type": "array", "items": {"type": "string"}}
FORMS = {"type": "object", "properties": {"a": {"type": "string"}}, "additionalProperties": False}


def reply(client):
    request = Request(dialect=client, model="m", stream=True, include_usage=True)
    return Reply(request, "id-1", 1_795_000_000)


def answered(client, provider, response, encoded=None, *, stream):
    """The bytes that a *client* gets when a *provider* answers *response*."""
    encoded = encoded or Encoded(b"")
    carrying = Carrier(b"k" * 32).outgoing(client, provider)
    if not stream:
        whole = translated(response, encoded, carrying)
        return DIALECTS[client].encode_response(whole, reply(client))
    speaks = DIALECTS[provider]
    raw = stream_of(speaks, unfold(response), told(speaks, response))
    pipe = Translation(speaks, DIALECTS[client], reply(client), encoded, carrying)
    return pipe.feed(raw) + pipe.close()


def understood(client, provider, response, encoded=None, *, stream):
    """What the client reads in them."""
    raw = answered(client, provider, response, encoded, stream=stream)
    if stream:
        return fold(read(DIALECTS[client], [raw]))
    return DIALECTS[client].decode_response(jsonio.load_object(raw))


def results(target, body):
    """What the tools answered, by the target's body."""
    match target:
        case "openai-chat":
            return [m["content"] for m in body["messages"] if m["role"] == "tool"]
        case "openai-responses":
            return [i["output"] for i in body["input"] if i["type"] == "function_call_output"]
        case "anthropic":
            blocks = [b for m in body["messages"] for b in m["content"]]
            found = [b["content"] for b in blocks if b["type"] == "tool_result"]
            return [c if isinstance(c, str) else c[0]["text"] for c in found]
        case "gemini":
            parts = [p for c in body["contents"] for p in c["parts"]]
            found = [p["functionResponse"] for p in parts if "functionResponse" in p]
            return [f["response"]["output"] for f in found]


# ── calls and results ────────────────────────────────────────────────────────────────────────


def test_numbers_in_arguments_keep_their_spelling():  # case 70
    spelt = '{"id":9007199254740993,"huge":123456789012345678901234567890,"x":1e3,"y":1.0}'
    doc = chat(user(), assistant(tool_calls=[chat_call("c1", arguments=spelt)]), chat_result("c1"))

    for target in OTHERS:
        sent = encode("openai-chat", target, doc).body.decode()
        assert spelt in sent or jsonio.dumps_text(spelt) in sent, target


@pytest.mark.parametrize("stream", [True, False])
def test_gemini_clients_get_them_so_too(stream):  # case 70
    spelt = '{"huge":123456789012345678901234567890,\n"x":1e3}'
    answer = Response("r", "m", (ToolCall("c", "f", spelt),), FinishReason.TOOL_CALLS)

    raw = answered("gemini", "openai-chat", answer, stream=stream)

    assert spelt.replace("\n", " ").encode() in raw


@pytest.mark.parametrize("target", DIALECTS)
def test_of_two_results_for_one_call_the_last_holds(target):  # case 73
    asked = {
        "openai-chat": chat(
            user(),
            assistant(tool_calls=[chat_call("c1")]),
            chat_result("c1", "first"),
            chat_result("c1", "second"),
        ),
        "openai-responses": responses(
            {"role": "user", "content": "hi"},
            call_item("c1"),
            output_item("c1", "first"),
            output_item("c1", "second"),
        ),
        "anthropic": anthropic(
            user(),
            assistant([tool_use("c1")]),
            user([tool_result("c1", "first"), tool_result("c1", "second")]),
        ),
    }
    for client, doc in asked.items():
        if client != target:
            assert results(target, carry(client, target, doc)) == ["second"], client


@to_others
def test_the_functions_of_old_are_tools(target):  # case 75
    doc = chat(
        user(),
        assistant(function_call={"name": "f", "arguments": "{}"}),
        {"role": "function", "name": "f", "content": "done"},
        functions=[{"name": "f", "parameters": FORMS}],
        function_call="auto",
    )

    body = carry("openai-chat", target, doc)

    assert results(target, body) == ["done"]
    assert "tools" in body
    assert "functions" not in body


@pytest.mark.parametrize("target", ["openai-chat", "openai-responses", "gemini"])
def test_a_search_that_another_server_ran_is_no_call_of_the_client(target):  # case 76
    search = {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {}}
    found = {"type": "web_search_tool_result", "tool_use_id": "srvtoolu_1", "content": []}
    doc = anthropic(user(), assistant([search, found, text("Found.")]), user("And?"))

    encoded = encode("anthropic", target, doc)

    assert b"srvtoolu_1" not in encoded.body
    assert b"Found." in encoded.body
    assert set(encoded.dropped) == {"server_tool_use", "web_search_tool_result"}


# ── reasoning ────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("client", ["anthropic", "openai-responses", "openai-chat"])
def test_a_signature_without_words_makes_no_empty_text(client, stream):  # case 84
    signed = {"text": "", "thoughtSignature": "U0lHMQ=="}
    candidate = {"content": {"parts": [{"text": "Hi."}, signed]}, "finishReason": "STOP"}
    answer = DIALECTS["gemini"].decode_response({"candidates": [candidate]})

    seen = understood(client, "gemini", answer, stream=stream)

    assert [part.text for part in seen.parts if isinstance(part, Text)] == ["Hi."]


@pytest.mark.parametrize("words", ["<think>Hm.</think>Yes.", "Yes, <think>", "</think>"])
@pytest.mark.parametrize("client", [d for d in DIALECTS if d != "openai-chat"])
def test_thoughts_between_tags_in_the_text_are_text(client, words):  # case 95
    chunks = [
        {"choices": [{"index": 0, "delta": {"content": piece}, "finish_reason": None}]}
        for piece in words
    ]
    end = {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}
    raw = b"".join(b"data: %b\n\n" % jsonio.dumps(chunk) for chunk in [*chunks, end])
    answer = fold(read(DIALECTS["openai-chat"], [raw, b"data: [DONE]\n\n"]))

    for stream in (True, False):
        seen = understood(client, "openai-chat", answer, stream=stream)
        assert seen.parts == (Text(words),)


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("client", [d for d in DIALECTS if d != "anthropic"])
def test_a_thought_that_is_not_shown_shows_nothing(client, stream):  # case 98
    block = {"type": "thinking", "thinking": "", "signature": "EqQBCkgI"}
    call = {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {}}
    answer = DIALECTS["anthropic"].decode_response(
        {"content": [block, call], "stop_reason": "tool_use"}
    )
    carrier = Carrier(b"k" * 32)
    shown = translated(answer, Encoded(b""), carrier.outgoing(client, "anthropic"))

    raw = answered(client, "anthropic", answer, stream=stream)
    seen = understood(client, "anthropic", answer, stream=stream)

    assert b"reasoning_content" not in raw
    assert not any(part.text for part in seen.parts if isinstance(part, Thinking))
    blobs = [b for part in shown.parts for b in getattr(part, "blobs", ())]
    assert blobs or carrier._memory["toolu_1"]  # carried, out of sight


# ── limits ───────────────────────────────────────────────────────────────────────────────────

SAID = Response("r", "m", (Text("one END two"),), usage=Usage(5, output_total=9))


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("client", [d for d in DIALECTS if d != "openai-responses"])
def test_a_stop_sequence_is_enforced_for_responses(client, stream):  # case 105
    doc = {
        "openai-chat": chat(user(), stop=["END"]),
        "anthropic": anthropic(user(), stop_sequences=["END"]),
        "gemini": gemini(said(), generationConfig={"stopSequences": ["END"]}),
    }[client]
    encoded = encode(client, "openai-responses", doc)

    seen = understood(client, "openai-responses", SAID, encoded, stream=stream)

    assert seen.parts == (Text("one "),)
    named = (
        (FinishReason.STOP_SEQUENCE, "END") if client == "anthropic" else (FinishReason.STOP, "")
    )
    assert (seen.finish, seen.stop_sequence) == named


def test_a_stream_cut_at_a_stop_is_finished_before_the_provider_is():  # case 105
    provider = DIALECTS["openai-responses"]
    raw = stream_of(provider, unfold(SAID), told(provider, SAID))
    carrying = Carrier(b"k" * 32).outgoing("anthropic", "openai-responses")
    encoded = Encoded(b"", stops=("END",))
    pipe = Translation(provider, DIALECTS["anthropic"], reply("anthropic"), encoded, carrying)

    out = b"".join(pipe.feed(raw[at : at + 1]) for at in range(raw.index(b"response.completed")))

    assert (pipe.seen.finished, pipe.seen.cut) == (True, True)
    assert out.endswith(b'{"type":"message_stop"}\n\n')
    assert pipe.feed(raw[raw.index(b"response.completed") :]) + pipe.close() == b""


@pytest.mark.parametrize("provider", ["openai-chat", "gemini"])
def test_the_stops_that_a_provider_has_no_room_for_are_enforced(provider):  # case 106
    stops = ["a1", "b2", "c3", "d4", "e5", "f6"]
    encoded = encode("anthropic", provider, anthropic(user(), stop_sequences=stops))
    answer = Response("r", "m", (Text("well f6 then"),))

    seen = understood("anthropic", provider, answer, encoded, stream=True)

    assert (seen.parts, seen.stop_sequence) == ((Text("well "),), "f6")


@pytest.mark.parametrize("stream", [True, False])
def test_which_sequence_stopped_it_is_told_where_it_is_known(stream):  # case 107
    unknown = Response("r", "m", (Text("a"),), FinishReason.STOP)
    known = Response("r", "m", (Text("a"),), FinishReason.STOP_SEQUENCE, stop_sequence="END")

    for provider in ("openai-chat", "gemini"):
        raw = answered("anthropic", provider, unknown, stream=stream)
        assert b'"stop_reason":"end_turn","stop_sequence":null' in raw
    chat_raw = answered("openai-chat", "anthropic", known, stream=stream)
    assert b'"finish_reason":"stop"' in chat_raw


# ── forms ────────────────────────────────────────────────────────────────────────────────────

OLD = "claude-3-opus-20240229"


def form_of(client, schema, **fields):
    match client:
        case "openai-chat":
            form = {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}
            return chat(user(), response_format=form, **fields)
        case "openai-responses":
            form = {"type": "json_schema", "name": "x", "schema": schema}
            return responses({"role": "user", "content": "hi"}, text={"format": form}, **fields)
        case "gemini":
            config = {"responseMimeType": "application/json", "responseJsonSchema": schema}
            return gemini(said(), generationConfig=config, **fields)


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("client", ["openai-chat", "openai-responses", "gemini"])
def test_an_old_claude_gives_its_answer_to_a_tool(client, stream):  # case 111
    doc = form_of(client, FORMS)
    encoded = encode(client, "anthropic", doc, OLD)
    body = carry(client, "anthropic", doc, OLD)
    call = ToolCall("toolu_1", "json_output", '{"a":"b"}')
    answer = Response("r", "m", (call,), FinishReason.TOOL_CALLS)

    seen = understood(client, "anthropic", answer, encoded, stream=stream)

    assert body["tools"][0]["input_schema"] == FORMS
    assert body["tool_choice"] == {"type": "tool", "name": "json_output"}
    assert seen.parts == (Text('{"a":"b"}'),)
    assert seen.finish is FinishReason.STOP


@pytest.mark.parametrize(
    ("model", "fields"),
    [
        (OLD, {"tools": [chat_tool()]}),
        ("claude-3-7-sonnet", {"reasoning_effort": "high"}),
        ("kimi-k3", {}),
    ],
)
def test_where_a_tool_cannot_be_forced_the_schema_is_told(model, fields):  # case 111
    encoded = encode("openai-chat", "anthropic", form_of("openai-chat", LIST, **fields), model)

    body = jsonio.loads(encoded.body)
    assert "tool_choice" not in body
    assert jsonio.dumps_text(LIST) in body["system"][0]["text"]
    assert (encoded.answer_tool, encoded.wrapped) == ("", False)


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize(
    ("target", "model"),
    [
        ("openai-chat", "gpt-5.5"),
        ("openai-responses", "gpt-5.5"),
        ("anthropic", "claude-sonnet-4-5"),
        ("anthropic", OLD),
    ],
)
def test_a_list_is_asked_for_in_an_object_and_taken_out_again(target, model, stream):  # case 116
    config = {
        "responseMimeType": "application/json",
        "responseSchema": {"type": "ARRAY", "items": {"type": "STRING"}},
    }
    doc = gemini(said(), generationConfig=config)
    encoded = encode("gemini", target, doc, model)
    carry("gemini", target, doc, model)
    whole = '{"value": ["a", "}"]}'
    call = ToolCall("toolu_1", "json_output", whole)
    answer = Response("r", "m", (call if encoded.answer_tool else Text(whole),))

    seen = understood("gemini", target, answer, encoded, stream=stream)

    assert b'"properties":{"value":{"type":"array","items":{"type":"string"}}}' in encoded.body
    assert seen.parts == (Text('["a", "}"]'),)


def test_a_list_is_no_trouble_for_gemini():  # case 116
    encoded = encode("openai-chat", "gemini", form_of("openai-chat", LIST))

    config = jsonio.loads(encoded.body)["generationConfig"]
    assert config["responseJsonSchema"] == LIST
    assert not encoded.wrapped


@pytest.mark.parametrize(
    ("client", "tier", "target", "sent"),
    [
        ("anthropic", "standard_only", "openai-chat", "default"),
        ("anthropic", "standard_only", "openai-responses", "default"),
        ("gemini", "flex", "openai-chat", "flex"),
        ("gemini", "flex", "openai-responses", "flex"),
        ("openai-chat", "flex", "gemini", "flex"),
        ("openai-chat", "fast", "anthropic", None),
        ("openai-chat", "default", "anthropic", "standard_only"),
        ("openai-responses", "galactic", "gemini", None),
    ],
)
def test_a_service_tier_keeps_its_meaning_or_is_dropped(client, tier, target, sent):  # case 117
    doc = {
        "openai-chat": chat(user(), service_tier=tier),
        "openai-responses": responses({"role": "user", "content": "hi"}, service_tier=tier),
        "anthropic": anthropic(user(), service_tier=tier),
        "gemini": gemini(said(), serviceTier=tier),
    }[client]
    encoded = encode(client, target, doc)

    body = jsonio.loads(encoded.body)
    assert body.get("service_tier", body.get("serviceTier")) == sent
    assert ("service_tier" in encoded.dropped) == (sent is None)


OWN_WORDS = {
    "openai-chat": chat(
        user(), verbosity="low", prediction={"type": "content", "content": "x"}, moderation={}
    ),
    "anthropic": anthropic(user(), inference_geo="eu"),
    "gemini": gemini(said(), safetySettings=[{"category": "C", "threshold": "T"}]),
}


@pytest.mark.parametrize("target", DIALECTS)
@pytest.mark.parametrize("client", OWN_WORDS)
def test_words_of_one_dialect_stay_in_it(client, target):  # case 118
    doc = OWN_WORDS[client]
    model = "gpt-4o" if target.startswith("openai") else ""
    encoded = encode(client, target, doc, model)

    sent = jsonio.loads(encoded.body)
    foreign = ("prediction", "moderation", "inference_geo", "safetySettings")
    for field in foreign:
        assert (field in sent) == (client == target and field in doc), field
    if client != target:
        visible = {"prediction", "safetySettings"} & doc.keys()
        assert visible <= set(encoded.dropped)
    if client != target and target in ("anthropic", "gemini") and "verbosity" in doc:
        assert "verbosity" in encoded.dropped


def test_verbosity_is_a_word_of_both_dialects_of_openai():  # case 118
    body = carry("openai-chat", "openai-responses", chat(user(), verbosity="low"))

    assert body["text"] == {"verbosity": "low"}


# ── usage ────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("stream", [True, False])
@pairs
def test_counts_mean_the_same_everywhere(client, provider, stream):  # cases 119, 120, 121, 122
    usage = Usage(100, 64, 10 if provider != "gemini" else 0, 31, 12)
    answer = Response("r", "m", (Text("Hi."),), usage=usage)

    seen = understood(client, provider, answer, stream=stream).usage

    assert (seen.input_total, seen.output_total) == (100, 31)
    assert (seen.input_cached, seen.output_reasoning) == (64, 12)
    if "gemini" not in (client, provider):
        assert seen.input_cache_write == 10


@pytest.mark.parametrize(
    ("counts", "output"),
    [
        ({"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}, 5),
        ({"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 40}, 30),
        ({"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 1}, 5),
        ({"prompt_tokens": 10, "completion_tokens": 5}, 5),
    ],
)
@pytest.mark.parametrize("client", [d for d in DIALECTS if d != "openai-chat"])
def test_a_total_is_made_anew_and_never_less(client, counts, output):  # case 123
    message = {"role": "assistant", "content": "Hi."}
    doc = {"choices": [{"message": message, "finish_reason": "stop"}], "usage": counts}
    answer = DIALECTS["openai-chat"].decode_response(doc)

    raw = answered(client, "openai-chat", answer, stream=False)
    seen = DIALECTS[client].decode_response(jsonio.load_object(raw))

    assert (seen.usage.input_total, seen.usage.output_total) == (10, output)
    totals = {"openai-responses": "total_tokens", "gemini": "totalTokenCount"}
    if client in totals:
        assert b'"%b":%d' % (totals[client].encode(), 10 + output) in raw


def test_what_a_prompt_of_tools_cost_is_in_geminis_total():  # case 123
    counts = {
        "promptTokenCount": 10,
        "toolUsePromptTokenCount": 7,
        "candidatesTokenCount": 5,
        "totalTokenCount": 22,
    }
    candidate = {"content": {"parts": [{"text": "Hi."}]}, "finishReason": "STOP"}
    answer = DIALECTS["gemini"].decode_response(
        {"candidates": [candidate], "usageMetadata": counts}
    )

    assert b'"total_tokens":22' in answered("openai-chat", "gemini", answer, stream=False)


@pytest.mark.parametrize("provider", [d for d in DIALECTS if d != "anthropic"])
def test_counts_that_come_late_correct_the_first(provider):  # case 126
    answer = Response("r", "m", (Text("Hi."),), usage=Usage(20, 4, 0, 9))

    raw = answered("anthropic", provider, answer, stream=True)

    events = {e["type"]: e for e in (jsonio.loads(frame.data) for frame in frames([raw]))}
    start = events["message_start"]["message"]["usage"]
    end = events["message_delta"]["usage"]
    assert isinstance(start["input_tokens"], int)
    assert (end["input_tokens"], end["cache_read_input_tokens"]) == (16, 4)
    assert end["output_tokens"] == 9


# ── prompt caches ────────────────────────────────────────────────────────────────────────────


def marked(words, ttl=None):
    mark = {"type": "ephemeral", **({"ttl": ttl} if ttl else {})}
    return {**text(words), "cache_control": mark}


def test_marks_for_an_hour_come_before_the_short_ones():  # case 129
    doc = chat(
        {"role": "system", "content": [marked("s")]},
        user([marked("first", "1h")]),
        assistant("ok"),
        user([marked("second", "1h")]),
    )

    body = carry("openai-chat", "anthropic", doc)

    blocks = [*body["system"], *(b for m in body["messages"] for b in m["content"])]
    lifetimes = [b["cache_control"].get("ttl", "5m") for b in blocks if "cache_control" in b]
    assert lifetimes == sorted(lifetimes)  # "1h" before "5m"
    assert len(lifetimes) == 3


def test_marks_that_are_in_order_keep_their_lifetimes():  # case 129
    doc = chat({"role": "system", "content": [marked("s", "1h")]}, user([marked("x")]))

    body = carry("openai-chat", "anthropic", doc)

    assert body["system"][0]["cache_control"]["ttl"] == "1h"
    assert "ttl" not in body["messages"][0]["content"][0]["cache_control"]


def test_a_session_of_claude_code_is_a_cache_key():  # case 128
    user_id = '{"session_id":"5f1c","device_id":"d"}'
    doc = anthropic(user([marked("x")]), metadata={"user_id": user_id})

    for target in ("openai-chat", "openai-responses"):
        encoded = encode("anthropic", target, doc)
        assert jsonio.loads(encoded.body)["prompt_cache_key"] == "5f1c"
        assert b"cache_control" not in encoded.body


@pytest.mark.parametrize("target", OTHERS)
def test_a_longer_conversation_begins_with_the_same_bytes(target):  # case 130
    def conversation(rounds):
        said_so_far = [{"role": "system", "content": "Be brief."}, user("go")]
        for at in range(rounds):
            # Ids of 50 characters are shortened, names with a dot renamed.
            call_id = f"call:{at}" + "x" * 50
            said_so_far.append(assistant(tool_calls=[chat_call(call_id, "a.b", '{"n": 1}')]))
            said_so_far.append(chat_result(call_id, str(at)))
        return chat(*said_so_far, tools=[chat_tool("a.b"), chat_tool("b")])

    def written(rounds):
        body = jsonio.loads(encode("openai-chat", target, conversation(rounds)).body)
        turns = {"openai-responses": "input", "anthropic": "messages", "gemini": "contents"}
        said_so_far = _without_marks(body.pop(turns[target]))
        return [jsonio.dumps(turn) for turn in said_so_far], jsonio.dumps(_without_marks(body))

    short, around = written(2)
    long, around_long = written(4)

    assert long[: len(short)] == short
    assert around == around_long
    assert written(4) == (long, around_long)


def _without_marks(value):
    if isinstance(value, list):
        return [_without_marks(one) for one in value]
    if isinstance(value, dict):
        return {k: _without_marks(one) for k, one in value.items() if k != "cache_control"}
    return value


def test_an_empty_form_is_any_object():  # case 111
    asked = Request(dialect="gemini", model="claude-sonnet-4-5", output=Output("json_schema"))

    body = jsonio.loads(DIALECTS["anthropic"].encode_request(asked).body)

    assert "JSON object" in body["system"][0]["text"]


def test_a_mark_on_a_message_is_one_on_its_last_block():  # case 127
    message = {**user([text("a"), text("b")]), "cache_control": {"type": "ephemeral"}}

    (sent,) = carry("openai-chat", "anthropic", chat(message))["messages"]

    assert ["cache_control" in block for block in sent["content"]] == [False, True]
