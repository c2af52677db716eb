"""What is remembered of an exchange, in one line."""

from proxypal_core.hub.messages import Usage
from proxypal_core.metering import Attempt, Record, row, summary


def record(**fields):
    return Record(id="1", at=1_795_000_000.0, dialect="anthropic", path="/v1/messages", **fields)


def test_a_line_tells_every_account_that_was_asked_in_turn():
    line = summary(
        record(
            model="best",
            attempts=[Attempt("a:b", "m", "rate_limit"), Attempt("c:d", "n", "served")],
            status=200,
            outcome="served",
            duration=1.23456,
            usage=Usage(input_total=3, output_total=4),
        )
    ).fields()

    assert line["asked"] == "a:b/m=rate_limit > c:d/n=served"
    assert (line["model"], line["status"], line["outcome"]) == ("best", 200, "served")
    assert (line["seconds"], line["tokens_in"], line["tokens_out"]) == (1.235, 3, 4)


def test_a_line_of_a_request_that_reached_nobody_is_whole_too():
    assert summary(record(outcome="model", status=404)).shared.asked == ""


def test_a_row_names_who_served_and_counts_no_token_twice():
    told = row(
        record(
            served_by="c:d",
            attempts=[Attempt("a:b", "m", "rate_limit"), Attempt("c:d", "n", "served")],
            usage=Usage(10, 4, 1, 7, 3),
        )
    )

    assert told["account"] == "c:d"
    assert [attempt["account"] for attempt in told["attempts"]] == ["a:b", "c:d"]
    assert told["tokens"] == {
        "input": 5,
        "output": 7,
        "cache_read": 4,
        "cache_write": 1,
        "reasoning": 3,
    }


def test_exchanges_do_not_share_their_attempts():
    first, second = record(), record()
    first.attempts.append(Attempt("a:b", "m", "served"))

    assert second.attempts == []
