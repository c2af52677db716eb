"""What one dialect or vendor alone has: fields of a request, parts, and blobs."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from proxypal_core.hub.failure import invalid
from proxypal_core.hub.messages import Blob, Image, Opaque, Request

# State at one vendor: without it another question is answered.
_STATE = ("previous_response_id", "conversation", "prompt", "background", "cachedContent")
# What the client will miss in the answer. All else only changes how the answer is made.
_VISIBLE = (
    # OpenAI's
    "audio",
    "modalities",
    "prediction",
    "web_search_options",
    # Anthropic's
    "container",
    "mcp_servers",
    # Gemini's
    "responseModalities",
    "safetySettings",
    "speechConfig",
)


def state(request: Request, own: str) -> list[str]:
    """The fields of dialects other than *own* that refer to state at their vendor."""
    return _given(request, own, _STATE)


def refuse_state(request: Request, own: str) -> None:
    """Raises ``Refused`` for a request that refers to state of a provider that is not its target's."""
    for field in state(request, own):
        raise invalid(
            f"{field}: is kept at one provider alone; leave it out, or ask a model there",
            param=field,
        )


def refuse_several(request: Request) -> None:
    """Raises ``Refused`` for a request that wants several answers: another dialect gets one."""
    if (request.sampling.n or 1) > 1:
        field = "candidateCount" if request.dialect == "gemini" else "n"
        raise invalid(
            f"{field}: this provider gives one answer to a request; ask again for another",
            param=field,
        )


def visible(request: Request, own: str) -> list[str]:
    """The fields of dialects other than *own* whose absence shows in the answer."""
    return _given(request, own, _VISIBLE)


def asks_detail(request: Request) -> bool:
    """Whether an image says how closely it should be looked at."""
    return any(
        isinstance(part, Image) and part.detail not in ("", "auto")
        for turn in request.turns
        for part in turn.parts
    )


def _given(request: Request, own: str, fields: Iterable[str]) -> list[str]:
    given = {
        field for foreign in _foreign(request, own) for field, value in foreign.items() if value
    }
    return [field for field in fields if field in given]


def _foreign(request: Request, own: str) -> Iterator[Mapping[str, Any]]:
    for dialect, fields in request.extras.items():
        if dialect != own and isinstance(fields, dict):
            yield fields
            config = fields.get("generationConfig")  # where Gemini keeps half of its own
            if isinstance(config, dict):
                yield config


def name_of(part: Opaque) -> str:
    """What *part* is called when it is dropped."""
    kind = part.raw.get("type") if isinstance(part.raw, Mapping) else None
    return kind if isinstance(kind, str) else part.dialect


def blob_of(blobs: Iterable[Blob], origin: str, kind: str = "") -> str:
    """The value of the first of *blobs* that *origin* can read, of *kind* if given; or empty."""
    fitting = (blob for blob in blobs if blob.origin == origin and kind in ("", blob.kind))
    return next((blob.value for blob in fitting), "")
