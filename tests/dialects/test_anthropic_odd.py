"""Requests of Messages as clients seldom send them, and what they become."""

import pytest

from proxypal_core.dialects import anthropic
from proxypal_core.dialects.anthropic import content_encode
from proxypal_core.hub.failure import Refused
from proxypal_core.hub.messages import (
    Base64,
    Citation,
    File,
    Image,
    Opaque,
    PlainText,
    Reasoning,
    Refusal,
    Request,
    Text,
    Tool,
    Turn,
    Url,
)
from proxypal_core.wire import jsonio
from tests.strategies import PNG

OLD, NEWER = "claude-sonnet-4-5", "claude-opus-4-6"
USER = {"role": "user", "content": "hi"}


def decoded(model=OLD, **fields):
    doc = {"model": model, "max_tokens": 100, "messages": [USER], **fields}
    return anthropic.decode_request(doc, model=model, stream=False)


def said(*content, role="user"):
    """The parts of one message."""
    return decoded(messages=[{"role": role, "content": list(content)}]).turns[0].parts


def body_of(*turns, model=OLD, **fields):
    request = Request(dialect="openai-chat", model=model, turns=turns, **fields)
    return jsonio.loads(anthropic.encode_request(request).body)


def user(*parts):
    return Turn("user", parts)


def assistant(*parts):
    return Turn("assistant", parts)


# ── requests, read ───────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"system": [{"type": "image"}]}, "system[0]: system blocks of type 'image'"),
        ({"tool_choice": {"type": "some"}}, "must be auto, any, tool or none, not 'some'"),
    ],
)
def test_a_word_that_the_api_does_not_have_is_refused_with_those_it_has(fields, says):
    with pytest.raises(Refused) as refused:
        decoded(**fields)

    assert says in refused.value.failure.message


def test_an_odd_way_of_thinking_goes_back_to_its_own_vendor_as_it_came():
    request = decoded(NEWER, thinking={"type": "of-next-year", "depth": 3})

    assert jsonio.loads(anthropic.encode_request(request).body)["thinking"] == {
        "type": "of-next-year",
        "depth": 3,
    }


@pytest.mark.parametrize(
    ("user_id", "session"),
    [('{"session_id": "s-1"}', "s-1"), ("{broken", ""), ("user_1_session_2", "")],
)
def test_the_session_is_read_from_what_claude_code_calls_its_user(user_id, session):
    assert decoded(metadata={"user_id": user_id}).cache_key == session


def test_a_document_of_blocks_is_its_text_or_its_parts():
    picture = {
        "type": "image",
        "source": {"type": "base64", "media_type": "image/png", "data": PNG},
    }
    words = {"type": "text", "text": "Words."}

    def document(*content):
        source = {"type": "content", "content": list(content)}
        return said({"type": "document", "title": "A page", "source": source})

    assert document(words) == (File(PlainText("Words."), name="A page"),)
    assert document(words, picture) == (
        Text("A page"),
        Text("Words."),
        Image(Base64("image/png", PNG)),
    )


def test_a_search_result_of_the_clients_own_is_a_document():
    found = {
        "type": "search_result",
        "source": "https://example.com",
        "title": "Found",
        "content": [{"type": "text", "text": "Words."}],
    }

    assert said(found) == (File(PlainText("https://example.com\n\nWords."), name="Found"),)


def test_a_citation_that_is_no_object_is_kept_for_its_own_vendor():
    (part,) = said({"type": "text", "text": "x", "citations": ["odd"]}, role="assistant")

    assert part.citations == (Citation(dialect="anthropic", raw="odd"),)


# ── requests, written ────────────────────────────────────────────────────────────────────────


def sent(*parts):
    return body_of(user(*parts))["messages"][0]["content"]


def test_a_file_that_is_a_picture_is_sent_as_one():
    assert sent(File(Base64("image/png", PNG), name="a.png"))[0]["type"] == "image"


