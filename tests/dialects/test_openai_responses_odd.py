"""Responses as servers and clients seldom send them."""

import pytest

from proxypal_core.dialects import openai_responses as dialect
from proxypal_core.dialects.base import Reply
from proxypal_core.hub.events import PartBlob, PartCitation, PartDelta, PartEnd, PartStart
from proxypal_core.hub.failure import Failure, Kind, Refused
from proxypal_core.hub.fold import fold
from proxypal_core.hub.messages import (
    Audio,
    Base64,
    Blob,
    Citation,
    File,
    FileId,
    FinishReason,
    Image,
    Opaque,
    Output,
    Refusal,
    Request,
    Response,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
    Turn,
    Url,
)
from proxypal_core.wire import jsonio, sse
from tests.strategies import PNG

SOURCE = Citation(url="https://example.com", title="Example")


def decoded(*items, **fields):
    doc = {"model": "m", "input": list(items) or "hi", **fields}
    return dialect.decode_request(doc, model="m", stream=False)


def user(*parts):
    return Turn("user", parts)


def assistant(*parts):
    return Turn("assistant", parts)


def encoded(*turns, client="anthropic", **fields):
    turns = turns or (user(Text("hi")),)
    return dialect.encode_request(Request(dialect=client, model="gpt-4.1", turns=turns, **fields))


def body_of(*turns, **fields):
    return jsonio.loads(encoded(*turns, **fields).body)


def content_of(*parts):
    """The content of the message that says *parts*."""
    return body_of(user(*parts))["input"][0]["content"]


def read(*documents):
    decoder = dialect.decoder()
    frames = [sse.Frame(jsonio.dumps(document)) for document in documents]
    return [*(event for frame in frames for event in decoder.read(frame)), *decoder.end()]


def completed(*output, **fields):
    response = {"id": "resp_1", "model": "up", "status": "completed", "output": output, **fields}
    return {"type": "response.completed", "response": response}


def reply():
    return Reply(Request(dialect=dialect.NAME, model="m", stream=True), "fallback", 0)


def streamed(*events):
    encoder = dialect.encoder(reply())
    raw = b"".join(map(encoder.write, events))
    return [jsonio.loads(sse.parse(one).data) for one in sse.Splitter().feed(raw)]


def answered(*parts):
    answer = Response("resp_1", "m", parts, FinishReason.STOP)
    return jsonio.loads(dialect.encode_response(answer, reply()))["output"]


# ── requests, read ───────────────────────────────────────────────────────────────────────────


def test_content_may_be_a_list_of_plain_texts():
    assert decoded({"role": "user", "content": ["a", "b"]}).turns == (user(Text("a"), Text("b")),)


def test_a_picture_may_be_nested_as_in_chat_completions():
    picture = {"type": "input_image", "image_url": {"url": "https://example.com/a.png"}}

    (turn,) = decoded({"role": "user", "content": [picture]}).turns

    assert turn.parts == (Image(Url("https://example.com/a.png")),)


@pytest.mark.parametrize(
    ("part", "wanted"),
    [
        ({"type": "input_image"}, "needs image_url or file_id"),
        ({"type": "input_file", "filename": "a.pdf"}, "needs file_data, file_url or file_id"),
    ],
)
def test_media_that_are_nowhere_are_refused_with_what_is_needed(part, wanted):
    with pytest.raises(Refused, match=wanted):
        decoded({"role": "user", "content": [part]})


def test_a_tool_may_be_chosen_as_in_chat_completions():
    choice = {"type": "function", "function": {"name": "f"}}

    assert decoded(tool_choice=choice).tool_choice == ToolChoice("required", ("f",))


def test_an_output_that_is_an_object_is_its_json():
    item = {"type": "function_call_output", "call_id": "c", "output": {"a": 1}}

    (turn,) = decoded(item).turns

    assert turn.parts == (ToolResult("c", (Text('{"a":1}'),)),)


