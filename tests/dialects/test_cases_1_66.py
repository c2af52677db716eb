"""What clients of one dialect send to providers of another, by number: messages, tools, results.

The numbers are those of the project's list of mapping cases. What one dialect does alone is in its
own tests; here a body is read by one dialect and written by another.
"""

import base64
import re

import msgspec
import pytest

from proxypal_core.dialects import DIALECTS
from proxypal_core.hub.failure import Refused
from proxypal_core.wire import jsonio
from tests.dialects.request_types import problems
from tests.strategies import PNG

MODELS = {
    "openai-chat": "gpt-4o",
    "openai-responses": "gpt-5.5",
    "anthropic": "claude-sonnet-4-5",
    "gemini": "gemini-3-pro",
}
OTHERS = ("openai-responses", "anthropic", "gemini")
JPEG = "/9j/4AAQ"
PDF = "JVBERi0xLjQ="
SCHEMA = {"type": "object", "properties": {"a": {"type": "string"}}}

# ── arranging ────────────────────────────────────────────────────────────────────────────────


def encode(client, target, doc, model=""):
    """*doc*, a body of *client*, for a provider of *target*."""
    read = DIALECTS[client].decode_request(doc, model="m", stream=False)
    asked = msgspec.structs.replace(read, model=model or MODELS[target])
    return DIALECTS[target].encode_request(asked)


def carry(client, target, doc, model=""):
    """The body that arrives, which is one by the vendor's own types."""
    encoded = encode(client, target, doc, model)
    body = jsonio.loads(encoded.body)
    version = encoded.headers.get("anthropic-version", "")
    assert problems(target, body, version=version) == []
    return body


def chat(*messages, **fields):
    return {"messages": list(messages), **fields}


def responses(*items, **fields):
    return {"input": list(items), **fields}


def anthropic(*messages, **fields):
    return {"max_tokens": 100, "messages": list(messages), **fields}


def gemini(*contents, **fields):
    return {"contents": list(contents), **fields}


def user(content="hi"):
    return {"role": "user", "content": content}


def assistant(content=None, **fields):
    return {"role": "assistant", "content": content, **fields}


def text(words):
    return {"type": "text", "text": words}


def said(words="hi", role="user"):
    """A turn of Gemini's."""
    return {"role": role, "parts": [{"text": words}]}


def chat_call(call_id, name="f", arguments="{}"):
    function = {"name": name, "arguments": arguments}
    return {"id": call_id, "type": "function", "function": function}


def chat_result(call_id, content="done"):
    return {"role": "tool", "tool_call_id": call_id, "content": content}


def chat_tool(name="f", **fields):
    return {"type": "function", "function": {"name": name, "parameters": SCHEMA, **fields}}


def call_item(call_id, name="f", arguments="{}"):
    return {"type": "function_call", "call_id": call_id, "name": name, "arguments": arguments}


def output_item(call_id, output="done"):
    return {"type": "function_call_output", "call_id": call_id, "output": output}


def tool_use(call_id, name="f", **given):
    return {"type": "tool_use", "id": call_id, "name": name, "input": given}


def tool_result(call_id, content="done", **fields):
    return {"type": "tool_result", "tool_use_id": call_id, "content": content, **fields}


def gemini_tools(*declarations):
    return [{"functionDeclarations": list(declarations)}]


def unmarked(value):
    """*value* without cache marks, which have tests of their own."""
    if isinstance(value, list):
        return [unmarked(one) for one in value]
    if isinstance(value, dict):
        return {key: unmarked(one) for key, one in value.items() if key != "cache_control"}
    return value


def roles(messages):
    return [message["role"] for message in messages]


# ── messages, roles, content ─────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("client", "doc"),
    [
        ("openai-chat", chat(user())),
        ("openai-responses", responses(user())),
        ("gemini", gemini(said())),
    ],
)
def test_anthropic_gets_a_limit_where_none_was_given(client, doc):  # case 1
    assert carry(client, "anthropic", doc)["max_tokens"] == 64000
    assert carry(client, "anthropic", doc, "some-model")["max_tokens"] == 8192


@pytest.mark.parametrize(
    ("target", "field"),
    [
        ("openai-chat", "max_tokens"),
        ("openai-responses", "max_output_tokens"),
        ("anthropic", "max_tokens"),
    ],
)
def test_of_two_limits_the_newer_one_holds(target, field):  # case 2
    body = carry("openai-chat", target, chat(user(), max_tokens=100, max_completion_tokens=200))

    assert body[field] == 200


def test_of_two_limits_gemini_gets_the_newer_one():  # case 2
    body = carry("openai-chat", "gemini", chat(user(), max_tokens=100, max_completion_tokens=200))

    assert body["generationConfig"] == {"maxOutputTokens": 200}


@pytest.mark.parametrize(
    ("target", "model", "field"),
    [
        ("openai-chat", "gpt-5.5", "max_completion_tokens"),
        ("openai-chat", "gpt-4o", "max_tokens"),
        ("openai-responses", "gpt-5.5", "max_output_tokens"),
    ],
)
def test_a_limit_has_the_name_the_model_takes(target, model, field):  # case 3
    body = carry("openai-chat", target, chat(user(), max_tokens=32000), model)

    limits = {"max_tokens", "max_completion_tokens", "max_output_tokens"}
    assert {key: body[key] for key in limits & set(body)} == {field: 32000}


@pytest.mark.parametrize(
    ("client", "doc"),
    [
        ("openai-chat", chat(user(), max_tokens=1)),
        ("anthropic", anthropic(user(), max_tokens=1)),
        ("gemini", gemini(said(), generationConfig={"maxOutputTokens": 1})),
    ],
)
def test_a_tiny_limit_is_the_least_that_responses_takes(client, doc):  # case 4
    assert carry(client, "openai-responses", doc)["max_output_tokens"] == 16


@pytest.mark.parametrize("client", ["openai-chat", "openai-responses"])
def test_leading_instructions_are_blocks_in_order(client):  # case 5
    kind = "text" if client == "openai-chat" else "input_text"
    marked = {"type": kind, "text": "b", "prompt_cache_breakpoint": {"mode": "explicit"}}
    messages = [
        {"role": "system", "content": "a"},
        {"role": "system", "content": [marked]},
        {"role": "developer", "content": "c"},
        user(),
    ]
    doc = chat(*messages) if client == "openai-chat" else responses(*messages)

    assert carry(client, "anthropic", doc)["system"] == [
        text("a"),
        {**text("b"), "cache_control": {"type": "ephemeral"}},
        text("c"),
    ]


SWITCH = {"role": "developer", "content": "switch"}
REMINDER = "<system-reminder>\nswitch\n</system-reminder>"


