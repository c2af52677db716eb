"""Conversations put into the order that strict targets demand, in the hub's own words.

Anthropic and Gemini want: user first, roles in turn, every call answered in the next user turn,
results before anything else there, no result without its call. Clients send less tidy histories:
parallel results as separate messages, calls that were aborted, results whose call was compacted.
"""

from collections.abc import Iterable, Sequence
from typing import TypeAlias, TypeGuard

import msgspec

from proxypal_core.hub.messages import (
    Audio,
    File,
    Image,
    Part,
    Request,
    Text,
    ToolCall,
    ToolResult,
    Turn,
)

_replace = msgspec.structs.replace

# Claude Code's first system block. It changes with every version of it, which spoils prompt
# caches, and means nothing to other vendors' models.
_BILLING = "x-anthropic-billing-header:"


def is_billing(text: str) -> bool:
    return text.startswith(_BILLING)


def instructions(request: Request) -> tuple[Text, ...]:
    """The system blocks that are meant for the model."""
    return tuple(block for block in request.system if not is_billing(block.text))


Said: TypeAlias = Text | Image | Audio | File
"""What a message can hold."""


def is_said(part: Part) -> TypeGuard[Said]:
    """Whether *part* is something that a message can hold: media, or text that is not empty."""
    return isinstance(part, (Image, Audio, File)) or (isinstance(part, Text) and bool(part.text))


def tidy(turns: Iterable[Turn], *, system: bool = False) -> tuple[Turn, ...]:
    """*turns* in strict order, with nothing lost: what has no place becomes text.

    *system*: instructions in the middle stay turns of their own (see ``placed``).
    """
    merged = _merge(turns if system else map(_reminder, turns))
    answered = tuple(_merge(paired(merged)))
    if answered and answered[0].role == "assistant":
        answered = (Turn("user", (Text("(continue)"),)), *answered)
    return answered


def placed(turns: Sequence[Turn]) -> tuple[Turn, ...]:
    """*turns* with instructions of their own only where strict targets take them: text, behind a
    user turn and before the model's or the end. Others become text of a user turn.
    """
    out: list[Turn] = []
    for at, turn in enumerate(turns):
        fits = (
            at > 0
            and turns[at - 1].role == "user"
            and (at + 1 == len(turns) or turns[at + 1].role == "assistant")
            and all(isinstance(part, Text) for part in turn.parts)
        )
        out.append(turn if fits else _reminder(turn))
    return tuple(_merge(out))


def _reminder(turn: Turn) -> Turn:
    """Instructions in the middle, as text of a user turn: their place is part of their meaning."""
    if turn.role != "system":
        return turn
    parts = (
        Text(f"<system-reminder>\n{part.text}\n</system-reminder>")
        if isinstance(part, Text)
        else part
        for part in turn.parts
    )
    return Turn("user", tuple(parts))


def _merge(turns: Iterable[Turn]) -> list[Turn]:
    merged: list[Turn] = []
    for turn in turns:
        if not turn.parts:
            continue
        if merged and merged[-1].role == turn.role:
            merged[-1] = _replace(merged[-1], parts=merged[-1].parts + turn.parts)
        else:
            merged.append(turn)
    return merged


def continued(turns: Sequence[Turn], words: str) -> tuple[Turn, ...]:
    """*turns*, ending in the beginning of an answer, with *words* that ask for the rest of it; a
    beginning of nothing but white space is dropped.
    """
    turns = tuple(turns)
    while turns and turns[-1].role == "assistant" and _is_blank(turns[-1]):
        turns = turns[:-1]
    if turns and turns[-1].role == "assistant":
        return (*turns, Turn("user", (Text(words),)))
    return turns


def _is_blank(turn: Turn) -> bool:
    return all(isinstance(part, Text) and not part.text.strip() for part in turn.parts)


def paired(turns: Iterable[Turn]) -> tuple[Turn, ...]:
    """*turns* with each call's result in a user turn right behind it, in the order of the calls.

    A call that nothing answers (but the last turn's) gets the result ``aborted``; a result without
    its call becomes text. Nothing else moves. An id may be used again in a later turn.
    """
    turns = tuple(turns)
    answers, taken = _answers(turns)
    out: list[Turn] = []
    for at, turn in enumerate(turns):
        parts = tuple(
            piece
            for index, part in enumerate(turn.parts)
            if (at, index) not in taken
            for piece in (_orphan(part) if isinstance(part, ToolResult) else (part,))
        )
        if parts:
            out.append(_replace(turn, parts=parts))
        results: list[Part] = []
        for index, part in enumerate(turn.parts):
            if not isinstance(part, ToolCall):
                continue
            result = answers.get((at, index))
            if result is not None:
                results.append(_replace(result, name=result.name or part.name))
            elif at < len(turns) - 1:
                results.append(aborted(part))
        if results:
            out.append(Turn("user", tuple(results)))
    return tuple(out)


def aborted(call: ToolCall) -> ToolResult:
    """The result of a *call* that nothing answered: vendors refuse a call without any."""
    return ToolResult(call.id, (Text("aborted"),), name=call.name, is_error=True)


_Place: TypeAlias = tuple[int, int]


def _answers(turns: Sequence[Turn]) -> tuple[dict[_Place, ToolResult], set[_Place]]:
    """The result of the call at each place, and the places of the results that have a call."""
    answers: dict[_Place, ToolResult] = {}
    taken: set[_Place] = set()
    asked: dict[str, _Place] = {}
    for at, turn in enumerate(turns):
        for index, part in enumerate(turn.parts):
            match part:
                case ToolCall(id=call_id):
                    asked[call_id] = (at, index)
                case ToolResult(call_id=call_id) if call_id in asked:
                    answers[asked[call_id]] = part  # of two results for one call, the last holds
                    taken.add((at, index))
                case _:
                    pass
    return answers, taken


def _orphan(result: ToolResult) -> tuple[Part, ...]:
    """A result whose call is gone, as text, since every vendor refuses it as a result."""
    text = "\n".join(part.text for part in result.content if isinstance(part, Text))
    others = (part for part in result.content if not isinstance(part, Text))
    title = f"[result of an earlier tool call {result.name or result.call_id}]"
    return (Text(f"{title}\n{text}"), *others)
