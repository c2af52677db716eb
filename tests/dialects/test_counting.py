"""Tokens are counted of what the prompt is made of, in each dialect's own words."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxypal_core.dialects import DIALECTS
from proxypal_core.hub.messages import Request, Text, Turn
from proxypal_core.wire import jsonio

QUESTION = Request(
    dialect="x",
    model="m-1",
    system=(Text("Be brief."),),
    turns=(Turn("user", (Text("Hello?"),)),),
    max_output_tokens=10,
    stop=("end",),
    stream=True,
)
PROMPT = {
    "anthropic": {"model", "system", "messages"},
    "openai-responses": {"model", "instructions", "input"},
}


@given(st.integers(min_value=0, max_value=10**9))
@pytest.mark.parametrize("dialect", DIALECTS.values(), ids=DIALECTS)
def test_a_count_that_is_told_is_read_again(dialect, tokens):
    assert dialect.decode_count(jsonio.loads(dialect.count_reply(tokens))) == tokens


@pytest.mark.parametrize("dialect", DIALECTS.values(), ids=DIALECTS)
def test_an_answer_without_a_count_is_malformed(dialect):
    with pytest.raises(jsonio.Malformed, match="is required"):
        dialect.decode_count({})


@pytest.mark.parametrize("name", PROMPT)
def test_only_the_prompt_is_sent_to_be_counted(name):
    assert set(jsonio.loads(DIALECTS[name].encode_count(QUESTION))) == PROMPT[name]


def test_gemini_counts_the_whole_request_with_its_instructions():
    sent = jsonio.loads(DIALECTS["gemini"].encode_count(QUESTION))["generateContentRequest"]

    assert sent["model"] == "models/m-1"
    assert {"contents", "systemInstruction"} <= set(sent)


def test_chat_has_no_way_to_count():
    assert DIALECTS["openai-chat"].encode_count(QUESTION) is None