@pytest.mark.parametrize(
    ("model", "end"),
    [
        ("claude-sonnet-4-5", [("user", [text("b"), text(REMINDER)])]),
        ("claude-opus-4-8", [("user", [text("b")]), ("system", [text("switch")])]),
        ("claude-sonnet-5", [("user", [text("b")]), ("system", [text("switch")])]),
    ],
)
@pytest.mark.parametrize("client", ["openai-chat", "openai-responses"])
def test_instructions_in_the_middle_stay_where_they_are(client, model, end):  # case 6
    messages = [user("a"), assistant("yes"), user("b"), SWITCH]
    doc = chat(*messages) if client == "openai-chat" else responses(*messages)

    body = carry(client, "anthropic", doc, model)

    assert [(m["role"], m["content"]) for m in body["messages"][2:]] == end
    assert "system" not in body


@pytest.mark.parametrize(
    "messages",
    [
        [user("a"), SWITCH, user("b")],
        [user("a"), assistant("yes"), SWITCH, user("b")],
        [user("a"), assistant(tool_calls=[chat_call("1")]), chat_result("1"), SWITCH, user("b")],
    ],
)
def test_instructions_that_stand_elsewhere_are_text_of_the_user(messages):  # case 6
    sent = carry("openai-chat", "anthropic", chat(*messages), "claude-opus-4-8")["messages"]

    assert "system" not in roles(sent)
    assert sent[-1]["content"][-2:] == [text(REMINDER), text("b")]


CLAUDES = anthropic(user("a"), {"role": "system", "content": "switch"}, assistant("b"), user("c"))


def test_claude_codes_instructions_are_at_their_place_everywhere():  # case 7
    first = carry("anthropic", "openai-chat", CLAUDES)["messages"]
    reasoning = carry("anthropic", "openai-chat", CLAUDES, "gpt-5.5")["messages"]
    items = carry("anthropic", "openai-responses", CLAUDES)["input"]
    contents = carry("anthropic", "gemini", CLAUDES)["contents"]
    back = carry("anthropic", "anthropic", CLAUDES, "claude-opus-4-8")["messages"]

    assert first[1] == {"role": "system", "content": "switch"}
    assert reasoning[1] == {"role": "developer", "content": "switch"}
    assert items[1]["role"] == "developer"
    assert contents[0]["parts"] == [{"text": "a"}, {"text": REMINDER}]
    assert roles(back) == ["user", "system", "assistant", "user"]


@pytest.mark.parametrize("client", ["openai-chat", "openai-responses"])
def test_instructions_alone_get_a_turn_beside_them(client):  # case 8
    system = {"role": "system", "content": "Name this chat."}
    doc = chat(system) if client == "openai-chat" else responses(system)

    assert carry(client, "anthropic", doc)["messages"] == [{"role": "user", "content": [text(".")]}]
    assert carry(client, "gemini", doc)["contents"] == [said(".")]


TWICE = [user("a"), user("b"), assistant("c"), assistant("d"), user("e")]


def test_neighbours_of_one_role_become_one_turn():  # case 9
    sent = carry("openai-chat", "anthropic", chat(*TWICE))["messages"]
    contents = carry("openai-chat", "gemini", chat(*TWICE))["contents"]

    assert [message["content"] for message in sent] == [
        [text("a"), text("b")],
        [text("c"), text("d")],
        [text("e")],
    ]
    assert [len(content["parts"]) for content in contents] == [2, 2, 1]


@pytest.mark.parametrize("client", ["openai-chat", "openai-responses"])
def test_a_greeting_is_led_in(client):  # case 10
    messages = [assistant("hello"), user()]
    doc = chat(*messages) if client == "openai-chat" else responses(*messages)

    assert roles(carry(client, "anthropic", doc)["messages"]) == ["user", "assistant", "user"]
    assert roles(carry(client, "gemini", doc)["contents"]) == ["user", "model", "user"]


@pytest.mark.parametrize("client", ["openai-chat", "anthropic"])
@pytest.mark.parametrize(("prefill", "turns"), [("{ ", 3), ("  ", 1)])
def test_a_prefill_is_continued_or_dropped(client, prefill, turns):  # case 11
    messages = [user("json?"), assistant(prefill)]
    doc = chat(*messages) if client == "openai-chat" else anthropic(*messages)

    taken = carry(client, "anthropic", doc)["messages"]
    refused = carry(client, "anthropic", doc, "claude-opus-4-8")["messages"]
    items = carry(client, "openai-responses", doc)["input"]
    contents = carry(client, "gemini", doc)["contents"]

    assert len(refused) == len(items) == len(contents) == turns
    assert roles(refused)[-1] == roles(items)[-1] == roles(contents)[-1] == "user"
    if turns > 1:
        assert taken[-1] == {"role": "assistant", "content": [text("{")]}
    assert sum(len(content["parts"]) for content in contents) == turns


CALLED = [
    user(),
    assistant("", tool_calls=[chat_call("1", arguments='{"a":"b"}')]),
    chat_result("1"),
]


def test_empty_texts_do_not_reach_anthropic():  # case 12
    blank = {"role": "user", "content": [text(""), text(" \n")]}

    sent = carry("openai-chat", "anthropic", chat(*CALLED, blank))["messages"]

    assert [block["type"] for block in sent[1]["content"]] == ["tool_use"]
    assert [block["type"] for block in sent[2]["content"]] == ["tool_result"]


@pytest.mark.parametrize("target", DIALECTS)
def test_no_content_is_nothing_and_not_the_word_none(target):  # case 13
    doc = chat(user(), assistant(None, tool_calls=[chat_call("1")]), chat_result("1"))

    raw = encode("openai-chat", target, doc).body

    assert b"None" not in raw
    if target == "openai-chat":
        assert jsonio.loads(raw)["messages"][1]["content"] is None


@pytest.mark.parametrize("target", DIALECTS)
def test_a_turn_that_was_aborted_at_once_is_left_out(target):  # case 14
    with_it = encode("openai-chat", target, chat(user("a"), assistant(""), user("b")))
    without = encode("openai-chat", target, chat(user("a"), user("b")))

    assert with_it.body == without.body


def test_texts_of_a_result_are_joined_where_it_is_one_string():  # case 15
    doc = chat(*CALLED[:2], chat_result("1", [text("x"), text("y")]))

    result = carry("openai-chat", "openai-chat", doc)["messages"][-1]
    block = unmarked(carry("openai-chat", "anthropic", doc))["messages"][-1]["content"][0]
    item = carry("openai-chat", "openai-responses", doc)["input"][-1]
    part = carry("openai-chat", "gemini", doc)["contents"][-1]["parts"][0]

    assert result["content"] == "x\ny"
    assert block["content"] == [text("x"), text("y")]
    assert [one["text"] for one in item["output"]] == ["x", "y"]
    assert part["functionResponse"]["response"] == {"output": "x\ny"}


@pytest.mark.parametrize(
    ("client", "doc"),
    [
        ("openai-chat", chat(user([text("hi")]))),
        ("openai-responses", responses(user([{"type": "input_text", "text": "hi"}]))),
        ("anthropic", anthropic(user([{**text("hi"), "cache_control": {"type": "ephemeral"}}]))),
        ("gemini", gemini(said())),
    ],
)
def test_one_text_is_a_plain_string_for_chat(client, doc):  # case 16
    assert carry(client, "openai-chat", doc)["messages"] == [user("hi")]


