"""Lists of models in Google's words."""

from collections.abc import Sequence

from proxypal_core.hub.messages import ModelInfo
from proxypal_core.wire import jsonio
from proxypal_core.wire.jsonio import JsonObject


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
