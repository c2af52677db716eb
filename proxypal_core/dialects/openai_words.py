"""What the two dialects of OpenAI have in common, failures apart."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from proxypal_core.dialects import media, tools
from proxypal_core.hub.failure import invalid
from proxypal_core.hub.messages import Audio, FileId, ModelInfo
from proxypal_core.wire import jsonio
from proxypal_core.wire.jsonio import JsonObject

ORIGIN = "openai"
"""Whose blobs these dialects may carry."""


def peek(doc: JsonObject, /) -> tuple[str, bool]:
    model = doc.get("model")
    return model if isinstance(model, str) else "", doc.get("stream") is True


def is_dialect(name: str) -> bool:
    """Whether *name* is that of a dialect of OpenAI: files and marks mean the same in both."""
    return name.startswith("openai")


def is_ours(source: FileId) -> bool:
    return is_dialect(source.origin)


# ── models ───────────────────────────────────────────────────────────────────────────────────

# Names of OpenAI's own models, also behind a prefix ("openai/gpt-5.5"). Anything else may be any
# server that speaks the dialect as it was when that server was written.
_OPENAI = re.compile(r"(?:^|/)(?:gpt-(?!oss)|chatgpt-|o[134](?![a-z0-9])|codex)")
_REASONING = re.compile(r"(?:^|/)(?:gpt-[5-9]|o[134](?![a-z0-9])|codex)")


def is_openai(model: str) -> bool:
    return _OPENAI.search(model) is not None


def is_reasoning(model: str) -> bool:
    """Whether *model* is one of OpenAI's that reason, and refuse what only others take."""
    return _REASONING.search(model) is not None


# Of OpenAI's reasoning models, those that cannot be told to think not at all.
_LEAST_EFFORTS = (
    (re.compile(r"(?:^|/)o[134](?![a-z0-9])"), "low"),
    (re.compile(r"(?:^|/)gpt-5(?![.\d])"), "minimal"),
)


def least_effort(model: str) -> str:
    """How a reasoning *model* is told to think as little as it can."""
    return next((word for pattern, word in _LEAST_EFFORTS if pattern.search(model)), "none")


def encode_models(models: Sequence[ModelInfo], /) -> bytes:
    return jsonio.dumps({"object": "list", "data": [_model(model) for model in models]})


def encode_model(model: ModelInfo, /) -> bytes:
    return jsonio.dumps(_model(model))


def _model(model: ModelInfo) -> JsonObject:
    return {"id": model.id, "object": "model", "created": 0, "owned_by": model.owner}


# ── requests ─────────────────────────────────────────────────────────────────────────────────


def is_strict(schema: Any) -> bool:
    """Whether OpenAI takes *schema* in strict mode: objects closed, every property required."""
    if isinstance(schema, list):
        return all(is_strict(item) for item in schema)
    if not isinstance(schema, Mapping):
        return True
    properties = schema.get("properties") or {}
    if schema.get("type") == "object" or properties:
        if schema.get("additionalProperties") is not False:
            return False
        if set(schema.get("required") or ()) != set(properties):
            return False
    inner = [value for key, value in schema.items() if key not in ("properties", "enum", "const")]
    return all(is_strict(value) for value in (*inner, *properties.values()))


_USER_LIMIT = 64


def end_user(user: str) -> str:
    """*user* as short as it has to be, and still the same one in each request."""
    return user if len(user) <= _USER_LIMIT else tools.digest(user)


_TIERS = {"standard_only": "default", "standard": "default"}


def service_tier(tier: str) -> str:
    return _TIERS.get(tier, tier)


# ── audio ────────────────────────────────────────────────────────────────────────────────────

_AUDIO_FORMATS = {
    "audio/wav": "wav",
    "audio/x-wav": "wav",
    "audio/wave": "wav",
    "audio/mpeg": "mp3",
    "audio/mp3": "mp3",
}


def read_audio(part: JsonObject, path: str) -> Audio:
    audio = jsonio.need(part, "input_audio", jsonio.obj, path)
    path += ".input_audio"
    word = jsonio.need(audio, "format", jsonio.string, path)
    data = jsonio.need(audio, "data", jsonio.string, path)
    if data.startswith("data:"):
        data = media.need_data_url(data, f"{path}.data").data
    source = media.inline("audio/mpeg" if word == "mp3" else f"audio/{word}", data)
    return Audio(source.mime, source.data)


def write_audio(audio: Audio) -> JsonObject:
    word = _AUDIO_FORMATS.get(audio.mime)
    if word is None:
        raise invalid(f"audio of type {audio.mime} cannot be sent to this provider: use wav or mp3")
    return {"type": "input_audio", "input_audio": {"data": audio.data, "format": word}}
