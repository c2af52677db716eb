"""Chat Completions has no way to count a request's tokens."""

from proxypal_core.hub.messages import Request
from proxypal_core.wire import jsonio
from proxypal_core.wire.jsonio import JsonObject


def encode_count(request: Request, /) -> bytes | None:
    return None


def decode_count(doc: JsonObject, /) -> int:
    return jsonio.need(doc, "prompt_tokens", jsonio.integer)


def count_reply(tokens: int, /) -> bytes:
    return jsonio.dumps({"prompt_tokens": tokens})
