"""How many tokens a request has, as ``/responses/input_tokens`` counts them."""

from proxypal_core.dialects.openai_responses.request_encode import encode_request
from proxypal_core.hub.messages import Request
from proxypal_core.wire import jsonio
from proxypal_core.wire.jsonio import JsonObject

_COUNTED = (
    "model",
    "input",
    "instructions",
    "tools",
    "tool_choice",
    "parallel_tool_calls",
    "reasoning",
    "text",
    "truncation",
)


def encode_count(request: Request, /) -> bytes | None:
    body = jsonio.load_object(encode_request(request).body)
    return jsonio.dumps({key: body[key] for key in _COUNTED if key in body})


def decode_count(doc: JsonObject, /) -> int:
    return jsonio.need(doc, "input_tokens", jsonio.integer)


def count_reply(tokens: int, /) -> bytes:
    return jsonio.dumps({"object": "response.input_tokens", "input_tokens": tokens})
