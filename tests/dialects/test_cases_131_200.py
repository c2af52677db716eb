"""What becomes of an answer, and of the odd ends of a request, between every two dialects."""

import pytest
from hypothesis import given

from proxypal_core.dialects import DIALECTS, carry
from proxypal_core.hub.failure import Failure, Kind
from proxypal_core.hub.fold import fold, unfold
from proxypal_core.hub.messages import (
    Citation,
    FinishReason,
    Opaque,
    Request,
    Response,
    Text,
    Thinking,
    ToolCall,
    Turn,
)
from proxypal_core.wire import jsonio, sse
from tests.dialects.test_laws import frames, read, stream_of, told
from tests.dialects.test_pipe import every, pairs, reply, run, translation
from tests.strategies import requests

HI = Turn("user", (Text("Hi."),))


def frame_of(doc, name=""):
    return sse.frame(jsonio.dumps(doc), name)


def whole(dialect, response):
    """*response* as a client of *dialect* reads it when it comes in one piece."""
    answer = dialect.encode_response(response, told(dialect, response))
    return dialect.decode_response(jsonio.load_object(answer))


def streamed(dialect, response):
    return fold(read(dialect, [stream_of(dialect, unfold(response), told(dialect, response))]))


def docs(raw):
    return [jsonio.loads(f.data) for f in frames([raw]) if f.data != b"[DONE]"]


# ── framing ──────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("done", [b"data: [DONE]", b"data:[DONE]", b"data:  [DONE] "])
def test_the_last_mark_is_known_however_it_is_spaced(done):  # case 138
    chunk = {"choices": [{"index": 0, "delta": {"content": "x"}, "finish_reason": "stop"}]}
    pipe = translation("anthropic", "openai-chat")

    out = run(pipe, [frame_of(chunk) + done + b"\n\n"])

    assert pipe.seen.finished
    assert b"message_stop" in out


@pairs
def test_nothing_after_the_end_is_told(client, provider):  # case 155
    response = Response("r", "m", (Text("all of it"),))
    raw = stream_of(DIALECTS[provider], unfold(response), reply(provider))
    pipe = translation(client, provider)

    out = run(pipe, [raw, raw if provider != "gemini" else b"data: [DONE]\n\n"])

    answer = fold(read(DIALECTS[client], [out]))
    assert answer.parts == response.parts


@pytest.mark.parametrize("first", ["stop", "tool_calls"])
def test_of_two_reasons_the_calls_count(first):  # case 154
    call = {"index": 0, "id": "c", "function": {"name": "f", "arguments": "{}"}}
    second = "tool_calls" if first == "stop" else "stop"
    raw = b"".join(
        frame_of({"choices": [{"index": 0, "delta": delta, "finish_reason": reason}]})
        for delta, reason in [({"tool_calls": [call]}, first), ({}, second)]
    )

    answer = fold(read(DIALECTS["openai-chat"], [raw + b"data: [DONE]\n\n"]))

    assert answer.finish is FinishReason.TOOL_CALLS


@pytest.mark.parametrize("client", ["anthropic", "gemini"])
@pytest.mark.parametrize(
    ("provider", "event"),
    [
        ("openai-chat", {"choices": [{"index": 0, "delta": {"content": "x"}}]}),
        (
            "openai-responses",
            {"type": "response.output_text.delta", "output_index": 0, "delta": "x"},
        ),
    ],
)
def test_padding_is_left_out(client, provider, event):  # case 163
    pipe = translation(client, provider)

    out = pipe.feed(frame_of({**event, "obfuscation": "XYZZY"}))

    assert pipe.seen.begun
    assert b"XYZZY" not in out


@pairs
def test_text_may_follow_a_call(client, provider):  # case 149
    parts = (Text("Before."), ToolCall("call_1", "f", "{}"), Text("After."))
    response = Response("r", "m", parts, FinishReason.TOOL_CALLS)
    raw = stream_of(DIALECTS[provider], unfold(response), reply(provider))

    out = run(translation(client, provider), [raw])

    answer = fold(read(DIALECTS[client], [out]))
    said = "".join(part.text for part in answer.parts if isinstance(part, Text))
    assert "".join(said.split()) == "Before.After."
    assert [p.name for p in answer.parts if isinstance(p, ToolCall)] == ["f"]


