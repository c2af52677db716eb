"""Whether a request is what the vendor's SDK says one is."""

import pydantic
from anthropic.types.beta.message_create_params import (
    MessageCreateParamsNonStreaming as AnthropicParams,
)
from google.genai import types as genai
from openai.types.chat.completion_create_params import (
    CompletionCreateParamsNonStreaming as ChatParams,
)
from openai.types.responses.response_create_params import (
    ResponseCreateParamsNonStreaming as ResponsesParams,
)

_NOT_CHECKED = ("stream", "stream_options", "betas")
_OLD_ANTHROPIC = ("temperature", "top_p", "top_k")
"""Fields of anthropic-version 2023-06-01 that the SDK, made for a later one, no longer has."""
_ADAPTERS = {
    "openai-chat": pydantic.TypeAdapter(ChatParams),
    "openai-responses": pydantic.TypeAdapter(ResponsesParams),
    "anthropic": pydantic.TypeAdapter(AnthropicParams),
}


def problems(dialect, body, *, version=""):
    """The problems that *body*, a request in *dialect*, has by the SDK's type; unknown fields too.
    *version* is the value of ``anthropic-version``.
    """
    if dialect == "gemini":
        kinds = {
            "contents": list[genai.Content],
            "systemInstruction": genai.Content,
            "tools": list[genai.Tool],
            "toolConfig": genai.ToolConfig,
            "generationConfig": genai.GenerationConfig,
        }
        found = []
        for field, kind in kinds.items():
            if field in body:
                found += _errors(pydantic.TypeAdapter(kind), body[field])
        return found
    skipped = _NOT_CHECKED + (_OLD_ANTHROPIC if version == "2023-06-01" else ())
    bare = {key: value for key, value in body.items() if key not in skipped}
    unknown = set(bare) - set(_ADAPTERS[dialect]._type.__annotations__) - _inherited(dialect)
    return [f"unknown field {name}" for name in sorted(unknown)] + _errors(_ADAPTERS[dialect], bare)


def _inherited(dialect):
    names = set()
    for base in getattr(_ADAPTERS[dialect]._type, "__orig_bases__", ()):
        names |= set(getattr(base, "__annotations__", {}))
    return names


def _errors(adapter, value):
    try:
        adapter.validate_python(value)
    except pydantic.ValidationError as error:
        return [f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors()][:5]
    return []
