"""What a command line is told, and answers: OpenAI Chat's words, as few of them as it understands.

The process is run by a transport of our own, so that these words never leave the program. They are
another dialect's because its readers and writers are there and tested; what is left of a request
here is instructions, text and images.
"""

from proxypal_core.dialects.command.request import NAME, TAKES_URLS, encode_count, encode_request
from proxypal_core.dialects.openai_chat import (
    HEARTBEAT,
    LAST,
    MODEL_PATHS,
    canonical,
    count_reply,
    decode_count,
    decode_failure,
    decode_request,
    decode_response,
    decoder,
    encode_failure,
    encode_model,
    encode_models,
    encode_response,
    encoder,
    notice,
    notice_whole,
    peek,
    with_usage,
    without_usage,
)

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
