"""What a search found, and which of the answer's words rest on it. The two are apart in Gemini's
answers, and come at the end; offsets are bytes of the whole text in UTF-8.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from proxypal_core.dialects.gemini.words import NAME
from proxypal_core.hub.messages import Citation
from proxypal_core.wire.jsonio import JsonObject


def read(candidate: JsonObject, text: str, begin: int) -> Iterator[Citation]:
    """The citations of *candidate* that are about *text*, which begins *begin* bytes into the
    answer.
    """
    grounding = _object(candidate, "groundingMetadata")
    chunks = _objects(grounding, "groundingChunks")
    supports = _objects(grounding, "groundingSupports")
    for support in supports:
        span = _characters(_object(support, "segment"), text, begin)
        if span is not None:
            for at in support.get("groundingChunkIndices") or ():
                if isinstance(at, int) and 0 <= at < len(chunks):
                    yield from _cited(chunks[at], *span)
    if not supports:
        for chunk in chunks:
            yield from _cited(chunk, 0, None)
    recited = _object(candidate, "citationMetadata")
    for place in _objects(recited, "citationSources") or _objects(recited, "citations"):
        span = _characters(place, text, begin)
        if span is not None:
            yield from _cited({"web": place}, *span)


def write(cited: Sequence[tuple[Citation, int, str]]) -> JsonObject:
    """The fields of a candidate for *cited*: citations, each with where its text begins, in bytes,
    and that text.
    """
    sources: dict[tuple[str, str], int] = {}
    supports: dict[tuple[int, int], JsonObject] = {}
    for citation, begin, text in cited:
        if not citation.url:
            continue
        source = (citation.url, citation.title or citation.url)
        chunk = sources.setdefault(source, len(sources))
        start, end = citation.span(len(text))
        said = text[start:end]
        first = begin + len(text[:start].encode())
        last = first + len(said.encode())
        segment = {"startIndex": first, "endIndex": last, "text": said}
        support = supports.setdefault(
            (first, last), {"segment": segment, "groundingChunkIndices": []}
        )
        if chunk not in support["groundingChunkIndices"]:
            support["groundingChunkIndices"].append(chunk)
    if not sources:
        return {}
    chunks = [{"web": {"uri": url, "title": title}} for url, title in sources]
    return {
        "groundingMetadata": {
            "groundingChunks": chunks,
            "groundingSupports": list(supports.values()),
        }
    }


def _cited(chunk: Mapping[str, Any], start: int, end: int | None) -> Iterable[Citation]:
    source = _object(chunk, "web") or _object(chunk, "retrievedContext") or _object(chunk, "maps")
    url, title = source.get("uri"), source.get("title")
    if isinstance(url, str) and url:
        name = title if isinstance(title, str) else ""
        yield Citation(url=url, title=name, start=start, end=end, dialect=NAME)


def _characters(place: JsonObject, text: str, begin: int) -> tuple[int, int] | None:
    """Where in *text* the bytes are that *place* names; None when they are not all in it. Some count
    from the beginning of their own part, and say which words they mean.
    """
    said = place.get("text")
    span = _counted(place, text.encode(), begin)
    if not isinstance(said, str) or not said or (span and text[slice(*span)] == said):
        return span
    at = text.find(said)
    return None if at < 0 else (at, at + len(said))


def _counted(place: JsonObject, data: bytes, begin: int) -> tuple[int, int] | None:
    start, end = place.get("startIndex") or 0, place.get("endIndex") or 0
    if not isinstance(start, int) or not isinstance(end, int):
        return None
    start, end = start - begin, end - begin
    if not 0 <= start < end <= len(data):
        return None
    return len(data[:start].decode("utf-8", "ignore")), len(data[:end].decode("utf-8", "ignore"))


def _object(holder: Mapping[str, Any], field: str) -> JsonObject:
    value = holder.get(field)
    return value if isinstance(value, dict) else {}


def _objects(holder: Mapping[str, Any], field: str) -> list[JsonObject]:
    value = holder.get(field)
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []
