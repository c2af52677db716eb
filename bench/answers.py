"""What clients ask and providers answer in the four dialects, as short as their documents allow.

An answer is a stream of events with a mark in each, which bench/upstream.c stamps as it sends it
and bench/loadgen.c checks, or one object of JSON with one mark in it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from proxypal_core.wire import jsonio
from proxypal_core.wire.jsonio import JsonObject

MARK = "@0000000000000000."
"""A sign, four digits for the number of the event, twelve for the time, and a stop."""
STREAM_HEAD = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\n"
    b"Cache-Control: no-cache\r\nTransfer-Encoding: chunked\r\n\r\n"
)
CREATED = 1_795_000_000
MODEL = "mock"


@dataclass(frozen=True)
class Dialect:
    """A client's requests and a provider's answers; bodies are objects of JSON.

    ``path`` has a place for the model and one for the method, which only Gemini uses. ``end`` is
    what the last event of a complete stream has in it, and no other. ``says_again`` where the last
    events have all the text once more.
    """

    name: str
    path: str
    request: Callable[[str, str, bool], JsonObject]
    opening: Sequence[JsonObject]
    event: JsonObject
    closing: Sequence[JsonObject | bytes]
    whole: JsonObject
    end: str
    named_events: bool = False
    says_again: bool = False
    newline: bytes = b"\n"


def write(folder: Path) -> None:
    """Put into *folder* the files that bench/upstream.c reads."""
    for dialect in DIALECTS.values():
        for part, content in _parts(dialect).items():
            (folder / f"{dialect.name}.{part}").write_bytes(content)


def request(
    dialect: Dialect, *, model: str, stream: bool, prompt: str, headers: dict[str, str], host: str
) -> bytes:
    """One HTTP/1.1 request."""
    method = "streamGenerateContent?alt=sse" if stream else "generateContent"
    body = jsonio.dumps(dialect.request(model, prompt, stream))
    lines = {
        "Host": host,
        "Content-Type": "application/json",
        "Content-Length": str(len(body)),
        **headers,
    }
    head = f"POST {dialect.path.format(model=model, method=method)} HTTP/1.1\r\n"
    head += "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    return head.encode() + b"\r\n" + body


def _parts(dialect: Dialect) -> dict[str, bytes]:
    whole = jsonio.dumps(dialect.whole)
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
    return {
        "head": STREAM_HEAD + b"".join(_framed(dialect, event) for event in dialect.opening),
        "event": _framed(dialect, dialect.event),
        "tail": b"".join(_framed(dialect, event) for event in dialect.closing) + b"0\r\n\r\n",
        "json": head % len(whole) + whole,
    }


def _framed(dialect: Dialect, event: JsonObject | bytes) -> bytes:
    """*event* as server-sent, in an HTTP chunk of its own, as providers send them."""
    data = event if isinstance(event, bytes) else jsonio.dumps(event)
    name = b""
    if dialect.named_events and isinstance(event, dict):
        name = b"event: " + event["type"].encode() + dialect.newline
    text = name + b"data: " + data + 2 * dialect.newline
    return b"%x\r\n%b\r\n" % (len(text), text)


def _chat_chunk(delta: JsonObject, finish: str | None = None) -> JsonObject:
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "created": CREATED,
        "model": MODEL,
        "choices": [{"index": 0, "delta": delta, "finish_reason": finish}],
    }


def _chat_usage(output: int) -> JsonObject:
    return {"prompt_tokens": 12, "completion_tokens": output, "total_tokens": 12 + output}


CHAT = Dialect(
    name="openai-chat",
    path="/v1/chat/completions",
    request=lambda model, prompt, stream: {
        "model": model,
        "stream": stream,
        "messages": [{"role": "user", "content": prompt}],
    },
    opening=[_chat_chunk({"role": "assistant", "content": ""})],
    event=_chat_chunk({"content": MARK}),
    closing=[
        _chat_chunk({}, "stop"),
        {**_chat_chunk({}), "choices": [], "usage": _chat_usage(100)},
        b"[DONE]",
    ],
    whole={
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": CREATED,
        "model": MODEL,
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": f"{MARK} hello"},
                "finish_reason": "stop",
            }
        ],
        "usage": _chat_usage(4),
    },
    end="[DONE]",
)


_PART: JsonObject = {"type": "output_text", "text": "hello", "annotations": []}
_ITEM: JsonObject = {"id": "msg_1", "type": "message", "role": "assistant"}
_WITHIN_ITEM: JsonObject = {"item_id": "msg_1", "output_index": 0, "content_index": 0}


def _response(status: str, output: Sequence[JsonObject], usage: JsonObject | None) -> JsonObject:
    return {
        "id": "resp_1",
        "object": "response",
        "created_at": CREATED,
        "status": status,
        "model": MODEL,
        "output": output,
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
        "usage": usage,
    }


def _message(text: str) -> JsonObject:
    return {**_ITEM, "status": "completed", "content": [{**_PART, "text": text}]}


def _responses_usage(output: int) -> JsonObject:
    return {
        "input_tokens": 12,
        "input_tokens_details": {"cached_tokens": 0},
        "output_tokens": output,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": 12 + output,
    }


def _step(kind: str, number: int, **fields: object) -> JsonObject:
    return {"type": f"response.{kind}", "sequence_number": number, **fields}


RESPONSES = Dialect(
    name="openai-responses",
    path="/v1/responses",
    request=lambda model, prompt, stream: {"model": model, "stream": stream, "input": prompt},
    opening=[
        _step("created", 0, response=_response("in_progress", [], None)),
        _step(
            "output_item.added",
            1,
            output_index=0,
            item={**_ITEM, "status": "in_progress", "content": []},
        ),
        _step("content_part.added", 2, **_WITHIN_ITEM, part={**_PART, "text": ""}),
    ],
    event=_step("output_text.delta", 3, **_WITHIN_ITEM, delta=MARK, logprobs=[]),
    closing=[
        _step("output_text.done", 4, **_WITHIN_ITEM, text="hello", logprobs=[]),
        _step("content_part.done", 5, **_WITHIN_ITEM, part=_PART),
        _step("output_item.done", 6, output_index=0, item=_message("hello")),
        _step(
            "completed",
            7,
            response=_response("completed", [_message("hello")], _responses_usage(100)),
        ),
    ],
    whole=_response("completed", [_message(f"{MARK} hello")], _responses_usage(4)),
    end="response.completed",
    named_events=True,
    says_again=True,
)


def _anthropic_message(content: Sequence[JsonObject], stop: str | None, output: int) -> JsonObject:
    return {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": MODEL,
        "content": content,
        "stop_reason": stop,
        "stop_sequence": None,
        "usage": {"input_tokens": 12, "output_tokens": output},
    }


ANTHROPIC = Dialect(
    name="anthropic",
    path="/v1/messages",
    request=lambda model, prompt, stream: {
        "model": model,
        "stream": stream,
        "max_tokens": 1024,
        "messages": [{"role": "user", "content": prompt}],
    },
    opening=[
        {"type": "message_start", "message": _anthropic_message([], None, 1)},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
    ],
    event={
        "type": "content_block_delta",
        "index": 0,
        "delta": {"type": "text_delta", "text": MARK},
    },
    closing=[
        {"type": "content_block_stop", "index": 0},
        {
            "type": "message_delta",
            "delta": {"stop_reason": "end_turn", "stop_sequence": None},
            "usage": {"output_tokens": 100},
        },
        {"type": "message_stop"},
    ],
    whole=_anthropic_message([{"type": "text", "text": f"{MARK} hello"}], "end_turn", 4),
    end="message_stop",
    named_events=True,
)


def _candidate(text: str, **more: object) -> JsonObject:
    content = {"parts": [{"text": text}], "role": "model"}
    return {"candidates": [{"content": content, "index": 0, **more}]}


def _gemini_usage(output: int) -> JsonObject:
    return {
        "promptTokenCount": 12,
        "candidatesTokenCount": output,
        "totalTokenCount": 12 + output,
    }


_GEMINI: JsonObject = {"modelVersion": MODEL, "responseId": "r1"}
GEMINI = Dialect(
    name="gemini",
    path="/v1beta/models/{model}:{method}",
    request=lambda _model, prompt, _stream: {
        "contents": [{"role": "user", "parts": [{"text": prompt}]}]
    },
    opening=[],
    event={**_candidate(MARK), **_GEMINI},
    closing=[
        {**_candidate("", finishReason="STOP"), "usageMetadata": _gemini_usage(100), **_GEMINI}
    ],
    whole={
        **_candidate(f"{MARK} hello", finishReason="STOP"),
        "usageMetadata": _gemini_usage(4),
        **_GEMINI,
    },
    end='"STOP"',
    newline=b"\r\n",
)

DIALECTS = {"chat": CHAT, "responses": RESPONSES, "anthropic": ANTHROPIC, "gemini": GEMINI}
"""By the short names that targets have."""