@pytest.mark.parametrize("provider", ["anthropic", "gemini", "openai-responses"])
def test_a_chat_client_is_told_the_role_and_one_id(provider):  # cases 150, 151
    response = Response("r", "m", (Thinking("Hm."), Text("a"), ToolCall("call_1", "f", "{}")))
    raw = stream_of(DIALECTS[provider], unfold(response), reply(provider))

    chunks = docs(run(translation("openai-chat", provider), [raw]))

    roles = [c["choices"][0]["delta"].get("role") for c in chunks if c["choices"]]
    assert [role for role in roles if role] == ["assistant"]
    assert roles[0] == "assistant"
    assert len({chunk["id"] for chunk in chunks}) == 1


@pytest.mark.parametrize("provider", ["anthropic", "gemini", "openai-chat"])
def test_a_responses_client_is_told_each_item_under_one_id(provider):  # cases 151, 152
    response = Response(
        "r", "m", (Text("a"), ToolCall("call_1", "f", "{}")), FinishReason.TOOL_CALLS
    )
    raw = stream_of(DIALECTS[provider], unfold(response), reply(provider))

    told_ = docs(run(translation("openai-responses", provider), [raw]))

    added = [d["item"]["id"] for d in told_ if d["type"] == "response.output_item.added"]
    done = [d["item"] for d in told_ if d["type"] == "response.output_item.done"]
    assert [d["type"] for d in told_[:2]] == ["response.created", "response.in_progress"]
    assert [d["sequence_number"] for d in told_] == list(range(len(told_)))
    assert [item["id"] for item in done] == added
    assert {d["item_id"] for d in told_ if "item_id" in d} == set(added)
    assert told_[-1]["type"] == "response.completed"
    assert told_[-1]["response"]["output"] == done


# ── citations ────────────────────────────────────────────────────────────────────────────────

TEXT = "Öl fließt: es ist naß. 🌊 Ja."
SPAN = (11, 22)  # "es ist naß."
CITED = Text(TEXT, citations=(Citation(url="https://a", title="A", start=SPAN[0], end=SPAN[1]),))
WHOLE = Text("Schön.", citations=(Citation(url="https://b", title="B"),))


def seen_by(dialect, response):
    """Which words rest on which address, for a client of *dialect*."""
    found = []
    for answer in (whole(dialect, response), streamed(dialect, response)):
        texts = [part for part in answer.parts if isinstance(part, Text)]
        found.append(
            [
                (one.url, one.title, text.text[slice(*one.span(len(text.text)))])
                for text in texts
                for one in text.citations
            ]
        )
    assert found[0] == found[1]
    return found[0]


@every
def test_a_citation_is_of_the_same_words_in_every_dialect(name):  # case 161
    response = Response("r", "m", (CITED,))
    words = TEXT if name == "anthropic" else "es ist naß."  # Anthropic cites whole blocks

    assert seen_by(DIALECTS[name], response) == [("https://a", "A", words)]


@every
def test_citations_of_several_texts_do_not_mix(name):  # case 161
    response = Response("r", "m", (CITED, WHOLE))

    assert [(url, title) for url, title, _ in seen_by(DIALECTS[name], response)] == [
        ("https://a", "A"),
        ("https://b", "B"),
    ]
    assert seen_by(DIALECTS[name], response)[1][2].endswith("Schön.")


