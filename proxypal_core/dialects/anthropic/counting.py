"""How many tokens a request has, as Messages counts them."""

from proxypal_core.dialects.anthropic.request_encode import encode_request
from proxypal_core.hub.messages import Request
from proxypal_core.wire import jsonio
from proxypal_core.wire.jsonio import JsonObject

# count_tokens takes what the prompt is made of, and refuses the rest.
_NOT_COUNTED = frozenset(
    {
        "max_tokens",
        "stream",
        "temperature",
        "top_p",
        "top_k",
        "stop_sequences",
        "metadata",
        "service_tier",
    }
)


def encode_count(request: Request, /) -> bytes | None:
    body = jsonio.load_object(encode_request(request).body)
    return jsonio.dumps({key: value for key, value in body.items() if key not in _NOT_COUNTED})


def decode_count(doc: JsonObject, /) -> int:
    return jsonio.need(doc, "input_tokens", jsonio.integer)


def count_reply(tokens: int, /) -> bytes:
    return jsonio.dumps({"input_tokens": tokens})
