"""OpenAI Responses: https://platform.openai.com/docs/api-reference/responses."""

from proxypal_core.dialects.base import ANY_URL
from proxypal_core.dialects.base import always_told as with_usage
from proxypal_core.dialects.base import nothing_asked as without_usage
from proxypal_core.dialects.openai_responses.answer import decode_response, encode_response
from proxypal_core.dialects.openai_responses.counting import count_reply, decode_count, encode_count
from proxypal_core.dialects.openai_responses.errors import decode_failure, encode_failure
from proxypal_core.dialects.openai_responses.notices import (
    canonical,
    notice,
    notice_whole,
)
from proxypal_core.dialects.openai_responses.request_decode import decode_request
from proxypal_core.dialects.openai_responses.request_encode import encode_request
from proxypal_core.dialects.openai_responses.stream_decode import decoder
from proxypal_core.dialects.openai_responses.stream_encode import encoder
from proxypal_core.dialects.openai_responses.words import NAME
from proxypal_core.dialects.openai_words import encode_model, encode_models, peek

HEARTBEAT = b": keep-alive\n\n"
LAST = b""
MODEL_PATHS = (("model",), ("response", "model"))
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
