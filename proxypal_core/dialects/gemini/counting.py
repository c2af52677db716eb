"""How many tokens a request has, as ``:countTokens`` counts them."""

from proxypal_core.dialects.gemini.request_encode import encode_request
from proxypal_core.hub.messages import Request
from proxypal_core.wire import jsonio
from proxypal_core.wire.jsonio import JsonObject


def encode_count(request: Request, /) -> bytes | None:
    """The whole request, since ``contents`` alone would leave out instructions and tools."""
    body = jsonio.load_object(encode_request(request).body)
    return jsonio.dumps({"generateContentRequest": {"model": f"models/{request.model}", **body}})


def decode_count(doc: JsonObject, /) -> int:
    return jsonio.need(doc, "totalTokens", jsonio.integer)


def count_reply(tokens: int, /) -> bytes:
    return jsonio.dumps({"totalTokens": tokens})
