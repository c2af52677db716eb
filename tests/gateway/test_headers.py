"""Which headers pass, each way."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxypal_core.gateway import headers
from proxypal_core.gateway.heads import Headers


def upward(dialect, sent):
    raw = [text.encode() for header in sent for text in header]
    return headers.upward(dialect, Headers(raw).joined)


def test_a_vendors_client_keeps_its_own_headers_on_its_own_dialect():
    sent = [
        ("user-agent", "claude-cli/2.1.197 (external, cli)"),
        ("anthropic-version", "2023-06-01"),
        ("anthropic-beta", "a-1"),
        ("anthropic-beta", "b-2"),
        ("x-app", "cli"),
        ("x-claude-code-session-id", "s"),
        ("authorization", "Bearer client-key"),
        ("x-api-key", "client-key"),
        ("cookie", "c"),
        ("host", "localhost"),
        ("x-forwarded-for", "1.2.3.4"),
    ]

    assert upward("anthropic", sent) == {
        "user-agent": "claude-cli/2.1.197 (external, cli)",
        "anthropic-version": "2023-06-01",
        "anthropic-beta": "a-1, b-2",
        "x-app": "cli",
        "x-claude-code-session-id": "s",
    }


def test_other_programs_do_not_lend_their_name():
    assert upward("openai-chat", [("user-agent", "curl/8.5")]) == {}


def test_headers_go_on_in_the_order_in_which_they_came():
    sent = [("x-app", "cli"), ("anthropic-beta", "a"), ("anthropic-version", "1"), ("host", "h")]

    assert list(upward("anthropic", sent)) == ["x-app", "anthropic-beta", "anthropic-version"]


def test_what_a_client_says_is_for_its_neighbour_goes_no_further():
    sent = [("connection", "close, X-App"), ("x-app", "cli"), ("anthropic-version", "1")]

    assert upward("anthropic", sent) == {"anthropic-version": "1"}
    assert headers.downward("anthropic", {"request-id": "r", "connection": "Request-Id"}) == {}


@pytest.mark.parametrize("value", ["x" * 1025, "a\x7f", "a\tb", "ä", "a\u2028"])
def test_what_is_not_short_and_printable_stays_here(value):
    assert upward("anthropic", [("x-app", value)]) == {}


names = st.sampled_from(
    ["authorization", "x-api-key", "x-goog-api-key", "api-key", "cookie", "set-cookie", "host",
     "connection", "content-length", "transfer-encoding", "accept-encoding", "proxy-authorization",
     "anthropic-beta", "openai-beta", "x-codex-window-id", "x-goog-api-client"]
)  # fmt: skip
SECRET = ("authorization", "api-key", "cookie", "host", "connection", "length", "encoding")


@given(
    st.sampled_from(["anthropic", "openai-chat", "openai-responses", "gemini"]),
    st.lists(st.tuples(names, st.text(max_size=20)), max_size=12),
)
def test_credentials_and_hop_by_hop_headers_never_pass(dialect, sent):
    up = upward(dialect, sent)
    down = headers.downward(dialect, dict(sent))

    for name in (*up, *down):
        assert not any(word in name for word in SECRET), name
    assert all(value.isprintable() and value.isascii() for value in up.values())


@pytest.mark.parametrize(
    ("dialect", "name"),
    [
        ("anthropic", "anthropic-ratelimit-unified-5h-reset"),
        ("anthropic", "request-id"),
        ("openai-chat", "x-ratelimit-remaining-tokens"),
        ("openai-responses", "x-codex-primary-used-percent"),
    ],
)
def test_a_providers_limits_reach_its_own_clients(dialect, name):
    assert headers.downward(dialect, {name: "1", "set-cookie": "c"}) == {name: "1"}


@given(st.text(max_size=400))
def test_what_we_put_into_a_header_is_printable(value):
    printed = headers.printable(value)

    assert printed.isascii()
    assert len(printed) <= 256
    assert "\r" not in printed
    assert "\n" not in printed
