"""What an upstream says: a few scenarios, written down as each of the four dialects says them.

A scenario is one meaning; the four modules are its four native spellings, made without the product's
own encoders, so that a wrong encoder cannot agree with itself.
"""

from collections.abc import Callable
from types import MappingProxyType
from typing import Any, NamedTuple

from tests.fault_server.transcripts import anthropic, gemini, openai_chat, openai_responses
from tests.fault_server.transcripts.scenarios import SCENARIOS, Call, Scenario

__all__ = ["DIALECTS", "SCENARIOS", "Call", "Scenario", "Spelling"]


class Spelling(NamedTuple):
    """How a dialect answers: at once (a document), and piece by piece (stream events)."""

    whole: Callable[[Scenario, str], dict[str, Any]]
    frames: Callable[[Scenario, str], list[bytes]]


DIALECTS = MappingProxyType(
    {
        "openai-chat": Spelling(openai_chat.whole, openai_chat.frames),
        "openai-responses": Spelling(openai_responses.whole, openai_responses.frames),
        "anthropic": Spelling(anthropic.whole, anthropic.frames),
        "gemini": Spelling(gemini.whole, gemini.frames),
    }
)