@pytest.mark.parametrize("target", OTHERS)
def test_who_spoke_has_no_place_and_is_named(target):  # case 17
    doc = chat({**user(), "name": "ann"})

    encoded = encode("openai-chat", target, doc)

    assert b"ann" not in encoded.body
    assert encoded.dropped == ("name",)


def test_who_spoke_is_told_to_chat():  # case 17
    assert carry("openai-chat", "openai-chat", chat({**user(), "name": "ann"}))["messages"] == [
        {**user(), "name": "ann"}
    ]


def image_doc(client, url):
    if client == "openai-chat":
        return chat(user([{"type": "image_url", "image_url": {"url": url}}]))
    return responses(user([{"type": "input_image", "image_url": url}]))


@pytest.mark.parametrize("client", ["openai-chat", "openai-responses"])
def test_a_data_url_becomes_plain_base64(client):  # case 18
    raw = base64.b64decode(PNG) + b"\xfb\xff\xfe"
    standard = base64.b64encode(raw).decode()
    odd = base64.urlsafe_b64encode(raw).decode().rstrip("=")
    url = f"data:image/png;charset=x;base64,{odd[:4]}\n {odd[4:]}"

    sent = unmarked(carry(client, "anthropic", image_doc(client, url)))["messages"][0]["content"]
    parts = carry(client, "gemini", image_doc(client, url))["contents"][0]["parts"]

    source = {"type": "base64", "media_type": "image/png", "data": standard}
    assert sent == [{"type": "image", "source": source}]
    assert parts == [{"inlineData": {"mimeType": "image/png", "data": standard}}]


ADDRESS = "https://example.com/a.png"


@pytest.mark.parametrize(
    ("client", "doc"),
    [
        ("openai-chat", image_doc("openai-chat", ADDRESS)),
        ("openai-responses", image_doc("openai-responses", ADDRESS)),
        (
            "anthropic",
            anthropic(user([{"type": "image", "source": {"type": "url", "url": ADDRESS}}])),
        ),
    ],
)
def test_an_address_that_nobody_fetched_is_refused_by_its_name(client, doc):  # case 19
    with pytest.raises(Refused, match=re.escape(ADDRESS)):
        encode(client, "gemini", doc)


@pytest.mark.parametrize("mime", ["image/bmp", "image/heic", "image/svg+xml"])
def test_an_image_of_a_type_that_is_not_taken_is_refused(mime):  # case 20
    docs = {
        "openai-chat": image_doc("openai-chat", f"data:{mime};base64,AAAA"),
        "gemini": gemini({"parts": [{"inlineData": {"mimeType": mime, "data": "AAAA"}}]}),
    }

    for client, doc in docs.items():
        with pytest.raises(Refused, match=re.escape(mime)):
            encode(client, "anthropic", doc)


def test_an_image_is_what_its_bytes_say():  # case 20
    doc = image_doc("openai-chat", f"data:image/png;base64,{JPEG}")

    sent = carry("openai-chat", "anthropic", doc)["messages"][0]["content"][0]

    assert sent["source"]["media_type"] == "image/jpeg"


PDFS = {
    "openai-chat": chat(
        user(
            [
                {
                    "type": "file",
                    "file": {
                        "filename": "a.pdf",
                        "file_data": f"data:application/pdf;base64,{PDF}",
                    },
                }
            ]
        )
    ),
    "openai-responses": responses(
        user(
            [
                {
                    "type": "input_file",
                    "filename": "a.pdf",
                    "file_data": f"data:application/pdf;base64,{PDF}",
                }
            ]
        )
    ),
    "anthropic": anthropic(
        user(
            [
                {
                    "type": "document",
                    "source": {"type": "base64", "media_type": "application/pdf", "data": PDF},
                }
            ]
        )
    ),
    "gemini": gemini({"parts": [{"inlineData": {"mimeType": "application/pdf", "data": PDF}}]}),
}


@pytest.mark.parametrize("client", PDFS)
def test_a_pdf_arrives_in_each_form(client):  # case 21
    doc = PDFS[client]

    file = carry(client, "openai-chat", doc)["messages"][0]["content"][0]["file"]
    item = carry(client, "openai-responses", doc)["input"][0]["content"][0]
    document = carry(client, "anthropic", doc)["messages"][0]["content"][0]
    part = carry(client, "gemini", doc)["contents"][0]["parts"][0]

    assert file["filename"].endswith(".pdf")
    assert file["file_data"] == item["file_data"] == f"data:application/pdf;base64,{PDF}"
    assert item["filename"].endswith(".pdf")
    assert document["source"] == {"type": "base64", "media_type": "application/pdf", "data": PDF}
    assert part["inlineData"] == {"mimeType": "application/pdf", "data": PDF}


@pytest.mark.parametrize(
    "source",
    [
        {"type": "text", "media_type": "text/plain", "data": "body"},
        {"type": "content", "content": [text("body")]},
    ],
)
def test_a_text_document_is_text_under_its_title(source):  # case 22
    doc = anthropic(user([{"type": "document", "source": source, "title": "Title"}]))

    assert carry("anthropic", "openai-chat", doc)["messages"] == [user("Title\nbody")]
    assert carry("anthropic", "openai-responses", doc)["input"][0]["content"] == [
        {"type": "input_text", "text": "Title\nbody"}
    ]
    assert carry("anthropic", "gemini", doc)["contents"] == [said("Title\nbody")]


def inline(mime, data="AAAA"):
    return gemini({"role": "user", "parts": [{"inlineData": {"mimeType": mime, "data": data}}]})


def test_media_of_geminis_clients_arrive_as_what_they_are():  # case 23
    audio = carry("gemini", "openai-chat", inline("audio/wav"))["messages"][0]["content"][0]
    words = inline("text/csv", base64.b64encode(b"a,b").decode())

    assert audio == {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}}
    assert carry("gemini", "openai-chat", words)["messages"] == [user("a,b")]
    assert carry("gemini", "openai-responses", words)["input"][0]["content"][0]["text"] == "a,b"
    source = carry("gemini", "anthropic", words)["messages"][0]["content"][0]["source"]
    assert source == {"type": "text", "media_type": "text/plain", "data": "a,b"}


@pytest.mark.parametrize("target", ["openai-chat", "openai-responses", "anthropic"])
def test_a_video_is_refused_by_its_type(target):  # case 23
    with pytest.raises(Refused, match="video/mp4"):
        encode("gemini", target, inline("video/mp4"))


def test_audio_is_refused_where_it_is_not_heard():  # case 23
    with pytest.raises(Refused, match="audio"):
        encode("gemini", "anthropic", inline("audio/wav"))


STORED = {
    "openai-chat": chat(user([{"type": "file", "file": {"file_id": "file-1"}}])),
    "openai-responses": responses(user([{"type": "input_file", "file_id": "file-1"}])),
    "anthropic": anthropic(
        user([{"type": "document", "source": {"type": "file", "file_id": "file-1"}}])
    ),
    "gemini": gemini({"parts": [{"fileData": {"fileUri": "files/file-1"}}]}),
}


