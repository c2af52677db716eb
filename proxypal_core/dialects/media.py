"""Inline media: data URLs, base64 alphabets, and what the bytes really are."""

import base64
import re

from proxypal_core.hub.failure import Refused, invalid
from proxypal_core.hub.messages import Base64, Url

_DATA_URL = re.compile(r"data:([^;,]*)((?:;[^;,]*)*),(.*)", re.DOTALL)
_MIME = re.compile(r"[a-z0-9!#$&^_.+-]+/[a-z0-9!#$&^_.+-]+")
_NOT_BASE64 = re.compile(r"[^A-Za-z0-9+/]")

# The first bytes of a file, in base64: enough to tell the four kinds every vendor takes.
_MAGIC = (
    ("/9j/", "image/jpeg"),
    ("iVBORw0KGgo", "image/png"),
    ("R0lGOD", "image/gif"),
    ("UklGR", "image/webp"),
    ("JVBERi0", "application/pdf"),
)


def parse_data_url(url: str) -> Base64 | None:
    """The bytes of a ``data:`` URL in base64; None when *url* is no such URL."""
    match = _DATA_URL.fullmatch(url)
    if match is None or ";base64" not in match[2].lower():
        return None
    return inline(match[1], match[3])


def need_data_url(url: str, path: str) -> Base64:
    source = parse_data_url(url)
    if source is None:
        raise invalid(f"{path}: must be an http(s) URL or a base64 data URL", param=path)
    return source


def addressed(url: str, path: str, mime: str = "") -> Base64 | Url:
    """What the address *url* means: a file somewhere, or the bytes of a data URL."""
    if url.startswith(("https://", "http://")):
        return Url(url, mime)
    return need_data_url(url, path)


def attached(data: str, path: str) -> Base64:
    """The bytes of a file given as a data URL or, of a document, as bare base64."""
    if data.startswith("data:"):
        return need_data_url(data, path)
    return inline("application/pdf", data)


def inline(mime: str, data: str) -> Base64:
    """*data* in the standard alphabet, padded, without white space.

    Clients send URL-safe base64 (the Python SDK of Gemini), line breaks and no padding. Data that
    was cut off keeps its whole bytes, since vendors refuse what is not canonical.
    """
    standard = _NOT_BASE64.sub("", data.translate(_TO_STANDARD))
    stray = len(standard) % 4
    if stray:
        whole, rest = standard[:-stray], standard[-stray:]
        spelled = base64.b64decode(f"{rest}==") if stray > 1 else b""
        standard = whole + base64.b64encode(spelled).decode()
    kind = mime.partition(";")[0].strip().lower()
    return Base64(kind if _MIME.fullmatch(kind) else "application/octet-stream", standard)


_TO_STANDARD = str.maketrans("-_", "+/")


def data_url(source: Base64) -> str:
    return f"data:{source.mime};base64,{source.data}"


def true_mime(source: Base64) -> str:
    """The media type that the bytes show, where they show one; the declared one otherwise."""
    for magic, mime in _MAGIC:
        if source.data.startswith(magic):
            if magic == "UklGR" and not source.mime.startswith("image/"):
                break  # RIFF is also audio/wav
            return mime
    return source.mime


# ── documents, and what cannot be sent ───────────────────────────────────────────────────────


def titled(name: str, text: str) -> str:
    """A document given as text, for those who know no documents."""
    return f"{name}\n{text}" if name else text


def decoded_text(source: Base64) -> str:
    try:
        return base64.b64decode(source.data, validate=True).decode("utf-8", "replace")
    except ValueError:
        raise invalid(
            f"a file of type {source.mime} is not valid base64; encode it again"
        ) from None


def stored_elsewhere(what: str) -> Refused:
    """The refusal of *what*, "an image" say, that only another vendor has."""
    return invalid(f"{what} stored at one provider cannot be used at another: send it")
