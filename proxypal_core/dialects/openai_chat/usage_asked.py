"""A stream's usage, which Chat tells only those who ask: asked for always, hidden from the others."""

from proxypal_core.wire import jsonio
from proxypal_core.wire.jsonio import JsonObject

_ASKING = b'{"stream_options":{"include_usage":true},'


def with_usage(body: bytes, doc: JsonObject, /) -> bytes | None:
    """*body*, whose document is *doc*, asking for usage; None where it already does.

    The field is put in front, and the rest stays as it was written.
    """
    options = doc.get("stream_options")
    if options is None and "stream_options" not in doc and len(doc) > 0:
        return _ASKING + body.lstrip()[1:]
    if isinstance(options, dict) and options.get("include_usage"):
        return None
    told = options if isinstance(options, dict) else {}
    sent = jsonio.load_object(body)  # its model may be another than the client's name for it
    return jsonio.dumps({**sent, "stream_options": {**told, "include_usage": True}})
