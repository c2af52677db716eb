"""https://api.openai.com/v1/chat/completions"""

import json
from typing import Any

from tests.fault_server.transcripts.scenarios import Scenario, halves

ID = "chatcmpl-fault1"
CREATED = 1_795_000_001


def usage(scenario: Scenario) -> dict[str, Any]:
    return {
        "prompt_tokens": scenario.input_tokens,
        "completion_tokens": scenario.output_tokens,
        "total_tokens": scenario.input_tokens + scenario.output_tokens,
        "prompt_tokens_details": {"cached_tokens": scenario.cached_tokens, "audio_tokens": 0},
        "completion_tokens_details": {
            "reasoning_tokens": scenario.thinking_tokens,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }


def finish_reason(scenario: Scenario) -> str:
    if scenario.cut_short:
        return "length"
    return "tool_calls" if scenario.calls else "stop"


def whole(scenario: Scenario, model: str) -> dict[str, Any]:
    message: dict[str, Any] = {
        "role": "assistant",
        "content": "".join(scenario.text) or None,
        "refusal": "".join(scenario.refusal) or None,
        "annotations": [],
    }
    if scenario.thought:
        message["reasoning_content"] = "".join(scenario.thought)
    if scenario.calls:
        message["tool_calls"] = [
            {
                "id": call.id,
                "type": "function",
                "function": {"name": call.name, "arguments": call.arguments},
            }
            for call in scenario.calls
        ]
    choice = {
        "index": 0,
        "message": message,
        "logprobs": None,
        "finish_reason": finish_reason(scenario),
    }
    return {
        "id": ID,
        "object": "chat.completion",
        "created": CREATED,
        "model": model,
        "choices": [choice],
        "usage": usage(scenario),
        "service_tier": "default",
        "system_fingerprint": "fp_fault",
    }


def frames(scenario: Scenario, model: str) -> list[bytes]:
    """As with ``stream_options.include_usage``."""
    deltas: list[dict[str, Any]] = [
        {"role": "assistant", "content": None if scenario.calls else ""}
    ]
    deltas += [{"reasoning_content": piece} for piece in scenario.thought]
    deltas += [{"content": piece} for piece in scenario.text]
    deltas += [{"refusal": piece} for piece in scenario.refusal]
    for index, call in enumerate(scenario.calls):
        opening = {"name": call.name, "arguments": ""}
        deltas.append(
            {
                "tool_calls": [
                    {"index": index, "id": call.id, "type": "function", "function": opening}
                ]
            }
        )
        deltas += [
            {"tool_calls": [{"index": index, "function": {"arguments": piece}}]}
            for piece in halves(call.arguments)
        ]
    choices: list[list[dict[str, Any]]] = [[_choice(delta)] for delta in deltas]
    choices.append([_choice({}, finish_reason(scenario))])
    chunks = [_chunk(model, choice, None) for choice in choices]
    chunks.append(_chunk(model, [], usage(scenario)))
    return [*chunks, b"data: [DONE]\n\n"]


def without_usage(chunks: list[bytes]) -> list[bytes]:
    """The same stream, as it is for a client that did not ask for usage."""
    return [
        chunk.replace(b',"usage":null', b"") for chunk in chunks if b'"choices":[]' not in chunk
    ]


def _choice(delta: dict[str, Any], finish: str | None = None) -> dict[str, Any]:
    return {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}


def _chunk(model: str, choices: list[dict[str, Any]], counts: dict[str, Any] | None) -> bytes:
    document = {
        "id": ID,
        "object": "chat.completion.chunk",
        "created": CREATED,
        "model": model,
        "service_tier": "default",
        "system_fingerprint": "fp_fault",
        "choices": choices,
        "usage": counts,
    }
    text = json.dumps(document, ensure_ascii=False, separators=(",", ":"))
    return f"data: {text}\n\n".encode()
