"""What is said in a message or in a tool's output, for an upstream."""

from proxypal_core.dialects import media
from proxypal_core.hub.failure import invalid
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


def write_part(part: Part, *, own: bool) -> JsonObject:
    """*own*: the client is one of OpenAI's dialects."""
    match part:
        case Text(text=text, cache=cache):
            return {"type": "input_text", "text": text} | _mark(cache, own=own)
        case Image(detail=detail, cache=cache):
            image = {"type": "input_image", "detail": detail or "auto"}
            return image | _image(part) | _mark(cache, own=own)
        case File(cache=cache):
            return _file(part) | _mark(cache, own=own)
        case Audio():
            return _audio(part)
        case _:
            raise invalid(f"a {type(part).__name__} cannot be said in a message")


def _mark(cache: CacheMark | None, *, own: bool) -> JsonObject:
    """A breakpoint, only for the client that set it so: few models know the field."""
    if cache is None or not own:
        return {}
    return {"prompt_cache_breakpoint": {"mode": "explicit"}}


def _is_ours(source: FileId) -> bool:
    return source.origin.startswith("openai")


def _image(image: Image) -> JsonObject:
    match image.source:
        case Base64(data=data) as source:
            return {"image_url": media.data_url(Base64(media.true_mime(source), data))}
        case Url(url=url):
            return {"image_url": url}
        case FileId(id=file_id) as source if _is_ours(source):
            return {"file_id": file_id}
        case _:
            raise invalid("an image stored at one provider cannot be used at another: send it")


def _file(file: File) -> JsonObject:
    match file.source:
        case PlainText(text=text):
            return {"type": "input_text", "text": f"{file.name}\n{text}" if file.name else text}
        case Base64(mime=mime, data=data) as source:
            if mime.startswith("audio/"):
                return _audio(Audio(mime, data))
            if mime.startswith("image/"):
                return {"type": "input_image", "detail": "auto"} | _image(Image(source))
            if mime.startswith("video/"):
                raise invalid(f"a file of type {mime} cannot be sent to this provider")
            name = file.name or f"file.{_SUFFIXES.get(mime, mime.rpartition('/')[2])}"
            return {"type": "input_file", "filename": name, "file_data": media.data_url(source)}
        case Url(url=url):
            return {"type": "input_file", "file_url": url}
        case FileId(id=file_id) as source if _is_ours(source):
            return {"type": "input_file", "file_id": file_id}
        case _:
            raise invalid("a file stored at one provider cannot be used at another: send it")


_SUFFIXES = {"text/plain": "txt", "text/markdown": "md"}
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
        raise invalid(f"audio of type {audio.mime} cannot be sent to this provider: use wav or mp3")
    return {"type": "input_audio", "input_audio": {"data": audio.data, "format": word}}
