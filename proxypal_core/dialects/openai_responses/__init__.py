"""OpenAI Responses: https://platform.openai.com/docs/api-reference/responses."""

from proxypal_core.dialects.base import Decoder, Encoder, Reply
from proxypal_core.dialects.openai_responses.answer import (
    decode_response,
    encode_model,
    encode_models,
    encode_response,
    notice,
    notice_whole,
)
from proxypal_core.dialects.openai_responses.errors import decode_failure, encode_failure
from proxypal_core.dialects.openai_responses.request_decode import decode_request, peek
from proxypal_core.dialects.openai_responses.request_encode import encode_request
from proxypal_core.dialects.openai_responses.stream_decode import ResponsesDecoder
from proxypal_core.dialects.openai_responses.stream_encode import ResponsesEncoder
from proxypal_core.dialects.openai_responses.words import NAME

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
]

HEARTBEAT = b": keep-alive\n\n"
MODEL_PATHS = (("model",), ("response", "model"))


def decoder() -> Decoder:
    return ResponsesDecoder()


def encoder(reply: Reply, /) -> Encoder:
    return ResponsesEncoder(reply)


def canonical(raw: bytes, /) -> bytes:
    """*raw* itself: every event of this dialect is safe for its clients."""
    return raw
