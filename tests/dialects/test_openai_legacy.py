"""The old Completions API is chat in another dress."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai.types import Completion

from proxypal_core.dialects import openai_legacy as legacy
from proxypal_core.hub.failure import Kind, Refused
from proxypal_core.wire import jsonio, sse
from tests.strategies import words

CHAT = {
    "id": "chatcmpl-7",
    "object": "chat.completion",
    "created": 1795000000,
    "model": "m",
    "choices": [
        {"index": 0, "message": {"role": "assistant", "content": "Hi"}, "finish_reason": "stop"}
    ],
    "usage": {"prompt_tokens": 3, "completion_tokens": 1, "total_tokens": 4},
}


def chunk(delta, *, finish=None, **more):
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    doc = {"id": "chatcmpl-7", "object": "chat.completion.chunk", "created": 1, "model": "m"}
    return sse.frame(jsonio.dumps({**doc, "choices": [choice], **more}))


@given(words, st.booleans(), st.fixed_dictionaries({"max_tokens": st.integers(1, 99)}))
def test_a_prompt_becomes_a_user_message_and_the_rest_stays(prompt, in_list, rest):
    chat = legacy.to_chat({"prompt": [prompt] if in_list else prompt, **rest, "stop": ["x"]})

    assert chat == {**rest, "stop": ["x"], "messages": [{"role": "user", "content": prompt}]}


@given(st.lists(words, min_size=1, max_size=6))
def test_the_texts_of_a_stream_add_up(texts):
    raws = [legacy.from_chat_event(chunk({"content": text})) for text in texts]

    told = [jsonio.loads(sse.parse(raw).data) for raw in raws]
    assert "".join(doc["choices"][0]["text"] for doc in told) == "".join(texts)
    assert {doc["object"] for doc in told} == {"text_completion"}


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"prompt": [1, 2, 3]}, "prompt"),
        ({"prompt": [[1, 2]]}, "prompt"),
        ({"prompt": ["a", "b"]}, "prompt"),
        ({"prompt": ""}, "prompt"),
        ({}, "prompt"),
        ({"prompt": "a", "suffix": "b"}, "suffix"),
        ({"prompt": "a", "echo": True}, "echo"),
        ({"prompt": "a", "best_of": 2}, "best_of"),
        ({"prompt": "a", "logprobs": 3}, "logprobs"),
    ],
)
def test_what_a_chat_model_cannot_do_is_refused_by_name(fields, param):
    with pytest.raises(Refused) as refused:
        legacy.to_chat({"model": "m", **fields})

    assert refused.value.failure.kind is Kind.INVALID
    assert refused.value.failure.param == param
    assert refused.value.failure.message.startswith(f"{param}:")


def test_harmless_values_of_those_fields_are_taken():
    chat = legacy.to_chat({"prompt": "a", "suffix": None, "echo": False, "best_of": 1, "n": 2})

    assert chat == {"n": 2, "messages": [{"role": "user", "content": "a"}]}


def test_a_whole_answer_is_what_the_sdk_reads():
    completion = Completion.model_validate(jsonio.loads(legacy.from_chat(jsonio.dumps(CHAT))))

    assert completion.id == "cmpl-7"
    assert completion.choices[0].text == "Hi"
    assert completion.choices[0].finish_reason == "stop"
    assert completion.usage.total_tokens == 4


def test_a_finish_reason_of_tools_becomes_stop():
    told = legacy.from_chat_event(chunk({}, finish="tool_calls"))

    assert jsonio.loads(sse.parse(told).data)["choices"][0]["finish_reason"] == "stop"


def test_the_usage_chunk_keeps_its_counts():
    raw = sse.frame(jsonio.dumps({**CHAT, "choices": []}))

    told = jsonio.loads(sse.parse(legacy.from_chat_event(raw)).data)

    assert (told["choices"], told["usage"]) == ([], CHAT["usage"])


@pytest.mark.parametrize(
    "raw",
    [
        b"data: [DONE]\n\n",
        b": keep-alive\n\n",
        b'data: {"error":{"message":"m"}}\n\n',
        b"data: {broken\n\n",
    ],
)
def test_what_is_no_chunk_goes_through(raw):
    assert legacy.from_chat_event(raw) == raw


def test_a_chunk_that_only_names_the_role_is_left_out():
    assert legacy.from_chat_event(chunk({"role": "assistant", "content": ""})) == b""


@pytest.mark.parametrize("body", [b'{"error":{"message":"m"}}', b"<html>", b"[]"])
def test_an_error_body_goes_through(body):
    assert legacy.from_chat(body) == body


def test_choices_that_are_none_are_passed_on_or_told_empty():
    odd = jsonio.dumps({"choices": 5})
    hollow = jsonio.dumps({"choices": [{"message": "m", "finish_reason": []}]})

    assert legacy.from_chat(odd) == odd
    told = jsonio.load_object(legacy.from_chat(hollow))["choices"][0]
    assert (told["text"], told["finish_reason"]) == ("", "stop")
