"""Conversations put into the order that strict targets demand, in the hub's own words.

Anthropic and Gemini want: user first, roles in turn, every call answered in the next user turn,
results before anything else there, no result without its call. Clients send less tidy histories:
parallel results as separate messages, calls that were aborted, results whose call was compacted.
"""

from collections.abc import Iterable, Sequence

import msgspec

from proxypal_core.hub.messages import Part, Role, Text, ToolCall, ToolResult, Turn

_replace = msgspec.structs.replace


def tidy(turns: Iterable[Turn]) -> tuple[Turn, ...]:
    """*turns* in strict order, with nothing lost: what has no place becomes text."""
    merged = _merge(_inline_system(turns))
    answered = _pair(merged)
    if answered and answered[0].role == "assistant":
        answered = (Turn("user", (Text("(continue)"),)), *answered)
    return answered


def _inline_system(turns: Iterable[Turn]) -> list[Turn]:
    """Instructions in the middle, as text of a user turn: their place is part of their meaning."""
    return [
        turn
        if turn.role != "system"
        else Turn(
            "user",
            tuple(
                Text(f"<system-reminder>\n{part.text}\n</system-reminder>")
                for part in turn.parts
                if isinstance(part, Text)
            ),
        )
        for turn in turns
    ]


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


def _pair(turns: Sequence[Turn]) -> tuple[Turn, ...]:
    """Each call's result moved into the user turn after it; orphans of both kinds made harmless."""
    results: dict[str, ToolResult] = {}
    for turn in turns:
        for part in turn.parts:
            if isinstance(part, ToolResult):
                results[part.call_id] = part  # of two results for one call, the last holds
    paired: list[Turn] = []
    called: set[str] = set()
    for at, turn in enumerate(turns):
        if turn.role == "assistant":
            parts, answers = _answered(turn.parts, results, called, last=at == len(turns) - 1)
            _append(paired, "assistant", parts)
            _append(paired, "user", answers)
        else:
            _append(
                paired,
                turn.role,
                tuple(
                    part if not isinstance(part, ToolResult) else _orphan(part)
                    for part in turn.parts
                    if not (isinstance(part, ToolResult) and part.call_id in called)
                ),
            )
    return tuple(paired)


def _append(turns: list[Turn], role: Role, parts: tuple[Part, ...]) -> None:
    if not parts:
        return
    if turns and turns[-1].role == role:
        turns[-1] = _replace(turns[-1], parts=turns[-1].parts + parts)
    else:
        turns.append(Turn(role, parts))


def _answered(
    parts: Sequence[Part], results: dict[str, ToolResult], called: set[str], *, last: bool
) -> tuple[tuple[Part, ...], tuple[Part, ...]]:
    """An assistant turn's parts, and the results that must follow it at once."""
    answers: list[Part] = []
    for part in parts:
        if not isinstance(part, ToolCall) or part.id in called:
            continue
        called.add(part.id)
        result = results.get(part.id)
        if result is not None:
            answers.append(_replace(result, name=result.name or part.name))
        elif not last:
            answers.append(ToolResult(part.id, (Text("aborted"),), name=part.name, is_error=True))
    return tuple(parts), tuple(answers)


def _orphan(result: ToolResult) -> Text:
    """A result whose call is gone, as text, since every vendor refuses it as a result."""
    text = "\n".join(part.text for part in result.content if isinstance(part, Text))
    return Text(f"[result of an earlier tool call {result.name or result.call_id}]\n{text}")
