"""What a command line is told: instructions, text and images, and what of a request is left out."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxypal_core.dialects import SPOKEN, command, openai_chat
from proxypal_core.dialects.command.prompt import (
    as_message,
    conversation,
    image_bytes,
    known_part,
    prompt,
)
from proxypal_core.hub.failure import Kind, Refused
from proxypal_core.hub.messages import (
    Audio,
    Base64,
    File,
    Image,
    Opaque,
    Output,
    PlainText,
    Reasoning,
    Request,
    Sampling,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolResult,
    Turn,
    Url,
)
from proxypal_core.wire import jsonio
from tests.strategies import requests

PIXEL = Base64("image/png", "iVBORw0KGgo=")


def request(*turns, **fields):
    return Request(dialect="anthropic", model="m", turns=turns, **fields)


def user(*parts):
    return Turn("user", tuple(Text(part) if isinstance(part, str) else part for part in parts))


def assistant(text):
    return Turn("assistant", (Text(text),))


def told(asked):
    """What arrives at the transport of *asked*."""
    body = jsonio.load_object(command.encode_request(asked).body)
    return command.decode_request(body, model=body["model"], stream=False)


def dropped(asked):
    return command.encode_request(asked).dropped


# ── requests ─────────────────────────────────────────────────────────────────────────────────


@given(asked=requests())
def test_any_request_is_told_or_refused_and_what_arrives_is_text_and_images(asked):
    try:
        arrived = told(asked)
    except Refused as refused:
        arrived, kind = None, refused.failure.kind
    kinds = {type(part) for turn in (arrived.turns if arrived else ()) for part in turn.parts}

    assert kinds <= {Text, Image}
    assert arrived is not None or kind is Kind.INVALID


def test_instructions_turns_and_the_clients_key_arrive():
    asked = request(
        user("Hi"), assistant("Yes?"), user("Go"), system=(Text("Be kind."),), cache_key="k"
    )

    arrived = told(asked)

    assert arrived.system == asked.system
    assert arrived.turns == asked.turns
    assert arrived.cache_key == "k"


def test_tools_and_limits_are_dropped_and_named():
    asked = request(
        user("Hi"),
        tools=(Tool("read"),),
        max_output_tokens=9,
        sampling=Sampling(temperature=0.5),
        reasoning=Reasoning("effort", "high"),
    )

    assert dropped(asked) == ("tools", "max_tokens", "reasoning", "temperature")
    assert b"read" not in command.encode_request(asked).body


def test_nothing_is_dropped_of_a_request_that_asks_for_nothing_more():
    assert dropped(request(user("Hi"))) == ()


def test_stop_sequences_are_left_to_the_answers_way_back():
    assert command.encode_request(request(user("Hi"), stop=("END",))).stops == ("END",)


def test_calls_and_results_of_a_history_are_told_in_words():
    asked = request(
        user("Read it"),
        Turn("assistant", (Thinking("hm"), ToolCall("c1", "read", '{"path":"a"}'))),
        Turn("user", (ToolResult("c1", (Text("contents"), Image(PIXEL)), name="read"),)),
    )

    turns = told(asked).turns

    assert turns[1].parts == (Text('[called the tool read with {"path":"a"}]'),)
    assert turns[2].parts == (Text("[the tool read answered]"), Text("contents"), Image(PIXEL))


def test_a_wanted_form_is_asked_for_in_words():
    output = Output("json_schema", schema={"type": "object"})

    (wish,) = told(request(user("Hi"), output=output)).system

    assert '{"type":"object"}' in wish.text


def test_a_text_file_is_told_as_text():
    arrived = told(request(user(File(PlainText("lines"), name="a.txt"))))

    assert arrived.turns[0].parts == (Text("a.txt\nlines"),)


def test_a_picture_or_a_text_in_a_file_is_told_as_one():
    text = Base64("text/plain", "aGk=")

    (turn,) = told(request(user(File(PIXEL), File(text, name="a.txt")))).turns

    assert turn.parts == (Image(PIXEL), Text("a.txt\nhi"))


def test_what_only_a_vendor_understands_is_dropped_and_named():
    asked = request(user("Hi", Opaque("anthropic", {"type": "server_tool_use"})))

    assert dropped(asked) == ("server_tool_use",)


def test_a_picture_is_written_as_its_bytes():
    assert image_bytes(PIXEL).startswith(b"\x89PNG")


@pytest.mark.parametrize(
    "part",
    [
        Image(Url("https://a/b.png")),
        File(Base64("application/pdf", "JVBERi0=")),
        Audio("audio/wav", "UklGRg=="),
    ],
)
def test_what_no_command_line_takes_is_refused(part):
    with pytest.raises(Refused) as refused:
        command.encode_request(request(user(part)))

    assert refused.value.failure.kind is Kind.INVALID


def test_files_given_by_address_are_always_fetched():
    assert not command.TAKES_URLS.match("https://example.com/a.png")


def test_a_command_line_answers_in_the_words_of_chat():
    assert SPOKEN["command"].decoder is openai_chat.decoder
    assert command.encode_count(request(user("Hi"))) is None


# ── the prompt ───────────────────────────────────────────────────────────────────────────────


def test_a_single_turn_is_the_prompt_itself():
    assert prompt([user("Hi", Image(PIXEL))]) == ("Hi", (PIXEL,))


def test_earlier_turns_stand_before_the_last_as_a_transcript():
    text, images = prompt([user("Hi", Image(PIXEL)), assistant("Yes?"), user("Go")], system="Kind.")

    assert text == (
        "<instructions>\nKind.\n</instructions>\n\n"
        "<conversation>\nUser:\nHi\n\n[image]\n\nAssistant:\nYes?\n</conversation>\n\nGo"
    )
    assert images == (PIXEL,)


def test_a_begun_answer_is_asked_to_be_gone_on_with():
    text, _ = prompt([user("Count"), assistant("1, 2,")])

    assert "Assistant:\n1, 2," in text
    assert text.endswith("Go on with your answer exactly where it ends.")


@given(text=st.text(), system=st.text())
def test_no_prompt_is_a_command_to_the_program(text, system):
    asked = prompt([user(text)], system=system)

    assert not asked.text.startswith("/")
    assert text.strip() in asked.text


def test_a_message_line_holds_images_and_text():
    line = as_message(prompt([user("Look\nhere", Image(PIXEL))]))

    image, text = jsonio.loads(line)["message"]["content"]
    assert line.count(b"\n") == 1
    assert image["source"] == {"type": "base64", "media_type": "image/png", "data": PIXEL.data}
    assert text == {"type": "text", "text": "Look\nhere"}


# ── conversations ────────────────────────────────────────────────────────────────────────────

TURNS = st.lists(st.tuples(st.text(min_size=1), st.text(min_size=1)), min_size=1, max_size=4)


def spoken(pairs):
    return [turn for asked, answer in pairs for turn in (user(asked), assistant(answer))]


@given(pairs=TURNS, more=st.text(min_size=1))
def test_a_conversation_is_found_by_what_was_said_and_only_the_rest_is_new(pairs, more):
    turns = spoken(pairs)
    name = conversation(request(), turns, with_system=True)

    found = known_part(request(*turns, user(more)), {name: "S"}.get, with_system=True)

    assert found == ("S", len(turns))


def test_a_conversation_is_looked_for_only_so_far_back():
    turns = spoken([("a", "b")] * 20)
    asked = []

    known_part(request(*turns, user("c")), lambda name: asked.append(name) or "", with_system=True)

    assert len(asked) == 8


def test_another_picture_is_another_conversation():
    other = Base64("image/png", "iVBORw0KGgpi")
    pictures = [Image(PIXEL), Image(other), Image(Url("https://a/b.png"))]

    names = {conversation(request(), [user("Hi", one)], with_system=True) for one in pictures}

    assert len(names) == 3


@given(pairs=TURNS, other=TURNS)
def test_two_conversations_have_one_name_only_if_the_same_was_said(pairs, other):
    trimmed = [[part.strip() for pair in each for part in pair] for each in (pairs, other)]

    one, two = (conversation(request(), spoken(each), with_system=True) for each in (pairs, other))

    assert (one == two) == (trimmed[0] == trimmed[1])


@pytest.mark.parametrize(
    ("fields", "with_system"),
    [
        ({"cache_key": "other"}, True),
        ({"system": (Text("Other."),)}, True),
    ],
)
def test_another_key_or_other_instructions_are_another_conversation(fields, with_system):
    turns = [user("Hi"), assistant("Yes?")]

    names = {
        conversation(r, turns, with_system=with_system) for r in (request(), request(**fields))
    }

    assert len(names) == 2


def test_instructions_that_are_always_sent_tell_no_conversations_apart():
    turns = [user("Hi"), assistant("Yes?")]
    asked = (request(), request(system=(Text("It is 12:01."),)))

    assert len({conversation(each, turns, with_system=False) for each in asked}) == 1


def test_a_first_turn_goes_on_with_nothing():
    assert known_part(request(user("Hi")), lambda name: "S", with_system=True) == ("", 0)