SOURCE = {
    "type": "web_search_result_location",
    "url": "https://b",
    "title": "B",
    "cited_text": "quoted",
    "encrypted_index": "Eo8BCioIAhgBIiQy",
}
UPSTREAM = {
    "anthropic": {
        "type": "message",
        "content": [
            {"type": "text", "text": "Eins. "},
            {"type": "text", "text": "Schön.", "citations": [SOURCE]},
        ],
        "stop_reason": "end_turn",
    },
    "openai-chat": {
        "choices": [
            {
                "index": 0,
                "finish_reason": "stop",
                "message": {
                    "content": "Eins. Schön.",
                    "annotations": [
                        {
                            "type": "url_citation",
                            "url_citation": {
                                "url": "https://b",
                                "title": "B",
                                "start_index": 6,
                                "end_index": 12,
                            },
                        }
                    ],
                },
            }
        ]
    },
    "openai-responses": {
        "status": "completed",
        "output": [
            {
                "type": "message",
                "role": "assistant",
                "content": [
                    {
                        "type": "output_text",
                        "text": "Eins. Schön.",
                        "annotations": [
                            {
                                "type": "url_citation",
                                "url": "https://b",
                                "title": "B",
                                "start_index": 6,
                                "end_index": 12,
                            }
                        ],
                    }
                ],
            }
        ],
    },
    "gemini": {
        "candidates": [
            {
                "content": {"parts": [{"text": "Eins. Schön."}]},
                "finishReason": "STOP",
                "groundingMetadata": {
                    "groundingChunks": [{"web": {"uri": "https://b", "title": "B"}}],
                    "groundingSupports": [
                        {
                            "segment": {"startIndex": 6, "endIndex": 13, "text": "Schön."},
                            "groundingChunkIndices": [0],
                        }
                    ],
                },
            }
        ]
    },
}


@pairs
def test_a_providers_citation_reaches_the_client(client, provider):  # case 161
    response = DIALECTS[provider].decode_response(UPSTREAM[provider])
    whole_block = client == "anthropic" and provider != "anthropic"

    [(url, title, words)] = seen_by(DIALECTS[client], response)

    assert (url, title) == ("https://b", "B")
    assert words.endswith("Eins. Schön." if whole_block else "Schön.")
    assert whole_block or "Eins." not in words


def test_geminis_offsets_are_bytes_of_the_whole_text():  # case 161
    text = Text("äöü", citations=(Citation(url="https://a", start=1, end=2),))
    response = Response("r", "m", (Text("ß"), text))
    gemini = DIALECTS["gemini"]

    raw = stream_of(gemini, unfold(response), reply("gemini"))
    streamed_ = docs(raw)[-1]["candidates"][0]["groundingMetadata"]
    doc = jsonio.loads(gemini.encode_response(response, reply("gemini")))
    whole_ = doc["candidates"][0]["groundingMetadata"]

    assert streamed_ == whole_
    assert whole_ == {
        "groundingChunks": [{"web": {"uri": "https://a", "title": "https://a"}}],
        "groundingSupports": [
            {
                "segment": {"startIndex": 4, "endIndex": 6, "text": "ö"},
                "groundingChunkIndices": [0],
            }
        ],
    }


def test_geminis_sources_come_once_though_later_frames_repeat_them():  # case 161
    gemini = DIALECTS["gemini"]
    grounding = {"groundingChunks": [{"web": {"uri": "https://a"}}], "groundingSupports": []}
    raw = b"".join(
        frame_of({"candidates": [{"content": {"parts": [{"text": text}]}, **extra}]})
        for text, extra in [
            ("a", {"groundingMetadata": grounding}),
            ("b", {"groundingMetadata": grounding, "finishReason": "STOP"}),
        ]
    )

    [text] = fold(read(gemini, [raw])).parts

    assert text == Text("ab", citations=(Citation(url="https://a", dialect="gemini"),))


def test_a_citation_told_to_an_anthropic_client_never_goes_to_anthropic():  # case 161
    anthropic = DIALECTS["anthropic"]
    answer = jsonio.loads(
        anthropic.encode_response(Response("r", "m", (WHOLE,)), reply("anthropic"))
    )
    body = jsonio.dumps(
        {
            "model": "m",
            "max_tokens": 9,
            "messages": [
                {"role": "user", "content": "Hi."},
                {"role": "assistant", "content": answer["content"]},
                {"role": "user", "content": "Go on."},
            ],
        }
    )

    request = anthropic.decode_request(jsonio.loads(body), model="m", stream=False)

    assert carry.marks(body)  # so that it is not passed as it is
    assert b"citations" not in anthropic.encode_request(request).body


