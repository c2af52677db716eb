"""Which words are used: one module a dialect. None knows another, but for ``command``, that borrows."""

from collections.abc import Mapping

from proxypal_core.dialects import anthropic, command, gemini, openai_chat, openai_responses
from proxypal_core.dialects.base import Dialect

_ALL: tuple[Dialect, ...] = (openai_chat, openai_responses, anthropic, gemini)

DIALECTS: Mapping[str, Dialect] = {dialect.NAME: dialect for dialect in _ALL}
"""What clients speak, and providers."""
SPOKEN: Mapping[str, Dialect] = {**DIALECTS, command.NAME: command}
"""What providers speak: the same, and what a command line is told."""