@pytest.mark.parametrize("client", STORED)
@pytest.mark.parametrize("target", DIALECTS)
def test_a_stored_file_is_only_its_owners(client, target):  # case 24
    vendors = {client.partition("-")[0], target.partition("-")[0]}

    if len(vendors) == 1:
        assert b"file-1" in encode(client, target, STORED[client]).body
    else:
        with pytest.raises(Refused):
            encode(client, target, STORED[client])


REFUSED = {
    "openai-chat": chat(user("a"), assistant(None, refusal="I can't."), user("b")),
    "openai-responses": responses(
        user("a"), assistant([{"type": "refusal", "refusal": "I can't."}]), user("b")
    ),
}


@pytest.mark.parametrize("client", REFUSED)
def test_a_refusal_in_the_history_is_the_assistants_text(client):  # case 25
    sent = carry(client, "anthropic", REFUSED[client])["messages"]
    contents = carry(client, "gemini", REFUSED[client])["contents"]

    assert sent[1] == {"role": "assistant", "content": [text("I can't.")]}
    assert contents[1] == said("I can't.", "model")


def test_texts_between_calls_are_joined_before_them():  # case 26
    doc = anthropic(
        user(),
        assistant([text("x"), tool_use("1"), text("y"), tool_use("2")]),
        user([tool_result("1"), tool_result("2")]),
    )

    messages = carry("anthropic", "openai-chat", doc)["messages"]

    assert roles(messages) == ["user", "assistant", "tool", "tool"]
    assert messages[1]["content"] == "x\n\ny"
    assert [call["id"] for call in messages[1]["tool_calls"]] == ["1", "2"]


INTERLEAVED = responses(
    user(),
    {"type": "reasoning", "summary": []},
    {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "so"}]},
    call_item("1"),
    call_item("2"),
    {"type": "reasoning", "summary": []},
    call_item("3"),
    output_item("1"),
    output_item("2"),
    output_item("3"),
    {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "done"}]},
    user("more"),
)


@pytest.mark.parametrize("target", ["openai-chat", "anthropic", "gemini"])
def test_items_up_to_the_first_output_are_one_turn(target):  # case 27
    body = carry("openai-responses", target, INTERLEAVED)

    told = roles(body.get("messages") or body["contents"])
    if target == "openai-chat":
        assert told == ["user", "assistant", "tool", "tool", "tool", "assistant", "user"]
    else:
        model = "assistant" if target == "anthropic" else "model"
        assert told == ["user", model, "user", model, "user"]


def test_a_late_output_stands_with_the_others():  # case 28
    doc = responses(
        user(), call_item("1"), call_item("2"), output_item("2"), user("wait"), output_item("1")
    )

    sent = unmarked(carry("openai-responses", "anthropic", doc))["messages"]

    assert sent[2]["content"] == [tool_result("1"), tool_result("2"), text("wait")]


@pytest.mark.parametrize("target", ["openai-chat", "openai-responses", "gemini"])
def test_claude_codes_billing_line_stays_with_anthropic(target):  # case 29
    system = [text("x-anthropic-billing-header: cc_version=2"), text("Be brief.")]
    doc = anthropic(user(), system=system)

    assert b"billing" not in encode("anthropic", target, doc).body
    assert b"Be brief." in encode("anthropic", target, doc).body
    assert carry("anthropic", "anthropic", doc)["system"] == system


# ── tools: declarations and schemas ──────────────────────────────────────────────────────────


def names_in(body):
    """The names of functions in declarations, choice, history and results, wherever they stand."""
    if isinstance(body, list):
        return {name for one in body for name in names_in(one)}
    if not isinstance(body, dict):
        return set()
    own = {body["name"]} if isinstance(body.get("name"), str) else set()
    allowed = set(body.get("allowedFunctionNames") or ())
    return own | allowed | {name for one in body.values() for name in names_in(one)}


LONG = "mcp__" + "x" * 75


@pytest.mark.parametrize("target", DIALECTS)
@pytest.mark.parametrize("name", ["mcp.server/tool name", "9lives"])
def test_a_name_is_changed_alike_everywhere(target, name):  # case 30
    doc = chat(
        user(),
        assistant(tool_calls=[chat_call("1", name)]),
        chat_result("1"),
        tools=[chat_tool(name)],
        tool_choice={"type": "function", "function": {"name": name}},
    )

    encoded = encode("openai-chat", target, doc)

    (sent,) = names_in(jsonio.loads(encoded.body))
    assert encoded.names == {sent: name}
    assert sent.replace("_", "").isalnum()


@pytest.mark.parametrize("target", ["openai-chat", "openai-responses"])
def test_a_long_name_is_cut_the_same_way_each_time(target):  # case 31
    docs = {
        "anthropic": anthropic(user(), tools=[{"name": LONG, "input_schema": SCHEMA}]),
        "gemini": gemini(said(), tools=gemini_tools({"name": LONG})),
    }

    told = [names_in(carry(client, target, doc)["tools"]) for client, doc in docs.items()]

    assert told[0] == told[1]
    (name,) = told[0]
    assert len(name) == 64
    assert name.startswith(LONG[:55] + "_")


@pytest.mark.parametrize("target", DIALECTS)
def test_names_that_would_become_one_are_kept_apart(target):  # case 32
    tools = [chat_tool("a.b"), chat_tool("a_b")]

    encoded = encode("openai-chat", target, chat(user(), tools=tools))

    told = names_in(jsonio.loads(encoded.body)["tools"])
    assert len(told) == 2
    assert "a_b" in told
    assert list(encoded.names.values()) == ["a.b"]


def test_a_tool_declared_twice_is_told_once():  # case 33
    direct = {"type": "function", "name": "n__f", "description": "direct", "parameters": SCHEMA}
    inner = {"type": "function", "name": "f", "description": "inner", "parameters": SCHEMA}
    space = {"type": "namespace", "name": "n", "tools": [inner]}
    twice = [chat_tool(description="first"), chat_tool(description="second")]

    ours = carry("openai-responses", "anthropic", responses(user(), tools=[space, direct]))
    chats = carry("openai-chat", "anthropic", chat(user(), tools=twice))

    assert [tool["description"] for tool in ours["tools"]] == ["direct"]
    assert [tool["description"] for tool in chats["tools"]] == ["first"]


@pytest.mark.parametrize("parameters", [{}, {"parameters": {}}, {"parameters": None}])
def test_no_parameters_are_an_empty_object_or_nothing(parameters):  # case 34
    tool = {"type": "function", "function": {"name": "f", **parameters}}

    body = carry("openai-chat", "anthropic", chat(user(), tools=[tool]))
    theirs = carry("openai-chat", "gemini", chat(user(), tools=[tool]))

    assert body["tools"][0]["input_schema"] == {"type": "object", "properties": {}}
    assert theirs["tools"] == gemini_tools({"name": "f"})


