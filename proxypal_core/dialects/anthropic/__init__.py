"""Anthropic Messages."""

from proxypal_core.dialects.anthropic.answer import decode_response, encode_response, notice_whole
from proxypal_core.dialects.anthropic.content_decode import NAME
from proxypal_core.dialects.anthropic.errors import decode_failure, encode_failure
from proxypal_core.dialects.anthropic.lists import encode_model, encode_models
from proxypal_core.dialects.anthropic.notices import canonical, notice
from proxypal_core.dialects.anthropic.request_decode import decode_request, peek
from proxypal_core.dialects.anthropic.request_encode import encode_request
from proxypal_core.dialects.anthropic.stream_decode import decoder
from proxypal_core.dialects.anthropic.stream_encode import HEARTBEAT, encoder

MODEL_PATHS = (("model",), ("message", "model"))

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
