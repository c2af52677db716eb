"""OpenAI Chat Completions, as OpenAI serves it and as everybody else does."""

from proxypal_core.dialects.openai_chat.answer import (
    decode_response,
    encode_model,
    encode_models,
    encode_response,
    notice,
    notice_whole,
)
from proxypal_core.dialects.openai_chat.errors import decode_failure, encode_failure
from proxypal_core.dialects.openai_chat.request_decode import decode_request, peek
from proxypal_core.dialects.openai_chat.request_encode import encode_request
from proxypal_core.dialects.openai_chat.stream import canonical, decoder, encoder, without_usage
from proxypal_core.dialects.openai_chat.words import NAME

HEARTBEAT = b": keep-alive\n\n"
MODEL_PATHS = (("model",),)

__all__ = [
    "HEARTBEAT",
    "MODEL_PATHS",
    "NAME",
    "canonical",
    "decode_failure",
    "decode_request",
    "decode_response",
    "decoder",
    "encode_failure",
    "encode_model",
    "encode_models",
    "encode_request",
    "encode_response",
    "encoder",
    "notice",
    "notice_whole",
    "peek",
    "without_usage",
]
