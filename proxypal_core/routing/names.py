"""A model's name, taken apart."""

import re

from proxypal_core.dialects.effort import EFFORTS
from proxypal_core.hub.messages import Record


class ModelName(Record, frozen=True):
    """A name taken apart: ``model`` still has its provider, when it names one."""

    model: str
    profile: str = ""
    thinking: str = ""

    @classmethod
    def parse(cls, text: str) -> "ModelName":
        model, thinking = _without_thinking(text)
        match = _PROFILE.fullmatch(model)
        if match is None:
            return cls(model, thinking=thinking)
        model, profile = match["model"], match["profile"]
        if not thinking:
            model, thinking = _without_thinking(model)
        return cls(model, profile, thinking)


_PROFILE = re.compile(r"(?P<model>.+?)@(?P<profile>[a-z0-9][a-z0-9._-]*:.+)")
_THINKING = re.compile(rf"(?P<model>.+)\((?P<thinking>-1|\d+|none|off|auto|{'|'.join(EFFORTS)})\)")
_CLAUDE_DOT = re.compile(r"(?<=\d)\.(?=[\d*])")
_LONG_CONTEXT = re.compile(r"(?P<model>.*claude.*)\[1m\]", re.IGNORECASE)


def canonical(name: str) -> str:
    """*name* with the dots of a Claude version as hyphens, which is what the vendor calls it."""
    return _CLAUDE_DOT.sub("-", name) if "claude" in name else name


def _without_thinking(text: str) -> tuple[str, str]:
    match = _THINKING.fullmatch(text)
    return (match["model"], match["thinking"]) if match else (text, "")


def without_context(model: str) -> tuple[str, bool]:
    """*model* without the ``[1m]`` of a long context, and whether it had one."""
    match = _LONG_CONTEXT.fullmatch(model)
    return (match["model"], True) if match else (model, False)
