"""What is said in a message or in a tool's output, for an upstream."""

from proxypal_core.dialects import media
from proxypal_core.dialects.openai_words import is_ours, write_audio
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


def write_part(part: Said, *, own: bool) -> JsonObject:
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
            return write_audio(part)


def _mark(cache: CacheMark | None, *, own: bool) -> JsonObject:
    """A breakpoint, only for the client that set it so: few models know the field."""
    if cache is None or not own:
        return {}
    return {"prompt_cache_breakpoint": {"mode": "explicit"}}


def _image(image: Image) -> JsonObject:
    match image.source:
        case Base64(data=data) as source:
            return {"image_url": media.data_url(Base64(media.true_mime(source), data))}
        case Url(url=url):
            return {"image_url": url}
        case FileId(id=file_id) as source if is_ours(source):
            return {"file_id": file_id}
        case _:
            raise media.stored_elsewhere("an image")


def _file(file: File) -> JsonObject:
    match file.source:
        case PlainText(text=text):
            return {"type": "input_text", "text": media.titled(file.name, text)}
        case Base64(mime=mime, data=data) as source:
            if mime.startswith("audio/"):
                return write_audio(Audio(mime, data))
            if mime.startswith("image/"):
                return {"type": "input_image", "detail": "auto"} | _image(Image(source))
            if mime.startswith("video/"):
                raise invalid(
                    f"a file of type {mime} is not taken by this provider; ask another model"
                )
            name = file.name or f"file.{_SUFFIXES.get(mime, mime.rpartition('/')[2])}"
            return {"type": "input_file", "filename": name, "file_data": media.data_url(source)}
        case Url(url=url):
            return {"type": "input_file", "file_url": url}
        case FileId(id=file_id) as source if is_ours(source):
            return {"type": "input_file", "file_id": file_id}
        case _:
            raise media.stored_elsewhere("a file")


_SUFFIXES = {"text/plain": "txt", "text/markdown": "md"}
