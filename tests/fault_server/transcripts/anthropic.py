"""https://api.anthropic.com/v1/messages"""

import json
from typing import Any

from tests.fault_server.transcripts.scenarios import SIGNATURE, Scenario, halves

ID = "msg_fault1"


def whole(scenario: Scenario, model: str) -> dict[str, Any]:
    return {
        "id": ID,
        "type": "message",
        "role": "assistant",
        "model": model,
        "content": [{**opened, **closed} for opened, _, closed in _blocks(scenario)],
        "stop_reason": _stop_reason(scenario),
        "stop_sequence": None,
        "stop_details": _stop_details(scenario),
        "usage": _usage(scenario, scenario.output_tokens),
    }


def frames(scenario: Scenario, model: str) -> list[bytes]:
    message = {
        **whole(scenario, model),
        "content": [],
        "stop_reason": None,
        "stop_details": None,
        "usage": _usage(scenario, 1),
    }
    events: list[dict[str, Any]] = [{"type": "message_start", "message": message}]
    for index, (opened, deltas, _) in enumerate(_blocks(scenario)):
        events.append({"type": "content_block_start", "index": index, "content_block": opened})
        if index == 0:
            events.append({"type": "ping"})
        events += [
            {"type": "content_block_delta", "index": index, "delta": delta} for delta in deltas
        ]
        events.append({"type": "content_block_stop", "index": index})
    delta = {
        "stop_reason": _stop_reason(scenario),
        "stop_sequence": None,
        "stop_details": _stop_details(scenario),
    }
    counts = _usage(scenario, scenario.output_tokens)
    events.append({"type": "message_delta", "delta": delta, "usage": counts})
    events.append({"type": "message_stop"})
    return [_frame(event) for event in events]


def _blocks(
    scenario: Scenario,
) -> list[tuple[dict[str, Any], list[dict[str, Any]], dict[str, Any]]]:
    """Each block as it is opened, its deltas, and the fields that are complete at its end."""
    blocks: list[tuple[dict[str, Any], list[dict[str, Any]], dict[str, Any]]] = []
    if scenario.thought:
        deltas = [{"type": "thinking_delta", "thinking": piece} for piece in scenario.thought]
        blocks.append(
            (
                {"type": "thinking", "thinking": "", "signature": ""},
                [*deltas, {"type": "signature_delta", "signature": SIGNATURE}],
                {"thinking": "".join(scenario.thought), "signature": SIGNATURE},
            )
        )
    words = scenario.text or scenario.refusal
    if words:
        blocks.append(
            (
                {"type": "text", "text": ""},
                [{"type": "text_delta", "text": piece} for piece in words],
                {"text": "".join(words)},
            )
        )
    blocks += [
        (
            {"type": "tool_use", "id": call.id, "name": call.name, "input": {}},
            [
                {"type": "input_json_delta", "partial_json": piece}
                for piece in ("", *halves(call.arguments))
            ],
            {"input": json.loads(call.arguments)},
        )
        for call in scenario.calls
    ]
    return blocks


def _stop_reason(scenario: Scenario) -> str:
    if scenario.cut_short:
        return "max_tokens"
    if scenario.refusal:
        return "refusal"
    return "tool_use" if scenario.calls else "end_turn"


def _stop_details(scenario: Scenario) -> dict[str, Any] | None:
    if not scenario.refusal:
        return None
    return {"type": "refusal", "category": "general_harms", "explanation": "Not this."}


def _usage(scenario: Scenario, output_tokens: int) -> dict[str, Any]:
    return {
        "input_tokens": scenario.input_tokens - scenario.cached_tokens,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": scenario.cached_tokens,
        "cache_creation": {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 0},
        "output_tokens": output_tokens,
        "output_tokens_details": {"thinking_tokens": scenario.thinking_tokens},
        "service_tier": "standard",
    }


def _frame(event: dict[str, Any]) -> bytes:
    text = json.dumps(event, ensure_ascii=False, separators=(",", ":"))
    return f"event: {event['type']}\ndata: {text}\n\n".encode()