def test_a_message_without_content_is_no_turn():
    assert decoded({"role": "user", "content": []}, {"role": "user", "content": "x"}).turns == (
        user(Text("x")),
    )


# ── requests, written ────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("part", "sent"),
    [
        (Image(FileId("file_1", dialect.NAME)), {"type": "input_image", "file_id": "file_1"}),
        (File(Base64("image/png", PNG)), {"type": "input_image"}),
        (File(Base64("audio/wav", "UklGRg==")), {"type": "input_audio"}),
        (Audio("audio/wav", "UklGRg=="), {"type": "input_audio"}),
        (
            File(Url("https://example.com/a.pdf")),
            {"type": "input_file", "file_url": "https://example.com/a.pdf"},
        ),
    ],
)
def test_media_are_sent_as_what_they_are(part, sent):
    (written,) = content_of(part)

    assert sent.items() <= written.items()


def test_a_picture_of_the_models_own_is_named_as_dropped():
    found = encoded(user(Text("go")), assistant(Image(Base64("image/png", PNG)), Text("So.")))

    assert found.dropped == ("image",)


def test_calls_keep_their_namespace_and_their_freedom():
    calls = (
        ToolCall("c1", "stop", "{}", namespace="team"),
        ToolCall("c2", "patch", "*** Begin", freeform=True),
    )
    tools = (Tool("stop", namespace="team"), Tool("patch", freeform=True, grammar={"type": "text"}))

    body = body_of(
        user(Text("go")),
        assistant(*calls),
        user(ToolResult("c1"), ToolResult("c2", (Text("done"),))),
        tools=tools,
    )

    items = body["input"]
    assert items[1]["namespace"] == "team"
    assert (items[2]["type"], items[2]["input"]) == ("custom_tool_call", "*** Begin")
    assert items[4]["type"] == "custom_tool_call_output"
    assert body["tools"][1]["format"] == {"type": "text"}


def test_a_result_of_pictures_that_is_an_error_says_so_first():
    failed = ToolResult("c", (Image(Base64("image/png", PNG)),), is_error=True)

    body = body_of(user(Text("go")), assistant(ToolCall("c", "f")), user(failed))

    assert body["input"][-1]["output"][0] == {"type": "input_text", "text": "Error:"}


def test_a_hosted_tool_is_chosen_by_its_kind():
    search = Tool("web_search", native={"type": "web_search"}, dialect=dialect.NAME)

    body = body_of(tools=(search,), tool_choice=ToolChoice("required", ("web_search",)))

    assert body["tool_choice"] == {"type": "web_search"}


def test_a_wanted_form_keeps_its_description():
    form = Output("json_schema", name="a", description="What to say.", schema={"type": "object"})

    assert body_of(output=form)["text"]["format"]["description"] == "What to say."


# ── answers, read ────────────────────────────────────────────────────────────────────────────


def test_a_picture_that_was_made_is_one_and_an_unfinished_one_stays_the_servers():
    made = {"type": "image_generation_call", "result": PNG, "output_format": "webp"}
    plain = {"type": "image_generation_call", "result": PNG}
    unfinished = {"type": "image_generation_call", "result": None}

    assert fold(read(completed(made, plain, unfinished))).parts == (
        Image(Base64("image/webp", PNG)),
        Image(Base64("image/png", PNG)),
        Opaque(dialect.NAME, unfinished),
    )


def test_content_of_next_year_is_passed_over():
    content = [{"type": "of-next-year", "text": "?"}, {"type": "output_text", "text": "Yes."}]

    assert fold(read(completed({"type": "message", "content": content}))).parts == (Text("Yes."),)


def test_content_of_next_year_in_a_stream_is_passed_over():
    added = {"type": "response.content_part.added", "part": {"type": "of-next-year"}}

    assert fold(read(added, completed())).parts == ()


