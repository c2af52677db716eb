"""What the two dialects of OpenAI know of failures, they know alike."""

import pytest

from proxypal_core.dialects import openai_chat, openai_responses
from proxypal_core.hub.failure import Failure, Kind
from proxypal_core.wire import jsonio, sse

both = pytest.mark.parametrize("dialect", [openai_chat, openai_responses], ids=lambda one: one.NAME)


def failure_of(dialect, error):
    """What *error* in the middle of a stream ends it with."""
    data = jsonio.dumps({"type": "error", "error": error})
    *_, last = dialect.decoder().read(sse.Frame(data))
    assert isinstance(last, Failure)
    return last


@both
@pytest.mark.parametrize(
    ("error", "kind"),
    [
        ({"code": "rate_limit_exceeded"}, Kind.RATE_LIMIT),
        ({"type": "tokens"}, Kind.RATE_LIMIT),
        ({"code": "usage_limit_reached"}, Kind.RATE_LIMIT),
        ({"code": "slow_down"}, Kind.OVERLOADED),
        ({"code": "server_is_overloaded"}, Kind.OVERLOADED),
        ({"code": "insufficient_quota"}, Kind.BILLING),
        ({"type": "not_found_error"}, Kind.MODEL),
        ({"type": "timeout_error"}, Kind.TIMEOUT),
        ({"code": "invalid_prompt"}, Kind.INVALID),
        ({"type": "invalid_request_error"}, Kind.INVALID),
        ({"type": "permission_error"}, Kind.FORBIDDEN),
        ({"code": 429}, Kind.RATE_LIMIT),
        ({"code": 502, "type": "invalid_request_error"}, Kind.SERVER),
        ({"type": "something_new"}, Kind.SERVER),
    ],
    ids=str,
)
def test_an_error_in_a_stream_is_known_by_its_code_or_type(dialect, error, kind):
    failure = failure_of(dialect, {"message": "no", **error})

    assert failure.kind is kind
    assert failure.status == 0


@both
def test_the_message_knows_better_than_a_vague_type(dialect):
    message = "This model's maximum context length is 20 tokens."
    failure = failure_of(dialect, {"message": message, "type": "invalid_request_error"})

    assert failure.kind is Kind.CONTEXT


@both
def test_a_code_says_more_than_the_type_beside_it(dialect):
    error = {"message": "no", "type": "rate_limit_error", "code": "model_not_found"}

    assert failure_of(dialect, error).kind is Kind.MODEL


@both
def test_a_status_knows_better_than_a_vague_type(dialect):
    body = jsonio.dumps({"error": {"message": "no", "type": "invalid_request_error"}})

    assert dialect.decode_failure(429, body).kind is Kind.RATE_LIMIT


@both
@pytest.mark.parametrize(
    "message",
    [
        "prompt is too long: 21 tokens > 20 maximum",
        "The input token count (21) exceeds the maximum number of tokens allowed (20).",
    ],
)
def test_the_numbers_of_too_long_a_prompt_are_kept(dialect, message):
    _, body = dialect.encode_failure(Failure(Kind.CONTEXT, message), request_id="r")

    told = jsonio.loads(body)["error"]["message"]
    assert "21 tokens" in told
    assert "20" in told.replace("21 tokens", "")
