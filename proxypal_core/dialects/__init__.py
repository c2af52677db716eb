"""Which words are used: one module a dialect, none of which knows another."""

from collections.abc import Mapping

from proxypal_core.dialects import anthropic, gemini, openai_chat, openai_responses
from proxypal_core.dialects.base import Dialect

_ALL: tuple[Dialect, ...] = (openai_chat, openai_responses, anthropic, gemini)

DIALECTS: Mapping[str, Dialect] = {dialect.NAME: dialect for dialect in _ALL}
