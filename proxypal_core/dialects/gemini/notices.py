"""What an answer, or an event of one, tells who only looks on; and such events made safe."""

from collections.abc import Mapping
from typing import Any

from proxypal_core.dialects.base import Notice
from proxypal_core.dialects.gemini import errors, words
from proxypal_core.dialects.gemini.errors import failure_in
from proxypal_core.dialects.gemini.framing import frame as framed
from proxypal_core.wire import jsonio, sse
from proxypal_core.wire.sse import Frame

_WORTH_READING = (b'"usageMetadata"', b'"parts"', b'"finishReason"', b'"blockReason"', b'"error"')


def notice(frame: Frame, /) -> Notice | None:
    """What *frame* tells.

    Raises:
        Malformed: its data is no JSON.
    """
    if not any(word in frame.data for word in _WORTH_READING):
        return None
    seen = notice_whole(jsonio.loads(frame.data))
    return None if seen == Notice() else seen


def notice_whole(doc: Any, /) -> Notice:
    failure = failure_in(doc)
    if failure is not None:
        return Notice(failure=failure)
    if not isinstance(doc, dict):
        return Notice()
    listed = doc.get("candidates")
    candidates = (
        [one for one in listed if isinstance(one, dict)] if isinstance(listed, list) else []
    )
    counts = doc.get("usageMetadata")
    return Notice(
        begun=any(_has_content(one) for one in candidates),
        finished=bool(words.block_reason(doc)) or any(map(words.finish_reason, candidates)),
        usage=words.read_usage(counts) if isinstance(counts, dict) else None,
    )


def _has_content(candidate: Mapping[str, Any]) -> bool:
    content = candidate.get("content")
    parts = content.get("parts") if isinstance(content, dict) else None
    if not isinstance(parts, list):
        return False
    return any(
        bool(value)
        for part in parts
        if isinstance(part, dict)
        for key, value in part.items()
        if key not in ("thought", "thoughtSignature")
    )


# ── made safe ────────────────────────────────────────────────────────────────────────────────


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
    return framed(jsonio.escape_separators(_safe_error(data) if b'"error"' in data else data))


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
