"""Content parts in this dialect's words. *own* is whether the client speaks them itself."""

import base64
from collections.abc import Sequence
from typing import Any

from proxypal_core.dialects import media
from proxypal_core.hub.failure import Refused, invalid
from proxypal_core.hub.messages import (
    Audio,
    Base64,
    CacheMark,
    File,
    FileId,
    Image,
    Part,
    PlainText,
    Text,
    Url,
)
from proxypal_core.wire.jsonio import JsonObject


def encode_content(parts: Sequence[Part], *, own: bool) -> Any:
    """A plain string where it can be one: many servers take nothing else."""
    encoded = [encode_part(part, own=own) for part in parts]
    if len(encoded) == 1 and encoded[0].keys() == {"type", "text"}:
        return encoded[0]["text"]
    return encoded


def encode_part(part: Part, *, own: bool) -> JsonObject:
    match part:
        case Text(text=text, cache=cache):
            return {"type": "text", "text": text} | encode_mark(cache, own=own)
        case Image(source=source, detail=detail, cache=cache):
            image = {"url": _image_url(source)}
            if detail:
                image["detail"] = detail
            return {"type": "image_url", "image_url": image} | encode_mark(cache, own=own)
        case Audio():
            return _audio(part)
        case File(cache=cache):
            return _file(part) | encode_mark(cache, own=own)
        case _:
            raise _unfit(f"a {type(part).__name__} cannot be said in a message")


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
            raise _unfit("an image stored at one provider cannot be used at another: send it")


_AUDIO_FORMATS = {
    "audio/wav": "wav",
    "audio/x-wav": "wav",
    "audio/wave": "wav",
    "audio/mpeg": "mp3",
    "audio/mp3": "mp3",
}


def _audio(audio: Audio) -> JsonObject:
    word = _AUDIO_FORMATS.get(audio.mime)
    if word is None:
        raise _unfit(f"audio of type {audio.mime} cannot be sent to this provider: use wav or mp3")
    return {"type": "input_audio", "input_audio": {"data": audio.data, "format": word}}


def _file(file: File) -> JsonObject:
    match file.source:
        case FileId(id=file_id, origin=origin) if origin.startswith("openai"):
            return {"type": "file", "file": {"file_id": file_id}}
        case PlainText(text=text):
            return _document(file.name, text)
        case Base64(mime=mime, data=data) as source:
            if mime.startswith("text/"):
                return _document(file.name, _decoded(source))
            if mime.startswith("audio/"):
                return _audio(Audio(mime, data))
            if mime.startswith("image/"):
                return {"type": "image_url", "image_url": {"url": _image_url(source)}}
            if mime.startswith("application/"):
                name = file.name or f"file.{mime.rpartition('/')[2]}"
                content = {"filename": name, "file_data": media.data_url(source)}
                return {"type": "file", "file": content}
            raise _unfit(f"a file of type {mime} cannot be sent to this provider")
        case _:
            raise _unfit("a file that is not in the request cannot be sent to this provider")


def _document(name: str, text: str) -> JsonObject:
    return {"type": "text", "text": f"{name}\n{text}" if name else text}


def _decoded(source: Base64) -> str:
    try:
        return base64.b64decode(source.data, validate=True).decode("utf-8", "replace")
    except ValueError:
        raise _unfit(f"a file of type {source.mime} is not valid base64") from None


def _unfit(problem: str) -> Refused:
    return invalid(f"messages: {problem}", param="messages")
