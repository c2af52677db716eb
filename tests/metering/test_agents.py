"""Which program a client is, by what each of them was seen to send."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxypal_core.metering.agents import agent_of
from tests.captures import load
from tests.strategies import named

TOLD = {
    "aider": {"litellm", "openai-sdk"},
    "anthropic-js": {"anthropic-sdk"},
    "claude-code": {"claude-code", ""},  # its first word comes from the runtime that it is built on
    "codex": {"codex"},
    "continue": {"google-genai-sdk", ""},
    "gemini-cli": {"gemini"},
    "google-genai": {"google-genai-sdk"},
    "llm": {"anthropic-sdk", "openai-sdk"},
    "openclaw": {"openclaw"},
    "opencode": {"opencode"},
    "pi": {"anthropic-sdk", "google-genai-sdk", "openai-sdk"},
    "pydantic-ai": {""},
    "qwen": {"qwen-code"},
}
"""What is told of each client that was captured; a library, where it is all that is sent."""
OLDER = {"openclaw": {"anthropic-sdk", "claude-code", "google-genai-sdk", "openai-sdk"}}
"""What is told of versions that did not trace their requests yet."""


@pytest.mark.parametrize("capture", load(), ids=str)
def test_a_client_is_told_by_what_it_sends(capture):
    older = capture.client == "openclaw" and capture.version < "2026.9"
    told = (OLDER if older else TOLD)[capture.client]

    assert agent_of(named(capture.headers)) in told


@pytest.mark.parametrize(
    ("user_agent", "agent"),
    [
        ("CLAUDE-CLI/2.1", "claude-code"),
        ("codex_vscode/1.0", "codex"),
        ("GeminiCLI/0.4.0/gemini-2.5-pro (darwin; arm64)", "gemini"),
        ("Cursor/1.2.3", "cursor"),
        ("Aider/0.90 +https://aider.chat", "aider"),
        ("factory-cli/0.22", "droid"),
        ("GitHubCopilotChat/0.31", "copilot"),
        ("AsyncOpenAI/Python 1.0", "openai-sdk"),
        ("curl/8.5.0", "curl"),
        ("Mozilla/5.0", ""),
        ("", ""),
    ],
)
def test_a_program_is_told_by_its_name(user_agent, agent):
    assert agent_of(named({"User-Agent": user_agent})) == agent


@given(st.text(max_size=60))
def test_clients_cannot_make_names_up(user_agent):
    known = set().union(*TOLD.values()) | {"aider", "amp", "cline", "continue", "copilot"}
    known |= {"cursor", "droid", "curl"}

    assert agent_of(named({"user-agent": user_agent})) in known


def test_a_client_that_sends_nothing_is_nobody():
    assert agent_of(named()) == ""
