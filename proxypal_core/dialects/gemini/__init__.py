"""Google's ``generateContent``, as v1beta of the Gemini API speaks it."""

from collections.abc import Sequence

from proxypal_core.dialects.base import Reply
from proxypal_core.dialects.gemini.answer import (
    Decoder,
    Encoder,
    decode_response,
    encode_response,
    notice,
    notice_whole,
)
from proxypal_core.dialects.gemini.errors import decode_failure, encode_failure
from proxypal_core.dialects.gemini.framing import (
    ARRAY_END,
    ARRAY_START,
    as_array_item,
    canonical,
)
from proxypal_core.dialects.gemini.request_decode import decode_request
from proxypal_core.dialects.gemini.request_encode import encode_request
from proxypal_core.dialects.gemini.words import NAME
from proxypal_core.hub.messages import ModelInfo
from proxypal_core.wire import jsonio
from proxypal_core.wire.jsonio import JsonObject

HEARTBEAT = b"\r\n"
MODEL_PATHS = (("modelVersion",),)

__all__ = [
    "ARRAY_END",
    "ARRAY_START",
    "HEARTBEAT",
    "MODEL_PATHS",
    "NAME",
    "as_array_item",
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


def peek(doc: JsonObject, /) -> tuple[str, bool]:
    """The path says both."""
    return "", False


def decoder() -> Decoder:
    return Decoder()


def encoder(reply: Reply, /) -> Encoder:
    return Encoder(reply)


def encode_models(models: Sequence[ModelInfo], /) -> bytes:
    return jsonio.dumps({"models": [_model(model) for model in models]})


def encode_model(model: ModelInfo, /) -> bytes:
    return jsonio.dumps(_model(model))


def _model(model: ModelInfo) -> JsonObject:
    limits = {"inputTokenLimit": model.context_tokens, "outputTokenLimit": model.output_tokens}
    return {
        "name": f"models/{model.id}",
        "version": "001",
        "displayName": model.name or model.id,
        "description": f"{model.name or model.id} by {model.owner}",
        **{field: limit for field, limit in limits.items() if limit},
        "supportedGenerationMethods": ["generateContent", "countTokens"],
    }
