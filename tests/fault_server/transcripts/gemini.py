"""https://generativelanguage.googleapis.com/v1beta/models/{model}:generateContent"""

import json
from typing import Any

from tests.fault_server.transcripts.scenarios import SIGNATURE, Scenario

ID = "fault1"


def whole(scenario: Scenario, model: str) -> dict[str, Any]:
    parts: list[dict[str, Any]] = []
    if scenario.thought:
        parts.append({"text": "".join(scenario.thought), "thought": True})
    words = "".join(scenario.text or scenario.refusal)
    if words:
        parts.append({"text": words})
    if scenario.thought and words:
        parts[-1]["thoughtSignature"] = SIGNATURE
    return _reply(scenario, model, [*parts, *_calls(scenario)], finish=True)


def frames(scenario: Scenario, model: str) -> list[bytes]:
    pieces: list[dict[str, Any]] = [{"text": piece, "thought": True} for piece in scenario.thought]
    pieces += [{"text": piece} for piece in scenario.text or scenario.refusal]
    pieces += _calls(scenario)
    last: dict[str, Any] = {"text": ""}
    if scenario.thought:
        last["thoughtSignature"] = SIGNATURE
    replies = [_reply(scenario, model, [piece], finish=False) for piece in pieces]
    replies.append(_reply(scenario, model, [last], finish=True))
    return [_frame(reply) for reply in replies]


def as_array(events: list[bytes]) -> list[bytes]:
    """The same stream as one JSON array: what is sent without ``alt=sse``."""
    documents = [event.removeprefix(b"data: ").rstrip() for event in events]
    return [
        *((b"[" if i == 0 else b",\r\n") + document for i, document in enumerate(documents)),
        b"]",
    ]


def _calls(scenario: Scenario) -> list[dict[str, Any]]:
    calls: list[dict[str, Any]] = [
        {
            "functionCall": {
                "id": call.id,
                "name": call.name,
                "args": json.loads(call.arguments),
            }
        }
        for call in scenario.calls
    ]
    # Only the first of parallel calls is signed.
    for call in calls[:1]:
        call["thoughtSignature"] = SIGNATURE
    return calls


def _reply(
    scenario: Scenario, model: str, parts: list[dict[str, Any]], *, finish: bool
) -> dict[str, Any]:
    candidate: dict[str, Any] = {"content": {"parts": parts, "role": "model"}, "index": 0}
    counts = {
        "promptTokenCount": scenario.input_tokens,
        "totalTokenCount": scenario.input_tokens,
        "cachedContentTokenCount": scenario.cached_tokens,
    }
    if finish:
        candidate["finishReason"] = _finish_reason(scenario)
        counts["candidatesTokenCount"] = scenario.output_tokens - scenario.thinking_tokens
        counts["totalTokenCount"] += scenario.output_tokens
        if scenario.thinking_tokens:
            counts["thoughtsTokenCount"] = scenario.thinking_tokens
    return {
        "candidates": [candidate],
        "usageMetadata": counts,
        "modelVersion": model,
        "responseId": ID,
    }


def _finish_reason(scenario: Scenario) -> str:
    if scenario.cut_short:
        return "MAX_TOKENS"
    return "SAFETY" if scenario.refusal else "STOP"


def _frame(reply: dict[str, Any]) -> bytes:
    text = json.dumps(reply, ensure_ascii=False, separators=(",", ":"))
    return f"data: {text}\r\n\r\n".encode()