def test_anthropics_own_citation_goes_back_as_it_came():  # case 161
    anthropic = DIALECTS["anthropic"]
    response = anthropic.decode_response(UPSTREAM["anthropic"])
    request = Request(dialect="anthropic", model="m", turns=(HI, Turn("assistant", response.parts)))

    doc = jsonio.loads(anthropic.encode_request(request).body)

    assert doc["messages"][1]["content"][1]["citations"] == [SOURCE]


# ── why it ended, and who invented what ──────────────────────────────────────────────────────


@pytest.mark.parametrize("client", ["openai-chat", "openai-responses", "gemini"])
def test_a_pause_of_anthropics_is_an_end_for_others_and_keeps_its_words(client):  # case 198
    doc = {"content": [{"type": "text", "text": "So far."}], "stop_reason": "pause_turn"}
    response = DIALECTS["anthropic"].decode_response(doc)

    for answer in (whole(DIALECTS[client], response), streamed(DIALECTS[client], response)):
        assert response.finish is FinishReason.PAUSE
        assert answer.finish is FinishReason.STOP
        assert answer.parts == (Text("So far."),)


@pytest.mark.parametrize("client", ["openai-chat", "openai-responses"])
def test_a_pause_of_geminis_is_an_end_for_others_and_keeps_its_words(client):  # case 199
    candidate = {"content": {"parts": [{"text": "So far."}]}, "finishReason": "CONTINUATION"}
    doc = {"candidates": [{**candidate, "continuationToken": "t"}]}
    response = DIALECTS["gemini"].decode_response(doc)

    for answer in (whole(DIALECTS[client], response), streamed(DIALECTS[client], response)):
        assert response.finish is FinishReason.PAUSE
        assert answer.finish is FinishReason.STOP
        assert answer.parts == (Text("So far."),)


@pairs
def test_a_call_of_a_tool_that_nobody_declared_is_passed_on(client, provider):  # case 195
    call = ToolCall("call_1", "never_declared", '{"a":1}')
    response = Response("r", "m", (call,), FinishReason.TOOL_CALLS)
    raw = stream_of(DIALECTS[provider], unfold(response), reply(provider))

    out = run(translation(client, provider), [raw])

    [told_] = fold(read(DIALECTS[client], [out])).parts
    assert (told_.name, jsonio.loads(told_.arguments)) == ("never_declared", {"a": 1})


# ── failures ─────────────────────────────────────────────────────────────────────────────────

OVERFLOWS = [
    ("anthropic", "prompt is too long: 205000 tokens > 200000 maximum"),
    ("gemini", "The input token count (205000) exceeds the maximum number of tokens allowed (200000)."),
    (
        "openai-chat",
        (
            "This model's maximum context length is 200000 tokens."
            " However, your messages resulted in 205000 tokens."
        ),
    ),
]  # fmt: skip


@pytest.mark.parametrize(("provider", "message"), OVERFLOWS)
def test_claude_code_and_codex_read_the_overflow_of_any_provider(provider, message):  # case 165
    failure = Failure(Kind.CONTEXT, message)
    _, sent = DIALECTS[provider].encode_failure(failure, request_id="r")
    read_ = DIALECTS[provider].decode_failure(400, sent)

    _, claude = DIALECTS["anthropic"].encode_failure(read_, request_id="r")
    status, codex = DIALECTS["openai-responses"].encode_failure(read_, request_id="r")

    assert read_.kind is Kind.CONTEXT
    told_ = jsonio.loads(claude)["error"]["message"]
    assert told_ == "prompt is too long: 205000 tokens > 200000 maximum"
    assert status == 400
    assert jsonio.loads(codex)["error"]["code"] == "context_length_exceeded"


