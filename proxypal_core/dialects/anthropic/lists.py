"""Lists of models in Anthropic's words."""

from collections.abc import Sequence

from proxypal_core.hub.messages import ModelInfo
from proxypal_core.wire import jsonio
from proxypal_core.wire.jsonio import JsonObject

# What Anthropic itself writes where the day is not known.
_UNKNOWN_DAY = "1970-01-01T00:00:00Z"


def encode_models(models: Sequence[ModelInfo], /) -> bytes:
    return jsonio.dumps(
        {
            "data": [_model(model) for model in models],
            "has_more": False,
            "first_id": models[0].id if models else None,
            "last_id": models[-1].id if models else None,
        }
    )


def encode_model(model: ModelInfo, /) -> bytes:
    return jsonio.dumps(_model(model))


def _model(model: ModelInfo) -> JsonObject:
    out: JsonObject = {
        "type": "model",
        "id": model.id,
        "display_name": model.name or model.id,
        "created_at": _UNKNOWN_DAY,
        "lifecycle": "active",
    }
    limits = {"max_input_tokens": model.context_tokens, "max_tokens": model.output_tokens}
    return out | {field: limit for field, limit in limits.items() if limit}
