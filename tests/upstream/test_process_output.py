"""What programs print, in every form, however it is cut."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxypal_core.hub.failure import Kind
from proxypal_core.hub.messages import Usage
from proxypal_core.providers.backend import builtin_rows, from_row
from proxypal_core.upstream import process_failures
from proxypal_core.upstream.process_output import Done, Failed, Said, Used, reader, usage
from proxypal_core.wire import jsonio
from tests.strategies import cuttings


def lines(*docs):
    return b"".join(jsonio.dumps(doc) + b"\n" for doc in docs)


CLAUDE = lines(
    {"type": "system", "subtype": "init", "session_id": "s-1"},
    {"type": "stream_event", "event": {"type": "message_start"}},
    {"type": "stream_event", "event": {"delta": {"type": "thinking_delta", "thinking": "hm"}}},
    {"type": "stream_event", "event": {"delta": {"type": "text_delta", "text": "Hel"}}},
    {"type": "stream_event", "event": {"delta": {"type": "text_delta", "text": "lo"}}},
    {"type": "assistant", "message": {"content": [{"type": "text", "text": "Hello"}]}},
    {"type": "result", "subtype": "success", "is_error": False, "result": "Hello",
     "usage": {"input_tokens": 3, "cache_read_input_tokens": 5, "output_tokens": 2}},
)  # fmt: skip
CODEX = b"Reading prompt from stdin...\n" + lines(
    {"type": "thread.started", "thread_id": "s-1"},
    {"type": "item.completed", "item": {"type": "error", "message": "a warning"}},
    {"type": "item.completed", "item": {"type": "reasoning", "text": "hm"}},
    {"type": "error", "message": "Reconnecting... 2/5"},
    {"type": "item.completed", "item": {"type": "agent_message", "text": "Hello"}},
    {"type": "turn.completed", "usage": {"input_tokens": 8, "cached_input_tokens": 5, "output_tokens": 2}},
)  # fmt: skip
GEMINI = lines(
    {"type": "init", "session_id": "s-1"},
    {"type": "message", "role": "user", "content": "Hi"},
    {"type": "message", "role": "assistant", "content": "Hello", "delta": True},
    {"type": "result", "status": "success", "stats": {"input_tokens": 8, "output_tokens": 2, "cached": 5}},
)  # fmt: skip
COPILOT = lines(
    {"type": "assistant.message_delta", "data": {"deltaContent": "Hello"}},
    {"type": "assistant.message", "data": {"content": "Hello"}},
    {"type": "result", "sessionId": "s-1", "exitCode": 0},
)
OPENCODE = lines(
    {"type": "step_start", "sessionID": "s-1"},
    {"type": "text", "sessionID": "s-1", "part": {"text": "Hello"}},
    {"type": "step_finish", "part": {"reason": "stop", "tokens": {"input": 8, "output": 2}}},
)
PRINTED = {
    "claude-cli": (CLAUDE, True, Usage(8, 5, 0, 2)),
    "codex-cli": (CODEX, True, Usage(8, 5, 0, 2)),
    "gemini-cli": (GEMINI, False, Usage(8, 5, 0, 2)),
    "qwen-cli": (CLAUDE, True, Usage(8, 5, 0, 2)),
    "copilot-cli": (COPILOT, False, Usage()),
    "opencode-cli": (OPENCODE, False, Usage(8, 0, 0, 2)),
}


def read(backend, *chunks):
    reading = reader(backend, resumed=False)
    told = [each for chunk in chunks for each in reading.feed(chunk)]
    return [*told, *reading.close()], reading.session


def text_of(told, *, thought=False):
    return "".join(each.text for each in told if isinstance(each, Said) and each.thought is thought)


@pytest.mark.parametrize("name", builtin_rows())
@given(data=st.data())
def test_every_built_in_programs_output_is_read_however_it_is_cut(name, data):
    printed, thinks, used = PRINTED[name]

    told, session = read(from_row(name, {}), *data.draw(cuttings(printed)))

    assert text_of(told) == "Hello"
    assert text_of(told, thought=True) == ("hm" if thinks else "")
    assert told[-1] == Done()
    assert session == "s-1"
    assert [each.usage for each in told if isinstance(each, Used)] == ([used] if used.total else [])


@pytest.mark.parametrize("name", builtin_rows())
@given(data=st.data())
def test_output_that_breaks_off_is_never_done(name, data):
    printed = PRINTED[name][0].rstrip(b"\n")
    cut = data.draw(st.integers(0, len(printed) - 1))

    told, _ = read(from_row(name, {}), printed[:cut])

    assert Done() not in told


@pytest.mark.parametrize("name", [*builtin_rows(), "x"])
@given(data=st.binary(max_size=200))
def test_a_reader_takes_any_bytes(name, data):
    read(from_row(name, {"command": "c"}), data)


def test_the_whole_text_is_taken_where_nothing_was_streamed():
    printed = lines({"type": "result", "subtype": "success", "is_error": False, "result": "Hello"})

    told, _ = read(from_row("claude-cli", {}), printed)

    assert text_of(told) == "Hello"


@pytest.mark.parametrize(
    ("printed", "message", "status"),
    [
        ({"type": "result", "subtype": "success", "is_error": True, "result": "No.", "api_error_status": 429}, "No.", 429),
        ({"type": "result", "subtype": "error_during_execution", "is_error": True, "errors": ["a", "b"]}, "ab", 0),
        ({"type": "result", "subtype": "error_max_turns", "is_error": False}, "error_max_turns", 0),
    ],
)  # fmt: skip
def test_a_result_that_is_an_error_is_a_failure(printed, message, status):
    told, _ = read(from_row("claude-cli", {}), lines(printed))

    assert Failed(message, status) in told
    assert Done() not in told


@pytest.mark.parametrize(
    "printed",
    [
        {"type": "result", "is_error": True, "result": "No."},
        {"type": "error", "message": "No."},
        {"subtype": "error_x", "text": "No."},
        {"status": "error", "error": {"message": "No."}},
    ],
)
def test_a_whole_answer_that_is_an_error_is_a_failure_whatever_the_exit_code(printed):
    told, _ = read(from_row("x", {"command": "c"}), jsonio.dumps(printed))

    assert told == [Failed("No.", 0)]


@pytest.mark.parametrize(
    "printed",
    [
        {"message": "Hi"},
        {"content": [{"type": "text", "text": "H"}, {"type": "text", "text": "i"}]},
        {"result": "Hi"},
        {"message": {"content": "Hi"}},
        {"response": "Hi"},
    ],
)
def test_the_text_of_a_whole_answer_is_found_under_any_usual_name(printed):
    told, session = read(
        from_row("x", {"command": "c"}), jsonio.dumps({**printed, "sessionId": "s"})
    )

    assert (text_of(told), session) == ("Hi", "s")


def test_what_is_no_json_is_the_answer_itself():
    told, _ = read(from_row("x", {"command": "c"}), b"Just text\n")

    assert told == [Said("Just text"), Done()]


def test_lines_of_a_program_without_rules_of_its_own_are_read_by_their_items():
    backend = from_row("x", {"command": "c", "output": "jsonl"})
    printed = lines(
        {"item": {"type": "reasoning", "text": "hm"}},
        {"item": {"type": "agent_message", "text": "one"}},
        {"item": {"text": "two"}},
        {"usage": {"inputTokens": 3}},
    )

    told, _ = read(backend, printed)

    assert text_of(told) == "one\ntwo"
    assert told[-2:] == [Used(Usage(3)), Done()]


def test_a_resumed_run_may_print_in_another_form():
    backend = from_row("x", {"command": "c", "output": "jsonl", "resume_output": "text"})
    reading = reader(backend, resumed=True)

    assert [*reading.feed(b"plain"), *reading.close()] == [Said("plain"), Done()]


def test_cached_tokens_are_counted_once():
    assert usage({"input_tokens": 3, "cache_read_input_tokens": 5}).input_total == 8
    assert usage({"input_tokens": 8, "cached_input_tokens": 5}).input_total == 8


# ── what a failure means ─────────────────────────────────────────────────────────────────────

MEANINGS = [
    ("Not logged in · Please run /login", Kind.AUTH),
    (
        "Please set an Auth method in your /home/me/.gemini/settings.json or specify one of",
        Kind.AUTH,
    ),
    ("Error: No authentication information found.", Kind.AUTH),
    ("exceeded retry limit, last status: 429 Too Many Requests", Kind.RATE_LIMIT),
    ("Credit balance is too low", Kind.BILLING),
    ("API Error: the prompt is too long: 250000 tokens > 200000 maximum", Kind.CONTEXT),
    ("The requested model x does not exist", Kind.MODEL),
    ("Segmentation fault", Kind.SERVER),
]


@pytest.mark.parametrize(("message", "kind"), MEANINGS)
def test_a_programs_words_say_what_kind_of_failure_it_is(message, kind):
    assert process_failures.said(from_row("x", {"command": "c"}), message).failure.kind is kind


@pytest.mark.parametrize(
    "message",
    [
        "No conversation found with session ID: 1111",
        "Error: thread/resume: thread/resume failed: no rollout found for thread id 01a1 (code -32600)",
        'Error resuming session: Invalid session identifier "3333".',
        "Error: Session not found",
    ],
)
def test_a_session_that_is_gone_is_told_from_other_failures(message):
    assert process_failures.is_expired(message)
    assert not any(process_failures.is_expired(other) for other, _ in MEANINGS)