def test_an_address_is_left_to_the_api_to_fetch():
    assert sent(File(Url("https://example.com/a.pdf")))[0]["source"] == {
        "type": "url",
        "url": "https://example.com/a.pdf",
    }


def test_a_picture_in_words_is_refused():
    with pytest.raises(Refused, match="send its bytes or address"):
        sent(Image(PlainText("a cat")))


def test_a_refusal_is_written_as_text():
    assert content_encode.block(Refusal("No."), {}) == {"type": "text", "text": "No."}


def test_what_only_an_answer_can_have_is_taken_out_of_the_users_words():
    cited = Text("It is so.", citations=(Citation(url="https://example.com"),))

    assert sent(cited, File(PlainText(" "))) == [{"type": "text", "text": "It is so."}]


def test_a_picture_of_the_models_own_is_told_in_words():
    messages = body_of(
        user(Text("draw")), assistant(Image(Base64("image/png", PNG))), user(Text("more"))
    )["messages"]

    assert messages[1]["content"] == [{"type": "text", "text": "[image not shown]"}]


def test_a_last_turn_that_ends_in_a_servers_own_step_stays_as_it_is():
    step = {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {}}

    messages = body_of(user(Text("go")), assistant(Opaque("anthropic", step)))["messages"]

    assert messages[-1] == {"role": "assistant", "content": [step]}


@pytest.mark.parametrize(("model", "word"), [(NEWER, "high"), ("claude-opus-4-7", "xhigh")])
def test_the_extra_high_effort_is_asked_of_models_that_have_it(model, word):
    body = body_of(user(Text("hi")), model=model, reasoning=Reasoning("effort", effort="xhigh"))

    assert body["output_config"]["effort"] == word


@pytest.mark.parametrize(
    ("reasoning", "room"),
    [
        (Reasoning("effort", effort="of-next-year"), 8000),
        (Reasoning("budget", budget=1024), 0),
    ],
)
def test_a_thought_that_has_no_budget_or_no_room_is_not_asked_for(reasoning, room):
    request = Request(
        dialect="openai-chat",
        model=OLD,
        turns=(user(Text("hi")),),
        reasoning=reasoning,
        max_output_tokens=room,
    )

    encoded = anthropic.encode_request(request)

    assert jsonio.loads(encoded.body)["thinking"] == {"type": "disabled"}
    assert encoded.dropped == ("reasoning",)


def test_edits_that_only_clear_thoughts_are_left_out_with_the_thoughts():
    management = {"edits": [{"type": "clear_thinking_20251015"}]}
    request = decoded(thinking={"type": "disabled"}, context_management=management)

    body = jsonio.loads(anthropic.encode_request(request).body)

    assert "context_management" not in body


@pytest.mark.parametrize(
    ("schema", "sent"),
    [
        (
            {"anyOf": [True, {"properties": {"a": {}}}]},
            {"type": "object", "properties": {"a": {}}},
        ),
        (
            {"allOf": [{"properties": {"a": {}}}]},
            {"type": "object", "properties": {"a": {}}},
        ),
    ],
)
def test_a_union_of_which_nothing_is_required_requires_nothing(schema, sent):
    body = body_of(user(Text("hi")), tools=(Tool("f", schema=schema),))

    assert body["tools"][0]["input_schema"] == sent


def test_a_wanted_form_is_closed_all_the_way_down():
    schema = {
        "type": "object",
        "properties": {
            "any": True,
            "one": {"oneOf": [{"type": "object", "properties": {"a": {}}}, {"type": "null"}]},
        },
    }
    request = decoded(output_config={"format": {"type": "json_schema", "schema": schema}})
    other = Request(dialect="openai-chat", model=OLD, turns=request.turns, output=request.output)

    form = jsonio.loads(anthropic.encode_request(other).body)["output_config"]["format"]["schema"]

    assert form["additionalProperties"] is False
    assert form["properties"]["any"] is True
    assert form["properties"]["one"]["anyOf"] == [
        {"type": "object", "properties": {"a": {}}, "additionalProperties": False},
        {"type": "null"},
    ]
