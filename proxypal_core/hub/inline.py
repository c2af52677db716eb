"""Media that a request only points to: where it is, and the same request with the bytes in it."""

import re
from collections.abc import Iterator, Mapping

import msgspec

from proxypal_core.hub.failure import invalid
from proxypal_core.hub.messages import Base64, File, Image, Part, Request, ToolResult, Url


def urls(request: Request) -> tuple[Url, ...]:
    """What *request* points to, in order, each once; in tool results too."""
    found = (url for turn in request.turns for part in turn.parts for url in _urls(part))
    return tuple(dict.fromkeys(found))


def with_bytes(request: Request, files: Mapping[str, Base64]) -> Request:
    """*request* with the bytes of *files*, by address, instead of the addresses.

    Raises:
        Refused: what stands at an image's address is text (a web page about it, mostly).
    """
    turns = tuple(
        msgspec.structs.replace(turn, parts=tuple(_filled(part, files) for part in turn.parts))
        for turn in request.turns
    )
    return msgspec.structs.replace(request, turns=turns)


def _urls(part: Part) -> Iterator[Url]:
    match part:
        case Image(source=Url() as url) | File(source=Url() as url):
            yield url
        case ToolResult(content=content):
            for inner in content:
                yield from _urls(inner)
        case _:
            pass


def _filled(part: Part, files: Mapping[str, Base64]) -> Part:
    match part:
        case Image(source=Url(url=url)) if url in files:
            if files[url].mime.startswith("text/"):
                raise invalid(
                    f"{shown(url)} is not an image but {files[url].mime}; send it as a file"
                )
            return msgspec.structs.replace(part, source=files[url])
        case File(source=Url(url=url)) if url in files:
            return msgspec.structs.replace(part, source=files[url])
        case ToolResult(content=content):
            filled = tuple(_filled(inner, files) for inner in content)
            return msgspec.structs.replace(part, content=filled)
        case _:
            return part


def shown(url: str) -> str:
    """*url* as a message may repeat it: without credentials and signatures, and not too long."""
    return _HIDDEN.sub("", url)[:_LONGEST]


_HIDDEN = re.compile(r"(?<=//)[^/?#]*@|[?#].*", re.DOTALL)
_LONGEST = 200