def test_claude_code_reads_too_large_a_limit_word_for_word():  # case 166
    message = "input length and `max_tokens` exceed context limit: 190000 + 32000 > 200000"
    sent = {"type": "error", "error": {"type": "invalid_request_error", "message": message}}
    anthropic = DIALECTS["anthropic"]

    failure = anthropic.decode_failure(400, jsonio.dumps(sent))
    _, told_ = anthropic.encode_failure(failure, request_id="r")

    assert jsonio.loads(told_)["error"]["message"] == message


# ── requests ─────────────────────────────────────────────────────────────────────────────────

OTHERS = ["openai-chat", "anthropic", "gemini"]


@pytest.mark.parametrize("provider", OTHERS)
def test_anothers_compacted_history_is_left_out_with_a_word(provider):  # case 183
    item = {"type": "compaction", "id": "cmp_1", "encrypted_content": "gAAAAABenc"}
    doc = {"input": [item, {"role": "user", "content": "Go on."}]}
    request = DIALECTS["openai-responses"].decode_request(doc, model="m", stream=False)

    encoded = DIALECTS[provider].encode_request(request)

    assert encoded.dropped == ("compaction",)
    assert b"gAAAAABenc" not in encoded.body
    assert b"(continue)" not in encoded.body


@pytest.mark.parametrize("provider", ["openai-chat", "openai-responses", "gemini"])
def test_what_anthropic_alone_edits_runs_and_tests_is_left_out(provider):  # case 184
    doc = {
        "model": "m",
        "max_tokens": 100,
        "messages": [{"role": "user", "content": "Hi."}],
        "context_management": {"edits": [{"type": "clear_thinking_20251015", "keep": "all"}]},
        "container": "cont_1",
        "mcp_servers": [{"type": "url", "url": "https://a", "name": "a"}],
        "betas": ["x-1"],
    }
    request = DIALECTS["anthropic"].decode_request(doc, model="m", stream=False)

    encoded = DIALECTS[provider].encode_request(request)

    assert encoded.dropped == ("container", "mcp_servers")
    for field in ("context_management", "container", "mcp_servers", "betas", "clear_thinking"):
        assert field.encode() not in encoded.body


def nulls(value, path=""):
    if value is None:
        return [path]
    if isinstance(value, dict):
        return [found for key, one in value.items() for found in nulls(one, f"{path}.{key}")]
    if isinstance(value, list):
        return [found for at, one in enumerate(value) for found in nulls(one, f"{path}[{at}]")]
    return []


@every
@given(request=requests())
def test_what_is_absent_is_not_null(name, request):  # case 196
    arguments = (".input", ".args")  # the model's own, which may hold nulls
    doc = jsonio.loads(DIALECTS[name].encode_request(request).body)

    found = [path for path in nulls(doc) if not any(word in path for word in arguments)]

    assert [path for path in found if name != "openai-chat" or not path.endswith(".content")] == []


@every
def test_a_conversation_that_begins_with_a_result_keeps_its_words(name):  # case 200
    response = {"functionResponse": {"name": "read", "response": {"output": "SUNNY-17"}}}
    doc = {
        "contents": [
            {"role": "user", "parts": [response]},
            {"role": "model", "parts": [{"text": "Good."}]},
            {"role": "user", "parts": [{"text": "Go on."}]},
        ]
    }
    request = DIALECTS["gemini"].decode_request(doc, model="m", stream=False)

    body = DIALECTS[name].encode_request(request).body

    assert body.index(b"SUNNY-17") < body.index(b"Good.") < body.index(b"Go on.")
    for word in (b"functionResponse", b"tool_result", b"function_call_output", b'"tool"'):
        assert word not in body


@pytest.mark.parametrize("provider", ["openai-chat", "gemini"])
def test_a_part_of_another_dialect_is_named_when_it_is_left_out(provider):  # case 194
    turn = Turn("assistant", (Opaque("anthropic", {"type": "server_tool_use"}), Text("Yes.")))
    request = Request(dialect="anthropic", model="m", turns=(HI, turn, HI))

    encoded = DIALECTS[provider].encode_request(request)

    assert encoded.dropped == ("server_tool_use",)
    assert b"Yes." in encoded.body