def test_what_is_cited_only_at_the_end_is_cited_all_the_same():
    annotation = {"type": "url_citation", "url": SOURCE.url, "title": SOURCE.title}
    content = [{"type": "output_text", "text": "Yes.", "annotations": [annotation]}]
    delta = {"type": "response.output_text.delta", "delta": "Yes."}

    (part,) = fold(read(delta, completed({"type": "message", "content": content}))).parts

    assert [one.url for one in part.citations] == [SOURCE.url]


@pytest.mark.parametrize(
    ("details", "finish", "raw"),
    [
        ({"reason": "content_filter"}, FinishReason.CONTENT_FILTER, ""),
        ({"reason": "max_output_tokens"}, FinishReason.LENGTH, ""),
        ({"reason": "of-next-year"}, FinishReason.OTHER, "of-next-year"),
        ({"reason": 5}, FinishReason.LENGTH, ""),
        (None, FinishReason.LENGTH, ""),
    ],
)
def test_why_an_answer_is_incomplete(details, finish, raw):
    last = completed(status="incomplete", incomplete_details=details)

    answer = fold(read({**last, "type": "response.incomplete"}))

    assert (answer.finish, answer.finish_raw) == (finish, raw)


def test_a_type_that_is_no_text_is_the_name_of_the_event():
    data = b'{"part": {"type": "output_text"}, "type": 5, "delta": "x"}'
    frame = sse.Frame(data, "response.output_text.delta")

    assert dialect.notice(frame).begun


# ── answers, written ─────────────────────────────────────────────────────────────────────────


def test_what_these_clients_cannot_read_is_passed_over_with_all_that_belongs_to_it():
    foreign = Opaque("gemini", {"x": 1})
    told = streamed(
        PartStart(0, foreign),
        PartDelta(0, "?"),
        PartBlob(0, Blob("gemini", "x", "y")),
        PartCitation(0, SOURCE),
        PartEnd(0),
    )

    assert [one["type"] for one in told] == ["response.created", "response.in_progress"]
    assert answered(foreign, Text("Yes."))[0]["type"] == "message"


def test_a_servers_own_item_is_written_as_it_is():
    item = {"type": "web_search_call", "id": "ws_1", "status": "completed"}

    done = [one for one in streamed(PartStart(0, Opaque(dialect.NAME, item)), PartEnd(0),
                                    PartStart(1, Text(""))) if "done" in one["type"]]  # fmt: skip

    assert [one["item"] for one in done] == [item]
    assert answered(Opaque(dialect.NAME, item)) == [item]


def test_a_refusal_has_neither_sources_nor_secrets():
    events = (PartStart(0, Refusal("")), PartDelta(0, "No."), PartCitation(0, SOURCE))

    done = streamed(*events, PartBlob(0, Blob("openai", "x", "y")), PartEnd(0),
                    PartStart(1, Thinking("")))  # fmt: skip

    (item,) = [one["item"] for one in done if one["type"] == "response.output_item.done"]
    assert item["content"] == [{"type": "refusal", "refusal": "No."}]


@pytest.mark.parametrize(
    ("citation", "told"),
    [
        (
            Citation(dialect=dialect.NAME, raw={"type": "file_citation", "file_id": "f"}),
            [{"type": "file_citation", "file_id": "f"}],
        ),
        (Citation(dialect=dialect.NAME, raw={"type": "of-next-year"}), []),
        (Citation(title="A book", dialect="anthropic", raw={"type": "char_location"}), []),
    ],
)
def test_a_source_without_an_address_is_told_in_this_dialects_own_words_or_not(citation, told):
    (item,) = answered(Text("Yes.", citations=(citation,)))

    assert item["content"][0]["annotations"] == told


def test_details_of_a_failure_are_kept_for_the_clients_that_read_them():
    details = [{"quota": "day"}]
    failures = [Failure(kind, "no", details=details) for kind in Kind]

    told = {f.kind: jsonio.loads(dialect.encode_failure(f, request_id="r")[1]) for f in failures}

    assert [kind for kind, doc in told.items() if doc["error"].get("details") == details] != []
    assert "details" not in told[Kind.AUTH]["error"]