@pytest.mark.parametrize(
    ("union", "required"), [("anyOf", ["a"]), ("oneOf", ["a"]), ("allOf", ["a", "b", "c"])]
)
def test_a_union_at_the_root_becomes_one_object(union, required):  # case 35
    branches = [
        {"type": "object", "properties": {"b": {}}, "required": ["a", "b"]},
        {"type": "object", "properties": {"c": {}}, "required": ["a", "c"]},
    ]
    schema = {"type": "object", "properties": {"a": {}}, union: branches}

    tool = carry("openai-chat", "anthropic", chat(user(), tools=[chat_tool(parameters=schema)]))

    sent = tool["tools"][0]["input_schema"]
    assert union not in sent
    assert sent["properties"].keys() == {"a", "b", "c"}
    assert sent["required"] == required
    assert ("description" in tool["tools"][0]) == (union != "allOf")


ODD_SCHEMA = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "properties": {
        "node": {"$ref": "#/$defs/Node"},
        "kind": {"const": "x"},
        "some": {"oneOf": [{"type": "string"}, {"not": {"type": "object"}}]},
        "count": {"type": ["integer", "null"], "exclusiveMinimum": 0},
        "map": {"type": "object", "propertyNames": {"pattern": "^a"}},
        "any": {},
        "format": {"type": "string"},
        "title": {"type": "string"},
        "$schema": {"type": "string"},
    },
    "unevaluatedProperties": False,
    "$defs": {"Node": {"type": "object", "properties": {"next": {"$ref": "#/$defs/Node"}}}},
}


@pytest.mark.parametrize(
    ("client", "doc"),
    [
        ("openai-chat", chat(user(), tools=[chat_tool(parameters=ODD_SCHEMA)])),
        ("anthropic", anthropic(user(), tools=[{"name": "f", "input_schema": ODD_SCHEMA}])),
        (
            "openai-responses",
            responses(user(), tools=[{"type": "function", "name": "f", "parameters": ODD_SCHEMA}]),
        ),
    ],
)
def test_gemini_gets_the_schema_as_json_schema(client, doc):  # case 36, case 37, case 38
    (function,) = carry(client, "gemini", doc)["tools"][0]["functionDeclarations"]

    cut = {"type": "object", "properties": {"next": {"type": "object"}}}
    kept = {key: value for key, value in ODD_SCHEMA.items() if key != "$schema"}
    assert function == {
        "name": "f",
        "parametersJsonSchema": {**kept, "$defs": {"Node": cut}},
    }


@pytest.mark.parametrize("target", DIALECTS)
def test_data_that_looks_like_a_schema_stays(target):  # case 38
    arguments = '{"$schema":"s","title":"t","default":null,"format":"f","type":"STRING"}'
    doc = chat(user(), assistant(tool_calls=[chat_call("1", arguments=arguments)]))

    body = encode("openai-chat", target, doc).body

    assert arguments.encode() in body or jsonio.dumps_text(arguments).encode() in body


@pytest.mark.parametrize("target", ["openai-chat", "openai-responses", "anthropic"])
def test_geminis_schema_is_told_in_lower_case(target):  # case 39
    schema = {
        "type": "OBJECT",
        "properties": {"a": {"type": "STRING", "nullable": True}, "b": {"type": "INTEGER"}},
        "propertyOrdering": ["b", "a"],
    }
    doc = gemini(said(), tools=gemini_tools({"name": "f", "parameters": schema}))

    (tool,) = carry("gemini", target, doc)["tools"]

    tool = tool.get("function", tool)
    assert (tool.get("parameters") or tool["input_schema"]) == {
        "type": "object",
        "properties": {"a": {"type": ["string", "null"]}, "b": {"type": "integer"}},
    }


CLOSED = {**SCHEMA, "additionalProperties": False, "required": ["a"]}


@pytest.mark.parametrize(("schema", "strict"), [(CLOSED, True), (SCHEMA, False)])
def test_strictness_is_asked_of_openai_where_the_schema_is_fit(schema, strict):  # case 40
    doc = anthropic(user(), tools=[{"name": "f", "input_schema": schema, "strict": True}])

    chats = carry("anthropic", "openai-chat", doc)["tools"][0]["function"]
    ours = carry("anthropic", "openai-responses", doc)["tools"][0]

    assert (chats["strict"], ours["strict"]) == (strict, strict)


def test_strictness_goes_to_anthropic_and_is_named_for_gemini():  # case 40
    doc = chat(user(), tools=[chat_tool(parameters=CLOSED, strict=True)])
    silent = anthropic(user(), tools=[{"name": "f", "input_schema": CLOSED}])

    assert carry("openai-chat", "anthropic", doc)["tools"][0]["strict"] is True
    assert encode("openai-chat", "gemini", doc).dropped == ("tools.strict",)
    assert carry("anthropic", "openai-responses", silent)["tools"][0]["strict"] is False


AGENTS = {
    "type": "namespace",
    "name": "agents",
    "tools": [{"type": "function", "name": "close", "parameters": SCHEMA}],
}


@pytest.mark.parametrize("target", ["openai-chat", "anthropic", "gemini"])
def test_a_namespace_is_flattened(target):  # case 41
    called = {**call_item("1", "close"), "namespace": "agents"}
    doc = responses(user(), called, output_item("1"), tools=[AGENTS])

    assert names_in(carry("openai-responses", target, doc)) == {"agents__close"}


@pytest.mark.parametrize("target", ["openai-chat", "anthropic", "gemini"])
def test_tools_among_the_items_are_tools(target):  # case 42
    first = {"type": "function", "name": "f", "description": "top", "parameters": SCHEMA}
    later = {**first, "description": "later"}
    added = {"type": "additional_tools", "role": "developer", "tools": [later]}

    alone = encode("openai-responses", target, responses(added, user()))
    both = encode("openai-responses", target, responses(added, user(), tools=[first]))

    assert b'"later"' in alone.body
    assert b'"top"' in both.body
    assert b'"later"' not in both.body


GRAMMAR = {"type": "grammar", "syntax": "lark", "definition": "start: PATCH"}
PATCH = {"type": "custom", "name": "patch", "format": GRAMMAR}
PATCHES = {
    "openai-chat": chat(
        user(),
        assistant(
            tool_calls=[
                {"id": "1", "type": "custom", "custom": {"name": "patch", "input": "*** Begin"}}
            ]
        ),
        chat_result("1"),
        tools=[{"type": "custom", "custom": {"name": "patch", "format": GRAMMAR}}],
    ),
    "openai-responses": responses(
        user(),
        {"type": "custom_tool_call", "call_id": "1", "name": "patch", "input": "*** Begin"},
        {"type": "custom_tool_call_output", "call_id": "1", "output": "done"},
        tools=[PATCH],
    ),
}


@pytest.mark.parametrize("client", PATCHES)
def test_a_freeform_tool_is_a_function_of_one_string(client):  # case 43
    body = carry(client, "anthropic", PATCHES[client])
    theirs = carry(client, "gemini", PATCHES[client])

    tool = body["tools"][0]
    assert tool["input_schema"]["properties"] == {"input": {"type": "string"}}
    assert "start: PATCH" in tool["description"]
    assert body["messages"][1]["content"][0]["input"] == {"input": "*** Begin"}
    function = theirs["tools"][0]["functionDeclarations"][0]
    assert function["parametersJsonSchema"]["properties"] == {"input": {"type": "string"}}
    assert "start: PATCH" in function["description"]
    call = theirs["contents"][1]["parts"][0]["functionCall"]
    assert call["args"] == {"input": "*** Begin"}


