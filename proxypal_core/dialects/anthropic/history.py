"""A conversation in the order and with the parts that Anthropic takes."""

from collections.abc import Callable, Iterable, Sequence

import msgspec

from proxypal_core.dialects import extras, tools, turns
from proxypal_core.dialects.anthropic.content_encode import redacted, signature
from proxypal_core.dialects.anthropic.words import NAME
from proxypal_core.hub.messages import (
    Audio,
    File,
    Image,
    Opaque,
    Part,
    PlainText,
    Refusal,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
    Turn,
)

_replace = msgspec.structs.replace

_CONTINUE = "Continue your last message from exactly where it ends, without repeating any of it."


def history(
    given: Iterable[Turn], *, prefill: bool, system: bool, drop: Callable[[str], None]
) -> tuple[Turn, ...]:
    """*given* as it may be sent; *drop* is told what had to be left out. *prefill* and *system*:
    the model takes such turns.
    """
    kept = [_replace(turn, parts=_kept(turn, drop)) for turn in given]
    tidied = [_ordered(turn) for turn in turns.tidy(kept, system=system)]
    sent = [turn for turn in tidied if turn.parts]
    distinct = _distinct(turns.placed(sent) if system else sent)
    return tuple(_ended(distinct, prefill=prefill)) or (Turn("user", (Text("."),)),)


def thought_is_missing(sent: Sequence[Turn]) -> bool:
    """Whether the turn the model is to go on with begins without a thought: with a token budget
    for thinking the API refuses that.
    """
    at = max((at for at, turn in enumerate(sent) if turn.role == "assistant"), default=-1)
    if at < 0 or isinstance(sent[at].parts[0], Thinking):
        return False
    following = sent[at + 1 :]
    return not following or isinstance(following[0].parts[0], ToolResult)


def _kept(turn: Turn, drop: Callable[[str], None]) -> tuple[Part, ...]:
    parts: list[Part] = []
    for part in turn.parts:
        match part:
            case Text(text=text) if not text.strip():
                continue
            case Text() if part.citations and turn.role != "assistant":
                parts.append(_replace(part, citations=()))
            case File(source=PlainText(text=text)) if not text.strip():
                continue
            case Image() | File() | Audio() if turn.role == "assistant":
                parts.append(Text(f"[{type(part).__name__.lower()} not shown]"))
            case Thinking() if not (signature(part) or redacted(part)):
                continue
            case Refusal(text=text):
                parts += (Text(text),) if text.strip() else ()
            case Opaque(dialect=dialect) if dialect != NAME:
                drop(extras.name_of(part))
            case ToolResult():
                parts.append(_replace(part, content=_kept(Turn("user", part.content), drop)))
            case _:
                parts.append(part)
    return tuple(parts)


def _ordered(turn: Turn) -> Turn:
    """*turn* with its thoughts first and none last, where they are out of place.

    Turns with a server's own tools in them are left alone: there thoughts stand between the steps.
    """
    if turn.role != "assistant" or any(isinstance(part, Opaque) for part in turn.parts):
        return turn
    thoughts = tuple(part for part in turn.parts if isinstance(part, Thinking))
    others = tuple(part for part in turn.parts if not isinstance(part, Thinking))
    if not thoughts or not others:
        return _replace(turn, parts=others)
    if isinstance(turn.parts[0], Thinking) and not isinstance(turn.parts[-1], Thinking):
        return turn
    return _replace(turn, parts=thoughts + others)


def _distinct(tidied: Sequence[Turn]) -> list[Turn]:
    """*tidied* with calls that share an id told apart: some servers count anew in each turn."""
    used: set[str] = set()
    fresh: dict[str, list[str]] = {}
    out: list[Turn] = []
    for turn in tidied:
        parts: list[Part] = []
        if turn.role == "assistant":
            fresh = {}
        for part in turn.parts:
            match part:
                case ToolCall(id=call_id):
                    new = _unused(call_id, used)
                    used.add(new)
                    fresh.setdefault(call_id, []).append(new)
                    parts.append(part if new == call_id else _replace(part, id=new))
                case ToolResult(call_id=call_id) if fresh.get(call_id):
                    parts.append(_replace(part, call_id=fresh[call_id].pop(0)))
                case _:
                    parts.append(part)
        out.append(_replace(turn, parts=tuple(parts)))
    return out


def _unused(call_id: str, used: set[str]) -> str:
    new, count = call_id, 1
    while new in used:
        count += 1
        new = f"{call_id}_{count}"
    return new


def _ended(sent: list[Turn], *, prefill: bool) -> list[Turn]:
    """*sent* with an end that the model may answer."""
    if not sent or sent[-1].role != "assistant":
        return sent
    calls = list(tools.calls(sent[-1:]))
    if calls:
        return [*sent, Turn("user", tuple(map(turns.aborted, calls)))]
    if not prefill:
        return [*sent, Turn("user", (Text(_CONTINUE),))]
    last = sent[-1].parts[-1]
    if isinstance(last, Text):
        parts = (*sent[-1].parts[:-1], _replace(last, text=last.text.rstrip()))
        return [*sent[:-1], _replace(sent[-1], parts=parts)]
    return sent
