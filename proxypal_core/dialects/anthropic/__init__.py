"""Anthropic Messages."""

from proxypal_core.dialects.anthropic.answer import decode_response, encode_response
from proxypal_core.dialects.anthropic.counting import count_reply, decode_count, encode_count
from proxypal_core.dialects.anthropic.errors import decode_failure, encode_failure
from proxypal_core.dialects.anthropic.lists import encode_model, encode_models
from proxypal_core.dialects.anthropic.notices import canonical, notice, notice_whole
from proxypal_core.dialects.anthropic.request_decode import decode_request, peek
from proxypal_core.dialects.anthropic.request_encode import encode_request
from proxypal_core.dialects.anthropic.stream_decode import decoder
from proxypal_core.dialects.anthropic.stream_encode import encoder
from proxypal_core.dialects.anthropic.words import NAME
from proxypal_core.dialects.base import ANY_URL
from proxypal_core.dialects.base import always_told as with_usage
from proxypal_core.dialects.base import nothing_asked as without_usage

HEARTBEAT = b'event: ping\ndata: {"type":"ping"}\n\n'
LAST = b'event: message_stop\ndata: {"type":"message_stop"}\n\n'
MODEL_PATHS = (("model",), ("message", "model"))
TAKES_URLS = ANY_URL

__all__ = [
    "HEARTBEAT",
    "LAST",
    "MODEL_PATHS",
    "NAME",
    "TAKES_URLS",
    "canonical",
    "count_reply",
    "decode_count",
    "decode_failure",
    "decode_request",
    "decode_response",
    "decoder",
    "encode_count",
    "encode_failure",
    "encode_model",
    "encode_models",
    "encode_request",
    "encode_response",
    "encoder",
    "notice",
    "notice_whole",
    "peek",
    "with_usage",
    "without_usage",
]