SEARCHES = {
    "openai-responses": responses(user(), tools=[{"type": "web_search"}]),
    "anthropic": anthropic(
        user(), tools=[{"type": "web_search_20250305", "name": "web_search", "max_uses": 3}]
    ),
    "gemini": gemini(said(), tools=[{"googleSearch": {}}]),
}


@pytest.mark.parametrize("client", SEARCHES)
def test_web_search_is_each_vendors_own(client):  # case 44
    doc = SEARCHES[client]

    assert carry(client, "openai-responses", doc)["tools"] == [{"type": "web_search"}]
    assert carry(client, "anthropic", doc)["tools"][0]["type"] == "web_search_20250305"
    assert carry(client, "gemini", doc)["tools"] == [{"googleSearch": {}}]
    chats = carry(client, "openai-chat", doc, "gpt-5-search-api")
    assert chats["web_search_options"] == {}
    assert "tools" not in chats


@pytest.mark.parametrize("target", ["openai-chat", "anthropic", "gemini"])
def test_a_search_without_the_web_is_dropped_by_name(target):  # case 44
    tool = {"type": "web_search", "external_web_access": False}

    encoded = encode("openai-responses", target, responses(user(), tools=[tool]), "x-search")

    assert "tools" not in jsonio.loads(encoded.body)
    assert len(encoded.dropped) == 1
    assert "web_search" in encoded.dropped[0]


@pytest.mark.parametrize("client", ["openai-responses", "anthropic"])
def test_search_beside_functions_is_asked_of_geminis_that_can(client):  # case 45
    function = (
        {"type": "function", "name": "f", "parameters": SCHEMA}
        if client == "openai-responses"
        else {"name": "f", "input_schema": SCHEMA}
    )
    doc = {**SEARCHES[client], "tools": [function, *SEARCHES[client]["tools"]]}

    new = encode(client, "gemini", doc, "gemini-3-pro")
    old = encode(client, "gemini", doc, "gemini-2.5-pro")

    body = jsonio.loads(new.body)
    assert [*body["tools"][0], *body["tools"][1]] == ["functionDeclarations", "googleSearch"]
    assert body["toolConfig"] == {"includeServerSideToolInvocations": True}
    assert [*jsonio.loads(old.body)["tools"][0]] == ["functionDeclarations"]
    assert "toolConfig" not in jsonio.loads(old.body)
    assert (new.dropped, old.dropped) == ((), ("tools.googleSearch",))


COMPUTER = {
    "type": "computer_20250124",
    "name": "computer",
    "display_width_px": 1024,
    "display_height_px": 768,
}
CLIENT_TOOLS = [
    {"type": "bash_20250124", "name": "bash"},
    {"type": "text_editor_20250728", "name": "str_replace_based_edit_tool"},
    {"type": "memory_20250818", "name": "memory"},
    COMPUTER,
]


@pytest.mark.parametrize("tool", CLIENT_TOOLS, ids=lambda tool: tool["name"])
@pytest.mark.parametrize("target", ["openai-chat", "openai-responses", "gemini"])
def test_tools_that_claudes_clients_run_are_functions_for_others(tool, target):  # case 46
    encoded = encode("anthropic", target, anthropic(user(), tools=[tool]))

    assert names_in(jsonio.loads(encoded.body)["tools"]) == {tool["name"]}
    assert b'"properties"' in encoded.body
    assert encoded.dropped == ()
    own = carry("anthropic", "anthropic", anthropic(user(), tools=[tool]))
    assert own["tools"] == [tool]


def test_the_size_of_the_screen_is_told():  # case 46
    doc = anthropic(user(), tools=[COMPUTER])

    function = carry("anthropic", "openai-chat", doc)["tools"][0]["function"]

    assert "1024 by 768" in function["description"]
    assert "screenshot" in function["parameters"]["properties"]["action"]["enum"]


@pytest.mark.parametrize("target", DIALECTS)
@pytest.mark.parametrize(
    ("client", "doc"),
    [
        (
            "anthropic",
            anthropic(user(), tools=[{"type": "code_execution_20250825", "name": "run"}]),
        ),
        ("openai-responses", responses(user(), tools=[{"type": "mcp", "server_label": "s"}])),
        ("openai-responses", responses(user(), tools=[{"type": "code_interpreter"}])),
    ],
)
def test_what_one_vendor_runs_is_dropped_by_name_elsewhere(client, doc, target):  # case 46
    encoded = encode(client, target, doc)

    if client == target:
        assert jsonio.loads(encoded.body)["tools"] == doc["tools"]
    else:
        assert "tools" not in jsonio.loads(encoded.body)
        assert len(encoded.dropped) == 1


@pytest.mark.parametrize("target", DIALECTS)
@pytest.mark.parametrize("tools", [{}, {"tools": []}])
def test_a_choice_among_no_tools_is_left_out(target, tools):  # case 47
    doc = chat(user(), tool_choice="auto", parallel_tool_calls=True, **tools)

    body = carry("openai-chat", target, doc)

    assert not {"tools", "tool_choice", "parallel_tool_calls", "toolConfig"} & set(body)


def test_tools_that_may_not_be_called_stay_declared():  # case 48
    doc = chat(user(), tools=[chat_tool()], tool_choice="none")

    body = carry("openai-chat", "anthropic", doc)
    theirs = carry("openai-chat", "gemini", doc)

    assert (body["tool_choice"], len(body["tools"])) == ({"type": "none"}, 1)
    assert theirs["toolConfig"] == {"functionCallingConfig": {"mode": "NONE"}}
    assert names_in(theirs["tools"]) == {"f"}


@pytest.mark.parametrize(
    ("client", "doc"),
    [
        ("openai-chat", chat(*CALLED)),
        ("openai-responses", responses(user(), call_item("1"), output_item("1"))),
        (
            "gemini",
            gemini(
                said(),
                {"role": "model", "parts": [{"functionCall": {"name": "f"}}]},
                {"parts": [{"functionResponse": {"name": "f", "response": {}}}]},
            ),
        ),
    ],
)
def test_a_history_of_calls_keeps_stubs_of_its_tools(client, doc):  # case 49
    body = carry(client, "anthropic", doc)

    assert names_in(body["tools"]) == {"f"}
    assert body["tool_choice"] == {"type": "none"}


@pytest.mark.parametrize("model", ["claude-sonnet-4-5", "claude-opus-4-8"])
@pytest.mark.parametrize(
    ("client", "doc"),
    [
        (
            "openai-chat",
            chat(user(), tools=[chat_tool()], tool_choice="required", reasoning_effort="high"),
        ),
        (
            "openai-responses",
            responses(
                user(),
                tools=[{"type": "function", "name": "f", "parameters": SCHEMA}],
                tool_choice={"type": "function", "name": "f"},
                reasoning={"effort": "high"},
            ),
        ),
        (
            "gemini",
            gemini(
                said(),
                tools=gemini_tools({"name": "f"}),
                toolConfig={"functionCallingConfig": {"mode": "ANY"}},
                generationConfig={"thinkingConfig": {"thinkingLevel": "HIGH"}},
            ),
        ),
    ],
)
def test_a_forced_tool_leaves_no_thinking(client, doc, model):  # case 50
    body = carry(client, "anthropic", doc, model)

    assert body["thinking"] == {"type": "disabled"}
    assert body["tool_choice"]["type"] in ("any", "tool")


