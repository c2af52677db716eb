"""Content parts in this dialect's words. *own* is whether the client speaks them itself."""

from collections.abc import Sequence
from typing import Any

from proxypal_core.dialects import media
from proxypal_core.dialects.openai_words import is_dialect, write_audio
from proxypal_core.dialects.turns import Said
from proxypal_core.hub.failure import invalid
from proxypal_core.hub.messages import (
    Audio,
    Base64,
    CacheMark,
    File,
    FileId,
    Image,
    PlainText,
    Text,
    Url,
)
from proxypal_core.wire.jsonio import JsonObject


def encode_content(parts: Sequence[Said], *, own: bool) -> Any:
    """A plain string where it can be one: many servers take nothing else."""
    encoded = [encode_part(part, own=own) for part in parts]
    if len(encoded) == 1 and encoded[0].keys() == {"type", "text"}:
        return encoded[0]["text"]
    return encoded


def encode_part(part: Said, *, own: bool) -> JsonObject:
    match part:
        case Text(text=text, cache=cache):
            return {"type": "text", "text": text} | encode_mark(cache, own=own)
        case Image(source=source, detail=detail, cache=cache):
            image = {"url": _image_url(source)}
            if detail:
                image["detail"] = detail
            return {"type": "image_url", "image_url": image} | encode_mark(cache, own=own)
        case Audio():
            return write_audio(part)
        case File(cache=cache):
            return _file(part) | encode_mark(cache, own=own)


_LIFETIMES = {"5m": "30m", "1h": "12h"}


def encode_mark(cache: CacheMark | None, *, own: bool) -> JsonObject:
    """A breakpoint, only for the client that set it so: other servers know no such field."""
    if cache is None or not own:
        return {}
    ttl = _LIFETIMES.get(cache.ttl)
    mark = {"mode": "explicit", "ttl": ttl} if ttl else {"mode": "explicit"}
    return {"prompt_cache_breakpoint": mark}


def _image_url(source: Any) -> str:
    match source:
        case Base64():
            return media.data_url(Base64(media.true_mime(source), source.data))
        case Url(url=url):
            return url
        case _:
            raise media.stored_elsewhere("an image")


def _file(file: File) -> JsonObject:
    match file.source:
        case FileId(id=file_id, origin=origin) if is_dialect(origin):
            return {"type": "file", "file": {"file_id": file_id}}
        case PlainText(text=text):
            return _document(file, text)
        case Base64(mime=mime, data=data) as source:
            if mime.startswith("text/"):
                return _document(file, media.decoded_text(source))
            if mime.startswith("audio/"):
                return write_audio(Audio(mime, data))
            if mime.startswith("image/"):
                return {"type": "image_url", "image_url": {"url": _image_url(source)}}
            if mime.startswith("application/"):
                name = file.name or f"file.{mime.rpartition('/')[2]}"
                content = {"filename": name, "file_data": media.data_url(source)}
                return {"type": "file", "file": content}
            raise invalid(f"a file of type {mime} is not taken by this provider; ask another model")
        case _:
            raise invalid(
                "a file that is not in the request is not taken by this provider; send it"
            )


def _document(file: File, text: str) -> JsonObject:
    return {"type": "text", "text": media.titled(file.name, text)}
