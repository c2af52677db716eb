"""Google's ``generateContent``, as v1beta of the Gemini API speaks it."""

from proxypal_core.dialects.base import always_told as with_usage
from proxypal_core.dialects.base import nothing_asked as without_usage
from proxypal_core.dialects.gemini.answer import decode_response, encode_response
from proxypal_core.dialects.gemini.counting import count_reply, decode_count, encode_count
from proxypal_core.dialects.gemini.errors import decode_failure, encode_failure
from proxypal_core.dialects.gemini.framing import ARRAY_END, ARRAY_START, as_array_item
from proxypal_core.dialects.gemini.lists import encode_model, encode_models
from proxypal_core.dialects.gemini.notices import canonical, notice, notice_whole
from proxypal_core.dialects.gemini.request_decode import decode_request, peek
from proxypal_core.dialects.gemini.request_encode import encode_request
from proxypal_core.dialects.gemini.stream_decode import decoder
from proxypal_core.dialects.gemini.stream_encode import encoder
from proxypal_core.dialects.gemini.words import GOOGLES, NAME

HEARTBEAT = b"\r\n"
LAST = b""
MODEL_PATHS = (("modelVersion",),)
TAKES_URLS = GOOGLES

__all__ = [
    "ARRAY_END",
    "ARRAY_START",
    "HEARTBEAT",
    "LAST",
    "MODEL_PATHS",
    "NAME",
    "TAKES_URLS",
    "as_array_item",
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
