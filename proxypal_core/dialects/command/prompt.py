"""A conversation as the one prompt that a command line takes, and what is known of it already."""

import base64
import hashlib
from collections.abc import Callable, Sequence
from typing import NamedTuple

from proxypal_core.dialects import turns
from proxypal_core.hub.messages import Base64, Image, Part, Request, Text, Turn
from proxypal_core.wire import jsonio

_LOOKED_BACK = 8
"""Answers after which a conversation may be found again; each look reads the whole of it."""


class Prompt(NamedTuple):
    """``text`` and ``images`` to send now; ``images`` keep their order."""

    text: str
    images: tuple[Base64, ...] = ()


# ── which conversation it is ─────────────────────────────────────────────────────────────────


def conversation(request: Request, said: Sequence[Turn], *, with_system: bool) -> str:
    """The name of the conversation in which *said* was said so far.

    Two have the same name only if everything in them is the same, so that an answer can never go on
    from what its client did not say. White space at the ends is not counted, for clients trim.
    """
    digest = hashlib.blake2b(digest_size=16)
    system = [text.text for text in request.system] if with_system else []
    for text in (request.cache_key, request.model, *system):
        _add(digest.update, text)
    for turn in turns.tidy(said):
        _add(digest.update, turn.role)
        for part in turn.parts:
            _add(digest.update, _identity(part))
    return digest.hexdigest()


def _add(update: Callable[[bytes], None], text: str) -> None:
    data = text.strip().encode()
    update(b"%d:" % len(data))
    update(data)


def _identity(part: Part) -> str:
    match part:
        case Text(text=text):
            return text
        case Image(source=Base64(data=data)):
            return hashlib.blake2b(data.encode(), digest_size=16).hexdigest()
        case _:
            return ""


def known_part(
    request: Request, find: Callable[[str], str], *, with_system: bool
) -> tuple[str, int]:
    """The session that holds most of *request*, as *find* knows them by conversation, and how many
    turns it holds; an empty session and 0 where there is none, or only one that is far behind.
    """
    answered = [at for at, turn in enumerate(request.turns, 1) if turn.role == "assistant"]
    recent = [at for at in answered if at < len(request.turns)][-_LOOKED_BACK:]
    for many in reversed(recent):
        name = conversation(request, request.turns[:many], with_system=with_system)
        if session := find(name):
            return session, many
    return "", 0


# ── what is said ─────────────────────────────────────────────────────────────────────────────


def prompt(said: Sequence[Turn], *, system: str = "") -> Prompt:
    """*said* as one prompt: the last turn, with what was said before it as a transcript."""
    tidy = turns.tidy(said)
    if tidy and tidy[-1].role == "assistant":
        tidy = turns.continued(tidy, "Go on with your answer exactly where it ends.")
    *before, last = tidy or (Turn("user", (Text(""),)),)
    blocks = [f"<instructions>\n{system}\n</instructions>"] if system else []
    if before:
        lines = "\n\n".join(f"{_WHO[turn.role]}:\n{_text(turn, '[image]')}" for turn in before)
        blocks.append(f"<conversation>\n{lines}\n</conversation>")
    blocks.append(_text(last))
    text = "\n\n".join(blocks)
    # A slash at the beginning would be a command to the program itself.
    return Prompt(f" {text}" if text.startswith("/") else text, _images(tidy))


_WHO = {"user": "User", "assistant": "Assistant", "system": "System"}


def _text(turn: Turn, image: str = "") -> str:
    """What *turn* says, with the word *image* where one was shown."""
    said = (part.text if isinstance(part, Text) else image for part in turn.parts)
    return "\n\n".join(filter(None, said))


def _images(said: Sequence[Turn]) -> tuple[Base64, ...]:
    return tuple(
        part.source
        for turn in said
        for part in turn.parts
        if isinstance(part, Image) and isinstance(part.source, Base64)
    )


def image_bytes(image: Base64) -> bytes:
    return base64.b64decode(image.data)


# ── how it is written to standard input ──────────────────────────────────────────────────────


def as_message(asked: Prompt) -> bytes:
    """*asked* as a line of ``stream-json``: a user's message in Anthropic's words."""
    content: list[dict[str, object]] = [
        {
            "type": "image",
            "source": {"type": "base64", "media_type": image.mime, "data": image.data},
        }
        for image in asked.images
    ]
    content.append({"type": "text", "text": asked.text})
    message = {"type": "user", "message": {"role": "user", "content": content}}
    return jsonio.dumps(message) + b"\n"
