"""A request as text and images: all that a command line takes."""

import re
from collections.abc import Iterator, Sequence

import msgspec

from proxypal_core.dialects import extras, media, openai_chat, turns
from proxypal_core.dialects.base import Encoded
from proxypal_core.hub.failure import invalid
from proxypal_core.hub.messages import (
    Base64,
    File,
    Image,
    Opaque,
    Output,
    Part,
    PlainText,
    Reasoning,
    Refusal,
    Request,
    Sampling,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
    Turn,
)
from proxypal_core.wire import jsonio

NAME = "command"
TAKES_URLS = re.compile(r"(?!)")
"""None: an image is handed over as a file."""

_UNLIMITED = Sampling()


def encode_request(request: Request, /) -> Encoded:
    extras.refuse_state(request, NAME)
    extras.refuse_several(request)
    dropped = [*_unsaid(request), *extras.visible(request, NAME)]
    bare = Request(
        dialect=openai_chat.NAME,
        model=request.model,
        stream=request.stream,
        system=(*map(_bare, turns.instructions(request)), *_form(request.output)),
        turns=tuple(_turn(turn, dropped) for turn in request.turns),
        cache_key=request.cache_key,
    )
    body = openai_chat.encode_request(bare).body
    return Encoded(body, tuple(dict.fromkeys(dropped)), stops=request.stop)


def encode_count(request: Request, /) -> bytes | None:
    """No command line counts."""
    return None


def _unsaid(request: Request) -> Iterator[str]:
    """The fields that a command line has no place for."""
    sent = {
        "tools": bool(request.tools),
        "tool_choice": request.tool_choice is not None,
        "parallel_tool_calls": request.parallel_tools is not None,
        "max_tokens": request.max_output_tokens is not None,
        "reasoning": request.reasoning != Reasoning(),
        "verbosity": bool(request.output.verbosity),
        "service_tier": bool(request.service_tier),
    }
    yield from (field for field, given in sent.items() if given)
    for field in request.sampling.__struct_fields__:
        if getattr(request.sampling, field) != getattr(_UNLIMITED, field) and field != "n":
            yield field


def _form(output: Output) -> Sequence[Text]:
    """The wanted form of the answer, asked for in words: nothing else holds a command line to it."""
    if output.kind == "text":
        return ()
    schema = f" that fits this JSON Schema: {jsonio.dumps_text(output.schema)}"
    wanted = schema if output.schema else ""
    return (Text(f"Answer with nothing but JSON{wanted}. Put no code fence around it."),)


def _bare(text: Text) -> Text:
    return Text(text.text)


# ── turns ────────────────────────────────────────────────────────────────────────────────────


def _turn(turn: Turn, dropped: list[str]) -> Turn:
    parts = tuple(said for part in turn.parts for said in _part(part, dropped))
    return msgspec.structs.replace(turn, parts=parts or (Text(""),))


def _part(part: Part, dropped: list[str]) -> Iterator[Part]:
    match part:
        case Text(text=text) | Refusal(text=text):
            yield Text(text)
        case Image(source=Base64() as source):
            yield Image(source)
        case File(source=PlainText(text=text), name=name):
            yield Text(media.titled(name, text))
        case File(source=Base64(mime=mime) as source, name=name):
            yield _file(source, mime, name)
        case ToolCall(name=name, arguments=arguments):
            yield Text(f"[called the tool {name} with {arguments or 'nothing'}]")
        case ToolResult(content=content, name=name):
            yield Text(f"[the tool {name} answered]" if name else "[a tool answered]")
            for inner in content:
                yield from _part(inner, dropped)
        case Thinking():
            pass
        case Opaque():
            dropped.append(extras.name_of(part))
        case Image() | File():
            raise invalid(
                "an image or file that is not in the request cannot be given to a program; send it"
            )
        case _:
            raise invalid(
                f"{type(part).__name__.lower()} cannot be given to a program; ask another model"
            )


def _file(source: Base64, mime: str, name: str) -> Part:
    if mime.startswith("image/"):
        return Image(source)
    if mime.startswith("text/"):
        return Text(media.titled(name, media.decoded_text(source)))
    raise invalid(f"a file of type {mime} cannot be given to a program; send an image or text")
