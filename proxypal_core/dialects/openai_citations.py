"""Citations in the words of OpenAI: flat in Responses, one level deeper in Chat. The two indexes are
characters of the text.
"""

from collections.abc import Mapping
from typing import Any

from proxypal_core.hub.messages import Citation
from proxypal_core.wire.jsonio import JsonObject

KIND = "url_citation"


def read(raw: Any, dialect: str) -> Citation:
    """*raw* in either form; files, which only OpenAI has, are kept for *dialect* alone."""
    source = raw.get(KIND, raw) if isinstance(raw, Mapping) else None
    if not isinstance(source, Mapping) or not isinstance(source.get("url"), str):
        return Citation(dialect=dialect, raw=raw)
    title = source.get("title")
    start, end = source.get("start_index"), source.get("end_index")
    if not isinstance(start, int) or not isinstance(end, int) or not 0 <= start <= end:
        start, end = 0, None
    return Citation(
        url=source["url"],
        title=title if isinstance(title, str) else "",
        start=start,
        end=end,
        dialect=dialect,
        raw=raw,
    )


def source(citation: Citation, length: int, offset: int = 0) -> JsonObject:
    """What is cited in a text of *length* characters that begins *offset* characters into the
    message's.
    """
    start, end = citation.span(length)
    return {
        "start_index": offset + start,
        "end_index": offset + end,
        "title": citation.title or citation.url,
        "url": citation.url,
    }
