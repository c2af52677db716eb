"""https://api.openai.com/v1/responses"""

import json
from typing import Any

from tests.fault_server.transcripts.scenarios import SIGNATURE, Scenario, halves

ID = "resp_fault1"
CREATED = 1_795_000_001


def whole(scenario: Scenario, model: str) -> dict[str, Any]:
    return _response(scenario, model, "incomplete" if scenario.cut_short else "completed")


def frames(scenario: Scenario, model: str) -> list[bytes]:
    started = _response(scenario, model, "in_progress")
    events: list[dict[str, Any]] = [
        {"type": "response.created", "response": started},
        {"type": "response.in_progress", "response": started},
    ]
    for index, item in enumerate(_items(scenario)):
        events += _ITEM_EVENTS[item["type"]](scenario, index, item)
    final = whole(scenario, model)
    events.append({"type": f"response.{final['status']}", "response": final})
    return [_frame(event, number) for number, event in enumerate(events)]


def _response(scenario: Scenario, model: str, status: str) -> dict[str, Any]:
    done = status != "in_progress"
    return {
        "id": ID,
        "object": "response",
        "created_at": CREATED,
        "status": status,
        "background": False,
        "error": None,
        "incomplete_details": {"reason": "max_output_tokens"} if status == "incomplete" else None,
        "instructions": None,
        "max_output_tokens": None,
        "model": model,
        "output": _items(scenario) if done else [],
        "parallel_tool_calls": True,
        "previous_response_id": None,
        "reasoning": {"effort": None, "summary": None},
        "service_tier": "default",
        "store": False,
        "temperature": 1.0,
        "text": {"format": {"type": "text"}},
        "tool_choice": "auto",
        "tools": [],
        "top_p": 1.0,
        "truncation": "disabled",
        "usage": _usage(scenario) if done else None,
        "metadata": {},
    }


def _usage(scenario: Scenario) -> dict[str, Any]:
    return {
        "input_tokens": scenario.input_tokens,
        "input_tokens_details": {"cached_tokens": scenario.cached_tokens, "cache_write_tokens": 0},
        "output_tokens": scenario.output_tokens,
        "output_tokens_details": {"reasoning_tokens": scenario.thinking_tokens},
        "total_tokens": scenario.input_tokens + scenario.output_tokens,
    }


def _items(scenario: Scenario) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = []
    if scenario.thought:
        summary = [{"type": "summary_text", "text": "".join(scenario.thought)}]
        items.append(
            {
                "id": "rs_fault1",
                "type": "reasoning",
                "summary": summary,
                "encrypted_content": SIGNATURE,
            }
        )
    parts: list[dict[str, Any]] = []
    if scenario.text:
        parts.append(
            {
                "type": "output_text",
                "annotations": [],
                "logprobs": [],
                "text": "".join(scenario.text),
            }
        )
    if scenario.refusal:
        parts.append({"type": "refusal", "refusal": "".join(scenario.refusal)})
    if parts:
        items.append(
            {
                "id": "msg_fault1",
                "type": "message",
                "status": "incomplete" if scenario.cut_short else "completed",
                "role": "assistant",
                "content": parts,
            }
        )
    items += [
        {
            "id": f"fc_{call.id}",
            "type": "function_call",
            "status": "completed",
            "call_id": call.id,
            "name": call.name,
            "arguments": call.arguments,
        }
        for call in scenario.calls
    ]
    return items


def _reasoning_events(scenario: Scenario, index: int, item: dict[str, Any]) -> list[dict[str, Any]]:
    [summary] = item["summary"]
    at = {"item_id": item["id"], "output_index": index, "summary_index": 0}
    kind = "response.reasoning_summary"
    return [
        _added(index, {**item, "summary": []}),
        {"type": f"{kind}_part.added", **at, "part": {**summary, "text": ""}},
        *({"type": f"{kind}_text.delta", **at, "delta": piece} for piece in scenario.thought),
        {"type": f"{kind}_text.done", **at, "text": summary["text"]},
        {"type": f"{kind}_part.done", **at, "part": summary},
        _done(index, item),
    ]


def _message_events(scenario: Scenario, index: int, item: dict[str, Any]) -> list[dict[str, Any]]:
    events = [_added(index, {**item, "status": "in_progress", "content": []})]
    for content_index, part in enumerate(item["content"]):
        at = {"item_id": item["id"], "output_index": index, "content_index": content_index}
        if part["type"] == "refusal":
            field, kind, pieces = "refusal", "response.refusal", scenario.refusal
            extra: dict[str, Any] = {}
        else:
            field, kind, pieces = "text", "response.output_text", scenario.text
            extra = {"logprobs": []}
        events += [
            {"type": "response.content_part.added", **at, "part": {**part, field: ""}},
            *({"type": f"{kind}.delta", **at, "delta": piece, **extra} for piece in pieces),
            {"type": f"{kind}.done", **at, field: part[field], **extra},
            {"type": "response.content_part.done", **at, "part": part},
        ]
    return [*events, _done(index, item)]


def _call_events(scenario: Scenario, index: int, item: dict[str, Any]) -> list[dict[str, Any]]:
    at = {"item_id": item["id"], "output_index": index}
    kind = "response.function_call_arguments"
    return [
        _added(index, {**item, "status": "in_progress", "arguments": ""}),
        *({"type": f"{kind}.delta", **at, "delta": piece} for piece in halves(item["arguments"])),
        {"type": f"{kind}.done", **at, "name": item["name"], "arguments": item["arguments"]},
        _done(index, item),
    ]


_ITEM_EVENTS = {
    "reasoning": _reasoning_events,
    "message": _message_events,
    "function_call": _call_events,
}


def _added(index: int, item: dict[str, Any]) -> dict[str, Any]:
    return {"type": "response.output_item.added", "output_index": index, "item": item}


def _done(index: int, item: dict[str, Any]) -> dict[str, Any]:
    return {"type": "response.output_item.done", "output_index": index, "item": item}


def _frame(event: dict[str, Any], number: int) -> bytes:
    document = {"type": event["type"], "sequence_number": number, **event}
    text = json.dumps(document, ensure_ascii=False, separators=(",", ":"))
    return f"event: {event['type']}\ndata: {text}\n\n".encode()