def test_one_call_at_a_time_is_asked_for_both_ways():  # case 51
    serial = chat(user(), tools=[chat_tool()], parallel_tool_calls=False)
    claudes = anthropic(
        user(),
        tools=[{"name": "f", "input_schema": SCHEMA}],
        tool_choice={"type": "auto", "disable_parallel_tool_use": True},
    )
    silent = chat(user(), tools=[chat_tool()])

    body = carry("openai-chat", "anthropic", serial)

    assert body["tool_choice"] == {"type": "auto", "disable_parallel_tool_use": True}
    assert "tool_choice" not in carry("openai-chat", "anthropic", silent)
    for target in ("openai-chat", "openai-responses"):
        assert carry("anthropic", target, claudes)["parallel_tool_calls"] is False
    assert "parallel_tool_calls" in encode("anthropic", "gemini", claudes).dropped


# ── calls and results ────────────────────────────────────────────────────────────────────────

NAMED_ONLY = gemini(
    said(),
    {
        "role": "model",
        "parts": [
            {"functionCall": {"name": "f", "args": {"n": 1}}},
            {"functionCall": {"name": "f", "args": {"n": 2}}},
        ],
    },
    {
        "parts": [
            {"functionResponse": {"name": "f", "response": {"output": "one"}}},
            {"functionResponse": {"name": "f", "response": {"output": "two"}}},
        ]
    },
)


def paired(target, body):
    """What was called and what came of it, by the ids in *body*."""
    if target == "openai-chat":
        calls = {c["id"]: c["function"]["arguments"] for c in body["messages"][1]["tool_calls"]}
        results = {m["tool_call_id"]: m["content"] for m in body["messages"][2:]}
    elif target == "openai-responses":
        items = body["input"]
        calls = {i["call_id"]: i["arguments"] for i in items if i["type"] == "function_call"}
        results = {i["call_id"]: i["output"] for i in items if "output" in i}
    else:
        calls = {b["id"]: jsonio.dumps_text(b["input"]) for b in body["messages"][1]["content"]}
        results = {b["tool_use_id"]: b["content"] for b in body["messages"][2]["content"]}
    return [(calls[one], results.get(one)) for one in calls]


@pytest.mark.parametrize("target", ["openai-chat", "openai-responses", "anthropic"])
def test_results_without_ids_find_their_calls(target):  # case 52, case 53
    body = carry("gemini", target, NAMED_ONLY)
    again = carry("gemini", target, NAMED_ONLY)

    assert paired(target, body) == [('{"n":1}', "one"), ('{"n":2}', "two")]
    assert again == body


@pytest.mark.parametrize(
    ("client", "doc"),
    [
        ("openai-chat", chat(user(), assistant(tool_calls=[chat_call("1")]), chat_result("1"))),
        ("openai-responses", responses(user(), call_item("1"), output_item("1"))),
        ("anthropic", anthropic(user(), assistant([tool_use("1")]), user([tool_result("1")]))),
    ],
)
def test_geminis_results_have_id_and_name(client, doc):  # case 54
    contents = carry(client, "gemini", doc)["contents"]

    call = contents[1]["parts"][0]["functionCall"]
    response = contents[2]["parts"][0]["functionResponse"]
    assert (call["id"], call["name"]) == (response["id"], response["name"]) == ("1", "f")


PICTURE = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}}


@pytest.mark.parametrize("target", DIALECTS)
def test_a_result_without_its_call_is_text_of_the_user(target):  # case 55
    doc = chat(chat_result("gone", [text("forty-two"), PICTURE]), user())

    encoded = encode("openai-chat", target, doc)

    body = jsonio.loads(encoded.body)
    first = next(iter(body.get("messages") or body.get("input") or body["contents"]))
    assert first["role"] == "user"
    assert b"forty-two" in encoded.body
    assert PNG.encode() in encoded.body
    assert b'"gone"' not in encoded.body


ABORTED = chat(user(), assistant(tool_calls=[chat_call("1")]), user("next"))


def test_a_call_without_its_result_gets_one():  # case 56
    block = carry("openai-chat", "anthropic", ABORTED)["messages"][2]["content"][0]
    item = carry("openai-chat", "openai-responses", ABORTED)["input"][2]
    part = carry("openai-chat", "gemini", ABORTED)["contents"][2]["parts"][0]

    assert (block["tool_use_id"], block["is_error"]) == ("1", True)
    assert (item["type"], item["call_id"]) == ("function_call_output", "1")
    assert part["functionResponse"]["response"] == {"error": "aborted"}


BACKWARDS = {
    "openai-chat": chat(
        user(),
        assistant(tool_calls=[chat_call("1"), chat_call("2"), chat_call("3")]),
        chat_result("3"),
        chat_result("1"),
        chat_result("2"),
    ),
    "anthropic": anthropic(
        user(),
        assistant([tool_use("1"), tool_use("2"), tool_use("3")]),
        user([tool_result("3"), tool_result("1"), tool_result("2")]),
    ),
}


@pytest.mark.parametrize("client", BACKWARDS)
def test_results_stand_in_one_turn_in_the_order_of_the_calls(client):  # case 57, case 59
    contents = carry(client, "gemini", BACKWARDS[client])["contents"]
    sent = carry(client, "anthropic", BACKWARDS[client])["messages"]

    responded = [part["functionResponse"]["id"] for part in contents[2]["parts"]]
    assert responded == ["1", "2", "3"]
    assert [block["tool_use_id"] for block in sent[2]["content"]] == ["1", "2", "3"]
    assert len(contents) == len(sent) == 3


def test_results_come_before_what_the_user_says():  # case 58
    chats = chat(
        user(),
        assistant(tool_calls=[chat_call("1"), chat_call("2")]),
        chat_result("1"),
        user("wait"),
        chat_result("2"),
    )
    theirs = gemini(
        said(),
        {"role": "model", "parts": [{"functionCall": {"name": "f"}}]},
        {"parts": [{"text": "wait"}, {"functionResponse": {"name": "f", "response": {}}}]},
    )

    for client, doc, results in (("openai-chat", chats, 2), ("gemini", theirs, 1)):
        content = carry(client, "anthropic", doc)["messages"][2]["content"]
        assert [block["type"] for block in content] == ["tool_result"] * results + ["text"]


def test_results_and_words_of_one_turn_are_messages_of_their_own():  # case 60
    doc = anthropic(
        user(),
        assistant([tool_use("1"), tool_use("2")]),
        user([tool_result("1", "x"), tool_result("2", "y"), text("go on")]),
    )

    messages = carry("anthropic", "openai-chat", doc)["messages"]

    assert messages[2:] == [chat_result("1", "x"), chat_result("2", "y"), user("go on")]


