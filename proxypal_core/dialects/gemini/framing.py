"""The frames of a stream in the only form that Google's clients read: ``data: `` and one line."""

from proxypal_core.dialects.gemini import errors
from proxypal_core.dialects.gemini.answer import frame
from proxypal_core.wire import jsonio, sse

ARRAY_START = b"["
ARRAY_END = b"]"


def canonical(raw: bytes, /) -> bytes:
    """*raw* without what makes Google's clients fail; *raw* itself where it is already safe.

    Their reader knows neither comments, ``event:`` and ``id:`` lines nor ``[DONE]``, and takes an
    error only when ``error`` comes first with an integer in ``code``.
    """
    if _is_safe(raw):
        return raw
    event = sse.parse(raw)
    if event is None:
        return b""
    # JSON may be broken between tokens, where a space does as well.
    data = b" ".join(event.data.splitlines()).strip()
    if not data or data == b"[DONE]":
        return b""
    return frame(jsonio.escape_separators(_safe_error(data) if b'"error"' in data else data))


def _is_safe(raw: bytes) -> bool:
    if not raw.startswith(b"data: {"):
        return False
    end = -4 if raw.endswith(b"\r\n\r\n") else -2 if raw.endswith(b"\n\n") else 0
    data = raw[6:end] if end else b"\n"
    return (
        b"\n" not in data
        and b"\r" not in data
        and (b'"error"' not in data or _safe_error(data) is data)
        and jsonio.escape_separators(data) == data
    )


def _safe_error(data: bytes) -> bytes:
    """*data*, or the same error in the form that is taken for one."""
    try:
        doc = jsonio.loads(data)
    except jsonio.Malformed:
        return data
    one = doc[0] if isinstance(doc, list) and doc else doc
    if not isinstance(one, dict) or one.get("error") is None:
        return data
    error = one["error"]
    if one is doc and next(iter(doc)) == "error" and isinstance(error, dict):
        code = error.get("code")
        if isinstance(code, int) and not isinstance(code, bool):
            return data
    return errors.body(errors.decode_failure(200, data))


def as_array_item(frame_data: bytes, first: bool) -> bytes:  # noqa: FBT001 — two words of one sentence
    """*frame_data* as the next element of the array that a stream without ``alt=sse`` is.

    ``ARRAY_END`` closes it; a stream without any element is ``ARRAY_START + ARRAY_END``.
    """
    return (ARRAY_START if first else b",\r\n") + frame_data
