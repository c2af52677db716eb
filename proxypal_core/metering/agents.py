"""Which program a client is, by the headers it sends."""

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import NamedTuple


class _Sign(NamedTuple):
    """A program, and what is found in its headers, whatever the case."""

    agent: str
    headers: Mapping[str, re.Pattern[str]]


def _sign(agent: str, **headers: str) -> _Sign:
    return _Sign(
        agent,
        {
            name.replace("_", "-"): re.compile(pattern, re.IGNORECASE)
            for name, pattern in headers.items()
        },
    )


_SIGNS: tuple[_Sign, ...] = (
    # OpenClaw sends the name of the library it uses, or Claude Code's; only it also traces its
    # requests (captured from 2026.9).
    _sign("openclaw", traceparent=".", sec_fetch_mode="cors"),
    # Captured, each from the program itself.
    _sign("claude-code", user_agent=r"^claude-cli/"),
    _sign("codex", user_agent=r"^codex[-_]"),
    _sign("gemini", user_agent=r"^GeminiCLI"),
    _sign("qwen-code", user_agent=r"^QwenCode/"),
    _sign("opencode", user_agent=r"^opencode/"),
    # By their names, where they send them.
    _sign("openclaw", user_agent=r"\bopenclaw\b"),
    _sign("aider", user_agent=r"\baider\b"),
    _sign("amp", user_agent=r"^amp\b"),
    _sign("cline", user_agent=r"\bcline\b"),
    _sign("continue", user_agent=r"^continue\b"),
    _sign("copilot", user_agent=r"copilot"),
    _sign("cursor", user_agent=r"\bcursor\b"),
    _sign("droid", user_agent=r"\b(?:droid|factory-cli)\b"),
    # Libraries, which many programs use.
    _sign("anthropic-sdk", user_agent=r"^(?:Async)?Anthropic/"),
    _sign("openai-sdk", user_agent=r"^(?:Async)?(?:Azure)?OpenAI/"),
    _sign("google-genai-sdk", user_agent=r"^google-genai-sdk/"),
    _sign("litellm", user_agent=r"^litellm/"),
    _sign("curl", user_agent=r"^curl/"),
)

_LOOKED_AT = tuple(dict.fromkeys(name for sign in _SIGNS for name in sign.headers))
_LONGEST = 256


def agent_of(headers: Mapping[str, str]) -> str:
    """The program that sends the *headers*, their names in small letters, by the name that ``proxypal run``
    knows it by; empty when they do not tell. One of a fixed list, so that clients cannot make the
    statistics grow.
    """
    return _named(tuple([headers.get(name, "")[:_LONGEST] for name in _LOOKED_AT]))


@lru_cache(maxsize=1024)
def _named(values: tuple[str, ...]) -> str:
    told = dict(zip(_LOOKED_AT, values, strict=True))
    for sign in _SIGNS:
        if all(pattern.search(told[name]) for name, pattern in sign.headers.items()):
            return sign.agent
    return ""