SHOWN = {
    "anthropic": anthropic(
        user(),
        assistant([tool_use("1"), tool_use("2")]),
        user(
            [
                tool_result(
                    "1",
                    [
                        text("see"),
                        {
                            "type": "image",
                            "source": {"type": "base64", "media_type": "image/png", "data": PNG},
                        },
                    ],
                ),
                tool_result("2"),
            ]
        ),
    ),
    "openai-responses": responses(
        user(),
        call_item("1"),
        call_item("2"),
        output_item(
            "1",
            [
                {"type": "input_text", "text": "see"},
                {"type": "input_image", "image_url": f"data:image/png;base64,{PNG}"},
            ],
        ),
        output_item("2"),
    ),
}


@pytest.mark.parametrize("client", SHOWN)
def test_an_image_in_a_result_follows_all_results(client):  # case 61
    messages = carry(client, "openai-chat", SHOWN[client])["messages"]
    items = carry(client, "openai-responses", SHOWN[client])["input"]
    new = carry(client, "gemini", SHOWN[client])["contents"][2]["parts"]
    old = carry(client, "gemini", SHOWN[client], "gemini-2.5-pro")["contents"][2]["parts"]
    block = unmarked(carry(client, "anthropic", SHOWN[client]))["messages"][2]["content"][0]

    assert messages[2:] == [
        chat_result("1", "see\n[image below]"),
        chat_result("2"),
        user([{"type": "image_url", "image_url": PICTURE["image_url"]}]),
    ]
    output = next(item["output"] for item in items if "output" in item)
    assert [part["type"] for part in output] == ["input_text", "input_image"]
    assert [*new[0]["functionResponse"]] == ["id", "name", "response", "parts"]
    assert {"inlineData": {"mimeType": "image/png", "data": PNG}} in old
    assert [part["type"] for part in block["content"]] == ["text", "image"]


EMPTY = {
    "openai-chat": [chat(*CALLED[:2], chat_result("1", value)) for value in ("", None, [])],
    "openai-responses": [
        responses(user(), call_item("1"), output_item("1", value)) for value in ("", None, [])
    ],
    "anthropic": [
        anthropic(user(), assistant([tool_use("1")]), user([tool_result("1", value)]))
        for value in ("", None, [])
    ],
    "gemini": [
        gemini(
            said(),
            {"role": "model", "parts": [{"functionCall": {"name": "f", "id": "1"}}]},
            {"parts": [{"functionResponse": {"name": "f", "id": "1", "response": {}}}]},
        )
    ],
}


@pytest.mark.parametrize("client", EMPTY)
def test_an_empty_result_is_empty_in_each_form(client):  # case 62
    for doc in EMPTY[client]:
        message = carry(client, "openai-chat", doc)["messages"][-1]
        block = unmarked(carry(client, "anthropic", doc))["messages"][-1]["content"][0]
        item = carry(client, "openai-responses", doc)["input"][-1]
        part = carry(client, "gemini", doc)["contents"][-1]["parts"][0]

        assert message == chat_result("1", "")
        assert block == {"type": "tool_result", "tool_use_id": "1"}
        assert item["output"] == ""
        assert part["functionResponse"]["response"] == {"output": ""}


@pytest.mark.parametrize("target", ["openai-chat", "openai-responses", "anthropic"])
@pytest.mark.parametrize(
    ("response", "told"),
    [
        ({"output": "x"}, "x"),
        ({"result": "x"}, "x"),
        ({"content": "x"}, "x"),
        ({"temperature": 20, "unit": "C"}, '{"temperature":20,"unit":"C"}'),
        ({"output": {"a": 1}}, '{"output":{"a":1}}'),
    ],
)
def test_an_object_is_told_as_the_text_in_it_or_as_json(target, response, told):  # case 63
    doc = gemini(
        said(),
        {"role": "model", "parts": [{"functionCall": {"name": "f"}}]},
        {"parts": [{"functionResponse": {"name": "f", "response": response}}]},
    )

    assert paired(target, carry("gemini", target, doc)) == [("{}", told)]


def test_an_error_of_geminis_is_marked_as_one():  # case 63
    doc = gemini(
        said(),
        {"role": "model", "parts": [{"functionCall": {"name": "f"}}]},
        {"parts": [{"functionResponse": {"name": "f", "response": {"error": "boom"}}}]},
    )

    block = carry("gemini", "anthropic", doc)["messages"][2]["content"][0]

    assert (block["content"], block["is_error"]) == ("boom", True)
    for target in ("openai-chat", "openai-responses"):
        assert paired(target, carry("gemini", target, doc)) == [("{}", "Error: boom")]


@pytest.mark.parametrize("told", ["12:00", "[1,2]", "7", '{"a":1}'])
@pytest.mark.parametrize("client", ["openai-chat", "openai-responses", "anthropic"])
def test_a_text_is_the_output_in_an_object(client, told):  # case 64
    doc = {
        "openai-chat": chat(*CALLED[:2], chat_result("1", told)),
        "openai-responses": responses(user(), call_item("1"), output_item("1", told)),
        "anthropic": anthropic(user(), assistant([tool_use("1")]), user([tool_result("1", told)])),
    }[client]

    part = carry(client, "gemini", doc)["contents"][2]["parts"][0]

    assert part["functionResponse"]["response"] == {"output": told}


@pytest.mark.parametrize(
    ("told", "marked"), [("boom", "Error: boom"), ("Error: boom", "Error: boom")]
)
def test_an_error_says_so_where_there_is_no_flag(told, marked):  # case 65, and 64 for errors
    failed = tool_result("1", told, is_error=True)
    doc = anthropic(user(), assistant([tool_use("1")]), user([failed]))

    assert carry("anthropic", "openai-chat", doc)["messages"][-1]["content"] == marked
    assert carry("anthropic", "openai-responses", doc)["input"][-1]["output"] == marked
    part = carry("anthropic", "gemini", doc)["contents"][2]["parts"][0]
    assert part["functionResponse"]["response"] == {"error": told}


@pytest.mark.parametrize(
    ("arguments", "meant"),
    [
        ("", {}),
        ('{"a":1}', {"a": 1}),
        ('{"a":1}</tool_call>', {"a": 1}),
        ("half {", {"_raw": "half {"}),
    ],
)
@pytest.mark.parametrize("client", ["openai-chat", "openai-responses"])
def test_arguments_are_an_object_for_anthropic_and_gemini(client, arguments, meant):  # case 66
    doc = {
        "openai-chat": chat(
            user(), assistant(tool_calls=[chat_call("1", arguments=arguments)]), chat_result("1")
        ),
        "openai-responses": responses(
            user(), call_item("1", arguments=arguments), output_item("1")
        ),
    }[client]

    block = carry(client, "anthropic", doc)["messages"][1]["content"][0]
    part = carry(client, "gemini", doc)["contents"][1]["parts"][0]

    assert block["input"] == meant
    assert part["functionCall"]["args"] == meant
