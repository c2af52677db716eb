"""Citations of a text block. A block is cited as a whole; answers are cut into blocks for that."""

from collections.abc import Mapping
from typing import Any

from proxypal_core.dialects.anthropic.words import NAME
from proxypal_core.hub.messages import Citation
from proxypal_core.wire.jsonio import JsonObject


def read(raw: Any) -> Citation:
    if not isinstance(raw, Mapping):
        return Citation(dialect=NAME, raw=raw)
    url = _text(raw, "url") or _text(raw, "source")  # the source of a search_result is any name
    return Citation(
        url=url if url.startswith(("https://", "http://")) else "",
        title=_text(raw, "title") or _text(raw, "document_title"),
        quote=_text(raw, "cited_text"),
        dialect=NAME,
        raw=raw,
    )


def own(citation: Citation) -> JsonObject | None:
    """*citation* as Anthropic once wrote it; None for another vendor's, even one that was told to a
    client in Anthropic's words (``told``): Anthropic would refuse it.
    """
    raw = citation.raw
    if citation.dialect != NAME or not isinstance(raw, dict):
        return None
    genuine = str(raw.get("type")).endswith("_location") and raw.get("encrypted_index") != ""
    return raw if genuine else None


def told(citation: Citation) -> JsonObject | None:
    """*citation* for a client; None for one without an address."""
    written = own(citation)
    if written is not None or not citation.url:
        return written
    return {
        "type": "web_search_result_location",
        "url": citation.url,
        "title": citation.title or citation.url,
        "cited_text": citation.quote,
        "encrypted_index": "",
    }


def _text(raw: Mapping[str, Any], field: str) -> str:
    value = raw.get(field)
    return value if isinstance(value, str) else ""
