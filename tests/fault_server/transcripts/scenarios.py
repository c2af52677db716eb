"""The meanings, in no dialect's words."""

from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True)
class Call:
    id: str
    name: str
    arguments: str
    """JSON text, as it is streamed."""


@dataclass(frozen=True)
class Scenario:
    """An answer. ``text``, ``thought`` and ``refusal`` are the pieces it is streamed in."""

    text: tuple[str, ...] = ()
    thought: tuple[str, ...] = ()
    refusal: tuple[str, ...] = ()
    calls: tuple[Call, ...] = ()
    cut_short: bool = False
    input_tokens: int = 90
    """All of them, the cached ones included."""
    cached_tokens: int = 64
    output_tokens: int = 31
    """All of them, thinking included."""
    thinking_tokens: int = 0


SIGNATURE = "RmF1bHRTZXJ2ZXJTaWduYXR1cmU="
"""What proves a thought: opaque, and valid base64 since google-genai decodes it."""

_TEXT = ("The lake is calm", " — 17 °C", " and no wind.")
_WEATHER = Call("call_weather1", "get_weather", '{"city":"Zürich","days":2}')

SCENARIOS = MappingProxyType(
    {
        "text": Scenario(text=_TEXT),
        "tool": Scenario(calls=(_WEATHER,)),
        "parallel_tools": Scenario(calls=(_WEATHER, Call("call_clock2", "get_time", "{}"))),
        "thinking": Scenario(
            thought=("Which lake? ", "The near one."), text=_TEXT, thinking_tokens=12
        ),
        "refusal": Scenario(refusal=("I will not", " help with that.")),
        "length": Scenario(text=_TEXT[:2], cut_short=True),
    }
)


def halves(text: str) -> tuple[str, str]:
    return text[: len(text) // 2], text[len(text) // 2 :]
